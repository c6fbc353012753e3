import re

import pytest
from checkout import ROOT
from first_party import first_party
from ruamel.yaml import YAML

from ferpipe.data import folds
from ferpipe.params.experiment import Experiment

STAGES = ("download", "split", "preprocess", "train", "evaluate")
CV_STAGES = ("fold", "baseline", "summary")
SOURCES = ("sample", "kaggle", "local")


@pytest.fixture(scope="module")
def stages():
    return YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.fixture(scope="module")
def cv_stages():
    return YAML(typ="safe", pure=True).load((ROOT / "cv/dvc.yaml").read_text())["stages"]


def code_deps(stage):
    return {dep for dep in stage["deps"] if dep.startswith("src/")}


def test_there_are_the_five_stages_in_order(stages):
    assert tuple(stages) == STAGES


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_what_it_does_and_reads_its_own_section_alone(stages, name):
    assert stages[name]["desc"]
    # The report tells the params of every stage, so evaluate reads them all.
    assert stages[name]["params"] == (list(STAGES) if name == "evaluate" else [name])
    backend = " --backend ${train.backend}" if name == "train" else ""
    assert stages[name]["cmd"] == f"python src/stage.py {name}{backend}"


@pytest.mark.parametrize("name", ["split", "preprocess", "train", "evaluate"])
def test_the_deps_of_a_stage_are_its_first_party_imports(stages, name):
    assert code_deps(stages[name]) == first_party(f"ferpipe.{name}") | {"src/stage.py"}


def test_the_deps_of_download_are_its_imports_and_those_of_its_sources(stages):
    needed = first_party("ferpipe.download", *(f"ferpipe.sources.{name}" for name in SOURCES))
    # The source in use is a dependency by its name, so that only its own edits count.
    named = {f"src/ferpipe/sources/{name}.py" for name in SOURCES}
    in_use = "src/ferpipe/sources/${download.source}.py"
    assert code_deps(stages["download"]) == needed - named | {"src/stage.py", in_use}


def test_no_stage_reads_run(stages):
    assert not any("run" in stage["params"] for stage in stages.values())
    assert set(Experiment.model_fields) == {*STAGES, "cv", "run"}


@pytest.mark.parametrize("name", STAGES)
def test_what_git_keeps_is_a_metric_or_a_plot(stages, name):
    # `cache: false` under outs would switch the stage's run cache off.
    assert all(isinstance(out, str) for out in stages[name]["outs"])
    for kind in ("metrics", "plots"):
        for entry in stages[name].get(kind, []):
            ((path, options),) = entry.items()
            assert path.startswith("reports/")
            assert options["cache"] is False


# cv/dvc.yaml


def test_there_are_the_three_stages_of_the_cross_validation_in_order(cv_stages):
    assert tuple(cv_stages) == CV_STAGES


@pytest.mark.parametrize("name", CV_STAGES)
def test_a_stage_of_the_cross_validation_says_what_it_does_in_the_root(cv_stages, name):
    assert cv_stages[name]["desc"]
    assert cv_stages[name]["wdir"] == ".."
    assert cv_stages[name]["cmd"].startswith(f"python src/stage.py {name}")


@pytest.mark.parametrize("name", CV_STAGES)
def test_the_deps_of_a_stage_of_the_cross_validation_are_its_imports(cv_stages, name):
    assert code_deps(cv_stages[name]) == first_party(f"ferpipe.{name}") | {"src/stage.py"}


@pytest.mark.parametrize("name", CV_STAGES)
def test_a_stage_of_the_cross_validation_lists_the_sections_that_it_reads(cv_stages, name):
    code = (ROOT / f"src/ferpipe/{name}.py").read_text()
    read = set(re.findall(r'read_section\(files\.PARAMS, "(\w+)"', code)) - {"run"}
    assert {param.split(".")[0] for param in cv_stages[name]["params"]} == read


def test_there_is_a_stage_for_every_fold_of_every_seed(cv_stages):
    assert cv_stages["fold"]["matrix"] == {
        "seed": "${cv.seeds}",
        "fold": list(range(folds.FOLDS)),
    }


def test_what_the_cross_validation_writes_lies_in_one_folder_that_git_ignores(cv_stages):
    outs = [out for stage in cv_stages.values() for out in stage["outs"]]
    assert all(path.startswith("reports/cv/") for out in outs for path in out)
    assert "/cv\n" in (ROOT / "reports/.gitignore").read_text()
    # What is no metric, no plot and not cached is not missed where this has not run.
    assert all(options == {"cache": False} for out in outs for options in out.values())
    assert not any({"metrics", "plots"} & set(stage) for stage in cv_stages.values())
