"""Two features in one dimension: the best bias of one output, and its loss over boxes from below.

Points 1 to 4 of the argument in the docstring of `smallest`.
"""

import math

import numpy as np

from common.proofs.moments import inner, moments, row_loss
from common.proofs.rounding import add, compiled, div, down, mul, point, sub, twice, up

# The search for a good bias: steps of a scan, then the golden section to an accuracy over p.
SCAN = 16
CLOSE = 1e-4
GOLDEN = 0.6180339887498949
SPARE = 0.1  # share of what a box costs anyway that cutting the bias into pieces may cost besides


@compiled
def alone(low, high, p):
    """Least H(a) for a in [low, high], low >= 0, from below: a row without interference."""
    dense = point(p)
    if high < 1:
        short = sub(point(1.0), point(high))
        variance = mul(dense, sub(div(point(1.0), point(3.0)), mul(dense, point(0.25))))
        return max(0.0, mul(variance, mul(short, short))[0])
    if low > 1:
        ratio = div(sub(point(low), point(1.0)), add(point(low), point(1.0)))
        return max(0.0, mul(mul(dense, div(point(1.0), point(3.0))), mul(ratio, ratio))[0])
    return 0.0


@compiled
def widest(p):
    """A weight w from which on H(w^2) > s2, so that it costs more than a feature that is dropped.

    (a - 1) / (a + 1) > 1 - 3p/8 is enough, since (1 - 3p/8)^2 > 1 - 3p/4: a > 16 / (3p) - 1.
    """
    return up(math.sqrt(up(up(16.0 / 3.0) / p)))


@compiled
def bias_range(a, g, p):
    """Two numbers between which the best bias lies for all a and g of two ranges (low, high)."""
    lowest = -up(a[1] + max(g[1], 0.0))
    never = -down(a[0] + max(g[0], 0.0))
    return lowest, max(never, up(p * up(1 - down(a[0] + g[0])) / 2))


@compiled
def best_bias(a, g, p):
    """A good bias for a row (a, g), and the loss there from below; only a choice."""
    low, high = bias_range((a, a), (g, g), p)
    step, best, least = (high - low) / SCAN, low, math.inf
    for k in range(SCAN + 1):
        value = row_loss(a, g, low + k * step, p)[0]
        if value < least:
            best, least = low + k * step, value
    low, high = max(low, best - step), min(high, best + step)
    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_left, at_right = row_loss(a, g, left, p)[0], row_loss(a, g, right, p)[0]
    while high - low > CLOSE * p:  # the golden section
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - GOLDEN * (high - low)
            at_left = row_loss(a, g, left, p)[0]
        else:
            low, left, at_left = left, right, at_right
            right = low + GOLDEN * (high - low)
            at_right = row_loss(a, g, right, p)[0]
    middle = (low + high) / 2
    value = row_loss(a, g, middle, p)[0]
    return (middle, value) if value < least else (best, least)


@compiled
def tops(a, g, t, p, out):
    """Upper ends of v at the four corners of a box at bias t."""
    for i in range(2):
        for j in range(2):
            out[2 * i + j] = moments(a[i], g[j], t, p)[0][1]


@compiled
def piece_bound(a, g, t, above, slopes, p):
    """Least F - slopes . (a, g) over a box (a, g, t: ranges) from below.

    above [8] : upper ends of v at its corners, first those at t[0].
    """
    centre = (a[0] + a[1]) / 2, (g[0] + g[1]) / 2, (t[0] + t[1]) / 2
    q = moments(centre[0], centre[1], centre[2], p)
    start = sub(div(point(p), point(3.0)), inner(q, centre[0], centre[1], centre[2]))
    by_a, by_g = sub(twice(q[0]), point(slopes[0])), sub(twice(q[1]), point(slopes[1]))
    least = math.inf
    for k in range(2):
        biased = add(start, mul(twice(q[2]), point(t[k])))
        for i in range(2):
            partly = add(biased, mul(by_a, point(a[i])))
            for j in range(2):
                value = add(partly, mul(by_g, point(g[j])))[0]
                least = min(least, down(value - 2 * above[4 * k + 2 * i + j]))
    return least


@compiled
def slope(first, last, ends):
    """Slope between two values at the ends of a range; 0 where it has hardly any width."""
    return (last - first) / (ends[1] - ends[0]) if ends[1] - ends[0] > 1e-200 else 0.0


@compiled
def row_bound(a, g, p):
    """(c, alpha, gamma): G(a, g) >= c + alpha a + gamma g for all a and g of two ranges."""
    ends = bias_range(a, g, p)
    middle_a, middle_g = (a[0] + a[1]) / 2, (g[0] + g[1]) / 2
    t, loss = best_bias(middle_a, middle_g, p)
    slopes = (
        slope(row_loss(a[0], middle_g, t, p)[0], row_loss(a[1], middle_g, t, p)[0], a),
        slope(row_loss(middle_a, g[0], t, p)[0], row_loss(middle_a, g[1], t, p)[0], g),
    )
    loss -= slopes[0] * middle_a + slopes[1] * middle_g
    above = np.empty(8)
    tops(a, g, t, p, above[:4])
    above[4:] = above[:4]
    cost = max(0.0, loss - piece_bound(a, g, (t, t), above, slopes, p))
    spare = SPARE * (cost + p * (a[1] - a[0] + g[1] - g[0]) ** 2)
    enough, short = loss - cost - spare, math.sqrt(spare)

    # Pieces of the bias: each its two ends and v at its eight corners.
    stack, count, least = np.empty((60, 10)), 1, math.inf
    stack[0, :2] = ends
    tops(a, g, ends[0], p, stack[0, 2:6])
    tops(a, g, ends[1], p, stack[0, 6:10])
    while count > 0:
        count -= 1
        low, high = stack[count, 0], stack[count, 1]
        bound = piece_bound(a, g, (low, high), stack[count, 2:10], slopes, p)
        if not -math.inf < bound < math.inf:
            return -math.inf, 0.0, 0.0
        if bound >= enough or high - low <= short or count + 2 > len(stack):
            least = min(least, bound)
            continue
        cut = (low + high) / 2
        stack[count + 1] = stack[count]
        stack[count, 1], stack[count + 1, 0] = cut, cut
        tops(a, g, cut, p, stack[count, 6:10])
        stack[count + 1, 2:6] = stack[count, 6:10]
        count += 2
    return least, slopes[0], slopes[1]
