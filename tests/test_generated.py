"""Inputs that nobody thought of: each ends well or in one line, whatever stands in a file.

Hypothesis makes them, the same in every run. `EXAMPLES` says how many of each.
"""

import contextlib
import functools
import io
import json
import struct
import warnings
import zipfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from faces import dataset, png
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_files import faces, framed, write
from ruamel.yaml import YAML

from ferpipe.core import paths, tables
from ferpipe.core.errors import PipelineError
from ferpipe.data import archive, images, index
from ferpipe.data.records import read_schema, read_split
from ferpipe.data.write_records import write_records
from ferpipe.params.experiment import read_experiment
from ferpipe.params.preprocess import Preprocess
from ferpipe.params.split import Split
from ferpipe.sources.intake import repacking
from ferpipe.splitting.assign import assign
from ferpipe.splitting.audit import summary

ROOT = Path(__file__).parents[1]
PARAMS = (ROOT / "params.yaml").read_text(encoding="utf-8")
VALUES = YAML(typ="safe", pure=True).load(PARAMS)
LIMITS = SimpleNamespace(files=200, file_mb=1, total_mb=1, ratio=100)
# How many inputs of each kind.
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


RAN = Counter()


def generated(kind):
    """Run a test on that many inputs, the same ones in every run."""

    def counted(test):
        inner = test.hypothesis.inner_test

        @functools.wraps(inner)
        def counting(*args, **kwargs):
            RAN[kind] += 1
            return inner(*args, **kwargs)

        test.hypothesis.inner_test = counting
        return configured(test)

    configured = settings(
        max_examples=EXAMPLES[kind],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    return counted


@contextlib.contextmanager
def ends_in_one_line():
    """Let what the block does succeed or end in one error that a user is meant to see."""
    try:
        yield
    except PipelineError as error:
        assert str(error)
        assert "\n" not in str(error)


# What may stand for a value, and how a file may be spoilt.
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
    min_size=1,
    max_size=4,
)


def edited(data, changes):
    """Bytes that are spoilt in some places."""
    data = bytearray(data)
    for kind, where, piece in changes:
        at = int(where * len(data))
        end = at + (0 if kind == "insert" else len(piece))
        data[at:end] = b"" if kind == "delete" else piece
    return bytes(data)


def paths_of(nested, prefix=()):
    """The way to every mapping and value of a nested mapping."""
    for key, value in nested.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from paths_of(value, (*prefix, key))


def put(nested, path, value):
    """A copy of a nested mapping with another value at a path; `...` takes the key away."""
    copy = json.loads(json.dumps(nested))
    target = copy
    for key in path[:-1]:
        target = target[key]
    if value is ...:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return copy


@generated("params")
@given(path=st.sampled_from(list(paths_of(VALUES))), value=values | st.just(...))
def test_any_value_of_params_yaml_is_taken_or_told(tmp_path, path, value):
    file = tmp_path / "params.yaml"
    text = json.dumps(put(VALUES, path, value)).encode("utf-8", "replace")
    file.write_bytes(text)
    with ends_in_one_line():
        read_experiment(file)


@generated("params_text")
@given(changes=edits)
def test_any_params_yaml_is_taken_or_told(tmp_path, changes):
    file = tmp_path / "params.yaml"
    file.write_bytes(edited(PARAMS.encode(), changes))
    with ends_in_one_line():
        read_experiment(file)


PEOPLE = [
    f"{label}/S{person:03}_001_{frame:08}.png"
    for label in ("anger", "joy")
    for person in range(8)
    for frame in range(2)
]
INDEX = (
    ",".join(paths.INDEX_COLUMNS)
    + "\n"
    + "".join(f"{path},{path.split('/')[0]},48,48,L,{'0' * 64}\n" for path in PEOPLE)
)


