"""The smallest model with a penalty, against quadrature and scipy."""

from fractions import Fraction
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb, to_rgba
from scipy.optimize import minimize
from two_features import STARTS, best_pair, loss, minimum, variance

from common.exact import minimise
from common.phases import landscape, meeting, penalty, penalty_plots
from common.phases.diagram import importances


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def penalised(v, p, r, strength):
    """Loss and penalty of v = (w_1, w_2, b_1, b_2) and the gradient, nothing of `common`."""
    value, gradient = loss(v, p, r)
    overlap = v[0] * v[1]
    by_weights = 4 * strength * overlap * np.array([v[1], v[0], 0, 0])
    return value + 2 * strength * overlap**2, gradient + by_weights


def least(v, p, r, strength, free=(0, 1, 2, 3)):
    """The minimum next to v of the variables `free`: (v, value)."""
    free, v = list(free), np.array(v, dtype=float)

    def function(x):
        there = v.copy()
        there[free] = x
        value, gradient = penalised(there, p, r, strength)
        return value / variance(p), gradient[free] / variance(p)

    v[free] = minimize(function, v[free], jac=True, options={"gtol": 1e-11}).x
    return v, penalised(v, p, r, strength)[0]


def best(p, r, strength):
    """The lowest value that searches from pairs find, relative to the linear one, less 1."""
    starts = [*STARTS, (-0.2, 1, 0.05, 0.02), (-0.4, 1, 0.0, 0.0), (-0.6, 0.9, 0.0, 0.0)]
    found = [least(np.array(v) * [1, 1, p, p], p, r, strength)[1] for v in starts]
    return min(found) / (min(1, r) * variance(p)) - 1


# --- closed forms ---


@pytest.mark.parametrize(("p", "r"), [(0.3, 1.0), (0.1, 4.0), (0.2, 0.5)])
def test_fixed_weights_stop_paying_at_their_penalty(p, r):
    edge = penalty.fixed_weight_penalty(p, r).item()
    fixed = penalised(np.array([1.0, -1.0, 0.0, 0.0]), p, r, edge)[0]
    assert fixed == pytest.approx(min(1, r) * variance(p), rel=1e-12)


@pytest.mark.parametrize(("p", "r"), [(0.3, 1.0), (0.7, 1.1), (0.1, 3.0)])
def test_the_linear_minimum_is_stable_from_the_continuous_penalty_on(p, r):
    edge, a = penalty.continuous_penalty(p, r).item(), 1e-3
    for factor, stable in ((0.99, False), (1.01, True)):
        start = [-a, 1, p / 2, 0.2 * a * p]
        value = least(start, p, r, factor * edge, free=(1, 2, 3))[1]
        assert (value > variance(p)) == stable
        assert landscape.linear_is_stable_from(p, factor * edge) < r or not stable
    swapped = penalty.continuous_penalty(p, 1 / r).item()
    assert swapped == pytest.approx(edge / r)


@pytest.mark.parametrize(("p", "strength"), [(0.3, 0.012), (0.6, 0.005), (0.9, 0.01), (0.5, 0.001)])
def test_cubic_coefficient_is_that_of_the_penalised_loss(p, strength):
    """By the third power of three small weights, extrapolated to 0."""
    r = landscape.linear_is_stable_from(p, strength).item()
    ends = []
    for a in (0.04, 0.02, 0.01):
        value = least([-a, 1, p / 2, 0.2 * a * p], p, r, strength, free=(1, 2, 3))[1]
        ends.append((value / variance(p) - 1) / a**3)
    expected = (8 * ends[2] - 6 * ends[1] + ends[0]) / 3
    assert landscape.cubic_coefficient(p, strength).item() == pytest.approx(expected, abs=2e-5)


def remainder(one, other):
    """The remainder of a division of polynomials, leading coefficients first."""
    one = list(one)
    while len(one) >= len(other):
        factor = one[0] / other[0]
        one = [a - factor * b for a, b in zip(one, [*other, *[0] * len(one)], strict=False)][1:]
    return one


def roots_between(polynomial, low, high):
    """How many real roots lie in (low, high], exactly: Sturm's theorem in fractions."""
    first = [Fraction(c) for c in polynomial]
    degree = len(first) - 1
    chain = [first, [c * (degree - k) for k, c in enumerate(first[:-1])]]
    while any(rest := remainder(*chain[-2:])):
        while not rest[0]:
            rest = rest[1:]
        chain.append([-c for c in rest])

    def changes(x):
        values = [sum(c * x ** (len(f) - 1 - k) for k, c in enumerate(f)) for f in chain]
        signs = [v > 0 for v in values if v]
        return sum(a != b for a, b in pairwise(signs))

    return changes(Fraction(low)) - changes(Fraction(high))


