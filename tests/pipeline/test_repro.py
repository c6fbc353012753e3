"""The pipeline as a user runs it: real DVC on a tiny experiment in a repository of its own."""

import copy
import datetime
import itertools
import json
import platform
import re
import shutil
import sys

import pytest
from checkout import ROOT
from faces import png
from ruamel.yaml import YAML

from ferpipe.core import files, paths
from ferpipe.params.reader import read_section
from ferpipe.params.train import Train

STAGES = ["download", "split", "preprocess", "train", "evaluate"]


@pytest.fixture
def repo(finished):
    """The finished checkout; what a test changes in it is taken back."""
    yield finished
    finished.git("checkout", "-q", "--", ".")
    # The cross-validation has not run here, so its outputs are missing.
    finished.dvc("checkout", "-q", "--force")


def test_the_first_run_runs_every_stage_in_order(finished):
    assert finished.stages_run(finished.first_output) == STAGES


def test_the_second_run_runs_nothing(repo):
    output = repo.dvc("repro")
    assert repo.stages_run(output) == []
    assert "Data and pipelines are up to date." in output


def test_a_run_writes_what_it_promises(finished):
    for name in (
        *("data/raw/images.zip", "data/raw/index.csv", "data/raw/skipped.csv", "data/split.csv"),
        *("data/records/schema.json", "models/model.keras", "reports/history.csv"),
        *("reports/metrics.json", "reports/predictions.csv", "reports/confusion.csv"),
        *("reports/baselines.csv", "reports/closest_pairs.csv"),
        *("reports/classification_report.txt", "reports/figures/confusion.png"),
        *("reports/figures/curves.png", "reports/figures/per_class.png"),
        *("reports/figures/reliability.png", "reports/figures/roc.png"),
        *("reports/figures/precision_recall.png", "reports/report.html", "reports/model_card.md"),
        *("reports/reliability.csv", "reports/roc.csv", "reports/precision_recall.csv"),
    ):
        assert (finished.path / name).stat().st_size > 0, name
    index = files.read_csv(finished.path / paths.INDEX, paths.INDEX_COLUMNS)
    assert len(index) == 6 * 7 * 3
    predictions = (finished.path / "reports/predictions.csv").read_text().splitlines()
    assert len(predictions) == 1 + finished.json("data/split_audit.json")["test"]
    # No temporary file or folder is left behind.
    assert not [path for path in finished.path.rglob(".*-*") if ".git" not in path.parts]


def test_git_stays_clean_after_a_run(finished):
    assert finished.git("status", "--porcelain") == ""


def test_the_stages_end_with_what_a_person_wants_and_where_to_look_next(finished):
    numbers = finished.json("reports/evaluation.json")
    output = finished.first_output
    assert f"evaluate: {numbers['accuracy']:.1%} of {numbers['images']} test images" in output
    assert "evaluate: worst class: " in output
    assert "evaluate: most frequent confusion: " in output
    assert "evaluate: open reports/report.html in a browser" in output


def test_train_facts_of_an_older_version_are_one_clear_line(repo):
    path = repo.path / "models/training.json"
    facts = json.loads(path.read_text())
    facts.pop("temperature")
    path.write_text(json.dumps(facts))
    output = repo.run("python", "src/stage.py", "evaluate", check=False)
    assert repo.code == 1
    assert output == (
        "evaluate: error: models/training.json tells no temperature; run `dvc repro`\n"
    )


def test_faces_never_get_into_git(finished):
    tracked = finished.git("ls-files").splitlines()
    assert "reports/report.html" not in tracked
    assert "reports/model_card.md" not in tracked
    for name in filter(lambda name: name.startswith("reports/"), tracked):
        assert "data:image" not in (finished.path / name).read_text(), name


def test_the_report_tells_the_run_and_nothing_of_machine_path_or_day(finished):
    page = (finished.path / "reports/report.html").read_text()
    card = (finished.path / "reports/model_card.md").read_text()
    assert page.count("data:image/png;base64,") > 7
    assert "drawn faces" in page
    assert "drawn faces" in card
    digest = re.search(r"content digest (\w{64})", finished.first_output).group(1)
    assert digest in page
    assert digest in card
    for text in (page, card):
        text = re.sub(r"data:image/png;base64,[^\"]*", "", text)
        assert str(finished.path) not in text
        assert platform.node() not in text
        assert datetime.date.today().isoformat() not in text


def test_metrics_are_shown(finished):
    shown = json.loads(finished.dvc("metrics", "show", "--json"))[""]["data"]
    assert list(shown) == ["reports/split.json", "reports/train.json", "reports/metrics.json"]
    numbers = shown["reports/metrics.json"]["data"]
    assert 0 <= numbers["accuracy_low"] <= numbers["accuracy"] <= numbers["accuracy_high"] <= 1
    assert 0 <= numbers["baseline_accuracy"] <= 1
    whole = finished.json("reports/evaluation.json")
    assert whole["images"] == finished.json("data/split_audit.json")["test"]
    assert whole["selected_on_test"] is False
    assert whole["interval"] in ("bootstrap over subjects", "Wilson over subjects")
    assert 0 <= whole["majority_accuracy"] <= whole["baseline_accuracy"] <= 1


