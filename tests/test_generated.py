"""Generated inputs: each is read or refused in one line, whatever a file holds.

Hypothesis generates them, the same in every run. `EXAMPLES` is how many of each kind.
"""

import contextlib
import copy
import io
import json
import struct
import warnings
import zipfile
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from faces import dataset, encoded, png, repack, write_zip
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from record_files import faces, framed, write

from ferpipe.core import paths, tables
from ferpipe.core.errors import PipelineError
from ferpipe.data import archive, images, index
from ferpipe.data.records import read_schema, read_split
from ferpipe.data.write_records import write_records
from ferpipe.params.experiment import read_experiment
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.reader import read_yaml
from ferpipe.params.split import Split
from ferpipe.sources.intake import repacking
from ferpipe.splitting.assign import assign
from ferpipe.splitting.subjects import name_images

ROOT = Path(__file__).parents[1]
COMMITTED = read_yaml(ROOT / "params.yaml")
LIMITS = SimpleNamespace(files=200, file_mb=1, total_mb=1, ratio=100)
# Inputs of each kind.
EXAMPLES = {
    "params": 200,
    "params_text": 150,
    "index": 200,
    "split": 150,
    "schema": 150,
    "records": 200,
    "names": 200,
    "archive": 500,
    "image": 1000,
}