def test_tricritical_densities_are_roots_of_the_polynomial():
    """All that it has between 0 and 1, but for one at which kappa has no zero."""
    polynomial = landscape.TRICRITICAL
    assert roots_between([1, -3, 2], 0, 1) == 1 and roots_between([1, 0, 1], -5, 5) == 0
    assert roots_between(polynomial, 0, 1) == 3
    for low, high in ((0.4, 0.7), (0.7, 0.98)):
        p = landscape.tricritical(low, high)[1]
        assert roots_between(polynomial, p - 1e-11, p + 1e-11) == 1
    assert roots_between(polynomial, 0.5397, 0.5398) == 1
    assert landscape.cubic_coefficient(0.53978011482).item() > 0.005


def test_the_line_of_tricritical_points():
    p = torch.linspace(0.1, 0.5, 9, dtype=torch.float64)
    strength, r = landscape.tricritical_penalty(p)
    assert landscape.cubic_coefficient(p, strength).abs().max() < 1e-12
    torch.testing.assert_close(landscape.linear_is_stable_from(p, strength), r)
    for k in (4, 8):
        at_r, at_p = landscape.tricritical(p[k] - 0.01, p[k] + 0.01, strength[k].item())
        assert (at_r, at_p) == pytest.approx((r[k].item(), p[k].item()), rel=1e-9)


# --- the surface ---

CELLS = [(0.3, 1.0), (0.25, 1.7), (0.1, 3.0), (0.02, 5.0), (0.6, 1.1), (0.95, 1.0), (0.2, 0.4)]


@pytest.mark.slow
@pytest.mark.parametrize(("p", "r"), CELLS)
def test_superposition_pays_below_the_surface_and_not_above(p, r):
    edge = penalty.critical_penalty(p, r, restarts=8).penalty.item()
    assert best(p, r, 0.99 * edge) < -1e-9
    assert best(p, r, 1.0001 * edge) > -1e-11


def test_the_surface_lies_above_both_closed_forms_and_below_no_model():
    """In two cells each: a jump, a continuous end, no superposition at all."""
    p, r = tensor(0.1, 0.3, 0.6, 0.7, 0.9, 0.5), tensor(2.0, 1.0, 1.1, 1.2, 1.5, 3.0)
    found = penalty.critical_penalty(p, r, restarts=8)
    fixed, continuous = penalty.fixed_weight_penalty(p, r), penalty.continuous_penalty(p, r)
    assert (found.penalty[:2] > 1.4 * fixed[:2]).all() and (found.W[:2, 0] > 0.3).all()
    torch.testing.assert_close(found.penalty[2:4], continuous[2:4])
    assert (found.W[2:, 0] == 0).all() and (found.penalty[4:] == 0).all()
    again = minimise(2, 1, p, importances(r, 2), restarts=32, seed=5, penalty=found.penalty)
    assert (again.objective / (p / 3 - p**2 / 4)).numpy() == pytest.approx(1, abs=1e-8)


def test_the_smaller_weight_comes_first_at_equal_importances():
    W = penalty.critical_penalty(tensor(0.05, 0.1, 0.2), 1.0, restarts=8).W
    assert (W[:, 0] < W[:, 1] - 0.2).all()


def test_exchanged_features_scale_the_surface():
    p, r = tensor(0.1, 0.3), tensor(1.0, 2.0, 5.0)
    half = penalty.critical_penalty(p[:, None], r, restarts=8)
    both, critical, jump = penalty.mirrored(r, half)
    assert both.tolist() == [0.2, 0.5, 1, 2, 5]
    inverse = penalty.critical_penalty(p[:, None], 1 / r, restarts=8)
    torch.testing.assert_close(critical[:, :3].flip(1), inverse.penalty)
    torch.testing.assert_close(critical[:, 2:], half.penalty)
    torch.testing.assert_close(jump, jump.flip(1))


def test_rare_features_end_at_a_third_of_their_density():
    found = penalty.critical_penalty(1e-4, 1.0, restarts=32).penalty
    assert found.item() == pytest.approx(1e-4 / 3, rel=1e-3)


@pytest.mark.slow
def test_the_highest_critical_penalty():
    """Of antipodal pairs of equal weights, by a search over three numbers and the density."""

    def lower(v):
        a, b, p = v
        free = loss(np.array([a, -a, b, b]), p, 1.0)[0]
        return -(variance(p) - free) / (2 * a**4)

    found = minimize(lower, [0.8, 0.1, 0.25], method="Nelder-Mead", options={"xatol": 1e-9})
    p, top = penalty.highest()
    assert top == pytest.approx(-found.fun, rel=1e-8)
    assert p == pytest.approx(found.x[2], rel=1e-3)


# --- where minima meet ---


