from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image

from ferpipe.report.figures import draw_confusion, draw_curves, draw_per_class
from ferpipe.report.style import drawable, escape_note

BLUE, SKY, VERMILION, GREEN = (0, 114, 178), (86, 180, 233), (213, 94, 0), (0, 158, 115)
FACES = ["neutral", "anger", "surprise"]


def confusion(path, classes=FACES, counts=None):
    if counts is None:
        counts = np.eye(len(classes), dtype=int) * 9 + 1
    draw_confusion(np.asarray(counts), classes, "Confusion matrix", 60, path)


def per_class(path, classes=FACES, support=12):
    rows = [
        {"class": name, "precision": 0.5, "recall": 0.75, "recall_low": 0.5, "recall_high": 0.9,
         "interval": "bootstrap over subjects", "people": 9,
         "f1": 0.6, "support": support}
        for name in classes
    ]  # fmt: skip
    draw_per_class(rows, "Recall per class", 60, path)


def history(epochs, head=2):
    return [
        {"epoch": epoch, "phase": "head" if epoch <= head else "fine-tune", "learning_rate": 0.001,
         "loss": 2 / epoch, "accuracy": 1 - 0.8 / epoch,
         "val_loss": 2.5 / epoch, "val_accuracy": 0.9 - 0.8 / epoch, "selected_on": "val"}
        for epoch in range(1, epochs + 1)
    ]  # fmt: skip


def curves(path, rows=None, best_epoch=1):
    rows = rows or history(5)
    draw_curves(rows, "Training history", 60, path, best_epoch)


FIGURES = pytest.mark.parametrize("draw", [confusion, per_class, curves])
FIGURES_OF_CLASSES = pytest.mark.parametrize("draw", [confusion, per_class])


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def where(path, colour):
    """Rows and columns of the pixels of about this colour."""
    return np.nonzero(np.abs(pixels(path) - colour).max(axis=-1) < 12)


