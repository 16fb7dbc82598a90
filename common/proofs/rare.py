"""Rare features: for densities below 1e-6 the pentagon is the optimum of the full loss.

Each of five features is active with probability p, alone or not. With q = p/(1 - p), the loss
divided by p (1-p)^4 is L1 + L0/q + q L2 + ... + q^4 L5, where Lk sums over the sets of k active
features. PROOF.md leads from the statements below, and from the theorem of the pentagon, to: for
0 < p < 1e-6 the minimiser is unique up to symmetry, and a regular pentagon.

    python -m common.proofs.rare
"""

import sys

import numpy as np

from common.proofs.boxes import cover
from common.proofs.definite import positive_definite
from common.proofs.intervals import Interval, cosine, enclose, stack, where
from common.proofs.pentagon import (
    RADIUS,
    stable,
    statements as pentagon,
    stationary,
)
from common.proofs.polygon import curvature, kinked
from common.proofs.statement import Statement, prove

ODDS = 1.1e-6  # more than p/(1 - p) for p < 1e-6
EXCESS = 4e-6  # of L1, for models at least as good as the pentagon
CURVATURE = 0.005  # least eigenvalue of the Hessian of two neighbours' terms
WORST = (4300.0, 8400.0, 8500.0, 3000.0)  # L2 to L5 curve downward by no more (PROOF.md)


def worst(number, radius=1.18, square=1.4, least=1.35):
    """Sum over the sets of `number` active features of the least second derivatives, as a bound.

    Along a line of unit speed in norms, biases and gaps; the steps are in PROOF.md.
    """
    sets = {2: 10, 3: 10, 4: 5, 5: 1}[number]
    speed = 2 * square * number + 1  # of z
    bend = 2 * 2.4 * number * (1 + 2 * radius + 2 * square)  # from second derivatives of z
    active = 2 * speed**2 / least + bend
    return sets * (number * active + (5 - number) * bend)


def excess(shape, cells=64):
    """The pentagon's loss with all numbers of active features exceeds its L1 by little.

    L2 is bounded in cells of the two active features, whose ends are exact; in L3 to L5 an active
    output errs by at most 1 and another by at most 0.6.
    """
    edges = np.arange(cells) / cells
    first, second = (Interval(x.ravel(), x.ravel() + 1 / cells) for x in np.meshgrid(edges, edges))
    far = shape.a * (2 * (shape.g / shape.a).square() - 1)  # a cos(2 gap): not neighbours
    products = [shape.a, shape.g, far, far, shape.g]
    total = enclose(0.0)
    for other in (1, 2):  # active: 0 and 1, neighbours, or 0 and 2; five sets of each
        for i in range(5):
            z = products[i] * first + products[(i - other) % 5] * second + shape.b
            output = Interval(np.maximum(z.lo, 0), np.maximum(z.hi, 0))
            target = first if i == 0 else second if i == other else enclose(0.0)
            total = total + 5 * Interval(0.0, float((target - output).square().hi.mean() * 1.0001))
    rest = sum(
        sets * (k + (5 - k) * 0.36) * ODDS ** (k - 1) for k, sets in ((3, 10), (4, 5), (5, 1))
    )
    bounded = (shape.a + 2 * shape.g + shape.b).hi - 1 < 1 and (2 * shape.g + shape.b).hi < 0.6
    bound = (ODDS * total).hi + 1.0001 * rest
    text = f"L2 <= {float(total.hi):.4f}: the loss of the pentagon exceeds L1 by <= {bound:.3g}"
    return Statement("excess", text, bool(bounded and bound < EXCESS))


