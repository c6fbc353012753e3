"""The report as Chromium shows it: readable, whole, and alone."""

import pytest
from browser import Browser
from example_findings import HARD, report

pytestmark = pytest.mark.browser

CASES = {
    "plain": {},
    "hard": HARD | {"audit": {"held_out_sharing_subject": 0.996}},
}  # fmt: skip
SCREENS = [(1200, False), (1200, True), (390, False), (390, True)]

# Text whose contrast with what is behind it is below 4.5, or 3 where letters are large (Web Content
# Accessibility Guidelines 2.2, 1.4.3).
FAINT = """
(() => {
  const parse = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const luminance = ([r, g, b]) => [r, g, b]
    .map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = parse(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
      if (colour[3] !== 0) throw Error('half transparent: ' + e.className);
    }
    throw Error('no background');
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  let seen = 0;
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element.getClientRects().length) continue;
    const style = getComputedStyle(element);
    const ink = parse(element.closest('svg') ? style.fill : style.color);
    const [low, high] = [luminance(ink), luminance(behind(element))].sort((a, b) => a - b);
    const large = parseFloat(style.fontSize) >= (style.fontWeight >= 600 ? 18.66 : 24);
    seen++;
    if ((high + 0.05) / (low + 0.05) < (large ? 3 : 4.5)) faint.push(text);
  }
  return [seen, faint];
})()
"""

# Elements outside the page, text outside its cell, and neighbours that lie over each other.
MISPLACED = """
(() => {
  const found = [], box = e => e.getBoundingClientRect();
  const told = e => `${e.tagName} ${e.className.baseVal ?? e.className}: ${e.textContent}`;
  const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const compare = all => all.forEach((one, i) => all.slice(i + 1).forEach(other => {
    if (over(box(one), box(other))) found.push(`overlap: ${told(one)} | ${told(other)}`);
  }));
  for (const e of document.body.querySelectorAll('*')) {
    const {left, right} = box(e);
    if (!e.closest('.scroller, .unseen') && (left < -0.5 || right > innerWidth + 0.5))
      found.push('outside: ' + told(e));
    if (/^(TH|TD|FIGCAPTION|DD|P|LI)$/.test(e.tagName) && e.scrollWidth > e.clientWidth + 1)
      found.push('clipped: ' + told(e));
  }
  for (const group of ['.confusion thead th span', '.confusion tbody th', '.scores tbody th',
                       '.tiles div', '.ends span', 'nav a', '.multiples figure', '.faces figure',
                       '.heat figure'])
    compare([...document.querySelectorAll(group)]);
  for (const svg of document.querySelectorAll('svg')) compare([...svg.querySelectorAll('text')]);
  return found;
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture(scope="module", params=list(CASES))
def html(request, tmp_path_factory):
    """The report's file: of few classes, and of twenty with long and strange names."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report(**CASES[request.param]), encoding="utf-8")
    return path


def test_a_request_a_complaint_and_faint_or_misplaced_text_would_be_found(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        '<body style="background:#fff"><img src="http://faces.invalid/1.png">'
        '<p style="color:#aaa">faint</p><p style="position:absolute;left:1190px">outside</p>'
        '<table class="scores"><tbody><tr><th>one</th></tr>'
        '<tr><th style="position:relative;top:-1em">two</th></tr></tbody></table>'
        '<script>console.error("broken")</script>',
        encoding="utf-8",
    )
    browser.open(path)
    assert "http://faces.invalid/1.png" in browser.requests
    assert "broken" in browser.console
    assert browser.run(FAINT)[1] == ["faint"]
    found = "\n".join(browser.run(MISPLACED))
    assert "outside: P" in found
    assert "overlap: TH : one | TH : two" in found


@pytest.mark.parametrize(("width", "dark"), SCREENS)
def test_nothing_is_asked_for_and_nothing_complained_of(browser, html, width, dark):
    browser.open(html, width, dark=dark)
    asked = [address for address in browser.requests if not address.startswith("data:")]
    assert asked == [html.as_uri()]
    assert browser.console == []
    assert browser.run("[...document.images].every(image => image.naturalWidth > 0)")


@pytest.mark.parametrize(("width", "dark"), SCREENS)
def test_all_text_can_be_read(browser, html, width, dark):
    browser.open(html, width, dark=dark)
    seen, faint = browser.run(FAINT)
    assert seen > 200
    assert faint == []


@pytest.mark.parametrize("width", [1200, 700, 390])
def test_nothing_is_clipped_or_overlaps(browser, html, width):
    browser.open(html, width)
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(MISPLACED) == []


def test_the_schemes_differ(browser, html):
    colours = set()
    for dark in (False, True):
        browser.open(html, dark=dark)
        colours.add(browser.run("getComputedStyle(document.body).backgroundColor"))
    assert colours == {"rgb(255, 255, 255)", "rgb(22, 27, 36)"}


def test_it_prints_on_white_pages(browser, html):
    browser.open(html, dark=True, media="print")
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    assert browser.run(FAINT)[1] == []
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") >= 2
