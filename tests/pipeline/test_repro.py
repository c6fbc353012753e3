"""The pipeline as a user runs it: real DVC on a tiny experiment in a repository of its own."""

import datetime
import json
import platform
import re
import shutil

import pandas as pd
import pytest
from checkout import ROOT, STAGES
from dvc.repo import Repo
from faces import png

from ferpipe.core import paths
from ferpipe.params.reader import read_section, read_yaml
from ferpipe.params.train import Train


@pytest.fixture
def repo(finished):
    """The finished checkout; changes by a test are undone."""
    yield finished
    finished.git("checkout", "-q", "--", ".")
    # The cross-validation has not run here, so its outputs are missing.
    finished.dvc("checkout", "-q", "--force")


def test_the_first_run_runs_every_stage_and_the_second_runs_nothing(finished):
    assert finished.stages_run(finished.first_output) == STAGES
    output = finished.dvc("repro")
    assert finished.stages_run(output) == []
    assert "Data and pipelines are up to date." in output
    assert finished.git("status", "--porcelain") == ""


def test_a_run_keeps_every_image_and_leaves_no_temporary_file(finished):
    assert len(pd.read_csv(finished.path / paths.INDEX)) == 6 * 7 * 3
    predictions = pd.read_csv(finished.path / "reports/predictions.csv")
    evaluation = finished.json("reports/evaluation.json")
    assert (
        len(predictions) == evaluation["images"] == finished.json("data/split_audit.json")["test"]
    )
    assert not [path for path in finished.path.rglob(".*-*") if ".git" not in path.parts]
    output = finished.first_output
    assert f"evaluate: {evaluation['accuracy']:.1%} of {evaluation['images']} test images" in output
    assert "evaluate: worst class: " in output
    assert "evaluate: most frequent confusion: " in output
    assert "evaluate: open reports/report.html in a browser" in output


def test_training_json_of_an_older_version_is_one_line(repo):
    training = repo.json("models/training.json")
    del training["temperature"]
    (repo.path / "models/training.json").write_text(json.dumps(training))
    output = repo.run("python", "src/stage.py", "evaluate", check=False)
    assert repo.code == 1
    assert re.fullmatch(
        r"evaluate: error: models/training.json .*temperature; run `dvc repro`\n", output
    )


def test_images_never_get_into_git(finished):
    tracked = finished.git("ls-files").splitlines()
    assert not {"reports/report.html", "reports/model_card.md"} & set(tracked)
    for name in filter(lambda name: name.startswith("reports/"), tracked):
        assert "data:image" not in (finished.path / name).read_text(), name


@pytest.mark.parametrize("name", ["report.html", "model_card.md"])
def test_reports_describe_the_data_and_no_machine_path_or_date(finished, name):
    text = (finished.path / "reports" / name).read_text()
    if name.endswith(".html"):
        assert text.count("data:image/png;base64,") > 7
        text = re.sub(r"data:image/png;base64,[^\"]*", "", text)
    assert "drawn faces" in text
    assert re.search(r"content digest (\w{64})", finished.first_output).group(1) in text
    for word in (str(finished.path), platform.node(), datetime.date.today().isoformat()):
        assert word not in text


def test_metrics_are_shown_in_160_columns_with_validation_before_test(finished):
    shown = json.loads(finished.dvc("metrics", "show", "--json"))[""]["data"]
    assert list(shown) == ["reports/split.json", "reports/train.json", "reports/metrics.json"]
    metrics = shown["reports/metrics.json"]["data"]
    assert 0 <= metrics["accuracy_low"] <= metrics["accuracy"] <= metrics["accuracy_high"] <= 1
    evaluation = finished.json("reports/evaluation.json")
    assert 0 <= evaluation["majority_accuracy"] <= evaluation["baseline_accuracy"] <= 1
    assert evaluation["selected_on_test"] is False
    assert evaluation["interval"] in ("bootstrap over subjects", "Wilson over subjects")
    lines = finished.dvc("metrics", "show").splitlines()
    assert len(lines[0].split()) <= 1 + 12
    assert max(map(len, lines)) <= 160
    header, *_ = finished.dvc("exp", "show", "--csv").splitlines()
    assert header.index("val_accuracy") < header.index(",accuracy")


@pytest.mark.parametrize("command", ["repro", "metrics show", "exp show"])
def test_a_cross_validation_that_has_not_run_is_not_reported_missing(finished, command):
    output = finished.dvc(*command.split())
    assert "cv/dvc.yaml" not in output
    assert "failed" not in output


def test_a_change_of_evaluate_runs_evaluate_alone_and_shows_in_the_diffs(repo):
    repo.set({"evaluate": {"confidence": 0.8}})
    assert "evaluate.confidence" in repo.dvc("params", "diff")
    assert repo.stages_run(repo.dvc("repro")) == ["evaluate"]
    changed = json.loads(repo.dvc("metrics", "diff", "--json"))["reports/metrics.json"]
    assert changed
    assert set(changed) <= {"accuracy_low", "accuracy_high"}


def leaves(values, path=()):
    """The path and value of every leaf of nested mappings."""
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


COMMITTED = read_yaml(ROOT / "params.yaml")


def other(path, value):
    """Another value for a leaf; DVC compares values and does not validate them."""
    special = {("download", "source"): "local", ("download", "local", "path"): "presets"}
    if path in special:
        return special[path]
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [*value, 9]
    return f"{value}x" if isinstance(value, str) else (value or 0) + 1


def changed_stages(checkout):
    """The changed stages of dvc.yaml, in this process: `dvc status` takes a second to start."""
    with Repo(str(checkout.path)) as dvc:
        status = dvc.status([str(checkout.path / "dvc.yaml")])
    return {address.split(":")[-1] for address in status}


