"""Every committed notebook reads the same way and renders without being run."""

import ast
import io
import re
import statistics
import tokenize
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

REPOSITORY = Path(__file__).resolve().parents[1]
PATHS = sorted(REPOSITORY.glob("0*_*/*.ipynb"))
PAPER = "https://transformer-circuits.pub/2022/toy_model/"
# A path that is only true on somebody's machine.
ABSOLUTE = re.compile(r"(?<![\w./:-])/(home|root|tmp|Users|usr|var|opt|private|mnt)/")
# The ends of the row have one neighbour: there "Before:" or "after:" is followed by other words.
PLACE = re.compile(r"\*Before: .+ · after: .+ · runs in .+\.\*")
NEIGHBOUR = r"{}: \[(\w+)\]\(([\w./]+\.ipynb)\)"

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


def prose(nb):
    return [cell.source for cell in nb.cells if cell.cell_type == "markdown"]


def neighbour(nb, side):
    """The notebook that the first cell names as the one "Before" or "after", None without one."""
    found = re.search(NEIGHBOUR.format(side), nb.cells[0].source, re.IGNORECASE)
    return found and (nb.path.parent / found[2]).resolve()


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


def test_it_says_where_it_stands_and_how_long_it_runs(nb):
    assert any(PLACE.fullmatch(line) for line in nb.cells[0].source.splitlines())
    sides = [("Before", "after"), ("after", "Before")]
    neighbours = [(neighbour(nb, side), back) for side, back in sides]
    assert any(path for path, _ in neighbours)
    for path, back in neighbours:
        if path:
            other = nbformat.read(path, as_version=4)
            other.path = path
            assert neighbour(other, back) == nb.path, path.name


def test_it_ends_with_the_claims_ledger_and_what_follows(nb):
    headings = re.findall(r"^#+ (.+?)\s*$", "\n".join(prose(nb)), re.MULTILINE)
    assert headings[-1] == "Claims ledger"
    assert "What goes into the write-up" not in headings
    assert [cell.cell_type for cell in nb.cells[-2:]] == ["code", "markdown"]
    assert nb.cells[-2].source == "output.ledger()"


def test_at_most_one_displayed_equation_a_cell(nb):
    """Of two in one cell GitHub may show neither."""
    assert [text for text in prose(nb) if text.count("$$") > 2 or "\\begin{equation" in text] == []


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


def test_code_cells_are_short(nb):
    lengths = [len(source.splitlines()) for source in sources(nb)]
    assert statistics.median(lengths) < 10
    assert max(lengths) <= 25


def is_bookkeeping(node):
    """Whether a statement only records numbers or saves files, or loops over such statements."""
    if isinstance(node, (ast.For, ast.If, ast.With)):
        return all(is_bookkeeping(inner) for inner in node.body + getattr(node, "orelse", []))
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    return called and re.match(r"output\.(record|save_\w+)$", ast.unparse(node.value.func))


def test_little_of_the_code_is_bookkeeping(nb):
    to_python = TransformerManager().transform_cell  # turns % and ! lines into Python
    statements = [node for source in sources(nb) for node in ast.parse(to_python(source)).body]
    kept = [node for node in statements if is_bookkeeping(node)]
    lines = [line for source in sources(nb) for line in source.splitlines() if line.strip()]
    assert sum(node.end_lineno - node.lineno + 1 for node in kept) <= 0.12 * len(lines)


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


def test_printed_lines_fit_the_page(nb):
    plain = [output.data for output in outputs(nb) if set(output.get("data", {})) == {"text/plain"}]
    texts = [output.text for output in outputs(nb) if output.output_type == "stream"]
    texts += [data["text/plain"] for data in plain]
    assert [line for text in texts for line in text.splitlines() if len(line) >= 100] == []


def test_no_widget_is_saved_without_its_state(nb):
    """GitHub shows nothing at all of a notebook that lacks it."""
    assert all("state" in saved for saved in nb.metadata.get("widgets", {}).values())


def test_no_absolute_path(nb):
    text = nb.path.read_text(encoding="utf-8")
    assert str(REPOSITORY) not in text
    assert ABSOLUTE.search(text) is None


def test_size(nb):
    assert nb.path.stat().st_size < 2_000_000
