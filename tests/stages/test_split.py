import hashlib
import json

import pytest
from faces import CLASSES, PATHS, encoded, noise, png, write_folder, write_raw

from ferpipe.core import files, paths
from ferpipe.core.tables import read_table
from ferpipe.data.records import read_schema, read_split


@pytest.fixture
def write_tree(project):
    """Write data/raw/ from a tree."""
    return lambda tree, *part_of: write_raw(write_folder(project / "source", tree), *part_of)


def test_it_writes_split_counts_and_audit(
    project, write_tree, write_params, run_stage, files_under
):
    write_tree({path: png(number) for number, path in enumerate(PATHS)})
    write_params({"train": "not a section"})  # the stage reads its own section only
    done = run_stage("split")
    assert (done.returncode, done.stderr) == (0, "")
    outputs = ["assigned.csv", "raw/images.zip", "raw/index.csv", "raw/thumbnails.npy"]
    assert files_under(project / "data") == [*outputs, "split.csv", "split_audit.json"]
    outputs = ["closest_pairs.csv", "split.json", "split_counts.csv"]
    assert files_under(project / "reports") == outputs

    table = read_table(paths.SPLIT, paths.SPLIT_COLUMNS)
    assert table["path"].tolist() == PATHS
    sizes = table["split"].value_counts()
    facts = json.loads(paths.SPLIT_AUDIT.read_text())
    assert facts == {
        **{name: sizes[name] for name in paths.SPLITS},
        "classes": 3,
        "split_by": "random",
        "repeated_images": 0,
        "held_out_sharing_subject": 0.0,
        "held_out_sharing_sequence": 0.0,
        "held_out_near_duplicates": 0.0,
        "selected_on_test": False,
    }
    assert json.loads(paths.SPLIT_METRICS.read_text()) == {"near_duplicates": 0.0}
    assert (project / "reports/split_counts.csv").read_text().splitlines() == [
        "class,split,images",
        *(
            f"{label},{name},{((table['label'] == label) & (table['split'] == name)).sum()}"
            for label in CLASSES
            for name in paths.SPLITS
        ),
    ]
    pairs = paths.CLOSEST_PAIRS.read_text().splitlines()
    assert len(pairs) == 101
    assert all(len(line.split(",")[6]) == 6 for line in pairs[1:])  # four digits: 0.1234
    assert {line.split(",", 7)[7].split(",", 1)[1] for line in pairs[1:]} == {"false,none"}
    assert done.stdout.splitlines() == [
        f"split: train {sizes['train']}, val {sizes['val']}, test {sizes['test']} images, grouped "
        "by subject",
        "split: 0.0% of the held-out images share their subject with training",
        "split: 0.0% of the held-out images share their sequence with training",
        "split: 0.0% of the held-out images have a near-duplicate in training",
        "split: the closest pairs are in reports/closest_pairs.csv",
        "split: subjects 30: S001, S002, S003, ...",
        "split: sequences 90: S001_001, S001_002, S001_003, ...",
    ]


def test_near_duplicates_are_found_without_names(write_tree, write_params, run_stage):
    """Each image has a slightly changed copy, and no name says anything."""
    tree, copy_of = {}, {}
    for number in range(60):
        path, copy = (f"{'ab'[number % 2]}/{name}.png" for name in (number, number + 60))
        image = noise(number, width=24, height=24)
        tree |= {path: encoded(image), copy: encoded(image.point(lambda tone: tone * 0.9 + 5))}
        copy_of |= {path: copy, copy: path}
    write_tree(tree)
    write_params({"split.group_by": "none", "split.name_pattern": ""})
    done = run_stage("split")
    facts = json.loads(paths.SPLIT_AUDIT.read_text())
    assert facts["held_out_sharing_subject"] is None
    split = read_table(paths.SPLIT, paths.SPLIT_COLUMNS).set_index("path")["split"]
    earlier = {"val": ("train",), "test": ("train", "val")}
    held_out = split[split != "train"]
    near = [split[copy_of[path]] in earlier[name] for path, name in held_out.items()]
    assert sum(near) > 0.3 * len(near)
    assert facts["held_out_near_duplicates"] == files.rounded(sum(near) / len(near))
    assert "split: WARNING: training contains people or near-duplicates of" in done.stdout


# Splits that others made


def official(path):
    """The first 20 people are train."""
    return "train" if int(path.split("/S")[1][:3]) <= 20 else "test"


