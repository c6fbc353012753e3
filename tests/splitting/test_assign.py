import hashlib
import json

import pandas as pd
import pytest
from faces import encoded, noise, png, write_folder

from ferpipe.core import paths
from ferpipe.core.errors import PipelineError
from ferpipe.core.files import rounded
from ferpipe.core.tables import read_table, write_table
from ferpipe.params.split import Split
from ferpipe.sources.intake import repacking
from ferpipe.splitting.assign import assign
from ferpipe.splitting.audit import lines, summary

CLASSES = ("anger", "happy", "sadness")
# CK+ style names: subject, recording, frame. Each of 30 subjects shows each class in 3 frames.
PATHS = [
    f"{label}/S{subject:03}_{recording:03}_{frame:08}.png"
    for recording, label in enumerate(CLASSES, start=1)
    for subject in range(1, 31)
    for frame in (10, 11, 12)
]


@pytest.fixture
def params(values):
    """The committed section with some keys changed."""

    def changed(**changes):
        return Split(**values["split"] | changes)

    return changed


def sizes(table):
    return table["split"].value_counts().to_dict()


def apart(table, key):
    """Whether no group is in two splits."""
    return (table.groupby(key)["split"].nunique() == 1).all()


def test_rows_are_in_the_order_of_the_images(params):
    table = assign(PATHS, params())
    assert list(table) == list(paths.SPLIT_COLUMNS)
    assert table["path"].tolist() == PATHS
    assert table["label"].tolist() == [path.split("/")[0] for path in PATHS]
    assert table.iloc[0].tolist()[:4] == [PATHS[0], "anger", "S001", "S001_001"]


@pytest.mark.parametrize(
    ("test_size", "val_size", "expected"),
    [
        (0.2, 0.1, {"train": 189, "val": 27, "test": 54}),
        (0.5, 0.25, {"train": 68, "val": 67, "test": 135}),
        (0.1, 0.85, {"train": 13, "val": 230, "test": 27}),
    ],
)
def test_splits_of_single_images_have_the_given_sizes(params, test_size, val_size, expected):
    table = assign(PATHS, params(group_by="none", test_size=test_size, val_size=val_size))
    found = sizes(table)
    assert sum(found.values()) == len(PATHS)
    assert all(abs(found[name] - count) <= 1 for name, count in expected.items())


def test_every_class_has_its_share_of_every_split(params):
    table = assign(PATHS, params(group_by="none"))
    counts = pd.crosstab(table["split"], table["label"])
    assert (counts.loc["train"] == 54).all()
    assert (counts.loc[["val", "test"]] == 18).all(axis=None)


@pytest.mark.parametrize("group_by", ["none", "sequence", "subject"])
@pytest.mark.parametrize("folds", [None, 5])
def test_without_a_val_size_there_is_no_val(params, group_by, folds):
    found = sizes(assign(PATHS, params(group_by=group_by, val_size=0.0, folds=folds)))
    assert set(found) == {"train", "test"}
    assert abs(found["test"] - 54) <= 3


@pytest.mark.parametrize("folds", [None, 5])
@pytest.mark.parametrize(
    ("group_by", "subjects", "sequences"),
    [("subject", True, True), ("sequence", False, True), ("none", False, False)],
)
def test_groups_stay_in_one_split(params, folds, group_by, subjects, sequences):
    table = assign(PATHS, params(group_by=group_by, folds=folds))
    assert apart(table, "subject") == subjects
    assert apart(table, "sequence") == sequences
    facts = summary(table, pairs(False), {})
    assert (facts["held_out_sharing_subject"] == 0) == subjects
    assert (facts["held_out_sharing_sequence"] == 0) == sequences


@pytest.mark.parametrize(
    ("pattern", "first"),
    [
        (r"(?P<subject>S\d+)", ("S001", "")),
        ("", ("", "")),
        (r"(?P<subject>S\d+)_(?P<sequence>00[23])?", ("S001", "")),
    ],
    ids=["subject alone", "nothing", "an optional group"],
)
def test_what_a_pattern_does_not_match_is_empty(params, pattern, first):
    table = assign(PATHS, params(name_pattern=pattern, group_by="none"))
    assert tuple(table.loc[0, ["subject", "sequence"]]) == first
    assert sizes(table) == {"train": 162, "val": 54, "test": 54}


