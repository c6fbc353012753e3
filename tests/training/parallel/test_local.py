import pytest

from ferpipe.core import machine
from ferpipe.core.errors import PipelineError
from ferpipe.training.parallel import local


@pytest.mark.parametrize(
    ("value", "names"),
    [("0,1", ["0", "1"]), ("GPU-a, GPU-b", ["GPU-a", "GPU-b"]), ("", []), ("-1", [])],
)
def test_the_gpus_are_those_that_are_visible(monkeypatch, value, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert machine.visible_gpus() == names


def test_each_process_gets_as_many_gpus_as_the_others():
    visible = [share["CUDA_VISIBLE_DEVICES"] for share in local.shares(2, list("01234"))]
    assert visible == ["0,1", "2,3"]
    assert local.shares(3, []) == [{}, {}, {}]
    with pytest.raises(PipelineError, match="FERPIPE_PROCESSES = 4: this machine has 2 GPUs"):
        local.shares(4, ["0", "1"])