def test_official_parts_are_told_and_used_as_records(
    project, write_tree, write_params, run_stage, files_under
):
    write_tree({path: png(number) for number, path in enumerate(PATHS)}, official)
    write_params({"split.official": "use"})
    done = run_stage("split")
    assert (done.returncode, done.stderr) == (0, "")
    table = read_table(paths.SPLIT, paths.SPLIT_COLUMNS)
    sizes = table["split"].value_counts()
    assert ((table["split"] == "test") == (table["path"].map(official) == "test")).all()
    facts = json.loads(paths.SPLIT_AUDIT.read_text())
    origin = (
        "test: the source's official test part (90 images); val: taken from its train part "
        f"({sizes['val']} images)"
    )
    assert (facts["split_by"], facts["origin"], facts["val_taken"]) == ("official", origin, True)
    assert (facts["repeats_across_splits"], facts["absent"]) == (0, [])
    counts = f"train {sizes['train']}, val {sizes['val']}, test 90 images"
    assert done.stdout.splitlines()[:2] == [
        f"split: {counts}; val grouped by subject",
        f"split: {origin}",
    ]
    assert run_stage("preprocess").returncode == 0
    schema = read_schema(paths.RECORDS)
    assert schema.images == sizes.to_dict()
    test = read_split(paths.RECORDS, schema, "test")
    assert set(map(official, test.paths)) == {"test"}


def test_ignored_parts_are_told(write_tree, write_params, run_stage):
    tree = {path: png(number) for number, path in enumerate(PATHS)}
    write_tree(tree)
    before = run_stage("split").stdout.splitlines()
    split = paths.SPLIT.read_bytes()
    write_tree(tree, official)
    done = run_stage("split")
    told = "split: the source has official parts (train 180, test 90): ignored (split.official)"
    assert done.stdout.splitlines() == [told, *before]
    assert paths.SPLIT.read_bytes() == split


def test_repeats_across_official_parts_and_unknown_people_are_told(
    write_tree, write_params, run_stage
):
    tree = {f"{'ab'[n % 2]}/{n:02}.png": png(n if n < 30 else n - 30) for n in range(40)}
    write_tree(tree, lambda path: "test" if int(path[2:4]) >= 30 else "train")
    write_params({"split.official": "use", "split.group_by": "none", "split.val_size": 0.2})
    done = run_stage("split")
    facts = json.loads(paths.SPLIT_AUDIT.read_text())
    assert (facts["repeated_images"], facts["repeats_across_splits"]) == (10, 10)
    assert facts["held_out_sharing_subject"] is None
    lines = done.stdout.splitlines()
    assert "split: 10 images are exact duplicates" in lines
    assert "split: subjects are not known, so people may be in training and in test" in lines
    assert (
        "split: WARNING: 10 held-out images are exact duplicates of training images; each stays "
        "where the given split has it"
    ) in lines


@pytest.mark.parametrize("column", ["part", "fold"])
def test_an_assigned_file_is_told_with_its_digest(
    project, write_tree, write_params, run_stage, column
):
    write_tree({path: png(number) for number, path in enumerate(PATHS)})
    values = ("train", "val", "test") if column == "part" else (1, 2, 3)
    lines = [f"subject,{column}", *(f"S{n:03},{values[n % 3]}" for n in range(1, 32))]
    (project / "lists").mkdir()
    (project / "lists/people.csv").write_text("\n".join(lines))
    write_params({"split.assigned": "lists/people.csv", "split.fold": 2})
    done = run_stage("split")
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(paths.SPLIT_AUDIT.read_text())
    assert (facts["split_by"], facts["assigned"]) == ("assigned", "people.csv")
    digest = hashlib.sha256((project / "lists/people.csv").read_bytes()).hexdigest()
    assert facts["assigned_sha256"] == digest
    assert facts["held_out_sharing_subject"] == 0.0
    test = {
        "part": "test: assigned by people.csv (90 images); val: assigned by people.csv (90 images)",
        "fold": "test: fold 2 of the 3 in people.csv (90 images); val: taken from the other folds",
    }[column]
    assert facts["origin"].startswith(test)
    assert done.stdout.splitlines()[0] == (
        "split: 1 rows of lists/people.csv match no image, such as S031"
    )


def test_a_split_that_lacks_classes_is_told(write_tree, write_params, run_stage):
    write_tree(
        {path: png(number) for number, path in enumerate(PATHS)},
        lambda path: "train" if path.startswith("sadness") else official(path),
    )
    write_params({"split.official": "use"})
    done = run_stage("split")
    assert json.loads(paths.SPLIT_AUDIT.read_text())["absent"] == ["test: sadness"]
    assert "split: classes without an image: test: sadness" in done.stdout.splitlines()


def test_a_missing_assigned_file_is_one_line(write_tree, write_params, run_stage):
    write_tree({path: png(number) for number, path in enumerate(PATHS)})
    write_params({"split.assigned": "people.csv"})
    done = run_stage("split")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "split: error: split.assigned = 'people.csv': there is no such file; the default is "
        "data/assigned.csv\n"
    )
    assert not paths.SPLIT.exists()