def test_metrics_fit_a_terminal_of_160_columns(finished):
    lines = finished.dvc("metrics", "show").splitlines()
    assert len(lines[0].split()) <= 1 + 12
    assert max(map(len, lines)) <= 160


def test_experiments_show_validation_before_test(finished):
    header, *_ = finished.dvc("exp", "show", "--csv").splitlines()
    assert header.index("val_accuracy") < header.index(",accuracy")


def test_a_cross_validation_that_has_not_run_is_not_missed(finished):
    for command in ("repro", "metrics show", "exp show"):
        output = finished.dvc(*command.split())
        assert "cv/dvc.yaml" not in output, command
        assert "failed" not in output, command


def test_a_change_of_evaluate_runs_evaluate_alone_and_shows_in_the_diffs(repo):
    repo.set({"evaluate": {"confidence": 0.8}})
    assert "evaluate.confidence" in repo.dvc("params", "diff")
    assert repo.stages_run(repo.dvc("repro")) == ["evaluate"]
    changed = json.loads(repo.dvc("metrics", "diff", "--json"))["reports/metrics.json"]
    assert changed
    assert set(changed) <= {"accuracy_low", "accuracy_high"}


def test_the_plots_are_drawn_each_once(repo):
    assert "failed" not in repo.dvc("plots", "show", "-o", "dvc_plots")
    page = (repo.path / "dvc_plots/index.html").read_text()
    for title in (
        *("Images per class and split", "Accuracy and loss per epoch"),
        *("Confusion matrix on test", "Recall per class on test"),
        *("Accuracy against confidence on test", "ROC of each class on test"),
        "Precision over recall of each class on test",
    ):
        assert page.count(f'"{title}"') == 1
    shutil.rmtree(repo.path / "dvc_plots")


def leaves(values, prefix=()):
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*prefix, key))
        else:
            yield (*prefix, key)


COMMITTED = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())


def other(leaf, value):
    """Another value for a leaf; DVC compares and does not judge."""
    special = {("download", "source"): "local", ("download", "local", "path"): "presets"}
    if leaf in special:
        return special[leaf]
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [*value, 9]
    return f"{value}x" if isinstance(value, str) else (value or 0) + 1


def status(folder):
    """The stages of dvc.yaml that DVC finds changed, in this process."""
    from dvc.repo import Repo

    with Repo(str(folder)) as dvc:
        return {address.split(":")[-1] for address in dvc.status([str(folder / "dvc.yaml")])}


@pytest.fixture(scope="module")
def changed_stages(finished):
    """A function: the stages of dvc.yaml that DVC finds changed by these params."""

    def changed(values):
        path = finished.path / "params.yaml"
        before = path.read_text()
        with path.open("w") as file:
            YAML(typ="safe", pure=True).dump(values, file)
        try:
            return status(finished.path)
        finally:
            path.write_text(before)

    return changed


def test_unchanged_params_change_no_stage(finished, changed_stages):
    assert changed_stages(finished.params()) == set()


@pytest.mark.parametrize("leaf", list(leaves(COMMITTED)), ids=".".join)
def test_a_param_changes_exactly_the_stage_of_its_section(finished, changed_stages, leaf):
    values = copy.deepcopy(finished.params())
    *parents, key = leaf
    section = values
    for parent in parents:
        section = section[parent]
    section[key] = other(leaf, section[key])
    # Evaluate tells every param that made its result.
    expected = {leaf[0], "evaluate"} if leaf[0] not in ("cv", "run") else set()
    assert changed_stages(values) == expected


EDITS = {
    "core/files.py": set(STAGES),
    "params/run.py": {"download", "preprocess", "train", "evaluate"},
    "params/cv.py": {"evaluate"},  # whose report reads params as a whole
    "data/images.py": {"download", "split", "preprocess", "evaluate"},
    "data/records.py": set(STAGES),
    "sources/intake/listing.py": {"download"},
    "sources/sample/people.py": {"download"},
    "sources/kaggle/client.py": set(),  # not the source in use
    "splitting/audit.py": {"split"},
    "model/network.py": {"train", "evaluate"},
    "training/loop.py": {"train"},
    "evaluation/metrics.py": {"evaluate"},
    "report/page.py": {"evaluate"},
    "stages/split.py": {"split"},
    "stages/another.py": set(),  # a new stage
    "runtime/run_log.py": set(),
    "tools/compare.py": set(),
}


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_changes_the_stages_that_list_its_folder(finished, file):
    path = finished.path / "src/ferpipe" / file
    before = path.read_bytes() if path.exists() else None
    path.write_bytes((before or b"") + b"# edited\n")
    try:
        assert status(finished.path) == EDITS[file]
    finally:
        path.unlink() if before is None else path.write_bytes(before)


