import dataclasses
import itertools
import json

import numpy as np
import pandas as pd
import pytest
from faces import encoded, noise, png, write_folder, write_zip

from ferpipe.core import paths, tables
from ferpipe.core.errors import PipelineError
from ferpipe.data import archive, images
from ferpipe.data.records import read_schema, read_split
from ferpipe.data.write_records import CHUNK, shard_names, write_records
from ferpipe.params.preprocess import Preprocess
from ferpipe.sources.intake import repacking


@pytest.fixture
def params(values):
    """The section with small images and some keys changed."""

    def changed(**changes):
        return Preprocess(**values["preprocess"] | {"image_size": 8} | changes)

    return changed


def make(folder, tree, part=lambda number: paths.SPLITS[number % 3]):
    """Write the archive of a tree; returns its path and the table of a split."""
    target = folder / "images.zip"
    contents = repacking.repack(write_folder(folder / "source", tree), target, None, 0.0)
    rows = [(image.path, image.label, "", "", part(n)) for n, image in enumerate(contents.images)]
    return target, pd.DataFrame(rows, columns=list(paths.SPLIT_COLUMNS))


def tree_of(count):
    return {f"{'angry' if n % 2 else 'happy'}/{n:03}.png": png(n) for n in range(count)}


@pytest.fixture
def run(tmp_path, params):
    """Preprocess a tree into a new folder; returns the folder and the schema."""
    numbers = itertools.count()

    def done(tree, part=lambda number: paths.SPLITS[number % 3], workers=2, **changes):
        folder = tmp_path / f"run{next(numbers)}"
        path, table = make(folder, tree, part)
        schema = write_records(table, path, params(**changes), folder / "records", workers)
        return folder / "records", schema

    return done


def test_records_hold_each_image_as_the_policy_has_it_in_the_order_of_the_archive(run):
    tree = tree_of(20)
    folder, schema = run(tree)
    assert read_schema(folder) == schema
    for number, name in enumerate(paths.SPLITS):
        part = read_split(folder, schema, name)
        expected = sorted(tree)[number::3]
        assert part.paths == expected
        assert [schema.classes[n] for n in part.labels] == [p.split("/")[0] for p in expected]
        for pixels, path in zip(part.images, expected, strict=True):
            image = images.square(images.decode(tree[path]), 8, "grayscale")
            assert np.array_equal(pixels, image)


@pytest.mark.parametrize(
    ("count", "size", "names"),
    [
        (0, 3, []),
        (1, 3, ["val-00000-of-00001.tfrecord"]),
        (3, 3, ["val-00000-of-00001.tfrecord"]),
        (4, 3, ["val-00000-of-00002.tfrecord", "val-00001-of-00002.tfrecord"]),
        (2, 1, ["val-00000-of-00002.tfrecord", "val-00001-of-00002.tfrecord"]),
    ],
)
def test_a_shard_is_named_by_its_number_of_how_many(count, size, names):
    assert shard_names("val", count, size) == names


def test_a_split_larger_than_a_shard_goes_into_several(run, files_under):
    tree = tree_of(20)
    folder, schema = run(tree, lambda n: "train" if n < 13 else "val" if n < 16 else "test",
                         shard_size=4)  # fmt: skip
    assert schema.shards == {
        "train": [f"train-{n:05d}-of-00004.tfrecord" for n in range(4)],
        "val": ["val-00000-of-00001.tfrecord"],
        "test": ["test-00000-of-00001.tfrecord"],
    }
    assert files_under(folder) == sorted(["schema.json", *itertools.chain(*schema.shards.values())])
    assert read_split(folder, schema, "train").paths == sorted(tree)[:13]
    sizes = [(folder / name).stat().st_size for name in schema.shards["train"]]
    assert sizes[0] == sizes[1] == sizes[2] and sizes[3] < sizes[0] / 3


def test_images_that_fill_more_than_one_chunk_keep_their_order(run):
    tree = tree_of(CHUNK + 10)
    folder, schema = run(tree, lambda n: "train")
    assert read_split(folder, schema, "train").paths == sorted(tree)


def test_the_number_of_workers_changes_no_byte(run, files_under):
    found = []
    for workers in (1, 4, 0):
        folder, _ = run(tree_of(30), workers=workers, shard_size=7)
        found.append({name: (folder / name).read_bytes() for name in files_under(folder)})
    assert len(found[0]) == 7
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(("color", "channels"), [("grayscale", 1), ("rgb", 3)])
def test_gray_and_colour_sources_come_out_with_the_channels_asked_for(run, color, channels):
    tree = {"a/1.png": png(1), "b/1.png": encoded(noise(2, 30, 20, "RGB"))}
    folder, schema = run(tree, lambda n: "train", color=color, image_size=16)
    assert (schema.channels, schema.image_size) == (channels, 16)
    pixels = read_split(folder, schema, "train").images
    assert pixels.shape == (2, 16, 16, channels)
    if channels == 3:
        assert np.ptp(pixels[0], axis=2).max() == 0 < np.ptp(pixels[1], axis=2).max()


