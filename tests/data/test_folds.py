import pandas as pd
import pytest

from ferpipe.core import tables
from ferpipe.core.errors import PipelineError
from ferpipe.data import folds


@pytest.fixture
def written(project):
    """The table of three images, and its file."""
    columns = {"path": ["a/S1.png", "a/S2.png", "b/S1.png"], "label": ["a", "a", "b"]}
    columns |= {"subject": ["S1", "S2", "S1"], "sequence": ["", "", ""]}
    splits = {name: ["train", "val", "test"] for name in folds.fold_columns(10)}
    table = pd.DataFrame(columns | splits, dtype="str")
    tables.write_table(folds.folds_path(1), table)
    return table, folds.folds_path(1)


def test_what_was_written_reads_back(written):
    table, path = written
    assert folds.read_folds(1).equals(table)
    assert path.read_text().startswith("path,label,subject,sequence,fold_0,fold_1,")


@pytest.mark.parametrize("count", [2, 3, 118])
def test_any_number_of_folds_reads_back_and_images_may_be_in_none(written, count):
    table, path = written
    splits = {name: ["train", "test", ""] for name in folds.fold_columns(count)}
    table = table[list(folds.columns(0))].assign(**splits)
    tables.write_table(path, table)
    assert folds.read_folds(1).equals(table)
    assert folds.count_folds(table) == count


@pytest.mark.parametrize("count", [0, 1])
def test_one_fold_is_an_error(written, count):
    table, path = written
    tables.write_table(path, table[list(folds.columns(count))])
    with pytest.raises(PipelineError, match=r"seed-1\.csv is not what `cv_folds` writes"):
        folds.read_folds(1)


def test_a_missing_table_is_an_error(project):
    with pytest.raises(PipelineError, match=r"seed-1\.csv is missing; run `dvc repro`"):
        folds.read_folds(1)


@pytest.mark.parametrize("change", [("test", "train"), ("train", "Train"), ("fold_9", "fold_10")])
def test_a_table_that_cv_folds_does_not_write_is_an_error(written, change):
    _, path = written
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(PipelineError, match=r"seed-1\.csv"):
        folds.read_folds(1)


def test_each_fold_has_a_file_for_its_predictions():
    assert folds.folds_path(3).as_posix() == "data/cv/folds/seed-3.csv"
    assert folds.predictions_path(3, 7).as_posix() == "reports/cv/predictions/seed-3-fold-7.csv"
    header = folds.predictions_header(["a", "b"])
    assert header == ("path", "split", "actual", "predicted", "p_a", "p_b")
