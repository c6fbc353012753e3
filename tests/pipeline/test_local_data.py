"""A user's own images that DVC tracks, with links into its cache, are a source like any other."""

import sys
import zipfile

import pytest
from checkout import copy_repository
from faces import dataset, write_folder, write_tar, write_zip

TREE = dataset(per_class=4)
WRITE = {"faces": write_folder, "faces.zip": write_zip, "faces.tar": write_tar}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


@pytest.mark.parametrize("links", ["symlink", "hardlink"])
@pytest.mark.parametrize("name", WRITE)
def test_what_dvc_add_tracks_is_downloaded_and_committed(tmp_path, name, links):
    path = f"data/local/{name}"
    checkout = copy_repository(
        tmp_path / "repo", {"download": {"source": "local", "local": {"path": path}}}
    )
    checkout.dvc("config", "cache.type", links)
    WRITE[name](checkout.path / path, TREE)
    checkout.dvc("add", path)
    checkout.commit("my faces")

    tracked = checkout.git("ls-files", "data/local").split()
    assert tracked == ["data/local/README.md", f"{path}.dvc"]
    file = checkout.path / path / "angry/00.png" if name == "faces" else checkout.path / path
    assert file.is_symlink() if links == "symlink" else file.stat().st_nlink > 1
    assert checkout.stages_run(checkout.dvc("repro", "download")) == ["download"]
    with zipfile.ZipFile(checkout.path / "data/raw/images.zip") as zipped:
        assert zipped.namelist() == sorted(TREE)
    assert checkout.stages_run(checkout.dvc("repro", "download")) == []


def test_an_image_more_is_noticed(tmp_path):
    changes = {"download": {"source": "local", "local": {"path": "data/local/faces"}}}
    checkout = copy_repository(tmp_path / "repo", changes)
    checkout.dvc("config", "cache.type", "symlink")
    folder = write_folder(checkout.path / "data/local/faces", TREE)
    checkout.dvc("add", "data/local/faces")
    checkout.dvc("repro", "download")
    (folder / "happy/03.png").unlink()
    checkout.dvc("add", "data/local/faces")
    assert "7 images from local" in checkout.dvc("repro", "download")


def test_the_folder_of_all_data_may_be_the_source(tmp_path):
    """data/local, the default, with a folder in it that DVC tracks."""
    checkout = copy_repository(tmp_path / "repo", {"download": {"source": "local"}})
    write_folder(checkout.path / "data/local/faces", TREE)
    checkout.dvc("add", "data/local/faces")
    assert "8 images from local" in checkout.dvc("repro", "download")