@pytest.mark.parametrize(
    "leaf", [None, *(path for path, _ in leaves(COMMITTED))], ids=lambda path: ".".join(path or ())
)
def test_a_param_changes_exactly_the_stage_of_its_section(finished, leaf):
    before = finished.params()
    expected = set()
    if leaf:
        change = other(leaf, dict(leaves(before))[leaf])
        for key in reversed(leaf):
            change = {key: change}
        finished.set(change)
        # Evaluate reports the params of all stages.
        expected = {leaf[0], "evaluate"} if leaf[0] not in ("cv", "run") else set()
    try:
        assert changed_stages(finished) == expected
    finally:
        finished.write_params(before)


EDITS = {
    "core/files.py": set(STAGES),
    "params/run.py": {"download", "preprocess", "train", "evaluate"},
    "params/cv.py": {"evaluate"},  # whose report reads params as a whole
    "data/images.py": {"download", "split", "preprocess", "evaluate"},
    "data/records.py": set(STAGES),
    "sources/intake/files/listing.py": {"download"},
    "faces/framing.py": {"evaluate"},
    "sources/sample/people.py": {"download", "evaluate"},  # the framing of its faces
    "sources/kaggle/client.py": set(),  # not the source in use
    "splitting/audit.py": {"split"},
    "model/network.py": {"train", "evaluate"},
    "training/loop.py": {"train"},
    "evaluation/metrics.py": {"evaluate"},
    "report/page.py": {"evaluate"},
    "prediction/predictor.py": set(),
    "stages/split.py": {"split"},
    "stages/another.py": set(),  # a new stage
    "runtime/run_log.py": set(),
    "tools/compare.py": set(),
    "data/__pycache__/any.cpython-311.pyc": set(),
    "data/.any.csv.1234.partial": set(),
}


@pytest.mark.parametrize("file", EDITS)
def test_an_edit_changes_the_stages_that_list_its_folder(finished, file):
    path = finished.path / "src/ferpipe" / file
    path.parent.mkdir(exist_ok=True)
    before = path.read_bytes() if path.exists() else None
    path.write_bytes((before or b"") + b"# edited\n")
    try:
        assert changed_stages(finished) == EDITS[file]
    finally:
        path.unlink() if before is None else path.write_bytes(before)


def test_every_package_is_among_the_edits():
    packages = {path.parent.name for path in (ROOT / "src/ferpipe").glob("*/__init__.py")}
    assert {file.split("/")[0] for file in EDITS} == packages


def test_another_seed_runs_everything_and_reverting_restores_everything(repo):
    repo.set({"download": {"sample": {"seed": 2}}})
    assert repo.stages_run(repo.dvc("repro")) == STAGES
    # Other people: the metrics of the two cannot be compared.
    last = repo.ferpipe("compare").splitlines()[-1]
    assert last.startswith("The test sets differ (21 only in HEAD, 21 only in")
    repo.git("checkout", "-q", "--", "params.yaml")
    output = repo.dvc("repro")
    assert repo.stages_run(output) == []
    assert [name for name in STAGES if f"Stage '{name}' is cached" in output] == STAGES
    assert repo.git("status", "--porcelain") == ""


def test_exp_run_sets_a_value_in_yaml_1_2_notation(repo):
    repo.dvc("exp", "run", "-q", "-S", "train.learning_rate=1e-5", "split")
    params = read_section(repo.path / "params.yaml", "train", Train)
    assert params.learning_rate == 1e-5
    assert "1e-05" in repo.dvc("params", "diff")


def test_the_backend_is_that_of_params_yaml_and_not_of_the_environment(repo, monkeypatch):
    repo.set({"train": {"backend": "jax", "epochs": 1}})
    monkeypatch.setitem(repo.environment, "KERAS_BACKEND", "torch")
    output = repo.dvc("repro")
    assert repo.stages_run(output) == ["train", "evaluate"]
    assert "images, jax on the CPU" in output


def test_a_bad_param_is_one_line_and_changes_nothing(repo):
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
    labels = ("left", "right", "up")
    for label, seed in zip(labels, (0, 20, 40), strict=True):
        (images / label).mkdir()
        for number in range(8):
            (images / label / f"{number:02d}.png").write_bytes(png(seed + number))
    repo.set({"download": {"source": "local"}, "split": {"group_by": "none"}})
    assert repo.stages_run(repo.dvc("repro", "split")) == ["download", "split"]
    assert repo.json("data/split_audit.json")["classes"] == 3
    (images / "up" / "07.png").unlink()
    assert repo.stages_run(repo.dvc("repro", "split")) == ["download", "split"]
    for label in labels:
        shutil.rmtree(images / label)


def test_a_queued_experiment_runs_the_code_that_it_was_queued_with(repo):
    source = repo.path / "src/ferpipe/stages/split.py"
    code = source.read_text()
    queued = code.replace("SPLIT_METRICS, {", 'SPLIT_METRICS, {"queued": 1, ')
    assert queued != code
    source.write_text(queued)
    repo.dvc("exp", "run", "--queue", "--name", "queued", "-S", "evaluate.confidence=0.7")
    source.write_text(queued.replace('"queued": 1', '"edited": 1'))
    # One job, in the foreground of this command.
    repo.dvc("exp", "run", "--run-all", "--jobs", "1")
    (ref,) = repo.git("for-each-ref", "--format=%(refname)", "refs/exps/*/*/queued").split()
    metrics = json.loads(repo.git("show", f"{ref}:reports/split.json"))
    assert "queued" in metrics
    assert "edited" not in metrics
