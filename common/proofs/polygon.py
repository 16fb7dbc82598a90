"""Regular polygons of features with exactly one active: their loss, and bounds of it in boxes.

One feature x in [0, 1] is active. An output with z = g x + t costs what three moments say,
    u = int relu(z)^2,   v = int x relu(z),   m = int relu(z)   over x in [0, 1]:
the feature's own output, with g = a = r^2, costs own(a, t) = 1/3 - 2 v + u, the output of another
feature cross(g, t) = u. Both u and v are convex in (g, t), and their gradients are
    du = (2 v, 2 m),   dv = ((1 - s^3)/3, (1 - s^2)/2)   with the kink at s = -t/g in (0, 1).

The bracket of two neighbours (a, b), (a', b') with inner product g and gap arccos(g / sqrt(a a')):
    own(a, b)/2 + own(a', b')/2 + cross(g, b) + cross(g, b') + mu (gap - 2 pi/n).
"""

from dataclasses import dataclass

import numpy as np

from common.proofs.intervals import (
    PI,
    Interval,
    arccos_below,
    cosine,
    down,
    enclose,
    stack,
    symmetric,
    where,
)

THIRD = enclose(1.0) / 3


def moments(g, t):
    """u, v and m for doubles g >= 0 and t. The sign of a sum of doubles is computed exactly."""
    g, t = np.broadcast_arrays(np.asarray(g, dtype=float), np.asarray(t, dtype=float))
    always, never = t >= 0, g + t <= 0
    G, T = Interval(g), Interval(t)
    bent = kinked(Interval(np.where(always | never, 1.0, g)), T)
    straight = G.square() / 3 + G * T + T.square(), G / 3 + T / 2, G / 2 + T
    pairs = zip(straight, bent, strict=True)
    return [where(always, line, where(never, 0.0, bend)) for line, bend in pairs]


def falling(size, t):
    """A lower bound of u(g, t) for all g >= -size, with doubles size >= 0 and t: u(-size, t)."""
    size, t = np.broadcast_arrays(np.asarray(size, dtype=float), np.asarray(t, dtype=float))
    D, T = Interval(size), Interval(t)
    bent = T.cube() / (3 * Interval(np.where(size > 0, size, 1.0)))
    value = where(size <= t, D.square() / 3 - D * T + T.square(), bent)
    return np.where(t <= 0, 0.0, value.lo)


def kinked(g, t):
    """u, v and m of intervals on which z changes sign: t < 0 < g + t."""
    end = g + t
    return (
        end.square() * end / (3 * g),
        end.square() * (2 * g - t) / (6 * g.square()),
        end.square() / (2 * g),
    )


def curvature(g, t):
    """Second derivatives (gg, gt, tt) of u and of v, where z changes sign."""
    s = -t / g
    u = 2 * (1 - s.cube()) / 3, 1 - s.square(), 2 * (1 - s)
    return u, (s.cube() / g, s.square() / g, s / g)


@dataclass
class Polygon:
    """n equal features (a = r^2, b) at equal gaps: the enclosures of all its numbers."""

    n: int
    a: Interval
    b: Interval
    g: Interval  # inner product of neighbours
    own: Interval
    bracket: Interval  # own and cross terms of a feature, which is the bracket at the polygon
    mu: Interval  # minus the derivative of the bracket without mu by the gap
    loss: Interval
    gap: Interval

    def point(self):
        """The polygon as a point of the bracket's coordinates (a, b, a', b', g)."""
        return stack([self.a, self.b, self.a, self.b, self.g])


def polygon(n, a, b):
    """All numbers of the polygon, from enclosures of a and b."""
    gap = 2 * PI / n
    c = cosine(gap)
    g = c * a
    own_u, own_v, _ = kinked(a, b)
    u, v, _ = kinked(g, b)
    own = THIRD - 2 * own_v + own_u
    mu = 4 * v * a * (1 - c.square()).sqrt()
    return Polygon(n, a, b, g, own, own + 2 * u, mu, n * (own + 2 * u), gap)


