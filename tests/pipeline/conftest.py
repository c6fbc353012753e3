import pytest
from checkout import TINY, Checkout, copy_tracked


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The tiny experiment after its first `dvc repro`, committed; tests leave it so."""
    folder = tmp_path_factory.mktemp("with space")
    checkout = Checkout(folder / "repo")
    copy_tracked(checkout.path)
    checkout.set(TINY)
    checkout.git("init", "-q", "-b", "main")
    checkout.first_output = checkout.dvc("repro")
    checkout.git("add", "-A")
    checkout.git("commit", "-q", "-m", "tiny")
    return checkout
