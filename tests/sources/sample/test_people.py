"""The drawn sample: its names, its bytes, what varies in it, and that it is a fair task."""

import functools
import hashlib
import io
import itertools
import re
import zlib

import numpy as np
import pytest
from faces import BASE
from PIL import Image
from sklearn.linear_model import RidgeClassifier

from ferpipe.core import processes
from ferpipe.data import png
from ferpipe.evaluation import hog
from ferpipe.params.download import Download, Sample
from ferpipe.params.run import Run
from ferpipe.sources.sample import camera, face, people, person, sketch, source, worn

CLASSES = ["anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"]
# Of two subjects of seed 1. A change here changes every result on the sample: say so in the commit.
PINNED = "56a76f6d3d4db126bc6d03d06e4babfb2aa4fc9d5899554859ba0916f5402160"


def fetch(target, subjects, seed):
    params = {**BASE, "sample": {"subjects": subjects, "seed": seed}}
    run = Run(workers=1, memory_mb=1000, download_deadline=1, checkpoint_seconds=0)
    return source.fetch(Download.model_validate(params), run, target)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Thirty subjects of seed 1: (subjects, classes, frames, 48, 48)."""
    return np.stack([people.draw_subject(1, subject) for subject in range(1, 31)])


@pytest.fixture(scope="module")
def someone() -> person.Person:
    """A person of middling traits, who wears nothing and has no marks."""

    def middle(name, low, high):
        if name.startswith("has "):
            return high
        return low if name == "marks" else (low + high) // 2

    return person.draw_person(middle)


def portrait(who: person.Person, **values: object) -> np.ndarray:
    """One picture: upright, evenly lit, sharp and at rest, but for `yaw=300` or `au12=(100, 0)`."""
    shots = dict.fromkeys(person.Shots._fields, 0) | {"scale": 1024, "contrast": 100}
    shots |= {name: value for name, value in values.items() if name in shots}
    actions = {unit: np.array([values.get(f"au{unit}", (0, 0))]) for unit in people.ACTION_UNITS}
    sketch = face.draw(who, person.Shots(*(np.array([v]) for v in shots.values())), actions)
    grain = np.random.default_rng(0).integers(-255, 256, (1, 48, 48))
    return camera.photograph(sketch, grain)[0].astype(int)


def changed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Rows and columns of the pixels that differ visibly: int (2, n)."""
    return np.stack(np.nonzero(np.abs(first - second) > 8))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    return np.corrcoef(first.ravel(), second.ravel())[0, 1]


