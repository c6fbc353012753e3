from pathlib import Path

import pytest
from browser import Browser
from checkout import TINY, copy_repository


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items):
    """Run the tests that share a checkout in one worker: making one takes as long as many tests."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            shared = "finished" in item.fixturenames and not hasattr(item.module, "finished")
            item.add_marker(pytest.mark.xdist_group("finished" if shared else item.path.name))


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The tiny experiment after its first `dvc repro`, committed; tests leave it so."""
    checkout = copy_repository(tmp_path_factory.mktemp("with space") / "repo", TINY)
    checkout.first_output = checkout.dvc("repro")
    checkout.commit("finished")
    return checkout


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()
