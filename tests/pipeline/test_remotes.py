"""`dvc push` and `dvc pull` against real servers, as docs/remotes.md tells it."""

import hashlib
import shutil

import pytest
import remote_servers
from checkout import TINY, Checkout, copy_tracked

pytestmark = pytest.mark.remotes


@pytest.fixture(scope="module")
def finished_data(tmp_path_factory):
    """The light stages of the tiny experiment, finished and committed."""
    checkout = Checkout(tmp_path_factory.mktemp("remotes") / "repo")
    copy_tracked(checkout.path)
    checkout.set(TINY)
    checkout.git("init", "-q", "-b", "main")
    checkout.run(remote_servers.tool("dvc"), "repro", "preprocess")
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "tiny")
    return checkout


@pytest.fixture(scope="module", params=[remote_servers.s3, remote_servers.ssh], ids=["s3", "ssh"])
def pushed(request, finished_data, tmp_path_factory):
    """A remote to which all outputs were pushed, and a function that makes a fresh clone."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    dvc = remote_servers.tool("dvc")

    def clone(name):
        (folder / name / "repo").mkdir(parents=True)
        checkout = Checkout(folder / name / "repo")
        checkout.environment |= remote.environment
        checkout.run("git", "clone", "-q", str(finished_data.path), ".")
        for command in remote.commands:
            checkout.run(dvc, *command)
        return checkout

    with request.param(folder) as remote:
        first = clone("first")
        shutil.copytree(finished_data.path / ".dvc/cache", first.path / ".dvc/cache")
        told = first.run(dvc, "push")
        assert f"{len(remote.objects())} files pushed" in told
        yield remote, clone


def pull(checkout, check=True):
    """Pull what there is: the light stages have run here, train and evaluate have not."""
    stages = ("download", "split", "preprocess")
    return checkout.run(remote_servers.tool("dvc"), "pull", *stages, check=check)


def outputs(checkout):
    return {
        path.relative_to(checkout.path): path.read_bytes()
        for path in (checkout.path / "data").rglob("*")
        if path.is_file() and path.name != ".gitignore"
    }


def test_a_fresh_clone_has_all_data_after_a_pull_and_nothing_to_run(finished_data, pushed):
    _, clone = pushed
    fresh = clone("fresh")
    assert len(outputs(fresh)) == 1  # data/local/README.md
    pull(fresh)
    assert outputs(fresh) == outputs(finished_data)
    again = fresh.run(remote_servers.tool("dvc"), "repro", "preprocess")
    assert fresh.stages_run(again) == []


@pytest.mark.parametrize("spoil", ["a flipped bit", "a cut", "another object's bytes"])
def test_an_object_that_was_spoilt_is_refused_and_the_rest_arrives(
    finished_data, pushed, spoil, tmp_path
):
    remote, clone = pushed
    victim = object_of(finished_data, "data/raw/images.zip", remote)
    good = victim.read_bytes()
    other = next(path for path in remote.objects() if path != victim).read_bytes()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    victim.write_bytes(
        {"a flipped bit": flipped, "a cut": good[:-100], "another object's bytes": other}[spoil]
    )
    remote.look_again()
    try:
        fresh = clone(spoil.replace(" ", "-").replace("'", ""))
        told = pull(fresh, check=False)
        assert fresh.code != 0
        assert "images.zip" in told
        assert not (fresh.path / "data/raw/images.zip").exists()
        assert (fresh.path / "data/split.csv").exists()
    finally:
        victim.write_bytes(good)
        remote.look_again()
    pull(fresh)
    assert outputs(fresh) == outputs(finished_data)


def test_an_object_that_is_missing_is_named(finished_data, pushed):
    remote, clone = pushed
    victim = object_of(finished_data, "data/split.csv", remote)
    good = victim.read_bytes()
    victim.unlink()
    remote.look_again()
    try:
        fresh = clone("missing")
        told = pull(fresh, check=False)
        assert fresh.code != 0
        assert "data/split.csv" in told
        assert not (fresh.path / "data/split.csv").exists()
    finally:
        victim.write_bytes(good)
        remote.look_again()
    pull(fresh)
    assert outputs(fresh) == outputs(finished_data)


def test_without_credentials_nothing_is_given(pushed):
    remote, clone = pushed
    stranger = clone("stranger")
    if remote.environment:
        stranger.environment["AWS_SECRET_ACCESS_KEY"] = "wrong"
    else:
        (stranger.path / ".dvc/config.local").unlink()
    told = pull(stranger, check=False)
    assert stranger.code != 0
    assert remote_servers.PASSWORD not in told
    assert len(outputs(stranger)) == 1


def object_of(checkout, path, remote):
    """The file on the server that holds an output: DVC names it by its MD5."""
    digest = hashlib.md5((checkout.path / path).read_bytes()).hexdigest()
    (found,) = (p for p in remote.objects() if p.parts[-2] + p.parts[-1] == digest)
    return found
