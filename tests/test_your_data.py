"""docs/your-data.md: its params work on data sets of their kind, and its table is right."""

import re

import pandas as pd
import pytest

import cases

BLOCKS = cases.sections()
# Official parts, subjects and sequences that `download` finds with the params of the section.
TOLD = {
    "Official parts": (2, 0, 0),
    "Labels in file names": (0, 10, 0),
    "A table of labels": (0, 10, 0),
    "Rows of a CSV": (3, 0, 0),
    "CK+ from its owners": (0, 30, 30),
}


def test_every_block_has_a_data_set():
    assert list(BLOCKS) == list(cases.CASES)


@pytest.mark.parametrize("heading", cases.CASES)
def test_download_and_split_work_with_the_params_of_a_section(heading, root, project, run_stage):
    cases.write_case(heading, BLOCKS[heading], project, root)
    for stage in ("download", "split"):
        done = run_stage(stage)
        assert (done.returncode, done.stderr) == (0, "")
    index = pd.read_csv("data/raw/index.csv", keep_default_na=False)
    found = [len(set(index[column]) - {""}) for column in ("part", "subject", "sequence")]
    assert tuple(found) == TOLD.get(heading, (0, 0, 0))
    split = pd.read_csv("data/split.csv", keep_default_na=False)
    assert set(split["split"]) == {"train", "val", "test"}
    if BLOCKS[heading]["split"]["group_by"] == "subject":
        assert (split.groupby("subject")["split"].nunique() == 1).all()


def test_the_table_is_that_of_the_benchmark(root):
    page = cases.PAGE.read_text(encoding="utf-8")
    result = (root / "benchmarks/results/cases.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"^\| data set .*?(?=^[^|])", f"{page}\n\x00", re.M | re.S)
    assert lines == result.partition("\n\n")[2]
