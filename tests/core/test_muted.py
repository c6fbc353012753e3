import pytest

NOISE = """
import os, subprocess
from ferpipe.core import muted
with muted.muted():
    os.write(2, b'needs AVX')
"""


def test_the_output_of_a_block_is_dropped(run_python):
    done = run_python("-c", NOISE + "os.write(2, b'after')")
    assert (done.returncode, done.stderr) == (0, "after")


@pytest.mark.parametrize(
    ("end", "code"),
    [("os.abort()", -6), ("os.kill(os.getpid(), 11)", -11), ("os._exit(3)", 3)],
)
def test_the_output_is_replayed_if_the_process_dies(run_python, end, code):
    done = run_python("-c", NOISE + f"    {end}")
    assert (done.returncode, done.stderr) == (code, "needs AVX")


def test_the_output_is_replayed_before_a_traceback(run_python):
    done = run_python("-c", NOISE + "    raise ImportError('no such symbol')")
    assert done.returncode == 1
    assert done.stderr.startswith("needs AVXTraceback")
    assert done.stderr.endswith("ImportError: no such symbol\n")


def test_released_text_is_not_replayed(run_python):
    done = run_python("-c", NOISE + "    muted.release()\n    os._exit(143)")
    assert (done.returncode, done.stderr) == (143, "")


def test_much_output_does_not_fill_the_pipe(run_python):
    done = run_python("-c", NOISE + "    os.write(2, b'x' * 1_000_000)\n    os.abort()")
    assert done.stderr == "needs AVX" + "x" * 1_000_000


def test_a_child_process_of_the_block_is_not_waited_for(run_python):
    started = "    child = subprocess.Popen(['sleep', '60'])\n"
    done = run_python("-c", NOISE + started + "child.kill()\nprint('on')", timeout=30)
    assert (done.returncode, done.stdout) == (0, "on\n")