def polar(shape):
    """A box of (r, b, r', b', gap) around the ball in (a, b, a', b', g), and whether it holds it.

    Also whether features that are not neighbours cost nothing there, and what `worst` supposes.
    """
    a = Interval((shape.a - RADIUS).lo, (shape.a + RADIUS).hi)
    b = Interval((shape.b - RADIUS).lo, (shape.b + RADIUS).hi)
    g = Interval((shape.g - RADIUS).lo, (shape.g + RADIUS).hi)
    cosines, side = g / a, 0.015
    gap = Interval(float(shape.gap.lo) - side, float(shape.gap.hi) + side)
    holds = cosine(Interval(gap.hi)).hi <= cosines.lo and cosine(Interval(gap.lo)).lo >= cosines.hi
    r = a.sqrt()
    obtuse = bool((2 * gap.lo > 1.6) & (2 * gap.hi < 4.7))  # pi/2 < 1.6, 4.7 < 3 pi/2
    small = bool((r.hi < 1.18) & (a.hi < 1.4) & (a.lo > 1.35) & (b.hi < 0))
    small &= bool((1.4 * cosine(Interval(gap.lo)) * 2 + 1.4).hi < 2.4)
    return stack([r, b, r, b, gap]), bool(holds) and obtuse and small


def polar_hessian(low, high, least):
    """Second derivatives of own/2 + own'/2 + crosses by (r, b, r', b', gap), less `least`."""
    r, b, r2, b2, gap = (Interval(low[k], high[k]) for k in range(5))
    cos = cosine(gap)
    sin = (1 - cos.square()).sqrt()
    g = r * r2 * cos
    slope = {0: r2 * cos, 2: r * cos, 4: -(r * r2 * sin)}
    twice = {(0, 2): cos, (0, 4): -(r2 * sin), (2, 4): -(r * sin), (4, 4): -g}
    start = enclose(np.zeros(low.shape[1]))
    entries = {(i, j): start - (least if i == j else 0.0) for i in range(5) for j in range(i, 5)}
    valid = np.ones(low.shape[1], dtype=bool)
    for i, x, t in ((0, r, b), (2, r2, b2)):
        a = x.square()
        valid &= (t.hi < 0) & ((a + t).lo > 0) & ((g + t).lo > 0)
        s, own_v, cross_v = -t / a, kinked(a, t)[1], kinked(g, t)[1]
        (u, v), (cross, _) = curvature(a, t), curvature(g, t)
        entries[i, i] += own_v * 2 - 2 * (1 - s.cube()) / 3 + 2 * a * (u[0] - 2 * v[0])
        entries[i, i + 1] += x * (u[1] - 2 * v[1])
        entries[i + 1, i + 1] += u[2] / 2 - v[2] + cross[2]
        for m in slope:
            entries[min(m, i + 1), max(m, i + 1)] += cross[1] * slope[m]
            for n in (n for n in slope if n >= m):
                entries[m, n] += cross[0] * slope[m] * slope[n]
                if (m, n) in twice:
                    entries[m, n] += 2 * cross_v * twice[m, n]
    rows = [stack([entries[min(i, j), max(i, j)] for j in range(5)]) for i in range(5)]
    return where(valid[:, None, None], stack(rows), np.nan), valid


def curved(shape, least=CURVATURE, most=1_500_000):
    """Near the pentagon the terms of two neighbours are convex in (r, b, r', b', gap), strongly."""
    box, holds = polar(shape)

    def verdict(low, high):
        return {
            "mirrored": low[0] > high[2],
            "positive definite": positive_definite(*polar_hessian(low, high, least)),
        }

    found = cover(box.lo, box.hi, verdict, 1 / (box.hi - box.lo), most)
    text = f"Hessian in (r, b, r', b', gap) above {least} near the pentagon: {found.boxes} boxes"
    return Statement("curved", text, found.complete and holds)


def outweighed():
    """What curves downward, times powers of the odds, is less than what L1 curves upward."""
    bounds = [worst(k) for k in (2, 3, 4, 5)]
    total = sum(bound * ODDS ** (k + 1) for k, bound in enumerate(WORST))
    text = f"q {WORST[0]:.0f} + ... = {total:.5f} < {CURVATURE}"
    below = all(bound < limit for bound, limit in zip(bounds, WORST, strict=True))
    return Statement("outweighed", text, below and total < 0.999 * CURVATURE)


def statements():
    """The statements of the theorem, those of the pentagon first."""
    yield from pentagon()
    shape, _ = stationary()
    yield excess(shape)
    yield stable(shape, RADIUS, EXCESS)
    yield curved(shape)
    yield outweighed()


if __name__ == "__main__":
    sys.exit(prove("pentagon of rare features", statements()))
