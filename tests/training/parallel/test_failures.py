import pytest

from ferpipe.training.parallel.failures import Failure, cause, of_exit

# As JAX 0.10 wrote it when process 2 was stopped with SIGSTOP.
UNHEALTHY = """F1126 19:50:44.539936    2231 client.h:80] Terminating process because the JAX \
distributed service detected fatal errors. This most likely indicates that another task died; see \
the other task logs for more details. absl::Status: UNAVAILABLE: The following tasks are unhealthy \
(stopped sending heartbeats):
2
The tasks have crashed. Check the task logs for an earlier error"""


@pytest.mark.parametrize(
    ("code", "text", "process", "rank", "reason"),
    [
        (
            1,
            "noise\ntrain: error: lower train.batch_size\nnoise",
            1,
            0,
            "stopped: lower train.batch_size",
        ),
        (1, "Traceback\nValueError: x", 1, 2, "failed with exit code 1"),
        (-9, "", 1, 1, "was ended by SIGKILL, as when memory runs out; run it again"),
        (-15, "", 1, 1, "was ended by SIGTERM; run it again"),
        (-64, "", 1, 1, "was ended by "),
        (-6, "terminate called", 1, 2, "failed with exit code -6"),
        (-6, UNHEALTHY, 2, 1, "does not answer any more; run it again"),
    ],
)
def test_an_exit_code_says_why_a_process_ended(code, text, process, rank, reason):
    failure = of_exit(1, code, text)
    assert (failure.process, failure.rank) == (process, rank)
    assert failure.reason.startswith(reason)


def test_the_cause_is_an_error_of_the_user_then_a_death_then_the_first():
    other, death = Failure(0, 2, "failed"), Failure(2, 1, "was ended")
    mistakes = [Failure(process, 0, "stopped: the loss") for process in (1, 0)]
    assert cause([other, death]) is death
    assert cause([other, Failure(1, 2, "failed")]) is other
    assert cause([other, death, *mistakes]) is mistakes[1]
    assert death.line({2: "node2"}) == "process 2 (node2) was ended"
    assert death.line({}) == "process 2 was ended"
    assert mistakes[1].line({0: "node0"}) == "the loss"
