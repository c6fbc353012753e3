import dataclasses
import io
import re
import zipfile

import numpy as np
import pytest
from faces import encoded, noise, png
from networks import bars, published
from PIL import Image

import ferpipe
from ferpipe.core.errors import PipelineError
from ferpipe.data import images
from ferpipe.model import saving
from ferpipe.prediction.predictor import BATCH_SIZE, Predictor, opened
from ferpipe.sources.sample.people import draw_subject

FRAMING = [(0.31, 0.4), (0.69, 0.4), (0.5, 0.6), (0.36, 0.77), (0.64, 0.77)]


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    classes = ["anger", "happy", "sadness"]
    return published(tmp_path_factory.mktemp("model"), classes, FRAMING)


@pytest.fixture(scope="module")
def predictor(model_path):
    return Predictor.load(model_path, cropped=True)


def pixels(picture):
    return np.asarray(opened(picture))


def test_the_package_offers_it():
    assert ferpipe.Predictor is Predictor
    with pytest.raises(AttributeError, match="'Predicter'"):
        ferpipe.Predicter  # noqa: B018


def test_files_images_and_arrays_give_the_same(predictor, tmp_path):
    image = noise(1, 40, 30)
    path = tmp_path / "1.png"
    path.write_bytes(encoded(image))
    results = predictor([path, str(path), image, np.asarray(image), np.asarray(image)[:, :, None]])
    probabilities = np.array([faces[0].probabilities for faces in results])
    assert probabilities.shape == (5, 3)
    assert (probabilities == probabilities[0]).all()
    assert probabilities[0].sum() == pytest.approx(1, abs=1e-6)


def test_a_face_is_treated_as_in_preprocess(predictor):
    image = noise(2, 50, 31, "RGB")
    ((prediction,),) = predictor([image])
    seen = images.square(image, 24, "grayscale")
    assert np.array_equal(prediction.image, seen)
    expected = saving.predict(predictor.model, seen[None], 1)[0]
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-6)
    assert prediction.label == predictor.card.classes[expected.argmax()]
    assert prediction.probability == pytest.approx(expected.max(), abs=1e-6)
    assert prediction.face is None


@pytest.mark.parametrize("count", [0, 1, BATCH_SIZE, 2 * BATCH_SIZE + 3])
def test_results_are_in_the_order_of_the_pictures(predictor, count):
    pictures = [noise(number, 24, 24) for number in range(count)]
    results = predictor(pictures)
    assert len(results) == count
    for picture, (prediction,) in zip(pictures, results, strict=True):
        assert np.array_equal(prediction.image[:, :, 0], np.asarray(picture))


def test_below_the_threshold_the_answer_is_unsure(model_path):
    (low,) = Predictor.load(model_path, cropped=True)([noise(1)])
    (high,) = Predictor.load(model_path, cropped=True, threshold=1.0)([noise(1)])
    assert low[0].label in ("anger", "happy", "sadness")
    assert high[0].label == "unsure"
    assert high[0].probability == low[0].probability


@pytest.fixture(scope="module")
def knowing_bars(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    path = published(folder, ["anger", "happy", "sadness"], familiar=bars(400, 1, side=24))
    return Predictor.load(path, cropped=True)


def test_a_face_unlike_the_training_images_is_flagged(knowing_bars):
    like = [faces[0] for faces in knowing_bars(list(bars(50, 2, side=24).images))]
    unlike = [faces[0] for faces in knowing_bars([noise(number, 24, 24) for number in range(50)])]
    assert sum(face.unfamiliar for face in like) <= 3
    assert all(face.unfamiliar for face in unlike)
    for face in (*like, *unlike):
        assert isinstance(face.distance, float)
        assert face.unfamiliar == (face.distance > 1)
        assert face.label in knowing_bars.card.classes
    # A copy, as the page makes it, keeps the compiled network.
    copy = dataclasses.replace(knowing_bars, threshold=1.0)
    assert copy.network is knowing_bars.network
    ((alone,),) = copy([noise(0, 24, 24)])
    assert (alone.label, alone.unfamiliar) == ("unsure", True)
    assert alone.distance == pytest.approx(unlike[0].distance, rel=1e-4)


def test_the_probabilities_do_not_depend_on_the_distance(knowing_bars):
    plain = dataclasses.replace(knowing_bars, network=None)
    for image in bars(5, 3, side=24).images:
        ((face,),), ((other,),) = knowing_bars([image]), plain([image])
        np.testing.assert_allclose(face.probabilities, other.probabilities, atol=1e-6)
        assert (other.distance, other.unfamiliar) == (None, False)


def test_without_a_limit_in_the_card_no_face_is_flagged(predictor):
    ((face,),) = predictor([noise(1, 24, 24)])
    assert (face.distance, face.unfamiliar) == (None, False)


def test_a_picture_that_cannot_be_used_does_not_stop_the_others(predictor, tmp_path):
    (tmp_path / "1.png").write_bytes(png(1))
    (tmp_path / "2.png").write_bytes(png(2)[:-20])
    names = ["1.png", "2.png", "nosuch.png", "1.png"]
    results = [result for _, result in predictor.stream([tmp_path / name for name in names])]
    assert len(results[0]) == len(results[3]) == 1
    assert str(results[1]).startswith(f"{tmp_path / '2.png'} cannot be used: cannot be decoded: ")
    assert str(results[2]) == f"{tmp_path / 'nosuch.png'} cannot be read: No such file or directory"
    with pytest.raises(PipelineError, match="cannot be used"):
        predictor([tmp_path / "2.png"])


def test_pictures_are_converted_as_photographs_need_it(tmp_path):
    """Turned by EXIF, transparent, CMYK, 16 bits, several frames."""
    exif = Image.Exif()
    exif[274] = 6
    turned = encoded(noise(1, 20, 10), "JPEG", exif=exif.tobytes())
    path = tmp_path / "1"
    path.write_bytes(turned)
    assert opened(path).size == (10, 20)
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    path.write_bytes(encoded(clear))
    assert (pixels(path) == 255).all()
    path.write_bytes(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG"))
    assert pixels(path).shape == (8, 8, 3)
    path.write_bytes(encoded(Image.fromarray(np.full((8, 8), 0x8000, np.uint16))))
    assert (pixels(path) == 0x80).all()
    file = io.BytesIO()
    frames = [Image.new("L", (8, 8), tone) for tone in (10, 200)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    path.write_bytes(file.getvalue())
    assert pixels(path).mean() < 100
    assert pixels(Image.new("P", (8, 8))).shape == (8, 8, 3)


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4)), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)]
)
def test_another_array_is_one_line(array):
    shape = re.escape(f"not {array.dtype} {array.shape}")
    with pytest.raises(PipelineError, match=f"^an array should be uint8 .*{shape}$"):
        opened(array)


