"""docs/data.md says how much is tested; here it is counted."""

import re

import pytest
import test_generated
import test_images
import test_kaggle
import test_kaggle_tries
import test_keras_file
import test_listing

COUNTS = {
    "faults of Kaggle": [
        *(test_kaggle_tries.LASTING, test_kaggle_tries.PASSING, test_kaggle_tries.NOWHERE),
        *(test_kaggle_tries.HANGS, test_kaggle.OTHERS, test_kaggle.UNPINNED),
    ],
    "kills": [test_kaggle.KILLED, test_kaggle.KILL_TIMES],
    "hostile zips and folders": [
        *(test_listing.REFUSED_ZIPS, test_listing.LEFT_OUT, test_listing.REFUSED_FOLDERS),
    ],
    "odd and hostile images": [test_images.TAKEN, test_images.REFUSED],
    "hostile and damaged model files": [test_keras_file.HOSTILE, range(test_keras_file.DAMAGED)],
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