def test_larger_sources_are_resized_down_and_sources_of_the_size_are_kept(run):
    tree = {"a/1.png": encoded(noise(1, 8, 8)), "b/1.png": encoded(noise(2, 80, 60))}
    folder, schema = run(tree, lambda n: "train")
    kept, shrunk = read_split(folder, schema, "train").images
    assert np.array_equal(kept[:, :, 0], np.asarray(noise(1, 8, 8)))
    assert shrunk.std() < np.asarray(noise(2, 80, 60)).std() / 2  # noise averages out


def test_the_schema_counts_the_images_and_says_whether_there_is_a_val(run):
    tree = tree_of(10)
    _, with_val = run(tree)
    assert with_val.images == {"train": 4, "val": 3, "test": 3}
    assert (with_val.classes, with_val.selected_on_test) == (["angry", "happy"], False)
    folder, without = run(tree, lambda n: ("train", "test")[n % 2])
    assert without.images == {"train": 5, "val": 0, "test": 5}
    assert (without.shards["val"], without.selected_on_test) == ([], True)
    assert len(read_split(folder, without, "val").paths) == 0


def test_images_that_only_the_archive_or_the_table_has_are_an_error(tmp_path, params):
    path, table = make(tmp_path, tree_of(6))
    for rows, message in (
        (table[1:], f"angry/001.png is in {path} but not in data/split.csv; run `dvc repro`"),
        (
            pd.concat([table, table[:1].assign(path="angry/999.png")], ignore_index=True),
            f"angry/999.png is in data/split.csv but not in {path}; run `dvc repro`",
        ),
    ):
        with pytest.raises(PipelineError) as error:
            write_records(rows, path, params(), tmp_path / "records", 1)
        assert str(error.value) == message
        assert not (tmp_path / "records").exists()


def test_an_error_names_the_table_that_is_wrong(tmp_path, params):
    path, table = make(tmp_path, tree_of(6), lambda n: "all")
    table.loc[2, "label"] = "joy"
    with pytest.raises(PipelineError, match=r"data/raw/index\.csv, line 4: not a valid row; run"):
        write_records(table, path, params(), tmp_path / "records", 1, ("all",), paths.INDEX)


# The stage


@pytest.fixture
def stage(project):
    """The inputs of the stage, in their places; returns the table of the split."""
    path, table = make(project, tree_of(9))
    (project / "data" / "raw").mkdir(parents=True)
    path.rename(project / "data" / "raw" / "images.zip")
    tables.write_table(project / paths.SPLIT, table)
    return table


def test_the_stage_writes_the_records_and_nothing_else(project, stage, run_stage, files_under):
    write_folder(project, {"data/records/train-00000-of-00009.tfrecord": b"old"})
    before = files_under(project / "data" / "raw")
    done = run_stage("preprocess")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "preprocess: 9 images of 48x48x1 (train 3, val 3, test 3) in 3 shards",
        "preprocess: classes and shards are listed in data/records/schema.json",
    ]
    assert files_under(project / "data" / "records") == [
        "schema.json",
        *(f"{name}-00000-of-00001.tfrecord" for name in sorted(paths.SPLITS)),
    ]
    names = {"local", "raw", "records", "split.csv"}
    assert {path.name for path in (project / "data").iterdir()} == names
    assert files_under(project / "data" / "raw") == before
    schema = read_schema(project / "data" / "records")
    assert json.loads((project / "data" / "records" / "schema.json").read_text()) == (
        dataclasses.asdict(schema)
    )
    val = read_split(project / "data" / "records", schema, "val")
    assert val.paths == stage["path"][stage["split"] == "val"].tolist()


def test_an_error_of_the_stage_is_one_line_and_the_old_records_stay(project, stage, run_stage):
    old = project / "data" / "records" / "schema.json"
    write_folder(project, {"data/records/schema.json": b"old"})
    with (project / "data" / "split.csv").open("a", encoding="utf-8") as file:
        file.write("angry/999.png,angry,,,train\n")
    done = run_stage("preprocess")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "preprocess: error: angry/999.png is in data/split.csv but not in data/raw/images.zip; "
        "run `dvc repro`\n"
    )
    assert old.read_bytes() == b"old"
    names = {"local", "raw", "records", "split.csv"}
    assert {path.name for path in (project / "data").iterdir()} == names


@pytest.mark.parametrize(
    "row",
    ["angry/0.png,angry,,,elsewhere", "angry/0.png,happy,,,train", "0.png,angry,,,train", ",,,,"],
    ids=["no split", "another class", "no class", "nothing"],
)
def test_an_invalid_row_is_an_error_that_names_its_line(project, stage, run_stage, row):
    with (project / "data" / "split.csv").open("a", encoding="utf-8") as file:
        file.write(row + "\n")
    done = run_stage("preprocess")
    assert (done.returncode, done.stdout) == (1, "")
    message = "data/split.csv, line 11: not a valid row; run `dvc repro --force`"
    assert done.stderr == f"preprocess: error: {message}\n"


def test_an_image_that_is_damaged_in_the_archive_is_named(tmp_path, params):
    path, table = make(tmp_path, tree_of(6))
    write_zip(path, dict(archive.read_images(path)) | {"angry/003.png": b"not an image"})
    with pytest.raises(PipelineError, match=r"angry/003\.png cannot be used \(not an image"):
        write_records(table, path, params(), tmp_path / "records", workers=1)
