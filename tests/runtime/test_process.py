"""The process of a stage: `src/stage.py` as DVC runs it, in a folder of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ferpipe.runtime import run_log

if sys.platform != "linux":
    pytest.skip("only Linux ends a process with its parent", allow_module_level=True)

# A stage that runs until it is stopped.
SLOW = """
import time
from pathlib import Path
from ferpipe.core import files

def main():
    with files.replacing(Path("half.txt")) as file, files.scratch(Path("folder")):
        file.write(b"half")
        file.flush()
        Path("begun").touch()
        time.sleep(60)
"""
# Moments at which an exception would be lost or do harm.
BEGUN = """
import time
from pathlib import Path

def begin():
    Path("begun").touch()
    time.sleep(20)
"""
MOMENTS = {
    "in a finaliser": "class Slow:\n    def __del__(self): begin()\ndef main(): Slow()",
    "in an import": "begin()\ndef main(): pass",
    "where everything is caught": (
        "def main():\n    try: begin()\n    except BaseException: time.sleep(20)"
    ),
    "with stderr elsewhere": (
        "import os\ndef main():\n    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n    begin()"
    ),
}


@pytest.fixture
def checkout(root, tmp_path, monkeypatch):
    """A checkout with the runner and one stage, `split`, whose code the test gives."""
    folder = tmp_path / "checkout"
    package = folder / "src" / "ferpipe"
    package.mkdir(parents=True)
    shutil.copy(root / "src" / "stage.py", folder / "src")
    for name in ("core", "runtime"):
        shutil.copytree(root / "src" / "ferpipe" / name, package / name)
    shutil.copy(root / "src" / "ferpipe" / "__init__.py", package)
    (package / "stages").mkdir()
    monkeypatch.chdir(folder)

    def write(code):
        (package / "stages" / "split.py").write_text(code)
        return folder

    return write


class Stage:
    """A running stage."""

    def __init__(self, *prefix, **environment):
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "src/stage.py", "split"],
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # In the background of a script it is ignored, and what it starts inherits that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def end(self):
        """Wait; return exit code, stdout and stderr."""
        output = self.process.communicate(timeout=30)
        return self.process.returncode, *output

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.end()


def until(happens, seconds=20):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.01)


def started(folder, *prefix, **environment):
    (folder / "begun").unlink(missing_ok=True)
    stage = Stage(*prefix, **environment)
    until((folder / "begun").exists)
    return stage


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGINT, "split: interrupted\n"),
        (signal.SIGTERM, "split: stopped by SIGTERM\n"),
        (signal.SIGHUP, "split: stopped by SIGHUP\n"),
    ],
)
def test_a_signalled_stage_ends_in_one_line_and_leaves_nothing(checkout, files_under, number, line):
    folder = checkout(SLOW)
    stage = started(folder)
    assert stage.stop(number) == (128 + number, "", line)
    assert [name for name in files_under(folder) if "half" in name or ".partial" in name] == []


def test_two_signals_at_once_are_one(checkout, files_under):
    folder = checkout(SLOW)
    stage = started(folder)
    for _ in range(3):
        assert stage.stop() == (143, "", "split: stopped by SIGTERM\n")
    assert not [name for name in files_under(folder) if ".partial" in name]


def test_a_stage_can_be_stopped_before_it_handles_signals(checkout):
    folder = checkout("def main():\n    pass")
    # In the place of the library's, whose import takes a few milliseconds.
    (folder / "src" / "signal.py").write_text(BEGUN + "begin()")
    stage = started(folder)
    assert stage.stop(signal.SIGINT) == (130, "", "split: interrupted\n")


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_stage_can_be_stopped(checkout, moment):
    stage = started(checkout(BEGUN + MOMENTS[moment]))
    assert stage.stop() == (143, "", "split: stopped by SIGTERM\n")


AT_EXIT = """
import atexit, sys, threading, time
from pathlib import Path

def main():
    atexit.register(Path("late").touch)
    print("x" * 100_000)
    threading.Thread(target=lambda: (time.sleep(2), Path("later").touch())).start()
