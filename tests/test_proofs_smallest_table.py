"""The table of proven minima of the smallest model: against the exact optimum, and made again."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from common.exact import minimise
from common.phases.diagram import PHASES, importances, phase as phase_of
from common.proofs import smallest

TABLE = Path(smallest.__file__).with_name("smallest.csv")
LETTERS = {"dropped": "-", "dedicated": "D", "paired": "P"}


@pytest.fixture(scope="module")
def table():
    return smallest.read()


def test_it_has_every_cell(table):
    assert np.array_equal(table["density"], smallest.DENSITIES)
    assert np.array_equal(table["relative_importance"], smallest.RELATIVE_IMPORTANCES)
    assert np.array_equal(table["penalty"], smallest.PENALTIES)
    assert table["phase"].shape == table["minimum"].shape == (40, 6, 40)


def test_every_density_of_the_log_is_in_it(table):
    """And with every phase proven, as the log says."""
    log = TABLE.with_name("proofs.txt").read_text().splitlines()
    lines = [line for line in log if line.startswith("density ")]
    assert [line.split(":")[0] for line in lines] == [f"density {p:g}" for p in table["density"]]
    assert all("phase proven in 100.0 %" in line for line in lines)
    assert set(table["phase"].ravel()) == {"-", "D", "P"}


@pytest.mark.slow
def test_the_exact_optimum_has_these_phases_and_is_this_close_to_the_minimum(table):
    """9600 cells: a value above a proven minimum by its tolerance at most, never below."""
    p, penalty, r = (
        torch.tensor(v)
        for v in np.meshgrid(
            table["density"], table["penalty"], table["relative_importance"], indexing="ij"
        )
    )
    found = minimise(2, 1, p, importances(r, 2), restarts=8, penalty=penalty)
    excess = found.objective.numpy() / table["minimum"] - 1
    assert excess.min() > -1e-12 and excess.max() < 1.2 * smallest.TOLERANCE
    letters = np.array([LETTERS.get(name, "o") for name in PHASES])[phase_of(found.W).numpy()]
    assert np.array_equal(letters, table["phase"])


@pytest.mark.slow
def test_a_row_is_made_again():
    """The densest one; the texts are the same."""
    lines = TABLE.read_text().splitlines()
    assert "".join(f"{line}\n" for line in lines[:2]) == smallest.header(
        smallest.RELATIVE_IMPORTANCES
    )
    assert list(smallest.rows(smallest.prove(1.0))) == lines[2:8]


def test_what_is_not_proven_says_so():
    proof = smallest.Proof(
        density=0.3,
        relative_importance=np.array([0.5, 2.0]),
        penalty=np.array([0.0]),
        W=None,
        value=np.array([[1.0, 2.0]]),
        phase=np.array([[4, 4]]),
        ratio=np.array([[1.0, 0.5]]),
        proven=np.array([[True, False]]),
        boxes=0,
    )
    assert list(smallest.rows(proof)) == ["0.3,0.0,P?,0.9999999,0.9999999"]


def test_numbers_are_rounded_down():
    generator = np.random.default_rng(7)
    for value in 10 ** generator.uniform(-8, 2, 300):
        text = smallest.rounded_down(value)
        assert 0 <= Fraction(value) - Fraction(text) < Fraction(value) / 10**6
    assert smallest.rounded_down(np.float64(0.1)) == "0.1000000"


@pytest.mark.slow
def test_the_table_is_written(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    monkeypatch.setattr("sys.argv", ["smallest", "--density", "1", "--table", str(path)])
    smallest.main()
    assert path.read_text() == "".join(f"{line}\n" for line in TABLE.read_text().split("\n")[:8])
