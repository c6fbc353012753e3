import re

import pytest
from judged import HARD_CLASSES, findings

from ferpipe.report.datasets import DRAWN
from ferpipe.report.model_card import card
from ferpipe.report.text import MISUSE, limits


def rows_of(text, title):
    """The cells of the table that follows a title."""
    _, _, after = text.partition(title)
    lines = re.search(r"(\|.*\n)+", after).group(0).splitlines()
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for number, line in enumerate(lines)
        if number != 1
    ]


def test_the_card_has_its_parts_in_order():
    found = findings()
    text = card(found)
    assert re.findall(r"^#+ (.*)$", text, re.MULTILINE) == [
        *("Model card: compact on CK+", "The model", "Data", "Protocol", "Results", "Limits"),
        *("What it must not be used for", "Digests"),
    ]
    assert f"**{found.headline}**" in text
    assert all(sentence in text for sentence in (*limits(found), *MISUSE))
    assert "AI Act" in text


@pytest.mark.parametrize("people", [None, 40])
def test_every_class_has_its_recall_and_interval(people):
    found = findings(people=people)
    head, *rows = rows_of(card(found), "Recall of each class")
    assert head == ["class", "recall", "interval", "people", "precision", "F1", "images"]
    assert [row[0] for row in rows] == list(found.classes)
    for row, expected in zip(rows, found.per_class, strict=True):
        assert row[1] == f"{expected['recall']:.1%}"
        assert row[2] == f"{expected['recall_low']:.1%} to {expected['recall_high']:.1%}"
        assert row[3] == "" if expected["people"] is None else str(expected["people"])
        assert row[6] == str(expected["support"])


@pytest.mark.parametrize(("people", "cautions"), [(10, 3), (40, 0), (60, 1), (None, 0)])
def test_intervals_over_few_people_have_a_caution(people, cautions):
    """The headline, the interval of accuracy, the recalls; of 60 people 20 show each class."""
    text = card(findings(people=people, count=240, classes=("a", "b", "c")))
    assert text.count("caution: fewer than 30 people") == cautions
    if people:
        assert f"{people} people" in text


def test_the_baselines_are_tested_against_the_network():
    assert (
        "- Network against HOG + kernel ridge: p = 0.031, exact sign-flip test over 12 people.\n"
        in card(findings())
    )


def test_strange_names_do_not_break_the_tables():
    text = card(findings(classes=HARD_CLASSES, count=200, temperature=1.5))
    head, *rows = rows_of(text, "Recall of each class")
    assert {len(row) for row in rows} == {len(head)}
    assert rows[18][0] == r"\<b\>bold\</b\> & \| \`x\`"
    assert rows[19] == [r"bell\\x07", "", "", "", "", "", "0"]
    assert "\x07" not in text


@pytest.mark.parametrize("selected_on_test", [True, False])
def test_results_that_were_selected_on_test_are_marked(selected_on_test):
    text = card(findings(selected_on_test=selected_on_test))
    assert text.count("**(optimistic: selected on test)**") == 2 * selected_on_test


def test_calibration_is_told_before_and_after_temperature():
    assert "without temperature" not in card(findings())
    found = findings(temperature=1.7)
    before = found.calibration[0]
    told = f"log loss {before.log_loss:.3f}, error {before.error:.3f}"
    assert ["without temperature", told] in rows_of(card(found), "## Results")


def test_the_same_findings_give_the_same_card():
    assert card(findings(data=DRAWN)) == card(findings(data=DRAWN))
