import pytest

from ferpipe.sources.intake.names import words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("angry", "anger"), ("Anger", "anger"), ("0_angry", "anger"), ("Angry faces", "anger")),
        *(("AN", "anger"), ("an", None), ("Su", None), ("SU", "surprise"), ("sur", "surprise")),
        *(("happy-images", "happiness"), ("smiling", "happiness"), ("2. Fear", "fear")),
        *(("S1_angry", None), ("happydata", None), ("1", None), ("train", None), ("ahegao", None)),
        *((" sad ", "sadness"), ("calm", "calmness"), ("NEUTRAL", "neutral")),
    ],
)
def test_the_expression_that_a_name_says(name, expected):
    assert words.expression(name) == expected


@pytest.mark.parametrize("name", ["S005", "AF01", "subject_12", "Actor_01", "p1", "F2001a"])
def test_names_like_those_of_people(name):
    assert words.like_person(name)


@pytest.mark.parametrize("name", ["c0", "class1", "AU12", "v2", "angry1", "1", "anna", "exp3"])
def test_other_names(name):
    assert not words.like_person(name)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"S005": 9, "S010": 9}, True),
        ({"001": 9, "002": 9}, True),
        ({str(number): 500 for number in range(1, 9)}, False),
        ({f"name {number}": 5 for number in range(40)}, True),
        ({f"name {number}": 500 for number in range(40)}, False),
        ({"happy": 5} | {f"name {number}": 5 for number in range(40)}, False),
        ({"S005": 9}, False),
    ],
)
def test_classes_that_are_likely_people(counts, expected):
    assert words.doubtful_classes(counts) is expected
