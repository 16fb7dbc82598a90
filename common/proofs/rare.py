"""Rare features: for densities below 0.001 the pentagon is the optimum of the full loss.

Each of five features is active with probability p, alone or not. With q = p/(1 - p), the loss
divided by p (1-p)^4 is F = L1 + L0/q + q L2 + ... + q^4 L5, where Lk sums over the sets of k active
features. PROOF.md leads from the statements below, and from the theorem of the pentagon, to: for
0 < p < 0.001 the minimiser is unique up to symmetry, and a regular pentagon.

The statements are made for one q, ODDS; section 8 of PROOF.md says why they hold for all below it.

    python -m common.proofs.rare
"""

import sys

import numpy as np

from common.proofs.boxes import cover
from common.proofs.intervals import PI, Interval, cosine, down, enclose
from common.proofs.nearby import (
    INNER,
    OUTER,
    around,
    bends,
    bent,
    curved,
    forms,
    leaning,
    slopes,
)
from common.proofs.pentagon import WEIGHTS, five, framed, statements as pentagon, stationary, stored
from common.proofs.polygon import least_sum, lower_bounds
from common.proofs.statement import Statement, prove

DENSITY = 1e-3  # p below this
ODDS = 1.0011e-3  # more than p/(1 - p)
EXCESS = 0.0026  # of L1, for models at least as good as the pentagon
REST = 6e-6  # of what three and more active features add to the loss of the pentagon
DIP = 1e-6  # what two active features can gain a pair by leaving the pentagon
WORST = (8500.0, 7500.0, 2500.0)  # L3 to L5 curve downward by no more (PROOF.md)


def worst(number, radius=1.19, square=1.4, least=1.34):
    """Sum over the sets of `number` active features of the least second derivatives, as a bound.

    Along a line of unit speed in norms, biases and gaps; the steps are in PROOF.md.
    """
    sets = {3: 10, 4: 5, 5: 1}[number]
    speed = 2 * square * number + 1  # of z
    bend = 2 * 2.4 * number * (1 + 2 * radius + 2 * square)  # from second derivatives of z
    active = 2 * speed**2 / least + bend
    return sets * (number * active + (5 - number) * bend)


def together(shape, active, cells):
    """A bound of the loss of the pentagon with the features `active` (0 among them): in cells of
    their values, whose ends are exact."""
    edges = np.arange(cells) / cells
    values = np.meshgrid(*[edges] * len(active))
    x = {j: Interval(v.ravel(), v.ravel() + 1 / cells) for j, v in zip(active, values, strict=True)}
    far = shape.a * (2 * (shape.g / shape.a).square() - 1)  # a cos(2 gap): not neighbours
    products = [shape.a, shape.g, far, far, shape.g]
    total = enclose(0.0)
    for i in range(5):
        z = shape.b
        for j in active:
            z = z + products[(i - j) % 5] * x[j]
        output = Interval(np.maximum(z.lo, 0), np.maximum(z.hi, 0))
        error = (x.get(i, enclose(0.0)) - output).square()
        # The mean of N numbers >= 0 is rounded by less than N 2^-52 of itself; N is below 2^16.
        total = total + Interval(0.0, float(error.hi.mean() * 1.0001))
    return total


def excess(shape, cells=(128, 32)):
    """The pentagon's loss with two, three and more active features.

    L2 and L3 are bounded in cells; in L4 and L5 an active output errs by at most 1 and another by
    at most 0.6.
    """
    second = 5 * (together(shape, (0, 1), cells[0]) + together(shape, (0, 2), cells[0]))
    third = 5 * (together(shape, (0, 1, 2), cells[1]) + together(shape, (0, 1, 3), cells[1]))
    q = enclose(ODDS)
    rest = q * q * (third + q * (5 * 4.36 + 5 * q))
    bounded = (shape.a + 2 * shape.g + shape.b).hi - 1 < 1 and (2 * shape.g + shape.b).hi < 0.6
    text = f"L2 <= {float(second.hi):.4f}, L3 <= {float(third.hi):.4f}: the loss of the pentagon "
    text += f"exceeds L1 by < {EXCESS}, of which more than two active features make < {REST}"
    proved = bounded and (q * second + rest).hi < EXCESS and rest.hi < REST
    return Statement("excess", text, bool(proved))


