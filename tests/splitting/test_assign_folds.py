from collections import Counter

import pytest
from splits import assign_folds

from ferpipe.core.errors import PipelineError
from ferpipe.data.folds import fold_columns
from ferpipe.params.split import Split

PATHS = [
    f"{label}/S{subject:03}_001_{frame:08}.png"
    for label in ("anger", "happy")
    for subject in range(1, 23)
    for frame in (1, 2)
]


@pytest.fixture
def params(values):
    """The committed section `split` with some keys changed."""
    return lambda **changes: Split(**values["split"] | {"val_size": 0.1} | changes)


def test_every_image_is_test_once_and_subjects_stay_apart(params):
    table = assign_folds(PATHS, params(), 1)
    assert table["path"].tolist() == PATHS
    tested = Counter()
    for name in fold_columns(10):
        tested.update(table["path"][table[name] == "test"])
        assert (table.groupby("subject")[name].nunique() == 1).all()
    assert tested == Counter(PATHS)


def test_seed_and_folds_replace_those_of_split(params):
    table = assign_folds(PATHS, params(), 5)
    assert assign_folds(PATHS, params(seed=9, folds=4, fold=1, test_size=0.3), 5).equals(table)
    assert not assign_folds(PATHS, params(), 6).equals(table)


def test_repeats_of_an_image_stay_in_its_split_in_every_fold(params):
    repeats = {PATHS[40]: PATHS[0], PATHS[21]: PATHS[3], PATHS[80]: PATHS[60]}
    for group_by in ("none", "subject"):
        table = assign_folds(PATHS, params(group_by=group_by), 1, repeats=repeats).set_index("path")
        for split in (table[name] for name in fold_columns(10)):
            assert all(split[path] == split[first] for path, first in repeats.items())


def test_a_val_size_that_leaves_nothing_for_training_is_an_error(params):
    with pytest.raises(PipelineError, match=r"split: test \(0\.1\) and val_size \(0\.9\) should"):
        assign_folds(PATHS, params(val_size=0.9, test_size=0.01), 1)
