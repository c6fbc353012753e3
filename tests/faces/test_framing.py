"""Placing faces: the transform, the edge of the picture, and the framing that is measured."""

import numpy as np
import pytest
from PIL import Image
from sklearn.linear_model import RidgeClassifier

from ferpipe.faces import framing
from ferpipe.sources.sample import framing as sample
from ferpipe.sources.sample import people
from framing import paste

SIDE = 48
LANDMARKS = SIDE * sample.FRAMING


@pytest.fixture(scope="module")
def drawn():
    """Drawn faces of two subjects: uint8 (42, 48, 48, 1)."""
    faces = [people.draw_subject(1, subject) for subject in (1, 2)]
    return np.concatenate(faces).reshape(-1, SIDE, SIDE, 1)


def crop(picture, landmarks=LANDMARKS, size=SIDE, color="grayscale"):
    return framing.crop(picture, landmarks, sample.FRAMING, size, color)


def difference(first, second):
    """The mean difference of two images in gray levels."""
    return np.abs(first.astype(int) - second).mean()


def test_a_face_that_is_framed_already_stays_as_it_is(drawn):
    for face in drawn:
        assert np.abs(crop(Image.fromarray(face[..., 0])).astype(int) - face).max() <= 1


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_face_is_turned_back(drawn, quarters):
    face = drawn[20]
    z = (LANDMARKS - SIDE / 2) @ [1, 1j] * (-1j) ** quarters
    landmarks = np.stack([z.real, z.imag], axis=1) + SIDE / 2
    turned = Image.fromarray(np.rot90(face[..., 0], quarters))
    assert np.abs(crop(turned, landmarks).astype(int) - face).max() <= 1


def test_pasted_faces_come_back(drawn):
    rng = np.random.default_rng(0)
    for face in drawn:
        pasted = paste(face, rng)
        back = crop(pasted.picture, pasted.moved(LANDMARKS))
        # At a smaller scale pixels are lost for good; the rim touches the background.
        inner = np.s_[4:-4, 4:-4]
        assert difference(back[inner], face[inner]) < (12 if pasted.scale < 1 else 6)


def test_pasted_faces_keep_their_class(root):
    from ferpipe.model import backend, saving

    subjects = range(1, 13)
    faces = np.concatenate([people.draw_subject(1, s) for s in subjects]).reshape(-1, SIDE, SIDE, 1)
    points = np.concatenate([sample.landmarks(1, s) for s in subjects]).reshape(-1, 5, 2)
    rng = np.random.default_rng(1)
    pasted = [paste(face, rng) for face in faces]
    crops = [crop(one.picture, one.moved(p)) for one, p in zip(pasted, points, strict=True)]
    backend.prepare()
    network = saving.load_vetted(root / "models/drawn.keras")
    direct, framed = (saving.predict(network, x, 64) for x in (faces, np.stack(crops)))
    labels = np.tile(np.repeat(np.arange(7), 3), len(subjects))
    classifier = RidgeClassifier().fit(direct, labels)
    same = classifier.predict(framed) == classifier.predict(direct)
    assert same.mean() >= 0.97


def test_fine_detail_is_averaged_rather_than_sampled():
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (960, 960), dtype=np.uint8))
    assert crop(noise, 20 * LANDMARKS).std() < 12  # sampled, it is 74
    reduced = np.asarray(noise.reduce(20))[..., None]
    assert difference(crop(noise, 20 * LANDMARKS), reduced) < 4


def test_outside_of_the_picture_its_edge_is_repeated():
    x = np.arange(SIDE, dtype=np.uint8)
    picture = Image.fromarray(np.tile(2 * x + 100, (SIDE, 1)))
    face = crop(picture, LANDMARKS + np.array([SIDE / 2, SIDE / 3]))
    assert (face[:, -20:] == 2 * (SIDE - 1) + 100).all()
    assert face.min() >= 100


@pytest.mark.parametrize("away", [-1000, 1000])
def test_landmarks_beside_the_picture_give_its_edge(away):
    picture = Image.new("L", (SIDE, SIDE), 77)
    assert (crop(picture, LANDMARKS + away) == 77).all()


@pytest.mark.parametrize(("mode", "color"), [("L", "rgb"), ("RGB", "grayscale"), ("RGB", "rgb")])
@pytest.mark.parametrize("size", [32, 96])
def test_colours_and_sizes_are_those_of_the_model(drawn, mode, color, size):
    face = crop(Image.fromarray(drawn[0, ..., 0]).convert(mode), size=size, color=color)
    assert face.shape == (size, size, 3 if color == "rgb" else 1)
    assert face.dtype == np.uint8
    assert (face == face[..., :1]).all()  # gray remains gray
    red = framing.box_crop(Image.new("RGB", (9, 9), "red"), (0, 0, 9, 9), size, color)
    assert red[0, 0].tolist() == ([255, 0, 0] if color == "rgb" else [76])


@pytest.mark.parametrize("landmarks", [-LANDMARKS[::-1] * [1, -1], LANDMARKS[[2, 3, 1, 4, 0]]])
def test_landmarks_that_fit_badly_still_give_an_image(drawn, landmarks):
    assert crop(Image.fromarray(drawn[0, ..., 0]), landmarks).shape == (SIDE, SIDE, 1)


def test_the_transform_is_the_closest_similarity():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(2, 5, 2))
    turn, shift = framing._similarity(source, target, 0)

    def error(turn, shift):
        moved = source @ [1, 1j] * turn + shift
        return np.sum(np.abs(moved - target @ [1, 1j]) ** 2)

    for change in (0.01, -0.01, 0.01j, -0.01j):
        assert error(turn, shift) < min(error(turn + change, shift), error(turn, shift + change))


def test_a_box_is_squared_around_its_middle():
    picture = Image.fromarray(np.arange(100, dtype=np.uint8)[None].repeat(100, axis=0))
    face = framing.box_crop(picture, (40, 10, 60, 50), 40, "grayscale")
    assert face[20, :, 0].tolist() == list(range(30, 70))


def test_the_framing_of_drawn_faces_is_measured_as_it_is_known():
    # The detector, made for photos, finds three of four drawn faces.
    faces = [people.draw_subject(1, subject)[:, -1, :, :, None] for subject in (4, 5, 6)]
    measured = framing.measure(np.concatenate(faces))
    assert np.abs(measured - sample.FRAMING).max() < 0.06
    assert measured.tolist() == measured.round(4).tolist()


@pytest.mark.parametrize("count", [0, 1, 5])
def test_without_faces_there_is_no_framing(count):
    noise = np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 1), dtype=np.uint8)
    assert framing.measure(noise) is None