@FIGURES
def test_the_same_numbers_give_the_same_bytes(draw, tmp_path):
    draw(tmp_path / "one.png")
    draw(tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


@FIGURES
def test_the_users_own_settings_change_nothing_and_stay_as_they_were(draw, tmp_path):
    draw(tmp_path / "plain.png")
    with matplotlib.rc_context({"font.size": 30, "font.family": "cursive", "figure.dpi": 33}):
        settings = dict(matplotlib.rcParams)
        draw(tmp_path / "set.png")
        assert dict(matplotlib.rcParams) == settings
    assert (tmp_path / "plain.png").read_bytes() == (tmp_path / "set.png").read_bytes()


@FIGURES
def test_the_file_says_neither_what_wrote_it_nor_when(draw, tmp_path):
    draw(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as image:
        assert set(image.info) == {"dpi"}
        assert image.info["dpi"] == pytest.approx((60, 60), abs=0.1)


def test_the_font_is_the_one_that_comes_with_matplotlib():
    assert Path(matplotlib.get_data_path()) in Path(font_manager.findfont("DejaVu Sans")).parents


@FIGURES_OF_CLASSES
def test_more_classes_make_a_larger_figure(draw, tmp_path):
    draw(tmp_path / "few.png", [f"class {number:02}" for number in range(3)])
    draw(tmp_path / "many.png", [f"class {number:02}" for number in range(20)])
    few, many = pixels(tmp_path / "few.png"), pixels(tmp_path / "many.png")
    assert many.shape[0] > 2 * few.shape[0]
    assert many.shape[1] >= few.shape[1]


@FIGURES_OF_CLASSES
@pytest.mark.parametrize("count", [2, 20])
def test_a_long_name_widens_the_figure_instead_of_being_clipped(draw, count, tmp_path):
    short = [f"class {number:02}" for number in range(count)]
    draw(tmp_path / "short.png", short)
    draw(tmp_path / "long.png", [f"{name} with a name as long as a sentence" for name in short])
    assert pixels(tmp_path / "long.png").shape[1] > pixels(tmp_path / "short.png").shape[1] + 100


@FIGURES
def test_nothing_touches_the_border(draw, tmp_path):
    draw(tmp_path / "figure.png")
    inside = pixels(tmp_path / "figure.png")
    inside[8:-8, 8:-8] = 255
    assert (inside == 255).all()


def test_rows_are_the_actual_classes_and_columns_the_predicted(tmp_path):
    confusion(tmp_path / "figure.png", ["a", "b"], [[0, 9], [0, 0]])
    full = tuple(int(255 * channel) for channel in matplotlib.colormaps["Blues"](1.0)[:3])
    rows, columns = where(tmp_path / "figure.png", full)
    # The cell of actual a, predicted b: in a matrix of two by two, above and to the right.
    empty = tuple(int(255 * channel) for channel in matplotlib.colormaps["Blues"](0.0)[:3])
    empty_rows, empty_columns = where(tmp_path / "figure.png", empty)
    assert len(rows) > 500
    assert rows.mean() < empty_rows.mean()
    assert columns.mean() > empty_columns.mean()


def test_a_class_without_images_has_an_empty_row(tmp_path):
    confusion(tmp_path / "figure.png", counts=[[5, 0, 0], [0, 0, 0], [0, 0, 5]])
    confusion(tmp_path / "other.png", counts=[[5, 0, 0], [0, 5, 0], [0, 0, 5]])
    full = tuple(int(255 * channel) for channel in matplotlib.colormaps["Blues"](1.0)[:3])
    two, three = (len(where(tmp_path / name, full)[0]) for name in ("figure.png", "other.png"))
    assert two == pytest.approx(three * 2 / 3, rel=0.05)


def test_a_class_without_images_has_no_recall_to_show(tmp_path):
    per_class(tmp_path / "some.png", support=3)
    per_class(tmp_path / "none.png", support=0)
    assert len(where(tmp_path / "some.png", SKY)[0]) > 1000
    assert len(where(tmp_path / "none.png", SKY)[0]) == 0


def test_one_epoch_is_enough_for_curves(tmp_path):
    curves(tmp_path / "figure.png", history(1))
    for colour in (BLUE, VERMILION, GREEN):
        assert len(where(tmp_path / "figure.png", colour)[0]) > 5


def test_the_chosen_epoch_is_marked_where_it_is(tmp_path):
    left_to_right = []
    for best in (1, 3, 5):
        curves(tmp_path / f"{best}.png", best_epoch=best)
        rows, columns = where(tmp_path / f"{best}.png", GREEN)
        # The upper half, where the legend is not.
        left_to_right.append(columns[rows < rows.max() / 2].mean())
    assert left_to_right[0] + 50 < left_to_right[1] < left_to_right[2] - 50


def test_the_border_between_the_phases_is_marked(tmp_path):
    curves(tmp_path / "none.png", history(5, head=5))
    curves(tmp_path / "border.png", history(5, head=2))
    same = {path.read_bytes() for path in tmp_path.iterdir()}
    # Fine-tuning from the first epoch on has no border either.
    curves(tmp_path / "only.png", history(5, head=0))
    assert len(same) == 2
    assert (tmp_path / "only.png").read_bytes() == (tmp_path / "none.png").read_bytes()


def test_a_loss_that_is_not_a_number_leaves_a_gap(tmp_path):
    rows = [{**row, "loss": "nan", "val_loss": "nan"} for row in history(3)]
    curves(tmp_path / "figure.png", rows)
    assert (tmp_path / "figure.png").is_file()


def test_numbers_may_be_text_as_they_come_from_a_csv(tmp_path):
    curves(tmp_path / "numbers.png")
    curves(
        tmp_path / "text.png",
        [{key: str(value) for key, value in row.items()} for row in history(5)],
    )
    assert (tmp_path / "numbers.png").read_bytes() == (tmp_path / "text.png").read_bytes()


@FIGURES_OF_CLASSES
def test_any_name_can_be_drawn(draw, tmp_path):
    # pytest makes errors of the warnings that matplotlib has for a letter it cannot draw.
    names = ["Überraschung", "怒り", "радость", "$x_1$ $", "two\nlines", "\udc80", "", "\U0001d5c4"]
    draw(tmp_path / "figure.png", names)
    assert (tmp_path / "figure.png").is_file()


@FIGURES_OF_CLASSES
def test_a_line_says_what_an_escape_stands_for(draw, tmp_path):
    draw(tmp_path / "plain.png", ["one", "two"])
    draw(tmp_path / "escaped.png", ["one", "怒"])
    plain, escaped = pixels(tmp_path / "plain.png"), pixels(tmp_path / "escaped.png")
    assert escaped.shape[0] > plain.shape[0] + 5
    assert escape_note(["怒"]).startswith("\\u... and \\x... stand for letters")
    assert escape_note(["Überraschung"]) == ""


def test_what_the_font_lacks_is_escaped_and_so_stays_distinct():
    assert drawable("Überraschung радость $5") == "Überraschung радость $5"
    assert drawable("怒り") == "\\u6012\\u308a"
    assert drawable("喜び") == "\\u559c\\u3073"
    assert drawable("two\nlines") == "two\\nlines"