def slopes(a, b, c):
    """Gradient and Hessian (aa, ab, bb) of own(a, b) + 2 cross(c a, b), at kinks inside [0, 1]."""
    g, s = c * a, -b / a
    (_, v, m), (_, vg, mg) = kinked(a, b), kinked(g, b)
    by_a = 2 * v - 2 * (1 - s.cube()) / 3 + 4 * c * vg
    by_b = 2 * m - (1 - s.square()) + 4 * mg
    (u, v), (cross, _) = curvature(a, b), curvature(g, b)
    scale = c.square(), c, enclose(1.0)
    pieces = zip(u, v, cross, scale, strict=True)
    return (by_a, by_b), [x - 2 * y + 2 * f * z for x, y, z, f in pieces]


def balance(shape):
    """Derivatives of the bracket by a, b and g at the polygon: 0, as mu is defined."""
    s = -shape.b / shape.a
    (_, own_v, own_m), (_, v, m) = kinked(shape.a, shape.b), kinked(shape.g, shape.b)
    across = shape.mu / (shape.a.square() - shape.g.square()).sqrt()  # mu / (a sin gap)
    by_a = own_v - (1 - s.cube()) / 3 + across * shape.g / (2 * shape.a)
    return by_a, own_m - (1 - s.square()) / 2 + 2 * m, 4 * v - across


def inverse(aa, ab, bb):
    """Rows of the inverse of a symmetric matrix, about."""
    size = aa * bb - ab * ab
    return (bb / size, -ab / size), (-ab / size, aa / size)


def newton(n, a, b, steps=30):
    """A stationary point near doubles (a, b), by Newton's method: only a place to look."""
    c = cosine(2 * PI / n)
    for _ in range(steps):
        gradient, (aa, ab, bb) = slopes(enclose(a), enclose(b), c)
        first, second = inverse(aa.middle(), ab.middle(), bb.middle())
        by_a, by_b = (part.middle() for part in gradient)
        a -= float(first[0] * by_a + first[1] * by_b)
        b -= float(second[0] * by_a + second[1] * by_b)
    return a, b


def krawczyk(n, a, b, radius=1e-9):
    """Krawczyk's operator at the box of a radius around (a, b): enclosures, and whether it proves.

    With X the box, m a point of it, Y any matrix: if K = m - Y F(m) + (1 - Y F'(X)) (X - m) lies
    inside X, then F has exactly one zero in X, and it lies in K.
    """
    c = cosine(2 * PI / n)
    A, B = Interval(a - radius, a + radius), Interval(b - radius, b + radius)
    smooth = bool(B.hi < 0 and (A + B).lo > 0 and (c * A + B).lo > 0)
    F, _ = slopes(enclose(a), enclose(b), c)
    _, (aa, ab, bb) = slopes(A, B, c)
    Y = inverse(aa.middle(), ab.middle(), bb.middle())
    image = []
    for row, centre, unit in zip(Y, (a, b), ((1.0, 0.0), (0.0, 1.0)), strict=True):
        y, z = row
        first, second = unit[0] - (y * aa + z * ab), unit[1] - (y * ab + z * bb)
        image.append(centre - (y * F[0] + z * F[1]) + first * (A - a) + second * (B - b))
    proved = smooth and bool(image[0].inside(A) and image[1].inside(B))
    return image[0], image[1], proved


def lower_bounds(low, high, mu, gap):
    """Lower bounds in boxes of (a, b, a', b', g), a > 0 and g >= 0: of bracket, own, own', crosses.

    u lies above its tangent at the centre. What is left, -v and mu times the gap, is concave in
    (a, b, a', b') for given g, and in g for given others: arccos is concave and decreasing on
    [0, 1], and g / sqrt(a a') is convex in (a, a'). So the least value is found at a corner.
    Where the box reaches beyond g = sqrt(a a'), the gap is only known to be at least 0.
    """
    centre = 0.5 * (low + high)
    pairs = [side(low, high, centre, i) for i in (0, 2)]
    base = pairs[0][0] + pairs[1][0] - mu * gap
    slope = pairs[0][1] + pairs[1][1]
    beyond = (Interval(high[4]) / (Interval(low[0]) * low[2]).sqrt()).hi > 1
    bracket = np.inf
    for g in (low[4], high[4]):
        tangent = base + slope * (Interval(g) - centre[4])
        for a, first in zip((low[0], high[0]), pairs[0][2], strict=True):
            for a2, second in zip((low[2], high[2]), pairs[1][2], strict=True):
                cosines = (Interval(g) / (Interval(a) * a2).sqrt()).hi
                angle = np.where(beyond, 0.0, arccos_below(cosines))
                corner = tangent + first + second + mu * angle
                bracket = np.minimum(bracket, corner.lo)
    cross = [moments(low[4], low[i])[0].lo for i in (1, 3)]  # u increases in g and t
    return bracket, pairs[0][3], pairs[1][3], cross


