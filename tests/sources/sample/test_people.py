"""The drawn sample: its names, its bytes, and that it is a fair task."""

import hashlib
import io
import itertools
import os
import re
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import RidgeClassifier

from ferpipe.params.download import Download, Expect, Kaggle, Limits, Local, Sample
from ferpipe.params.run import Run
from ferpipe.sources.sample import face, people, person, source

CLASSES = ["anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"]
RUN = Run(workers=1, download_deadline=60, checkpoint_seconds=0)
# Of two subjects of seed 1. A change here changes every result on the sample: say so in the commit.
PINNED = "600c932a0a8c3cce57570f8434c1c2d0c9aded66b7b651b1582e7500a9946a17"


def params(subjects: int, seed: int) -> Download:
    return Download(
        source="sample",
        root=None,
        max_bad_fraction=0.0,
        limits=Limits(files=1, file_mb=1, total_mb=1, ratio=1),
        expect=Expect(class_counts=None, digest=None),
        sample=Sample(subjects=subjects, seed=seed),
        kaggle=Kaggle(dataset="owner/name", version=None),
        local=Local(path="data/local"),
    )


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Thirty subjects of seed 1: (subjects, classes, frames, 48, 48)."""
    return np.stack([people.draw_subject(1, subject) for subject in range(1, 31)])


@pytest.fixture(scope="module")
def someone() -> person.Person:
    return person.draw_person(lambda name, low, high: 0 if "has" in name else (low + high) // 2)


def portrait(who: person.Person, **units: tuple[int, int]) -> np.ndarray:
    """One upright, evenly lit picture; `au12=(100, 0)` pulls the viewer's left mouth corner."""
    zero = np.zeros(1, np.int64)
    shots = person.Shots(zero, zero, zero, zero + 1024, zero, zero, zero, zero, zero + 100)
    actions = {int(name[2:]): np.array([sides]) for name, sides in units.items()}
    return face.draw(who, shots, actions)[0].astype(int)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return np.corrcoef(first.ravel(), second.ravel())[0, 1]


def test_every_subject_shows_every_class_in_three_frames(tmp_path):
    contents = source.fetch(params(3, 0), RUN, tmp_path / "images.zip")
    assert contents.class_counts == dict.fromkeys(CLASSES, 9)
    assert not contents.skipped
    assert {(image.width, image.height, image.mode) for image in contents.images} == {(48, 48, "L")}


def test_files_are_named_as_in_ck_plus(tmp_path):
    target = tmp_path / "images.zip"
    source.fetch(params(3, 0), RUN, target)
    sequences = {}
    for path in zipfile.ZipFile(target).namelist():
        label, subject, sequence, frame = re.fullmatch(
            r"(\w+)/S(\d{3})_(\d{3})_(\d{8})\.png", path
        ).groups()
        sequences.setdefault((subject, sequence), []).append((label, int(frame)))
    assert len(sequences) == 3 * 7
    for frames in sequences.values():
        assert len({label for label, _ in frames}) == 1
        first = frames[0][1]
        assert [frame for _, frame in frames] == [first, first + 1, first + 2]


def test_the_sequence_number_does_not_tell_the_class():
    orders = {tuple(names[0][5:8] for names in people.file_names(0, s)) for s in range(1, 9)}
    assert len(orders) > 4


def test_the_archive_holds_the_pictures_that_are_drawn(tmp_path):
    target = tmp_path / "images.zip"
    source.fetch(params(2, 5), RUN, target)
    names = people.file_names(5, 2)
    with zipfile.ZipFile(target) as zipped:
        data = zipped.read(f"happy/{names[CLASSES.index('happy')][2]}")
    drawn = people.draw_subject(5, 2)[CLASSES.index("happy"), 2]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), drawn)


def test_png_data_is_one_stored_block():
    pixels = np.arange(48 * 48, dtype=np.uint8).reshape(48, 48)
    data = source.encode_png(pixels)
    assert Image.open(io.BytesIO(data)).mode == "L"
    start = data.index(b"IDAT") + 4
    assert data[start : start + 7] == b"\x78\x01\x01" + bytes([0x30, 0x09, 0xCF, 0xF6])
    rows = zlib.decompress(data[start : data.index(b"IEND") - 8])
    assert rows == b"".join(b"\0" + row.tobytes() for row in pixels)


def test_the_bytes_are_pinned(tmp_path):
    assert source.fetch(params(2, 1), RUN, tmp_path / "images.zip").digest == PINNED


def test_another_seed_draws_other_pictures(tmp_path):
    digests = {
        seed: source.fetch(params(2, seed), RUN, tmp_path / f"{seed}.zip").digest for seed in (1, 2)
    }
    assert digests[1] != digests[2]
    first, again = tmp_path / "1.zip", tmp_path / "again.zip"
    source.fetch(params(2, 1), RUN, again)
    assert again.read_bytes() == first.read_bytes()


