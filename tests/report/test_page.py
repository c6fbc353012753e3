import itertools
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from example_findings import HARD, findings, report

from ferpipe.evaluation.corruptions import CORRUPTIONS
from ferpipe.report import page
from ferpipe.report.text import MISUSE, limits, strength, worst_corruption

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Page(HTMLParser):
    """Collects headings, elements with their attributes, and text; checks that elements nest."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.headings, self.texts, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = re.sub(r"\s+", " ", "".join(self.texts))

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings[-1][1] += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def plain():
    return report()


@pytest.fixture(scope="module")
def hard():
    return report(**HARD)


@pytest.fixture(params=["plain", "hard"])
def parsed(request):
    return Page(request.getfixturevalue(request.param))


def test_the_page_is_the_same_in_another_process_and_locale(plain):
    code = (
        "import sys; sys.path[:0] = ['tests']; from example_findings import report;"
        "sys.stdout.buffer.write(report().encode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(filter(None, sys.path)), "PYTHONHASHSEED": "7",
             "TZ": "Asia/Tokyo", "LC_ALL": "C", "PATH": ""},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.decode() == plain == report()


def test_nothing_is_fetched_and_nothing_is_run(parsed):
    tags = {tag for tag, _ in parsed.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "video", "audio", "source"}
    for _, attributes in parsed.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("xlink:href", "#").startswith("#")
    css = (page.TEMPLATES / "page.css").read_text(encoding="utf-8")
    assert "url(" not in css
    assert "@import" not in css


def test_ids_are_unique_and_links_lead_to_them(parsed):
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"][1:] for link in parsed.of("a")} <= set(ids)
    assert {use["xlink:href"][1:] for use in parsed.of("use")} <= set(ids)


def test_headings_are_in_order(parsed):
    levels = [level for level, _ in parsed.headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert parsed.of("html") == [{"lang": "en"}]


def test_every_picture_and_table_has_a_text_alternative(parsed):
    pictures = parsed.of("img")
    assert len(pictures) > 8
    assert all(picture["alt"] for picture in pictures)
    assert len(parsed.of("svg")) > 8
    assert all(svg["aria-label"] and svg["role"] == "img" for svg in parsed.of("svg"))
    scrolling = [each for each in parsed.of("div") if each.get("class") == "scroller"]
    assert all(each["aria-label"] and each["tabindex"] == "0" for each in scrolling)
    assert all(each["scope"] in ("row", "col") for each in parsed.of("th"))
    assert len(parsed.of("caption")) == len(parsed.of("table"))


def test_every_colour_of_a_drawing_follows_the_colour_scheme(plain):
    drawings = re.findall(r"<svg.*?</svg>", plain, re.DOTALL)
    assert drawings
    for drawing in drawings:
        assert not re.findall(r"#[0-9a-fA-F]{6}\b", drawing.replace("#000000", ""))
        assert "var(--" in drawing
    css = (page.TEMPLATES / "page.css").read_text(encoding="utf-8")
    assert set(re.findall(r"var\((--[\w-]+)\)", plain)) <= set(re.findall(r"(--[\w-]+):", plain))
    assert css.count("--first:") == 2


def test_the_metrics_are_those_of_the_findings():
    shown = findings(skill=1.5)
    parsed = Page(report(shown))
    assert f"{shown.metrics['accuracy']:.1%} of 90 test images" in parsed.text
    assert f"MCC{shown.metrics['mcc']:.3f}" in parsed.text
    bounds = f"{shown.metrics['accuracy_low']:.1%} to {shown.metrics['accuracy_high']:.1%}"
    assert f"95% interval {bounds}, Wilson over images." in parsed.text
    # Recalls, reliability, corrupted images.
    assert parsed.text.count("Intervals: Wilson over images.") == 3
    for row in shown.per_class.itertuples():
        assert f"{row.recall_low:.1%} to {row.recall_high:.1%}" in parsed.text
    for count in shown.result.confusion.flat:
        assert str(count) in parsed.texts
    assert f"{shown.calibration[0].error:.3f}" in parsed.texts
    for curve in shown.curves:
        assert f"{curve.name} AUC {curve.auc:.3f}" in parsed.text
        assert f"{curve.name} AP {curve.average_precision:.3f}" in parsed.text


def test_protocol_audit_limits_and_params_are_shown():
    shown = findings(audit={"held_out_sharing_sequence": 0.956})
    text = Page(report(shown)).text
    assert "56 validation images, which selected the epoch" in text
    assert "95.6% of the held-out images are from a recording" in text
    assert all(sentence in text for sentence in (*limits(shown), *MISUSE))
    for fact in ("augment.fliptrue", "weights_sha256null", "0" * 64, "keras3.15.0"):
        assert fact in text


def test_each_table_and_figure_says_that_test_selected(plain):
    flags = Page(report(selected_on_test=True)).text.count("optimistic: selected on test")
    # Title, lead, baselines, confusion, classes, two curves, two panels of calibration, coverage
    # and a table, two panels for each of three classes, mistakes; of corrupted images eight panels,
    # the worst and a table.
    assert flags == 28
    assert "optimistic" not in Page(plain).text


def test_the_baselines_have_intervals_and_are_tested_against_the_network(plain):
    text = Page(plain).text
    assert re.search(r"HOG \+ kernel ridge 80\.0% 70\.0% to 85\.0% 12\s?0\.780\s?0\.031", text)
    assert (
        "network against HOG + kernel ridge: p = 0.031, exact sign-flip test over 12 people" in text
    )
    # The majority class of train and val; a third of the test images show that of test.
    assert "majority class: 30%" in text
    assert "the majority class would give 30.0%" in plain


@pytest.mark.parametrize(("people", "few"), [(10, True), (40, False)])
def test_intervals_over_few_people_have_a_caution(people, few):
    text = Page(report(people=people, skill=1.5, count=240)).text
    assert f"bootstrap over subjects, {people} people" in text
    assert (
        "few people, may be too narrow"
        in text.rpartition("Training curves")[0].rpartition("Per class")[2]
    ) == few


def test_the_most_similar_pairs_are_listed(plain):
    text = Page(plain).text
    assert "anger/60.pngfear/x.png0.9600sequence" in text
    assert text.count("fear/x.png") == page.PAIRS


def test_mistakes_are_shown_with_their_images_and_both_classes():
    shown = findings(skill=1.0)
    text = report(shown)
    first = shown.mistakes[0]
    actual, predicted = (
        shown.result.classes[labels[first]]
        for labels in (shown.result.labels, shown.result.predicted)
    )
    assert f'alt="A face that shows {actual}, classified as {predicted}"' in text
    assert shown.result.paths[first].split("/")[1] in text


def test_a_model_without_mistakes_and_one_without_curves_have_a_page_too():
    assert "None: every test image was classified correctly." in Page(report(skill=99.0)).text
    text = Page(report(epochs=1)).text
    assert "One epoch, so there is no curve." in text
    assert "epoch 1, kept" not in text


def test_heat_maps_are_of_hits_and_of_both_classes_of_mistakes():
    shown = findings(skill=1.0)
    labels, predicted = shown.result.labels, shown.result.predicted
    pairs = page.explained(shown)
    assert pairs[:3] == [(int(n), int(labels[n])) for n in shown.hits]
    first = int(shown.mistakes[0])
    assert pairs[3:5] == [(first, predicted[first]), (first, labels[first])]
    assert len(pairs) == 3 + 2 * page.EXPLAINED


def test_corrupted_images_have_a_chart_their_faces_and_a_row(plain):
    shown = findings()
    parsed = Page(plain)
    assert worst_corruption(shown)[1:] in parsed.text
    text = parsed.text.rpartition("Limits")[0].rpartition("Corrupted images")[2]
    for corruption in CORRUPTIONS:
        rows = shown.corrupted[shown.corrupted["corruption"] == corruption.name]
        cells = [f"{row.accuracy:.1%} {strength(row._asdict())}" for row in rows.itertuples()]
        assert f"{corruption.name} {' '.join(cells)} {rows['accuracy_low'].iloc[-1]:.1%}" in text
        faces = [one for one in parsed.of("img") if f"face with {corruption.name}," in one["alt"]]
        assert len({face["src"] for face in faces}) == 3


def test_without_corrupted_images_the_page_says_so(plain):
    text = Page(report(corruptions=())).text
    assert "Not measured: evaluate.robustness is false." in text
    assert "corruptions that cameras" not in text
    assert "Not measured" not in Page(plain).text


def test_rgb_images_are_shown_too(plain):
    assert len(Page(report(channels=3)).of("img")) == len(Page(plain).of("img"))


def test_strange_names_stay_text(hard):
    assert "<b>bold</b> &amp;" not in hard
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; | `x`" in hard
    assert "bell\\x07" in hard
    assert "怒り" in hard


@pytest.mark.parametrize("letter", ["\x00", "\x07", "\x1b", "\ud800", "\u2028"])
def test_letters_that_no_page_may_contain_are_escaped(letter):
    text = report(classes=(f"a{letter}b", "c", "d"))
    assert letter not in text
    text.encode("utf-8")


def luminance(colour):
    channels = [int(colour[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return np.dot((0.2126, 0.7152, 0.0722), linear)


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("fraction", np.linspace(0.001, 1, 23))
def test_text_is_readable_on_every_cell_of_the_confusion_matrix(fraction, right):
    style = page.cell_style(fraction, right=right)
    found = re.findall(r"--(light|dark):#(\w{6});--on-\1:(black|white)", style)
    assert len(found) == 2
    for _, colour, ink in found:
        low, high = sorted((luminance(colour), float(ink == "white")))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_a_larger_fraction_has_a_stronger_colour_and_the_smallest_has_one():
    weak, middle, full = (
        luminance(page.cell_style(fraction, right=False)[9:15]) for fraction in (0.001, 0.5, 1.0)
    )
    assert full < middle < weak < 0.95
