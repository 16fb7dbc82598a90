"""Trained models of a phase diagram: every cell in its place, aggregation, stuck runs."""

import pytest
import torch

from common.exact import population_loss
from common.phases import diagram, trained
from common.training import Recipe


def test_trained_map_aggregates():
    loss = torch.tensor([[[3.0, 1.0, 2.0]]])
    values = torch.tensor([[[10.0, 20.0, 60.0]]])
    runs = trained.TrainedMap(values[..., None, None], values[..., None], loss)
    assert runs.lowest(values).item() == 20
    assert runs.mean(values).item() == 30
    assert runs.mean_without_worst(values).item() == 40
    assert trained.stuck(loss, torch.tensor([[1.0]]), 0.5).tolist() == [[[True, False, True]]]
    assert trained.stuck_share(loss, torch.tensor([[1.0]]), 0.5).item() == pytest.approx(2 / 3)
    small = trained.stuck(loss / 100, torch.tensor([[0.01]]), 0.5)  # relative to the optimum
    assert small.tolist() == [[[True, False, True]]]


def test_trained_map_puts_every_cell_in_its_place():
    """Losses must be those of the cell's own density and importance, whatever the blocks."""
    density, ratio = diagram.window(3, 4)
    recipe = Recipe(5, 8, 1e-2, 0.0, cosine=True, skip_empty=True)
    runs = trained.trained_map(2, 1, density, ratio, restarts=2, recipe=recipe, rows=2)
    grid = diagram.importances(ratio, 2)[None, :, None].expand(3, 4, 2, 2)
    expected = population_loss(runs.W, runs.b, density[:, None, None].expand(3, 4, 2), grid)
    assert runs.W.shape == (3, 4, 2, 1, 2)
    torch.testing.assert_close(runs.loss, expected)


def test_every_stack_draws_for_itself():
    """One step that hardly moves anything: W is as it was started."""
    density, ratio = diagram.window(3, 2)
    recipe = Recipe(1, 8, 1e-9, 0.0, cosine=True, skip_empty=True)
    runs = trained.trained_map(2, 1, density, ratio, restarts=2, recipe=recipe, rows=1)
    starts = runs.W.flatten(0, 2).reshape(-1, 2).round(decimals=4)
    assert len(starts.unique(dim=0)) == len(starts) == 12


def test_stuck_runs_are_minimised_with_their_own_importance():
    """A pair is the optimum at p = 0.2, r = 0.3, and with r = 1 it would cost twice as much."""
    density, ratio = torch.tensor([0.2]).double(), torch.tensor([0.3]).double()
    optimum = diagram.exact_map(2, 1, density, ratio, restarts=8)
    W = torch.tensor([1.1, -0.7]).double().reshape(1, 1, 1, 1, 2)
    runs = trained.TrainedMap(W, torch.zeros(1, 1, 1, 2).double(), torch.ones(1, 1, 1))
    which = torch.ones(1, 1, 1, dtype=torch.bool)
    assert trained.unfinished(runs, which, density, ratio, optimum.loss, 0.01).tolist() == [True]


def test_runs_in_another_minimum_are_not_unfinished():
    """At p = 0.2, r = 1.5: a start near the pair reaches it, one near its same-sign shadow does
    not. In the dense cell beside it the first would end at the linear optimum."""
    density, ratio = torch.tensor([1.0, 0.2]).double(), torch.tensor([1.5]).double()
    optimum = diagram.exact_map(2, 1, density, ratio, restarts=8)
    W = torch.tensor([[1.1, -0.9], [0.25, 1.0], [0.9, -0.9]]).double()
    W, b = W[:, None].expand(2, 1, 3, 1, 2), torch.zeros(2, 1, 3, 2).double()
    grid = diagram.importances(ratio, 2)[:, None].expand(2, 1, 3, 2)
    loss = population_loss(W, b, density[:, None, None].expand(2, 1, 3), grid)
    runs = trained.TrainedMap(W, b, loss)
    which = trained.stuck(loss, optimum.loss, 0.01)
    which[0, 0, 1:] = False
    found = trained.unfinished(runs, which, density, ratio, optimum.loss, 0.01)
    assert found.tolist() == [True, True, False, True]
    nothing = torch.zeros_like(which)
    assert not len(trained.unfinished(runs, nothing, density, ratio, optimum.loss, 0.01))


def test_aggregates_are_of_norm_and_superposition():
    """Two runs that found the same pair with opposite signs, and a worse one without a pair."""
    W = torch.tensor([[1.0, -1.0], [-1.0, 1.0], [1.0, 0.0]])[None, None, :, None]
    runs = trained.TrainedMap(W, torch.zeros(1, 1, 3, 2), torch.tensor([[[0.1, 0.2, 0.9]]]))
    found = {
        name: [v.item() for v in channels] for name, channels in trained.aggregates(runs).items()
    }
    assert found["mean of all runs"] == pytest.approx([2 / 3, 2 / 3])
    assert found["without the worst"] == found["lowest loss"] == pytest.approx([1, 1])
