"""Every page of build/html as Chromium shows it without a network: `make check-html`.

What can be seen without a browser is tested by tests/test_build_pages.py.
"""

from pathlib import Path

import pytest
from chromium import chromium

HTML = Path(__file__).resolve().parents[2] / "build" / "html"
PAGES = sorted(path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html"))

# What the reader sees outside code and formulas, with what is folded away.
PROSE = """() => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  const copy = document.body.cloneNode(true);
  for (const one of copy.querySelectorAll("pre, code, math")) one.remove();
  return copy.textContent;
}"""
BROKEN_IMAGES = """() => [...document.images]
  .filter(one => !one.complete || !one.naturalWidth).map(one => one.src.slice(0, 80))"""
LINKS = "() => [...document.links].map(one => one.href)"
IDS = "() => [...document.querySelectorAll('[id]')].map(one => one.id)"
# Nothing drawn, or drawn as an error.
BAD_FORMULAS = """() => [...document.querySelectorAll("math")].filter(one => {
  const box = one.getBoundingClientRect();
  return !box.width || !box.height || one.querySelector("merror");
}).map(one => one.textContent)"""
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="session")
def offline():
    """A window without a network, and without the pages' own rule that forbids them to ask."""
    with chromium() as browser:
        context = browser.new_context(bypass_csp=True, offline=True)
        yield context
        context.close()


@pytest.fixture
def open_page(offline):
    """A function that opens a file, and gives the page and all addresses it asked for."""
    page, asked = offline.new_page(), []
    page.on("request", lambda request: asked.append(request.url))

    def opened(path):
        page.goto(path.resolve().as_uri(), wait_until="load")
        return page, asked

    yield opened
    page.close()


def requests(page, asked):
    """Addresses that the page asked for, itself and what it holds within left out."""
    return [url for url in asked if url != page.url and not url.startswith("data:")]


def raw_mathematics(page):
    return [word for word in page.evaluate(PROSE).split() if "$" in word or "\\" in word]


def broken_links(page, anchors):
    """Links to files that are not there, and to anchors that `anchors` (address -> ids) lacks."""
    broken = []
    for link in page.evaluate(LINKS):
        address, _, fragment = link.partition("#")
        if link.startswith("file:"):
            path = Path(address.removeprefix("file://"))
            if not path.is_file() or (fragment and fragment not in anchors(path)):
                broken.append(link)
    return broken


@pytest.fixture
def anchors(offline):
    """A function from a file to the ids in it, as the browser reads them."""
    page = offline.new_page()

    def ids(path):
        page.goto(path.as_uri())
        return page.evaluate(IDS)

    yield ids
    page.close()


def test_there_are_pages():
    assert "index.html" in PAGES and len(PAGES) > 10


@pytest.mark.parametrize("name", PAGES)
def test_page(open_page, anchors, name):
    page, asked = open_page(HTML / name)
    assert raw_mathematics(page) == []  # also unfolds what is folded
    assert page.evaluate(BROKEN_IMAGES) == []
    assert page.evaluate(BAD_FORMULAS) == []
    assert broken_links(page, anchors) == []
    for width in (1200, 400):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(TOO_WIDE) <= 0, width
    assert requests(page, asked) == []


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("<p>a value of $x$</p>", "mathematics"),
        (r"<p>\frac12</p>", "mathematics"),
        ("<img src='missing.png'>", "images requests"),
        ("<img src='data:image/png;base64,AAAA'>", "images"),
        ("<math><merror>x</merror></math>", "formulas"),
        ("<math></math>", "formulas"),
        ("<a href='missing.html'>x</a>", "links"),
        ("<a href='#nowhere'>x</a>", "links"),
        ("<a href='#here'>x</a><p id='here'>", ""),
        ("<script src='https://example.org/x.js'></script>", "requests"),
        ("<p style='width: 3000px'>x</p>", "wide"),
        ("<code>$x$</code><math><mi>x</mi></math>", ""),
    ],
)
def test_each_fault_is_seen(open_page, anchors, tmp_path, body, seen):
    path = tmp_path / "page.html"
    path.write_text(f"<!DOCTYPE html><body>{body}", encoding="utf-8")
    page, asked = open_page(path)
    faults = {
        "mathematics": raw_mathematics(page),
        "images": page.evaluate(BROKEN_IMAGES),
        "formulas": page.evaluate(BAD_FORMULAS),
        "links": broken_links(page, anchors),
        "wide": page.evaluate(TOO_WIDE) > 0,
        "requests": requests(page, asked),
    }
    assert [name for name, found in faults.items() if found] == seen.split()
