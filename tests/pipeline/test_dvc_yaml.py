import ast

import grimp
import pytest
from checkout import ROOT, STAGES
from ruamel.yaml import YAML

from ferpipe.params.experiment import Experiment
from ferpipe.params.train import Train
from ferpipe.splitting.assign_folds import REPLACED
from ferpipe.stages.cv_summary import NOT_READ

CV_STAGES = ["cv_folds", "cv_records", "cv_fold", "cv_baseline", "cv_summary"]
SOURCES = ("sample", "kaggle", "local")
IMPORTS = grimp.build_graph("ferpipe", cache_dir=None)


def read(name):
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text())["stages"]


PIPELINE, CV = read("dvc.yaml"), read("cv/dvc.yaml")
ALL = PIPELINE | CV


def code_of(name, source="sample"):
    """The first-party code that a stage lists, besides its runner."""
    deps = [dep.replace("${download.source}", source) for dep in ALL[name]["deps"]]
    assert "src/stage.py" in deps
    return [dep for dep in deps if dep.startswith("src/ferpipe/")]


def imports_of(name, source="sample"):
    """The first-party files that a stage imports, directly or not, also inside functions."""
    modules = {f"ferpipe.stages.{name}"}
    if name == "download":  # which imports its source by name
        modules.add(f"ferpipe.sources.{source}.source")
    for module in list(modules):
        modules |= IMPORTS.find_upstream_modules(module)
    return sorted(f"src/{module.replace('.', '/')}.py" for module in modules)


def covers(dep, file):
    return file == dep or file.startswith(f"{dep}/")


CASES = [(name, "sample") for name in ALL] + [("download", name) for name in SOURCES[1:]]


@pytest.mark.parametrize(("name", "source"), CASES)
def test_the_dependencies_of_a_stage_cover_its_imports_and_nothing_else(name, source):
    deps, files = code_of(name, source), imports_of(name, source)
    assert all((ROOT / file).is_file() for file in files)
    assert [file for file in files if not any(covers(dep, file) for dep in deps)] == []
    assert [dep for dep in deps if not any(covers(dep, file) for file in files)] == []


def test_packages_run_no_code_of_their_own_that_no_stage_lists():
    for path in (ROOT / "src/ferpipe").rglob("__init__.py"):
        module = ast.parse(path.read_text())
        body = module.body
        if path.parent.name == "ferpipe":  # names `Predictor`, which nothing of ours imports there
            plain = (ast.ImportFrom, ast.Assign, ast.FunctionDef)
            body = [node for node in body if not isinstance(node, plain)]
        assert len(body) == (ast.get_docstring(module) is not None), path


@pytest.mark.parametrize("name", ["train", "cv_fold"])
def test_training_imports_nothing_that_cannot_change_its_result(name):
    packages = {file.split("/")[2] for file in imports_of(name)}
    assert packages == {"core", "data", "model", "params", "stages", "training"}


def test_both_pipelines_have_their_stages_in_order():
    assert list(PIPELINE) == STAGES
    assert list(CV) == CV_STAGES


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_reads_its_own_params_and_keeps_metrics_and_plots_in_git(name):
    stage = PIPELINE[name]
    assert stage["desc"]
    assert stage["cmd"] == f"python src/stage.py {name}"
    # The report shows the params of every stage, so evaluate reads them all.
    assert stage["params"] == (STAGES if name == "evaluate" else [name])
    # `cache: false` under outs would switch the stage's run cache off.
    assert all(isinstance(out, str) for out in stage["outs"])
    for entry in stage.get("metrics", []) + stage.get("plots", []):
        ((path, options),) = entry.items()
        assert path.startswith("reports/")
        assert options["cache"] is False


def test_no_stage_reads_run():
    assert not any("run" in stage["params"] for stage in ALL.values())
    assert set(Experiment.model_fields) == {*STAGES, "cv", "run"}


@pytest.mark.parametrize("name", CV_STAGES)
def test_a_stage_of_the_cross_validation_runs_in_the_root_and_writes_what_git_ignores(name):
    stage = CV[name]
    assert stage["desc"]
    assert stage["wdir"] == ".."
    assert stage["cmd"].startswith(f"python src/stage.py {name}")
    # Outputs that are neither cached nor metrics are not reported missing where this has not run.
    assert not {"metrics", "plots"} & set(stage)
    for out in stage["outs"]:
        ((path, options),) = out.items()
        assert options == {"cache": False}
        assert path.startswith(("reports/cv/", "data/cv/"))
        assert "/cv\n" in (ROOT / path.split("/")[0] / ".gitignore").read_text()


def test_the_folds_read_what_they_do_not_replace():
    assert CV["cv_fold"]["matrix"] == {"seed": "${cv.seeds}", "fold": "${cv.folds}"}
    of_train = [f"train.{key}" for key in Train.model_fields if key != "seed"]
    assert CV["cv_fold"]["params"] == of_train
    of_split = Experiment.model_fields["split"].annotation.model_fields
    read = {param for param in CV["cv_folds"]["params"] if param.startswith("split.")}
    assert read == {f"split.{key}" for key in of_split if key not in REPLACED}
    assert {"split": (*REPLACED, "assigned"), "train": ("seed",)} == NOT_READ


def test_the_assigned_file_is_a_dependency_of_all_that_read_it():
    reading = [name for name in ALL if "${split.assigned}" in ALL[name]["deps"]]
    assert reading == ["split", "cv_folds", "cv_summary"]
