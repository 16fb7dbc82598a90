"""The theorem of the hexagon: its budget, held against models and against quadrature."""

from dataclasses import replace

import numpy as np
import pytest

from common.proofs import hexagon, pentagon
from common.proofs.polygon import falling

PENTAGON, _ = pentagon.stationary()
SHAPE, STATIONARY = pentagon.stationary(6, hexagon.START)
BUDGET = hexagon.six(SHAPE, PENTAGON)
X = (np.arange(400) + 0.5) / 400  # midpoints: the active feature


def own(a, t):
    """int (x - relu(a x + t))^2 by the midpoint rule."""
    return ((X - np.maximum(np.multiply.outer(a, X) + np.expand_dims(t, -1), 0)) ** 2).mean(-1)


def cross(g, t):
    """int relu(g x + t)^2 by the midpoint rule."""
    return (np.maximum(np.multiply.outer(g, X) + np.expand_dims(t, -1), 0) ** 2).mean(-1)


def losses(W, b):
    """Losses of models with columns W (models, n, 2) and biases b (models, n), one active."""
    grams = np.einsum("mik,mjk->mij", W, W)
    n = b.shape[1]
    biases = np.broadcast_to(b[:, :, None], grams.shape)
    crosses = cross(grams, biases) * (1 - np.eye(n))
    return own(np.diagonal(grams, axis1=1, axis2=2), b).sum(1) + crosses.sum((1, 2)), crosses


def models(n, count, seed):
    """Random ones: spread, in a half-plane, or nearly in one direction, with various biases."""
    rng = np.random.default_rng(seed)
    turn = rng.choice([2 * np.pi, np.pi, 0.3], (count, 1))
    angles = np.sort(rng.random((count, n)), axis=1) * turn
    radii = rng.uniform(0, 2, (count, n))
    W = radii[:, :, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    return W, rng.uniform(-1.2, 0.5, (count, n)), radii, angles


@pytest.mark.parametrize(("n", "shape"), [(5, PENTAGON), (6, SHAPE)])
def test_brackets_of_neighbours_bound_the_loss(n, shape):
    W, b, radii, angles = models(n, 300, seed=1)
    loss, _ = losses(W, b)
    gaps = np.diff(angles, axis=1, append=angles[:, :1] + 2 * np.pi)
    after = np.roll(radii, -1, axis=1), np.roll(b, -1, axis=1)
    g = radii * after[0] * np.cos(gaps)
    brackets = (own(radii**2, b) + own(after[0] ** 2, after[1])) / 2
    brackets += cross(g, b) + cross(g, after[1])
    brackets += float(shape.mu.lo) * (gaps - 2 * np.pi / n)
    assert (loss >= brackets.sum(1) - 1e-9).all()
    assert (loss > float(shape.loss.hi)).all()


def test_a_feature_left_out_leaves_a_model_of_five():
    W, b, radii, _ = models(6, 300, seed=2)
    loss, crosses = losses(W, b)
    longest = radii.max(1) ** 2
    for i in range(6):
        left = losses(np.delete(W, i, axis=1), np.delete(b, i, axis=1))[0]
        cost = loss - left
        j = (i + 1) % 6
        least = own(radii[:, i] ** 2, b[:, i]) + crosses[:, i, j] + crosses[:, j, i]
        least += BUDGET.rest * falling(radii[:, i] * np.sqrt(longest), b[:, i])
        assert (cost >= least - 1e-5).all()


@pytest.mark.parametrize("gap", [1.2, np.pi / 2])
def test_all_others_that_count_may_lie_opposite(gap):
    """Then leaving a feature out saves just what is counted: one more would be too many."""
    angles = np.array([0, gap, *[np.pi] * 4])
    radii = np.array([0.2, 0.7, *[1.1] * 4])
    W = (radii * np.stack([np.cos(angles), np.sin(angles)])).T[None]
    b = np.array([[0.15, -0.1, *[-0.2] * 4]])
    cost = losses(W, b)[0] - losses(W[:, 1:], b[:, 1:])[0]
    g = 0.2 * 0.7 * np.cos(gap)
    least = own(0.04, 0.15) + cross(g, 0.15) + cross(g, -0.1)
    least += BUDGET.rest * falling(np.array(0.2 * 1.1), np.array(0.15))
    assert least == pytest.approx(cost[0], abs=1e-5)


def test_falling_is_the_integral():
    rng = np.random.default_rng(3)
    size, t = rng.uniform(0, 2, 500), rng.uniform(-0.3, 1, 500)
    assert np.abs(falling(size, t) - cross(-size, t)).max() < 1e-5
    assert (falling(np.zeros(3), np.array([-1.0, 0.0, 0.5])) <= [0, 0, 0.25]).all()


@pytest.mark.parametrize("limit", [0.0792, 0.21])
def test_the_frame_holds_all_cheap_features(limit):
    rng = np.random.default_rng(4)
    low, high, bottom, top = pentagon.frame(limit)
    a, b = rng.uniform(0, 12, 20000), rng.uniform(-9, 1.5, 20000)
    cheap = own(a, b) <= limit
    assert cheap.sum() > 50
    assert (a[cheap] >= low).all() and (a[cheap] <= high).all()
    assert (b[cheap] >= bottom).all() and (b[cheap] <= top).all()


def test_no_frame_where_a_feature_may_be_off():
    with pytest.raises(ValueError):
        pentagon.frame(1 / 3)


def test_a_short_vector_needs_the_other_features():
    """A feature almost dropped undercuts the bracket, within what the pair alone would allow."""
    a, b, a2, b2 = 1e-6, 0.25, 1.0, -0.1
    g = np.sqrt(a * a2)
    crosses = cross(g, b) + cross(g, b2)
    bracket = (own(a, b) + own(a2, b2)) / 2 + crosses + SHAPE.mu.lo * (0 - SHAPE.gap.lo)
    assert bracket < SHAPE.bracket.lo - 0.05
    assert own(a, b) + crosses < BUDGET.single
    others = BUDGET.rest * falling(np.sqrt(a * BUDGET.frame[1]), b)
    assert own(a, b) + crosses + others > BUDGET.single + 0.1


def test_a_larger_budget_is_refused():
    assert STATIONARY.proved and pentagon.stored(SHAPE, BUDGET).proved
    assert not pentagon.stored(SHAPE, replace(BUDGET, single=0.3)).proved


@pytest.mark.slow
def test_the_theorem_is_proved():
    found = list(hexagon.statements())
    assert [statement.name for statement in found if not statement.proved] == []
    assert len(found) == 16
