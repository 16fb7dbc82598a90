"""The theorem of the pentagon: its formulas, its intervals, and theorems that are false."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize

from common.proofs import boxes, intervals, pentagon
from common.proofs.boxes import cover
from common.proofs.definite import positive_definite
from common.proofs.intervals import PI, Interval, arccos_below, cosine, enclose
from common.proofs.polygon import (
    hessian,
    krawczyk,
    lower_bounds,
    moments,
)

mpmath.mp.dps = 40
SHAPE, STATIONARY = pentagon.stationary()
ENDS = np.array([[0.03, -3.0, 0.03, -3.0, 0.0], [5.0, 0.5, 5.0, 0.5, 3.0]])


def integral(g, t, power, weight):
    """int x^weight relu(g x + t)^power over [0, 1] in fractions, from antiderivatives of powers."""
    g, t = Fraction(g), Fraction(t)
    ends = [Fraction(0), Fraction(1)]
    if g and 0 < -t / g < 1:
        ends[0 if g > 0 else 1] = -t / g
    if g * (ends[0] + ends[1]) / 2 + t <= 0:
        return Fraction(0)
    terms = {1: [(g, 1), (t, 0)], 2: [(g * g, 2), (2 * g * t, 1), (t * t, 0)]}[power]
    ends = [[end ** (k + weight + 1) for _, k in terms] for end in ends]
    low, high = (
        sum(c * e / (k + weight + 1) for (c, k), e in zip(terms, end, strict=True)) for end in ends
    )
    return high - low


def bracket(x, shape=SHAPE, acos=np.arccos):
    """The bracket at points (a, b, a', b', g) in columns, from moments rounded as they come."""
    a, b, a2, b2, g = x
    total = 1 / 3 + moments(g, b)[0].lo + moments(g, b2)[0].lo
    for p, q in ((a, b), (a2, b2)):
        u, v, _ = moments(p, q)
        total = total + u.lo / 2 - v.lo
    return total + float(shape.mu.lo) * (acos(g / np.sqrt(a * a2)) - float(shape.gap.lo))


def random_boxes(rng, count, size):
    """Boxes in the domain of two features, many at g = 0, at equal directions and at kinks."""
    low = rng.uniform(ENDS[0], ENDS[1], (count, 5)).T
    low[4] = np.sqrt(low[0] * low[2]) * np.clip(rng.uniform(-0.2, 1.1, count), 0, 1)
    kinked = rng.random(count) < 0.3
    low[1] = np.where(kinked, -low[4], low[1])
    return low, low + size * rng.random((5, count))


def test_moments_contain_the_integrals():
    rng = np.random.default_rng(1)
    g = np.concatenate([rng.uniform(0, 3, 300), np.zeros(20), np.full(80, 0.5)])
    t = np.concatenate([rng.uniform(-3, 1, 320), np.linspace(-0.5, 0, 80)])
    for interval, (power, weight) in zip(moments(g, t), ((2, 0), (1, 1), (1, 0)), strict=True):
        for low, p, q, high in zip(interval.lo, g, t, interval.hi, strict=True):
            value = integral(p, q, power, weight)
            assert Fraction(low) <= value <= Fraction(high)
            assert high - low < 1e-13 * max(1.0, high)


def test_integrals_are_those_of_the_model():
    """Quadrature over the active feature of a whole pentagon: the loss of the theorem."""
    r, b = float(SHAPE.a.sqrt().lo), float(SHAPE.b.lo)
    angles = 2 * np.pi / 5 * np.arange(5)
    W = r * np.stack([np.cos(angles), np.sin(angles)])
    x = (np.arange(20000) + 0.5) / 20000
    loss = 0.0
    for j in range(5):
        inputs = np.outer(np.eye(5)[j], x)
        loss += ((inputs - np.maximum(W.T @ W @ inputs + b, 0)) ** 2).sum(0).mean()
    assert loss == pytest.approx(float(SHAPE.loss.lo), abs=1e-8)


def test_intervals_contain_the_results():
    assert pentagon.arithmetic().proved
    assert Fraction(float(PI.lo)) < Fraction(str(mpmath.pi)) < Fraction(float(PI.hi))
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(0, 3.1415, 200), [0.0, 1e-9, 1.5707963]])
    ends = cosine(Interval(x))
    for low, value, high in zip(ends.lo, x, ends.hi, strict=True):
        assert low <= mpmath.cos(mpmath.mpf(value)) <= high and high - low < 1e-13
    w = np.concatenate([rng.random(300), [0.0, 1.0, 1 - 1e-12, 1e-300]])
    for below, value in zip(arccos_below(w), w, strict=True):
        exact = mpmath.acos(mpmath.mpf(value))
        assert below <= exact and exact - below < 1e-6
    assert arccos_below(np.array([1.5])) == 0


def test_bounds_lie_below_the_bracket():
    rng = np.random.default_rng(3)
    for size in (1.0, 0.2, 0.02):
        low, high = random_boxes(rng, 2000, size)
        below, own, own2, cross = lower_bounds(low, high, SHAPE.mu, SHAPE.gap)
        for at in (0, 1, *rng.random(12)):
            points = low + (high - low) * (at if at in (0, 1) else rng.random(low.shape))
            valid = points[4] <= np.sqrt(points[0] * points[2])
            points = np.where(valid, points, 1.0)
            assert (~valid | (below <= bracket(points) + 1e-12)).all()
            for found, i in ((own, 0), (own2, 2)):
                u, v, _ = moments(points[i], points[i + 1])
                assert (~valid | (found <= 1 / 3 - 2 * v.lo + u.lo + 1e-12)).all()
            for found, i in zip(cross, (1, 3), strict=True):
                assert (~valid | (found <= moments(points[4], points[i])[0].hi)).all()


def test_bounds_are_of_second_order():
    point = SHAPE.point().middle()[:, None]
    errors = [
        bracket(point) - lower_bounds(point - size, point + size, SHAPE.mu, SHAPE.gap)[0]
        for size in (0.02, 0.01)
    ]
    assert 3 < errors[0] / errors[1] < 5 and errors[1] < 1e-3


def test_second_derivatives():
    rng = np.random.default_rng(4)
    points = SHAPE.point().middle()[:, None] + rng.uniform(-0.05, 0.05, (5, 40))
    found, valid = hessian(points, points, SHAPE.mu)
    assert valid.all()
    step = 1e-4 * np.eye(5)[:, :, None]
    for i in range(5):
        for j in range(5):
            slopes = [bracket(points + s * step[i] + step[j]) for s in (1, -1)]
            slopes = [
                slopes[k] - bracket(points + s * step[i] - step[j]) for k, s in ((0, 1), (1, -1))
            ]
            numeric = (slopes[0] - slopes[1]) / 4e-8
            assert np.abs(numeric - found.lo[:, i, j]).max() < 1e-5
    wide, _ = hessian(points - 0.003, points + 0.003, SHAPE.mu)
    assert (wide.lo <= found.lo).all() and (found.hi <= wide.hi).all()


def test_positive_definite():
    good, bad = np.diag([1.0, 1e-3, 2.0]), np.diag([1.0, -1e-3, 2.0])
    turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
    matrices = np.stack([turn @ m @ turn.T for m in (good, bad)])
    assert positive_definite(Interval(matrices), np.ones(2, bool)).tolist() == [True, False]
    wide = Interval(matrices - 1e-3, matrices + 1e-3)
    assert not positive_definite(wide, np.ones(2, bool)).any()
    assert not positive_definite(Interval(matrices * np.nan), np.ones(2, bool)).any()


def test_the_theorem_is_proved():
    found = list(pentagon.statements())
    assert [statement.name for statement in found if not statement.proved] == []
    assert len(found) == 9
    assert "r in [1.17045963909, 1.17045963910]" in str(found[1])


def test_the_committed_log_holds_these_statements():
    """What README and the write-up call proved was proved by this code."""
    log = (Path(pentagon.__file__).parent / "proofs.txt").read_text().splitlines()
    assert {str(statement) for statement in pentagon.statements()} <= set(log)
    assert not [line for line in log if line.startswith("NOT PROVED")]
    for name in ("hexagon", "pentagon of rare features"):
        assert f"The theorem of the {name} is proved." in log


def test_a_multiplier_too_large_is_refused():
    """There is a point of two features with a lower bracket, and none is said to be."""
    wrong = dataclasses.replace(SHAPE, mu=SHAPE.mu * 1.05)
    point = SHAPE.point().middle()
    found = minimize(bracket, point, (wrong,), "Nelder-Mead", options={"xatol": 1e-6})
    assert found.fun < SHAPE.bracket.lo - 1e-6
    assert np.abs(found.x - point).max() > pentagon.RADIUS
    assert not pentagon.away(wrong, pentagon.five(SHAPE), most=130_000).proved
    assert not pentagon.convex(wrong).proved


def test_a_multiplier_slightly_wrong_is_refused():
    assert pentagon.balanced(SHAPE)
    for factor in (1 + 1e-6, 1 - 1e-6):
        assert not pentagon.balanced(dataclasses.replace(SHAPE, mu=SHAPE.mu * factor))


def test_a_square_is_refused():
    assert not krawczyk(5, 1.0, 0.0)[2]
    assert not krawczyk(5, 1.3, -0.2)[2]
    assert not pentagon.wide(dataclasses.replace(SHAPE, gap=PI / 2)).proved


def test_a_ball_too_large_or_elsewhere_is_refused():
    assert not pentagon.convex(SHAPE, radius=0.2, most=10_000).proved
    moved = dataclasses.replace(SHAPE, b=SHAPE.b + 0.1, g=enclose(0.1))
    assert not pentagon.convex(moved, radius=0.01, most=10_000).proved


def test_a_box_left_out_is_noticed(monkeypatch):
    def verdict(low, high):
        return {"small": (high - low).max(0) < 0.3}

    assert cover([0, 0], [1, 1], verdict, [1, 1]).complete
    whole = boxes.halves

    def without_one(low, high, depth, weights):
        low, high, depth = whole(low, high, depth, weights)
        return low[:, 1:], high[:, 1:], depth[1:]

    monkeypatch.setattr(boxes, "halves", without_one)
    assert not cover([0, 0], [1, 1], verdict, [1, 1]).complete


@pytest.mark.parametrize("wrong", ["gap", "twice"])
def test_halves_that_leave_something_out_are_noticed(wrong, monkeypatch):
    """The number of halvings alone would not tell."""

    def halves(low, high, depth, weights):
        lows, highs, depths = genuine(low, high, depth, weights)
        count = low.shape[1]
        if wrong == "gap":
            highs[:, :count] -= 0.01 * (highs[:, :count] - lows[:, :count])
        else:
            lows[:, count:], highs[:, count:] = lows[:, :count], highs[:, :count]
        return lows, highs, depths

    def small(low, high):
        return {"small": (high - low).max(0) < 0.3}

    genuine = boxes.halves
    assert boxes.cover([0.0, 0.0], [1.0, 1.0], small, [1.0, 1.0]).complete
    monkeypatch.setattr(boxes, "halves", halves)
    assert not boxes.cover([0.0, 0.0], [1.0, 1.0], small, [1.0, 1.0]).complete


def test_a_frame_that_the_budget_does_not_imply_is_refused():
    shape, _ = pentagon.stationary()
    budget = pentagon.five(shape)
    assert pentagon.framed(shape, budget).proved
    low, high, bottom, top = budget.frame
    assert not pentagon.framed(
        shape, dataclasses.replace(budget, frame=(low, high - 0.1, bottom, top))
    ).proved


@pytest.mark.parametrize("operation", ["product", "square", "quotient"])
def test_arithmetic_that_is_right_for_points_only_is_noticed(operation, monkeypatch):
    """Ends multiplied in order; a square that forgets 0; a divisor whose sign is not looked at."""
    wrong = {
        "product": ("__mul__", lambda x, y: ends(x, y, np.multiply)),
        "square": ("square", lambda x: ends(x, x, np.multiply)),
        "quotient": ("__truediv__", lambda x, y: ends(x, y, np.divide)),
    }

    def ends(x, y, function):
        y = intervals.enclose(y)
        one, other = function(x.lo, y.lo), function(x.hi, y.hi)
        low, high = np.minimum(one, other), np.maximum(one, other)
        return Interval(intervals.down(low), intervals.up(high))

    assert pentagon.arithmetic().proved
    monkeypatch.setattr(Interval, *wrong[operation])
    assert not pentagon.arithmetic().proved


def test_nothing_is_proved_by_a_nan():
    def verdict(low, high):
        return {"never": np.full(low.shape[1], np.nan) > 0}

    assert not cover([0.0], [1.0], verdict, [1], most=1000).complete


def test_inward_rounding_is_noticed(monkeypatch):
    outward = intervals.down, intervals.up
    monkeypatch.setattr(intervals, "down", outward[1])
    monkeypatch.setattr(intervals, "up", outward[0])
    assert not pentagon.arithmetic().proved
