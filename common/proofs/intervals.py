"""Intervals of numpy arrays, rounded outward: every result contains the exact value.

Why it is rigorous: IEEE 754 rounds +, -, *, / and sqrt of doubles to the nearest double, so the
exact value lies between the two neighbours of the computed one, also where it underflows. Nothing
else of the library is trusted: cos is a Taylor sum evaluated in intervals, and arccos is guessed by
the library and then checked through cos. A NaN can arise, but no comparison with a NaN holds, and
a statement is proved only by a comparison that holds.
"""

from fractions import Fraction

import numpy as np


def down(x):
    """The next double below."""
    return np.nextafter(x, -np.inf)


def up(x):
    """The next double above."""
    return np.nextafter(x, np.inf)


class Interval:
    """Bounds `lo` and `hi` of real numbers, as arrays of one shape. Plain numbers are exact."""

    __slots__ = ("hi", "lo")

    def __init__(self, lo, hi=None):
        self.lo = np.asarray(lo, dtype=float)
        self.hi = self.lo if hi is None else np.asarray(hi, dtype=float)

    def __add__(self, other):
        other = enclose(other)
        return Interval(down(self.lo + other.lo), up(self.hi + other.hi))

    def __neg__(self):
        return Interval(-self.hi, -self.lo)

    def __sub__(self, other):
        return self + -enclose(other)

    def __rsub__(self, other):
        return enclose(other) - self

    def __mul__(self, other):
        other = enclose(other)
        with np.errstate(invalid="ignore", over="ignore"):
            ends = (self.lo * other.lo, self.lo * other.hi, self.hi * other.lo, self.hi * other.hi)
        low = np.minimum(np.minimum(ends[0], ends[1]), np.minimum(ends[2], ends[3]))
        high = np.maximum(np.maximum(ends[0], ends[1]), np.maximum(ends[2], ends[3]))
        return Interval(down(low), up(high))

    def __truediv__(self, other):
        other = enclose(other)
        zero = ~((other.lo > 0) | (other.hi < 0))  # the divisor may be 0: the quotient is anything
        low, high = np.where(zero, 1.0, other.lo), np.where(zero, 1.0, other.hi)
        inverse = Interval(down(1 / high), up(1 / low))
        product = self * inverse
        return Interval(np.where(zero, -np.inf, product.lo), np.where(zero, np.inf, product.hi))

    def __rtruediv__(self, other):
        return enclose(other) / self

    __radd__, __rmul__ = __add__, __mul__

    def square(self):
        """x^2: never negative, which x * x does not know."""
        small = np.maximum(np.maximum(self.lo, -self.hi), 0.0)
        large = np.maximum(-self.lo, self.hi)
        return Interval(np.maximum(down(small * small), 0.0), up(large * large))

    def cube(self):
        """x^3, which increases."""
        low, high = Interval(self.lo), Interval(self.hi)
        return Interval((low * low.square()).lo, (high * high.square()).hi)

    def sqrt(self):
        """Square root; NaN where the interval reaches below 0."""
        with np.errstate(invalid="ignore"):
            return Interval(np.maximum(down(np.sqrt(self.lo)), 0.0), up(np.sqrt(self.hi)))

    def inside(self, other):
        """Is every point an inner point of `other`?"""
        return (self.lo > other.lo) & (self.hi < other.hi)

    def middle(self):
        """A number about in the middle: not rounded in any known direction."""
        return 0.5 * (self.lo + self.hi)


def enclose(x):
    """An interval that holds a number: itself, or the doubles on both sides of a fraction."""
    if isinstance(x, Fraction):
        return Interval(down(float(x)), up(float(x)))
    return x if isinstance(x, Interval) else Interval(x)


def where(condition, x, y):
    """x where the condition holds, y elsewhere."""
    x, y = enclose(x), enclose(y)
    return Interval(np.where(condition, x.lo, y.lo), np.where(condition, x.hi, y.hi))


def stack(intervals):
    """Intervals of one shape side by side, along a new last axis."""
    low = np.stack(np.broadcast_arrays(*(x.lo for x in intervals)), axis=-1)
    return Interval(low, np.stack(np.broadcast_arrays(*(x.hi for x in intervals)), axis=-1))


def symmetric(entries, size):
    """Symmetric matrices [..., size, size] from {(i, j): interval [...]} with i <= j, all there."""
    places = [[(min(i, j), max(i, j)) for j in range(size)] for i in range(size)]
    return stack([stack([entries[place] for place in row]) for row in places])


def inverse_tangent(q, terms):
    """Two fractions around arctan(1/q): consecutive partial sums of its alternating series."""
    sums = [Fraction(0)]
    for k in range(terms):
        sums.append(sums[-1] + Fraction((-1) ** k, (2 * k + 1) * q ** (2 * k + 1)))
    return min(sums[-2:]), max(sums[-2:])


def circle_constant():
    """Pi, by Machin's formula pi = 16 arctan(1/5) - 4 arctan(1/239) in fractions."""
    (low, high), (small, large) = inverse_tangent(5, 40), inverse_tangent(239, 20)
    return Interval(down(float(16 * low - 4 * large)), up(float(16 * high - 4 * small)))


PI = circle_constant()


def cosine_sum(y, terms):
    """1 - y^2/2! + ... up to the power 2 `terms`, for exact y.

    It is below cos y when the number of terms is odd and above when it is even, for every y.
    """
    z, total = Interval(y).square(), enclose(1.0)
    for k in range(terms, 0, -1):
        total = 1 - z * total / (2 * k * (2 * k - 1))
    return total


def cosine(x):
    """cos of intervals in [0, pi], where it decreases."""
    if not (np.all(x.lo >= 0) and np.all(x.hi <= PI.lo)):
        raise ValueError("angles must lie in [0, pi]")
    return Interval(cosine_sum(x.hi, 15).lo, cosine_sum(x.lo, 16).hi)


def arccos_below(w):
    """Numbers in [0, 2] not above arccos(w), for doubles w in [0, 1]; 0 where w > 1.

    A guess is kept only if its cosine is proved to be at least w: cos decreases on [0, pi]. It is
    cut after 46 binary places, so that libraries that differ in the last place agree.
    """
    w = np.asarray(w, dtype=float)
    inside = np.clip(w, 0.0, 1.0)
    guess = np.arccos(inside) - 4e-15 / np.maximum(np.sqrt(1 - inside * inside), 1e-7)
    guess = np.floor(np.clip(guess, 0.0, 2.0) * 2.0**46) / 2.0**46
    return np.where(cosine_sum(guess, 13).lo >= w, guess, 0.0)