def changed(path, target, **parts):
    """A copy of a model file with other parts; a part that is None is left out."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = parts.get(name.partition(".")[0], old.read(name))
            if data is not None:
                new.writestr(name, data)
    return target


@pytest.mark.parametrize(
    ("parts", "fault"),
    [
        ({"metadata": b'{"classes": []}'}, "has no card with classes and input form; use models/"),
        ({"metadata": b"[]"}, "has no card with classes and input form; use models/model.keras"),
        ({"metadata": b'{"ferpipe": {"version": 2}}'}, "has a card of version 2, not 1; use the "),
        ({"metadata": b'{"ferpipe": {}}'}, "has a card of version None, not 1; use the version "),
        ({"metadata": b"\xff{"}, "is not a model file: "),
        ({"metadata": None}, "is not a model file: "),
        ({"config": b"{}"}, "is not a model that loads: "),
        ({"model": b"no weights"}, "is not a model that loads: "),
        ({"model": None}, "is not a model that loads: it should hold config.json, "),
    ],
)
def test_a_model_file_without_what_it_needs_is_one_line(model_path, tmp_path, parts, fault):
    path = changed(model_path, tmp_path / "model.keras", **parts)
    with pytest.raises(PipelineError) as error:
        Predictor.load(path)
    assert str(error.value).startswith(f"{path} {fault}") and "\n" not in str(error.value)


def test_something_else_than_a_model_is_one_line(model_path, tmp_path):
    (tmp_path / "text.keras").write_bytes(b"no zip")
    (tmp_path / "cut.keras").write_bytes(model_path.read_bytes()[:1000])
    for name in ("text.keras", "cut.keras"):
        with pytest.raises(PipelineError, match=rf"{name} is not a model file: File is not a zip"):
            Predictor.load(tmp_path / name)
    with pytest.raises(PipelineError, match="is a folder, and no SavedModel; give a model file"):
        Predictor.load(tmp_path)
    with pytest.raises(PipelineError, match=r"nosuch\.keras is missing; run `dvc repro`"):
        Predictor.load(tmp_path / "nosuch.keras")


def test_an_error_of_the_pictures_comes_after_the_results_before_it(predictor):
    def pictures():
        yield from (noise(1), noise(2))
        raise PipelineError("it breaks off")

    stream = predictor.stream(pictures())
    assert len([next(stream), next(stream)]) == 2
    with pytest.raises(PipelineError, match="it breaks off"):
        next(stream)


def test_large_pictures_are_held_few_at_a_time(predictor, monkeypatch):
    monkeypatch.setattr("ferpipe.prediction.predictor.HELD", 3 * 600 * 600)
    monkeypatch.setattr("ferpipe.core.machine.cores", lambda: 2)
    read = []

    def pictures():
        for number in range(40):
            read.append(number)
            yield Image.new("L", (600, 600), number)

    for number, (picture, _) in enumerate(predictor.stream(pictures())):
        assert picture.getpixel((0, 0)) == number
        # Two batches of three, and what the threads have ahead.
        assert len(read) - number <= 6 + 6
    assert number == 39


def test_drawn_faces_in_a_picture_are_found_and_framed(model_path):
    """A drawn face is no photograph: it is enlarged until the detector finds it."""
    predictor = Predictor.load(model_path, confidence=0.5)
    found = 0
    for subject in range(1, 7):
        face = Image.fromarray(draw_subject(1, subject)[4][0]).resize((160, 160))
        picture = Image.new("L", (400, 300), 90)
        picture.paste(face, (200, 100))
        (faces,) = predictor([picture])
        for prediction in faces:
            left, top, right, bottom = prediction.face.box
            found += left > 180 and top > 80 and right < 380 and bottom < 290
            assert prediction.image.shape == (24, 24, 1)
    assert found >= 3