def test_more_subjects_leave_the_first_as_they_are(tmp_path):
    few = source.fetch(params(2, 1), RUN, tmp_path / "few.zip")
    more = source.fetch(params(3, 1), RUN, tmp_path / "more.zip")
    assert set(few.images) < set(more.images)


def test_pixels_do_not_depend_on_the_processor():
    known = np._core._multiarray_umath
    features = [name for name in known.__cpu_dispatch__ if known.__cpu_features__.get(name)]
    if not features:
        pytest.skip("this processor has nothing that numpy could do without")
    program = (
        "import hashlib, numpy; from ferpipe.sources.sample import people;"
        "known = numpy._core._multiarray_umath;"
        "assert not any(known.__cpu_features__[name] for name in known.__cpu_dispatch__);"
        "print(hashlib.sha256(people.draw_subject(1, 1).tobytes()).hexdigest())"
    )
    plain = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(features)},
        capture_output=True,
        text=True,
        check=True,
    )
    here = hashlib.sha256(people.draw_subject(1, 1).tobytes()).hexdigest()
    assert plain.stdout.strip() == here


def test_frames_of_a_sequence_are_near_and_differ(faces):
    alike = []
    for first, second, third in faces.reshape(-1, 3, 48, 48):
        assert not np.array_equal(first, second)
        assert not np.array_equal(second, third)
        alike.append(correlation(first, third))
    assert min(alike) > 0.85
    assert np.mean(alike) > 0.96


def test_an_expression_grows_over_its_frames():
    for label in CLASSES:
        intensities = people._intensities(label, lambda name, low, high: high)
        assert (np.diff(intensities.sum(axis=(1, 2))) > 0).all()


def test_subjects_differ_more_than_frames(faces):
    for label in range(7):
        last = faces[:, label, 2]
        alike = [correlation(first, second) for first, second in itertools.pairwise(last)]
        assert max(alike) < 0.95
        assert np.mean(alike) < 0.75


@pytest.mark.parametrize("unit", face.ACTION_UNITS)
def test_each_action_unit_changes_its_part_of_the_face(someone, unit):
    changed = np.abs(portrait(someone, **{f"au{unit}": (100, 100)}) - portrait(someone)) > 8
    assert changed.sum() >= 12
    rows = np.flatnonzero(changed.any(axis=1))
    if unit in (1, 2, 4, 5, 6, 7):
        assert rows.max() < 30
    elif unit not in (9, 26):
        assert rows.min() > 20


def test_every_expression_is_made_of_known_action_units():
    assert list(people.PROTOTYPES) == CLASSES
    used = {unit for prototype in people.PROTOTYPES.values() for unit in prototype}
    assert used <= set(face.ACTION_UNITS)


def test_contempt_is_one_sided(someone):
    def lopsidedness(picture: np.ndarray) -> float:
        mouth = picture[30:44]
        return np.abs(mouth - mouth[:, ::-1]).mean()

    happy = {f"au{unit}": (peak, peak) for unit, peak in people.PROTOTYPES["happy"].items()}
    contempt = {f"au{unit}": (0, peak) for unit, peak in people.PROTOTYPES["contempt"].items()}
    assert lopsidedness(portrait(someone, **contempt)) > 5 * lopsidedness(
        portrait(someone, **happy)
    )
    drawn = people._intensities("contempt", lambda name, low, high: high)
    assert (drawn.min(axis=2) == 0).all()
    assert (drawn.max(axis=(1, 2)) > 0).all()


def test_pixels_alone_tell_something_but_not_all(faces):
    labels = np.broadcast_to(np.arange(7)[None, :, None], faces.shape[:3])
    train, test = slice(0, 22), slice(22, 30)
    model = RidgeClassifier(alpha=10.0)
    model.fit(faces[train].reshape(-1, 48 * 48) / 255, labels[train].ravel())
    accuracy = model.score(faces[test].reshape(-1, 48 * 48) / 255, labels[test].ravel())
    assert 0.25 < accuracy < 0.75


def test_the_contact_sheet_has_a_named_row_a_class():
    sheet = source.contact_sheet(Sample(subjects=3, seed=1), columns=2)
    wider = source.contact_sheet(Sample(subjects=3, seed=1), columns=8)
    assert sheet.mode == "L"
    assert wider.width - sheet.width == 100  # a face at double size and a gap
    names = np.asarray(sheet)[:, :70]
    for row in range(7):
        assert names[row * 100 + 4 : row * 100 + 100].min() < 64
