"""Near the pentagon, in norms, biases and gaps: what curves upward, and what curves downward.

A pair of neighbours is (r, b, r', b', gap); a box around the pentagon is given by the radii of r, b
and gap. L1 is a sum over pairs of h = own/2 + own'/2 + crosses, which curves upward (`curved`). L2,
two active features, curves downward by no more than `Bends` (`bent`); at the pentagon its slopes
are the same for all features (`slopes`). PROOF.md, section 8.
"""

from dataclasses import dataclass

import numpy as np

from common.proofs.boxes import cover
from common.proofs.definite import congruent, positive_definite
from common.proofs.intervals import Interval, cosine, enclose, stack, symmetric
from common.proofs.pairs import active_output, third_values
from common.proofs.polygon import THIRD, curvature, kinked
from common.proofs.statement import Statement

OUTER = (0.15, 0.25, 0.15)  # radii (r, b, gap): within these L2 is bounded
INNER = (0.0107, 0.017, 0.012)  # and within these L1 curves upward strongly
# An active output curves downward by less than these, by (r, b, r', angle) of a pair of features.
NEAR, FAR = (2.0, 2.0, 2.0, 2.0), (10.0, 5.0, 4.0, 3.0)


def around(shape, radii):
    """Intervals of r, b and gap around the pentagon, and whether it lies inside all of them."""
    found, inside = [], True
    for value, radius in zip((shape.a.sqrt(), shape.b, shape.gap), radii, strict=True):
        centre = float(value.middle())
        found.append(Interval(centre - radius, centre + radius))
        inside &= bool(value.inside(found[-1]))
    return found, inside


def acute(gap):
    """Are all gaps of an interval below pi/2, and two of them together between pi/2 and pi?"""
    return bool((gap.lo > 0.79) & (gap.hi < 1.57))  # pi/4 < 0.79, 1.57 < pi/2


@dataclass
class Bends:
    """Along a line in norms, biases and gaps the second derivative of L2 is at least minus
    sum_i (r r_i'^2 + b b_i'^2 + gap gap_i'^2)."""

    r: Interval
    b: Interval
    gap: Interval


def bends(shape):
    """Those of all models whose pairs lie in the outer box, from NEAR and FAR."""
    (r, b, gap), _ = around(shape, OUTER)
    top = Interval(r.hi)
    near, far_low, far_high = (cosine(Interval(x)) for x in (gap.lo, 2 * gap.lo, 2 * gap.hi))
    g, t = top.square() * near, Interval(b.hi)
    g = Interval(g.hi)
    away = Interval(r.lo).square() * -far_low  # the least size of far inner products
    both = third_values(g, away, t)[0][1]["g"] / 2
    beside = 2 * kinked(g, t)[1]
    across = (g + t).square().square() / (12 * g * away.square())
    sine = (1 - far_low.square()).sqrt()
    by_r = near + top, -far_high + top * sine
    by_gap = 2 * top + top.square() * near, 2 * top * sine
    return Bends(
        2 * (enclose(NEAR[0]) + NEAR[2] + FAR[0] + FAR[2])
        + (4 * both + 8 * beside) * by_r[0] + 8 * across * by_r[1],
        2 * (enclose(NEAR[1]) + FAR[1]),
        2 * enclose(NEAR[3]) + 8 * enclose(FAR[3])
        + (2 * both + 4 * beside) * by_gap[0] + 16 * across * by_gap[1],
    )  # fmt: skip


def bent(shape, most=500_000):
    """Active outputs curve downward by less than NEAR and FAR; from that the bends of L2."""
    (r, b, gap), inside = around(shape, OUTER)
    counts, proved = [], inside and acute(gap) and bool(b.hi < 0)
    for limits, turns in ((NEAR, 1), (FAR, 2)):

        def verdict(low, high, limits=limits):
            pair = (Interval(low[k], high[k]) for k in range(4))
            _, second = active_output(*pair)
            bounded = second + Interval(np.diag(limits))
            return {"bounded": positive_definite(bounded, np.ones(low.shape[1], dtype=bool))}

        low = [r.lo, b.lo, r.lo, turns * gap.lo]
        high = [r.hi, b.hi, r.hi, turns * gap.hi]
        found = cover(low, high, verdict, 1 / (np.array(high) - low), most, chunk=1 << 13)
        counts.append(found.boxes)
        proved &= found.complete
    most_bent = bends(shape)
    numbers = ", ".join(f"{float(x.hi):.1f}" for x in (most_bent.r, most_bent.b, most_bent.gap))
    text = f"L2 curves downward by at most ({numbers}) in (r, b, gap) within {OUTER}: "
    return Statement("bent", text + f"{counts[0]} and {counts[1]} boxes", proved)


def slopes(shape):
    """Derivatives of L2 at the pentagon by the norm and by the bias of any one feature."""
    r = shape.a.sqrt()
    sides = (active_output(r, shape.b, r, turns * shape.gap)[0] for turns in (1, 2))
    near, far = ([Interval(by.lo[k], by.hi[k]) for k in range(3)] for by in sides)
    y = -(shape.a * cosine(2 * shape.gap))
    (_, both), (_, mixed) = third_values(shape.g, y, shape.b)
    by_g = both["g"] + 4 * mixed["g"]
    by_r = 2 * (near[0] + near[2] + far[0] + far[2]) + 2 * (shape.g * by_g + 4 * y * mixed["y"]) / r
    return by_r, 2 * (near[1] + far[1]) + both["b"] + 4 * mixed["b"]


