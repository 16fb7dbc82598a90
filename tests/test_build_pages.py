"""The pages of `make html`, as far as that needs no browser: a small made-up repository, and all
committed notebooks. tests/browser looks at the pages themselves."""

import re
import shutil
from itertools import pairwise
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

First [words](#below), a [log](logs/of%20all.txt), a [folder](01_one), the [plan](plan.md)
and a [site](http://example.org/a.md#b).

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
        first = new_markdown_cell("# Of A & b<c\n\nafter: [b](../02_two_more/b.ipynb)")
        output = new_output("display_data", {"image/png": PNG, "text/plain": "<Figure>"})
        cells = [first, new_markdown_cell(text), new_code_cell("1 < 2", outputs=[output])]
        for name, nb in {
            "01_one/a": new_notebook(cells=cells),
            "02_two_more/b": new_notebook(cells=[new_markdown_cell("# B")]),
        }.items():
            path = tmp_path / f"{name}.ipynb"
            path.parent.mkdir(exist_ok=True)
            nbformat.write(nb, path)
        rows = "\n".join(ROW.format(name) for name in ("01_one/a", "02_two_more/b"))
        (tmp_path / "README.md").write_text(README.format(rows), encoding="utf-8")
        (tmp_path / "plan.md").write_text("# Plan\n\nSee [b](02_two_more/b.ipynb), [c](logs/c.md).")
        (tmp_path / "logs").mkdir(exist_ok=True)
        (tmp_path / "logs/c.md").write_text("# C\n\n[d](d.txt), ![a point](../pic.svg)")
        (tmp_path / "logs/d.txt").write_text("all")
        (tmp_path / "logs/of all.txt").write_text("done")
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


def asks(page):
    """What a browser would load for a page, or run: no page may have any."""
    outside = [one for one in page.find_all("img") if not one["src"].startswith("data:image/")]
    loaded = page.find_all(["script", "link", "iframe", "object", "embed", "video"])
    return outside + loaded + re.findall(r"@import|url\(", page.style.text)


def followed(folder, found):
    """How many links the pages in a folder have to each other, all of which lead somewhere."""
    seen = 0
    for name, page in found.items():
        for href in (a["href"] for a in page.find_all("a")):
            if re.match("https?:", href):
                continue
            path, _, fragment = href.partition("#")
            target = (folder / name).parent / unquote(path) if path else folder / name
            assert target.resolve().is_file(), (name, href)
            there = target.resolve().relative_to(folder.resolve()).as_posix()
            assert not fragment or found[there].find(id=fragment), (name, href)
            assert not path.endswith((".ipynb", ".md")), (name, href)
            seen += 1
    return seen


def test_every_notebook_is_on_the_index_with_picture_question_and_section(repository):
    found = built(repository())
    assert sorted(found) == [
        "01_one/a.html", "02_two_more/b.html", "README.html",
        "index.html", "logs/c.html", "plan.html",
    ]  # fmt: skip
    index = found["index.html"]
    assert [h.text for h in index.find_all("h2")] == ["One", "Two more"]
    assert "First words" in index.text and "All here" not in index.text
    cards = index.find_all("article")
    assert [card.h3.text for card in cards] == ["Of A & b<c", "B"]
    assert [card.a["href"] for card in cards] == ["01_one/a.html", "02_two_more/b.html"]
    for card in cards:
        assert card.img["src"].startswith("data:image/svg+xml;base64,")
        assert "Is" in card.text and card.math and "0:52" in card.text


def test_links_lead_to_pages_copies_or_nothing(repository):
    root = repository()
    found = built(root)
    first = found["index.html"].main.p
    assert {a.text: a["href"] for a in first.find_all("a")} == {
        "words": "README.html#below",
        "log": "logs/of%20all.txt",
        "plan": "plan.html",
        "site": "http://example.org/a.md#b",
    }
    assert "a folder, the plan" in first.text
    assert (root / "html/logs/of all.txt").read_text() == "done"
    assert found["plan.html"].main.a["href"] == "02_two_more/b.html"
    assert found["README.html"].find(id="below").text == "Below"


def test_every_link_of_a_small_repository_leads_somewhere(repository):
    root = repository()
    assert followed(root / "html", built(root)) > 10
    assert (root / "html/logs/d.txt").read_text() == "all"


def test_no_page_of_a_small_repository_asks_for_anything(repository):
    found = built(repository("![a point](../pic.svg)"))
    assert [one for page in found.values() for one in asks(page)] == []
    assert len(found["01_one/a.html"].find_all("img")) == 2


def test_what_a_notebook_shows_can_ask_for_nothing(repository):
    """What no other directive names falls under default-src: w3.org/TR/CSP3."""
    for page in built(repository()).values():
        policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})["content"]
        rules = dict(rule.split(maxsplit=1) for rule in policy.split(";"))
        assert rules.pop("default-src") == "'none'"
        assert set(rules) <= {"img-src", "style-src"}
        assert set(rules.values()) <= {"data:", "'unsafe-inline'"}


