import itertools

import numpy as np
import pandas as pd
import pytest
from faces import encoded, noise, png, repack, write_folder, write_zip

from ferpipe.core import paths, tables, threads
from ferpipe.core.errors import PipelineError
from ferpipe.data import archive, images
from ferpipe.data import write_records as writing
from ferpipe.data.records import read_schema, read_split
from ferpipe.data.write_records import write_records
from ferpipe.params.preprocess import Preprocess


@pytest.fixture
def params(values):
    """The section with small images and some keys changed."""

    def changed(**changes):
        return Preprocess(**values["preprocess"] | {"image_size": 8} | changes)

    return changed


def make(folder, tree, part=lambda number: paths.SPLITS[number % 3]):
    """Write the archive of a tree; returns its path and the table of a split."""
    target = folder / "images.zip"
    contents = repack(write_folder(folder / "source", tree), target)
    images = contents.images[["path", "label"]].values.tolist()
    rows = [(*image, "", "", part(n)) for n, image in enumerate(images)]
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


@pytest.mark.parametrize(("color", "channels"), [("grayscale", 1), ("rgb", 3)])
def test_records_hold_each_image_in_the_order_of_the_archive(run, color, channels):
    tree = tree_of(20) | {"angry/colour.png": encoded(noise(2, 30, 20, "RGB"))}
    folder, schema = run(tree, color=color)
    assert read_schema(folder) == schema
    assert (schema.channels, schema.image_size) == (channels, 8)
    for number, name in enumerate(paths.SPLITS):
        part = read_split(folder, schema, name)
        expected = sorted(tree)[number::3]
        assert list(part.paths) == expected
        assert [schema.classes[n] for n in part.labels] == [p.split("/")[0] for p in expected]
        for pixels, path in zip(part.images, expected, strict=True):
            assert np.array_equal(pixels, images.square(images.decode(tree[path]), 8, color))


def test_the_schema_has_the_images_of_each_split_also_without_val(run):
    _, with_val = run(tree_of(10))
    assert with_val.images == {"train": 4, "val": 3, "test": 3}
    assert (with_val.classes, with_val.selected_on_test) == (["angry", "happy"], False)
    folder, without = run(tree_of(10), lambda n: ("train", "test")[n % 2])
    assert without.images == {"train": 5, "val": 0, "test": 5}
    assert (without.shards["val"], without.selected_on_test) == ([], True)
    assert len(read_split(folder, without, "val").paths) == 0


def test_a_split_larger_than_a_shard_goes_into_several(run, files_under):
    tree = tree_of(20)
    splits = ["train"] * 13 + ["val"] * 3 + ["test"] * 4
    folder, schema = run(tree, splits.__getitem__, shard_size=4)
    assert schema.shards == {
        "train": [f"train-{n:05d}-of-00004.tfrecord" for n in range(4)],
        "val": ["val-00000-of-00001.tfrecord"],
        "test": ["test-00000-of-00001.tfrecord"],
    }
    indexes = [f"{name}-index.npy" for name in paths.SPLITS]
    assert files_under(folder) == sorted(
        ["schema.json", *indexes, *itertools.chain(*schema.shards.values())]
    )
    assert list(read_split(folder, schema, "train").paths) == sorted(tree)[:13]
    sizes = [(folder / name).stat().st_size for name in schema.shards["train"]]
    assert sizes[0] == sizes[1] == sizes[2] and sizes[3] < sizes[0] / 3


def test_images_that_fill_more_than_one_piece_keep_their_order(run):
    tree = tree_of(2 * threads.MOST_ITEMS + 10)
    folder, schema = run(tree, lambda n: "train")
    assert list(read_split(folder, schema, "train").paths) == sorted(tree)


