"""Transitions of the exact optimum against closed forms, and against code that shares nothing."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.polynomial.legendre import leggauss
from oracles import rational_loss
from scipy.optimize import brentq, minimize

from common.data import importance_decay
from common.exact.branches import Model
from common.geometry import feature_norms
from common.phases.landscape import linear_is_stable_above


@pytest.fixture(scope="module")
def five():
    """The opening figure's model from p = 0.9 to 0.12, on a grid that misses the short phase."""
    model = Model(5, 2, importance_decay(5, 0.9), restarts=48)
    return model, *model.transitions(torch.logspace(-0.05, -0.92, 6, dtype=torch.float64))


@pytest.mark.slow
def test_transitions_of_the_opening_figure(five):
    """Densities and norms of the third and fourth feature as found by an independent recomputation
    (quadrature, and a branch follower of its own)."""
    _, jumps, _ = five
    assert [jump.density for jump in jumps] == pytest.approx(
        [0.6859, 0.5790, 0.5722, 0.1606], abs=6e-5
    )
    third, weak, strong, pentagon = (
        [feature_norms(state.W).tolist() for state in (jump.above, jump.below)] for jump in jumps
    )
    assert [norms[2] for norms in third] == pytest.approx([0.426, 0.572], abs=1e-3)
    assert [norms[3] for norms in weak] == pytest.approx([0, 0.290], abs=1e-3)
    assert [norms[3] for norms in strong] == pytest.approx([0.304, 0.734], abs=1e-3)
    assert pentagon[0][4] < 1e-6 and min(pentagon[1]) > 0.99


@pytest.mark.slow
def test_at_a_jump_both_losses_are_equal_and_the_better_one_changes(five):
    model, jumps, _ = five
    for jump in jumps:
        assert jump.above.loss == pytest.approx(jump.below.loss, rel=1e-10)
        higher, lower = (
            [model.settle(s, factor * jump.density).loss for s in (jump.above, jump.below)]
            for factor in (1 + 1e-4, 1 - 1e-4)
        )
        assert higher[0] < higher[1] and lower[0] > lower[1]


@pytest.mark.slow
def test_slope_is_that_of_the_optimal_loss(five):
    model, _, states = five
    for state in states:
        up, down = (model.settle(state, state.density * f).loss for f in (1 + 1e-4, 1 - 1e-4))
        assert model.slope(state) == pytest.approx((up - down) / (2e-4 * state.density), rel=1e-4)


@pytest.mark.slow
def test_third_feature_vanishes_where_the_closed_form_says(five):
    model, jumps, _ = five
    density, error = model.vanishing(lambda W: W[:, 2].norm().item(), jumps[0].above, 0.88)
    assert error < 1e-4
    assert density == pytest.approx(linear_is_stable_above(1 / 0.9).item(), abs=error)


@pytest.mark.slow
def test_a_branch_that_ends_is_not_followed_beyond(five):
    """The pentagon does not exist at density 0.9."""
    model, _, states = five
    assert model.follow(states[-1], 0.9) is None


def pair_loss(x, p, r):
    """Loss of W = (-a, c), b at density p by quadrature split at every kink."""
    a, c, first, second = x
    nodes, weights = leggauss(12)

    def integral(f, kinks):
        ends = [0, *sorted(k for k in kinks if 0 < k < 1), 1]
        return sum(
            (hi - lo) / 2 * (weights * f((lo + hi) / 2 + (hi - lo) / 2 * nodes)).sum()
            for lo, hi in pairwise(ends)
        )

    def output(own, other, bias):
        """E (x - relu(own x + other y + bias))^2."""

        def relu(z):
            return np.maximum(z, 0)

        def over_y(x):
            kink = -(own * x + bias) / other
            return integral(lambda y: (x - relu(own * x + other * y + bias)) ** 2, [kink])

        def both(xs):
            return np.array([over_y(x) for x in xs])

        corners = [-bias / own, -(bias + other) / own]
        alone = integral(lambda x: (x - relu(own * x + bias)) ** 2, corners[:1])
        other_alone = integral(lambda y: relu(other * y + bias) ** 2, [-bias / other])
        return (
            (1 - p) ** 2 * relu(bias) ** 2
            + p * (1 - p) * (alone + other_alone)
            + p**2 * integral(both, corners)
        )

    return output(a * a, -a * c, first) + r * output(c * c, -a * c, second)


@pytest.mark.slow
def test_meeting_point_of_two_features_by_quadrature():
    """r = 1: the pair of equals and the long and short pair have one loss at p = 0.7064, where the
    smaller weight jumps from 0.516 to 0.755."""
    model = Model(2, 1, restarts=16)
    (jump,), _ = model.transitions([0.75, 0.65])
    norms = [sorted(feature_norms(s.W).tolist()) for s in (jump.above, jump.below)]
    assert jump.density == pytest.approx(0.70640, abs=1e-5)
    assert (norms[0][0], norms[1][0]) == pytest.approx((0.516, 0.755), abs=1e-3)

    def least(start, p):
        options = {"xatol": 1e-9, "fatol": 1e-13, "maxiter": 4000, "maxfev": 4000}
        return minimize(pair_loss, start, (p, 1.0), method="Nelder-Mead", options=options).fun

    def gap(p):
        return least([0.516, 0.916, 0.425, 0.198], p) - least([0.755, 0.755, 0.334, 0.334], p)

    assert brentq(gap, 0.706, 0.7068, xtol=1e-7) == pytest.approx(jump.density, abs=2e-6)


def test_transitions_need_descending_densities():
    with pytest.raises(ValueError, match="descend"):
        Model(2, 1).transitions([0.2, 0.5])
    assert math.isclose(Model(2, 1).optima([0.5])[0].density, 0.5)


@pytest.mark.slow
def test_the_third_feature_leaves_the_line_of_the_second(five):
    """On the line at 0.7308 and off it at 0.7307, as an independent recomputation found."""
    model, jumps, _ = five

    def sine(W):
        second, third = torch.nn.functional.normalize(W, dim=0)[:, 1:3].T
        return (second[0] * third[1] - second[1] * third[0]).abs().item()

    density, error = model.vanishing(sine, jumps[0].above, 0.76)
    assert 0.7307 < density - error < density + error < 0.7308
    off, on = (model.follow(jumps[0].above, p) for p in (0.7306, 0.7309))
    assert sine(off.W) > 0.005 and sine(on.W) < 1e-4


def test_the_triangle_ends_where_rational_arithmetic_and_quadrature_say():
    """Three equal features in two dimensions: at 0.52184 the best triangle (norm and bias free; its
    loss in rational arithmetic) costs as much as the best pair beside a third feature, which costs
    nothing (the pair's loss by quadrature)."""
    (jump,), _ = Model(3, 2, restarts=16).transitions([0.9, 0.7, 0.45])
    assert jump.density == pytest.approx(0.52184, abs=5e-6)
    turn = 2 * math.pi * torch.arange(3, dtype=torch.float64) / 3
    corners = torch.stack([turn.cos(), turn.sin()])

    def triangle(x):
        return rational_loss(x[0] * corners, torch.full((3,), x[1]), jump.density, [1, 1, 1])

    def pair(x):
        return pair_loss([x[0], x[0], x[1], x[1]], jump.density, 1.0)

    options = {"xatol": 1e-6, "fatol": 1e-10}
    losses = [
        minimize(function, start, method="Nelder-Mead", options=options).fun
        for function, start in ((triangle, [0.95, 0.25]), (pair, [0.9, 0.2]))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert losses[0] == pytest.approx(jump.above.loss, rel=1e-7)
