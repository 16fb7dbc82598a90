"""Traces of a run taken out of a notebook, and what it imports: without running it."""

import ast
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat.v4 import new_code_cell, new_notebook, new_output

from common.build import notebook

REPOSITORY = Path(__file__).resolve().parents[1]


def stream(text: str, name: str = "stdout"):
    return new_output("stream", name=name, text=text)


def cleaned(outputs: list, root: Path = Path("/somewhere/project")) -> list:
    nb = new_notebook(cells=[new_code_cell("", outputs=outputs)])
    notebook.clean(nb, root, known_ids=set())
    return nb.cells[0].outputs


def test_pieces_of_a_stream_are_joined_in_a_fixed_order():
    figure = new_output("display_data", {"image/png": "abc"})
    early = [stream("w\n", "stderr"), stream("a\n"), stream("b\n")]
    outputs = cleaned([*early, figure, stream("c\n")])
    assert outputs == [stream("a\nb\n"), stream("w\n", "stderr"), figure, stream("c\n")]


def test_progress_bars_are_removed_and_warnings_kept():
    bar = "\r  0%|   | 0/3\r100%|###| 3/3\n"
    assert cleaned([stream(bar, "stderr")]) == []
    assert cleaned([stream(bar[:9], "stderr"), stream(bar[9:], "stderr")]) == []
    assert cleaned([stream(bar + "careful\n", "stderr")]) == [stream("careful\n", "stderr")]
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "bar"}
    assert cleaned([new_output("display_data", widget)]) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/somewhere/project/build/a.npz", "build/a.npz"),
        ("in '/somewhere/project'", "in '.'"),
        ("/somewhere/project2/a", "/somewhere/project2/a"),
        (f"{tempfile.gettempdir()}/ipykernel_123/4567.py:3: W", "notebook_cell.py:3: W"),
        ("/var/folders/x_/T/ipykernel_1/2.py:3: W", "notebook_cell.py:3: W"),
        ("<Axes object at 0x7f00aa>", "<Axes object at 0x0>"),
    ],
)
def test_names_of_this_machine_are_scrubbed(text, expected):
    assert cleaned([stream(text)]) == [stream(expected)]
    html = new_output("display_data", {"text/html": text, "image/png": text})
    assert cleaned([html])[0].data == {"text/html": expected, "image/png": text}


def test_metadata_is_normalised_and_the_rest_kept():
    cell = new_code_cell("", metadata={"tags": [], "papermill": {}, "execution": {}, "mine": 1})
    known = new_code_cell("", metadata={"tags": ["parameters"]}, id="known")
    nb = new_notebook(cells=[cell, known], metadata={"papermill": {}, "quick": {"STEPS": 2}})
    nb.metadata.kernelspec = {"name": "my-kernel"}
    nb.metadata.language_info = {"name": "python", "version": "3.99"}
    notebook.clean(nb, Path("/x"), known_ids={"known"})
    assert [c.id for c in nb.cells] == ["cell-1", "known"]
    assert [c.metadata for c in nb.cells] == [{"mine": 1}, {"tags": ["parameters"]}]
    assert set(nb.metadata) == {"kernelspec", "language_info", "quick"}
    assert nb.metadata.kernelspec.name == "python3"
    assert "version" not in nb.metadata.language_info


PACKAGES = {
    "common/__init__.py": "",
    "common/data.py": "",
    "common/exact/__init__.py": "from common.exact.loss import loss",
    "common/exact/loss.py": "from .cube import row\nloss = 1",
    "common/exact/cube.py": "from ..data import X\nrow = 2",
    "common/exact/other.py": "from common import extra",
    "common/extra.py": "",
}


@pytest.fixture
def packages(tmp_path):
    """A folder that holds PACKAGES."""
    for name, text in PACKAGES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from common.exact import loss", "__init__ data exact/__init__ exact/cube exact/loss"),
        ("import common.exact.cube", "__init__ data exact/__init__ exact/cube exact/loss"),
        ("from common.exact.cube import row", "__init__ data exact/__init__ exact/cube exact/loss"),
        (
            "from common.exact import other as o",
            "__init__ data exact/__init__ exact/cube exact/loss exact/other extra",
        ),
        ("from common import exact, data", "__init__ data exact/__init__ exact/cube exact/loss"),
        ("from common import extra", "__init__ extra"),
        ("import commonplace, numpy", ""),
    ],
)
def test_imports_follow_packages(packages, source, expected):
    """Names against submodules, relative imports, and every __init__.py on the way."""
    nb = new_notebook(cells=[new_code_cell(source)])
    found = notebook.imported_modules(nb, packages)
    assert found == [f"common/{name}.py" for name in expected.split()]


# Runs every notebook's imports from their own folders in one process, as if each were the first.
LOADED = """
import json, os, sys
for folder, source in json.load(sys.stdin):
    os.chdir(folder)
    exec(source)
    if "common.exact" in sys.modules:
        from common.exact import harmonics, minimise  # imports that wait until they are needed
    ours = [name for name in sys.modules if name.split(".")[0] == "common"]
    print(*sorted(os.path.relpath(sys.modules.pop(name).__file__, sys.argv[1]) for name in ours))
"""


def imports_of(nb):
    """The first cell of a notebook, which makes `common` importable, and its import statements."""
    to_python = TransformerManager().transform_cell  # turns % and ! lines into Python
    first, *others = [cell.source for cell in nb.cells if cell.cell_type == "code"]
    nodes = [node for source in others for node in ast.parse(to_python(source)).body]
    found = [ast.unparse(n) for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom))]
    return "\n".join([first, *found])


@pytest.mark.slow
def test_what_was_read_is_what_python_imports():
    """For every notebook: the modules found by reading are those that its imports load."""
    paths = sorted(REPOSITORY.glob("0*_*/*.ipynb"))
    notebooks = [nbformat.read(path, as_version=4) for path in paths]
    asked = [(str(path.parent), imports_of(nb)) for path, nb in zip(paths, notebooks, strict=True)]
    run = subprocess.run(
        [sys.executable, "-c", LOADED, str(REPOSITORY)],
        input=json.dumps(asked), capture_output=True, text=True, check=True,
    )  # fmt: skip
    for path, nb, line in zip(paths, notebooks, run.stdout.splitlines(), strict=True):
        assert line.split() == notebook.imported_modules(nb, REPOSITORY), path.name


def test_imports_are_found_behind_magic_lines(packages):
    cell = new_code_cell("%matplotlib inline\n!ls\nimport common.data, os")
    found = notebook.imported_modules(new_notebook(cells=[cell]), packages)
    assert found == ["common/__init__.py", "common/data.py"]
