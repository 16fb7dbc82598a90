"""Every parameter of every notebook as rows of a table in FINDINGS.tex.

    python -m common.parameters

prints them, notebook by notebook, read from the cells tagged "parameters": name, value, meaning.
"""

import ast
import io
import json
import tokenize
from pathlib import Path

from common.artifacts import ROOT, tex_text


def parameters(notebook):
    """Triples (name, value as written, comment behind it) of a notebook's parameters cell."""
    cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
    (cell,) = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    source = "".join(cell["source"])
    comments = _comments(source)
    for node in ast.parse(source).body:
        lines = range(node.lineno, node.end_lineno + 1)
        meaning = " ".join(comments[k] for k in lines if k in comments)
        yield node.targets[0].id, ast.unparse(node.value), meaning


def _comments(source):
    """{line number: comment without its #}."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]: token.string.lstrip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }


def table_rows(root=ROOT):
    """The rows of all notebooks, in LaTeX."""
    for path in sorted(Path(root).glob("0*_*/*.ipynb")):
        name = path.relative_to(root).with_suffix("").as_posix()
        yield f"\\parametersof{{{name}}}"
        for row in parameters(path):
            yield "\\parameter" + "".join(f"{{{tex_text(cell)}}}" for cell in row)


if __name__ == "__main__":
    print("\n".join(table_rows()))
