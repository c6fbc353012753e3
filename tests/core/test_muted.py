import pytest

NOISE = """
import os, subprocess
from ferpipe.core import muted
with muted.muted():
    os.write(2, b'needs AVX')
"""


@pytest.mark.parametrize(
    ("rest", "code", "stderr"),
    [
        ("os.write(2, b'after')", 0, "after"),
        ("    os.abort()", -6, "needs AVX"),
        ("    os.kill(os.getpid(), 11)", -11, "needs AVX"),
        ("    os._exit(3)", 3, "needs AVX"),
        ("    os.write(2, b'x' * 1_000_000)\n    os.abort()", -6, "needs AVX" + "x" * 1_000_000),
        ("    muted.release()\n    os._exit(143)", 143, ""),
    ],
    ids=["success", "abort", "segmentation fault", "exit", "full pipe", "intended exit"],
)
def test_stderr_of_the_block_is_printed_only_if_the_process_dies(run_python, rest, code, stderr):
    done = run_python("-c", NOISE + rest)
    assert (done.returncode, done.stderr) == (code, stderr)


def test_an_exception_in_the_block_prints_it_before_the_traceback(run_python):
    done = run_python("-c", NOISE + "    raise ImportError('no such symbol')")
    assert done.returncode == 1
    assert done.stderr.startswith("needs AVXTraceback")
    assert done.stderr.endswith("ImportError: no such symbol\n")


def test_a_child_process_of_the_block_does_not_delay_its_end(run_python):
    child = "    child = subprocess.Popen(['sleep', '60'])\n"
    done = run_python("-c", NOISE + child + "child.kill()\nprint('end')", timeout=30)
    assert (done.returncode, done.stdout) == (0, "end\n")
