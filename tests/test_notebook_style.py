"""Every committed notebook reads the same way and renders without being run."""

import ast
import io
import re
import statistics
import subprocess
import sys
import tokenize
from pathlib import Path

import nbformat
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PATHS = sorted(REPOSITORY.glob("0*_*/*.ipynb"))
PAPER = "https://transformer-circuits.pub/2022/toy_model/"
# A path that is only true on somebody's machine.
ABSOLUTE = re.compile(r"(?<![\w./:-])/(home|root|tmp|Users|usr|var|opt|private|mnt)/")

pytestmark = pytest.mark.parametrize(
    "nb", PATHS, indirect=True, ids=[str(path.relative_to(REPOSITORY)) for path in PATHS]
)


@pytest.fixture
def nb(request):
    """The notebook, which also knows its own path."""
    loaded = nbformat.read(request.param, as_version=4)
    nbformat.validate(loaded)
    loaded.path = request.param
    return loaded


def code_cells(nb):
    return [cell for cell in nb.cells if cell.cell_type == "code"]


def sources(nb):
    return [cell.source for cell in code_cells(nb)]


def outputs(nb):
    return [output for cell in code_cells(nb) for output in cell.outputs]


def parameters_cell(nb):
    (cell,) = [c for c in nb.cells if "parameters" in c.metadata.get("tags", [])]
    return cell


def parameter_lines(nb):
    """Name -> line numbers of each assignment in the parameters cell."""
    tree = ast.parse(parameters_cell(nb).source)
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: range(node.lineno, node.end_lineno + 1) for node in assigned}


def test_title_links_the_paper(nb):
    first = nb.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert PAPER in first.source


def test_last_section_is_the_claims_ledger(nb):
    prose = "\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")
    headings = re.findall(r"^#+ (.+?)\s*$", prose, re.MULTILINE)
    assert headings[-1] == "Claims ledger"


def test_parameters_are_upper_case_with_a_comment_each_and_a_seed(nb):
    lines = parameter_lines(nb)
    assert "SEED" in lines
    assert all(name == name.upper() for name in lines)
    tokens = tokenize.generate_tokens(io.StringIO(parameters_cell(nb).source).readline)
    commented = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    assert [name for name, numbers in lines.items() if commented.isdisjoint(numbers)] == []


def test_quick_parameters_are_parameters(nb):
    assert nb.metadata.quick
    assert set(nb.metadata.quick) <= set(parameter_lines(nb))


def test_first_code_cell_makes_common_importable(nb):
    # From the notebook's own folder, without anything installed.
    code = f"{sources(nb)[0]}\nimport common"
    subprocess.run([sys.executable, "-E", "-c", code], cwd=nb.path.parent, check=True)


def test_code_cells_are_short(nb):
    lengths = [len(source.splitlines()) for source in sources(nb)]
    assert statistics.median(lengths) < 10
    assert max(lengths) <= 30


def test_no_class_is_defined(nb):
    assert [
        source for source in sources(nb) if re.search(r"^\s*class\s", source, re.MULTILINE)
    ] == []


def test_every_cell_was_run_in_order(nb):
    counts = [cell.execution_count for cell in code_cells(nb)]
    assert counts == list(range(1, len(counts) + 1))


def test_there_are_pictures_and_no_errors(nb):
    assert any("image/png" in output.get("data", {}) for output in outputs(nb))
    assert [output for output in outputs(nb) if output.output_type == "error"] == []


def test_nothing_on_stderr(nb):
    # Neither warnings nor what progress bars leave behind.
    assert [output.text for output in outputs(nb) if output.get("name") == "stderr"] == []


def test_no_absolute_path(nb):
    text = nb.path.read_text(encoding="utf-8")
    assert str(REPOSITORY) not in text
    assert ABSOLUTE.search(text) is None


def test_size(nb):
    assert nb.path.stat().st_size < 2_000_000
