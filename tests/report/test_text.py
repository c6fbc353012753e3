from dataclasses import replace

import pytest
from example_findings import AUDIT, PARAMS, findings

from ferpipe.report import text
from ferpipe.report.datasets import CKPLUS, DRAWN, unknown


@pytest.mark.parametrize(
    ("fraction", "shown"),
    [(0, "0.0%"), (0.0001, "<0.1%"), (0.956, "95.6%"), (0.99999, ">99.9%"), (1, "100.0%")],
)
def test_0_percent_and_100_percent_are_exact(fraction, shown):
    assert text.percent(fraction) == shown


def test_names_are_joined():
    assert text.listed(["a"]) == "a"
    assert text.listed(["a", "b", "c"]) == "a, b and c"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "1,234 training images; 56 validation images, which selected the epoch"),
        ({}, "All images of a person are in one split."),
        (
            {"params": {"head": "solved", "epochs": 0}},
            "56 validation images, which set the temperature and then were trained on too",
        ),
        ({"params": {"head": "solved", "epochs": 5}}, "which selected the epoch"),
        ({"selected_on_test": True}, "There is no validation split"),
        ({"selected_on_test": True}, "every metric is optimistic"),
    ],
)
def test_the_protocol_states_the_use_of_each_split(changes, sentence):
    assert sentence in " ".join(text.protocol(findings(**changes)))


@pytest.mark.parametrize("people", [10, 40])
def test_the_interval_of_the_worst_class_has_its_people(people):
    _, worst, *_ = text.summary(findings(skill=1.0, people=people, count=240))
    assert f"%, bootstrap over subjects, {people} people" in worst


def test_the_audit_distinguishes_zero_some_and_unknown():
    audit = {
        "held_out_sharing_subject": 0.0,
        "held_out_sharing_sequence": 0.956,
        "held_out_near_duplicates": None,
        "repeated_images": 1234,
    }
    assert [(check.text, check.doubt) for check in text.audit(audit)] == [
        ("1,234 images are exact duplicates of another one; both are in the same split.", False),
        ("No held-out image shows a person of the training images.", False),
        ("95.6% of the held-out images are from a recording of the training images.", True),
        ("Near-duplicates were not searched.", True),
    ]
    few = text.audit(AUDIT | {"held_out_sharing_subject": 0.005})[1]
    assert (few.text[:4], few.doubt) == ("0.5%", False)


ORIGIN = "test: the source's official test part (7,178 images); val: taken from its train part"
OFFICIAL = {"split_by": "official", "origin": ORIGIN, "val_taken": True}


@pytest.mark.parametrize("group_by", ["subject", "sequence", "none"])
def test_the_protocol_of_a_given_split_claims_nothing_of_its_groups(group_by, monkeypatch):
    monkeypatch.setitem(PARAMS["split"], "group_by", group_by)
    shown = findings(audit=OFFICIAL)
    _, origin, grouped = text.protocol(shown)
    assert origin == f"T{ORIGIN[1:]}."
    assert grouped == text.VAL_GROUPED[group_by]
    assert text.summary(shown)[1] == ORIGIN
    given = text.protocol(findings(audit=OFFICIAL | {"val_taken": False}))
    assert len(given) == 2
    assert not set(text.GROUPED.values()) & {grouped, *given}


def test_repeats_that_a_given_split_separates_are_a_reason_to_doubt():
    facts = AUDIT | OFFICIAL | {"repeated_images": 1853, "repeats_across_splits": 1024}
    first = text.audit(facts)[0]
    assert (first.text, first.doubt) == (
        "1,853 images are exact duplicates of another one; 1,024 held-out images repeat a training "
        "image.",
        True,
    )
    same = text.audit(facts | {"repeats_across_splits": 0})[0]
    assert same.text.endswith("both are in the same split.")
    assert not same.doubt


def test_unknown_subjects_of_a_given_split_claim_no_new_people():
    facts = OFFICIAL | {"held_out_sharing_subject": None}
    limits = " ".join(text.limits(findings(audit=facts)))
    assert "the metrics may not generalise to new people" in limits
    assert "No held-out image shows a person" not in str(text.audit(AUDIT | facts))


def test_files_that_are_left_out_are_told_by_reason():
    assert text.left_out({}) == ""
    many = {f"{side}x{side} px": 1 for side in range(9000, 9020)} | {"empty file": 2}
    assert text.left_out(many).endswith(
        "reason: 2 empty file, 1 9000x9000 px, 1 9001x9001 px, 1 "
        "9002x9002 px, 1 9003x9003 px, 1 9004x9004 px, 15 others."
    )
    assert text.left_out({"not an image file": 1, "cannot be decoded": 1200}) == (
        "Files of the source that are left out, by reason: 1,200 cannot be decoded, 1 not an image "
        "file."
    )


def test_limits_are_those_of_the_data_in_use():
    ckplus, drawn, own = (
        " ".join(text.limits(findings(data=data)))
        for data in (CKPLUS, DRAWN, unknown("images of your own"))
    )
    assert "posed in a laboratory" in ckplus
    assert "posed in a laboratory" not in drawn + own
    assert "do not carry over to photographs" in drawn
    assert "not known" in own


def test_limits_name_missing_and_rare_classes():
    limits = text.limits(findings())
    assert any(line.startswith("There is no neutral class") for line in limits)
    rare = next(line for line in limits if line.startswith("The rarest"))
    assert "surprise, 10 of 32 images from 4 recordings" in rare
    assert "no neutral class" not in " ".join(
        text.limits(findings(classes=("Neutral", "anger", "fear")))
    )


def test_limits_repeat_reasons_to_doubt_the_metrics():
    leaky = findings(selected_on_test=True, audit={"held_out_sharing_sequence": 0.96})
    limits = " ".join(text.limits(leaky))
    assert "test images also selected the model" in limits
    assert "may not generalise to new people" in limits


def test_the_summary_is_headline_and_worst_class_confusion_and_corruption():
    shown = findings(skill=1.0)
    headline, worst, confused, corrupted = text.summary(shown)
    assert headline == shown.headline
    assert worst.startswith(f"worst class: {shown.worst_class['class']}, recall ")
    assert worst.endswith("%, Wilson over images)")
    row = shown.confusions.iloc[0]
    assert confused == (
        f"most frequent confusion: {row['count']} of {row['images']} {row['actual']} classified "
        f"as {row['predicted']}"
    )
    assert corrupted == text.worst_corruption(shown)
    perfect = findings(skill=99.0, corruptions=())
    assert text.summary(perfect)[-1] == "no image was misclassified"


def test_the_worst_corruption_is_that_with_the_lowest_accuracy():
    shown = findings()
    table = shown.robustness.copy()
    place = table.index[table["corruption"] == "darkness"][1]
    columns = ["accuracy", "accuracy_low", "accuracy_high"]
    table.loc[place, columns] = [0.125, 0.1, 0.2]
    accuracy = shown.metrics["accuracy"]
    assert text.worst_corruption(replace(shown, robustness=table)) == (
        "worst of 8 corruptions: darkness (60% less light), accuracy 12.5% (95% interval 10.0% to "
        f"20.0%) instead of {accuracy:.1%}"
    )
    assert text.worst_corruption(findings(corruptions=())) == ""


def test_a_strength_has_its_unit():
    shown = {text.strength(row) for row in findings().corrupted.to_dict("records")}
    assert {"1% of side", "40 gray levels", "30 degrees", "10% quality"} <= shown
