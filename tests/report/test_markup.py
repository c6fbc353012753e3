import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ferpipe.report.markup import document, element, picture


def test_text_cannot_break_out_of_its_element():
    page = document(element("p", "<script>a & b</script>", title='"><b>'))
    seen = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: seen.append((tag, attributes))
    parser.handle_data = lambda text: seen.append(text)
    parser.feed(page)
    assert seen == ["\n", ("p", [("title", '"><b>')]), "<script>a & b</script>", "\n"]


def test_children_keep_their_order_however_they_are_nested():
    made = element("p", "a", [element("b", "c"), "d", None, (element("i"), "e")], "f")
    assert document(made).split("\n")[1] == "<p>a<b>c</b>d<i></i>ef</p>"


@pytest.mark.parametrize("letter", ["\x00", "\x07", "\x1b", "\ud800", "\u2028"])
def test_what_no_page_may_hold_is_escaped(letter):
    page = document(element("p", f"a{letter}b", title=letter))
    assert letter not in page
    page.encode("utf-8")


def test_underscores_stand_for_hyphens_and_none_for_nothing():
    made = element("p", class_="x", aria_label="y", id=None, viewBox="0 0 1 1")
    assert made.attrib == {"class": "x", "aria-label": "y", "viewBox": "0 0 1 1"}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_holds_its_pixels_exactly(channels):
    pixels = np.random.default_rng(0).integers(0, 256, (12, 12, channels), dtype=np.uint8)
    made = picture(pixels, "noise")
    data = base64.b64decode(made.get("src").removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        assert (np.asarray(image).reshape(pixels.shape) == pixels).all()
    assert made.get("alt") == "noise"
    assert picture(pixels, "noise").get("src") == made.get("src")


def test_a_large_picture_is_made_smaller():
    made = picture(np.zeros((300, 300, 3), np.uint8), "black")
    assert (made.get("width"), made.get("height")) == ("96", "96")