def test_every_package_is_among_the_edits():
    packages = {path.parent.name for path in (ROOT / "src/ferpipe").glob("*/__init__.py")}
    assert {file.split("/")[0] for file in EDITS} == packages


def test_bytecode_and_half_written_files_change_no_stage(finished):
    folder = finished.path / "src/ferpipe/data"
    bytecode = folder / "__pycache__/any.cpython-311.pyc"
    bytecode.parent.mkdir(exist_ok=True)
    bytecode.write_bytes(b"any")
    partial = folder / ".any.csv.1234.partial"
    partial.write_bytes(b"half")
    assert status(finished.path) == set()
    bytecode.unlink()
    partial.unlink()


def test_every_stage_feeds_the_next(finished):
    """So what is changed above re-runs its stage and all those after it."""
    lines = finished.dvc("dag", "--dot").splitlines()
    edges = {tuple(line.strip(' ";').split('" -> "')) for line in lines if "->" in line}
    assert set(itertools.pairwise(STAGES)) <= edges


def test_another_seed_runs_everything_and_reverting_restores_everything(repo):
    repo.set({"download": {"sample": {"seed": 2}}})
    assert repo.stages_run(repo.dvc("repro")) == STAGES
    # Other people: the numbers of the two cannot be compared.
    command = "import sys; sys.path.insert(0, 'src'); from ferpipe.tools.cli import main; main()"
    compared = repo.run(sys.executable, "-c", command, "compare")
    assert compared.splitlines()[-1].startswith("The test sets differ (21 only in HEAD, 21 only in")
    repo.git("checkout", "-q", "--", "params.yaml")
    output = repo.dvc("repro")
    assert repo.stages_run(output) == []
    assert [name for name in STAGES if f"Stage '{name}' is cached" in output] == STAGES
    assert repo.git("status", "--porcelain") == ""


def test_exp_run_sets_a_number_in_yaml_1_2_notation(repo):
    repo.dvc("exp", "run", "-q", "-S", "train.learning_rate=1e-5", "split")
    params = read_section(repo.path / "params.yaml", "train", Train)
    assert params.learning_rate == 1e-5
    assert "1e-05" in repo.dvc("params", "diff")


def test_the_backend_is_that_of_params_yaml_whatever_the_environment_says(repo):
    repo.set({"train": {"backend": "jax", "epochs": 1}})
    repo.environment["KERAS_BACKEND"] = "torch"
    try:
        output = repo.dvc("repro")
    finally:
        del repo.environment["KERAS_BACKEND"]
    assert repo.stages_run(output) == ["train", "evaluate"]
    assert "images, jax on the CPU" in output


def test_a_bad_param_gets_one_line_and_changes_nothing(repo):
    before = (repo.path / "reports/split.json").read_text()
    repo.set({"split": {"test_size": 1.5}})
    output = repo.dvc("repro", check=False)
    assert repo.code == 255
    assert "split: error: params.yaml: split.test_size = 1.5: should be less than 1" in output
    assert "Traceback" not in output
    repo.git("checkout", "-q", "--", ".")
    repo.dvc("repro")
    assert (repo.path / "reports/split.json").read_text() == before


def test_local_images_are_a_params_change_and_their_change_runs_again(repo):
    images = repo.path / "data/local"
    for label, seed in (("left", 0), ("right", 20), ("up", 40)):
        (images / label).mkdir()
        for number in range(8):
            (images / label / f"{number:02d}.png").write_bytes(png(seed + number))
    repo.set({"download": {"source": "local"}, "split": {"group_by": "none"}})
    assert repo.stages_run(repo.dvc("repro", "split")) == ["download", "split"]
    assert repo.json("data/split_audit.json")["classes"] == 3
    (images / "up" / "07.png").unlink()
    assert repo.stages_run(repo.dvc("repro", "split")) == ["download", "split"]
    for label in ("left", "right", "up"):
        shutil.rmtree(images / label)


def test_a_queued_experiment_runs_the_code_that_it_was_queued_with(repo):
    source = repo.path / "src/ferpipe/splitting/audit.py"
    queued = source.read_text().replace('"classes":', '"queued": 1, "classes":')
    source.write_text(queued)
    repo.git("config", "user.name", "t")
    repo.git("config", "user.email", "t@t.example")
    repo.dvc("exp", "run", "--queue", "--name", "queued", "-S", "evaluate.confidence=0.7")
    source.write_text(queued.replace('"queued": 1', '"edited": 1'))
    # One job, in the foreground of this command.
    repo.dvc("exp", "run", "--run-all", "--jobs", "1")
    (ref,) = repo.git("for-each-ref", "--format=%(refname)", "refs/exps/*/*/queued").split()
    numbers = json.loads(repo.git("show", f"{ref}:reports/split.json"))
    assert "queued" in numbers
    assert "edited" not in numbers
