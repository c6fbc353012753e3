"""Stages that somebody watches: what is under way shows, and Ctrl-C ends it cleanly."""

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


class Watched:
    """A stage that runs at a terminal of its own."""

    def __init__(self, root, stage):
        import termios  # not on Windows

        try:
            self.reader, terminal = os.openpty()
        except OSError:
            pytest.skip("this machine has no pseudo-terminals")
        termios.tcsetwinsize(terminal, (24, 100))
        self.process = subprocess.Popen(
            [sys.executable, "-c", AS_AT_A_TERMINAL, root / "src/stage.py", stage],
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.shown = ""

    def read(self, until=None):
        """Read what it shows, up to a pattern or its end."""
        while until is None or not re.search(until, self.shown):
            try:
                data = os.read(self.reader, 4096)
            except OSError:  # how Linux ends a terminal that nobody writes to
                data = b""
            if not data:
                break
            self.shown += data.decode()

    def end(self):
        self.read()
        os.close(self.reader)
        return self.process.wait(60)


# What runs in the background of a shell inherits a SIGINT that is ignored; a terminal's does not.
AS_AT_A_TERMINAL = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.fixture
def many(project, write_params, run_stage):
    """A project with a zip of many images, ready for each of the light stages."""
    with zipfile.ZipFile(project / "faces.zip", "w") as zipped:
        for number in range(COUNT):
            zipped.writestr(f"{'ab'[number % 2]}/{number:05}.png", png(number))
    write_params(
        {"download.source": "local", "download.local.path": "faces.zip", "split.group_by": "none"}
    )
    return project


def old_outputs(project, run_stage):
    """Run all light stages once; returns the bytes of what they wrote."""
    for stage in ("download", "split", "preprocess"):
        assert run_stage(stage).returncode == 0
    return contents(project)


def contents(project):
    return {
        path.relative_to(project): path.read_bytes()
        for path in (project / "data").rglob("*")
        if path.is_file()
    }


def test_ctrl_c_ends_a_stage_cleanly_and_a_rerun_succeeds(root, many, run_stage):
    before = old_outputs(many, run_stage)
    for stage, bar in (("download", "images"), ("preprocess", "records")):
        watched = Watched(root, stage)
        # Some are done: the bar has been handed over to the block that clears it.
        watched.read(until=rf"{bar}: +\d+%.* [1-9]\d*/{COUNT} .*image/s")
        os.killpg(watched.process.pid, signal.SIGINT)
        assert watched.end() == 130, watched.shown
        assert watched.shown.replace("\r", "\n").strip().split("\n")[-1] == f"{stage}: interrupted"
        assert contents(many) == before
    shutil.rmtree(many / paths.RECORDS)
    assert run_stage("preprocess").returncode == 0
    assert contents(many) == before
