"""The report as Chromium shows it: one file that requests nothing, readable on every screen."""

import pytest
from example_findings import HARD, report

pytestmark = pytest.mark.browser

# Few classes, and twenty with long and strange names.
CASES = {"plain": {}, "hard": HARD | {"audit": {"held_out_sharing_subject": 0.996}}}
SCREENS = [(1200, False), (1200, True), (700, False), (390, False), (390, True)]

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

# Elements outside the page, text outside its cell, and texts that overlap.
MISPLACED = """
(() => {
  const problems = [], box = e => e.getBoundingClientRect();
  const name = e => `${e.tagName} ${e.className.baseVal ?? e.className}: ${e.textContent}`;
  const overlap = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  const compare = all => all.forEach((one, i) => all.slice(i + 1).forEach(other => {
    if (overlap(box(one), box(other))) problems.push(`overlap: ${name(one)} | ${name(other)}`);
  }));
  // An inline box that spans lines contains its neighbours; one of a pixel is for screen readers.
  const isBlock = e => e.textContent.trim() && getComputedStyle(e).display !== 'inline'
    && box(e).width > 1;
  const scrolls = e => e && (/auto|scroll/.test(getComputedStyle(e).overflowX)
    || scrolls(e.parentElement));
  for (const e of document.body.querySelectorAll('*')) {
    const {left, right} = box(e);
    if ((left < -0.5 || right > innerWidth + 0.5) && box(e).width > 1 && !scrolls(e.parentElement))
      problems.push('outside: ' + name(e));
    if (/^(TH|TD|FIGCAPTION|DD|P|LI)$/.test(e.tagName) && e.scrollWidth > e.clientWidth + 1)
      problems.push('clipped: ' + name(e));
    if (!e.closest('svg')) compare([...e.children].filter(isBlock));
  }
  for (const table of document.querySelectorAll('table'))
    for (const heads of ['thead th > *', 'tbody th'])
      compare([...table.querySelectorAll(heads)].filter(isBlock));
  for (const svg of document.querySelectorAll('svg')) compare([...svg.querySelectorAll('text')]);
  return problems;
})()
"""

# Pictures that did not load or have no text for screen readers.
BAD_PICTURES = """
[...document.querySelectorAll('img, svg, [role=img]')].filter(e => e.tagName === 'IMG'
  ? !e.naturalWidth || !e.alt
  : !e.closest('[aria-hidden=true]') && !e.closest('[role=img]')?.getAttribute('aria-label')
).map(e => e.outerHTML.slice(0, 80))
"""
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(scope="module", params=list(CASES))
def html(request, tmp_path_factory):
    """The report's file."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report(**CASES[request.param]), encoding="utf-8")
    return path


def test_the_scripts_find_requests_errors_and_faint_or_misplaced_text(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        '<body style="background:#fff"><img src="http://faces.invalid/1.png">'
        '<p style="color:#aaa">faint</p><p style="position:absolute;left:1190px">outside</p>'
        "<table><tbody><tr><th>one</th></tr>"
        '<tr><th style="position:relative;top:-1em">two</th></tr></tbody></table>'
        '<script>fetch("https://faces.invalid/2"); console.error("broken")</script>',
        encoding="utf-8",
    )
    browser.open(path)
    assert {"http://faces.invalid/1.png", "https://faces.invalid/2"} <= set(browser.requests)
    assert "broken" in browser.console
    assert browser.run(FAINT)[1] == ["faint"]
    assert len(browser.run(BAD_PICTURES)) == 1
    problems = "\n".join(browser.run(MISPLACED))
    assert "outside: P" in problems
    assert "overlap: TH : one | TH : two" in problems


@pytest.mark.parametrize(("width", "dark"), SCREENS)
def test_the_page_is_alone_and_readable(browser, html, width, dark):
    browser.open(html, width, dark=dark)
    assert [url for url in browser.requests if not url.startswith("data:")] == [html.as_uri()]
    assert browser.console == []
    assert browser.run(BAD_PICTURES) == []
    texts, faint = browser.run(FAINT)
    assert texts > 200
    assert faint == []
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run(MISPLACED) == []
    assert (browser.run(BACKGROUND) == "rgb(255, 255, 255)") != dark


def test_it_prints_on_white_pages(browser, html):
    browser.open(html, dark=True, media="print")
    assert browser.run(BACKGROUND) == "rgb(255, 255, 255)"
    assert browser.run(FAINT)[1] == []
    pdf = browser.pdf()
    assert pdf.startswith(b"%PDF-")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") >= 2
