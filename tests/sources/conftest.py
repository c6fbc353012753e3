import pytest
from faces import repack
from kaggle_faces import SECRET, ZIP
from kaggle_server import kaggle_server  # noqa: F401 - a fixture

from ferpipe.sources.kaggle import retries


@pytest.fixture
def server(kaggle_server, tmp_path, monkeypatch):  # noqa: F811
    """A server with the faces, an empty repository as working folder, and a token."""
    repository = tmp_path / "repository"
    repository.mkdir()
    monkeypatch.chdir(repository)
    monkeypatch.setenv("KAGGLE_API_TOKEN", SECRET)
    monkeypatch.setattr(retries, "PAUSE", 0.01)
    kaggle_server.datasets["someone/faces"] = ZIP
    return kaggle_server


@pytest.fixture(scope="module")
def digest(tmp_path_factory):
    """The digest of the faces' content."""
    folder = tmp_path_factory.mktemp("digest")
    (folder / "local.zip").write_bytes(ZIP)
    return repack(folder / "local.zip", folder / "images.zip").digest
