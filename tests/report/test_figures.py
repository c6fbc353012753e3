from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from example_findings import CLASSES, HARD_CLASSES, findings, history
from matplotlib import font_manager
from PIL import Image

from ferpipe.evaluation.corruptions import CORRUPTIONS
from ferpipe.report import figures, style
from ferpipe.report.style import drawable, escape_note

BLUE, SKY, VERMILION, GREEN = (0, 114, 178), (86, 180, 233), (213, 94, 0), (0, 158, 115)
ALL = (
    *("confusion", "curves", "per_class", "reliability", "coverage", "roc", "precision_recall"),
    "robustness",
)
OF_CLASSES = pytest.mark.parametrize("name", ["confusion", "per_class", "roc", "precision_recall"])
EVERY = pytest.mark.parametrize("name", ALL)


@pytest.fixture
def draw(tmp_path):
    """Draw one figure; returns the path of its PNG."""

    def drawn(name, shown, dpi=60):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.png"
        with style.applied():
            figure = getattr(figures, name)(shown)
        style.write_png(figure, path, dpi)
        return path

    return drawn


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def where(path, colour):
    """Rows and columns of the pixels of about this colour."""
    return np.nonzero(np.abs(pixels(path) - colour).max(axis=-1) < 12)


def count(path, colour):
    return len(where(path, colour)[0])


def test_every_figure_is_drawn():
    assert tuple(figures.draw(findings())) == ALL
    assert tuple(figures.draw(findings(corruptions=()))) == ALL[:-1]


@EVERY
def test_the_same_findings_give_the_same_bytes_whatever_the_users_settings(name, draw):
    plain = draw(name, findings()).read_bytes()
    with matplotlib.rc_context({"font.size": 30, "font.family": "cursive", "figure.dpi": 33}):
        settings = dict(matplotlib.rcParams)
        assert draw(name, findings()).read_bytes() == plain
        assert dict(matplotlib.rcParams) == settings


@EVERY
@pytest.mark.parametrize("classes", [CLASSES, HARD_CLASSES], ids=["few", "many"])
def test_nothing_is_clipped_and_the_file_has_no_date(name, classes, draw):
    path = draw(name, findings(classes=classes, selected_on_test=True))
    border = pixels(path)
    border[8:-8, 8:-8] = 255
    assert (border == 255).all()
    with Image.open(path) as image:
        assert set(image.info) == {"dpi"}
        assert image.info["dpi"] == pytest.approx((60, 60), abs=0.1)


def test_the_font_is_the_one_that_comes_with_matplotlib():
    assert Path(matplotlib.get_data_path()) in Path(font_manager.findfont("DejaVu Sans")).parents


@OF_CLASSES
def test_more_classes_make_a_larger_figure(name, draw):
    few, many = (
        pixels(draw(name, findings(classes=[f"class {number:02}" for number in range(size)])))
        for size in (3, 20)
    )
    assert many.shape[0] > 2 * few.shape[0]
    assert many.shape[1] >= few.shape[1]


@OF_CLASSES
def test_letters_that_the_font_lacks_are_explained(name, draw):
    plain, escaped = (pixels(draw(name, findings(classes=("a", "b", c)))) for c in ("c", "怒"))
    assert escaped.shape[0] > plain.shape[0]


def test_rows_are_the_actual_classes_and_columns_the_predicted(draw):
    certain = np.eye(3)[[1] * 90]
    result = replace(findings().result, labels=np.zeros(90, int), probabilities=certain)
    path = draw("confusion", replace(findings(), result=result))
    full = [int(255 * channel) for channel in matplotlib.colormaps["Blues"](1.0)[:3]]
    rows, columns = where(path, full)
    assert len(rows) > 500
    height, width, _ = pixels(path).shape
    # The first row, and the middle column of three.
    assert rows.max() < height / 2
    assert width / 3 < columns.mean() < 2 * width / 3


def test_a_class_without_images_has_no_recall_and_no_curve(draw):
    four = (*CLASSES, "absent")
    table = findings(classes=four).per_class
    none = replace(findings(classes=four), per_class=table[table["support"] == 0])
    assert count(draw("per_class", findings(classes=four)), SKY) > 1000
    assert count(draw("per_class", none), SKY) == 0
    for name in ("roc", "precision_recall"):
        # Four panels side by side.
        blue = np.abs(pixels(draw(name, findings(classes=four), dpi=150)) - BLUE).max(axis=-1) < 12
        panels = [part.sum() for part in np.array_split(blue, 4, axis=1)]
        assert min(panels[:3]) > 50
        assert panels[3] == 0


def test_one_epoch_is_enough_for_curves(draw):
    path = draw("curves", findings(epochs=1))
    for colour in (BLUE, VERMILION, GREEN):
        assert count(path, colour) > 5


def test_the_selected_epoch_is_marked_where_it_is(draw):
    left_to_right = []
    for best in (1, 3, 5):
        shown = replace(findings(epochs=5), training={"best_epoch": best})
        rows, columns = where(draw("curves", shown), GREEN)
        # The upper half, above the legend.
        left_to_right.append(columns[rows < rows.max() / 2].mean())
    assert left_to_right[0] + 50 < left_to_right[1] < left_to_right[2] - 50


def test_the_border_between_the_phases_is_marked(draw):
    none, only, border = (
        draw("curves", replace(findings(epochs=5), history=history(5, head=head))).read_bytes()
        for head in (5, 0, 2)
    )
    assert none == only
    assert border != only


def test_a_loss_that_is_not_a_number_leaves_a_gap(draw):
    gap = history(3).assign(loss=np.nan, val_loss=np.nan)
    assert count(draw("curves", replace(findings(), history=gap)), BLUE) > 5


def test_the_curve_without_temperature_is_drawn_where_there_is_one(draw):
    assert count(draw("reliability", findings()), VERMILION) == 0
    assert count(draw("reliability", findings(temperature=1.8)), VERMILION) > 20


def test_each_corruption_has_a_panel_in_which_accuracy_falls_with_its_strength(draw):
    shown = findings(corruptions=CORRUPTIONS[:4])
    blue = np.abs(pixels(draw("robustness", shown, dpi=150)) - BLUE).max(axis=-1) < 12
    # Four panels side by side, above the legend.
    for panel in np.array_split(blue[: len(blue) * 2 // 3], 4, axis=1):
        rows, columns = np.nonzero(panel)
        left, right = columns < np.quantile(columns, 0.2), columns > np.quantile(columns, 0.8)
        assert rows[left].mean() + 20 < rows[right].mean()


def test_a_panel_becomes_one_svg_without_the_titles_around_it():
    drawings = style.panels_as_svg(figures.draw(findings())["roc"], "roc")
    assert len(drawings) == len(CLASSES)
    for drawing in drawings:
        assert drawing.startswith("<svg ")
        assert "false positive rate" in drawing
        assert not any(text in drawing for text in (*CLASSES, "random guess", "test images"))


@OF_CLASSES
def test_any_name_can_be_drawn(name, draw):
    # pytest makes errors of the warnings that matplotlib has for a letter it cannot draw.
    names = ["Überraschung", "怒り", "радость", "$x_1$ $", "two\nlines", "\udc80", "", "\U0001d5c4"]
    assert draw(name, findings(classes=names)).is_file()


def test_letters_that_the_font_lacks_stay_distinct():
    assert drawable("Überraschung радость $5") == "Überraschung радость $5"
    assert drawable("怒り") == "\\u6012\\u308a"
    assert drawable("two\nlines") == "two\\nlines"
    assert escape_note(["怒"]).startswith("\\u... and \\x... are letters")
    assert escape_note(["Überraschung"]) == ""