"""


def test_exit_functions_run_and_nothing_else_delays_the_end(checkout):
    """Coverage and profilers write in exit functions; in a later delay a signal would kill."""
    folder = checkout(AT_EXIT)
    assert Stage().end() == (0, "x" * 100_000 + "\n", "")
    assert (folder / "late").exists()
    assert not (folder / "later").exists()


def test_what_a_stopped_stage_has_said_is_not_lost(checkout):
    stage = started(checkout(BEGUN + "def main():\n    print('said')\n    begin()"))
    assert stage.stop() == (143, "said\n", "split: stopped by SIGTERM\n")


def test_a_signal_that_is_ignored_from_outside_stays_ignored(checkout):
    folder = checkout(SLOW)
    stage = started(folder, "nohup")
    stage.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert stage.process.poll() is None
    assert stage.stop()[0] == 143


def test_a_stage_ends_when_its_parent_is_killed(checkout):
    folder = checkout(SLOW)
    parent = subprocess.Popen(["sh", "-c", f"{sys.executable} src/stage.py split & wait"])
    until((folder / "begun").exists)
    pid = int((folder / ".ferpipe/locks/split.pid").read_text())
    parent.kill()
    parent.wait()
    until(lambda: not Path(f"/proc/{pid}").exists(), seconds=10)
    assert not (folder / "half.txt").exists()


def test_a_stage_whose_dvc_has_ended_does_not_run(checkout):
    folder = checkout(SLOW)
    # A session of its own has no DVC in it.
    stage = Stage("setsid", DVC_STAGE="split")
    assert stage.end() == (143, "", "split: stopped by SIGTERM\n")
    assert not (folder / "begun").exists()


def test_a_stage_waits_for_another_one_of_its_name(checkout):
    folder = checkout(SLOW)
    first = started(folder)
    second = Stage()
    time.sleep(1.5)
    (folder / "begun").unlink()
    first.stop()
    until((folder / "begun").exists)
    code, output, _ = second.stop()
    assert code == 143
    assert f"waiting for process {first.process.pid}, which runs this stage" in output


def test_a_stage_does_not_wait_for_ever(checkout):
    folder = checkout(SLOW)
    process = folder / "src/ferpipe/runtime/process.py"
    process.write_text(process.read_text().replace("WAIT = 60.0", "WAIT = 1.2"))
    first = started(folder)
    second = Stage()
    pid = first.process.pid
    assert second.end() == (
        1,
        f"split: waiting for process {pid}, which runs this stage\n",
        f"split: error: process {pid} still runs this stage in this checkout; wait until it has "
        f"ended, or end it with `kill {pid}`\n",
    )
    first.stop()


def test_the_next_run_removes_temporary_files_of_a_killed_stage(checkout, files_under):
    folder = checkout(SLOW)
    stage = started(folder)
    stage.process.kill()
    stage.end()
    assert [name for name in files_under(folder) if ".partial" in name]
    stage = started(folder)
    stage.stop()
    assert not list(folder.rglob("*.partial"))


def test_every_run_is_logged_with_its_duration_and_outcome(checkout):
    folder = checkout("def main():\n    pass\n")
    assert Stage().end()[0] == 0
    checkout(
        "from ferpipe.core.errors import PipelineError\n"
        "def main():\n    raise PipelineError('no')\n"
    )
    assert Stage().end()[0] == 1
    checkout("def main():\n    1 / 0\n")
    assert Stage().end()[0] == 1
    stage = started(checkout(SLOW))
    stage.stop()
    noted = [json.loads(line) for line in (folder / run_log.RUNS).read_text().splitlines()]
    assert [run["outcome"] for run in noted] == ["done", "failed", "failed", "stopped"]
    assert {run["stage"] for run in noted} == {"split"}
    assert all(0 <= run["seconds"] < 30 for run in noted)
    assert noted[0]["machine"]["cores"] == len(os.sched_getaffinity(0))


def test_a_log_that_cannot_be_written_fails_no_stage(checkout):
    folder = checkout("def main():\n    pass\n")
    (folder / run_log.RUNS).mkdir(parents=True)
    assert Stage().end() == (0, "", "")
