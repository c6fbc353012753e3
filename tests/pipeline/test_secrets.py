"""Marked secrets wherever they may occur, searched for in everything that is written."""

import shutil

import pytest
from checkout import TINY, copy_repository
from kaggle_faces import SECRET
from kaggle_server import (
    DOWNLOAD,
    SIGNATURE,
    Reply,
    kaggle_server,  # noqa: F401 - a fixture
)

# someone:SECRET-token-or-key in base64, as a key is sent.
KEY_IN_BASE64 = "c29tZW9uZTpTRUNSRVQtdG9rZW4tb3Ita2V5"


@pytest.mark.parametrize(
    "credentials",
    [{"KAGGLE_API_TOKEN": SECRET}, {"KAGGLE_USERNAME": "someone", "KAGGLE_KEY": SECRET}],
    ids=["token", "key"],
)
def test_no_secret_is_in_anything_that_a_run_writes(finished, tmp_path, kaggle_server, credentials):  # noqa: F811
    kaggle_server.datasets["*"] = (finished.path / "data/raw/images.zip").read_bytes()
    checkout = copy_repository(tmp_path / "repo", TINY, {"download": {"source": "kaggle"}})
    shutil.rmtree(checkout.path / "tests")  # which name the secrets
    shutil.rmtree(checkout.path / ".git")
    checkout.git("init", "-q")
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