def test_html_in_markdown_and_wide_tables_are_kept(repository):
    text = "<details>a<sub>1</sub> &lt;b&gt;</details>\n\n| `<i>` |\n|---|\n| 2 |"
    main = built(repository(text))["01_one/a.html"].main
    assert main.details.text == "a1 <b>" and main.details.sub.text == "1"
    assert main.table.th.code.text == "<i>" and main.table.parent["class"] == ["wide"]
    assert main.find("pre").text.strip() == "1 < 2" and "In" not in main.text


def test_neighbours_are_linked_both_ways(repository):
    found = built(repository())
    assert [found[f"{name}.html"].title.text for name in ("01_one/a", "plan", "index")] == [
        "Of A & b<c", "Plan", "Made up",
    ]  # fmt: skip
    assert found["02_two_more/b.html"].find("a", rel="prev").text == "← Of A & b<c"
    assert found["01_one/a.html"].find("a", rel="next")["href"] == "../02_two_more/b.html"
    assert found["01_one/a.html"].find("a", rel="prev") is None
    assert found["02_two_more/b.html"].find("a", rel="prev")["href"] == "../01_one/a.html"
    assert (
        found["02_two_more/b.html"].nav.find("a", string="All notebooks")["href"] == "../index.html"
    )


def test_mathematics_is_mathml_and_pictures_have_a_text(repository):
    equations = "\\begin{aligned}a&=1\\\\b&=2\\end{aligned}"
    text = f"## Head\n\n$x < 1$ and\n\n$$\\frac12$$\n\n`$y$` costs 5 \\$\n\n{equations}"
    page = built(repository(text))["01_one/a.html"]
    inline, display, aligned = page.find_all("math")
    assert inline.text == "x<1" and "display" not in inline.attrs
    assert display["display"] == "block" and display.mfrac.text == "12"
    assert [row.text for row in aligned.find_all("mtr")] == ["a=1", "b=2"]
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


def test_a_table_that_is_not_that_of_the_notebooks_is_refused(repository):
    root = repository()
    readme = (root / "README.md").read_text("utf-8")
    (root / "02_two_more/new.ipynb").write_bytes((root / "02_two_more/b.ipynb").read_bytes())
    with pytest.raises(ValueError, match="02_two_more/new"):
        entries(readme, root)
    (root / "02_two_more/new.ipynb").unlink()
    assert len(entries(readme, root)) == 2
    with pytest.raises(ValueError, match="one twice"):
        entries(f"{readme}\n{ROW.format('01_one/a')}", root)


def test_a_failed_build_leaves_the_pages_and_a_good_one_replaces_them(repository, capsys):
    root = repository()
    pages.main(root)
    before = (root / "build/html/index.html").read_bytes()
    (root / "build/html/old.html").write_text("")
    (root / "build/html.partial").mkdir()
    (root / "build/html.partial/older.html").write_text("")
    repository("[x](nowhere.md)")
    with pytest.raises(ValueError):
        pages.main(root)
    assert (root / "build/html/index.html").read_bytes() == before
    repository()
    pages.main(root)
    assert not list((root / "build").rglob("old*.html"))
    assert (root / "build/html/index.html").read_bytes() == before


def test_pages_are_the_same_bytes_wherever_they_are_made(repository, tmp_path_factory):
    one = repository()
    other = shutil.copytree(one, tmp_path_factory.mktemp("elsewhere") / "other")
    texts = []
    for root in (one, other):
        build(root, root / "html")
        files = [path for path in (root / "html").rglob("*") if path.is_file()]
        texts.append({path.relative_to(root): path.read_bytes() for path in files})
    assert texts[0] == texts[1] and len(texts[0]) == 8


def test_headings_are_named_as_github_does():
    html = render.settled("<h2>The $p$: a-1, b</h2><h2>X_y</h2><h3>X_y</h3>", ROOT / "x", None)
    assert re.findall(r'id="(.*?)"', html) == ["the-p-a-1-b", "x_y", "x_y-1"]


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
    assert {name: asks(page) for name, page in real_pages.items() if asks(page)} == {}


@pytest.mark.slow
def test_every_link_leads_to_a_file_and_an_anchor(real, real_pages):
    assert followed(real, real_pages) > 200


@pytest.mark.slow
def test_two_builds_give_the_same_bytes(real, tmp_path):
    build(ROOT, tmp_path / "again")
    files = {path.relative_to(real) for path in real.rglob("*") if path.is_file()}
    again = {p.relative_to(tmp_path / "again") for p in tmp_path.rglob("*") if p.is_file()}
    assert files == again
    assert [
        f for f in files if (real / f).read_bytes() != (tmp_path / "again" / f).read_bytes()
    ] == []
