import csv
import hashlib
import json
from collections import Counter, defaultdict

import pytest
from faces import encoded, noise, png, write_folder

from ferpipe.core import files, paths
from ferpipe.core.errors import PipelineError
from ferpipe.params.split import Split
from ferpipe.sources.intake import repacking
from ferpipe.splitting.assign import Row, assign
from ferpipe.splitting.audit import lines, summary
from ferpipe.splitting.near_duplicates import Pair

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


def sizes(rows):
    return dict(Counter(row.split for row in rows))


def groups_of(rows, key):
    found = defaultdict(set)
    for row in rows:
        found[row.split].add(getattr(row, key))
    return found


def apart(rows, key):
    """Whether no group is in two splits."""
    found = groups_of(rows, key).values()
    return sum(map(len, found)) == len(set().union(*found))


# Shares


def test_rows_come_in_the_order_of_the_images(params):
    rows = assign(PATHS, params())
    assert [row.path for row in rows] == PATHS
    assert [row.label for row in rows] == [path.split("/")[0] for path in PATHS]


@pytest.mark.parametrize(
    ("test_size", "val_size", "expected"),
    [
        (0.2, 0.1, {"train": 189, "val": 27, "test": 54}),
        (0.5, 0.25, {"train": 68, "val": 67, "test": 135}),
        (0.1, 0.85, {"train": 13, "val": 230, "test": 27}),
    ],
)
def test_single_images_are_assigned_in_the_shares_asked_for(params, test_size, val_size, expected):
    rows = assign(PATHS, params(group_by="none", test_size=test_size, val_size=val_size))
    found = sizes(rows)
    assert sum(found.values()) == len(PATHS)
    assert all(abs(found[name] - count) <= 1 for name, count in expected.items())


def test_every_class_has_its_share_of_every_split(params):
    counts = Counter((r.label, r.split) for r in assign(PATHS, params(group_by="none")))
    assert {counts[label, "train"] for label in CLASSES} == {54}
    assert {counts[label, name] for label in CLASSES for name in ("val", "test")} == {18}


@pytest.mark.parametrize("group_by", ["none", "sequence", "subject"])
@pytest.mark.parametrize("folds", [None, 5])
def test_without_a_share_for_val_there_is_no_val(params, group_by, folds):
    rows = assign(PATHS, params(group_by=group_by, val_size=0.0, folds=folds))
    assert set(sizes(rows)) == {"train", "test"}
    assert abs(sizes(rows)["test"] - 54) <= 3


# Groups


@pytest.mark.parametrize("folds", [None, 5])
def test_grouped_by_subject_nobody_is_in_two_splits(params, folds):
    rows = assign(PATHS, params(group_by="subject", folds=folds))
    assert apart(rows, "subject")
    assert apart(rows, "sequence")
    assert rows[0] == Row(PATHS[0], "anger", "S001", "S001_001", rows[0].split)


@pytest.mark.parametrize("folds", [None, 5])
def test_grouped_by_sequence_no_recording_is_in_two_splits_but_subjects_are(params, folds):
    rows = assign(PATHS, params(group_by="sequence", folds=folds))
    assert apart(rows, "sequence")
    assert not apart(rows, "subject")


def test_grouped_by_none_recordings_are_divided(params):
    assert not apart(assign(PATHS, params(group_by="none")), "sequence")


def test_a_pattern_with_one_group_tells_only_that(params):
    rows = assign(PATHS, params(name_pattern=r"(?P<subject>S\d+)"))
    assert (rows[0].subject, rows[0].sequence) == ("S001", "")
    assert apart(rows, "subject")


def test_a_pattern_without_groups_assigns_single_images_and_tells_nobody(params):
    rows = assign(PATHS, params(name_pattern="", group_by="none"))
    assert {(row.subject, row.sequence) for row in rows} == {("", "")}
    assert sizes(rows) == {"train": 162, "val": 54, "test": 54}


def test_the_pattern_is_held_against_the_file_name_from_its_start(params):
    paths = [path.replace("/S", "/frame of S") for path in PATHS]
    rows = assign(paths, params(name_pattern=r"frame of (?P<subject>S\d+)"))
    assert rows[0].subject == "S001"
    with pytest.raises(PipelineError, match="270 of 270 names do not say their subject"):
        assign(paths, params())


