"""A full disk, a limit on file sizes, and two runs at once."""

import resource
import shutil
import subprocess
import sys
import time

import pytest
from checkout import Checkout

from ferpipe.tools import verify

LARGEST = {
    "download": "data/raw/images.zip",
    "split": "data/split.csv",
    "preprocess": "data/records",
    "train": "models/model.keras",
    "evaluate": "reports/figures",
}


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished checkout, to be spoiled."""
    checkout = Checkout(tmp_path / "copy")
    shutil.copytree(finished.path, checkout.path, symlinks=True)
    checkout.environment = finished.environment  # Matplotlib's list of fonts is there
    return checkout


def run_limited(checkout, stage, limit):
    return subprocess.run(
        [sys.executable, "src/stage.py", stage],
        cwd=checkout.path,
        env=checkout.environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )


@pytest.mark.parametrize("stage", LARGEST)
def test_a_limit_on_file_sizes_ends_in_one_line_and_nothing_half_written(copy, stage):
    whole = verify.hashes(copy.path)
    path = copy.path / LARGEST[stage]
    sizes = [each.stat().st_size for each in (path.iterdir() if path.is_dir() else [path])]
    done = run_limited(copy, stage, max(sizes) // 2)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{stage}: error: [Errno 27] File too large: '")
    assert LARGEST[stage] in done.stderr
    assert done.stderr.endswith("; free some space or raise the limit, then run it again\n")
    assert done.stderr.count("\n") == 1
    # What is there is what was there, whole.
    assert verify.hashes(copy.path) == whole
    assert not list(copy.path.rglob("*.partial"))


def test_a_full_disk_ends_in_one_line_and_the_next_run_is_well(copy):
    data = copy.path / "data/raw"
    whole = (data / "images.zip").read_bytes()
    shutil.rmtree(data)
    data.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", f"size={len(whole) // 2}", "tmpfs", str(data)]
    if subprocess.run(small, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk takes root's rights")
    try:
        output = copy.dvc("repro", "--force", "download", check=False)
        assert copy.code == 255
        assert "download: error: [Errno 28] No space left on device: 'data/raw/" in output
        assert "Traceback" not in output
        assert list(data.iterdir()) == []
    finally:
        subprocess.run(["umount", str(data)], check=True)
    copy.dvc("repro", "--force", "download")
    assert (data / "images.zip").read_bytes() == whole


def test_of_two_runs_at_once_the_second_is_told_and_the_first_is_well(copy):
    whole = verify.hashes(copy.path)
    first = subprocess.Popen(
        ["dvc", "repro", "--force", "--single-item", "train"],
        cwd=copy.path,
        env=copy.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lock = copy.path / ".ferpipe/locks/train.lock"
    lock.unlink(missing_ok=True)
    end = time.monotonic() + 30
    while not (lock.is_file() and lock.read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)
    output = copy.dvc("repro", "--force", "--single-item", "train", check=False)
    assert copy.code == 255
    assert "is busy" in output
    # The stage by itself, which DVC's lock does not hold back, waits for the other.
    alone = copy.run(sys.executable, "src/stage.py", "train")
    assert "train: waiting for process" in alone
    said, _ = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert verify.hashes(copy.path) == whole