def angle_cosines(low, high):
    """Ends of g / sqrt(a a') in boxes of (a, b, a', b', g), g >= 0."""
    least = Interval(low[4]) / (Interval(high[0]) * high[2]).sqrt()
    return least.lo, (Interval(high[4]) / (Interval(low[0]) * low[2]).sqrt()).hi


def within(low, high, sides):
    """Which boxes of (a, b, a', b', g) lie within intervals of r, b and gap (gap < pi)."""
    r, b, gap = sides
    least, most = angle_cosines(low, high)
    inside = (least >= cosine(Interval(gap.hi)).hi) & (most <= cosine(Interval(gap.lo)).lo)
    for i in (0, 2):
        inside &= (low[i] >= Interval(r.lo).square().hi) & (high[i] <= Interval(r.hi).square().lo)
        inside &= (low[i + 1] >= b.lo) & (high[i + 1] <= b.hi)
    return inside


def no_angle(low, high):
    """Which boxes have no point with g <= sqrt(a a')."""
    return Interval(low[4]).square().lo > (Interval(high[0]) * high[2]).hi


def localised(shape, most=500_000):
    """L1 <= L1(pentagon) + EXCESS implies that all pairs of neighbours lie in the outer box."""
    budget, (sides, _) = five(shape, EXCESS), around(shape, OUTER)
    target = (shape.bracket + EXCESS).hi

    def verdict(low, high):
        bracket, own, own2, cross = lower_bounds(low, high, shape.mu, shape.gap)
        return {
            "mirrored": low[0] > high[2],
            "no such angle": no_angle(low, high),
            "over budget": least_sum(own, own2, *cross) > budget.pair,
            "larger": bracket > target,
            "in the box": within(low, high, sides),
        }

    low, high, bottom, top = budget.frame
    ends = (low, bottom, low, bottom, 0.0), (high, top, high, top, high)
    found = cover(*ends, verdict, WEIGHTS, most)
    room = (shape.mu * (PI / 2 - shape.gap) - shape.bracket).lo > EXCESS
    proved = found.complete and bool(room) and stored(shape, budget).proved
    text = f"L1 <= L1(pentagon) + {EXCESS} implies r, b and gap within {OUTER}: {found.boxes} boxes"
    return Statement("localised", text, proved and framed(shape, budget).proved)


def gain(shape, low, high, sides):
    """A lower bound, in the part of boxes of (a, b, a', b', g) within `sides`, of what two active
    features add to a pair: q times its slopes, minus q/2 times its bends (`nearby`)."""
    most, by = bends(shape), slopes(shape)
    r, b, gap = sides
    total = enclose(0.0)
    for i in (0, 2):
        norms = Interval(low[i], high[i]).sqrt()
        ends = ((norms, r, shape.a.sqrt()), (Interval(low[i + 1], high[i + 1]), b, shape.b))
        for (x, side, centre), slope, bend in zip(ends, by, (most.r, most.b), strict=True):
            x = Interval(np.clip(x.lo, side.lo, side.hi), np.clip(x.hi, side.lo, side.hi))
            total = total + slope * (x - centre) / 2 - bend * (x - centre).square() / 4
    least, largest = angle_cosines(low, high)
    change = Interval(least, largest) - cosine(shape.gap)
    sine = (1 - cosine(Interval(gap.lo)).square()).sqrt()  # the least in the box
    turn = (Interval(0.0, np.maximum(-change.lo, change.hi)) / sine).hi
    turn = np.minimum(turn, np.maximum((gap - shape.gap).hi, (shape.gap - gap).hi))
    return (ODDS * (total - most.gap * Interval(turn).square() / 2)).lo


def settled(shape, low, high):
    """What settles boxes of pairs (a, b, a', b', g) in `closer`: reasons and masks."""
    (outer, _), (inner, _) = around(shape, OUTER), around(shape, INNER)
    bracket, *_ = lower_bounds(low, high, shape.mu, shape.gap)
    target = (shape.bracket + REST + 4 * enclose(DIP)).hi
    larger = down(bracket + gain(shape, low, high, outer)) > target
    least, largest = angle_cosines(low, high)
    gap = outer[2]
    outside = least > cosine(Interval(gap.lo)).hi
    return {
        "mirrored": low[0] > high[2],
        "outside": outside | (largest < cosine(Interval(gap.hi)).lo),
        "larger": larger & (bracket > shape.bracket.hi),
        "in the box": within(low, high, inner),
    }


