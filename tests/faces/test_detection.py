"""Finding faces, with drawn ones in pictures of all kinds."""

import numpy as np
import pytest
from PIL import Image

from ferpipe.faces import detection
from ferpipe.sources.sample import framing as sample
from ferpipe.sources.sample import people

# Subject and class of drawn faces that are found.
SEEN = [(2, 4), (3, 0)]


def face(side, subject=SEEN[0]):
    """A drawn face as a picture of mode "L"."""
    who, label = subject
    pixels = people.draw_subject(1, who)[label, -1]
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


def landmarks(side, subject=SEEN[0]):
    who, label = subject
    return sample.landmarks(1, who)[label, -1] * side / 48


def scenery(size, *places):
    """A grey picture with faces: (side, left, top, subject) each."""
    picture = Image.new("L", size, 128)
    for side, left, top, subject in places:
        picture.paste(face(side, subject), (left, top))
    return picture


@pytest.fixture(scope="module")
def two():
    places = ((150, 260, 30, SEEN[1]), (120, 20, 60, SEEN[0]))
    return scenery((440, 220), *places)


def test_faces_are_found_from_left_to_right_with_their_landmarks(two):
    left, right = detection.detect(two, 40, 0.8)
    for found, (side, x, y, subject) in (
        (left, (120, 20, 60, SEEN[0])),
        (right, (150, 260, 30, SEEN[1])),
    ):
        assert np.abs(found.landmarks - landmarks(side, subject) - [x, y]).max() < 0.1 * side
        assert found.landmarks.dtype == np.float64
        assert found.landmarks.shape == (5, 2)
        assert x - 10 < found.box[0] < found.box[2] < x + side + 10
        assert y - 10 < found.box[1] < found.box[3] < y + side + 20
        assert 0.8 <= found.confidence <= 1


def test_the_result_is_the_same_each_time_and_in_colour(two):
    first = detection.detect(two, 40, 0.8)
    for again in (two, two.convert("RGB")):
        for one, other in zip(first, detection.detect(again, 40, 0.8), strict=True):
            assert one.box == other.box
            assert one.landmarks.tolist() == other.landmarks.tolist()


def test_smaller_and_less_sure_faces_are_left_out(two):
    found = detection.detect(two, 40, 0.8)
    sides = sorted(max(f.box[2] - f.box[0], f.box[3] - f.box[1]) for f in found)
    larger = detection.detect(two, int(sides[1]) - 2, 0.8)
    assert len(larger) == 1
    surest = max(f.confidence for f in found)
    assert detection.detect(two, 40, min(1.0, surest + 1e-6)) == []


@pytest.mark.parametrize("size", [(1, 1), (11, 300), (300, 5), (12, 12), (13, 40)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_tiny_pictures_have_no_face(size, mode):
    assert detection.detect(Image.new(mode, size, 90), 20, 0.5) == []


@pytest.mark.parametrize("minimum_size", [1, 20, 5000])
def test_any_minimum_size_is_possible(minimum_size):
    assert detection.detect(Image.new("L", (64, 48), 90), minimum_size, 0.5) == []


def test_a_large_picture_is_searched_reduced_and_answered_in_its_own_pixels():
    side = 3600
    picture = Image.new("L", (8000, 6000), 128)
    picture.paste(face(side), (3000, 1500))
    (found,) = detection.detect(picture, 400, 0.8)
    assert np.abs(found.landmarks - landmarks(side) - [3000, 1500]).max() < 0.1 * side


def test_noise_takes_bounded_memory_and_time():
    noise = np.random.default_rng(0).integers(0, 256, (600, 600, 3), dtype=np.uint8)
    assert detection.detect(Image.fromarray(noise), 12, 0.9) == []


def test_of_overlapping_boxes_the_best_stays():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [2, 2, 6, 6]], float)
    scores = np.array([0.8, 0.9, 0.7, 0.6])
    assert detection._suppress(boxes, scores, 0.5).tolist() == [1, 2, 3]
    assert detection._suppress(boxes, scores, 0.5, of_smaller=True).tolist() == [1, 2]
    assert detection._suppress(boxes[:0], scores[:0], 0.5).tolist() == []