def test_the_class_folder_is_no_part_of_the_name(params):
    paths = [f"S{path.split('/')[0]}_1_/{path.split('/')[1]}" for path in PATHS]
    assert {row.subject for row in assign(paths, params())} == {f"S{n:03}" for n in range(1, 31)}


def test_a_group_of_the_pattern_that_may_be_absent_is_empty_there(params):
    pattern = r"(?P<subject>S\d+)_(?P<sequence>00[12])?"
    rows = assign(PATHS, params(name_pattern=pattern))
    assert {row.sequence for row in rows if row.label == "sadness"} == {""}
    with pytest.raises(PipelineError, match="90 of 270 names do not say their sequence"):
        assign(PATHS, params(name_pattern=pattern, group_by="sequence"))


def test_names_that_do_not_say_their_group_are_told_with_one_of_them(params):
    paths = [*PATHS, "happy/me.png", "happy/you.png"]
    with pytest.raises(PipelineError) as error:
        assign(paths, params())
    assert str(error.value) == (
        "split.group_by = 'subject', but 2 of 272 names do not say their subject, such as "
        "happy/me.png; change split.name_pattern, or set split.group_by to 'none'"
    )


# Folds


@pytest.mark.parametrize("group_by", ["none", "sequence", "subject"])
@pytest.mark.parametrize("folds", [2, 4, 10])
def test_the_test_folds_cut_the_images_into_parts_that_are_disjoint(params, group_by, folds):
    tested = []
    for fold in range(folds):
        rows = assign(PATHS, params(group_by=group_by, folds=folds, fold=fold, val_size=0.1))
        assert set(sizes(rows)) == {"train", "val", "test"}
        tested += [row.path for row in rows if row.split == "test"]
    assert sorted(tested) == sorted(PATHS)


def test_folds_and_val_have_the_sizes_asked_for(params):
    rows = assign(PATHS, params(group_by="none", folds=10, fold=3, val_size=0.2))
    assert sizes(rows) == {"train": 189, "val": 54, "test": 27}


# Seeds


def test_the_same_seed_splits_the_same_and_another_seed_another(params):
    for group_by in ("none", "subject"):
        found = [tuple(assign(PATHS, params(group_by=group_by, seed=seed))) for seed in (1, 1, 2)]
        assert found[0] == found[1] != found[2]


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
    lines = "".join(f"{row.path} {row.split}\n" for row in assign(UNEVEN, params(**changes)))
    assert hashlib.sha256(lines.encode()).hexdigest()[:16] == digest


# Too little


@pytest.mark.parametrize(
    ("changes", "count", "message"),
    [
        (
            {"group_by": "none"},
            2,
            "class rare has 2 images, 3 or more are needed for a test share and a val share; add "
            "images, or lower split.folds or split.val_size",
        ),
        (
            {"group_by": "none", "val_size": 0.0},
            1,
            "class rare has 1 images, 2 or more are needed for a test share",
        ),
        (
            {"group_by": "none", "folds": 5},
            5,
            "class rare has 5 images, 6 or more are needed for 5 folds and a val share",
        ),
        (
            {"group_by": "none", "folds": 5, "val_size": 0.0},
            4,
            "class rare has 4 images, 5 or more are needed for 5 folds",
        ),
        (
            {"group_by": "subject"},
            2,
            "class rare has 2 subjects, 3 or more are needed for a test share and a val share",
        ),
        (
            {"group_by": "sequence"},
            2,
            "class rare has 2 sequences, 3 or more are needed for a test share and a val share",
        ),
    ],
    ids=["images", "no val", "folds", "folds alone", "subjects", "sequences"],
)
def test_too_few_of_a_class_are_told_with_class_and_counts(params, changes, count, message):
    # Three frames of each recording, so that frames are not counted where recordings are.
    frames = 1 if changes["group_by"] == "none" else 3
    rare = [
        f"rare/S{n:03}_009_{frame:08}.png" for n in range(1, count + 1) for frame in range(frames)
    ]
    with pytest.raises(PipelineError) as error:
        assign([*PATHS, *rare], params(**changes))
    assert str(error.value).startswith(message)
    one_more = f"rare/S{count + 1:03}_009_00000000.png"
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


