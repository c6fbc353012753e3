from pathlib import Path

import pandas as pd
import pytest

from ferpipe.core.paths import SPLIT_COLUMNS
from ferpipe.params.reader import read_yaml
from ferpipe.params.split import Split
from ferpipe.splitting import audit
from ferpipe.splitting.given import Given
from ferpipe.splitting.near_duplicates import NEAR


def rows_of(*rows):
    """The table split.csv from split, subject and sequence."""
    records = [(f"a/{n}", "ab"[n % 2], *names, split) for n, (split, *names) in enumerate(rows)]
    return pd.DataFrame(records, columns=list(SPLIT_COLUMNS), dtype="str")


def pairs_of(*similarities):
    """The closest pairs of the rows from 1 on, all with row 0."""
    similarities = pd.Series(similarities)
    return pd.DataFrame(
        {
            "image": similarities.index + 1,
            "closest": 0,
            "similarity": similarities,
            "mirrored": similarities.index == 1,
            "near_duplicate": similarities >= NEAR,
        }
    )


PARAMS = Split(**read_yaml(Path(__file__).parents[2] / "params.yaml")["split"])
TABLE = rows_of(
    ("train", "S1", "S1_1"),
    ("train", "S2", "S2_1"),
    ("val", "S1", "S1_1"),
    ("val", "S3", "S3_1"),
    ("test", "S2", "S2_2"),
    ("test", "S3", "S3_1"),  # in val, which selects the epoch
    ("test", "S4", "S4_1"),
    ("test", "S5", "S5_1"),
)


def test_the_summary_counts_images_and_what_training_shares():
    facts = audit.summary(TABLE, pairs_of(0.99, 0.95, 0.93, 0.5), {"a/1": "a/0"}, PARAMS)
    assert facts == {
        "train": 2,
        "val": 2,
        "test": 4,
        "classes": 2,
        "split_by": "random",
        "repeated_images": 1,
        "held_out_sharing_subject": 3 / 6,
        "held_out_sharing_sequence": 2 / 6,
        "held_out_near_duplicates": 0.75,
        "selected_on_test": False,
    }
    assert audit.lines(facts, "none")[1] == (
        "1 images are exact duplicates; each is in the split of its original"
    )


def test_shares_are_unknown_without_names():
    table = rows_of(("train", "S1", "S1_1"), ("test", "S1", ""))
    facts = audit.summary(table, pairs_of(0.5), {}, PARAMS)
    assert facts["held_out_sharing_subject"] == 1.0
    assert facts["held_out_sharing_sequence"] is None
    assert "sequence" not in "".join(audit.lines(facts, "none"))


def test_the_summary_warns_if_the_epoch_is_selected_on_test():
    facts = audit.summary(rows_of(("train", "", ""), ("test", "", "")), pairs_of(0.5), {}, PARAMS)
    assert (facts["val"], facts["selected_on_test"]) == (0, True)
    assert audit.lines(facts, "none")[-1] == (
        "WARNING: val_size is 0, so test is also the validation split: metrics are optimistic"
    )


@pytest.mark.parametrize("key", ["sharing_subject", "sharing_sequence", "near_duplicates"])
def test_more_than_one_percent_shared_gives_a_warning(key):
    def warnings(share):
        facts = audit.summary(TABLE, pairs_of(0.5), {}, PARAMS)
        shares = {"sharing_subject": 0.0, "sharing_sequence": 0.0, key: share}
        facts |= {f"held_out_{name}": value for name, value in shares.items()}
        return [line for line in audit.lines(facts, "none") if "WARNING" in line]

    assert warnings(0.01) == []
    assert warnings(0.011) == [
        "WARNING: training contains people or near-duplicates of the held-out images, so accuracy "
        "on them overestimates accuracy on new people"
    ]


def test_the_closest_pairs_have_similarities_and_shared_names():
    table = rows_of(
        ("train", "S1", "S1_1"),
        ("val", "S1", "S1_1"),
        ("test", "S1", "S1_2"),
        ("test", "S2", "S2_1"),
        ("test", "", ""),
    )
    result = audit.closest_pairs(pairs_of(0.98765, NEAR, 0.9, 0.5), table)
    assert result.iloc[0].tolist() == [
        *("a/1", "b", "val", "a/0", "a", "train", "0.9877", False, True, "sequence")
    ]
    assert result["shared"].tolist() == ["sequence", "subject", "none", "unknown"]
    assert result["mirrored"].tolist() == [False, True, False, False]
    assert result["near_duplicate"].tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("repeats", "across"),
    [
        ({}, 0),
        ({"a/1": "a/0"}, 0),  # both in train
        ({"a/4": "a/0"}, 1),
        ({"a/2": "a/0", "a/4": "a/0"}, 2),
        ({"a/4": "a/2"}, 1),  # val selects the epoch
        ({"a/5": "a/4"}, 0),
        ({"a/4": "a/1", "a/6": "a/5"}, 1),
    ],
)
def test_repeats_that_a_given_split_separates_are_counted(repeats, across):
    given = Given(TABLE["split"])
    facts = audit.summary(TABLE, pairs_of(0.5), repeats, PARAMS, given)
    assert (facts["split_by"], facts["repeats_across_splits"]) == ("official", across)
    lines = audit.lines(facts, "none")
    assert any("exact duplicates of training" in line for line in lines) == (across > 0)
    assert facts["val_taken"] is False
    assert lines[1] == (
        "test: the source's official test part (4 images); val: the source's official val part "
        "(2 images)"
    )
