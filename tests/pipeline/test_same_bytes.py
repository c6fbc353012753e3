"""The same bytes wherever and however the pipeline runs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from checkout import TINY, Checkout, copy_tracked
from faces import png

from ferpipe.tools import verify

# Lists folders backwards: a file system may give their entries in any order.
BACKWARDS = """
import os

_scandir, _listdir = os.scandir, os.listdir


class Entries(list):
    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def close(self):
        pass

    def __next__(self):
        if not self:
            raise StopIteration
        return self.pop(0)


def scandir(*args):
    with _scandir(*args) as entries:
        return Entries(sorted(entries, key=lambda entry: entry.name, reverse=True))


os.scandir = scandir
os.listdir = lambda *args: sorted(_listdir(*args), reverse=True)
"""


def add_images(folder):
    for label, first in (("schön", 0), ("links", 20), ("I", 40)):
        (folder / label).mkdir(parents=True)
        for number in range(12):
            (folder / label / f"{number:02d}.png").write_bytes(png(first + number))


def a_locale():
    """A locale in which letters and numbers behave otherwise, if the system has one."""
    listed = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False)
    there = {name.lower().replace("-", ""): name for name in listed.stdout.split()}
    return next((there[name] for name in ("tr_tr.utf8", "de_de.utf8") if name in there), "C")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A finished run on a folder of images, in a plain place."""
    checkout = Checkout(tmp_path_factory.mktemp("plain") / "repo")
    copy_tracked(checkout.path)
    local = {"download": {"source": "local"}, "split": {"group_by": "none"}}
    checkout.set(TINY | local)
    checkout.git("init", "-q", "-b", "main")
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "local images")
    add_images(checkout.path / "data/local")
    checkout.dvc("repro")
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "a run")
    checkout.git("commit", "-q", "--allow-empty", "-m", "the last of several commits")
    return checkout


def test_nothing_follows_place_language_time_umask_order_or_cores(plain, tmp_path):
    """And a shallow clone works, in a path with blanks and non-ASCII letters."""
    folder = tmp_path / "Ein schöner Ort 表情"
    folder.mkdir()
    other = Checkout(folder / "shallow clone")
    plain.git("clone", "-q", "--depth", "1", plain.path.as_uri(), str(other.path))
    assert other.git("rev-list", "--count", "HEAD").strip() == "1"
    # Backwards as well: the last class first.
    shutil.copytree(plain.path / "data/local", other.path / "data/local", dirs_exist_ok=True)
    (folder / "sitecustomize.py").write_text(BACKWARDS)
    elsewhere = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path
    other.environment |= {
        "PYTHONPATH": str(folder),
        "PYTHONHASHSEED": "12345",
        "LC_ALL": a_locale(),
        "TZ": "Asia/Kathmandu",
        "TMPDIR": str(elsewhere),  # on another file system, where there is one
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
    assert listed.strip() == "schön"  # the order is another one indeed
    assert len(other.stages_run(output)) == 5
    assert verify.hashes(other.path) == verify.hashes(plain.path)
    assert other.git("status", "--porcelain") == ""


def test_a_solved_head_does_not_follow_the_number_of_cores(plain, tmp_path):
    other = Checkout(tmp_path / "repo")
    shutil.copytree(plain.path, other.path, symlinks=True)
    solved = {"head": "solved", "epochs": 0, "warmup_epochs": 0, "augmented_copies": 1}
    other.set({"train": solved})
    found = []
    cores = os.sched_getaffinity(0)
    for allowed in (cores, {min(cores)}):
        try:
            os.sched_setaffinity(0, allowed)
            other.dvc("repro", "--force", "--single-item", "train")
        finally:
            os.sched_setaffinity(0, cores)
        found.append(verify.hashes(other.path)[Path("models/model.keras")])
    assert found[0] == found[1]
