"""`dvc plots` with our templates and page: every number shown, nothing fetched."""

import csv
import hashlib
import json
import re
import runpy
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ferpipe.evaluation.calibration import RELIABILITY_HEADER
from ferpipe.evaluation.curves import PRECISION_RECALL_HEADER, ROC_HEADER

REPO = Path(__file__).parents[2]
PLOTS = REPO / ".dvc/plots"
# Not in alphabetical order, one without images, one that only JSON must escape.
CLASSES = ["surprise", "anger", 'the "other"']
FILES = [
    "reports/confusion.csv", "reports/history.csv", "reports/per_class.csv",
    "reports/precision_recall.csv", "reports/reliability.csv", "reports/roc.csv",
    "reports/split_counts.csv",
]  # fmt: skip
# vega-embed says this of every page that DVC writes, its own included.
VERSION_NOTE = re.compile(r"The (input|compiled) spec uses Vega(-Lite)? v5, but")


def write_reports(folder, epochs, fine_tune_from):
    def write(name, header, rows):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns := header if isinstance(header, tuple) else header.split(","))
            for row in rows:
                assert len(row) == len(columns)
                writer.writerow(row)

    folder.mkdir(exist_ok=True)
    write(
        "history.csv",
        "epoch,phase,learning_rate,loss,accuracy,val_loss,val_accuracy",
        [
            (n, "head" if n < fine_tune_from else "fine-tune", 1e-05, 2 / n, 0.5, 2.2 / n, 0.4)
            for n in range(1, epochs + 1)
        ],
    )
    counts = [[1234, 5, 0], [2, 7, 0], [0, 0, 0]]
    write(
        "confusion.csv",
        "actual,predicted,count,share",
        [
            (actual, predicted, count, count / max(sum(row), 1))
            for actual, row in zip(CLASSES, counts, strict=True)
            for predicted, count in zip(CLASSES, row, strict=True)
        ],
    )
    write(
        "per_class.csv",
        "class,precision,recall,recall_low,recall_high,interval,people,f1,support",
        [
            (name, 0.5, 0.6, 0.4, 0.7, "bootstrap over subjects", 20, 0.55, support)
            for name, support in zip(CLASSES, (1239, 9, 0), strict=True)
        ],
    )
    scalings = [("before", 1.0)] + [("after", 1.5)] * (epochs > 1)
    write(
        "reliability.csv",
        RELIABILITY_HEADER,
        [
            (
                *(*scaling, low, low + 0.2, low + 0.15, low + 0.1, low, low + 0.2),
                *("bootstrap over subjects", 20, 40, "val"),
            )
            for scaling in scalings
            for low in (0.4, 0.6, 0.8)
        ],
    )
    # Nothing shows the last class, so it has no curve.
    write(
        "roc.csv",
        ROC_HEADER,
        [
            (name, x, y, 0.875, "val")
            for name in CLASSES[:2]
            for x, y in ((0, 0), (0, 0.5), (0.25, 1), (1, 1))
        ],
    )
    write(
        "precision_recall.csv",
        PRECISION_RECALL_HEADER,
        [(name, x, y, 0.9, "val") for name in CLASSES[:2] for x, y in ((0, 1), (0.5, 1), (1, 0.8))],
    )
    write(
        "split_counts.csv",
        "class,split,images",
        [(name, split, 10) for name in CLASSES for split in ("train", "val", "test")],
    )


def declared():
    """The plots of each stage of our dvc.yaml that has any."""
    stages = YAML(typ="safe").load(REPO / "dvc.yaml")["stages"]
    return {name: stage["plots"] for name, stage in stages.items() if "plots" in stage}


