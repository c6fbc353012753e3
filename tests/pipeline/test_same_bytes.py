"""The same bytes wherever and however the pipeline runs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from checkout import STAGES, TINY, Checkout, copy_repository
from faces import png

from ferpipe.tools import verify

# Lists folders backwards: a file system may give their entries in any order.
BACKWARDS = """
import os

_scandir, _listdir = os.scandir, os.listdir


class Entries(list):
    __enter__ = lambda self: self
    __exit__ = close = lambda *_: None

    def __next__(self):
        if self:
            return self.pop(0)
        raise StopIteration


def scandir(*args):
    with _scandir(*args) as entries:
        return Entries(sorted(entries, key=lambda entry: entry.name, reverse=True))


os.scandir = scandir
os.listdir = lambda *args: sorted(_listdir(*args), reverse=True)
"""


def other_locale():
    """A locale with other rules for letters and numbers, if the system has one."""
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False)
    names = {name.lower().replace("-", ""): name for name in listed.stdout.split()}
    return next((names[name] for name in ("tr_tr.utf8", "de_de.utf8") if name in names), "C")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A finished run on a folder of images, in a plain place."""
    checkout = copy_repository(
        tmp_path_factory.mktemp("plain") / "repo",
        *(TINY, {"download": {"source": "local"}, "split": {"group_by": "none"}}),
    )
    for label, first in (("schön", 0), ("links", 20), ("I", 40)):
        folder = checkout.path / "data/local" / label
        folder.mkdir(parents=True)
        for number in range(12):
            (folder / f"{number:02d}.png").write_bytes(png(first + number))
    checkout.dvc("repro")
    checkout.commit("finished")
    return checkout


def test_place_language_time_umask_order_and_cores_change_no_byte(plain, tmp_path):
    """Also in a shallow clone, in a path with blanks and non-ASCII letters."""
    folder = tmp_path / "Ein schöner Ort 表情"
    folder.mkdir()
    other = Checkout(folder / "shallow clone")
    plain.git("clone", "-q", "--depth", "1", plain.path.as_uri(), str(other.path))
    assert other.git("rev-list", "--count", "HEAD").strip() == "1"
    shutil.copytree(plain.path / "data/local", other.path / "data/local", dirs_exist_ok=True)
    (folder / "sitecustomize.py").write_text(BACKWARDS)
    other.environment |= {
        "PYTHONPATH": str(folder),
        "PYTHONHASHSEED": "12345",
        "LC_ALL": other_locale(),
        "TZ": "Asia/Kathmandu",
        # On another file system, where there is one.
        "TMPDIR": "/dev/shm" if Path("/dev/shm").is_dir() else str(tmp_path),
    }
    cores = os.sched_getaffinity(0)
    umask = os.umask(0o077)
    try:
        os.sched_setaffinity(0, {min(cores)})
        listed = other.run("python", "-c", "import os; print(os.listdir('data/local')[0])")
        output = other.dvc("repro")
    finally:
        os.sched_setaffinity(0, cores)
        os.umask(umask)
    assert listed.strip() == "schön"  # backwards
    assert other.stages_run(output) == STAGES
    assert verify.hashes(other.path) == verify.hashes(plain.path)
    assert other.git("status", "--porcelain") == ""


def test_a_solved_head_does_not_depend_on_the_number_of_cores(plain, tmp_path):
    other = Checkout(tmp_path / "repo")
    shutil.copytree(plain.path, other.path, symlinks=True)
    solved = {"head": "solved", "epochs": 0, "warmup_epochs": 0, "augmented_copies": 1}
    other.set({"train": solved})
    digests = set()
    cores = os.sched_getaffinity(0)
    for allowed in (cores, {min(cores)}):
        try:
            os.sched_setaffinity(0, allowed)
            other.dvc("repro", "--force", "--single-item", "train")
        finally:
            os.sched_setaffinity(0, cores)
        digests.add(verify.hashes(other.path)[Path("models/trained.keras")])
    assert len(digests) == 1
