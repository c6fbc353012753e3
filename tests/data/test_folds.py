from pathlib import Path

import pytest

from ferpipe.core.errors import PipelineError
from ferpipe.data import folds

PATHS = [f"{label}/S{subject}_1_{n}.png" for label in "ab" for subject in (1, 2) for n in (1, 2)]


def table():
    splits = [
        ["test" if n == fold % 8 else "val" if n == (fold + 1) % 8 else "train" for n in range(8)]
        for fold in range(folds.FOLDS)
    ]
    subjects = [path[2:4] for path in PATHS]
    return folds.FoldTable(PATHS, [path[0] for path in PATHS], subjects, [""] * 8, splits)


def test_what_was_written_reads_back(tmp_path):
    path = tmp_path / "seed-1.csv"
    folds.write_folds(path, table())
    assert folds.read_folds(path) == table()
    assert path.read_text().startswith("path,label,subject,sequence,fold_0,fold_1,")


@pytest.mark.parametrize("spoil", [("test", "train"), ("train", "Train"), ("fold_9", "fold_10")])
def test_a_table_that_cv_folds_does_not_write_is_refused(tmp_path, spoil):
    path = tmp_path / "seed-1.csv"
    folds.write_folds(path, table())
    path.write_text(path.read_text().replace(*spoil))
    with pytest.raises(PipelineError, match=r"seed-1\.csv"):
        folds.read_folds(path)


def test_folds_and_predictions_have_a_file_a_seed_and_a_fold():
    assert folds.folds_path(3) == Path("data/cv/folds/seed-3.csv")
    assert folds.predictions_path(3, 7).as_posix() == "reports/cv/predictions/seed-3-fold-7.csv"
    assert folds.predictions_header(["a", "b"]) == (
        *("path", "split", "actual", "predicted"),
        *("p_a", "p_b"),
    )
