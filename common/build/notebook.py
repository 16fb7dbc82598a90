"""What can be said of a notebook without running it, and how a run's traces are taken out of it.

`clean` keeps what a reader wants (sources, outputs, execution counts) and removes or normalises
what differs between two runs of the same notebook, so that equal results give equal bytes.
"""

import ast
import re
from itertools import groupby
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE_INFO = {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

# The file name a kernel invents for a cell, as seen in warnings and tracebacks.
_CELL_FILE = re.compile(r"[^\s\"'(]*ipykernel_\d+[/\\]\d+\.py")
_MEMORY_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def clean(nb: NotebookNode, root: Path, known_ids: set[str]) -> None:
    """Take out of `nb`, in place, everything that changes from run to run.

    `known_ids` are the cell ids of the notebook's source: any other id was drawn at random while
    the notebook was loaded, and is replaced by the cell's position.
    """
    for key in ("papermill", "widgets"):
        nb.metadata.pop(key, None)
    nb.metadata.kernelspec = NotebookNode(KERNELSPEC)
    nb.metadata.language_info = NotebookNode(LANGUAGE_INFO)
    for number, cell in enumerate(nb.cells, start=1):
        if cell.id not in known_ids:
            cell.id = f"cell-{number}"
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags"):  # papermill gives every cell a list, empty or not
            cell.metadata.pop("tags", None)
        if cell.cell_type == "code":
            cell.outputs = _clean_outputs(cell.outputs, root)


def imported_modules(nb: NotebookNode, root: Path) -> list[str]:
    """Files of `common` that the notebook imports, directly or through one another.

    Paths are relative to `root`, sorted, with forward slashes. Found by reading, not by running: a
    package brings its __init__.py, and so does everything in it.
    """
    to_python = TransformerManager().transform_cell  # turns % and ! lines into Python
    waiting = set()
    for cell in nb.cells:
        if cell.cell_type == "code":
            waiting |= _imported_names(to_python(cell.source), ())
    found = set()
    while waiting:
        name = waiting.pop()
        for file in _files(name, root) - found:
            found.add(file)
            package = file.relative_to(root).parts[:-1]
            waiting |= _imported_names(file.read_text(encoding="utf-8"), package)
    return sorted(file.relative_to(root).as_posix() for file in found)


def _files(name: str, root: Path) -> set[Path]:
    """Files behind a dotted name below `common`: of its packages, and of the module it is or is in.

    A name that is no module, like a function's, has only the files of what it is in.
    """
    files, folder = set(), root
    for part in name.split("."):
        module = folder / f"{part}.py"
        if module.is_file():
            return files | {module}
        folder = folder / part
        if not (folder / "__init__.py").is_file():
            break
        files.add(folder / "__init__.py")
    return files


def _imported_names(source: str, package: tuple[str, ...]) -> set[str]:
    """Dotted names below `common` that a module's `source` imports; package : where it stands."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            base = [*above, *([node.module] if node.module else [])]
            names += [".".join([*base, alias.name]) for alias in node.names]
    return {name for name in names if name.split(".")[0] == "common"}


def _clean_outputs(outputs: list[NotebookNode], root: Path) -> list[NotebookNode]:
    static = [output for output in outputs if WIDGET_VIEW not in output.get("data", {})]
    cleaned = []
    for is_stream, group in groupby(static, lambda output: output.output_type == "stream"):
        group = list(group)
        cleaned += _merge_streams(group) if is_stream else group
    for output in cleaned:
        if output.output_type == "stream":
            output.text = _scrub(output.text, root)
        for mime, value in output.get("data", {}).items():
            if mime.startswith("text/") and isinstance(value, str):
                output.data[mime] = _scrub(value, root)
    return cleaned


def _merge_streams(chunks: list[NotebookNode]) -> list[NotebookNode]:
    """One stdout and one stderr: where a stream is cut into chunks depends on timing."""
    merged = []
    for name in ("stdout", "stderr"):
        text = "".join(chunk.text for chunk in chunks if chunk.name == name)
        if name == "stderr":
            text = _without_progress_bars(text)
        if text.strip():
            merged.append(NotebookNode(output_type="stream", name=name, text=text))
    return merged


def _without_progress_bars(text: str) -> str:
    """Drop the lines that were redrawn in place by carriage returns."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(line for line in lines if "\r" not in line)


def _scrub(text: str, root: Path) -> str:
    """Replace names that belong to this machine or to one process."""
    for base in {str(root), str(root.resolve())}:
        text = re.sub(re.escape(base) + r"/", "", text)
        text = re.sub(re.escape(base) + r"(?![\w.-])", ".", text)
    text = _CELL_FILE.sub("notebook_cell.py", text)
    return _MEMORY_ADDRESS.sub("at 0x0", text)
