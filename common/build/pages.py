"""The notebooks as pages that stand alone, with an index in front: `make html`.

    python -m common.build.pages

writes build/html anew: index.html (what README.md says first, then every notebook of its table), a
page for each notebook, one for each Markdown file that a page links to, and copies of the other
files they link to. So the folder can be moved as a whole; no page loads anything else.
"""

import os
import re
import shutil
import sys
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

import nbformat
from jinja2 import Environment, FileSystemLoader
from pygments.formatters import HtmlFormatter

from common.artifacts import ROOT
from common.build import render

TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"))
# A row of README.md's table of notebooks.
ROW = re.compile(
    r'^\| <a href="(?P<path>[^"]+)\.ipynb"><img src="(?P<picture>[^"]+)"[^>]*/?></a> '
    r"\| \[\w+\]\([^)]+\)<br>(?P<question>.+?) \| (?:<!--.*?-->)?(?P<time>[\d:]*)",
    re.MULTILINE,
)
PAGES = (".ipynb", ".md")  # what has a page; other files are copied


@dataclass(frozen=True)
class Entry:
    """One notebook of the index: paths from the root, without .ipynb, and texts in Markdown."""

    path: str
    title: str
    picture: str
    question: str
    time: str


class Site:
    """The folder being written, and what its pages have linked to so far."""

    def __init__(self, root: Path, target: Path):
        self.root = root.resolve()
        self.target = target
        self.linked: set[Path] = set()  # from the root

    def write(self, name: str, template: str, **values) -> None:
        path = self.target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        home = os.path.relpath("index.html", Path(name).parent)
        text = TEMPLATES.get_template(template).render(style=style(), home=home, **values)
        path.write_text(text, encoding="utf-8")

    def settled(self, html: str, source: str, page: str) -> str:
        """`html` made from the file `source`, as it stands in the file `page`."""

        def lead(path: Path, fragment: str) -> str | None:
            if not path.is_relative_to(self.root):
                raise ValueError(f"{source} leads out of the repository, to {path}")
            if path.is_dir():
                return None
            name = path.relative_to(self.root)
            self.linked.add(name)
            there = name.with_suffix(".html") if name.suffix in PAGES else name
            return quote(Path(os.path.relpath(there, Path(page).parent)).as_posix()) + fragment

        return render.settled(html, self.root / source, lead)


def style() -> str:
    """One style sheet for all pages, with the colours of code in the light and in the dark."""
    css, _, _ = TEMPLATES.loader.get_source(TEMPLATES, "page.css")
    light, dark = (
        HtmlFormatter(style=name).get_style_defs(".highlight") for name in ("default", "native")
    )
    return f"{css}\n{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"


def entries(readme: str, root: Path) -> list[Entry]:
    """The notebooks of README.md's table, in its order.

    Raises ValueError unless these are the notebooks below `root`.
    """
    rows = [match.groupdict() for match in ROW.finditer(readme)]
    listed = sorted(row["path"] for row in rows)
    there = sorted(f"{path.parent.name}/{path.stem}" for path in root.glob("0*_*/*.ipynb"))
    if listed != there:
        odd = ", ".join(sorted(set(listed) ^ set(there))) or "one twice"
        raise ValueError(f"README.md's table and the notebooks differ: {odd}")
    return [Entry(title=title(read(root, row["path"])), **row) for row in rows]


def read(root: Path, path: str) -> nbformat.NotebookNode:
    return nbformat.read(root / f"{path}.ipynb", as_version=4)


def title(nb: nbformat.NotebookNode) -> str:
    return nb.cells[0].source.splitlines()[0].removeprefix("# ")


def section_title(folder: str) -> str:
    """02_demonstrating_superposition -> Demonstrating superposition"""
    return folder.partition("_")[2].replace("_", " ").capitalize()


def write_notebook(site: Site, before: Entry | None, entry: Entry, after: Entry | None) -> None:
    """The page of one notebook, with its neighbours above and below."""
    sides = {
        name: {"title": other.title, "href": os.path.relpath(other.path, Path(entry.path).parent)}
        for name, other in (("before", before), ("after", after))
        if other
    }
    page = f"{entry.path}.html"
    body = site.settled(render.notebook(read(site.root, entry.path)), f"{entry.path}.ipynb", page)
    site.write(page, "page.html", title=entry.title, body=body, **sides)


def write_index(site: Site, readme: str, notebooks: list[Entry]) -> None:
    """README.md up to its first heading, then the notebooks by section."""
    first = readme.split("\n## ")[0]
    # Its other sections are on a page of their own.
    first = re.sub(r"\]\(#", "](README.md#", first)
    sections = [
        {"title": section_title(folder), "cards": [card(site, entry) for entry in group]}
        for folder, group in groupby(notebooks, key=lambda entry: entry.path.split("/")[0])
    ]
    body = site.settled(render.markdown(first), "README.md", "index.html")
    site.linked |= {Path("README.md")}
    site.write("index.html", "index.html", title=title_of(first), body=body, sections=sections)


def card(site: Site, entry: Entry) -> dict[str, str]:
    """What the index shows of a notebook, as HTML."""
    picture = f'<img src="{entry.picture}" alt="a figure of {escape(entry.title)}"/>'
    return {
        "href": f"{entry.path}.html",
        "picture": site.settled(picture, "README.md", "index.html"),
        "title": escape(entry.title),
        "question": site.settled(render.markdown(entry.question), "README.md", "index.html"),
        "time": entry.time,
    }


def title_of(text: str) -> str:
    """The first heading of a Markdown text."""
    return re.search(r"^# (.+)$", text, re.MULTILINE)[1]


def write_linked(site: Site) -> None:
    """Pages of the Markdown files that were linked to, and copies of other files."""
    done: set[Path] = set()
    while left := sorted(site.linked - done):
        for name in left:
            source = site.root / name
            if name.suffix == ".md":
                text = source.read_text(encoding="utf-8")
                page = name.with_suffix(".html").as_posix()
                body = site.settled(render.markdown(text), name.as_posix(), page)
                site.write(page, "page.html", title=title_of(text), body=body)
            elif name.suffix not in PAGES:
                (site.target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, site.target / name)
        done |= set(left)


def build(root: Path, target: Path) -> None:
    """Write everything into the folder `target`, which must not exist.

    Raises ValueError for what cannot be shown: a link to nothing, mathematics without MathML.
    """
    readme = (root / "README.md").read_text(encoding="utf-8")
    notebooks = entries(readme, root)
    site = Site(root, target)
    neighbours = zip([None, *notebooks], notebooks, [*notebooks[1:], None], strict=False)
    for before, entry, after in neighbours:
        write_notebook(site, before, entry, after)
    write_index(site, readme, notebooks)
    write_linked(site)


def main(root: Path = ROOT) -> None:
    final = root / "build" / "html"
    partial = final.with_name("html.partial")
    shutil.rmtree(partial, ignore_errors=True)
    build(root, partial)
    shutil.rmtree(final, ignore_errors=True)
    partial.rename(final)
    print(f"{final.relative_to(root)}/index.html is where to begin")


if __name__ == "__main__":
    try:
        main()
    except ValueError as error:
        sys.exit(f"build/html was left as it is: {error}")
