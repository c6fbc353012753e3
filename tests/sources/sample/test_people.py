"""The drawn sample: its names, its bytes, and that it is a fair task."""

import hashlib
import io
import itertools
import re
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import RidgeClassifier

from ferpipe.params.download import Sample
from ferpipe.sources.sample import face, people, person, source

CLASSES = ["anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"]
# Of two subjects of seed 1. A change here changes every result on the sample: say so in the commit.
PINNED = "600c932a0a8c3cce57570f8434c1c2d0c9aded66b7b651b1582e7500a9946a17"


def fetch(target, subjects, seed):
    return source.fetch(SimpleNamespace(sample=Sample(subjects=subjects, seed=seed)), None, target)


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
    rest = {unit: np.zeros((1, 2), np.int64) for unit in people.ACTION_UNITS}
    actions = rest | {int(name[2:]): np.array([sides]) for name, sides in units.items()}
    return face.draw(who, shots, actions)[0].astype(int)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return np.corrcoef(first.ravel(), second.ravel())[0, 1]


def test_files_are_named_as_in_ck_plus(tmp_path):
    contents = fetch(tmp_path / "images.zip", subjects=3, seed=0)
    assert contents.class_counts == dict.fromkeys(CLASSES, 9)
    assert {(image.width, image.height, image.mode) for image in contents.images} == {(48, 48, "L")}
    sequences = {}
    for image in contents.images:
        label, subject, sequence, frame = re.fullmatch(
            r"(\w+)/S(\d{3})_(\d{3})_(\d{8})\.png", image.path
        ).groups()
        sequences.setdefault((subject, sequence), []).append((label, int(frame)))
    assert len(sequences) == 3 * 7
    for frames in sequences.values():
        label, first = frames[0]
        assert frames == [(label, first), (label, first + 1), (label, first + 2)]


def test_the_sequence_number_does_not_give_away_the_class():
    orders = {tuple(names[0][5:8] for names in people.file_names(0, s)) for s in range(1, 9)}
    assert len(orders) > 4


def test_png_data_is_one_stored_block():
    pixels = np.arange(48 * 48, dtype=np.uint8).reshape(48, 48)
    data = source.encode_png(pixels)
    assert Image.open(io.BytesIO(data)).mode == "L"
    start = data.index(b"IDAT") + 4
    assert data[start : start + 7] == b"\x78\x01\x01" + bytes([0x30, 0x09, 0xCF, 0xF6])
    rows = zlib.decompress(data[start : data.index(b"IEND") - 8])
    assert rows == b"".join(b"\0" + row.tobytes() for row in pixels)


def test_the_bytes_are_pinned(tmp_path):
    first = fetch(tmp_path / "1.zip", subjects=2, seed=1)
    assert first.digest == PINNED
    fetch(tmp_path / "again.zip", subjects=2, seed=1)
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()
    assert fetch(tmp_path / "2.zip", subjects=2, seed=2).digest != PINNED
    assert set(first.images) < set(fetch(tmp_path / "more.zip", subjects=3, seed=1).images)


def test_pixels_do_not_depend_on_the_processor(run_python):
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
    plain = run_python("-c", program, NPY_DISABLE_CPU_FEATURES=" ".join(features))
    here = hashlib.sha256(people.draw_subject(1, 1).tobytes()).hexdigest()
    assert plain.stdout.strip() == here


def test_frames_of_a_sequence_are_similar_and_differ(faces):
    similar = []
    for first, second, third in faces.reshape(-1, 3, 48, 48):
        assert not np.array_equal(first, second)
        assert not np.array_equal(second, third)
        similar.append(correlation(first, third))
    assert min(similar) > 0.85
    assert np.mean(similar) > 0.96


def test_an_expression_grows_over_its_frames():
    for label in CLASSES:
        intensities = people._intensities(label, lambda name, low, high: high)
        assert (np.diff(intensities.sum(axis=(0, 2))) > 0).all()


def test_subjects_differ_more_than_frames(faces):
    for label in range(7):
        similar = [correlation(*pair) for pair in itertools.pairwise(faces[:, label, 2])]
        assert max(similar) < 0.95
        assert np.mean(similar) < 0.75


@pytest.mark.parametrize("unit", people.ACTION_UNITS)
def test_each_action_unit_changes_its_part_of_the_face(someone, unit):
    changed = np.abs(portrait(someone, **{f"au{unit}": (100, 100)}) - portrait(someone)) > 8
    assert changed.sum() >= 12
    rows = np.flatnonzero(changed.any(axis=1))
    if unit in (1, 2, 4, 5, 6, 7):
        assert rows.max() < 30
    elif unit not in (9, 26):
        assert rows.min() > 20


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
    assert (drawn.max(axis=(0, 2)) > 0).all()


def test_pixels_alone_classify_some_but_not_all(faces):
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