# Images that are there more than once


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
        rows = assign(PATHS, params(group_by=group_by, folds=folds, seed=seed), repeats)
        part = {row.path: row.split for row in rows}
        assert all(part[path] == part[first] for path, first in repeats.items())
        without = {row.path: row.split for row in assign(PATHS, params(group_by=group_by))}
        assert any(without[path] != without[first] for path, first in repeats.items())
        if group_by != "none":
            assert apart(rows, group_by)


def test_an_image_that_is_there_three_times_counts_once_where_too_few_are_told(params):
    rare = [f"rare/{n}.png" for n in range(4)]
    repeats = {"rare/1.png": "rare/0.png", "rare/2.png": "rare/0.png"}
    with pytest.raises(PipelineError, match="class rare has 2 images, 3 or more are needed"):
        assign([*PATHS, *rare], params(group_by="none"), repeats)


# The summary


def row(name, part, subject="", sequence=""):
    return Row(f"happy/{name}.png", "happy" if name < "c" else "sad", subject, sequence, part)


def pairs(*near):
    """A pair for each held-out image, near or not."""
    return [Pair(n, 0, 0.99 if each else 0.5, False) for n, each in enumerate(near)]


ROWS = [
    row("a", "train", "S1", "S1_1"),
    row("b", "train", "S2", "S2_1"),
    row("c", "val", "S1", "S1_1"),
    row("d", "val", "S3", "S3_1"),
    row("e", "test", "S2", "S2_2"),
    row("f", "test", "S4", "S4_1"),
]


