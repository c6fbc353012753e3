import pandas as pd
import pytest

from ferpipe.core import paths
from ferpipe.tools import compare
from ferpipe.tools.compare import Revision


def revision(name, predicted, actual="aabb", paths=("a/1", "a/2", "b/1", "b/2"), digests="wxyz",
             selected_on_test=False):  # fmt: skip
    """Four images of two people; labels, predictions and digests are a letter an image."""
    columns = {"actual": [*actual], "predicted": [*predicted], "sha256": [*digests]}
    images = pd.DataFrame(columns | {"subject": [f"S{path[-1]}" for path in paths]}, index=paths)
    images["right"] = images["actual"] == images["predicted"]
    return Revision(name, images, selected_on_test)


def changes(*groups):
    """Images that changed sides: `changes(("S1", 3, 1))` are three of S1 that became right."""
    rows = [(change, subject) for subject, count, change in groups for _ in range(count)]
    return pd.DataFrame(rows, columns=["change", "subject"])


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        (
            changes(*((f"S{n}", 1, 1) for n in range(12))),
            "The difference is significant: by chance alone 0.00049 of differences are as large "
            "(McNemar's exact test on 12 images: p = 0.00049; sign-flip test on their 12 people: "
            "p = 0.00049). If it decides which revision you keep, test has selected it.",
        ),
        (
            changes(("S1", 6, 1), ("S2", 6, 1)),
            "The difference is not significant: by chance alone 50% of differences are as large "
            "(McNemar's exact test on 12 images: p = 0.00049; sign-flip test on their 2 people: "
            "p = 0.5).",
        ),
        (
            changes(("", 12, 1)),
            "The difference is significant: by chance alone 0.00049 of differences are as large "
            "(McNemar's exact test on 12 images: p = 0.00049). If it decides which revision you "
            "keep, test has selected it.",
        ),
        (changes(), "Both get the same images right: there is no difference."),
        (
            changes(("S1", 1, 1), ("S2", 1, -1)),
            "As many became right as wrong: there is no difference (McNemar's exact test on 2 "
            "images: p = 1; sign-flip test on their 2 people: p = 1).",
        ),
    ],
    ids=["many people", "two people", "unknown people", "no change", "as many"],
)
def test_the_verdict_is_that_of_the_people_if_they_are_known(changed, sentence):
    assert compare.verdict(changed, 0.95) == sentence


def test_the_level_is_that_of_the_params():
    changed = changes(*((f"S{n}", 1, 1) for n in range(7)))  # p = 0.0156
    assert "is significant" in compare.verdict(changed, 0.95)
    assert "is not significant" in compare.verdict(changed, 0.99)


def test_the_same_images_with_the_same_labels_are_the_same_test():
    assert compare.differing_tests(revision("A", "aabb"), revision("B", "abab")) is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"paths": ("a/1", "a/2", "b/1", "b/3")}, "1 only in A, 1 only in B; 3 names in both"),
        ({"actual": "abbb"}, "1 in both, with other labels; 4 names in both"),
        ({"digests": "ghyz"}, "2 in both by name, but other images; 4 names in both"),
    ],
    ids=["names", "labels", "images"],
)
def test_differing_test_sets_are_described_and_not_compared(change, text):
    old, new = revision("A", "aabb"), revision("B", "aaaa", **change)
    assert compare.differing_tests(old, new) == text
    *_, last = lines = compare.report(old, new, 0.95).splitlines()
    assert last == (
        f"The test sets differ ({text}), so the revisions cannot be compared: use the same split "
        "of the same images."
    )
    assert not any("became" in line for line in lines)


def test_images_that_changed_sides_are_listed_by_class():
    old, new = revision("HEAD", "abba"), revision("my-experiment", "aaaa", selected_on_test=True)
    assert compare.report(old, new, 0.95).splitlines() == [
        "HEAD: 2 of 4 test images correct",
        "my-experiment: 2 of 4 test images correct, optimistic: selected on test",
        "",
        "right of      images    HEAD    my-experiment",
        "a                  2       1                2  +1",
        "b                  2       1                0  -1",
        "",
        "became right: 1",
        "  a/2: was b, is now a",
        "",
        "became wrong: 1",
        "  b/1: was b, is now a",
        "",
        "As many became right as wrong: there is no difference (McNemar's exact test on 2 images: "
        "p = 1; sign-flip test on their 2 people: p = 1).",
    ]


def test_tables_of_older_revisions_may_have_fewer_columns(project):
    (project / "data/raw").mkdir()
    (project / "reports").mkdir()
    for path, text in (
        (compare.PREDICTIONS, "path,actual,predicted\na/1,a,a\na/2,a,b\n"),
        (paths.SPLIT, "path,subject,split\na/1,S1,test\na/2,S2,test\n"),
        (paths.INDEX, "path,label,sha256\na/1,a,x\na/2,a,y\n"),
    ):
        path.write_text(text)
    found = compare._revision("workspace", None)
    assert found.images["right"].tolist() == [True, False]
    assert found.images["subject"].tolist() == ["S1", "S2"]
    assert found.selected_on_test
