import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.data import folds

PATHS = [f"{label}/S{subject}_1_{n}.png" for label in "ab" for subject in (1, 2) for n in (1, 2)]


@pytest.fixture
def written(tmp_path):
    """A table of folds and its file."""
    splits = [
        ["test" if n == fold % 8 else "val" if n == (fold + 1) % 8 else "train" for n in range(8)]
        for fold in range(folds.FOLDS)
    ]
    subjects = [path[2:4] for path in PATHS]
    table = folds.FoldTable(PATHS, [path[0] for path in PATHS], subjects, [""] * 8, splits)
    folds.write_folds(tmp_path / "seed-1.csv", table)
    return table, tmp_path / "seed-1.csv"


def test_what_was_written_reads_back(written):
    table, path = written
    assert folds.read_folds(path) == table
    assert path.read_text().startswith("path,label,subject,sequence,fold_0,fold_1,")


@pytest.mark.parametrize("change", [("test", "train"), ("train", "Train"), ("fold_9", "fold_10")])
def test_a_table_that_cv_folds_does_not_write_is_an_error(written, change):
    _, path = written
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(PipelineError, match=r"seed-1\.csv"):
        folds.read_folds(path)


def test_each_fold_has_a_file_for_its_predictions():
    assert folds.folds_path(3).as_posix() == "data/cv/folds/seed-3.csv"
    assert folds.predictions_path(3, 7).as_posix() == "reports/cv/predictions/seed-3-fold-7.csv"
    header = folds.predictions_header(["a", "b"])
    assert header == ("path", "split", "actual", "predicted", "p_a", "p_b")
