"""The pentagon is the optimum of five features with exactly one active: statements and checkers.

Theorem. The loss L1(W, b) = sum_i [own(|W_i|^2, b_i) + sum_(j != i) cross(W_i . W_j, b_i)] of five
features in two dimensions has global minimisers, and they are the regular pentagons of one norm and
one bias, unique up to rotation, reflection and the order of the features. PROOF.md leads from the
statements below to the theorem; each is checked here in arithmetic that rounds outward.

    python -m common.proofs.pentagon
"""

import sys
from dataclasses import dataclass

import numpy as np

from common.proofs.boxes import cover
from common.proofs.definite import positive_definite
from common.proofs.intervals import PI, Interval, down, enclose
from common.proofs.polygon import (
    balance,
    falling,
    hessian,
    krawczyk,
    least_sum,
    lower_bounds,
    newton,
    polygon,
)
from common.proofs.statement import Statement, arithmetic, digits, prove

FEATURES = 5
START = (1.37, -0.28)  # where Newton's method begins: (a, b) with a = r^2
RADIUS = 0.0125  # of the box around the pentagon in which the bracket is convex
SLACK = 1e-3  # of the loss: what is said of brackets holds for models as close to the least
WEIGHTS = (1.0, 1.5, 1.0, 1.5, 1.5)  # of (a, b, a', b', g), for the side to be cut


def stationary(n=FEATURES, start=START):
    """A regular polygon at which own + 2 cross of a feature is stationary in (r, b)."""
    a, b, proved = krawczyk(n, *newton(n, *start))
    shape = polygon(n, a, b)
    proved &= bool(shape.mu.lo > 0) and balanced(shape)
    text = (
        f"one stationary regular {n}-gon near a = r^2 in {digits(a)}, b in {digits(b)}: "
        f"r in {digits(a.sqrt())}, mu in {digits(shape.mu)}, "
        f"bracket in {digits(shape.bracket)}, L1 in {digits(shape.loss)}"
    )
    return shape, Statement("stationary", text, proved)


def balanced(shape):
    """The bracket's slopes at the polygon hold 0, closely: mu fits the polygon."""
    return all(bool((-1e-10 < x.lo <= 0) & (0 <= x.hi < 1e-10)) for x in balance(shape))