def side(low, high, centre, i):
    """What one feature (a, b) adds to the bound: cross at the centre, its slope in g, and for both
    ends of a the least over b of half its own term and of what depends on b; its least own term."""
    u, v, m = moments(centre[i], centre[i + 1])
    cross, cross_v, cross_m = moments(centre[4], centre[i + 1])
    ends, owns = [], np.inf
    for a in (low[i], high[i]):
        least = np.inf
        for b in (low[i + 1], high[i + 1]):
            da, db = Interval(a) - centre[i], Interval(b) - centre[i + 1]
            half = THIRD / 2 + u / 2 + v * da + m * db - moments(a, b)[1]
            least = np.minimum(least, (half + 2 * cross_m * db).lo)
            owns = np.minimum(owns, (2 * half).lo)
        ends.append(Interval(least))
    return cross, 2 * cross_v, ends, owns


def hessian(low, high, mu):
    """Second derivatives of the bracket in boxes, as intervals of shape (boxes, 5, 5).

    The mask says where they are valid: kinks inside [0, 1], directions that differ, gap < pi/2.
    """
    a, b, a2, b2, g = (Interval(low[k], high[k]) for k in range(5))
    entries = {(i, j): enclose(np.zeros(low.shape[1])) for i in range(5) for j in range(i, 5)}
    valid = (a.lo > 0) & (a2.lo > 0) & (g.lo > 0)
    for i, x, y in ((0, a, b), (2, a2, b2)):
        valid &= (y.hi < 0) & ((Interval(x.lo) + y.lo).lo > 0) & ((Interval(g.lo) + y.lo).lo > 0)
        (u, v), (cross, _) = curvature(x, y), curvature(g, y)
        entries[i, i] += u[0] / 2 - v[0]
        entries[i, i + 1] += u[1] / 2 - v[1]
        entries[i + 1, i + 1] += u[2] / 2 - v[2] + cross[2]
        entries[i + 1, 4] += cross[1]
        entries[4, 4] += cross[0]
    smallest = Interval(g.lo) / (Interval(a.hi) * a2.hi).sqrt()
    w = Interval(smallest.lo, (Interval(g.hi) / (Interval(a.lo) * a2.lo).sqrt()).hi)
    valid &= w.hi < 1
    w = where(valid, w, 0.0)
    for (i, j), second in angle_curvature(a, a2, g, w).items():
        entries[i, j] += mu * second
    return symmetric(entries, 5), valid


def angle_curvature(a, a2, g, w):
    """Second derivatives of arccos(w), w = g / sqrt(a a'), by the coordinates 0, 2 and 4."""
    root = (1 - w.square()).sqrt()
    first, second = -1 / root, -w / (root * (1 - w.square()))
    by = {0: -w / (2 * a), 2: -w / (2 * a2), 4: w / g}
    twice = {
        (0, 0): 3 * w / (4 * a.square()),
        (0, 2): w / (4 * a * a2),
        (0, 4): -w / (2 * a * g),
        (2, 2): 3 * w / (4 * a2.square()),
        (2, 4): -w / (2 * a2 * g),
        (4, 4): enclose(0.0),
    }
    return {(i, j): second * by[i] * by[j] + first * both for (i, j), both in twice.items()}


def least_sum(*parts):
    """A lower bound of a sum of lower bounds."""
    total = 0.0
    for part in parts:
        total = down(total + part)
    return total
