"""What patterns are suggested for, and that a suggestion finds what it should."""

import re
from pathlib import PurePosixPath

import pytest

from ferpipe.sources.intake.member import Member
from ferpipe.sources.intake.names import name_patterns


def paths(shape, **names):
    found = [shape]
    for name, values in names.items():
        found = [path.replace(f"{{{name}}}", value) for path in found for value in values]
    return [PurePosixPath(path) for path in found]


SAD = ("sad", "Happy")


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (paths("{s}.{c}1.39.tiff", s=("KA", "KM"), c=("AN", "HA")), "AN KA angry"),
        (paths("k/A{s}{c}{a}.JPG", s=("F01", "M35"), c=("AF", "SU"), a=("S", "HL")), "AF F01 fear"),
        (paths("{s}_{c}_O.BMP", s=("01F", "22M"), c=("CA", "SP")), "CA 01F calm"),
        (paths("{s}_{c}01WH_F2D.bmp", s=("F0001", "M0020"), c=("HA", "SU")), "HA F0001 happy"),
        (paths("{s}_y_m_{c}_a.jpg", s=("004", "066"), c="ns"), "n 004 neutral"),
        (paths("CFD-{s}-003-{c}.jpg", s=("WF-001", "BM-020"), c=("N", "A")), "N WF-001 neutral"),
        (paths("Rafd090_{s}_Caucasian_male_{c}_frontal.jpg", s=("01", "02"), c=SAD), "sad 01 -"),
        (paths("all/{s}-{c}-{i}.png", s=("anna", "bob"), c=SAD, i="12"), "sad anna -"),
        (paths("{s}.{c}", s=("subject01", "subject02"), c=SAD), "sad subject01 -"),
        (paths("img_{i}_{c}.png", i="123456789", c=SAD), "sad - -"),
    ],
)
def test_labels_of_known_data_sets_and_labels_that_are_spelt_out(names, first):
    found = name_patterns.suggest_labels(names)
    match = re.search(found["pattern"], str(names[0]))
    subject = match.groupdict().get("subject", "-")
    name = found.get("classes", {}).get(match["label"], "-")
    assert f"{match['label']} {subject} {name}" == first
    assert all(re.search(found["pattern"], str(path)) for path in names)


@pytest.mark.parametrize(
    "names",
    [
        paths("{i}.png", i="123"),
        paths("{s}/{s}_001_{i}.png", s=("S005", "S010"), i="123"),
        paths("{s}.{c}1.39.tiff", s=("KA", "KM"), c=("XX", "YY")),
        paths("happy_{i}.png", i="123"),
        paths("dis{i}/an_{i}.png", i="123"),
        [],
    ],
)
def test_nothing_is_suggested_where_nothing_is_obvious(names):
    assert name_patterns.suggest_labels(names) is None


CKPLUS = r"(?P<sequence>(?P<subject>S\d+)_\d+)_"  # presets/base.yaml


@pytest.mark.parametrize(
    ("names", "subject", "likely"),
    [
        (("S005_001_00000011.png", "S010_002_00000014.png"), "S005", True),
        (("KA.AN1.39.png", "NA.HA1.7.png"), "KA", True),
        (("S1_0.png", "S2_0.png"), "S1", True),
        (("Dark_P001_0.png", "Strong_P002_0.png"), "P001", True),
        (("cam_left_AF01_0.png", "cam_left_AM02_0.png"), "AF01", True),
        (("anna-1.png", "bob-1.png"), "anna", False),
        (("movie_001.png", "web_000.png", "studio_002.png"), "movie", False),
        (("F01ANS.png", "AF01ANS.png"), None, None),
        (("0.png", "1.png"), None, None),
        (("Training_0.png", "PublicTest_1.png"), None, None),
        (("happy_0.png", "sad_1.png"), None, None),
        (("img_0.png", "img_1.png"), None, None),
    ],
)
def test_subjects_in_the_names_of_several_classes(names, subject, likely):
    members = [Member(label, name, bytes) for name in names for label in ("angry", "happy")]
    found = name_patterns.suggest_subjects(members, CKPLUS)
    assert (found and re.match(found.pattern, names[0])["subject"]) == subject
    assert (found and found.likely) == likely


def test_a_pattern_that_is_given_comes_first():
    members = [Member(label, f"Dark_P{n}_0.png", bytes) for n in range(9) for label in "ab"]
    given = r"[A-Z][a-z]+_(?P<subject>P\d)"
    assert name_patterns.suggest_subjects(members, given).pattern == given


def test_a_token_of_one_class_each_is_no_subject():
    members = [Member(f"c{number}", f"id{number}_0.png", bytes) for number in range(9)]
    assert name_patterns.suggest_subjects(members, CKPLUS) is None
