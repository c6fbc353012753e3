import math
import re

import pytest

from ferpipe.report import charts
from ferpipe.report.charts import PERCENT_TICKS, Axes, Line
from ferpipe.report.markup import document


def drawn(line, **axes):
    axes = Axes(PERCENT_TICKS, PERCENT_TICKS, 100, 100, **axes)
    return document(charts.panel(axes, [line], "what it shows"))


def test_a_line_goes_through_its_points():
    assert 'd="M0 100L50 0L100 75"' in drawn(Line([(0, 0), (0.5, 1), (1, 0.25)], "first"))


def test_what_is_no_number_leaves_a_gap():
    points = [(0, 0), (0.25, math.nan), (0.5, 1), (1, math.inf)]
    svg = drawn(Line(points, "first", dots=True))
    assert 'd="M0 100M50 0"' in svg
    assert svg.count("<circle") == 2


def test_a_panel_says_what_it_shows():
    svg = drawn(Line([(0, 0)], "first"), x_label="recall")
    assert 'role="img" aria-label="what it shows"' in svg
    assert ">recall</text>" in svg


@pytest.mark.parametrize(
    ("highest", "texts"),
    [
        (2.36, ["0", "0.5", "1", "1.5", "2", "2.5"]),
        (85, ["0", "20", "40", "60", "80", "100"]),
        (0.04, ["0", "0.01", "0.02", "0.03", "0.04"]),
        (1, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (14_000, ["0", "5000", "10000", "15000"]),
        (0, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (math.nan, ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
    ],
)
def test_ticks_are_round_and_reach_the_highest_value(highest, texts):
    ticks = charts.round_ticks(highest)
    assert [text for _, text in ticks] == texts
    assert not ticks[-1][0] < highest * (1 - 1e-9)


@pytest.mark.parametrize(
    ("first", "last", "texts"),
    [
        (1, 2, ["1", "2"]),
        (1, 6, ["1", "2", "3", "4", "5", "6"]),
        (1, 12, ["", "2", "4", "6", "8", "10", "12"]),
        (1, 40, ["", "10", "20", "30", "40"]),
        (1, 103, ["", "20", "40", "60", "80", "100", ""]),
    ],
)
def test_whole_ticks_end_where_the_numbers_end(first, last, texts):
    ticks = charts.whole_ticks(first, last)
    assert [text for _, text in ticks] == texts
    assert (ticks[0][0], ticks[-1][0]) == (first, last)


def luminance(colour):
    channels = [int(colour[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_letters_are_readable_on_every_tint_in_both_schemes():
    css = charts.tint_styles()
    rules = re.findall(r"\.(right|mixed)(\d+){background:#(\w{6});color:(black|white)}", css)
    assert len(rules) == 2 * 2 * charts.TINTS
    for *_, colour, ink in rules:
        light, dark = sorted((luminance(colour), float(ink == "white")), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_a_larger_share_has_a_stronger_tint_and_the_smallest_has_one():
    assert charts.tint(0.001, right=False) == "mixed1"
    assert charts.tint(0.5, right=True) == "right5"
    assert charts.tint(1.0, right=True) == f"right{charts.TINTS}"
