"""Stages at a terminal: a progress bar shows, and Ctrl-C ends them cleanly."""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest
from faces import png, write_zip

from ferpipe.core import paths

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
COUNT = 3000
# Background processes of a shell inherit an ignored SIGINT; those of a terminal do not.
WITH_SIGINT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def run_interrupted(root, stage, pattern):
    """Run a stage at a pseudo-terminal and press Ctrl-C once it shows a pattern.

    Returns:
        Its exit status and what the terminal showed.
    """
    import termios  # not on Windows

    try:
        reader, terminal = os.openpty()
    except OSError:
        pytest.skip("this machine has no pseudo-terminals")
    termios.tcsetwinsize(terminal, (24, 100))
    process = subprocess.Popen(
        [sys.executable, "-c", WITH_SIGINT, root / "src/stage.py", stage],
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown, interrupted = "", False
    while True:
        try:
            data = os.read(reader, 4096)
        except OSError:  # how Linux ends the terminal of an ended process
            data = b""
        if not data:
            os.close(reader)
            return process.wait(60), shown
        shown += data.decode()
        if not interrupted and re.search(pattern, shown):
            os.killpg(process.pid, signal.SIGINT)
            interrupted = True


def outputs(project):
    """The bytes of every output of the light stages."""
    return {
        path.relative_to(project): path.read_bytes()
        for path in (project / "data").rglob("*")
        if path.is_file()
    }


def test_ctrl_c_ends_a_stage_cleanly_and_a_rerun_succeeds(root, project, write_params, run_stage):
    images = {f"{'ab'[number % 2]}/{number:05}.png": png(number) for number in range(COUNT)}
    write_zip(project / "faces.zip", images)
    write_params(
        {"download.source": "local", "download.local.path": "faces.zip", "split.group_by": "none"}
    )
    for stage in ("download", "split", "preprocess"):
        assert run_stage(stage).returncode == 0
    before = outputs(project)
    for stage, bar in (("download", "images"), ("preprocess", "records")):
        # Once some are done, an interrupt has to clear the bar.
        pattern = rf"{bar}: +\d+%.* [1-9]\d*/{COUNT} .*image/s"
        status, shown = run_interrupted(root, stage, pattern)
        assert status == 130, shown
        assert shown.replace("\r", "\n").strip().split("\n")[-1] == f"{stage}: interrupted"
        assert outputs(project) == before
    shutil.rmtree(project / paths.RECORDS)
    assert run_stage("preprocess").returncode == 0
    assert outputs(project) == before