def generated(kind, **strategies):
    """Run a test on `EXAMPLES[kind]` inputs, the same ones in every run."""
    configured = settings(
        max_examples=EXAMPLES[kind],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    return lambda test: configured(given(**strategies)(test))


@contextlib.contextmanager
def refused_in_one_line():
    """Let the block succeed or raise one error that is meant for users."""
    try:
        yield
    except PipelineError as error:
        assert str(error)
        assert "\n" not in str(error)


# Values that a file may hold, and edits of its bytes.
odd_text = st.text(max_size=20) | st.sampled_from(["", "a/b", "../x", "nan", "1e400", "\0", "=1+1"])
scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=True) | odd_text
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3),
    max_leaves=5,
)
edits = st.lists(
    st.tuples(
        st.sampled_from(["change", "insert", "delete"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=8),
    ),
    max_size=4,
)


def edited(data, changes):
    """Bytes with some of them changed."""
    data = bytearray(data)
    for kind, position, piece in changes:
        start = int(position * len(data))
        end = start + (0 if kind == "insert" else len(piece))
        data[start:end] = b"" if kind == "delete" else piece
    return bytes(data)


def paths_of(nested, prefix=()):
    """The path of every mapping and value of a nested mapping."""
    for key, value in nested.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from paths_of(value, (*prefix, key))


def put(nested, path, value):
    """JSON of a nested mapping with another value at a path; `...` removes the key."""
    nested = copy.deepcopy(nested)
    target = nested
    for key in path[:-1]:
        target = target[key]
    if value is ...:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return json.dumps(nested).encode("utf-8", "replace")


@generated("params", path=st.sampled_from(list(paths_of(COMMITTED))), value=values | st.just(...))
def test_any_value_in_params_yaml(tmp_path, path, value):
    file = tmp_path / "params.yaml"
    file.write_bytes(put(COMMITTED, path, value))
    with refused_in_one_line():
        read_experiment(file)


@generated("params_text", changes=edits)
def test_any_edit_of_params_yaml(tmp_path, changes):
    file = tmp_path / "params.yaml"
    file.write_bytes(edited((ROOT / "params.yaml").read_bytes(), changes))
    with refused_in_one_line():
        read_experiment(file)


PEOPLE = [
    f"{label}/S{person:03}_001_{frame:08}.png"
    for label in ("anger", "joy")
    for person in range(8)
    for frame in range(2)
]


@generated(
    "index",
    changes=edits,
    path=odd_text | st.sampled_from(PEOPLE),
    rows=st.sampled_from([0, 1, len(PEOPLE)]),
    group_by=st.sampled_from(["none", "subject"]),
)
def test_any_index_is_assigned_whole(tmp_path, changes, path, rows, group_by):
    file = tmp_path / "index.csv"
    rest = f"48,48,L,{'0' * 64},,,"
    lines = [f"{name},{name.split('/')[0]},{rest}" for name in PEOPLE[:rows]]
    if path:
        lines.append(f'"{path}",anger,{rest}')
    text = "\n".join([",".join(paths.INDEX_COLUMNS), *lines, ""])
    file.write_bytes(edited(text.encode("utf-8", "replace"), changes))
    params = Split(**COMMITTED["split"] | {"group_by": group_by})
    with refused_in_one_line():
        table = name_images(index.read_index(file), params)
        assert len(assign(table, params)) == len(table)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The canonical archive of eight faces, and the text of their split.csv."""
    folder = tmp_path_factory.mktemp("packed")
    source = write_zip(folder / "source.zip", dataset(per_class=4))
    contents = repack(source, folder / "images.zip")
    split = contents.images[["path", "label"]].assign(subject="", sequence="")
    split["split"] = [paths.SPLITS[number % 3] for number in range(8)]
    tables.write_table(folder / "split.csv", split)
    return folder / "images.zip", (folder / "split.csv").read_bytes()


@generated("split", changes=edits)
def test_any_split_gives_whole_records(tmp_path, packed, changes):
    zipped, text = packed
    file = tmp_path / "split.csv"
    file.write_bytes(edited(text, changes))
    params = Preprocess(**COMMITTED["preprocess"] | {"image_size": 8})
    with refused_in_one_line():
        table = tables.read_table(file, paths.SPLIT_COLUMNS)
        schema = write_records(table, zipped, params, tmp_path / "records", workers=1)
        read = [read_split(tmp_path / "records", schema, name) for name in paths.SPLITS]
        assert sum(len(part.paths) for part in read) == len(table) == 8


@generated("schema", data=st.data())
def test_any_schema(tmp_path, data):
    schema = asdict(write(tmp_path, [faces(2), faces(1)]))
    path = data.draw(st.sampled_from(list(paths_of(schema))))
    (tmp_path / "schema.json").write_bytes(put(schema, path, data.draw(values | st.just(...))))
    with refused_in_one_line():
        read = read_schema(tmp_path)
        assert len(read_split(tmp_path, read, "train").paths) == 3


@generated("records", changes=edits, valid_checksums=st.booleans())
def test_any_shard_is_read_whole(tmp_path, changes, valid_checksums):
    """Also where the checksums of the frame are valid and its content is not."""
    schema = write(tmp_path, [faces(2)])
    file = tmp_path / schema.shards["train"][0]
    data = file.read_bytes()
    if valid_checksums:
        length = struct.unpack("<Q", data[:8])[0]
        damaged = framed(edited(data[12 : 12 + length], changes)) + data[16 + length :]
    else:
        damaged = edited(data, changes)
    file.write_bytes(damaged)
    with refused_in_one_line():
        read_split(tmp_path, schema, "train")
        assert damaged == data


parts = st.text(max_size=12) | st.sampled_from(
    ["..", ".", "", "C:", "__MACOSX", ".git", "con", "a" * 300, "A", "a", "é", "e\u0301", "a\\b"]
)
file_names = st.builds(
    lambda folders, name, suffix: "/".join([*folders, name + suffix]),
    st.lists(parts, max_size=3),
    parts,
    st.sampled_from([".png", ".PNG", ".jpg", ".txt", ""]),
)


@generated("names", names=st.lists(file_names, min_size=1, max_size=8))
def test_any_file_names_are_repacked(tmp_path, names):
    source = tmp_path / "source.zip"
    with zipfile.ZipFile(source, "w") as zipped, contextlib.suppress(UnicodeEncodeError):
        for number, name in enumerate([*names, "x/1.png", "y/1.png"]):
            entry = zipfile.ZipInfo("placeholder")
            entry.filename = name  # as it is, without zipfile's corrections
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of duplicate names
                zipped.writestr(entry, png(number))
    check_repacking(source, tmp_path)


def check_repacking(source, folder):
    """Repack into a safe archive, or leave nothing behind."""
    target = folder / "images.zip"
    target.unlink(missing_ok=True)
    with refused_in_one_line():
        contents = repack(source, target, None, 0.9, LIMITS)
        repacked = list(archive.read_images(target))
        assert [path for path, _ in repacked] == sorted(contents.images["path"])
        for path, data in repacked:
            label, name = path.split("/")
            assert path.isprintable() and ".." not in (label, name)
            assert images.decode(data).mode in ("L", "RGB")
        skipped = repacking.skipped_table(contents.skipped)
        tables.write_table(folder / "skipped.csv", skipped)
        read = tables.read_table(folder / "skipped.csv", paths.SKIPPED_COLUMNS)
        assert read.values.tolist() == skipped.values.tolist()
        (folder / "skipped.csv").unlink()
    assert {path.name for path in folder.iterdir()} <= {"source.zip", "images.zip"}


def zip_bytes(compression):
    file = io.BytesIO()
    return write_zip(file, dataset(per_class=2) | {"README": b"hello"}, compression).getvalue()


ZIPS = [zip_bytes(zipfile.ZIP_STORED), zip_bytes(zipfile.ZIP_DEFLATED)]


@generated("archive", data=st.sampled_from(ZIPS), changes=edits)
def test_any_archive_is_repacked(tmp_path, monkeypatch, data, changes):
    monkeypatch.setattr(repacking, "REFUSED", tmp_path.parent / "refused.csv")
    (tmp_path / "source.zip").write_bytes(edited(data, changes))
    check_repacking(tmp_path / "source.zip", tmp_path)


@generated(
    "image",
    form=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"]),
    width=st.integers(1, 9),
    height=st.integers(1, 9),
    changes=edits,
)
def test_any_image_is_decoded(form, width, height, changes):
    pixels = np.arange(width * height, dtype=np.uint8).reshape(height, width)
    data = edited(encoded(Image.fromarray(pixels), form), changes)
    try:
        image = images.decode(data)
    except images.ImageRefused as reason:
        assert str(reason)
        assert "\n" not in str(reason)
    else:
        assert image.mode in ("L", "RGB")
        assert images.square(image, 8, "rgb").shape == (8, 8, 3)
