import pytest
from faces import repack

from ferpipe.core.errors import PipelineError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The working folder: reasons of refused images are written below it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(here):
    """Repack and return the error's message; nothing else may change on disk."""

    def message(source, **keys):
        target = here / "images.zip"
        target.write_bytes(b"the old archive")
        before = sorted(path for path in here.rglob("*") if ".ferpipe" not in path.parts)
        with pytest.raises(PipelineError) as error:
            repack(source, target, **keys)
        assert target.read_bytes() == b"the old archive"
        assert sorted(path for path in here.rglob("*") if ".ferpipe" not in path.parts) == before
        assert "\n" not in str(error.value)
        return str(error.value)

    return message
