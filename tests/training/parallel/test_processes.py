"""Processes that meet, and end together; what they compute is sleeping_part.py."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import training_projects

from ferpipe.training.parallel.messages import free_port

if sys.platform == "win32":
    pytest.skip("groups need POSIX", allow_module_level=True)

TESTS = Path(__file__).parents[2]
HOST = socket.gethostname()
AGAIN = "run it again to resume from the last checkpoint, with any number of processes"

KILLED = "was ended by SIGKILL, as when memory runs out"


class Started:
    """Started processes of a group of two, and a folder in which they run."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port("127.0.0.1")
        self.processes = []

    def start(self, *command, folder=None, **variables):
        path = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
        values = {"FERPIPE_COORDINATOR": f"127.0.0.1:{self.port}", "FERPIPE_PROCESSES": 2}
        values |= {"FERPIPE_WAIT": 30, "PYTHONPATH": path} | variables
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder or self.folder,
            env={**os.environ, **{name: str(value) for name, value in values.items()}},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def first(self, **variables):
        return self.start(TESTS / "leading.py", **{"FERPIPE_PROCESS": 0} | variables)

    def other(self, **variables):
        module = "ferpipe.training.parallel.worker"
        return self.start("-m", module, "sleeping_part", **{"FERPIPE_PROCESS": 1} | variables)

    def computes(self, number):
        """Wait until this process computes; returns the process id of that."""
        return int(wait_for(lambda: (self.folder / f"computes-{number}").read_text()))

    def end(self, process):
        """Exit code and last line of standard error, within the time that a user waits."""
        _, errors = process.communicate(timeout=60)
        return process.returncode, errors.strip().rpartition("\n")[2]

    def left(self):
        return sorted(path.name for path in self.folder.glob(".half*"))


def wait_for(read):
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if value := read():
                return value
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.fixture
def group(tmp_path):
    training_projects.write(tmp_path)
    group = Started(tmp_path)
    yield group
    for process in group.processes:
        process.kill()
        process.communicate()


def test_process_0_ends_all_when_it_is_done(group):
    other = group.other()  # before process 0: it waits
    first = group.first()
    pids = [group.computes(0), group.computes(1)]
    (group.folder / "done").touch()
    assert group.end(first) == (0, "")
    assert group.end(other) == (0, "")
    assert all(map(is_gone, pids))
    assert group.left() == []


WHO_IS_KILLED = {
    "what process 1 computes with": ("computes", 1, signal.SIGKILL, KILLED),
    "what process 0 computes with": ("computes", 0, signal.SIGSEGV, "was ended by SIGSEGV"),
    "process 1 itself": ("watches", 1, signal.SIGKILL, "has ended"),
    "process 1 by a scheduler": ("watches", 1, signal.SIGTERM, "was ended by SIGTERM"),
}


@pytest.mark.parametrize("who", WHO_IS_KILLED)
def test_a_process_that_dies_ends_all_with_a_line_that_names_it(group, who):
    what, number, with_signal, reason = WHO_IS_KILLED[who]
    processes = [group.first(), group.other()]
    pids = [group.computes(0), group.computes(1)]
    os.kill(pids[number] if what == "computes" else processes[number].pid, with_signal)
    line = f"train: error: process {number} ({HOST}) {reason}; {AGAIN}"
    assert group.end(processes[0]) == (1, line)
    code, message = group.end(processes[1])
    if what == "computes":
        assert (code, message) == (1, line)
    assert wait_for(lambda: all(map(is_gone, pids)))
    if with_signal == signal.SIGTERM:
        assert group.left() == []


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGINT])
def test_when_process_0_dies_the_others_end_with_a_line(group, with_signal):
    first, other = group.first(), group.other()
    pids = [group.computes(0), group.computes(1)]
    first.send_signal(with_signal)
    code, line = group.end(other)
    assert code == 1
    where = HOST if with_signal == signal.SIGINT else f"127.0.0.1:{group.port}"
    assert line.startswith(f"train: error: process 0 ({where})")
    assert wait_for(lambda: all(map(is_gone, pids)))
    assert wait_for(lambda: group.left() == [])


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("fails-0", "the data are bad; mend them"),
        ("fails-1", f"process 1 ({HOST}) stopped: the data are bad; mend them"),
        ("raises-1", f"process 1 ({HOST}) failed with exit code 1, see above"),
    ],
)
def test_an_error_of_one_process_is_the_line_of_all(group, file, line):
    first, other = group.first(), group.other()
    group.computes(0), group.computes(1)
    (group.folder / file).touch()
    _, errors = first.communicate(timeout=60)
    assert first.returncode == 1
    assert errors.strip().rpartition("\n")[2] == f"train: error: {line}"
    assert ("ValueError: a defect" in errors) == (file == "raises-1")
    assert group.end(other) == (1, f"train: error: {line}")