def dvc(project, *args):
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *args], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository with our plots and two commits: one epoch, then five with fine-tuning."""
    project = tmp_path_factory.mktemp("project")
    (project / ".dvc").mkdir()
    shutil.copy(REPO / ".dvc/config", project / ".dvc")
    shutil.copytree(PLOTS, project / ".dvc/plots")
    (project / ".dvc/.gitignore").write_text("/tmp\n", encoding="utf-8")
    (project / ".gitignore").write_text("/page_*/\n", encoding="utf-8")
    with (project / "dvc.yaml").open("w", encoding="utf-8") as file:
        stages = {name: {"cmd": "none", "plots": plots} for name, plots in declared().items()}
        YAML(typ="safe").dump({"stages": stages}, file)

    def git(*args):
        who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
        subprocess.run(["git", *who, *args], cwd=project, check=True, capture_output=True)

    git("init")
    for epochs, fine_tune_from in ((1, 9), (5, 3)):
        write_reports(project / "reports", epochs, fine_tune_from)
        git("add", ".")
        git("commit", "-m", f"{epochs} epochs")
    git("tag", "twice")
    return project


@pytest.fixture(scope="module", params=["show", "diff HEAD~1 HEAD"])
def page(request, project):
    """The page of the workspace, then that of two revisions beside each other."""
    out = "page_" + request.param.split()[0]
    dvc(project, "plots", *request.param.split(), "--out", out)
    return project / out / "index.html"


class Page(HTMLParser):
    """Collects what a page refers to and the texts inside each element with an id."""

    def __init__(self, text):
        super().__init__()
        self.references, self.texts, self.classes = [], {}, []
        self.within = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "data", "poster", "action", "srcset"}:
                self.references.append(value)
            elif name == "class":
                self.classes += value.split()
            elif name == "id" and tag == "div":
                self.within = self.texts.setdefault(value, [])

    def handle_data(self, data):
        if self.within is not None and data.strip():
            self.within.append(data.strip())


def test_the_page_refers_to_nothing_outside_itself(page):
    text = page.read_text(encoding="utf-8")
    assert all(reference.startswith("data:") for reference in Page(text).references)
    assert "{plot_divs}" not in text
    assert "{refresh_tag}" not in text
    # One call a plot and one definition: a page without our plots would pass the rest.
    assert len(re.findall(r"vegaEmbed\('#reports_\w+_csv', spec\)", text)) == len(FILES)


def test_the_page_is_built_from_its_source_and_the_pinned_libraries():
    page = (PLOTS / "page.html").read_text(encoding="utf-8")
    source = (PLOTS / "page.in.html").read_text(encoding="utf-8")
    for name, _, digest in runpy.run_path(str(PLOTS / "build_page.py"))["LIBRARIES"]:
        start = page.index("<script>") + len("<script>")
        end = page.index("</script>")
        assert hashlib.sha256(page[start:end].encode()).hexdigest() == digest
        page = page[: start - len("<script>")] + f"{{{name}}}" + page[end + len("</script>") :]
    before, after = source.split("{licence}")
    assert page.startswith(before)
    assert page.endswith(after)


def test_every_template_is_used_and_every_plot_has_its_own(project):
    plots = json.loads(dvc(project, "plots", "show", "--json"))
    assert "errors" not in plots
    assert sorted(plots["data"]) == FILES
    templates = [
        how["template"] for plots in declared().values() for plot in plots for how in plot.values()
    ]
    assert sorted(templates) == sorted(path.stem for path in PLOTS.glob("*.json"))


def test_a_diff_fills_each_template_with_both_revisions(project):
    plots = json.loads(dvc(project, "plots", "diff", "HEAD~1", "HEAD", "--json"))
    assert "errors" not in plots
    assert sorted(plots["data"]) == FILES
    for (plot,) in plots["data"].values():
        assert "<DVC_METRIC_" not in json.dumps(plot["content"])
        revisions = [row["rev"] for row in plot["content"]["data"]["values"]]
        assert list(dict.fromkeys(revisions)) == ["HEAD~1", "HEAD"]


def browse(page, folder):
    """Open a page in headless Chromium and let it run for four seconds of its own clock.

    Returns:
        The page as it then stands, the addresses that it (not the browser) asked for, and what
        it wrote to the console.
    """
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no chromium on PATH; Debian's package is `chromium`")
    log = folder / "net.json"
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={folder / 'profile'}",
            # What the browser wants for itself goes nowhere either.
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr", f"--log-net-log={log}",
            "--virtual-time-budget=4000", "--dump-dom", page.as_uri(),
        ],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    asked = [
        event["params"]["url"]
        for event in json.loads(log.read_text(encoding="utf-8"))["events"]
        # The browser's own requests say "not an origin" here.
        if event.get("params", {}).get("initiator", "not an origin") != "not an origin"
    ]
    console = re.findall(r'CONSOLE.*?\] "(.*)", source:', done.stderr)
    return done.stdout, asked, console


@pytest.mark.browser
def test_requests_and_console_errors_of_a_page_would_be_seen(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(
        '<img src="http://faces.invalid/1.png"><script>fetch("https://faces.invalid/2");'
        'console.error("broken");</script>',
        encoding="utf-8",
    )
    _, asked, console = browse(page, tmp_path)
    assert sorted(asked) == ["http://faces.invalid/1.png", "https://faces.invalid/2"]
    assert "broken" in console


@pytest.mark.browser
def test_chromium_draws_the_page_without_a_request(page, tmp_path):
    drawn, asked, console = browse(page, tmp_path)
    assert asked == []
    assert [line for line in console if not VERSION_NOTE.match(line)] == []
    document = Page(drawn)
    assert document.classes.count("marks") == len(FILES)
    assert "broken" not in document.classes
    confusion = document.texts["reports_confusion_csv"]
    # Every class on every axis in the data's order, and every count.
    axes = [text for text in confusion if text in CLASSES]
    assert axes == CLASSES * (len(axes) // len(CLASSES))
    assert len(axes) >= 2 * len(CLASSES)
    assert {"1,234", "100%", "5", "<1%", "7", "78%", "0"} <= set(confusion)
    assert "n = 0" in document.texts["reports_per_class_csv"]
    # A panel a class, in the data's order.
    for name in ("reports_roc_csv", "reports_precision_recall_csv"):
        panels = [text for text in document.texts[name] if text in CLASSES]
        assert panels == CLASSES[:2]
    assert "before temperature" in document.texts["reports_reliability_csv"]


@pytest.mark.browser
def test_curves_of_several_experiments_lie_over_each_other(project, tmp_path):
    dvc(project, "plots", "diff", "HEAD~1", "HEAD", "twice", "--out", "page_three")
    drawn, asked, console = browse(project / "page_three/index.html", tmp_path)
    assert asked == []
    assert [line for line in console if not VERSION_NOTE.match(line)] == []
    document = Page(drawn)
    for name in ("history", "reliability", "roc", "precision_recall"):
        texts = document.texts[f"reports_{name}_csv"]
        legend = [text for text in texts if text in ("HEAD~1", "HEAD", "twice")]
        assert legend == ["HEAD~1", "HEAD", "twice"], name
