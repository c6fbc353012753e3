"""How a stage lives and ends: `src/stage.py` as DVC runs it, in a folder of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ferpipe import runs

if sys.platform != "linux":
    pytest.skip("what ends with its parent is Linux' own", allow_module_level=True)

# A stage that says that it has begun, and then works until it is told to stop.
SLOW = """
import time
from pathlib import Path
from ferpipe import files
from ferpipe.errors import exits_cleanly

@exits_cleanly("split")
def main():
    with files.replacing(Path("half.txt")) as file, files.scratch(Path("folder")):
        file.write(b"half")
        file.flush()
        Path("begun").touch()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.01)
"""
# One in which Python drops what a signal raises, as it does in finalisers.
DEAF = """
import time
from pathlib import Path

class Slow:
    def __del__(self):
        Path("begun").touch()
        time.sleep(3)

def main():
    Slow()
    time.sleep(WAIT)
    print("done all the same")
"""


@pytest.fixture
def checkout(root, tmp_path, monkeypatch):
    """A checkout with the runner and one stage, `split`, whose code the test gives."""
    folder = tmp_path / "checkout"
    (folder / "src" / "ferpipe").mkdir(parents=True)
    shutil.copy(root / "src" / "stage.py", folder / "src")
    for name in ("__init__", "process", "runs", "files", "errors"):
        shutil.copy(root / "src" / "ferpipe" / f"{name}.py", folder / "src" / "ferpipe")
    monkeypatch.chdir(folder)

    def write(code):
        (folder / "src" / "ferpipe" / "split.py").write_text(code)
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
        """Wait for its end; its exit code, and what it said on stdout and stderr."""
        said = self.process.communicate(timeout=30)
        return self.process.returncode, *said


def until(happens, seconds=20):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not come about"
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
    stage.process.send_signal(number)
    assert stage.end() == (128 + number, "", line)
    assert [name for name in files_under(folder) if "half" in name or ".partial" in name] == []


def test_two_signals_at_once_are_one(checkout, files_under):
    folder = checkout(SLOW)
    stage = started(folder)
    for _ in range(3):
        stage.process.send_signal(signal.SIGTERM)
    assert stage.end() == (143, "", "split: stopped by SIGTERM\n")
    assert not [name for name in files_under(folder) if ".partial" in name]


def test_a_signal_that_python_drops_is_tried_again(checkout):
    folder = checkout(DEAF.replace("WAIT", "20"))
    stage = started(folder)
    stage.process.send_signal(signal.SIGTERM)
    assert stage.end() == (143, "", "split: stopped by SIGTERM\n")


def test_a_signal_that_python_drops_at_the_very_end_still_fails_the_stage(checkout):
    folder = checkout(DEAF.replace("WAIT", "0"))
    stage = started(folder)
    stage.process.send_signal(signal.SIGTERM)
    code, _, complained = stage.end()
    assert (code, complained) == (143, "split: stopped by SIGTERM\n")


def test_a_signal_that_is_ignored_from_outside_stays_ignored(checkout):
    folder = checkout(SLOW)
    stage = started(folder, "nohup")
    stage.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert stage.process.poll() is None
    stage.process.terminate()
    assert stage.end()[0] == 143


def test_a_stage_ends_when_what_started_it_is_killed(checkout):
    folder = checkout(SLOW)
    parent = subprocess.Popen(["sh", "-c", f"{sys.executable} src/stage.py split & wait"])
    until((folder / "begun").exists)
    pid = int((folder / ".ferpipe/locks/split.lock").read_text())
    parent.kill()
    parent.wait()
    until(lambda: not Path(f"/proc/{pid}").exists(), seconds=10)
    assert not (folder / "half.txt").exists()


def test_a_stage_whose_dvc_is_gone_before_it_listens_does_not_begin(checkout):
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
    first.process.terminate()
    first.end()
    until((folder / "begun").exists)
    second.process.terminate()
    code, said, _ = second.end()
    assert code == 143
    assert f"waiting for process {first.process.pid}, which runs this stage" in said


def test_a_stage_does_not_wait_for_ever(checkout):
    folder = checkout(SLOW)
    process = folder / "src/ferpipe/process.py"
    process.write_text(process.read_text().replace("WAIT = 60.0", "WAIT = 0.2"))
    first = started(folder)
    second = Stage()
    pid = first.process.pid
    assert second.end() == (
        1,
        "",
        f"split: error: process {pid} still runs this stage in this checkout; wait until it has "
        f"ended, or end it with `kill {pid}`\n",
    )
    first.process.terminate()
    first.end()


def test_what_a_killed_stage_left_is_gone_after_the_next_run(checkout, files_under):
    folder = checkout(SLOW)
    stage = started(folder)
    stage.process.kill()
    stage.end()
    assert [name for name in files_under(folder) if ".partial" in name]
    stage = started(folder)
    stage.process.terminate()
    stage.end()
    assert not list(folder.rglob("*.partial"))


def test_every_run_is_noted_with_its_time_and_end(checkout):
    folder = checkout("def main():\n    pass\n")
    assert Stage().end()[0] == 0
    checkout(
        "from ferpipe.errors import PipelineError\ndef main():\n    raise PipelineError('no')\n"
    )
    assert Stage().end()[0] == 1
    checkout("def main():\n    1 / 0\n")
    assert Stage().end()[0] == 1
    stage = started(checkout(SLOW))
    stage.process.terminate()
    stage.end()
    noted = [json.loads(line) for line in (folder / runs.RUNS).read_text().splitlines()]
    assert [run["outcome"] for run in noted] == ["done", "failed", "failed", "stopped"]
    assert {run["stage"] for run in noted} == {"split"}
    assert all(0 <= run["seconds"] < 30 for run in noted)
    assert noted[0]["machine"]["cores"] == len(os.sched_getaffinity(0))


def test_a_list_that_cannot_be_written_fails_no_stage(checkout):
    folder = checkout("def main():\n    pass\n")
    (folder / runs.RUNS).mkdir(parents=True)
    assert Stage().end() == (0, "", "")
