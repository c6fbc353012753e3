from pathlib import Path

import pytest
from checkout import TINY, Checkout, copy_tracked


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Let one worker run what shares a checkout: making one takes as long as many tests of it."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            shared = "finished" in item.fixturenames and not hasattr(item.module, "finished")
            item.add_marker(pytest.mark.xdist_group("finished" if shared else item.path.name))


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