def test_the_pattern_is_matched_at_the_start_of_the_file_name(params):
    paths = [path.replace("/S", "/frame of S") for path in PATHS]
    table = assign(paths, params(name_pattern=r"frame of (?P<subject>S\d+)"))
    assert table["subject"][0] == "S001"
    with pytest.raises(PipelineError, match="270 of 270 names do not state their subject"):
        assign(paths, params())
    in_folder = [f"S{path.split('/')[0]}_1_/{path.split('/')[1]}" for path in PATHS]
    assert set(assign(in_folder, params())["subject"]) == {f"S{n:03}" for n in range(1, 31)}


def test_names_that_do_not_state_their_group_are_an_error_that_names_one(params):
    with pytest.raises(PipelineError) as error:
        assign([*PATHS, "happy/me.png", "happy/you.png"], params())
    assert str(error.value) == (
        "split.group_by = 'subject', but 2 of 272 names do not state their subject, such as "
        "happy/me.png; change split.name_pattern, or set split.group_by to 'none'"
    )


@pytest.mark.parametrize("group_by", ["none", "sequence", "subject"])
@pytest.mark.parametrize("folds", [2, 4, 10])
def test_every_image_is_in_exactly_one_test_fold(params, group_by, folds):
    tested = []
    for fold in range(folds):
        table = assign(PATHS, params(group_by=group_by, folds=folds, fold=fold, val_size=0.1))
        assert set(sizes(table)) == {"train", "val", "test"}
        tested += table.loc[table["split"] == "test", "path"].tolist()
    assert sorted(tested) == sorted(PATHS)


def test_folds_and_val_have_the_sizes_asked_for(params):
    rows = assign(PATHS, params(group_by="none", folds=10, fold=3, val_size=0.2))
    assert sizes(rows) == {"train": 189, "val": 54, "test": 27}


def test_the_same_seed_splits_the_same_and_another_seed_another(params):
    for group_by in ("none", "subject"):
        one, again, other = (
            assign(PATHS, params(group_by=group_by, seed=seed))["split"] for seed in (1, 1, 2)
        )
        assert one.equals(again)
        assert not one.equals(other)


# Groups of all sizes, so that the order in which they are assigned counts.
UNEVEN = [path for number, path in enumerate(PATHS) if number * number % 7 != 2]


@pytest.mark.parametrize(
    ("changes", "digest"),
    [
        ({"group_by": "none"}, "2ea54cdfe1bc050b"),
        ({"group_by": "sequence"}, "bcb20879a060e9cd"),
        ({"group_by": "subject"}, "2fdb7b731c95fa32"),
        ({"group_by": "subject", "val_size": 0.0}, "7c88bf6f7ce24464"),
        ({"group_by": "subject", "folds": 5, "fold": 2}, "60a268853b628753"),
    ],
    ids=["none", "sequence", "subject", "no val", "folds"],
)
def test_the_protocol_is_pinned(params, changes, digest):
    table = assign(UNEVEN, params(**changes))
    lines = "".join(f"{path} {split}\n" for path, split in table[["path", "split"]].values)
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("changes", "count", "needed"),
    [
        ({"group_by": "none"}, "2 images", "3 or more are needed for a test share and a val share"),
        (
            {"group_by": "none", "val_size": 0.0},
            "1 images",
            "2 or more are needed for a test share",
        ),
        ({"group_by": "none", "folds": 5}, "5 images", "6 or more are needed for 5 folds and a"),
        ({"group_by": "none", "folds": 5, "val_size": 0.0}, "4 images", "5 or more are needed for"),
        ({"group_by": "subject"}, "2 subjects", "3 or more are needed for a test share and a val"),
        ({"group_by": "sequence"}, "2 sequences", "3 or more are needed for a test share and a"),
    ],
    ids=["images", "no val", "folds", "folds alone", "subjects", "sequences"],
)
def test_too_few_of_a_class_are_an_error_with_class_and_counts(params, changes, count, needed):
    # Three frames of each recording, so that frames are not counted where recordings are.
    frames = 1 if changes["group_by"] == "none" else 3
    rare = [
        f"rare/S{n:03}_009_{frame:08}.png"
        for n in range(1, int(count[0]) + 1)
        for frame in range(frames)
    ]
    with pytest.raises(PipelineError) as error:
        assign([*PATHS, *rare], params(**changes))
    assert str(error.value).startswith(f"class rare has {count}, {needed}")
    one_more = "rare/S900_009_00000000.png"
    try:
        assign([*PATHS, *rare, one_more], params(**changes))
    except PipelineError as other:  # enough of them, but by chance not everywhere
        assert "got no image of class rare" in str(other)