def attained(shape, budget=None):
    """Features that are not neighbours cost nothing: the loss is n times the bracket."""
    obtuse = all(4 * k >= shape.n for k in range(2, shape.n // 2 + 1))  # k gaps: >= pi/2
    text = f"b <= {float(shape.b.hi):.6f} < 0 and cos <= 0 between features two or more gaps apart"
    return Statement("attained", text, bool(shape.b.hi < 0) and obtuse)


@dataclass
class Budget:
    """What a model of least loss cannot exceed. `single` bounds own(a, b) of one feature and all
    its cross terms, in its own output and in others; `pair` bounds the same of two. Beside the
    two features `rest` others are counted in their outputs. The frame bounds all (a, b)."""

    single: float
    pair: float
    rest: int
    frame: tuple  # a low, a high, b low, b high


def frame(limit, pieces=4000):
    """Bounds of (a, b) that own(a, b) <= limit < 1/3 implies: (a low, a high, b low, b high).

    With the kink at s = -b/a in (0, 1), own(a, b) >= s^3/3 + (a - 1)^2 (1 - s)^3/12; the bound of a
    is the largest over pieces of s. With b >= 0, own(a, b) >= max(b^2/4, (a - 1)^2/12). All bounds
    are rounded outward to multiples of 1/1024.
    """
    limit = Interval(limit)
    kink = float(np.ceil(np.cbrt(3 * limit.hi) * 2**20) / 2**20)
    if not (kink < 1 and Interval(kink).cube().lo >= (3 * limit).hi):
        raise ValueError("no frame for this limit")
    ends = kink * (np.arange(pieces + 1) / pieces)
    room = np.maximum((12 * limit - 4 * Interval(ends[:-1]).cube()).hi, 0.0)
    slope = (1 + (Interval(room) / (1 - Interval(ends[1:])).cube()).sqrt()).hi.max()
    slope = max(slope, (1 + (12 * limit).sqrt()).hi)
    least = max((1 - (12 * limit).sqrt()).lo, 0.0)
    top = np.ceil(np.array([slope, (Interval(kink) * slope).hi, (2 * limit.sqrt()).hi]) * 1024)
    slope, bias, top = (float(x) for x in top / 1024)
    return float(np.floor(least * 1024) / 1024), slope, -bias, top


def five(shape, slack=SLACK):
    """The budget of five features whose loss exceeds that of the pentagon by no more than a slack.

    None would do for the theorem; with a slack the same statements serve models near the least.
    """
    limit = float((shape.loss + slack).hi)
    return Budget(limit, limit, 0, frame(limit))


def stored(shape, budget):
    """No vector is 0: with k others counted, W_i = 0 costs at least min over b of own + k b^2.

    own(0, b) = 1/3 - b + b^2 for b >= 0. Among five features no other is counted.
    """
    k = budget.rest + 1 if budget.rest else 0
    least = enclose(1.0) / 3 - enclose(1.0) / (4 * (k + 1))
    left = (least - budget.single).lo
    text = f"a vector 0 costs at least 1/3 - 1/{4 * (k + 1)}, over the budget by {float(left):.6f}"
    return Statement("stored", text, bool(left > 0))


def framed(shape, budget):
    """The frame that is searched is the one that the budget implies, and finite."""
    low, high, bottom, top = budget.frame
    text = f"own(a, b) <= {budget.single:.6f} implies 1024 a in [{1024 * low:g}, {1024 * high:g}], "
    proved = budget.frame == frame(budget.single) and high < np.inf
    return Statement("framed", text + f"1024 b in [{1024 * bottom:g}, {1024 * top:g}]", proved)


def wide(shape, budget=None):
    """Gaps of pi/2 or more: the multiplier alone exceeds the bracket."""
    left = (shape.mu * (PI / 2 - shape.gap) - shape.bracket).lo
    text = f"mu (pi/2 - 2 pi/{shape.n}) exceeds the bracket at the polygon, by {float(left):.6f}"
    return Statement("wide gaps", text, bool(left > 0))


@dataclass
class Ball:
    """A box around a polygon. `convex` and `away` take the same: nothing can lie between them."""

    radius: float
    low: np.ndarray
    high: np.ndarray
    holds: bool  # the polygon itself


def ball(shape, radius=RADIUS):
    """The box of all points within a radius of the polygon in every coordinate."""
    point = shape.point()
    low, high = point.middle() - radius, point.middle() + radius
    return Ball(radius, low, high, bool(point.inside(Interval(low, high)).all()))


def convex_boxes(low, high, mu):
    """Which boxes `convex` settles, and why; low, high [5, boxes]: ends of (a, b, a', b', g)."""
    return {
        "mirrored": low[0] > high[2],
        "positive definite": positive_definite(*hessian(low, high, mu)),
    }


def convex(shape, budget, near, most=500_000):
    """The Hessian of the bracket is positive definite in the ball (one of two mirror halves).

    The bracket is stationary at the polygon by the definition of mu, which is checked once more:
    so the polygon is its only minimum there.
    """

    def verdict(low, high):
        return convex_boxes(low, high, shape.mu)

    found = cover(near.low, near.high, verdict, np.ones(5), most)
    text = f"Hessian positive definite within {near.radius} of the polygon: {found.boxes} boxes"
    return Statement("convex", text, found.complete and near.holds and balanced(shape))


def far_boxes(low, high, shape, budget, near, excess=0.0):
    """Which boxes `away` settles, and why; low, high [5, boxes]: ends of (a, b, a', b', g)."""
    target = (shape.bracket + excess).hi
    bracket, own, own2, cross = lower_bounds(low, high, shape.mu, shape.gap)
    far = [np.zeros(low.shape[1])] * 2
    if budget.rest:
        sizes = [(Interval(high[i]) * budget.frame[1]).sqrt().hi for i in (0, 2)]
        far = [down(budget.rest * falling(sizes[k], low[2 * k + 1])) for k in (0, 1)]
    over = least_sum(own, *cross, far[0]) > budget.single
    over |= least_sum(own2, *cross, far[1]) > budget.single
    over |= least_sum(own, own2, *cross, *far) > budget.pair
    inner = (low >= near.low[:, None]) & (high <= near.high[:, None])
    return {
        "mirrored": low[0] > high[2],
        "no such angle": Interval(low[4]).square().lo > (Interval(high[0]) * high[2]).hi,
        "over budget": over,
        "larger": bracket > target,
        "in the ball": inner.all(0),
    }


def domain(budget):
    """Ends of (a, b, a', b', g) for two features within a budget, g >= 0."""
    low, high, bottom, top = budget.frame
    return (low, bottom, low, bottom, 0.0), (high, top, high, top, high)


def away(shape, budget, near, most=3_000_000, excess=0.0):
    """Outside the ball the bracket is larger than at the polygon, wherever L1 can be the least.

    All (a, b, a', b', g) of two features with a gap up to pi/2, in one of two mirror halves. By
    more than an excess, if one is given: then the budget has to be larger by as much.
    """

    def verdict(low, high):
        return far_boxes(low, high, shape, budget, near, excess)

    found = cover(*domain(budget), verdict, WEIGHTS, most)
    share = ", ".join(f"{reason} {count}" for reason, count in found.settled.items())
    more = f" by {excess}" if excess else ""
    text = f"the bracket is larger{more} farther than {near.radius}: {found.boxes} boxes ({share})"
    return Statement("away", text, found.complete)


def stable(shape, radius=0.2, excess=SLACK):
    """Five features whose loss exceeds the least by little are close to a regular pentagon.

    Every bracket is at least the polygon's, by `convex` and `away`: so none exceeds it by more.
    """
    budget = five(shape, excess)
    found = away(shape, budget, ball(shape, radius), excess=excess)
    room = (shape.mu * (PI / 2 - shape.gap) - shape.bracket).lo > excess
    text = f"L1 <= L1(pentagon) + {excess} implies a, b, g within {radius} of it: {found.text}"
    proved = found.proved and bool(room) and excess <= SLACK and stored(shape, budget).proved
    return Statement("stable", text, proved)


def statements():
    """The statements of the theorem, one after the other."""
    yield arithmetic()
    shape, first = stationary()
    yield first
    budget, near = five(shape), ball(shape)
    for check in (attained, stored, framed, wide):
        yield check(shape, budget)
    for check in (convex, away):
        yield check(shape, budget, near)
    yield stable(shape)


if __name__ == "__main__":
    sys.exit(prove("pentagon", statements()))