def test_the_summary_counts_what_training_knows():
    assert summary(ROWS, pairs(True, True, True, False), {"happy/b.png": "happy/a.png"}) == {
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


def test_the_summary_says_nothing_about_groups_that_a_name_does_not_tell():
    rows = [row("a", "train", "S1", "S1_1"), row("b", "test", "S1", "")]
    facts = summary(rows, pairs(False), {})
    assert facts["held_out_sharing_subject"] == 1.0
    assert facts["held_out_sharing_sequence"] is None
    assert "sequence" not in "".join(lines(facts, "none"))


def test_the_summary_says_when_test_also_chooses():
    facts = summary([row("a", "train"), row("b", "test")], pairs(False), {})
    assert (facts["val"], facts["selected_on_test"]) == (0, True)
    assert lines(facts, "none")[-1] == (
        "WARNING: val_size is 0, so test also chooses the epoch; its metrics will be optimistic"
    )


@pytest.mark.parametrize(
    ("group_by", "subject", "sequence"), [("subject", 0, 0), ("sequence", 1, 0), ("none", 1, 1)]
)
def test_what_is_grouped_is_not_shared(params, group_by, subject, sequence):
    facts = summary(assign(PATHS, params(group_by=group_by)), pairs(False), {})
    assert (facts["held_out_sharing_subject"] > 0.5) == bool(subject)
    assert (facts["held_out_sharing_sequence"] > 0.5) == bool(sequence)
    if not sequence:
        assert facts["held_out_sharing_sequence"] == 0.0


@pytest.mark.parametrize("key", ["sharing_subject", "sharing_sequence", "near_duplicates"])
def test_more_than_a_hundredth_of_anything_shared_is_warned_of(key):
    shares = {"sharing_subject": 0.0, "sharing_sequence": 0.0, "near_duplicates": 0.0}

    def told(share):
        facts = summary(ROWS, pairs(False), {})
        facts |= {f"held_out_{name}": each for name, each in (shares | {key: share}).items()}
        return lines(facts, "none")

    assert not [line for line in told(0.01) if "WARNING" in line]
    (warning,) = [line for line in told(0.011) if "WARNING" in line]
    assert warning == (
        "WARNING: training knows who or what the held-out images show, so accuracy on them will "
        "say little about people never seen"
    )


def test_repeated_images_are_told():
    facts = summary(ROWS, pairs(False), {"happy/b.png": "happy/a.png"})
    assert lines(facts, "none")[1] == (
        "images that repeat another one pixel by pixel: 1; each is in the split of that one"
    )


# The stage


def write_raw(project, tree):
    """data/raw/ of a tree."""
    source = write_folder(project / "source", tree)
    contents = repacking.repack(source, paths.IMAGES, None, 0.0)
    files.write_csv(paths.INDEX, paths.INDEX_COLUMNS, contents.images)
    return project / paths.INDEX


@pytest.fixture
def index(project):
    """data/raw/ of PATHS."""
    return write_raw(project, {path: png(number) for number, path in enumerate(PATHS)})


def test_the_stage_writes_rows_counts_and_summary(project, index, params, run_stage, files_under):
    done = run_stage("split")
    assert (done.returncode, done.stderr) == (0, "")
    rows = assign(PATHS, params())
    facts = summary(rows, pairs(False), {})
    assert files_under(project / "data") == [
        "raw/images.zip",
        "raw/index.csv",
        "split.csv",
        "split_audit.json",
    ]
    assert files_under(project / "reports") == [
        *("closest_pairs.csv", "split.json", "split_counts.csv"),
    ]
    with (project / "data" / "split.csv").open(encoding="utf-8", newline="") as file:
        header, *written = csv.reader(file)
    assert header == ["path", "label", "subject", "sequence", "split"]
    assert written == [[r.path, r.label, r.subject, r.sequence, r.split] for r in rows]
    assert json.loads((project / "data/split_audit.json").read_text()) == facts
    metrics = {"near_duplicates": facts["held_out_near_duplicates"]}
    assert json.loads((project / "reports/split.json").read_text()) == metrics
    counts = (project / "reports" / "split_counts.csv").read_text().splitlines()
    assert counts[:4] == [
        "class,split,images",
        *(
            f"anger,{name},{sum((r.label, r.split) == ('anger', name) for r in rows)}"
            for name in ("train", "val", "test")
        ),
    ]
    assert len(counts) == 1 + 3 * len(CLASSES)
    listed = files.read_csv(paths.REPORTS / "closest_pairs.csv", paths.CLOSEST_PAIRS_COLUMNS)
    assert len(listed) == 100
    assert {line["shared"] for line in listed} == {"neither"}
    assert done.stdout.splitlines() == [
        f"split: train {facts['train']}, val {facts['val']}, test {facts['test']} images, grouped "
        "by subject",
        "split: 0.0% of the held-out images share their subject with training",
        "split: 0.0% of the held-out images share their sequence with training",
        "split: 0.0% of the held-out images have a near-duplicate in training, by their pixels",
        "split: the closest pairs are in reports/closest_pairs.csv",
    ]


def test_the_stage_warns_when_test_also_chooses(index, write_params, run_stage):
    write_params({"split.val_size": 0.0})
    assert run_stage("split").stdout.splitlines()[-1] == (
        "split: WARNING: val_size is 0, so test also chooses the epoch; its metrics will be "
        "optimistic"
    )


def test_what_the_names_hide_the_stage_finds_in_the_pixels(project, write_params, run_stage):
    """Each image has a slightly changed copy, and no name says anything."""
    tree = {}
    for number in range(60):
        image = noise(number, width=24, height=24)
        tree[f"{'ab'[number % 2]}/{number:02}.png"] = encoded(image)
        changed = image.point(lambda tone: tone * 0.9 + 5)
        tree[f"{'ab'[number % 2]}/{number + 60:03}.png"] = encoded(changed)
    write_raw(project, tree)
    write_params({"split.group_by": "none", "split.name_pattern": ""})
    done = run_stage("split")
    facts = json.loads((project / "data/split_audit.json").read_text())
    assert facts["held_out_sharing_subject"] is None
    part = {row["path"]: row["split"] for row in files.read_csv(paths.SPLIT, paths.SPLIT_COLUMNS)}
    earlier = {"val": ("train",), "test": ("train", "val")}
    copies = list(zip(list(tree)[::2], list(tree)[1::2], strict=True))
    known = [
        part[other] in earlier.get(part[path], ())
        for pair in copies
        for path, other in (pair, pair[::-1])
        if part[path] != "train"
    ]
    share = sum(known) / len(known)
    assert share > 0.3
    assert facts["held_out_near_duplicates"] == files.rounded(share)
    assert "split: WARNING: training knows who or what the held-out images show" in done.stdout


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
