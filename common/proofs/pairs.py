"""Two active features: slopes and second derivatives, in boxes, of what they add to the loss.

Features i and k are active, x_i and x_k uniform on [0, 1]. Output i costs
    phi(a, y, b) = int own(a, y x + b) dx,   a = r^2, y = r r' cos(angle), x = x_k,
with `own` of one active feature (`polygon`) at every sign of y x + b. As a function of (a, t) its
second derivatives are those of u minus twice those of v, with the kink at s = -t/a, which here is
linear in x: all integrals are polynomials in -b/a, y/a and the place where s reaches 0 (y > 0) or
1 (y < 0).
"""

from math import comb

import numpy as np

from common.proofs.intervals import Interval, cosine, enclose, stack, symmetric, where


def clipped(x):
    """An interval met with [0, 1]."""
    return Interval(np.clip(x.lo, 0.0, 1.0), np.clip(x.hi, 0.0, 1.0))


def power(x, k):
    """x^k of an interval of numbers >= 0."""
    result = enclose(1.0)
    for _ in range(k):
        result = result * x
    return result


class Kinks:
    """Integrals over the x in [0, 1] at which output i is bent: 0 < s = (-b - y x)/a < 1.

    Intervals a > 0, b < 0 < a + b, and y of one sign. They are the x below `end`; beyond, s is 0
    and the output linear (y > 0), or s is 1 and the output 0 (y < 0).
    """

    def __init__(self, a, y, b):
        self.falls = bool((y.lo > 0).all())
        if not (self.falls or (y.hi < 0).all()) or not ((b.hi < 0) & (a.lo + b.lo > 0)).all():
            raise ValueError("the kink must lie inside, and y have one sign")
        self.start, self.slope = -b / a, (y if self.falls else -y) / a
        whole = self.start / self.slope if self.falls else (1 - self.start) / self.slope
        self.end, self.inside = clipped(whole), whole.hi <= 1

    def part(self, j, k):
        """int x^j s^k over these x."""
        sign = -1.0 if self.falls else 1.0
        terms = [
            comb(k, m) * sign**m * power(self.start, k - m) * power(self.slope, m)
            * power(self.end, j + m + 1) / (j + m + 1)
            for m in range(k + 1)
        ]  # fmt: skip
        total = sum(terms[1:], terms[0])
        if not self.falls:
            return total
        # s = slope (end - x): Euler's integral, without cancellation.
        euler = power(self.slope, k) * power(self.end, j + k + 1)
        return where(self.inside, euler / ((j + k + 1) * comb(j + k, k)), total)

    def alive(self, j):
        """int x^j over the x at which the output is not 0."""
        return enclose(1.0) / (j + 1) if self.falls else power(self.end, j + 1) / (j + 1)

    def line(self, j, a, y, b):
        """int x^j (y x + b) over the same x."""
        return y / (j + 2) + b / (j + 1) if self.falls else -(a * self.part(j, 1))


def active_slopes(a, y, b):
    """First derivatives of phi by a, y and b."""
    kinks = Kinks(a, y, b)
    by_a = 2 * (a - 1) * (kinks.alive(0) - kinks.part(0, 3)) / 3
    by_a = by_a + kinks.line(0, a, y, b) + a * kinks.part(0, 3)
    by_t = [
        (a - 1) * (kinks.alive(j) - kinks.part(j, 2))
        + 2 * (kinks.line(j, a, y, b) + a * kinks.part(j, 2))
        for j in (1, 0)
    ]
    return [by_a, *by_t]


def active_curvature(a, y, b):
    """Second derivatives of phi by (a, y, b): {(i, j): interval}."""
    kinks = Kinks(a, y, b)
    orders = {(0, 0): (0, 3), (0, 1): (1, 2), (0, 2): (0, 2), (1, 1): (2, 1), (1, 2): (1, 1)}
    factors = {3: enclose(2.0) / 3, 2: enclose(1.0), 1: enclose(2.0)}
    found = {}
    for place, (j, k) in (*orders.items(), ((2, 2), (0, 1))):
        bent = kinks.part(j, k)
        found[place] = factors[k] * (kinks.alive(j) - bent) - 2 * bent / a
    return found


def products(r, r2, angle):
    """a = r^2 and y = r r' cos(angle); the derivatives of (a, y, b) by (r, b, r', angle), and the
    second ones of y. The angle lies in [0, pi]."""
    cos = cosine(angle)
    sin = (1 - cos.square()).sqrt()
    a, y, none = r.square(), r * r2 * cos, enclose(np.zeros_like(r.lo))
    moves = [
        [2 * r, none, none, none],
        [r2 * cos, none, r * cos, -(r * r2 * sin)],
        [none, none + 1.0, none, none],
    ]
    bends = {(0, 2): cos, (0, 3): -(r2 * sin), (2, 3): -(r * sin), (3, 3): -y}
    return a, y, moves, bends


def active_output(r, b, r2, angle):
    """Slopes (boxes, 4) and second derivatives (boxes, 4, 4) of phi by (r, b, r', angle)."""
    a, y, moves, bends = products(r, r2, angle)
    first, second = active_slopes(a, y, b), active_curvature(a, y, b)
    entries = {}
    for m in range(4):
        for n in range(m, 4):
            entry = 2 * first[0] if m == n == 0 else enclose(np.zeros_like(r.lo))
            if (m, n) in bends:
                entry = entry + first[1] * bends[m, n]
            for (i, j), value in second.items():
                both = moves[i][m] * moves[j][n]
                entry = entry + value * (both if i == j else both + moves[j][m] * moves[i][n])
            entries[m, n] = entry
    by = [
        first[0] * moves[0][m] + first[1] * moves[1][m] + first[2] * moves[2][m] for m in range(4)
    ]
    return stack(by), symmetric(entries, 4)


def third_values(g, y, b):
    """psi = E relu(z)^2 of a third feature's output, and its slopes, in closed form.

    Both active features are its neighbours, z = g (x + x') + b; or one is, the other far away,
    z = g x - y x' + b, y > 0. For b < 0 < g + b <= y. Pairs (psi, {"g": ., "y": ., "b": .}).
    """
    one, two = g + b, 2 * g + b
    fourth, cube = two.square().square() - 2 * one.square().square(), two.cube() - one.cube()
    both = fourth / (12 * g.square())
    slopes = {
        "g": 2 * cube / (3 * g.square()) - 2 * both / g,
        "b": (two.cube() - 2 * one.cube()) / (3 * g.square()),
    }
    mixed = one.square().square() / (12 * g * y)
    by_one = one.cube() / (3 * g * y)
    return (both, slopes), (mixed, {"g": by_one - mixed / g, "y": -mixed / y, "b": by_one})
