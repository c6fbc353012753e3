"""Signals, the lock and the log of a stage: `src/stage.py` as DVC runs it, in a small checkout."""

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

# A stage that writes a file named `begun`, and then works until it is stopped.
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
BEGIN = """
import os
import time
from pathlib import Path

def begin():
    Path("begun").touch()
    time.sleep(20)
"""
# Situations in which an exception raised by a signal handler would be lost or do harm.
SITUATIONS = {
    "in a finaliser": "class Slow:\n    def __del__(self): begin()\ndef main(): Slow()",
    "in an import": "begin()\ndef main(): pass",
    "where all exceptions are caught": (
        "def main():\n    try: begin()\n    except BaseException: time.sleep(20)"
    ),
    "with stderr redirected": (
        "def main():\n    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n    begin()"
    ),
}


@pytest.fixture
def checkout(root, tmp_path, monkeypatch):
    """A checkout with the runner and one stage, `split`, whose code the test gives."""
    folder = tmp_path / "checkout"
    package = folder / "src" / "ferpipe"
    for name in ("core", "runtime"):
        shutil.copytree(root / "src" / "ferpipe" / name, package / name)
    shutil.copy(root / "src" / "stage.py", folder / "src")
    shutil.copy(root / "src" / "ferpipe" / "__init__.py", package)
    (package / "stages").mkdir()
    monkeypatch.chdir(folder)

    def write(code):
        (package / "stages" / "split.py").write_text(code)
        return folder

    return write


def start(*prefix, **environment):
    """Start the stage."""
    return subprocess.Popen(
        [*prefix, sys.executable, "src/stage.py", "split"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Background jobs of a script ignore SIGINT, and their children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def start_working(*prefix, **environment):
    """Start the stage, and wait until it works."""
    Path("begun").unlink(missing_ok=True)
    process = start(*prefix, **environment)
    wait_until(Path("begun").exists)
    return process


def result(process):
    """Wait for a stage's end; its exit code, stdout and stderr."""
    stdout, stderr = process.communicate(timeout=30)
    return process.returncode, stdout, stderr


def stop(process, number=signal.SIGTERM):
    process.send_signal(number)
    return result(process)


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (signal.SIGINT, "split: interrupted\n"),
        (signal.SIGTERM, "split: stopped by SIGTERM\n"),
        (signal.SIGHUP, "split: stopped by SIGHUP\n"),
    ],
)
@pytest.mark.parametrize("times", [1, 3])
def test_a_signalled_stage_exits_with_one_line_and_no_files(
    checkout, files_under, number, line, times
):
    folder = checkout(SLOW)
    process = start_working()
    for _ in range(times - 1):
        process.send_signal(number)
    assert stop(process, number) == (128 + number, "", line)
    assert [name for name in files_under(folder) if "half" in name or ".partial" in name] == []


def test_a_stage_can_be_stopped_while_python_imports_signal(checkout):
    folder = checkout("def main():\n    pass")
    # Shadows the module of the standard library, whose import takes a few milliseconds.
    (folder / "src" / "signal.py").write_text(BEGIN + "begin()")
    assert stop(start_working(), signal.SIGINT) == (130, "", "split: interrupted\n")


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_stage_can_be_stopped(checkout, situation):
    checkout(BEGIN + SITUATIONS[situation])
    assert stop(start_working()) == (143, "", "split: stopped by SIGTERM\n")


def test_exit_handlers_run_and_nothing_else_delays_the_end(checkout):
    """Coverage and profilers write in exit handlers; a signal in a later delay prints no line."""
    folder = checkout(
        "import atexit, threading, time\nfrom pathlib import Path\n\n"
        "def main():\n"
        "    atexit.register(Path('exit_handler').touch)\n"
        "    print('x' * 100_000)\n"
        "    threading.Thread(target=lambda: (time.sleep(2), Path('thread').touch())).start()\n"
    )
    assert result(start()) == (0, "x" * 100_000 + "\n", "")
    assert (folder / "exit_handler").exists()
    assert not (folder / "thread").exists()


def test_the_output_of_a_stopped_stage_is_flushed(checkout):
    checkout(BEGIN + "def main():\n    print('text')\n    begin()")
    assert stop(start_working()) == (143, "text\n", "split: stopped by SIGTERM\n")


def test_an_ignored_signal_stays_ignored(checkout):
    checkout(SLOW)
    process = start_working("nohup")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    assert stop(process)[0] == 143


def test_a_stage_ends_when_its_parent_is_killed(checkout):
    folder = checkout(SLOW)
    parent = subprocess.Popen(["sh", "-c", f"{sys.executable} src/stage.py split & wait"])
    wait_until((folder / "begun").exists)
    pid = int((folder / ".ferpipe/locks/split.pid").read_text())
    parent.kill()
    parent.wait()
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), seconds=10)
    assert not (folder / "half.txt").exists()


def test_a_stage_whose_dvc_has_already_ended_does_not_begin(checkout):
    folder = checkout(SLOW)
    # There is no DVC in its new session.
    process = start("setsid", DVC_STAGE="split")
    assert result(process) == (143, "", "split: stopped by SIGTERM\n")
    assert not (folder / "begun").exists()


def test_a_stage_waits_for_another_process_that_runs_it(checkout):
    folder = checkout(SLOW)
    first = start_working()
    second = start()
    line = second.stdout.readline()
    assert line == f"split: waiting for process {first.pid}, which runs this stage\n"
    (folder / "begun").unlink()
    stop(first)
    wait_until((folder / "begun").exists)
    code, _, _ = stop(second)
    assert code == 143


def test_a_stage_does_not_wait_forever(checkout):
    folder = checkout(SLOW)
    module = folder / "src/ferpipe/runtime/process.py"
    module.write_text(module.read_text().replace("WAIT = 60.0", "WAIT = 1.2"))
    first = start_working()
    code, _, stderr = result(start())
    assert (code, stderr) == (
        1,
        f"split: error: process {first.pid} still runs this stage in this checkout; wait until it "
        f"has ended, or end it with `kill {first.pid}`\n",
    )
    stop(first)


def test_a_killed_stage_frees_its_lock_and_the_next_run_removes_its_files(checkout):
    folder = checkout(SLOW)
    stop(start_working(), signal.SIGKILL)
    assert list(folder.rglob("*.partial"))
    assert stop(start_working())[1] == ""
    assert not list(folder.rglob("*.partial"))


def test_each_run_is_logged_with_its_time_and_outcome(checkout):
    for code in ("pass", "raise OSError('no')", "1 / 0"):
        checkout(f"def main():\n    {code}\n")
        result(start())
    folder = checkout(SLOW)
    stop(start_working())
    runs = [json.loads(line) for line in (folder / run_log.RUNS).read_text().splitlines()]
    assert [run["outcome"] for run in runs] == ["done", "failed", "failed", "stopped"]
    assert {run["stage"] for run in runs} == {"split"}
    assert all(0 <= run["seconds"] < 30 for run in runs)
    assert runs[0]["machine"]["cores"] == len(os.sched_getaffinity(0))


def test_a_log_that_cannot_be_written_fails_no_stage(checkout):
    folder = checkout("def main():\n    pass\n")
    (folder / run_log.RUNS).mkdir(parents=True)
    assert result(start()) == (0, "", "")