def test_the_number_of_workers_changes_no_byte(run, files_under, monkeypatch):
    monkeypatch.setattr(threads, "LARGE", 0)
    monkeypatch.setattr(threads, "MOST_ITEMS", 4)
    written = []
    for workers in (1, 4, 0):
        folder, _ = run(tree_of(30), workers=workers, shard_size=7)
        written.append({name: (folder / name).read_bytes() for name in files_under(folder)})
    # Of many images, in processes.
    monkeypatch.setattr(writing, "MANY", 30)
    monkeypatch.setattr(writing, "threads", None)
    folder, _ = run(tree_of(30), workers=2, shard_size=7)
    written.append({name: (folder / name).read_bytes() for name in files_under(folder)})
    assert len(written[0]) == 10
    assert written == [written[0]] * 4


def test_few_images_or_one_worker_start_no_process(run, monkeypatch):
    monkeypatch.setattr(writing, "processes", None)
    run(tree_of(6))
    monkeypatch.setattr(writing, "MANY", 6)
    run(tree_of(6), workers=1)


@pytest.mark.parametrize(
    ("path", "label", "split"),
    [
        ("angry/0.png", "angry", "elsewhere"),
        ("angry/0.png", "happy", "train"),
        ("0.png", "angry", "train"),
        ("angry/001.png", "angry", "train"),
        ("", "", ""),
    ],
    ids=["split", "class", "no class", "twice", "nothing"],
)
@pytest.mark.parametrize("table_path", [paths.SPLIT, paths.INDEX])
def test_an_invalid_row_is_an_error_that_names_table_and_line(
    tmp_path, params, table_path, path, label, split
):
    zipped, table = make(tmp_path, tree_of(6))
    table.loc[6] = (path, label, "", "", split)
    with pytest.raises(PipelineError) as error:
        write_records(table, zipped, params(), tmp_path / "records", 1, table_path=table_path)
    message = f"{table_path}, line 8: not a valid row; run `dvc repro --force`"
    assert str(error.value) == message


def test_an_image_that_is_not_in_the_table_is_an_error(tmp_path, params):
    path, table = make(tmp_path, tree_of(6))
    with pytest.raises(PipelineError) as error:
        write_records(table[1:], path, params(), tmp_path / "records", 1)
    message = f"data/split.csv and {path} differ at angry/001.png; run `dvc repro --force`"
    assert str(error.value) == message
    assert not (tmp_path / "records").exists()


def test_an_image_that_is_damaged_in_the_archive_is_named(tmp_path, params, monkeypatch):
    path, table = make(tmp_path, tree_of(6))
    write_zip(path, dict(archive.read_images(path)) | {"angry/003.png": b"not an image"})
    with pytest.raises(PipelineError, match=r"angry/003\.png cannot be used \(not an image"):
        write_records(table, path, params(), tmp_path / "records", 1)
    monkeypatch.setattr(writing, "MANY", 1)
    with pytest.raises(PipelineError, match=r"angry/003\.png cannot be used \(not an image"):
        write_records(table, path, params(), tmp_path / "records", 2)


# The stage


@pytest.fixture
def stage(project):
    """The input files of the stage; returns the table of the split."""
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
    kinds = ("00000-of-00001.tfrecord", "index.npy")
    shards = [f"records/{name}-{kind}" for name in sorted(paths.SPLITS) for kind in kinds]
    raw = [f"raw/{name}" for name in before]
    written = [*raw, "records/schema.json", *shards, "split.csv"]
    assert files_under(project / "data") == ["assigned.csv", *written]
    schema = read_schema(project / "data" / "records")
    val = read_split(project / "data" / "records", schema, "val")
    assert list(val.paths) == stage["path"][stage["split"] == "val"].tolist()


def test_an_error_of_the_stage_is_one_line_and_the_old_records_stay(project, stage, run_stage):
    old = project / "data" / "records" / "schema.json"
    write_folder(project, {"data/records/schema.json": b"old"})
    with (project / "data" / "split.csv").open("a", encoding="utf-8") as file:
        file.write("angry/999.png,angry,,,train\n")
    done = run_stage("preprocess")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "preprocess: error: data/split.csv and data/raw/images.zip differ at happy/000.png; "
        "run `dvc repro --force`\n"
    )
    assert old.read_bytes() == b"old"
    names = {"assigned.csv", "local", "raw", "records", "split.csv"}
    assert {path.name for path in (project / "data").iterdir()} == names
