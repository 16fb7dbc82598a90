"""README.md, the other Markdown files and the notebooks as GitHub shows them, as far as files alone
can tell: links, anchors and pictures exist, and formulas are in the form that GitHub renders.

Rules: docs.github.com, "Writing mathematical expressions"; CommonMark, "Emphasis and strong
emphasis". What is read here are the sources, not what `make html` makes of them.
"""

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import mistune
import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = re.compile(r"^```.*?^```$|(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL | re.MULTILINE)
FORMULA = re.compile(r"\$\$.+?\$\$|(?<!\\)\$[^$]+\$", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
# Refused by GitHub's MathJax, or known to no other renderer.
REFUSED = re.compile(
    r"\\(operatorname|(re)?newcommand|def|let|require|href|url|class|style|cssId|html\w*|unicode"
    r"|label|(eq)?ref|tag|includegraphics|color|bm|bbox)(?![a-zA-Z])"
)


def committed(pattern):
    listed = subprocess.run(
        ["git", "ls-files", "-z", pattern], cwd=ROOT, capture_output=True, text=True
    )
    found = [ROOT / name for name in listed.stdout.split("\0") if name]
    return sorted(found or (p for p in ROOT.glob(f"**/{pattern}") if ".venv" not in p.parts))


MARKDOWN = [path for path in committed("*.md") if path.is_file()]
NOTEBOOKS = sorted(ROOT.glob("0*_*/*.ipynb"))


@cache
def texts(path):
    """The Markdown of a file, cell by cell, with what a notebook's outputs hold."""
    if path.suffix == ".md":
        return [path.read_text(encoding="utf-8")]
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    shown = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return shown + ["".join(o["text/markdown"]) for o in outputs if "text/markdown" in o]


def without_code(text):
    return CODE.sub("CODE", re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE))


def misplaced(text):
    """Formulas of a text that GitHub would not take for formulas, with what stands around them."""
    found = []
    for match in FORMULA.finditer(text):
        body = match[0].strip("$")
        around = text[max(match.start() - 1, 0) : match.end() + 1]
        inline = not match[0].startswith("$$")
        touching = re.match(r"[\w$\\]", around) if match.start() else None
        touching = touching or re.match(r"[\w$]", text[match.end() : match.end() + 1])
        if inline and (body != body.strip() or touching or "\n" in body):
            found.append(around)
        if not inline and "\n\n" in body:
            found.append(around)
    rest = FORMULA.sub("", text)
    return found + re.findall(r".{0,20}(?<!\\)\$.{0,20}", rest)


def eaten(text):
    """Formulas in which Markdown sees something of its own: emphasis, a link, a line break."""
    plain = mistune.html(text)
    shown = re.sub(r"\s+", " ", plain)
    found = []
    for formula in FORMULA.findall(text):
        # A backslash before punctuation is taken by Markdown: GitHub looks for formulas first.
        kept = re.sub(r"\\([!-/:-@[-`{-~])", r"\1", formula)
        kept = re.sub(r"\s+", " ", mistune.escape(kept))
        if kept not in shown:
            found.append(formula)
    return found


def anchors(path):
    """GitHub's names of the headings of a file."""
    names = []
    for text in texts(path):
        for heading in HEADING.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            shown = re.sub(r"\[([^\]]+)\]\([^)]*\)|<[^>]*>", r"\1", heading).lower()
            names.append(re.sub(r"[^\w -]", "", shown).replace(" ", "-"))
    return names


def dangling(path):
    """Local links of a file that lead nowhere."""
    found = []
    for text in texts(path):
        for link in (a or b for a, b in LINK.findall(without_code(text))):
            if re.match("(https?|data|mailto):", link):
                continue
            name, _, fragment = link.partition("#")
            target = path.parent / unquote(name) if name else path
            there = target.exists() and target.resolve().is_relative_to(ROOT)
            named = not fragment or (there and target.is_file() and fragment in anchors(target))
            if not (there and named):
                found.append(link)
    return found


EACH = pytest.mark.parametrize("path", MARKDOWN + NOTEBOOKS, ids=lambda p: str(p.relative_to(ROOT)))


def test_there_is_something_to_read():
    assert ROOT / "README.md" in MARKDOWN
    assert len(NOTEBOOKS) > 10
    assert sum(len(FORMULA.findall(text)) for path in NOTEBOOKS for text in texts(path)) > 500


@EACH
def test_links_anchors_and_pictures_exist(path):
    assert dangling(path) == []


@EACH
def test_formulas_are_where_github_sees_them(path):
    assert [one for text in texts(path) for one in misplaced(without_code(text))] == []


@EACH
def test_formulas_use_no_refused_command(path):
    formulas = [f for text in texts(path) for f in FORMULA.findall(without_code(text))]
    assert [formula for formula in formulas if REFUSED.search(formula)] == []


@EACH
def test_markdown_takes_nothing_out_of_formulas(path):
    assert [one for text in texts(path) for one in eaten(without_code(text))] == []


@pytest.mark.parametrize(
    "text",
    ["0.9$^i$", "$x$-axis of 3 $a$b", "$ x$", "costs $5", "$a\nb$", "$$a\n\nb$$", "a$x$"],
)
def test_a_formula_in_a_bad_place_is_seen(text):
    assert misplaced(text) != []


@pytest.mark.parametrize("text", ["($x$), $y$-axis", "`$` and $x$.", "costs 5 \\$", "$$\na\n$$"])
def test_a_formula_in_a_good_place_is_none(text):
    assert misplaced(without_code(text)) == []


def test_what_markdown_takes_is_seen():
    assert eaten(r"$$\underbrace{a}_{b} + \underbrace{c}_{d}$$") != []
    assert eaten(r"$a*b$ and $c*d$") != []
    assert eaten(r"$W_i \cdot W_j$, $\|W\|$, $a < b$, $x'$ and $p\,b$") == []


def test_refused_commands_are_seen_and_others_are_not():
    assert REFUSED.search(r"\operatorname{ReLU}") and REFUSED.search(r"\def\x{1}")
    assert not REFUSED.search(r"\left( \delta \right) \tfrac12 \defx")


def test_dangling_links_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("test_github.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# One: a *b*\n\n[x](#one-a-b) [y](#two) [z](no.md) `[c](no.md)` [w](../x)")
    assert dangling(page) == ["#two", "no.md", "../x"]
