"""Marked secrets, planted wherever they may stand, and searched for in all that is written."""

import shutil

import pytest
from checkout import TINY, Checkout, copy_tracked
from kaggle_faces import SECRET, zip_of
from kaggle_server import (
    DOWNLOAD,
    SIGNATURE,
    Reply,
    kaggle_server,  # noqa: F401 - a fixture
)

from ferpipe.sources.sample.people import draw_subject, file_names
from ferpipe.sources.sample.source import encode_png

# someone:SECRET-token-or-key in base64, as a key is sent.
KEY_IN_BASE64 = "c29tZW9uZTpTRUNSRVQtdG9rZW4tb3Ita2V5"


@pytest.fixture
def checkout(tmp_path, kaggle_server):  # noqa: F811
    """A repository whose images come from Kaggle: the faces that the sample draws."""
    checkout = Checkout(tmp_path / "repo")
    copy_tracked(checkout.path)
    shutil.rmtree(checkout.path / "tests")  # which name the secrets
    checkout.set(TINY)
    checkout.set({"download": {"source": "kaggle"}})
    checkout.git("init", "-q")
    faces = {
        f"{label}/{name}": encode_png(pixels)
        for subject in range(1, 7)
        for label, frames, names in zip(
            ("a", "b", "c", "d", "e", "f", "g"),
            draw_subject(1, subject),
            file_names(1, subject),
            strict=True,
        )
        for pixels, name in zip(frames, names, strict=True)
    }
    kaggle_server.datasets["*"] = zip_of(faces)
    return checkout


@pytest.mark.parametrize(
    "credentials",
    [{"KAGGLE_API_TOKEN": SECRET}, {"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": SECRET}],
    ids=["token", "key"],
)
def test_no_secret_is_in_anything_that_a_run_writes(checkout, kaggle_server, credentials):  # noqa: F811
    checkout.environment |= {**credentials, "VERBOSE": "1"}
    kaggle_server.answer(DOWNLOAD, Reply(status=401))
    printed = checkout.dvc("repro", "-v", "preprocess", check=False)
    assert checkout.code != 0
    assert "Kaggle refuses the credentials in KAGGLE_" in printed

    printed += checkout.dvc("repro", "-v", "preprocess")

    # The pipeline's outputs, dvc.lock, DVC's own folders and logs, the home folder: everything.
    written = [path for path in checkout.path.parent.rglob("*") if path.is_file()]
    assert checkout.path / "dvc.lock" in written
    assert checkout.path / "data/records/schema.json" in written
    for secret in (SECRET, SIGNATURE, KEY_IN_BASE64):
        assert secret not in printed
        assert not [path for path in written if secret.encode() in path.read_bytes()]
