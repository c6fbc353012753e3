"""`dvc plots` with our templates and page: every value shown, nothing requested."""

import hashlib
import json
import re
import runpy
import shutil

import numpy as np
import pandas as pd
import pytest
from checkout import ROOT, Checkout
from ruamel.yaml import YAML

from ferpipe.core import paths, tables
from ferpipe.evaluation import calibration, curves, metrics, result, robustness
from ferpipe.evaluation.corruptions import CORRUPTIONS

PLOTS = ROOT / ".dvc/plots"
# Not in alphabetical order, one without images, one that only JSON must escape.
CLASSES = ["surprise", "anger", 'the "other"']
COUNTS = np.array([[1234, 5, 0], [2, 7, 0], [0, 0, 0]])
STAGES = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
DECLARED = {
    path: options
    for stage in STAGES.values()
    for plot in stage.get("plots", ())
    for path, options in plot.items()
}
# vega-embed logs this for every page that DVC writes, its own included.
VERSION_NOTE = re.compile(r"The (input|compiled) spec uses Vega(-Lite)? v5, but")


def guess(images):
    return np.eye(3)[np.arange(len(images)) % 3]


def write_reports(folder, epochs, fine_tune_from):
    labels, predicted = np.repeat(np.argwhere(COUNTS >= 0), COUNTS.ravel(), axis=0).T
    probabilities = np.eye(3)[predicted] * 0.85 + 0.05
    test = result.Result(CLASSES, ["any"] * len(labels), labels, probabilities, False, ())
    temperature = 1.0 if epochs == 1 else 1.5
    measured = calibration.before_and_after(labels, probabilities, temperature, 0.95)
    class_curves = curves.curves(labels, probabilities, CLASSES)
    images = np.zeros((len(labels), 8, 8, 1), np.uint8)
    # The first revision has not measured it.
    corruptions = CORRUPTIONS if epochs > 1 else ()
    epoch = np.arange(1, epochs + 1)
    history = {
        "epoch": epoch,
        "phase": np.where(epoch < fine_tune_from, "head", "fine-tune"),
        "learning_rate": 1e-05,
        **{"loss": 2 / epoch, "accuracy": 0.5, "val_loss": 2.2 / epoch, "val_accuracy": 0.4},
        "selected_on": "val",
    }
    assert list(history) == list(paths.HISTORY_COLUMNS)
    splits = pd.MultiIndex.from_product([CLASSES, paths.SPLITS], names=["class", "split"])
    for name, table in {
        "history": pd.DataFrame(history),
        "confusion": metrics.confusion_table(COUNTS, CLASSES, "val"),
        "per_class": result.per_class(test, 0.95),
        "reliability": calibration.reliability_table(measured, "val"),
        "roc": curves.roc_table(class_curves, "val"),
        "precision_recall": curves.precision_recall_table(class_curves, "val"),
        "robustness": robustness.measure(test, images, guess, corruptions, 0.95),
        "split_counts": splits.to_frame(index=False).assign(images=10),
    }.items():
        tables.write_table(folder / f"{name}.csv", table)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository with our plots and two commits: one epoch, then five with fine-tuning."""
    project = Checkout(tmp_path_factory.mktemp("plots") / "project")
    (project.path / "reports").mkdir(parents=True)
    shutil.copytree(PLOTS, project.path / ".dvc/plots")
    shutil.copy(ROOT / ".dvc/config", project.path / ".dvc")
    (project.path / ".dvc/.gitignore").write_text("/tmp\n")
    (project.path / ".gitignore").write_text("/page_*/\n")
    plots = [{path: options} for path, options in DECLARED.items()]
    with (project.path / "dvc.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump({"stages": {"evaluate": {"cmd": "none", "plots": plots}}}, file)
    project.git("init", "-q")
    for epochs, fine_tune_from in ((1, 9), (5, 3)):
        write_reports(project.path / "reports", epochs, fine_tune_from)
        project.commit(f"{epochs} epochs")
    project.git("tag", "twice")
    return project


@pytest.fixture(scope="module", params=["show", "diff HEAD~1 HEAD"])
def page(request, project):
    """The page of the workspace, then that of two revisions side by side."""
    out = "page_" + request.param.split()[0]
    project.dvc("plots", *request.param.split(), "--out", out)
    return project.path / out / "index.html"


def test_the_page_refers_to_nothing_outside_itself(page):
    text = page.read_text(encoding="utf-8")
    tags = re.sub(r"(<(script|style)[^>]*>).*?</\2>", r"\1", text, flags=re.DOTALL)
    references = r"(?:src|href|data|poster|action|srcset)=[\"']?([^\"' >]*)"
    assert all(value.startswith("data:") for value in re.findall(references, tags))
    assert "{plot_divs}" not in text
    assert "{refresh_tag}" not in text
    # One call a plot and one definition: a page without our plots would pass the rest.
    assert len(re.findall(r"vegaEmbed\('#reports_\w+_csv', spec\)", text)) == len(DECLARED)


def test_a_run_has_every_plot_once(finished):
    assert "failed" not in finished.dvc("plots", "show", "-o", "dvc_plots")
    page = (finished.path / "dvc_plots/index.html").read_text()
    shutil.rmtree(finished.path / "dvc_plots")
    for options in DECLARED.values():
        assert page.count(f'"{options["title"]}"') == 1


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
    plots = json.loads(project.dvc("plots", "show", "--json"))
    assert "errors" not in plots
    assert plots["data"].keys() == DECLARED.keys()
    templates = [options["template"] for options in DECLARED.values()]
    assert sorted(templates) == sorted(path.stem for path in PLOTS.glob("*.json"))


def test_a_diff_fills_each_template_with_both_revisions(project):
    plots = json.loads(project.dvc("plots", "diff", "HEAD~1", "HEAD", "--json"))
    assert "errors" not in plots
    assert plots["data"].keys() == DECLARED.keys()
    for (plot,) in plots["data"].values():
        assert "<DVC_METRIC_" not in json.dumps(plot["content"])
        revisions = [row["rev"] for row in plot["content"]["data"]["values"]]
        assert list(dict.fromkeys(revisions)) == ["HEAD~1", "HEAD"]


def drawn(browser, page):
    """Open a page and check that it draws every plot, requests nothing and logs no error.

    Returns:
        The texts of each plot by the name of its table.
    """
    browser.open(page)
    browser.wait_until(f"document.querySelectorAll('.marks').length >= {len(DECLARED)}")
    assert browser.run("document.querySelector('.broken')") is None
    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
    assert [line for line in browser.console if not VERSION_NOTE.match(line)] == []
    texts = "[...plot.querySelectorAll('text')].map(text => text.textContent.trim())"
    plots = f"[...document.querySelectorAll('div[id$=_csv]')].map(plot => [plot.id, {texts}])"
    return {name[8:-4]: texts for name, texts in browser.run(plots)}


@pytest.mark.browser
def test_chromium_draws_the_page_without_a_request(browser, page):
    texts = drawn(browser, page)
    # Every class on every axis in the data's order, and every count.
    axes = [text for text in texts["confusion"] if text in CLASSES]
    assert axes == CLASSES * (len(axes) // len(CLASSES))
    assert len(axes) >= 2 * len(CLASSES)
    assert {"1,234", "100%", "5", "<1%", "7", "78%", "0"} <= set(texts["confusion"])
    assert "n = 0" in texts["per_class"]
    # A panel a class, in the data's order; no test image shows the last class.
    for name in ("roc", "precision_recall"):
        assert [text for text in texts[name] if text in CLASSES] == CLASSES[:2]
    assert "before temperature" in texts["reliability"]
    panels = [text for text in texts["robustness"] if text == "none" or ", " in text]
    assert panels == ["none", *(f"{each.name}, {each.unit}" for each in CORRUPTIONS)]
    # Strengths of shift: in the data's order, not in that of text.
    assert [text for text in texts["robustness"] if text in ("5", "15")] == ["5", "15"]


@pytest.mark.browser
def test_curves_of_several_experiments_are_drawn_over_each_other(browser, project):
    revisions = ["HEAD~1", "HEAD", "twice"]
    project.dvc("plots", "diff", *revisions, "--out", "page_three")
    texts = drawn(browser, project.path / "page_three/index.html")
    for name in ("history", "reliability", "roc", "precision_recall"):
        assert [text for text in texts[name] if text in revisions] == revisions, name
