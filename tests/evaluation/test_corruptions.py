import hashlib
import math

import numpy as np
import pytest

from ferpipe.evaluation.corruptions import CORRUPTIONS

NAMED = {each.name: each for each in CORRUPTIONS}
EVERY = pytest.mark.parametrize("corruption", CORRUPTIONS, ids=list(NAMED))
SIDES = pytest.mark.parametrize("side", [48, 224])
# SHA-256 of gray and RGB pictures at all strengths, shortened.
DIGESTS = {
    "blur": ("7d8f6eeebaabddcb", "ce8558bb3e22982b"),
    "noise": ("74e5f063e07fffed", "a82c090a8154d9c1"),
    "darkness": ("ef225d02bdad15fa", "543f0ff30e8aad0a"),
    "rotation": ("16cade221967522b", "f408edf82adea91c"),
    "shift": ("85480b28792074fb", "b334ab86a429b367"),
    "scale": ("b23c4a983e16599b", "614b88786b7e2cdc"),
    "occlusion": ("865e9e39daf15e18", "550f1f9ec8445f5f"),
    "JPEG": ("d40129f1270a42c0", "801cfd5898602ac6"),
}


def pictures(count, side, channels=1):
    """Stripes and squares of integer sums, a picture unlike the other."""
    y, x = np.mgrid[:side, :side] * 96 // side
    number = np.arange(count)[:, None, None]
    gray = (x * (number + 1) * 3 + y * 2 + 60 * ((x // 24 + y // 32 + number) % 3)) % 256
    return np.repeat(gray.astype(np.uint8)[..., None], channels, axis=3)


def dots(count, side):
    """Bright dots of a sixth of the side, right of the centre, on black."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side - 0.5
    dot = np.hypot(x - 0.25, y) < 1 / 12
    return np.repeat(np.where(dot, 240, 0).astype(np.uint8)[None, ..., None], count, axis=0)


def centres(images):
    """The centre of the bright pixels of each image, x and y from its middle in sides."""
    side = images.shape[1]
    places = (np.arange(side) + 0.5) / side - 0.5
    light = images[..., 0].astype(float)
    total = light.sum(axis=(1, 2))
    x, y = light.sum(axis=1) @ places / total, light.sum(axis=2) @ places / total
    return np.stack([x, y], axis=1)


@EVERY
@pytest.mark.parametrize("channels", [1, 3])
def test_images_keep_their_shape_and_type_and_the_given_ones_their_bytes(corruption, channels):
    images = pictures(3, 48, channels)
    before = images.copy()
    for strength in corruption.strengths:
        corrupted = corruption.apply(images, strength)
        assert corrupted.shape == images.shape
        assert corrupted.dtype == np.uint8
        assert (corrupted != images).any(axis=(1, 2, 3)).all()
    assert (images == before).all()


@EVERY
@pytest.mark.parametrize("channels", [1, 3])
def test_the_bytes_are_the_same_everywhere(corruption, channels):
    digest = hashlib.sha256()
    for strength in corruption.strengths:
        digest.update(corruption.apply(pictures(3, 48, channels), strength))
    assert digest.hexdigest()[:16] == DIGESTS[corruption.name][channels == 3]


@EVERY
def test_what_is_drawn_depends_on_the_index_of_an_image_only(corruption):
    images = np.repeat(pictures(1, 48), 20, axis=0)
    strength = corruption.strengths[1]
    corrupted = corruption.apply(images, strength)
    assert (corruption.apply(images[:7], strength) == corrupted[:7]).all()
    draws = corruption.name not in ("blur", "darkness", "JPEG")
    assert (len(np.unique(corrupted, axis=0)) > 1) == draws


@EVERY
@SIDES
def test_a_stronger_corruption_changes_more(corruption, side):
    images = dots(12, side).astype(int)
    mild, medium, strong = (
        np.abs(corruption.apply(images.astype(np.uint8), strength) - images).mean()
        for strength in corruption.strengths
    )
    assert 0 < mild < medium < strong


@pytest.mark.parametrize("name", [name for name in NAMED if name != "JPEG"])
def test_gray_as_rgb_is_corrupted_as_gray(name):
    for strength in NAMED[name].strengths:
        gray = NAMED[name].apply(pictures(3, 48), strength)
        assert (NAMED[name].apply(pictures(3, 48, 3), strength) == gray).all()


@SIDES
@pytest.mark.parametrize("strength", NAMED["blur"].strengths)
def test_blur_has_its_standard_deviation(side, strength):
    edge = np.zeros((1, side, side, 1), np.uint8)
    edge[:, :, side // 2 :] = 250
    # The slope of a blurred edge is the blur.
    slope = np.diff(NAMED["blur"].apply(edge, strength)[0, side // 2, :, 0].astype(float))
    places = np.arange(len(slope))
    mean = slope @ places / slope.sum()
    deviation = math.sqrt(slope @ (places - mean) ** 2 / slope.sum())
    assert deviation / side == pytest.approx(strength / 100, rel=0.1)


@SIDES
@pytest.mark.parametrize("strength", NAMED["noise"].strengths)
def test_noise_has_its_standard_deviation_and_grains_of_one_size(side, strength):
    gray = np.full((8, side, side, 1), 128, np.uint8)
    noise = NAMED["noise"].apply(gray, strength).astype(int) - 128
    assert noise.std() == pytest.approx(strength, rel=0.05)
    assert abs(noise.mean()) < strength / 20
    small = NAMED["noise"].apply(gray[:, :48, :48], strength)
    place = np.arange(side) * 48 // side
    assert (noise + 128 == small[:, place[:, None], place]).all()


def test_darkness_takes_a_part_of_the_light():
    images = np.full((2, 8, 8, 3), 200, np.uint8)
    dark = [np.unique(NAMED["darkness"].apply(images, strength)).tolist() for strength in (40, 80)]
    assert dark == [[120], [40]]


@SIDES
@pytest.mark.parametrize("strength", NAMED["rotation"].strengths)
def test_rotation_turns_about_the_centre_to_both_sides(side, strength):
    x, y = centres(NAMED["rotation"].apply(dots(20, side), strength)).T
    angles = np.degrees(np.arctan2(y, x))
    assert np.abs(angles) == pytest.approx(np.full(20, strength), abs=0.6)
    assert np.hypot(x, y) == pytest.approx(np.full(20, 0.25), abs=0.005)
    assert len(set(np.sign(angles))) == 2


@SIDES
@pytest.mark.parametrize("strength", NAMED["shift"].strengths)
def test_shift_moves_along_both_axes_to_all_four_corners(side, strength):
    moved = centres(NAMED["shift"].apply(dots(20, side), strength)) - (0.25, 0)
    assert np.abs(moved) == pytest.approx(np.full((20, 2), strength / 100), abs=0.005)
    assert len(set(map(tuple, np.sign(moved)))) == 4


@SIDES
@pytest.mark.parametrize("strength", NAMED["scale"].strengths)
def test_scale_makes_a_face_larger_or_smaller(side, strength):
    scaled = centres(NAMED["scale"].apply(dots(20, side), strength))[:, 0] / 0.25
    steps = np.unique(scaled.round(1))
    assert steps == pytest.approx([1 / (1 + strength / 100), 1 + strength / 100], abs=0.06)


@SIDES
def test_occlusion_covers_a_square_and_a_stronger_one_the_same_place_too(side):
    images = np.zeros((20, side, side, 1), np.uint8)
    images[:, ::2] = 200
    covered = [
        (NAMED["occlusion"].apply(images, strength) == 100)[..., 0]
        for strength in NAMED["occlusion"].strengths
    ]
    for mask, strength in zip(covered, NAMED["occlusion"].strengths, strict=True):
        assert (mask.sum(axis=(1, 2)) == (side * strength // 100) ** 2).all()
        assert len(np.unique(mask, axis=0)) > 10
    mild, medium, strong = covered
    assert (medium[mild]).all()
    assert (strong[medium]).all()
