import pytest
from checkout import ROOT
from first_party import first_party
from ruamel.yaml import YAML

from ferpipe.params.experiment import Experiment

STAGES = ("download", "split", "preprocess", "train", "evaluate")
SOURCES = ("sample", "kaggle", "local")


@pytest.fixture(scope="module")
def stages():
    return YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text())["stages"]


def code_deps(stage):
    return {dep for dep in stage["deps"] if dep.startswith("src/")}


def test_there_are_the_five_stages_in_order(stages):
    assert tuple(stages) == STAGES


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_what_it_does_and_reads_its_own_section_alone(stages, name):
    assert stages[name]["desc"]
    assert stages[name]["params"] == [name]
    assert stages[name]["cmd"] == f"python src/stage.py {name}"


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
    assert set(Experiment.model_fields) == {*STAGES, "run"}


@pytest.mark.parametrize("name", STAGES)
def test_what_git_keeps_is_a_metric_or_a_plot(stages, name):
    # `cache: false` under outs would switch the stage's run cache off.
    assert all(isinstance(out, str) for out in stages[name]["outs"])
    for kind in ("metrics", "plots"):
        for entry in stages[name].get(kind, []):
            ((path, options),) = entry.items()
            assert path.startswith("reports/")
            assert options["cache"] is False