def pair_value(x):
    """h of a pair x = (r, b, r', b', gap) of intervals whose kinks lie inside [0, 1]."""
    r, b, r2, b2, gap = x
    g, total = r * r2 * cosine(gap), enclose(0.0)
    for norm, t in ((r, b), (r2, b2)):
        u, v, _ = kinked(norm.square(), t)
        total = total + (THIRD + u) / 2 - v + kinked(g, t)[0]
    return total


def pair_slopes(x):
    """Derivatives of h by r, b, r', b' and gap, as a list of intervals."""
    r, b, r2, b2, gap = x
    cos = cosine(gap)
    sin, g, by_g, found = (1 - cos.square()).sqrt(), r * r2 * cos, enclose(0.0), []
    for t in (b, b2):
        by_g = by_g + 2 * kinked(g, t)[1]
    for norm, t, other in ((r, b, r2), (r2, b2, r)):
        a = norm.square()
        s, (_, v, m) = -t / a, kinked(a, t)
        found.append((2 * v - 2 * (1 - s.cube()) / 3) * norm + by_g * other * cos)
        found.append(m - (1 - s.square()) / 2 + 2 * kinked(g, t)[2])
    return [*found, -(by_g * r * r2 * sin)]


def leaning(shape, x, q):
    """What a pair x = (r, b, r', b', gap) of intervals costs more than the pentagon's, two active
    features included: q times their slopes minus q/2 times their bends. And its derivatives."""
    most, by = bends(shape), slopes(shape)
    value, slope = pair_value(x) + shape.mu * (x[4] - shape.gap) - shape.bracket, pair_slopes(x)
    slope[4] = slope[4] + shape.mu
    norm = shape.a.sqrt()
    for k, centre in enumerate((norm, shape.b, norm, shape.b, shape.gap)):
        tilt = by[k % 2] / 2 if k < 4 else enclose(0.0)
        bend = most.gap if k == 4 else (most.r, most.b)[k % 2] / 2
        moved = x[k] - centre
        value = value + q * (tilt * moved - bend * moved.square() / 2)
        slope[k] = slope[k] + q * (tilt - bend * moved)
    return value, slope


def forms(low, high, least):
    """h in boxes of (r, b, r', b', gap): K, J and E with H - diag(least) >= J' K J + E.

    K is below the second derivatives of h by (a, b, a', b', g). Those of a cross term are
    2 int (x, 1)(x, 1)' over x > s, s = -b/g: smallest as matrices where s is largest.
    """
    r, b, r2, b2, gap = (Interval(low[k], high[k]) for k in range(5))
    cos, none = cosine(gap), enclose(np.zeros(low.shape[1]))
    sin = (1 - cos.square()).sqrt()
    g, one, slope = r * r2 * cos, none + 1.0, none
    K = {(i, j): none for i in range(5) for j in range(i, 5)}
    E = {(i, j): none - least[i] if i == j else none for i, j in K}
    valid = np.ones(low.shape[1], dtype=bool)
    for i, x, t in ((0, r, b), (2, r2, b2)):
        a = x.square()
        valid &= (t.hi < 0) & ((a + t).lo > 0) & ((g + t).lo > 0)
        s, latest = -t / a, Interval(np.minimum((-t / g).hi, 1.0))
        u, v = curvature(a, t)
        K[i, i] += u[0] / 2 - v[0]
        K[i, i + 1] += u[1] / 2 - v[1]
        K[i + 1, i + 1] += u[2] / 2 - v[2] + 2 * (1 - latest)
        K[i + 1, 4] += 1 - latest.square()
        K[4, 4] += 2 * (1 - latest.cube()) / 3
        E[i, i] += 2 * kinked(a, t)[1] - 2 * (1 - s.cube()) / 3
        slope = slope + 2 * kinked(g, t)[1]
    for place, factor in {(0, 2): cos, (0, 4): -(r2 * sin), (2, 4): -(r * sin), (4, 4): -g}.items():
        E[place] += slope * factor
    moves = {(0, 0): 2 * r, (1, 1): one, (2, 2): 2 * r2, (3, 3): one}
    moves |= {(4, 0): r2 * cos, (4, 2): r * cos, (4, 4): -(r * r2 * sin)}
    J = stack([stack([moves.get((i, j), none) for i in range(5)]) for j in range(5)])
    return symmetric(K, 5), J, symmetric(E, 5), valid


def curved(shape, least, most=1_000_000):
    """The second derivatives of h in the inner box are larger than diag(least)."""
    (r, b, gap), inside = around(shape, INNER)

    def verdict(low, high):
        return {
            "mirrored": low[0] > high[2],
            "positive definite": congruent(*forms(low, high, least)),
        }

    low, high = (
        [float(x) for x in ends]
        for ends in zip(*((v.lo, v.hi) for v in (r, b, r, b, gap)), strict=True)
    )
    found = cover(low, high, verdict, 1 / (np.array(high) - low), most)
    numbers = ", ".join(f"{x:.4f}" for x in least[[0, 1, 4]])
    text = f"pairs curve upward by more than ({numbers}) in (r, b, gap) within {INNER}: "
    proved = found.complete and inside and acute(gap)
    return Statement("curved", text + f"{found.boxes} boxes", proved)