def test_a_process_that_never_comes_is_named(group):
    first = group.first(FERPIPE_WAIT=1, FERPIPE_PROCESSES=4)
    assert group.end(first) == (
        1,
        "train: error: processes 1, 2, 3 of 4 did not come to "
        f"127.0.0.1:{group.port} within 1 s; run `ferpipe train` there with its FERPIPE_PROCESS "
        "and the same FERPIPE_COORDINATOR, or raise FERPIPE_WAIT",
    )
    code, line = group.end(group.other(FERPIPE_WAIT=1))
    assert code == 1
    assert line.startswith(
        f"train: error: process 0 did not come to 127.0.0.1:{group.port} within 1 s (Connection "
        "refused); start it"
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"seed": 4}, "the section `train` of params.yaml is another one here; copy the file"),
        ({"backend": "tensorflow"}, "params.yaml: train.backend = tensorflow trains in one proc"),
        ({"side": 24}, "data/records has other images here; copy the folder"),
        (None, "data/records/schema.json is missing; copy the folder data/records from process 0"),
    ],
)
def test_processes_that_do_not_fit_together_do_not_begin(group, tmp_path_factory, changes, line):
    there = tmp_path_factory.mktemp("there")
    training_projects.write(there, **changes or {})
    if changes is None:
        shutil.rmtree(there / "data")
    first, other = group.first(), group.other(folder=there)
    code, message = group.end(first)
    assert code == 1
    assert message.startswith(f"train: error: process 1 ({HOST}) does not fit: {line}")
    assert group.end(other) == (1, message)
    assert not (group.folder / "computes-0").exists()


def test_a_second_process_1_ends_and_the_training_does_not(group):
    first = group.first(FERPIPE_PROCESSES=4)
    twins = [group.other(FERPIPE_PROCESSES=4) for _ in range(2)]
    wait_for(lambda: any(twin.poll() is not None for twin in twins))
    twins.sort(key=lambda twin: twin.poll() is None)
    line = f"train: error: process 0 has another process 1, at {HOST}"
    assert group.end(twins[0]) == (1, line)
    assert (first.poll(), twins[1].poll()) == (None, None)


def test_another_number_of_processes_does_not_fit(group):
    first, other = group.first(), group.other(FERPIPE_PROCESSES=4)
    code, line = group.end(first)
    assert code == 1
    assert line.endswith("does not fit: it is one of 4 processes, process 0 of 2")
    assert group.end(other) == (1, line)


def test_strangers_at_the_port_are_ignored(group):
    first = group.first()

    def connect():
        return socket.create_connection(("127.0.0.1", group.port))

    for text in (b"GET / HTTP/1.1\r\n\r\n", b"[1]\n", b'"text"\n', b"\xff\n", b'{"process": 7}\n'):
        with wait_for(connect) as stranger:
            stranger.sendall(text)
    silent = connect()
    other = group.other()
    group.computes(1)
    (group.folder / "done").touch()
    assert group.end(first) == (0, "")
    assert group.end(other) == (0, "")
    silent.close()


def test_a_port_that_is_taken_is_named(group):
    with socket.create_server(("127.0.0.1", group.port)):
        code, line = group.end(group.first())
    assert (code, line.partition(" (")[0]) == (
        1,
        f"train: error: process 0 cannot listen at port {group.port} of FERPIPE_COORDINATOR",
    )


def test_all_processes_on_one_machine_are_started_by_process_0(group):
    variables = {"FERPIPE_COORDINATOR": "", "FERPIPE_PROCESS": "", "FERPIPE_PROCESSES": 4}
    first = group.first(**variables, CUDA_VISIBLE_DEVICES="")
    pids = [group.computes(number) for number in range(4)]
    os.kill(pids[2], signal.SIGKILL)
    output, errors = first.communicate(timeout=60)
    assert errors == f"train: error: process 2 ({HOST}) {KILLED}; {AGAIN}\n"
    assert output == (
        "train: 4 processes share this machine's processor, which is no faster than one: useful "
        "for tests\n"
    )
    assert wait_for(lambda: all(map(is_gone, pids)))
