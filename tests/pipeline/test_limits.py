"""A full disk, a limit on file sizes, and two runs at once."""

import resource
import shutil
import subprocess
import time

import pytest
from checkout import Checkout

from ferpipe.tools import verify

LARGEST = {
    "download": "data/raw/images.zip",
    "split": "data/split.csv",
    "preprocess": "data/records",
    "train": "models/trained.keras",
    "evaluate": "models/model.keras",
}


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished checkout, to be damaged."""
    checkout = Checkout(tmp_path / "copy")
    shutil.copytree(finished.path, checkout.path, symlinks=True)
    checkout.environment = finished.environment  # Matplotlib's list of fonts is there
    checkout.before = verify.hashes(checkout.path)
    return checkout


@pytest.mark.parametrize("stage", LARGEST)
def test_a_limit_on_file_sizes_is_one_line_and_leaves_old_outputs_whole(copy, stage):
    copy.set({"run": {"checkpoint_seconds": 3600}})  # no checkpoint may reach the limit first
    before = verify.hashes(copy.path)
    path = copy.path / LARGEST[stage]
    sizes = [each.stat().st_size for each in (path.iterdir() if path.is_dir() else [path])]
    limit = max(sizes) // 2
    process = copy.start(
        *("python", "src/stage.py", stage),
        stderr=subprocess.PIPE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    _, error = process.communicate(timeout=300)
    assert process.returncode == 1
    assert error.startswith(f"{stage}: error: [Errno 27] File too large: '")
    assert LARGEST[stage] in error
    assert error.endswith("; free some space or raise the limit, then run it again\n")
    assert error.count("\n") == 1
    assert verify.hashes(copy.path) == before
    assert not list(copy.path.rglob("*.partial"))


def test_a_full_disk_is_one_line_and_the_next_run_succeeds(copy):
    data = copy.path / "data/raw"
    half = (data / "images.zip").stat().st_size // 2
    shutil.rmtree(data)
    data.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={half}", "tmpfs", str(data)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        output = copy.dvc("repro", "--force", "download", check=False)
        assert copy.code == 255
        assert "download: error: [Errno 28] No space left on device: 'data/raw/" in output
        assert "Traceback" not in output
        assert list(data.iterdir()) == []
    finally:
        subprocess.run(["umount", str(data)], check=True)
    copy.dvc("repro", "--force", "download")
    assert verify.hashes(copy.path) == copy.before


def test_a_second_run_at_once_is_refused_and_a_stage_waits(copy):
    train = ("repro", "--force", "--single-item", "train")
    holder = copy.path / ".ferpipe/locks/train.pid"
    holder.unlink(missing_ok=True)
    first = copy.start("dvc", *train)
    end = time.monotonic() + 30
    while not (holder.is_file() and holder.read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert "is busy" in copy.dvc(*train, check=False)
    assert copy.code == 255
    # The stage itself, which DVC's lock does not stop, waits for the other.
    assert "train: waiting for process" in copy.run("python", "src/stage.py", "train")
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 0, output
    assert verify.hashes(copy.path) == copy.before
