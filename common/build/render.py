"""Markdown and notebooks as HTML that needs no network: mathematics is MathML, pictures are within.

What leads elsewhere in the repository is handed to the caller, who knows which pages there are.
"""

import base64
import logging
import mimetypes
import re
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup
from math_core import LatexError, LatexToMathML
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]
ELSEWHERE = re.compile(r"[a-z]+:")  # an address with a scheme
_to_mathml = LatexToMathML()


class _Renderer(IPythonRenderer):
    def block_math(self, body: str) -> str:
        return mathml(body, display=True)

    def inline_math(self, body: str) -> str:
        return mathml(body, display=False)

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(f"\\begin{{{name}}}{body}\\end{{{name}}}", display=True)


def mathml(latex: str, display: bool) -> str:
    """`latex` as MathML. Raises ValueError for what the converter does not know."""
    try:
        return _to_mathml.convert_with_local_state(latex, displaystyle=display)
    except LatexError as error:
        raise ValueError(f"no MathML for {latex!r}: {error}") from error


def markdown(source: str) -> str:
    """Markdown as HTML, links and pictures as they stand. Raises ValueError as `mathml` does."""
    return MarkdownWithMath(_Renderer(escape=False, exclude_anchor_links=True)).render(source)


def notebook(nb: NotebookNode) -> str:
    """A notebook's cells as HTML, links and pictures as they stand."""
    exporter = HTMLExporter(
        template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True
    )
    exporter.log.setLevel(logging.ERROR)  # figures have no alternative text: `settled` gives one
    exporter.register_filter("markdown2html", markdown)
    return exporter.from_notebook_node(nb)[0]


def settled(html: str, place: Path, lead) -> str:
    """`html` with its pictures within, anchors as GitHub names them, and links led elsewhere.

    place : the file it was made from
    lead : called with (file below which `place` links, fragment with its #), gives the new address,
        or None where a link makes no sense; links within the page and to other sites stay

    Raises ValueError for a picture or a link without a file.
    """
    soup = BeautifulSoup(html, features="html.parser")
    _name_headings(soup)
    for img in soup.find_all("img"):
        if img["src"].startswith("data:"):
            # nbconvert's alternative text says only that there is none.
            heading = img.find_previous(HEADINGS)
            img["alt"] = f"Figure: {heading.get_text()}" if heading else "Figure"
        else:
            img["src"] = _data_address(_existing(place, img["src"]))
    for a in soup.find_all("a", href=True):
        path, sharp, fragment = a["href"].partition("#")
        if path and not ELSEWHERE.match(path):
            address = lead(_existing(place, path), sharp + fragment)
            if address is None:
                a.unwrap()
            else:
                a["href"] = address
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "wide"}))  # scrolls by itself
    return str(soup)


def _name_headings(soup: BeautifulSoup) -> None:
    """Ids by GitHub's rule: lower case, without punctuation, hyphens for spaces, counted."""
    seen: dict[str, int] = {}
    for heading in soup.find_all(HEADINGS):
        name = re.sub(r"[^\w -]", "", heading.get_text().strip().lower()).replace(" ", "-")
        seen[name] = seen.get(name, -1) + 1
        heading["id"] = f"{name}-{seen[name]}" if seen[name] else name


def _existing(place: Path, address: str) -> Path:
    path = (place.parent / unquote(address)).resolve()
    if not path.exists():
        raise ValueError(f"{place} leads to {address}, which does not exist")
    return path


def _data_address(path: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
