import pytest
from checkout import ROOT
from first_party import first_party
from ruamel.yaml import YAML

from ferpipe.data.folds import FOLDS
from ferpipe.params.experiment import Experiment
from ferpipe.params.train import Train
from ferpipe.splitting.assign_folds import REPLACED
from ferpipe.stages.cv_summary import NOT_READ

STAGES = ("download", "split", "preprocess", "train", "evaluate")
CV_STAGES = ("cv_folds", "cv_records", "cv_fold", "cv_baseline", "cv_summary")
SOURCES = ("sample", "kaggle", "local")
# Packages whose code cannot change what a training gives.
NOT_TRAINED = ("evaluation", "report", "runtime", "sources", "splitting", "tools")


def read(name):
    return YAML(typ="safe", pure=True).load((ROOT / name).read_text())["stages"]


PIPELINE, CV = read("dvc.yaml"), read("cv/dvc.yaml")
ALL = PIPELINE | CV


def code_of(stage, source="sample"):
    """What a stage lists of our code, but for its runner."""
    deps = [dep.replace("${download.source}", source) for dep in stage["deps"]]
    assert "src/stage.py" in deps
    return [dep for dep in deps if dep.startswith("src/ferpipe/")]


def imports_of(name, source="sample"):
    """The first-party files that a stage imports, directly or not."""
    modules = [f"ferpipe.stages.{name}"]
    if name == "download":  # which imports its source by name
        modules.append(f"ferpipe.sources.{source}.source")
    return first_party(*modules)


def covers(dep, file):
    return file == dep or file.startswith(f"{dep}/")


def test_there_are_the_five_stages_in_order():
    assert tuple(PIPELINE) == STAGES


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_what_it_does_and_reads_its_own_section_alone(name):
    assert PIPELINE[name]["desc"]
    # The report names the params of every stage, so evaluate reads them all.
    assert PIPELINE[name]["params"] == (list(STAGES) if name == "evaluate" else [name])
    assert PIPELINE[name]["cmd"] == f"python src/stage.py {name}"


CASES = [(name, "sample") for name in ALL] + [("download", name) for name in SOURCES[1:]]


@pytest.mark.parametrize(("name", "source"), CASES)
def test_every_import_of_a_stage_is_covered_by_a_dependency(name, source):
    deps = code_of(ALL[name], source)
    missing = [
        file for file in imports_of(name, source) if not any(covers(dep, file) for dep in deps)
    ]
    assert missing == []


@pytest.mark.parametrize(("name", "source"), CASES)
def test_every_dependency_covers_an_import(name, source):
    files = imports_of(name, source)
    idle = [
        dep for dep in code_of(ALL[name], source) if not any(covers(dep, file) for file in files)
    ]
    assert idle == []


@pytest.mark.parametrize("name", ["train", "cv_fold"])
def test_training_depends_on_nothing_that_cannot_change_its_result(name):
    deps = code_of(ALL[name])
    for package in NOT_TRAINED:
        files = (ROOT / "src/ferpipe" / package).rglob("*.py")
        paths = [file.relative_to(ROOT).as_posix() for file in files]
        assert paths
        assert not [path for path in paths if any(covers(dep, path) for dep in deps)]


def test_no_stage_reads_run():
    assert not any("run" in stage["params"] for stage in ALL.values())
    assert set(Experiment.model_fields) == {*STAGES, "cv", "run"}


@pytest.mark.parametrize("name", STAGES)
def test_what_git_keeps_is_a_metric_or_a_plot(name):
    # `cache: false` under outs would switch the stage's run cache off.
    assert all(isinstance(out, str) for out in PIPELINE[name]["outs"])
    for kind in ("metrics", "plots"):
        for entry in PIPELINE[name].get(kind, []):
            ((path, options),) = entry.items()
            assert path.startswith("reports/")
            assert options["cache"] is False


# cv/dvc.yaml


def test_there_are_the_stages_of_the_cross_validation_in_order():
    assert tuple(CV) == CV_STAGES


@pytest.mark.parametrize("name", CV_STAGES)
def test_a_stage_of_the_cross_validation_says_what_it_does_in_the_root(name):
    assert CV[name]["desc"]
    assert CV[name]["wdir"] == ".."
    assert CV[name]["cmd"].startswith(f"python src/stage.py {name}")


def test_a_fold_lists_every_key_of_train_but_the_seed_that_it_replaces():
    keys = [f"train.{key}" for key in Train.model_fields if key != "seed"]
    assert CV["cv_fold"]["params"] == keys


def test_the_folds_list_the_keys_of_split_that_they_do_not_replace():
    keys = {f"split.{key}" for key in Experiment.model_fields["split"].annotation.model_fields}
    read = {param for param in CV["cv_folds"]["params"] if param.startswith("split.")}
    assert read == keys - {f"split.{key}" for key in REPLACED}
    assert NOT_READ == {"split": REPLACED, "train": ("seed",)}


def test_there_is_a_stage_for_every_fold_of_every_seed():
    assert CV["cv_fold"]["matrix"] == {"seed": "${cv.seeds}", "fold": list(range(FOLDS))}


def test_what_the_cross_validation_writes_lies_in_two_folders_that_git_ignores():
    outs = [out for stage in CV.values() for out in stage["outs"]]
    assert all(path.startswith(("reports/cv/", "data/cv/")) for out in outs for path in out)
    assert "/cv\n" in (ROOT / "reports/.gitignore").read_text()
    assert "/cv\n" in (ROOT / "data/.gitignore").read_text()
    # What is no metric, no plot and not cached is not missed where this has not run.
    assert all(options == {"cache": False} for out in outs for options in out.values())
    assert not any({"metrics", "plots"} & set(stage) for stage in CV.values())
