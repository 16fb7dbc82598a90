"""Numbers rounded outward, compiled: an interval is a pair (low, high) around the exact number.

A result of +, -, *, / that is rounded to nearest differs from the exact one by at most 2^-53 of
itself, up to a factor of 1 + 2^-52, or by 2^-1075. `down` and `up` move it by 2^-51 of itself and
1e-300, which leaves room for their own two roundings: they enclose what is exact. Products with 2
and 4 are exact.
"""

import math

from numba import njit

GROW, LEAST = 2.0**-51, 1e-300  # what `down` and `up` add: relative, and for the tiniest numbers
NOTHING, ZERO = (math.inf, -math.inf), (0.0, 0.0)  # an empty interval, and that of 0

# Never cached on disk: numba compiles a cached function anew only when its own file changes, so
# that a proof could run the old code of a function from another file. Compiling takes 10 s.
compiled = njit(cache=False, error_model="numpy")


@compiled
def down(x):
    return x - (abs(x) * GROW + LEAST)


@compiled
def up(x):
    return x + (abs(x) * GROW + LEAST)


@compiled
def point(x):
    return x, x


@compiled
def minus(x):
    return -x[1], -x[0]


@compiled
def twice(x):
    return 2 * x[0], 2 * x[1]


@compiled
def add(x, y):
    return down(x[0] + y[0]), up(x[1] + y[1])


@compiled
def sub(x, y):
    return add(x, minus(y))


@compiled
def mul(x, y):
    a, b, c, d = x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1]
    return down(min(min(a, b), min(c, d))), up(max(max(a, b), max(c, d)))


@compiled
def div(x, y):
    """x / y for a y that does not contain 0."""
    a, b, c, d = x[0] / y[0], x[0] / y[1], x[1] / y[0], x[1] / y[1]
    return down(min(min(a, b), min(c, d))), up(max(max(a, b), max(c, d)))


@compiled
def square(w):
    """The range of w^2 over a range of w."""
    far, near = max(abs(w[0]), abs(w[1])), min(abs(w[0]), abs(w[1]))
    near = 0.0 if w[0] < 0 < w[1] else near
    return max(0.0, down(near * near)), up(far * far)


@compiled
def size(x):
    """A range from 0 that contains |x|."""
    return 0.0, max(abs(x[0]), abs(x[1]))


@compiled
def hull(x, y):
    return min(x[0], y[0]), max(x[1], y[1])


@compiled
def positive(x):
    """The range of max(x, 0), also that of x where it is known not to be negative."""
    return max(0.0, x[0]), max(0.0, x[1])


@compiled
def unit(x):
    """x, known to lie in [0, 1]."""
    return min(1.0, max(0.0, x[0])), max(0.0, min(1.0, x[1]))


@compiled
def plus(x, y):
    """x + y where neither is negative."""
    return positive(add(x, y))


@compiled
def times(x, y):
    """x y where neither is negative."""
    return positive(mul(x, y))


@compiled
def over(x, k):
    """x / k for x >= 0 and a number k > 0."""
    return positive(div(x, point(k)))


@compiled
def rest(x):
    """1 - x for x in [0, 1]."""
    return unit(sub(point(1.0), x))


@compiled
def share(x, y):
    """x / y where that is known to lie in [0, 1]."""
    return unit(div(x, y)) if y[0] > 1e-200 else (0.0, 1.0)


@compiled
def mix(s, x, y):
    """(1 - s) x + s y for s in [0, 1] and x, y >= 0."""
    return plus(times(rest(s), x), times(s, y))
