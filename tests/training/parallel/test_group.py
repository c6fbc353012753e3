import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.training.parallel.group import Group, from_environment


def variables(**values):
    return {f"FERPIPE_{name.upper()}": value for name, value in values.items()}


@pytest.mark.parametrize(
    ("values", "group"),
    [
        ({}, Group()),
        ({"processes": ""}, Group()),
        ({"processes": "1", "process": "0"}, Group()),
        ({"processes": "4"}, Group(4)),
        ({"processes": " 4 ", "wait": "600"}, Group(4, wait=600)),
        (
            {"coordinator": "node0:7766", "processes": "2", "process": "1"},
            Group(2, 1, "node0", 7766),
        ),
        (
            {"coordinator": "10.0.0.1:80", "processes": "2", "process": "0"},
            Group(2, 0, "10.0.0.1", 80),
        ),
        (
            {"coordinator": "[fd00::1]:7766", "processes": "3", "process": "2"},
            Group(3, 2, "fd00::1", 7766),
        ),
        ({"coordinator": "node0:7766"}, Group(1, 0, "node0", 7766)),
    ],
)
def test_the_environment_describes_the_group(values, group):
    assert from_environment(variables(**values)) == group
    assert from_environment(group.environment()) == group


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"processes": "two"}, "FERPIPE_PROCESSES = two should be a whole number from 1 to 1024"),
        ({"processes": "0"}, "FERPIPE_PROCESSES = 0 should be"),
        ({"processes": "²"}, "FERPIPE_PROCESSES = ² should be"),
        ({"processes": "-2"}, "FERPIPE_PROCESSES = -2 should be"),
        ({"processes": "2.0"}, "FERPIPE_PROCESSES = 2.0 should be"),
        ({"process": "1"}, "FERPIPE_PROCESS = 1 should be a whole number from 0 to 0"),
        ({"processes": "2", "process": "2"}, "FERPIPE_PROCESS = 2 should be .* from 0 to 1"),
        ({"processes": "2", "process": "0"}, "FERPIPE_PROCESS = 0 of 2 needs FERPIPE_COORDINATOR"),
        ({"processes": "2", "coordinator": "a:1"}, "FERPIPE_COORDINATOR is set, but not FERPIPE_P"),
        ({"coordinator": "node0"}, "FERPIPE_COORDINATOR = node0 should be host:port"),
        ({"coordinator": ":7766"}, "FERPIPE_COORDINATOR = :7766 should be host:port"),
        ({"coordinator": "fd00::1:7766"}, "FERPIPE_COORDINATOR = fd00::1:7766 should be host:port"),
        ({"coordinator": "node0:http"}, "the port of FERPIPE_COORDINATOR = http should be"),
        ({"coordinator": "node0:70000"}, "the port of FERPIPE_COORDINATOR = 70000 should be"),
        ({"wait": "1h"}, "FERPIPE_WAIT = 1h should be a whole number"),
    ],
)
def test_variables_that_do_not_fit_together_are_named(values, message):
    with pytest.raises(PipelineError, match=message):
        from_environment(variables(**values))