def test_files_are_named_as_in_ck_plus(tmp_path):
    contents = fetch(tmp_path / "images.zip", subjects=3, seed=0)
    assert contents.class_counts == dict.fromkeys(CLASSES, 9)
    forms = contents.images[["width", "height", "mode"]].drop_duplicates()
    assert forms.values.tolist() == [[48, 48, "L"]]
    sequences = {}
    for path in contents.images["path"]:
        label, subject, sequence, frame = re.fullmatch(
            r"(\w+)/S(\d{3})_(\d{3})_(\d{8})\.png", path
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
    data = png.encode(pixels)
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
    more = fetch(tmp_path / "more.zip", subjects=3, seed=1)
    assert set(first.images["sha256"]) < set(more.images["sha256"])


@pytest.mark.parametrize("workers", [1, 2])
def test_processes_draw_many_subjects_as_one_does(monkeypatch, workers):
    used = []
    ordered = processes.ordered
    monkeypatch.setattr(processes, "ordered", lambda *args: used.append(args[-1]) or ordered(*args))
    few = list(source.draw_subjects(4, 3, workers))
    assert not used
    monkeypatch.setattr(source, "MANY", 3)
    assert np.array_equal(list(source.draw_subjects(4, 3, workers)), few)
    assert used == [2] * (workers - 1)


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
    assert min(similar) > 0.7
    assert np.mean(similar) > 0.93


@pytest.mark.parametrize("label", CLASSES)
@pytest.mark.parametrize("draw", [lambda name, low, high: low, lambda name, low, high: high])
def test_an_expression_grows_from_a_weak_frame_to_the_apex(label, draw):
    total = people._intensities(label, draw, draw).sum(axis=(0, 2))
    assert (np.diff(total) > 0).all()
    assert 0.45 < total[0] / total[-1] < 0.8


def test_people_show_an_expression_in_different_styles_and_strengths():
    for label in CLASSES:
        apexes = [
            people._intensities(
                label,
                functools.partial(people._draw_between, (1, subject)),
                functools.partial(people._draw_between, (1, subject, label)),
            )[:, -1].max(axis=1)
            for subject in range(1, 31)
        ]
        allowed = [{}, *people.STYLES[label]]
        allowed = [{u for u, v in (people.PROTOTYPES[label] | x).items() if v} for x in allowed]
        shown = [{u for u, v in zip(people.ACTION_UNITS, x, strict=True) if v} for x in apexes]
        assert all(units in allowed for units in shown)
        assert all(units in shown for units in allowed)
        assert np.ptp(np.max(apexes, axis=1)) >= 10


def test_subjects_differ_more_than_frames(faces):
    for label in range(7):
        similar = [correlation(*pair) for pair in itertools.pairwise(faces[:, label, 2])]
        assert max(similar) < 0.8
        assert np.mean(similar) < 0.3


@pytest.mark.parametrize("unit", people.ACTION_UNITS)
def test_each_action_unit_changes_its_part_of_the_face(someone, unit):
    rows, _ = changed(portrait(someone, **{f"au{unit}": (100, 100)}), portrait(someone))
    assert len(rows) >= 12
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
    even = someone._replace(mouth_skew=0)
    assert lopsidedness(portrait(even, **contempt)) > 5 * lopsidedness(portrait(even, **happy))
    drawn = people._intensities("contempt", *[lambda name, low, high: high] * 2)
    assert (drawn.min(axis=2) == 0).all()
    assert (drawn.max(axis=(0, 2)) > 0).all()


def test_poses_stay_within_fifteen_degrees():
    most = {}
    for name in ("yaw", "pitch", "turn"):
        (low, high), reach, jitter = person.SHOTS[name]
        most[name] = max(-low, high) + reach + jitter
    assert 200 < most["turn"] <= 1024 * np.sin(np.radians(15))
    assert 180 < most["pitch"] < most["yaw"] <= 430


@pytest.mark.parametrize(("pose", "axis"), [("yaw", 0), ("pitch", 1)])
def test_a_turned_head_shows_less_of_its_far_side(someone, pose, axis):
    zero = np.zeros(1, np.int64)
    straight = person.Shots(*(zero for _ in person.Shots._fields))
    shots = straight._replace(scale=zero + 1024, **{pose: zero + 300})
    turned = sketch.Sketch(someone, shots, {})
    line = [(x, 0) if pose == "yaw" else (0, x) for x in (-1400, -700, 0, 700, 1400)]
    gaps = np.diff(turned.turned(line, depth=100)[axis][0])
    assert gaps[0] > gaps[1] > 700 > gaps[2] > gaps[3] > 0
    nose, rim = (turned.turned([(0, 0)], depth)[axis].item() for depth in (150, 0))
    assert (nose, rim) == (450, 0)


def test_the_head_tilts_by_its_turn(someone):
    upright, tilted = (portrait(someone, turn=turn).astype(np.uint8) for turn in (0, 265))
    alike = {
        angle: correlation(np.asarray(Image.fromarray(upright).rotate(angle, 2)), tilted)
        for angle in (-15, 0, 15)
    }
    assert max(alike, key=alike.get) == -15


def test_the_lamp_is_on_a_side(someone):
    even = portrait(someone._replace(brow_skew=0, mouth_skew=0), light=80)
    right = portrait(someone._replace(brow_skew=0, mouth_skew=0), light=80, light_x=100)
    brighter = right - even
    assert brighter[10:40, 28:38].mean() > 5
    assert brighter[10:40, 10:20].mean() < -25
    # The nose shadows the cheek beside it: darker than on a face whose light has no side.
    assert brighter[26:29, 20:23].mean() < brighter[16:18, 20:23].mean() - 5


@pytest.mark.parametrize("hand", range(1, len(worn.HANDS)))
@pytest.mark.parametrize("side", sketch.SIDES)
def test_a_hand_hides_a_part_of_one_side(someone, hand, side):
    rows, columns = changed(portrait(someone, hand=hand, hand_side=side), portrait(someone))
    outward = (columns - 23.5) * side
    assert len(rows) > 60
    assert outward.max() > 12
    if hand == 1:
        assert rows.min() >= 38  # below the mouth
    else:
        assert outward.min() > 0


def test_hands_are_on_the_weaker_side(monkeypatch):
    drawn = []
    monkeypatch.setattr(people, "draw", lambda *args: drawn.append(args) or face.draw(*args))
    for subject in range(1, 9):
        people.draw_subject(1, subject)
    hands = 0
    for _, shots, actions in drawn:
        total = sum(actions.values())[np.arange(21)]
        weak = total.argmin(axis=1)
        has = shots.hand > 0
        assert (np.array(sketch.SIDES)[weak] == shots.hand_side)[has].all()
        hands += has.sum()
    assert 3 <= hands / 3 <= 20  # of 56 sequences


@pytest.mark.parametrize(
    ("trait", "value", "top", "bottom"),
    [
        ("glasses", 20, 12, 30),
        ("hat", 200, 0, 14),
        ("scarf", 200, 38, 47),
        ("beard", 60, 20, 47),
        ("moustache", 90, 29, 38),
        ("hair_style", "fringe", 0, 20),
        ("hair_style", "swept", 0, 20),
        ("brow_tilt", 90, 12, 19),
        ("brow_skew", 60, 12, 20),
        ("mouth_curve", 90, 31, 40),
        ("mouth_skew", 90, 31, 40),
        ("wrinkles", 100, 7, 36),
        ("marks", ((500, 300, 200, 80),), 24, 29),
    ],
)
def test_each_trait_changes_its_part_of_the_face(someone, trait, value, top, bottom):
    plain = someone._replace(hair_style="bald")
    rows, _ = changed(portrait(plain._replace(**{trait: value})), portrait(plain))
    assert len(rows) >= 6
    assert top <= rows.min()
    assert rows.max() <= bottom


def test_glare_hides_an_eye_behind_glasses_only(someone):
    worn_glasses = someone._replace(glasses=20)
    rows, _ = changed(portrait(worn_glasses, glare=75), portrait(worn_glasses))
    assert len(rows) > 10
    assert np.array_equal(portrait(someone, glare=75), portrait(someone))


def test_the_camera_blurs_and_sets_exposure_contrast_and_noise(someone):
    plain = portrait(someone)
    edges = {
        name: [
            np.abs(np.diff(portrait(someone, **{name: 100}), axis=axis)).mean() for axis in (0, 1)
        ]
        for name in ("defocus", "motion")
    }
    sharp = [np.abs(np.diff(plain, axis=axis)).mean() for axis in (0, 1)]
    assert max(edges["defocus"][0] / sharp[0], edges["defocus"][1] / sharp[1]) < 0.85
    assert edges["motion"][1] / sharp[1] < 0.85 < edges["motion"][0] / sharp[0]
    assert np.median(portrait(someone, exposure=20) - plain) == 20
    assert portrait(someone, contrast=80).std() / plain.std() == pytest.approx(0.8, abs=0.02)
    noise = portrait(someone, noise=9) - plain
    assert np.abs(noise).max() == 9 and abs(noise.mean()) < 1


def test_baselines_classify_unseen_people_worse_than_a_person_could(faces):
    labels = np.broadcast_to(np.arange(7)[None, :, None], faces.shape[:3])
    train, test = slice(0, 22), slice(22, 30)
    pixels, truth = faces[test].reshape(-1, 48, 48, 1), labels[test].ravel()
    linear = RidgeClassifier(alpha=10.0)
    linear.fit(faces[train].reshape(-1, 48 * 48) / 255, labels[train].ravel())
    assert 0.25 < linear.score(pixels.reshape(-1, 48 * 48) / 255, truth) < 0.6
    gradients = hog.features(faces[train].reshape(-1, 48, 48, 1))
    predicted = hog.fit(gradients, labels[train].ravel())(hog.features(pixels))
    assert 0.6 < (predicted == truth).mean() < 0.93


def test_the_contact_sheet_has_a_named_row_a_class():
    sheet = source.contact_sheet(Sample(subjects=3, seed=1), columns=2)
    wider = source.contact_sheet(Sample(subjects=3, seed=1), columns=8)
    assert sheet.mode == "L"
    assert wider.width - sheet.width == 100  # a face at double size and a gap
    names = np.asarray(sheet)[:, :70]
    for row in range(7):
        assert names[row * 100 + 4 : row * 100 + 100].min() < 64
