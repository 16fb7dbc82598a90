"""What is committed of the notebooks' runs belongs together: the results as JSON and as TeX, what
the notebooks show, their parameters, and what the write-up reads. README.md has a test of its own.
"""

import ast
import json
import re
from functools import cache

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from common.artifacts import ROOT, VERDICTS, source, tex_definitions

NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in ROOT.glob("0*_*/*.ipynb"))
CLAIM = re.compile(r"> \*\*Claim\*\* `(.+?)`: (.*)\n>\n> \*\*Found\*\*: (.*): \*(.+)\*")
FIELD = re.compile(r"\{(\w*)(?::[^{}]*)?\}")  # of a text for `show`
HOLE = "\0"  # in place of what is not known before the run
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]\d+)?")

each_notebook = pytest.mark.parametrize("name", NAMES)


@cache
def results(name):
    section, notebook = name.split("/")
    return json.loads((ROOT / section / "results" / f"{notebook}.json").read_text("utf-8"))


@cache
def code_cells(name):
    """Pairs (syntax tree, all texts of the outputs) of the code cells."""
    to_python = TransformerManager().transform_cell
    cells = json.loads((ROOT / f"{name}.ipynb").read_text("utf-8"))["cells"]
    return [
        (ast.parse(to_python("".join(cell["source"]))), texts(cell["outputs"]))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def texts(outputs):
    parts = [output.get("text", "") for output in outputs]
    for output in outputs:
        data = output.get("data", {})
        parts += [data.get(f"text/{kind}", "") for kind in ("markdown", "plain")]
    return "\n".join("".join(part) for part in parts)


def calls(tree, name):
    """Calls output.name(...) within a syntax tree."""
    return [node for node in ast.walk(tree) if is_call(node, name)]


def is_call(node, name):
    return isinstance(node, ast.Call) and ast.unparse(node.func) == f"output.{name}"


def written(node):
    """The text of a string literal, with a HOLE for each value of an f-string; None if unknown."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(v.value if isinstance(v, ast.Constant) else HOLE for v in node.values)
    return None


def pattern(text):
    return ".*?".join(map(re.escape, text.split(HOLE)))


@each_notebook
def test_the_tex_is_that_of_the_json(name):
    section, notebook = name.split("/")
    tex = (ROOT / section / "results" / f"{notebook}.tex").read_text("utf-8")
    assert tex == tex_definitions(results(name))
    # And written out here: only a verdict that is one, and the text of a number of plain digits.
    for claim, row in results(name)["claims"].items():
        assert row["verdict"] in VERDICTS
        assert re.search(
            rf"^\\defineclaim\{{{claim}\}}.*\{{{row['verdict']}\}}$", tex, re.MULTILINE
        )
        assert f"\\tallyclaim{{{source(row['paper'])}}}{{{row['verdict']}}}" in tex
    for key, number in results(name)["numbers"].items():
        if number["text"].replace(".", "").isdigit():
            assert f"\\defineresult{{{key}}}{{{number['text']}}}\n" in tex


@each_notebook
def test_texts_of_numbers_are_their_values_rounded(name):
    """To half a unit of the last digit that is shown."""
    for key, number in results(name)["numbers"].items():
        value, text = number["value"], number["text"].replace(",", "")
        if isinstance(value, str):
            assert number["text"] == value, key
            continue
        found = NUMBER.fullmatch(text)
        assert found, key
        unit = 10.0 ** (int((found[2] or "e0")[1:]) - max(len(found[1] or ".") - 1, 0))
        if not (found[1] or found[2]) and "." not in text and isinstance(value, int):
            unit = 1e-9  # a count is not rounded
        assert abs(float(text) - value) <= 0.5000001 * unit, key


@each_notebook
def test_the_claims_are_those_that_the_notebook_shows(name):
    shown, asked = {}, []
    for tree, output in code_cells(name):
        asked += [call.args[0].value for call in calls(tree, "claim")]
        for claim, paper, found, verdict in CLAIM.findall(output):
            shown[claim] = {"paper": paper, "found": found, "verdict": verdict}
    assert shown == results(name)["claims"]
    assert asked == list(shown)
    ledger = code_cells(name)[-1][1].splitlines()
    rows = [[f"`{claim}`", row["paper"], f"**{row['verdict']}**"] for claim, row in shown.items()]
    assert [
        line.replace("\\|", "/")[2:-2].split(" | ") for line in ledger if line.startswith("| `")
    ] == [[cell.replace("|", "/") for cell in row] for row in rows]


@each_notebook
def test_what_claims_say_they_found_fits_what_the_cell_says(name):
    """The words of `paper` are those of the source; so are those around the numbers of `found`."""
    for tree, _ in code_cells(name):
        for call in calls(tree, "claim"):
            row = results(name)["claims"][call.args[0].value]
            given = {keyword.arg: written(keyword.value) for keyword in call.keywords}
            assert given["paper"] == row["paper"]
            if given["found"]:
                assert re.fullmatch(pattern(given["found"]), row["found"]), row["found"]


@each_notebook
def test_numbers_are_those_that_the_notebook_prints(name):
    """Of each `show` the text stands in the cell's output, with the recorded numbers in it; numbers
    that are recorded within other expressions stand somewhere; and none is there that no cell
    records."""
    numbers, seen, shown = results(name)["numbers"], set(), set()
    everything = "\n".join(output for _, output in code_cells(name))
    for tree, output in code_cells(name):
        unseen = [n.value for n in ast.walk(tree) if isinstance(n, ast.Expr)]
        for call in calls(tree, "show"):
            text = written(call.args[0])
            keys = [key for key in FIELD.findall(text) if key]
            groups = (f"(?P<{key}>.*?)" if key else ".*?" for key in FIELD.findall(text))
            parts = FIELD.split(text)[::2]
            line = "".join(a + b for a, b in zip(map(pattern, parts), [*groups, ""], strict=True))
            lines = re.finditer(f"^{line}$", output, re.MULTILINE)
            printed = [{key.replace("_", "-"): m[key] for key in keys} for m in lines]
            recorded = {key: numbers[key]["text"] for key in printed[0] if key in numbers}
            assert any(line.items() >= recorded.items() for line in printed), recorded
            seen |= set(recorded)
        for call in calls(tree, "record"):
            key = pattern(written(call.args[0]) or HOLE)
            recorded = {one for one in numbers if re.fullmatch(key, one)}
            seen |= recorded
            shown |= {one for one in recorded if call not in unseen}
    for one in shown:
        text = numbers[one]["text"]
        if ", " not in text:  # lists are rows of tables
            assert re.search(rf"(?<![\d.]){re.escape(text)}(?!\d)", everything), one
    assert set(numbers) == seen


@each_notebook
def test_parameters_are_those_of_the_run(name):
    cells = json.loads((ROOT / f"{name}.ipynb").read_text("utf-8"))["cells"]
    (cell,) = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    values = {}
    exec("".join(cell["source"]), values)
    del values["__builtins__"]
    run = results(name)["parameters"]
    assert {key: run[key] for key in values} == json.loads(json.dumps(values))


def test_the_write_up_names_results_that_exist():
    tex = (ROOT / "FINDINGS.tex").read_text("utf-8")
    tex = re.sub("%.*", "", tex)
    named = set(re.findall(r"\\result\{([a-z0-9-]+)\}", tex))
    assert len(named) > 100
    assert named <= {key for name in NAMES for key in results(name)["numbers"]}
