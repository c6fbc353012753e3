import dataclasses
import re

import pytest
from example_findings import HARD_CLASSES, findings

from ferpipe.report.model_card import card, for_file
from ferpipe.report.text import MISUSE, limits, protocol, worst_corruption


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
    shown = findings()
    text = card(shown)
    assert re.findall(r"^#+ (.*)$", text, re.MULTILINE) == [
        *("Model card: compact on CK+", "The model", "Data", "Protocol", "Results", "Limits"),
        *("What it must not be used for", "Digests"),
    ]
    assert f"**{shown.headline}**" in text
    assert all(sentence in text for sentence in (*limits(shown), *MISUSE))
    assert "- Network against HOG + kernel ridge: p = 0.031, exact sign-flip test over 12" in text
    assert "\n\n\n" not in text
    assert card(findings()) == text


@pytest.mark.parametrize("people", [None, 40])
def test_every_class_has_its_recall_and_interval(people):
    shown = findings(people=people)
    head, *rows = rows_of(card(shown), "Recall of each class")
    assert head == ["class", "recall", "interval", "people", "precision", "F1", "images"]
    assert [row[0] for row in rows] == list(shown.result.classes)
    for row, expected in zip(rows, shown.per_class.itertuples(), strict=True):
        assert row[1] == f"{expected.recall:.1%}"
        assert row[2] == f"{expected.recall_low:.1%} to {expected.recall_high:.1%}"
        assert row[3] == (str(expected.people) if people else "")
        assert row[6] == str(expected.support)


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


def test_calibration_is_shown_without_the_temperature_too():
    assert "without temperature" not in card(findings())
    shown = findings(temperature=1.7)
    before = shown.calibration[0]
    value = f"log loss {before.log_loss:.3f}, calibration error {before.error:.3f}"
    assert ["without temperature", value] in rows_of(card(shown), "## Results")


def test_the_worst_corruption_is_named_if_robustness_was_measured():
    shown = findings()
    assert f"\nOn corrupted test images, {worst_corruption(shown)}.\n" in card(shown)
    off = card(findings(corruptions=()))
    assert "orrupt" not in off
    assert "\n\n\n" not in off


def test_a_given_split_and_files_that_are_left_out_are_told():
    assert "left out" not in card(findings())
    origin = {"origin": "test: the source's official test part (9 images)", "val_taken": False}
    text = card(findings(audit=origin, skipped={"same image with another label": 12}))
    assert "used once. Test: the source's official test part (9 images).\n" in text
    assert "- Files of the source that are left out, by reason: 12 same image with another" in text
    assert "\n\n\n" not in text


def test_the_card_in_the_model_file_has_classes_input_and_headline():
    shown = findings()
    made = for_file(shown, framing=None)
    side = shown.images.shape[1]
    assert (made.classes, made.image_size, made.channels) == (shown.result.classes, side, 1)
    assert made.headline == shown.headline
    assert made.protocol == " ".join(protocol(shown))
    params = shown.provenance.params
    changed = {**params, "train": {**params["train"], "seed": 99}}
    other = dataclasses.replace(shown.provenance, params=changed)
    again = for_file(dataclasses.replace(shown, provenance=other), framing=None)
    assert again.params_sha256 != made.params_sha256 == for_file(findings(), None).params_sha256
