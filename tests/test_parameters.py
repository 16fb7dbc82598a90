"""The table of parameters in FINDINGS.tex says what stands in the notebooks."""

import json

import pytest

from common import parameters
from common.artifacts import ROOT

SOURCE = """\
DENSITIES = [1.0, 0.3]  # 1 - S, from dense to sparse
PANELS = {  # sparsities
    "a": 0.5,  # of the left one
}
SEED = 0  # of the 5 % that are drawn
"""


@pytest.fixture
def root(tmp_path):
    """A project of one notebook with the parameters of SOURCE."""
    tagged = {"metadata": {"tags": ["parameters"]}, "source": SOURCE.splitlines(keepends=True)}
    cells = [{"metadata": {}, "source": ["SEED = 1\n"]}, tagged]
    folder = tmp_path / "01_one"
    folder.mkdir()
    (folder / "only.ipynb").write_text(json.dumps({"cells": cells}))
    return tmp_path


def test_names_values_and_meanings_are_read_from_the_tagged_cell(root):
    assert list(parameters.parameters(root / "01_one/only.ipynb")) == [
        ("DENSITIES", "[1.0, 0.3]", "1 - S, from dense to sparse"),
        ("PANELS", "{'a': 0.5}", "sparsities of the left one"),
        ("SEED", "0", "of the 5 % that are drawn"),
    ]


def test_rows_are_latex(root):
    rows = list(parameters.table_rows(root))
    assert rows[0] == r"\parametersof{01_one/only}"
    assert rows[2] == r"\parameter{PANELS}{\{'a': 0.5\}}{sparsities of the left one}"
    assert rows[3] == r"\parameter{SEED}{0}{of the 5 \% that are drawn}"


def test_every_notebook_has_its_rows():
    rows = list(parameters.table_rows())
    notebooks = sorted(path.stem for path in ROOT.glob("0*_*/*.ipynb"))
    heads = [row for row in rows if row.startswith(r"\parametersof")]
    assert [row.rstrip("}").split("/")[1] for row in heads] == [
        path.stem for path in sorted(ROOT.glob("0*_*/*.ipynb"))
    ]
    assert len(notebooks) == len(heads)
    assert sum(row.startswith(r"\parameter{SEED}") for row in rows) == len(notebooks)
