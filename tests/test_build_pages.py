"""The pages of `make html`, as far as that needs no browser: a small made-up repository, and all
committed notebooks. tests/browser looks at the pages themselves."""

import re
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from common.artifacts import ROOT
from common.build import pages, render
from common.build.pages import build, entries

# One black point.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
ROW = (
    '| <a href="{0}.ipynb"><img src="pic.svg" alt="x" width="200"/></a> | [x]({0}.ipynb)<br>'
    "Is $p < 1$ here? | <!--t:{0}-->0:52<!--/t--> |"
)
README = """# Made up

First [words](#below), a [log](log.txt), a [folder](01_one) and the [plan](plan.md).

## Below

| | question | time |
|---|---|---|
{}

All [here](01_one/a.ipynb).
"""


@pytest.fixture
def repository(tmp_path):
    """A function that writes a repository whose notebook a has the given Markdown; its root."""

    def write(text="Some text."):
        first = new_markdown_cell("# Of A & B\n\nafter: [b](../02_two/b.ipynb)")
        output = new_output("display_data", {"image/png": PNG, "text/plain": "<Figure>"})
        cells = [first, new_markdown_cell(text), new_code_cell("1 < 2", outputs=[output])]
        for name, nb in {
            "01_one/a": new_notebook(cells=cells),
            "02_two/b": new_notebook(cells=[new_markdown_cell("# B")]),
        }.items():
            path = tmp_path / f"{name}.ipynb"
            path.parent.mkdir(exist_ok=True)
            nbformat.write(nb, path)
        rows = "\n".join(ROW.format(name) for name in ("01_one/a", "02_two/b"))
        (tmp_path / "README.md").write_text(README.format(rows), encoding="utf-8")
        (tmp_path / "plan.md").write_text("# Plan\n\nSee [b](02_two/b.ipynb).")
        (tmp_path / "log.txt").write_text("done")
        (tmp_path / "pic.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
        return tmp_path

    return write


def built(root):
    """Name -> parsed page of all pages made of a repository."""
    build(root, root / "html")
    return parsed(root / "html")


def parsed(folder):
    return {
        path.relative_to(folder).as_posix(): BeautifulSoup(path.read_text("utf-8"), "html.parser")
        for path in sorted(folder.rglob("*.html"))
    }


def test_every_notebook_is_on_the_index_with_picture_question_and_section(repository):
    found = built(repository())
    assert sorted(found) == [
        "01_one/a.html", "02_two/b.html", "README.html", "index.html", "plan.html",
    ]  # fmt: skip
    index = found["index.html"]
    assert [h.text for h in index.find_all("h2")] == ["One", "Two"]
    assert "First words" in index.text and "All here" not in index.text
    cards = index.find_all("article")
    assert [card.h3.text for card in cards] == ["Of A & B", "B"]
    assert [card.a["href"] for card in cards] == ["01_one/a.html", "02_two/b.html"]
    for card in cards:
        assert card.img["src"].startswith("data:image/svg+xml;base64,")
        assert "Is" in card.text and card.math and "0:52" in card.text


def test_links_lead_to_pages_copies_or_nothing(repository):
    root = repository()
    found = built(root)
    links = {a.text: a["href"] for a in found["index.html"].main.p.find_all("a")}
    assert links == {"words": "README.html#below", "log": "log.txt", "plan": "plan.html"}
    assert (root / "html/log.txt").read_text() == "done"
    assert found["plan.html"].main.a["href"] == "02_two/b.html"
    assert found["README.html"].find(id="below").text == "Below"


def test_neighbours_are_linked_both_ways(repository):
    found = built(repository())
    assert found["01_one/a.html"].find("a", rel="next")["href"] == "../02_two/b.html"
    assert found["01_one/a.html"].find("a", rel="prev") is None
    assert found["02_two/b.html"].find("a", rel="prev")["href"] == "../01_one/a.html"
    assert found["02_two/b.html"].nav.find("a", string="All notebooks")["href"] == "../index.html"


def test_mathematics_is_mathml_and_pictures_have_a_text(repository):
    page = built(repository("## Head\n\n$x < 1$ and\n\n$$\\frac12$$\n\n`$y$` costs 5 \\$"))[
        "01_one/a.html"
    ]
    inline, display = page.find_all("math")
    assert inline.text == "x<1" and "display" not in inline.attrs
    assert display["display"] == "block" and display.mfrac.text == "12"
    assert page.find("code", string="$y$")
    assert page.img["alt"] == "Figure: Head"
    assert page.img["src"] == f"data:image/png;base64,{PNG}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (r"$\nosuchmacro$", "no MathML for"),
        (r"$\frac1$", "no MathML for"),
        ("[x](nowhere.md)", "nowhere.md, which does not exist"),
        ("![x](nowhere.png)", "nowhere.png, which does not exist"),
        ("[x](../../)", "leads out of the repository"),
    ],
)
def test_what_cannot_be_shown_is_refused(repository, text, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        built(repository(text))


def test_a_notebook_without_a_row_is_named(repository):
    root = repository()
    readme = (root / "README.md").read_text("utf-8")
    (root / "02_two/new.ipynb").write_bytes((root / "02_two/b.ipynb").read_bytes())
    with pytest.raises(ValueError, match="02_two/new"):
        entries(readme, root)


def test_a_failed_build_leaves_the_pages_and_a_good_one_replaces_them(repository, capsys):
    root = repository()
    pages.main(root)
    before = (root / "build/html/index.html").read_bytes()
    (root / "build/html/old.html").write_text("")
    repository("[x](nowhere.md)")
    with pytest.raises(ValueError):
        pages.main(root)
    assert (root / "build/html/index.html").read_bytes() == before
    repository()
    pages.main(root)
    assert not (root / "build/html/old.html").exists()
    assert (root / "build/html/index.html").read_bytes() == before


def test_headings_are_named_as_github_does():
    html = render.settled("<h2>The $p$: a, b</h2><h2>X_y</h2><h3>X_y</h3>", ROOT / "x", None)
    assert re.findall(r'id="(.*?)"', html) == ["the-p-a-b", "x_y", "x_y-1"]


def test_the_order_of_the_index_is_that_of_the_notebooks():
    """README.md's table goes the way that "Before" and "after" in the notebooks go."""
    order = entries((ROOT / "README.md").read_text("utf-8"), ROOT)
    for one, other in pairwise(order):
        first = pages.read(ROOT, one.path).cells[0].source
        (link,) = re.findall(r"after: \[\w+\]\(([^)]+)\.ipynb\)", first)
        assert (ROOT / one.path).parent.joinpath(link).resolve() == ROOT / other.path


# --- all notebooks -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "html"
    build(ROOT, folder)
    return folder


@pytest.fixture(scope="module")
def real_pages(real):
    return parsed(real)


def prose(page):
    """The text outside code and formulas."""
    copy = BeautifulSoup(str(page.body), "html.parser")
    for node in copy.find_all(["pre", "code", "math"]):
        node.decompose()
    return copy.get_text()


@pytest.mark.slow
def test_no_mathematics_is_left_as_latex(real_pages):
    assert sum(len(page.find_all("math")) for page in real_pages.values()) > 500
    for name, page in real_pages.items():
        assert re.findall(r"\S*[$\\]\S*", prose(page)) == [], name
        assert page.find("merror") is None, name


@pytest.mark.slow
def test_no_page_asks_for_anything(real_pages):
    for name, page in real_pages.items():
        assert page.find_all(["script", "link", "iframe", "object", "embed", "video"]) == [], name
        assert all(img["src"].startswith("data:image/") for img in page.find_all("img")), name
        assert not re.search(r"@import|url\(", page.style.text), name


@pytest.mark.slow
def test_every_link_leads_to_a_file_and_an_anchor(real, real_pages):
    seen = 0
    for name, page in real_pages.items():
        for href in (a["href"] for a in page.find_all("a")):
            if re.match("https?:", href):
                continue
            path, _, fragment = href.partition("#")
            target = (real / name).parent / unquote(path) if path else real / name
            assert target.resolve().is_file(), (name, href)
            there = Path(target).resolve().relative_to(real.resolve()).as_posix()
            assert not fragment or real_pages[there].find(id=fragment), (name, href)
            assert not path.endswith((".ipynb", ".md")), (name, href)
            seen += 1
    assert seen > 200


@pytest.mark.slow
def test_two_builds_give_the_same_bytes(real, tmp_path):
    build(ROOT, tmp_path / "again")
    files = {path.relative_to(real) for path in real.rglob("*") if path.is_file()}
    again = {p.relative_to(tmp_path / "again") for p in tmp_path.rglob("*") if p.is_file()}
    assert files == again
    assert [
        f for f in files if (real / f).read_bytes() != (tmp_path / "again" / f).read_bytes()
    ] == []
