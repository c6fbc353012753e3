import pytest

NOISE = """
import os, subprocess
from ferpipe.core import muted
with muted.muted():
    os.write(2, b'needs AVX')
"""


def test_what_is_written_in_the_block_is_dropped(run_python):
    done = run_python("-c", NOISE + "os.write(2, b'after')")
    assert (done.returncode, done.stderr) == (0, "after")


@pytest.mark.parametrize(
    ("end", "code"),
    [("os.abort()", -6), ("os.kill(os.getpid(), 11)", -11), ("os._exit(3)", 3)],
)
def test_a_native_end_in_the_block_replays_it(run_python, end, code):
    done = run_python("-c", NOISE + f"    {end}")
    assert (done.returncode, done.stderr) == (code, "needs AVX")


def test_an_exception_in_the_block_replays_it_before_the_traceback(run_python):
    done = run_python("-c", NOISE + "    raise ImportError('no such symbol')")
    assert done.returncode == 1
    assert done.stderr.startswith("needs AVXTraceback")
    assert done.stderr.endswith("ImportError: no such symbol\n")


def test_whoever_ends_the_process_on_purpose_replays_nothing(run_python):
    done = run_python("-c", NOISE + "    muted.release()\n    os._exit(143)")
    assert (done.returncode, done.stderr) == (143, "")


def test_much_noise_does_not_fill_the_pipe(run_python):
    done = run_python("-c", NOISE + "    os.write(2, b'x' * 1_000_000)\n    os.abort()")
    assert done.stderr == "needs AVX" + "x" * 1_000_000


def test_what_the_block_leaves_running_does_not_hold_it_up(run_python):
    started = "    child = subprocess.Popen(['sleep', '60'])\n"
    done = run_python("-c", NOISE + started + "child.kill()\nprint('on')", timeout=30)
    assert (done.returncode, done.stdout) == (0, "on\n")