def test_a_split_that_lacks_a_class_is_told(params):
    rare = [f"rare/{number}.png" for number in range(3)]
    with pytest.raises(PipelineError) as error:
        assign([*PATHS, *rare], params(group_by="none", val_size=0.05, test_size=0.05))
    assert "got no image of class rare (3 images); try another split.seed, or larger" in (
        str(error.value)
    )


@pytest.mark.parametrize("group_by", ["none", "sequence", "subject"])
@pytest.mark.parametrize("folds", [None, 5])
def test_the_same_image_stays_in_one_split_whatever_it_is_grouped_by(params, group_by, folds):
    # Of each of ten people of a class, an image is also one of somebody else.
    repeats = {
        f"{label}/S{n:03}_{number:03}_00000011.png": f"{label}/S{n - 7:03}_{number:03}_00000010.png"
        for number, label in enumerate(CLASSES, start=1)
        for n in range(15, 25)
    }
    assert set(repeats) | set(repeats.values()) <= set(PATHS)
    for seed in range(3):
        table = assign(PATHS, params(group_by=group_by, folds=folds, seed=seed), repeats)
        split = table.set_index("path")["split"]
        assert all(split[path] == split[first] for path, first in repeats.items())
        without = assign(PATHS, params(group_by=group_by)).set_index("path")["split"]
        assert any(without[path] != without[first] for path, first in repeats.items())
        if group_by != "none":
            assert apart(table, group_by)


def test_an_image_that_occurs_three_times_counts_once(params):
    rare = [f"rare/{n}.png" for n in range(4)]
    repeats = {"rare/1.png": "rare/0.png", "rare/2.png": "rare/0.png"}
    with pytest.raises(PipelineError, match="class rare has 2 images, 3 or more are needed"):
        assign([*PATHS, *rare], params(group_by="none"), repeats)


def pairs(*near):
    return pd.DataFrame({"near_duplicate": near})


TABLE = pd.DataFrame(
    [
        ("happy", "train", "S1", "S1_1"),
        ("happy", "train", "S2", "S2_1"),
        ("sad", "val", "S1", "S1_1"),
        ("sad", "val", "S3", "S3_1"),
        ("sad", "test", "S2", "S2_2"),
        ("sad", "test", "S4", "S4_1"),
    ],
    columns=["label", "split", "subject", "sequence"],
)


def test_the_summary_counts_what_training_knows():
    assert summary(TABLE, pairs(True, True, True, False), {"happy/b.png": "happy/a.png"}) == {
        "train": 2,
        "val": 2,
        "test": 2,
        "classes": 2,
        "repeated_images": 1,
        "held_out_sharing_subject": 0.5,
        "held_out_sharing_sequence": 0.25,
        "held_out_near_duplicates": 0.75,
        "selected_on_test": False,
    }


def test_the_summary_leaves_out_what_names_do_not_state():
    facts = summary(TABLE.replace({"sequence": {"S4_1": ""}}), pairs(False), {})
    assert facts["held_out_sharing_subject"] == 0.5
    assert facts["held_out_sharing_sequence"] is None
    assert "sequence" not in "".join(lines(facts, "none"))


def test_the_summary_warns_if_test_selects_too():
    facts = summary(TABLE[TABLE["split"] != "val"], pairs(False), {})
    assert (facts["val"], facts["selected_on_test"]) == (0, True)
    assert lines(facts, "none")[-1] == (
        "WARNING: val_size is 0, so test also selects the epoch; its metrics are optimistic"
    )


@pytest.mark.parametrize("key", ["sharing_subject", "sharing_sequence", "near_duplicates"])
def test_a_leak_of_more_than_one_percent_is_a_warning(key):
    shares = {"sharing_subject": 0.0, "sharing_sequence": 0.0, "near_duplicates": 0.0}

    def printed(share):
        facts = summary(TABLE, pairs(False), {})
        facts |= {f"held_out_{name}": each for name, each in (shares | {key: share}).items()}
        return lines(facts, "none")

    assert not [line for line in printed(0.01) if "WARNING" in line]
    (warning,) = [line for line in printed(0.011) if "WARNING" in line]
    assert warning == (
        "WARNING: held-out images have relatives in training, so accuracy on them says little "
        "about people never seen"
    )


def test_repeated_images_are_counted():
    facts = summary(TABLE, pairs(False), {"happy/b.png": "happy/a.png"})
    assert lines(facts, "none")[1] == "1 images repeat another one exactly; each is in its split"