def closer(shape, most=2_000_000):
    """In the outer box, but not in the inner one, a pair costs REST + 4 DIP more than the
    pentagon's, two active features included; and more than it without these."""
    (r, b, gap), _ = around(shape, OUTER)
    a, cosines = r.square(), (cosine(Interval(gap.hi)).lo, cosine(Interval(gap.lo)).hi)
    ends = (a.lo * Interval(cosines[0])).lo, (a.hi * Interval(cosines[1])).hi
    low, high = [a.lo, b.lo, a.lo, b.lo, ends[0]], [a.hi, b.hi, a.hi, b.hi, ends[1]]
    found = cover(low, high, lambda *box: settled(shape, *box), WEIGHTS, most)
    text = f"and then within {INNER}: a pair costs {REST + 4 * DIP:g} more elsewhere, two active "
    return Statement("closer", text + f"features included: {found.boxes} boxes", found.complete)


def least_curvature(shape):
    """What the second derivatives of a pair have to exceed, by (r, b, r', b', gap), so that the
    loss curves upward: half of what r and b of a feature need, for it belongs to two pairs."""
    q, most = enclose(ODDS), bends(shape)
    more = sum((bound * ODDS ** (k + 2) for k, bound in enumerate(WORST)), enclose(0.0))
    r, b, gap = (float((q * x + more).hi) for x in (most.r, most.b, most.gap))
    return np.array([r / 2, b / 2, r / 2, b / 2, gap])


def dip(shape, least, steps=3):
    """Within the inner box a pair costs less than the pentagon's by at most DIP, two active
    features included: there this is convex (`curved`), so above its tangents, and the tangent close
    to its lowest point tells. Newton's steps are only a place to look."""
    (r, b, gap), _ = around(shape, INNER)
    sides = [r, b, r, b, gap]
    x = np.array([float(side.middle()) for side in sides])
    for _ in range(steps):
        K, J, E = (part.middle()[0] for part in forms(x[:, None], x[:, None], least)[:3])
        slope = [float(v.middle()) for v in leaning(shape, [Interval(v) for v in x], ODDS)[1]]
        x = np.round((x - np.linalg.solve(J.T @ K @ J + E, slope)) * 2.0**40) / 2.0**40
    lowest = [Interval(v) for v in x]
    value, slope = leaning(shape, lowest, ODDS)
    for side, at, by in zip(sides, lowest, slope, strict=True):
        value = value + by * (side - at)
    inside = all(bool(at.inside(side)) for at, side in zip(lowest, sides, strict=True))
    text = f"a pair within {INNER} costs less than the pentagon's by at most {-float(value.lo):.2g}"
    return Statement("dip", text + f" < {DIP:g}", bool(value.lo > -DIP) and inside)


def outweighed(shape, least):
    """What three and more active features curve downward by at most; `worst` supposes norms and
    inner products of the inner box."""
    (r, b, gap), _ = around(shape, INNER)
    a, g = r.square(), 1.4 * cosine(Interval(gap.lo))
    below = bool((r.hi < 1.19) & (a.hi < 1.4) & (a.lo > 1.34) & ((2 * g + 1.4).hi < 2.4))
    below &= bool((b.hi < 0) & (b.lo > -1))
    below &= all(worst(k) < limit for k, limit in zip((3, 4, 5), WORST, strict=True))
    text = f"L3, L4, L5 curve downward by at most {WORST}: the loss curves upward in the inner box"
    return Statement("outweighed", text, below and bool((least > 0).all()))


def statements():
    """The statements of the theorem, those of the pentagon first."""
    yield from pentagon()
    shape, _ = stationary()
    least = least_curvature(shape)
    yield excess(shape)
    yield localised(shape)
    yield bent(shape)
    yield curved(shape, least)
    yield dip(shape, least)
    yield closer(shape)
    yield outweighed(shape, least)


if __name__ == "__main__":
    sys.exit(prove("pentagon of rare features", statements()))
