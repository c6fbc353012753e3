"""`dvc push` and `dvc pull` against real servers, as docs/remotes.md describes it."""

import hashlib
import shutil

import pytest
import remote_servers
from checkout import Checkout

from ferpipe.tools import verify

pytestmark = pytest.mark.remotes

DAMAGES = {
    "flipped-bit": lambda data, other: bytes([data[0] ^ 1]) + data[1:],
    "truncated": lambda data, other: data[:-100],
    "other-object": lambda data, other: other,
    "missing": lambda data, other: None,
}


def dvc(checkout, *args, check=True):
    return checkout.run(remote_servers.tool("dvc"), *args, check=check)


@pytest.fixture(scope="module", params=[remote_servers.s3, remote_servers.ssh], ids=["s3", "ssh"])
def pushed(request, finished, tmp_path_factory):
    """A remote to which all outputs were pushed, and a function that makes a fresh clone."""
    folder = tmp_path_factory.mktemp(request.param.__name__)

    def clone(name):
        (folder / name).mkdir()
        checkout = Checkout(folder / name / "repo")
        checkout.environment |= remote.environment
        finished.git("clone", "-q", str(finished.path), str(checkout.path))
        for command in remote.commands:
            dvc(checkout, *command)
        return checkout

    with request.param(folder) as remote:
        first = clone("first")
        shutil.copytree(finished.path / ".dvc/cache", first.path / ".dvc/cache")
        output = dvc(first, "push")
        assert f"{len(remote.objects())} files pushed" in output
        yield remote, clone


def test_after_a_pull_a_fresh_clone_has_all_outputs_and_nothing_to_run(finished, pushed):
    _, clone = pushed
    fresh = clone("fresh")
    assert not (fresh.path / "models/model.keras").exists()
    dvc(fresh, "pull")
    assert verify.hashes(fresh.path) == verify.hashes(finished.path)
    assert fresh.stages_run(dvc(fresh, "repro")) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_object_is_refused_by_name_and_the_rest_arrives(finished, pushed, damage):
    remote, clone = pushed
    # DVC names an object by its MD5.
    digest = hashlib.md5((finished.path / "data/raw/images.zip").read_bytes()).hexdigest()
    (victim,) = (path for path in remote.objects() if path.parent.name + path.name == digest)
    whole = victim.read_bytes()
    other = next(path for path in remote.objects() if path != victim).read_bytes()
    damaged = DAMAGES[damage](whole, other)
    victim.unlink()
    if damaged is not None:
        victim.write_bytes(damaged)
    remote.refresh()
    fresh = clone(damage)
    try:
        output = dvc(fresh, "pull", check=False)
        assert fresh.code != 0
        assert "images.zip" in output
        assert not (fresh.path / "data/raw/images.zip").exists()
        assert (fresh.path / "data/split.csv").exists()
    finally:
        victim.write_bytes(whole)
        remote.refresh()
    dvc(fresh, "pull")
    assert verify.hashes(fresh.path) == verify.hashes(finished.path)


def test_without_credentials_nothing_is_pulled(pushed):
    remote, clone = pushed
    stranger = clone("stranger")
    if remote.environment:
        stranger.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
    else:
        (stranger.path / ".dvc/config.local").unlink()
    output = dvc(stranger, "pull", check=False)
    assert stranger.code != 0
    assert remote_servers.PASSWORD not in output
    assert not (stranger.path / "data/raw/images.zip").exists()
    assert not (stranger.path / "data/split.csv").exists()
