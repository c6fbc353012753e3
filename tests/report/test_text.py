import pytest
from judged import findings

from ferpipe.report import text
from ferpipe.report.datasets import CKPLUS, DRAWN, unknown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0.0%"), (0.0001, "<0.1%"), (0.956, "95.6%"), (0.99999, ">99.9%"), (1, "100.0%")],
)
def test_only_nothing_is_0_percent_and_only_all_is_100(share, shown):
    assert text.percent(share) == shown


def test_names_are_listed_as_people_do():
    assert text.listed(["a"]) == "a"
    assert text.listed(["a", "b", "c"]) == "a, b and c"


def test_the_protocol_says_what_each_split_did():
    told = " ".join(text.protocol(findings()))
    assert "1,234 images taught" in told
    assert "56 (val) chose which epoch was kept" in told
    assert "People were kept apart" in told


def test_the_protocol_says_that_val_has_taught_too_where_it_has():
    solved = {"head": "solved", "epochs": 0}
    assert "56 (val) chose how sure it says it is, and taught it as well" in " ".join(
        text.protocol(findings(params=solved))
    )
    tuned = findings(params={"head": "solved", "epochs": 5})
    assert "chose which epoch was kept" in " ".join(text.protocol(tuned))


def test_the_protocol_says_that_test_has_chosen_where_it_has():
    told = " ".join(text.protocol(findings(selected_on_test=True)))
    assert "There is no validation split" in told
    assert "every metric here is optimistic" in told


@pytest.mark.parametrize("people", [10, 40])
def test_the_interval_of_the_worst_class_has_its_people_and_a_caution_where_they_are_few(people):
    _, worst, _ = text.summary(findings(skill=1.0, people=people, count=240))
    caution = "; caution: fewer than 30 people, so it may be too narrow"
    assert f"%, bootstrap over subjects, {people} people" in worst
    assert (caution in worst) == (people < 30)


def test_the_audit_tells_none_from_some_and_from_not_known():
    split = {
        "held_out_sharing_subject": 0.0,
        "held_out_sharing_sequence": 0.956,
        "held_out_near_duplicates": None,
        "repeated_images": 1234,
        "a_later_number": 0.5,
        "a_later_fact": True,
        "a_later_doubt": None,
        "train": 9,
    }
    found = text.audit(split)
    assert [each.doubt for each in found] == [False, True, True, False, False, False, False]
    texts = [each.text for each in found]
    assert texts[0].startswith("No held-out image")
    assert texts[1].startswith("95.6% of the held-out images")
    assert texts[2] == "Near-duplicates were not looked for."
    assert texts[3:] == [
        "1,234 images repeat another, pixel by pixel; each is in its split.",
        "a later number: 0.500.",
        "a later fact: yes.",
        "a later doubt: not known.",
    ]


def test_a_few_leaks_are_told_and_no_reason_to_doubt():
    (few,) = text.audit({"held_out_sharing_subject": 0.005})
    assert (few.text[:4], few.doubt) == ("0.5%", False)


def test_limits_are_those_of_the_data_in_use():
    on_faces = " ".join(text.limits(findings(data=CKPLUS)))
    drawn = " ".join(text.limits(findings(data=DRAWN)))
    own = " ".join(text.limits(findings(data=unknown("images of your own"))))
    assert "posed in a laboratory" in on_faces
    assert "posed in a laboratory" not in drawn + own
    assert "nothing of photographs of people" in drawn
    assert "not known here" in own


def test_limits_name_what_is_missing_and_what_is_rare():
    told = text.limits(findings())
    assert any(line.startswith("No class is called neutral") for line in told)
    rare = next(line for line in told if line.startswith("The rarest"))
    assert "surprise: 10 of 32 images from 4 recordings" in rare
    neutral = text.limits(findings(classes=("Neutral", "anger", "fear")))
    assert not any("called neutral" in line for line in neutral)


def test_limits_repeat_what_spoils_the_numbers():
    leaky = findings(selected_on_test=True, split={"held_out_sharing_sequence": 0.96})
    told = " ".join(text.limits(leaky))
    assert "test images also chose" in told
    assert "little about faces never seen" in told


def test_the_summary_is_headline_worst_class_and_most_frequent_confusion():
    found = findings(skill=1.0)
    headline, worst, mixed = text.summary(found)
    assert headline == found.headline
    assert worst.startswith(f"worst class: {found.worst_class['class']}, recall ")
    assert worst.endswith("%, Wilson over images)")
    first = found.confusions[0]
    assert mixed == (
        f"most frequent confusion: {first.images} of {first.of} {first.actual} taken for "
        f"{first.predicted}"
    )
    assert text.summary(findings(skill=99.0))[-1] == "no image was taken for another class"
