"""Minima of two features in one dimension followed through the transition, against scipy."""

import pytest
import torch
from scipy.optimize import brentq, minimize_scalar
from two_features import best_pair, loss, minimum, slope, variance

from common.phases import transition
from common.phases.landscape import linear_is_stable_above

SEARCH = torch.logspace(-0.125, -0.6, 60, dtype=torch.float64)  # densities from 0.75 to 0.25


@pytest.fixture(scope="module")
def line():
    r = torch.tensor([1.0, 1.5, 3.0], dtype=torch.float64)
    return transition.takeover(SEARCH, r, restarts=8, step=0.02)


def follow_takeover(r, strong, upper, low, high):
    """Density between low and high at which the losses of two minima are equal, and both minima."""
    p = brentq(lambda p: minimum(strong, p, r)[1] - minimum(upper, p, r)[1], low, high, xtol=1e-12)
    return p, minimum(strong, p, r)[0], minimum(upper, p, r)[0]


@pytest.mark.slow
def test_three_phases_meet_at_equal_importance(line):
    """At r = 1 a pair of equal weights takes over from a long and a short one."""
    pair, mixed = [-0.755, 0.755, 0.33, 0.33], [-0.51, 0.917, 0.43, 0.2]
    p, strong, weak = follow_takeover(1.0, pair, mixed, 0.704, 0.712)
    crossing = line.crossing
    assert p == pytest.approx(0.706404, abs=1e-6)
    assert crossing.density[0].item() == pytest.approx(p, abs=1e-7)
    for found, expected in ((crossing.W_lower, strong), (crossing.W_upper, weak)):
        assert found[0, 0].abs().tolist() == pytest.approx(abs(expected[:2]), abs=1e-4)
    assert crossing.slope_lower[0].item() == pytest.approx(slope(strong, p, 1.0), abs=1e-5)
    assert crossing.slope_upper[0].item() == pytest.approx(slope(weak, p, 1.0), abs=1e-5)


@pytest.mark.slow
def test_the_pair_takes_over_where_it_becomes_better_than_the_linear_model(line):
    """At r = 3, far from equal importance, superposition begins there."""
    p = line.crossing.density[2].item()
    assert best_pair(p - 1e-6, 3.0)[1] < (1 - 1e-9) * variance(p - 1e-6)
    assert best_pair(p + 1e-6, 3.0)[1] > (1 - 1e-9) * variance(p + 1e-6)
    assert line.crossing.W_upper[2, 0, 0].abs() < 1e-3


@pytest.mark.slow
def test_minima_end_at_their_folds(line):
    """At r = 1.5 the density of the stationary points at a first weight -a turns twice."""

    def stationary(a):
        """Density between 0.5 and 0.6 at which the least loss at a first weight of -a is level."""

        def level(p):
            v = minimum([-a, 1, 0.3 * p, 0.2 * a * p], p, 1.5, free=(1, 2, 3))[0]
            return loss(v, p, 1.5)[1][0]

        return brentq(level, 0.5, 0.61, xtol=1e-10)

    options = {"method": "bounded", "options": {"xatol": 1e-3}}
    weak = minimize_scalar(stationary, bounds=(0.2, 0.5), **options).fun
    strong = -minimize_scalar(lambda a: -stationary(a), bounds=(0.55, 0.75), **options).fun
    assert line.upper.end[1].item() == pytest.approx(weak, rel=2e-4)
    assert line.lower.end[1].item() == pytest.approx(strong, rel=2e-4)
    assert weak < line.crossing.density[1] < strong < linear_is_stable_above(1.5)


@pytest.mark.slow
def test_searches_bracket_the_takeover(line):
    assert (
        (line.bracket[1] < line.crossing.density) & (line.crossing.density < line.bracket[0])
    ).all()
    assert (line.crossing.slope_lower > line.crossing.slope_upper).all()


def followed(v, p, r, direction):
    """One minimum near v = (w_1, w_2, b_1, b_2) followed alone."""
    v = torch.as_tensor(minimum(v, p, r)[0])
    one = torch.ones(1, dtype=torch.float64)
    W, b = v[:2].reshape(1, 1, 2), v[2:].reshape(1, 2)
    return transition.follow(W, b, p * one, r * one, direction=direction * one, step=0.02)


@pytest.mark.slow
def test_a_branch_alone_ends_where_it_does_among_others(line):
    """A single one has nothing to wait for, and must not end before its steps are short."""
    alone = followed([-0.7, 1, 0.1, 0.08], 0.5, 1.5, direction=1)
    assert alone.end.item() == pytest.approx(line.lower.end[1].item(), rel=1e-4)


@pytest.mark.slow
def test_the_linear_minimum_is_left_where_it_becomes_a_saddle():
    """At r = 1.3, where superposition begins continuously."""
    onset = linear_is_stable_above(1.3).item()
    branch = followed([0, 1, 0.45, 0], 0.9, 1.3, direction=-1)
    density, first = branch.density[:, 0], branch.weights[:, 0, 0]
    assert (first[density > 1.001 * onset] < 1e-4).all()
    below = (density < 0.99 * onset).nonzero()[0, 0]
    expected = best_pair(density[below].item(), 1.3)[0]
    assert first[below].item() == pytest.approx(abs(expected[0]), abs=1e-4)


@pytest.mark.slow
def test_takeover_does_not_depend_on_which_feature_is_the_extra_one():
    r = torch.tensor([2.0, 0.5], dtype=torch.float64)
    found = transition.takeover(SEARCH, r, restarts=8, step=0.1).crossing
    assert found.density[0] == found.density[1]
    assert (found.W_lower[0] == found.W_lower[1]).all()


def test_local_minima_are_the_pair_and_its_same_sign_shadow():
    W, heights = transition.local_minima(0.2, 1.5)
    assert (heights.diff() >= 0).all() and len(W) == 4
    assert (W[:2].prod(1) < 0).all() and (W[2:].prod(1) > 0).all()
    _, expected = minimum([0.23, 1.05, 0.01, -0.01], 0.2, 1.5)
    assert heights[2:].tolist() == pytest.approx([expected] * 2, rel=1e-8)


def test_minima_close_to_each_other_are_told_apart():
    """Where three phases meet: a pair of equal weights, and unequal ones either way round."""
    W, heights = transition.local_minima(0.706404, 1.0)
    sizes = {tuple(row) for row in W.abs().round(decimals=1).tolist()}
    assert {(0.8, 0.8), (0.5, 0.9), (0.9, 0.5)} <= sizes
    assert heights[:6].tolist() == pytest.approx([heights[0].item()] * 6, rel=1e-5)
