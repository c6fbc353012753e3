import dataclasses
import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from judged import HARD_CLASSES, findings, heat_maps

from ferpipe.report import page
from ferpipe.report.text import MISUSE, limits

VOID = {"meta", "img", "link", "br", "hr", "input"}
HARD = {"classes": HARD_CLASSES, "count": 200, "selected_on_test": True, "temperature": 1.6}


def html(found=None, **changes):
    found = found or findings(**changes)
    return page.page(found, heat_maps(found, page.looked_at(found)))


class Page(HTMLParser):
    """Collects headings, elements with their attributes, and text; checks that elements nest."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.headings, self.texts, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings[-1][1] += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=[{}, HARD], ids=["plain", "hard"])
def parsed(request):
    return Page(html(**request.param))


def test_the_same_findings_give_the_same_page():
    assert html() == html()


def test_the_page_is_the_same_in_another_process_and_locale():
    code = (
        "import sys; sys.path[:0] = ['tests', 'tests/report']; from test_page import html;"
        "sys.stdout.buffer.write(html().encode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": "7",
             "TZ": "Asia/Tokyo", "LC_ALL": "C", "PATH": ""},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.decode() == html()


def test_nothing_is_fetched_and_nothing_is_run(parsed):
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "video", "audio", "source"}
    for _, attributes in parsed.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:").startswith("data:image/png;base64,"[:5])
        assert attributes.get("href", "#").startswith("#")
    css = page.CSS.read_text(encoding="utf-8")
    assert "url(" not in css
    assert "@import" not in css


def test_headings_are_in_order_and_links_lead_to_them(parsed):
    levels = [level for level, _ in parsed.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    ids = {attributes["id"] for _, attributes in parsed.elements if "id" in attributes}
    assert {link["href"] for link in parsed.of("a")} <= {f"#{name}" for name in ids}
    assert parsed.of("html") == [{"lang": "en"}]


def test_everything_that_is_seen_is_said(parsed):
    pictures = parsed.of("img")
    assert len(pictures) > 8
    assert all(picture["alt"] for picture in pictures)
    assert all(svg["aria-label"] and svg["role"] == "img" for svg in parsed.of("svg"))
    scrolling = [each for each in parsed.of("div") if each.get("class") == "scroller"]
    assert all(each["aria-label"] and each["tabindex"] == "0" for each in scrolling)
    assert all(each["scope"] in ("row", "col") for each in parsed.of("th"))
    assert len(parsed.of("caption")) == len(parsed.of("table"))


def test_the_numbers_are_those_of_the_findings():
    found = findings(skill=1.5)
    texts = Page(html(found)).texts
    joined = "".join(texts)
    assert f"{found.metrics['accuracy']:.1%}" in texts
    assert f"95% interval {found.metrics['accuracy_low']:.1%} to" in joined
    for row in found.per_class:
        assert f"{row['recall_low']:.1%} to {row['recall_high']:.1%}" in texts
    for count in found.confusion.flat:
        assert str(count) in texts
    assert f"{found.calibration[0].error:.3f}" in texts
    for curves in found.curves:
        assert f"{curves.name} AUC {curves.auc:.3f}" in joined
        assert f"{curves.name} AP {curves.average_precision:.3f}" in joined


def test_protocol_audit_limits_and_what_was_run_are_told():
    found = findings(split={"held_out_sharing_sequence": 0.956})
    joined = "".join(Page(html(found)).texts)
    assert "56 (val) chose which epoch was kept" in joined
    assert "95.6% of the held-out images are from a recording" in joined
    assert all(sentence in joined for sentence in (*limits(found), *MISUSE))
    assert "augment.fliptrue" in joined
    assert "weights_sha256null" in joined
    assert "0" * 64 in joined
    assert "keras3.15.0" in joined


def test_each_table_and_figure_says_that_test_has_chosen():
    parsed = Page(html(selected_on_test=True))
    flags = "".join(parsed.texts).count("optimistic: selected on test")
    # Header, baselines, confusion, classes, two curves, calibration's two panels and
    # table, two panels for each of three classes, mistakes, and the page's title.
    assert flags == 17
    assert "optimistic" not in "".join(Page(html()).texts)


def test_the_baselines_have_intervals_and_are_tested_against_the_network():
    parsed = Page(html())
    joined = "".join(parsed.texts)
    assert [text for _, text in parsed.headings].index("Baselines") > 1
    assert "HOG + kernel ridge80.0%70.0% to 85.0%120.7800.031" in joined
    assert (
        "network against HOG + kernel ridge: p = 0.031, exact sign-flip test over 12 people"
        in joined
    )


def test_the_only_majority_is_that_of_train_and_val():
    joined = "".join(Page(html()).texts)
    # A third of the test images show the most frequent class of test.
    assert "majority class: 30%" in joined
    assert "commonest" not in joined
    assert "the majority class of train and val would give 30.0%" in html()


@pytest.mark.parametrize(("people", "few"), [(10, True), (40, False)])
def test_intervals_over_people_say_how_many_and_are_cautious_where_they_are_few(people, few):
    found = findings(people=people, skill=1.5, count=240)
    joined = "".join(Page(html(found)).texts)
    caution = "; caution: fewer than 30 people, so it may be too narrow"
    assert (f"bootstrap over subjects, {people} people{caution}. " in joined) == few
    assert (f"bootstrap over subjects, {people} people. " in joined) == (not few)
    # The recalls: everybody shows each class.
    of_recalls = f"Intervals: bootstrap over subjects, {people} people{caution if few else ''}."
    assert of_recalls in joined


def test_the_closest_pairs_are_listed():
    joined = "".join(Page(html()).texts)
    assert "anger/60.pngfear/x.png0.960sequence" in joined
    assert joined.count("fear/x.png") == 8


def test_the_interval_is_shown_with_its_method():
    found = findings()
    bounds = f"{found.metrics['accuracy_low']:.1%} to {found.metrics['accuracy_high']:.1%}"
    joined = "".join(Page(html(found)).texts)
    assert f"{bounds}, Wilson over images. " in joined
    assert joined.count("Intervals: Wilson over images.") == 2  # recalls and reliability


def test_mistakes_are_shown_with_their_images_and_what_they_were_taken_for():
    found = findings(skill=1.0)
    text = html(found)
    first = found.mistakes[0]
    actual = found.classes[found.labels[first]]
    taken = found.classes[found.predicted[first]]
    assert f'alt="A face that shows {actual} and was taken for {taken}"' in text
    assert found.paths[first].split("/")[1] in text


def test_a_model_without_mistakes_has_a_page_too():
    joined = "".join(Page(html(skill=99.0)).texts)
    assert "There are none: every test image was right." in joined


def test_a_fit_without_epochs_is_a_table_instead_of_a_curve():
    joined = "".join(Page(html(epochs=1)).texts)
    assert "One fit, so there is no curve to draw." in joined
    assert "epoch 1, kept" not in joined


def test_heat_is_asked_for_hits_and_for_both_classes_of_mistakes():
    found = findings(skill=1.0)
    pairs = page.looked_at(found)
    assert pairs[:3] == [(int(n), int(found.labels[n])) for n in found.hits]
    first = int(found.mistakes[0])
    assert pairs[3:5] == [(first, found.predicted[first]), (first, found.labels[first])]
    assert len(pairs) == 3 + 2 * page.EXPLAINED


def test_images_in_colour_are_shown_in_colour():
    gray = findings()
    colour = dataclasses.replace(gray, images=np.repeat(gray.images, 3, axis=3))
    assert len(Page(html(colour)).of("img")) == len(Page(html(gray)).of("img"))


def test_strange_names_stay_text():
    text = html(**HARD)
    assert "<b>bold</b> &amp;" not in text
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; | `x`" in text
    assert "bell\\x07" in text
    assert "怒り" in text