@pytest.mark.slow
def test_what_meets_is_equal_and_stationary():
    there = landscape.weak_end()
    p, r = there.density, there.relative_importance
    assert (r, p) == pytest.approx((1.7726367677, 0.5117380321), abs=2e-10)
    for W, b in zip(there.W, there.b, strict=True):
        v, value = minimum([*W, *b], p, r)
        assert np.abs(v - [*W, *b]).max() < 1e-5
        assert value / variance(p) == pytest.approx(1, abs=1e-10)
    assert landscape.corner() == pytest.approx(1.0112793218, abs=2e-10)
    v, value = best_pair(1.0, landscape.corner())
    assert value == pytest.approx(1 / 12, rel=1e-10) and abs(v[0]) > 0.1


@pytest.mark.slow
def test_the_strong_pair_takes_over_where_two_minima_are_equal():
    found = penalty.takeover(tensor(0.0, 0.003, 0.01))
    assert [there.penalty for there in found] == [0.0, 0.003, 0.01]
    assert found[0].density == pytest.approx(0.70640369267, abs=1e-10)
    for there in found:
        ends = [
            least([*W, *b], there.density, 1.0, there.penalty)
            for W, b in zip(there.W, there.b, strict=True)
        ]
        assert ends[0][1] == pytest.approx(ends[1][1], rel=1e-10)
        assert abs(ends[0][0][0]) < abs(ends[1][0][0]) - 0.2
        assert ends[0][1] < variance(there.density)
        assert (
            best(there.density, 1.0, there.penalty) > ends[0][1] / variance(there.density) - 1.001
        )


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.002, 0.01, 0.02])
def test_where_the_jump_begins_a_strong_pair_equals_the_linear_minimum(strength):
    r, p = penalty.onset_end(strength)
    assert penalty.continuous_penalty(p, r).item() == pytest.approx(strength, rel=1e-9)
    v, value = least([-0.72, 1.02, 0.2, 0.07], p, r, strength)
    assert value == pytest.approx(variance(p), rel=1e-9) and abs(v[0]) > 0.6
    nearby = penalty.critical_penalty(tensor(p - 0.005, p + 0.005), r, restarts=16).W[:, 0]
    assert nearby[0] > 0.5 and nearby[1] == 0


def test_the_last_points_are_where_the_lines_end():
    lost = penalty.last_tricritical()
    r, p, strength = lost["upper"]
    assert r == pytest.approx(1, abs=1e-12)
    assert abs(landscape.cubic_coefficient(p, strength).item()) < 1e-12
    r, p, strength = lost["lower"]
    assert (r, p) == pytest.approx(penalty.onset_end(strength), abs=1e-9)
    assert (r, p) == pytest.approx(landscape.tricritical(0.45, 0.6, strength), abs=1e-9)
    p, strength = penalty.last_onset()
    assert penalty.onset_end(0.9999 * strength) == pytest.approx((1, p), abs=2e-3)


def test_what_does_not_meet_is_refused():
    W, b = [[-0.52, 0.92], [-0.755, 0.755]], [[0.43, 0.2], [0.33, 0.33]]
    with pytest.raises(ValueError, match="2 numbers are free for 1 equations"):
        meeting.meet(W, b, (1.0, 0.7, 0.0), ["density", "penalty"], linear=False)
    with pytest.raises(ValueError, match="do not meet"):  # one minimum, twice
        meeting.meet(W[1:] * 2, b[1:] * 2, (1.0, 0.7, 0.0), ["density"], linear=False)


# --- pictures ---


def test_colours_say_where_it_pays_and_yellow_where_it_ends_continuously():
    p, r = tensor(1.0, 0.5, 0.25, 0.125), tensor(1.0, 2.0, 4.0)
    critical = tensor(*[[0.0] * 3, [0.03, 0.0, 0.0], [0.04, 0.02, 0.0], [0.03, 0.02, 0.01]])
    jump = tensor(*[[0.0] * 3, [0.0] * 3, [0.5] * 3, [0.5] * 3])
    fig, ax = plt.subplots()
    penalty_plots.critical_map(p, r, critical, jump, [0.015], ax)
    mesh, lines, smooth = ax.collections
    drawn = np.ma.masked_array(mesh.get_array()).reshape(4, 3)
    assert np.array_equal(np.ma.getmaskarray(drawn), critical.numpy() == 0)
    assert np.allclose(drawn.compressed(), critical[critical > 0])  # nothing else colours it
    assert to_rgb(ax.get_facecolor()) == to_rgb("#cfe3f1")
    assert to_rgba(lines.get_edgecolor()[0])[:3] == to_rgb(penalty_plots.JUMP)
    drawn = np.concatenate([path.vertices for path in smooth.get_paths()])
    assert len(drawn) and (drawn[:, 1] >= 0.5 - 1e-9).all()
    plt.close(fig)
