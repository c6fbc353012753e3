import numpy as np
import pytest
from judged import CLASSES, HARD_CLASSES, findings
from PIL import Image

from ferpipe.report.probability_figures import draw_precision_recall, draw_reliability, draw_roc

BLUE, VERMILION = (0, 114, 178), (213, 94, 0)


def reliability(path, found, title="98.4% right", dpi=60):
    draw_reliability(found.calibration, title, dpi, path)


def roc(path, found, title="98.4% right", dpi=60):
    draw_roc(found.curves, title, dpi, path)


def precision_recall(path, found, title="98.4% right", dpi=60):
    draw_precision_recall(found.curves, title, dpi, path)


FIGURES = pytest.mark.parametrize("draw", [reliability, roc, precision_recall])
PANELS = pytest.mark.parametrize("draw", [roc, precision_recall])


def pixels(path):
    with Image.open(path) as image:
        assert set(image.info) == {"dpi"}
        return np.asarray(image.convert("RGB")).astype(int)


def count(path, colour):
    return int((np.abs(pixels(path) - colour).max(axis=-1) < 12).sum())


@FIGURES
def test_the_same_numbers_give_the_same_bytes(draw, tmp_path):
    draw(tmp_path / "one.png", findings())
    draw(tmp_path / "two.png", findings())
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@FIGURES
@pytest.mark.parametrize("classes", [CLASSES, HARD_CLASSES], ids=["few", "many"])
def test_nothing_touches_the_border(draw, classes, tmp_path):
    draw(tmp_path / "figure.png", findings(classes=classes), "A headline, chosen on test " * 5)
    inside = pixels(tmp_path / "figure.png")
    inside[8:-8, 8:-8] = 255
    assert (inside == 255).all()


@PANELS
def test_more_classes_make_a_larger_figure(draw, tmp_path):
    draw(tmp_path / "few.png", findings())
    draw(tmp_path / "many.png", findings(classes=HARD_CLASSES))
    assert pixels(tmp_path / "many.png").shape[0] > 3 * pixels(tmp_path / "few.png").shape[0]


@PANELS
def test_a_class_that_test_does_not_show_has_an_empty_panel(draw, tmp_path):
    draw(tmp_path / "figure.png", findings(classes=(*CLASSES, "never")), dpi=150)
    # Four panels stand side by side.
    blue = np.abs(pixels(tmp_path / "figure.png") - BLUE).max(axis=-1) < 12
    quarters = [part.sum() for part in np.array_split(blue, 4, axis=1)]
    assert min(quarters[:3]) > 50
    assert quarters[3] == 0


def test_letters_that_the_font_lacks_are_explained(tmp_path):
    roc(tmp_path / "plain.png", findings(classes=("a", "b", "c")))
    roc(tmp_path / "escaped.png", findings(classes=("a", "b", "怒")))
    assert pixels(tmp_path / "escaped.png").shape[0] > pixels(tmp_path / "plain.png").shape[0]


def test_the_curve_without_temperature_is_there_where_there_is_one(tmp_path):
    reliability(tmp_path / "none.png", findings())
    reliability(tmp_path / "scaled.png", findings(temperature=1.8))
    assert count(tmp_path / "none.png", VERMILION) == 0
    assert count(tmp_path / "scaled.png", VERMILION) > 20
