"""docs/data.md says how much is tested; here it is counted."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest


def module(path):
    spec = importlib.util.spec_from_file_location(path, Path(__file__).parent / path)
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[path] = loaded
    spec.loader.exec_module(loaded)
    return loaded


test_generated = module("test_generated.py")
test_images = module("data/test_images.py")
test_source = module("sources/kaggle/test_source.py")
test_retries = module("sources/kaggle/test_retries.py")
test_saving = module("model/test_saving.py")
test_listing = module("sources/intake/test_listing.py")

COUNTS = {
    "faults of Kaggle": [
        *(test_retries.LASTING, test_retries.PASSING, test_retries.NOWHERE),
        *(test_retries.HANGS, test_source.OTHERS),
    ],
    "kills": [test_source.KILLED, test_source.KILL_TIMES],
    "hostile zips and folders": [
        *(test_listing.REFUSED_ZIPS, test_listing.SKIPPED, test_listing.REFUSED_FOLDERS),
    ],
    "odd and hostile images": [test_images.ACCEPTED, test_images.REFUSED],
    "hostile and damaged model files": [test_saving.HOSTILE, range(test_saving.DAMAGED)],
    "generated inputs": [range(number) for number in test_generated.EXAMPLES.values()],
}


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/data.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("what", COUNTS)
def test_the_page_says_how_many_cases_there_are(page, what):
    (told,) = re.findall(rf"^\| {what}[^|]*\| ([\d,]+) \|", page, re.MULTILINE)
    assert int(told.replace(",", "")) == sum(map(len, COUNTS[what]))


def test_the_page_counts_nothing_else(page):
    assert len(re.findall(r"^\| [^|]+ \| [\d,]+ \| `tests/", page, re.MULTILINE)) == len(COUNTS)


def test_the_defaults_on_the_page_are_those_of_params_yaml(page, values):
    rows = dict(re.findall(r"^\| `((?:run|download)\.[a-z._]+)` \| ([\d,]+)", page, re.MULTILINE))
    for key, told in rows.items():
        value = values
        for part in key.split("."):
            value = value[part]
        assert float(told.replace(",", "")) == value, key
    assert set(rows) >= {f"download.limits.{key}" for key in values["download"]["limits"]}
