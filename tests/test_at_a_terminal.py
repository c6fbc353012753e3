"""Stages at a terminal: a progress bar shows, and Ctrl-C ends them cleanly."""

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile

import pytest
from faces import png

from ferpipe.core import paths

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
COUNT = 3000


class AtATerminal:
    """A stage that runs at a pseudo-terminal."""

    def __init__(self, root, stage):
        import termios  # not on Windows

        try:
            self.reader, terminal = os.openpty()
        except OSError:
            pytest.skip("this machine has no pseudo-terminals")
        termios.tcsetwinsize(terminal, (24, 100))
        self.process = subprocess.Popen(
            [sys.executable, "-c", WITH_SIGINT, root / "src/stage.py", stage],
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.shown = ""

    def read(self, until=None):
        """Read the terminal until a pattern is shown or the stage ends."""
        while until is None or not re.search(until, self.shown):
            try:
                data = os.read(self.reader, 4096)
            except OSError:  # how Linux ends the terminal of an ended process
                data = b""
            if not data:
                break
            self.shown += data.decode()

    def end(self):
        self.read()
        os.close(self.reader)
        return self.process.wait(60)


# Background processes of a shell inherit an ignored SIGINT; those of a terminal do not.
WITH_SIGINT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def many(project, write_params, run_stage):
    """A project with a zip of many images."""
    with zipfile.ZipFile(project / "faces.zip", "w") as zipped:
        for number in range(COUNT):
            zipped.writestr(f"{'ab'[number % 2]}/{number:05}.png", png(number))
    write_params(
        {"download.source": "local", "download.local.path": "faces.zip", "split.group_by": "none"}
    )
    return project


def outputs(project):
    """The bytes of every output of the light stages."""
    return {
        path.relative_to(project): path.read_bytes()
        for path in (project / "data").rglob("*")
        if path.is_file()
    }


def test_ctrl_c_ends_a_stage_cleanly_and_a_rerun_succeeds(root, many, run_stage):
    for stage in ("download", "split", "preprocess"):
        assert run_stage(stage).returncode == 0
    before = outputs(many)
    for stage, bar in (("download", "images"), ("preprocess", "records")):
        watched = AtATerminal(root, stage)
        # Once some are done, an interrupt has to clear the bar.
        watched.read(until=rf"{bar}: +\d+%.* [1-9]\d*/{COUNT} .*image/s")
        os.killpg(watched.process.pid, signal.SIGINT)
        assert watched.end() == 130, watched.shown
        assert watched.shown.replace("\r", "\n").strip().split("\n")[-1] == f"{stage}: interrupted"
        assert outputs(many) == before
    shutil.rmtree(many / paths.RECORDS)
    assert run_stage("preprocess").returncode == 0
    assert outputs(many) == before