@generated("index")
@given(
    changes=edits,
    path=odd_text | st.sampled_from(PEOPLE),
    rows=st.sampled_from([0, 1, len(PEOPLE)]),
    group_by=st.sampled_from(["none", "subject"]),
)
def test_any_index_is_split_or_told(tmp_path, changes, path, rows, group_by):
    file = tmp_path / "index.csv"
    lines = INDEX.splitlines(keepends=True)[: rows + 1]
    whole = "".join(lines) + (f'"{path}",anger,48,48,L,{"0" * 64}\n' if path else "")
    file.write_bytes(edited(whole.encode("utf-8", "replace"), changes))
    params = Split(**VALUES["split"] | {"group_by": group_by})
    with ends_in_one_line():
        rows = index.read_index(file)
        assigned = assign(rows["path"].tolist(), params)
        summary(assigned)
        assert len(assigned) == len(rows)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The canonical archive of some faces, and the rows of its split."""
    folder = tmp_path_factory.mktemp("packed")
    with zipfile.ZipFile(folder / "source.zip", "w") as zipped:
        for path, data in dataset(per_class=4).items():
            zipped.writestr(path, data)
    contents = repacking.repack(folder / "source.zip", folder / "images.zip", None, 0.0)
    rows = [
        f"{image.path},{image.label},,,{paths.SPLITS[n % 3]}\n"
        for n, image in enumerate(contents.images)
    ]
    return folder / "images.zip", ",".join(paths.SPLIT_COLUMNS) + "\n" + "".join(rows)


@generated("split")
@given(changes=edits)
def test_any_split_makes_whole_records_or_is_told(tmp_path, packed, changes):
    zipped, text = packed
    (tmp_path / "split.csv").write_bytes(edited(text.encode(), changes))
    params = Preprocess(**VALUES["preprocess"] | {"image_size": 8})
    with ends_in_one_line():
        rows = tables.read_table(tmp_path / "split.csv", paths.SPLIT_COLUMNS)
        schema = write_records(rows, zipped, params, tmp_path / "records", workers=1)
        read = [read_split(tmp_path / "records", schema, name) for name in paths.SPLITS]
        assert sum(len(part.paths) for part in read) == len(rows) == 8


@generated("schema")
@given(data=st.data())
def test_any_schema_is_read_or_told(tmp_path, data):
    schema = asdict(write(tmp_path, [faces(2), faces(1)]))
    path = data.draw(st.sampled_from(list(paths_of(schema))))
    text = json.dumps(put(schema, path, data.draw(values | st.just(...))))
    (tmp_path / "schema.json").write_bytes(text.encode("utf-8", "replace"))
    with ends_in_one_line():
        read = read_schema(tmp_path)
        assert len(read_split(tmp_path, read, "train").paths) == 3


@generated("records")
@given(changes=edits, sound=st.booleans())
def test_any_shard_is_read_whole_or_told(tmp_path, changes, sound):
    """Also where the checksums of the frame are right and what is in it is not."""
    schema = write(tmp_path, [faces(2)])
    file = tmp_path / schema.shards["train"][0]
    data = file.read_bytes()
    if sound:
        length = struct.unpack("<Q", data[:8])[0]
        spoilt = framed(edited(data[12 : 12 + length], changes)) + data[16 + length :]
    else:
        spoilt = edited(data, changes)
    file.write_bytes(spoilt)
    with ends_in_one_line():
        read_split(tmp_path, schema, "train")
        assert spoilt == data


parts = st.text(max_size=12) | st.sampled_from(
    ["..", ".", "", "C:", "__MACOSX", ".git", "con", "a" * 300, "A", "a", "é", "e\u0301", "a\\b"]
)
names = st.builds(
    lambda folders, name, suffix: "/".join([*folders, name + suffix]),
    st.lists(parts, max_size=3),
    parts,
    st.sampled_from([".png", ".PNG", ".jpg", ".txt", ""]),
)


@generated("names")
@given(found=st.lists(names, min_size=1, max_size=8))
def test_any_file_names_make_a_canonical_archive_or_are_told(tmp_path, found):
    source = tmp_path / "source.zip"
    with zipfile.ZipFile(source, "w") as zipped, contextlib.suppress(UnicodeEncodeError):
        for number, name in enumerate([*found, "x/1.png", "y/1.png"]):
            entry = zipfile.ZipInfo("placeholder")
            entry.filename = name  # as it is, with whatever zipfile would mend
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of names that are there twice
                zipped.writestr(entry, png(number))
    check(source, tmp_path)


def check(source, folder):
    """Repack, and where that is an error, leave nothing behind."""
    target = folder / "images.zip"
    target.unlink(missing_ok=True)
    with ends_in_one_line():
        contents = repacking.repack(source, target, None, 0.9, LIMITS)
        found = list(archive.read_images(target))
        assert [path for path, _ in found] == sorted(image.path for image in contents.images)
        for path, data in found:
            label, name = path.split("/")
            assert path.isprintable() and ".." not in (label, name)
            assert images.decode(data).mode in ("L", "RGB")
        skipped = repacking.skipped_table(contents.skipped)
        tables.write_table(folder / "skipped.csv", skipped)
        read = tables.read_table(folder / "skipped.csv", paths.SKIPPED_COLUMNS)
        assert read.values.tolist() == skipped.values.tolist()
        (folder / "skipped.csv").unlink()
    kept = {"source.zip", "images.zip"}
    assert {path.name for path in folder.iterdir()} <= kept


def zip_bytes(compression):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        for path, data in (dataset(per_class=2) | {"README": b"hello"}).items():
            zipped.writestr(path, data)
    return file.getvalue()


ZIPS = [zip_bytes(zipfile.ZIP_STORED), zip_bytes(zipfile.ZIP_DEFLATED)]


@generated("archive")
@given(data=st.sampled_from(ZIPS), changes=edits)
def test_any_archive_is_repacked_or_told(tmp_path, monkeypatch, data, changes):
    monkeypatch.setattr(repacking, "REFUSED", tmp_path.parent / "refused.csv")
    (tmp_path / "source.zip").write_bytes(edited(data, changes))
    check(tmp_path / "source.zip", tmp_path)


@generated("image")
@given(
    form=st.sampled_from(["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"]),
    width=st.integers(1, 9),
    height=st.integers(1, 9),
    changes=edits,
)
def test_any_image_is_decoded_whole_or_refused(form, width, height, changes):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.arange(width * height, dtype=np.uint8).reshape(height, width)).save(
        file, form
    )
    try:
        image = images.decode(edited(file.getvalue(), changes))
    except images.ImageRefused as reason:
        assert str(reason)
        assert "\n" not in str(reason)
    else:
        assert image.mode in ("L", "RGB")
        assert images.square(image, 8, "rgb").shape == (8, 8, 3)


def test_as_many_inputs_were_made_as_are_told():
    assert {kind: RAN[kind] >= EXAMPLES[kind] for kind in RAN} == dict.fromkeys(RAN, True)