def write_raw(project, tree):
    """data/raw/ of a tree."""
    source = write_folder(project / "source", tree)
    contents = repacking.repack(source, paths.IMAGES, None, 0.0)
    write_table(paths.INDEX, pd.DataFrame(contents.images))
    return project / paths.INDEX


@pytest.fixture
def index(project):
    """data/raw/ of PATHS."""
    return write_raw(project, {path: png(number) for number, path in enumerate(PATHS)})


def test_the_stage_writes_rows_counts_and_summary(project, index, params, run_stage, files_under):
    done = run_stage("split")
    assert (done.returncode, done.stderr) == (0, "")
    table = assign(PATHS, params())
    facts = summary(table, pairs(False), {})
    assert files_under(project / "data") == [
        *("raw/images.zip", "raw/index.csv", "split.csv", "split_audit.json"),
    ]
    assert files_under(project / "reports") == [
        *("closest_pairs.csv", "split.json", "split_counts.csv"),
    ]
    pd.testing.assert_frame_equal(read_table(paths.SPLIT, paths.SPLIT_COLUMNS), table)
    assert json.loads(paths.SPLIT_AUDIT.read_text()) == facts
    assert json.loads(paths.SPLIT_METRICS.read_text()) == {"near_duplicates": 0.0}
    counts = pd.read_csv(paths.REPORTS / "split_counts.csv")
    assert list(counts) == ["class", "split", "images"]
    assert counts["class"].tolist() == [label for label in CLASSES for _ in paths.SPLITS]
    assert counts["split"].tolist() == [*paths.SPLITS] * len(CLASSES)
    of_anger = sizes(table[table["label"] == "anger"])
    assert dict(zip(counts["split"][:3], counts["images"][:3], strict=True)) == of_anger
    listed = read_table(paths.CLOSEST_PAIRS, paths.CLOSEST_PAIRS_COLUMNS)
    assert len(listed) == 100
    assert set(listed["shared"]) == {"neither"}
    assert done.stdout.splitlines() == [
        f"split: train {facts['train']}, val {facts['val']}, test {facts['test']} images, grouped "
        "by subject",
        "split: 0.0% of the held-out images share their subject with training",
        "split: 0.0% of the held-out images share their sequence with training",
        "split: 0.0% of the held-out images have a near-duplicate in training",
        "split: the closest pairs are in reports/closest_pairs.csv",
    ]


def test_the_stage_finds_copies_that_the_names_do_not_state(project, write_params, run_stage):
    tree = {}
    for number in range(60):
        image = noise(number, width=24, height=24)
        tree[f"{'ab'[number % 2]}/{number:02}.png"] = encoded(image)
        changed = image.point(lambda tone: tone * 0.9 + 5)
        tree[f"{'ab'[number % 2]}/{number + 60:03}.png"] = encoded(changed)
    write_raw(project, tree)
    write_params({"split.group_by": "none", "split.name_pattern": ""})
    done = run_stage("split")
    facts = json.loads(paths.SPLIT_AUDIT.read_text())
    assert facts["held_out_sharing_subject"] is None
    split = read_table(paths.SPLIT, paths.SPLIT_COLUMNS).set_index("path")["split"]
    training = {"val": ("train",), "test": ("train", "val")}
    copies = list(zip(list(tree)[::2], list(tree)[1::2], strict=True))
    near = [
        split[other] in training.get(split[path], ())
        for pair in copies
        for path, other in (pair, pair[::-1])
        if split[path] != "train"
    ]
    fraction = sum(near) / len(near)
    assert fraction > 0.3
    assert facts["held_out_near_duplicates"] == rounded(fraction)
    assert "split: WARNING: held-out images have relatives in training" in done.stdout


def test_the_same_image_with_two_labels_ends_the_stage_in_a_line(project, write_params, run_stage):
    write_raw(project, {f"{'ab'[n % 2]}/{n:02}.png": png(n % 13) for n in range(20)})
    write_params({"split.group_by": "none"})
    done = run_stage("split")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "split: error: a/14.png and b/01.png are the same image with different labels; remove at "
        "least one of them from the source; 7 such pairs are in .ferpipe/conflicts.csv\n"
    )
    assert not (project / "reports").exists()


def test_the_stage_needs_no_other_section(index, project, values, run_stage):
    (project / "params.yaml").write_text(json.dumps({"split": values["split"], "train": "broken"}))
    assert run_stage("split").returncode == 0


def test_a_missing_index_is_one_line_and_exit_code_1(project, run_stage):
    done = run_stage("split")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "split: error: data/raw/index.csv is missing; run `dvc repro`, which makes it\n"
    )
    assert not (project / "reports").exists()
