r"""Two features in one dimension with a penalty on interference: global minima with a proof.

W = (w_1, w_2), importances 1 and r, penalty lambda >= 0, density p:

    L(w_1, w_2) = G(w_1^2, w_1 w_2) + r G(w_2^2, w_1 w_2) + 2 lambda w_1^2 w_2^2,
    G(a, g) = min over t of F(a, g, t),   F = E (x - relu(z))^2,   z = a x + g y + t.

`prove` covers the plane of (w_1, w_2) with boxes and bounds L from below on every box, for all r
and lambda at once. What that rests on:

1. With q = E [(x, y, 1) relu(z)] and theta = (a, g, t) the loss is F = p/3 + u - 2 v of a row, with
   u = E relu(z)^2 = theta . q and v = E x relu(z), its first entry. Both are convex in theta, since
   z is linear in it, and grad u = 2 q. So u lies above its tangent at any point c, and v lies below
   the interpolation of its values at the corners of a box. On a box of theta, for any slopes s,
       F - s . (a, g) >= min over corners k of
                         p/3 + 2 q(c) . k - q(c) . c - 2 v(k) - s . (a_k, g_k).
2. The bias is free. Up to T = -(a + max(g, 0)) the output is 0 and F = p/3, as at T. From
   p (1 - a - g) / 2 on F grows, since E relu(z) >= E z and so
       dF/dt = 2 E relu(z) - 2 E x 1[z > 0] >= 2 (t + p (a + g) / 2) - p >= 0.
   What lies between is cut into pieces, each bounded as in 1.
3. So a box has numbers with G(w_1^2, g) >= c_1 + alpha_1 w_1^2 + gamma_1 g for all its models,
   g = w_1 w_2, and likewise for the second row, and g^2 >= 2 g_0 g - g_0^2. What is left is the
   least value of the quadratic form
       alpha_1 w_1^2 + r alpha_2 w_2^2 + (gamma_1 + r gamma_2 + 4 lambda g_0) w_1 w_2.
   The slopes are those at the centre: near a minimum of L they cancel between the rows, and the
   error of the bound is of second order in the box.
4. Interference never helps: G(a, g) >= H(a) = G(a, 0), since given y, active or not, the loss of
   the row is that of (a, 0) with another bias. The best bias for (a, 0) gives
       H(a) = s2 (1 - a)^2 for a <= 1,   p (a - 1)^2 / (3 (a + 1)^2) for a >= 1,   s2 = p/3 - p^2/4.
   H grows from a = 1 on, to more than s2. So L >= min(1, r) H(W^2) where a weight is W or more,
   which excludes large weights. H alone also excludes boxes far from the minimum.
5. (w_1, w_2) and (-w_1, -w_2) are the same model: w_1 >= 0 is enough.

Rounding: every number that the proof uses is an interval (low, high). A result of +, -, *, / that
is rounded to nearest differs from the exact one by at most 2^-53 of itself, up to a factor of
1 + 2^-52, or by 2^-1075. `down` and `up` move it by 2^-51 of itself and 1e-300, which leaves room
for their own two roundings: they enclose what is exact. Products with 2 are exact, and so are the
corners of boxes, numbers of few binary digits or rounded outwards. What is only a choice (where the
bias is cut, slopes, centres, g_0) is computed in plain floats.
"""

import argparse
import math
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
from numba import njit

RELATIVE_IMPORTANCES = 10.0 ** np.linspace(-1, 1, 40)
PENALTIES = np.array([0.0, 0.001, 0.003, 0.01, 0.03, 0.1])
TOLERANCE = 1e-5  # relative: the proven minimum is no further below the value found

DROPPED, DEDICATED, PAIR, OTHER = 1, 2, 4, 8  # a box may reach into several: their sum
PHASES = {DROPPED: "dropped", DEDICATED: "dedicated", PAIR: "pair", OTHER: "other"}
# A weight less than tan(22.5 degrees) of the other one is nearer to its absence than to a pair.
RATIO_LOW, RATIO_HIGH = 0.41421356, 0.41421357  # around that tangent, the square root of 2 less 1
LEAST_RANGE = 0.05  # of w_1^2 + w_2^2: below, the model counts as empty

GROW, LEAST = 2.0**-51, 1e-300  # what `down` and `up` add: relative, and for the tiniest numbers
COARSE = 0.4  # width of a box from which on only G >= H is tried
FINEST = 2.0**-14  # width of a box that is not divided any further
MOST = 400_000  # boxes after which none is divided: a value that is wrong ends there
SCAN, CLOSE, GOLDEN = (
    16,
    1e-4,
    0.6180339887498949,
)  # of the search for a good bias: steps, accuracy over p
SPARE = 0.1  # share of what a box costs anyway that cutting the bias into pieces may cost besides

compiled = njit(cache=True, error_model="numpy")


# Intervals: pairs (low, high) ------------------------------------------------------------------


@compiled
def down(x):
    return x - (abs(x) * GROW + LEAST)


@compiled
def up(x):
    return x + (abs(x) * GROW + LEAST)


@compiled
def add(x, y):
    return down(x[0] + y[0]), up(x[1] + y[1])


@compiled
def sub(x, y):
    return down(x[0] - y[1]), up(x[1] - y[0])


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
def times(x, y):
    """x y where neither is negative."""
    return max(0.0, down(x[0] * y[0])), up(x[1] * y[1])


@compiled
def over(x, k):
    """x / k for x >= 0 and a whole number k."""
    return max(0.0, down(x[0] / k)), up(x[1] / k)


@compiled
def plus(x, y):
    """x + y where neither is negative."""
    return max(0.0, down(x[0] + y[0])), up(x[1] + y[1])


@compiled
def point(x):
    return x, x


@compiled
def rest(x):
    """1 - x for x in [0, 1]."""
    return max(0.0, down(1 - x[1])), min(1.0, up(1 - x[0]))


@compiled
def share(x, y):
    """x / y where that is known to lie in [0, 1]."""
    if y[0] < 1e-200:
        return 0.0, 1.0
    a, b, c, d = x[0] / y[0], x[0] / y[1], x[1] / y[0], x[1] / y[1]
    low, high = min(min(a, b), min(c, d)), max(max(a, b), max(c, d))
    return min(1.0, max(0.0, down(low))), max(0.0, min(1.0, up(high)))


@compiled
def positive(x):
    return max(0.0, x[0]), max(0.0, x[1])


@compiled
def mix(s, x, y):
    """(1 - s) x + s y for s in [0, 1] and x, y >= 0."""
    return plus(times(rest(s), x), times(s, y))


@compiled
def hull(x, y):
    return min(x[0], y[0]), max(x[1], y[1])


# Moments of one output -------------------------------------------------------------------------


@compiled
def edge(c, t):
    """E relu(t + c x) and E x relu(t + c x) for x uniform on [0, 1]; c and t are intervals.

    Where t and t + c differ in sign, s = -t/c is in [0, 1] and both follow from the end points.
    Where rounding hides whether they do, the answer covers all that is possible.
    """
    end = add(t, c)
    first, last = positive(t), positive(end)
    mean, own = (math.inf, -math.inf), (math.inf, -math.inf)
    if t[0] <= 0 and end[0] <= 0:
        mean, own = (0.0, 0.0), (0.0, 0.0)
    if t[1] >= 0 and end[1] >= 0:
        mean = hull(mean, over(plus(first, last), 2.0))
        own = hull(own, over(plus(plus(last, last), first), 6.0))
    if (t[0] < 0 and end[1] > 0) or (t[1] > 0 and end[0] < 0):
        if c[0] > 0:
            s = share((-t[1], -t[0]), c)
        elif c[1] < 0:
            s = share(t, (-c[1], -c[0]))
        else:
            s = 0.0, 1.0
        kinked = over(mix(s, last, first), 2.0)
        mean = hull(mean, kinked)
        own = hull(own, over(mix(s, last, kinked), 3.0))
    return mean, own


@compiled
def face(a, g, t):
    """E relu(z), E x relu(z), E y relu(z) with both features active, and E relu, E x relu, E y relu
    with x alone (first two) and y alone (last two): seven intervals, for intervals a >= 0, g, t.

    Where the kink crosses the square, numbers s in [0, 1] with a s_1 + g s_2 = -t give each moment
    as a mixture of those on its four edges (integration by parts); nothing is divided by a or g.
    """
    x_low, x_low_own = edge(a, t)
    x_high, x_high_own = edge(a, add(t, g))
    y_low, y_low_own = edge(g, t)
    y_high, y_high_own = edge(g, add(t, a))
    down_g, up_g = (min(g[0], 0.0), min(g[1], 0.0)), positive(g)
    low, high = add(t, down_g), add(add(t, a), up_g)
    width = add(a, (up_g[0] - down_g[1], up_g[1] - down_g[0]))

    empty = (math.inf, -math.inf)
    mean, own, other = empty, empty, empty
    if high[0] <= 0:
        mean, own, other = (0.0, 0.0), (0.0, 0.0), (0.0, 0.0)
    if low[1] >= 0:
        average = add(t, mul(add(a, g), point(0.5)))
        half, twelfth = mul(average, point(0.5)), div(point(1.0), point(12.0))
        mean = hull(mean, positive(average))
        own = hull(own, positive(add(half, mul(a, twelfth))))
        other = hull(other, positive(add(half, mul(g, twelfth))))
    if low[0] < 0 and high[1] > 0:
        theta = share((-low[1], -low[0]), width)
        opposite = hull(theta, rest(theta)) if g[0] < 0 < g[1] else theta
        opposite = rest(theta) if g[1] <= 0 else opposite
        total = plus(mix(theta, y_high, y_low), mix(opposite, x_high, x_low))
        total = over(total, 3.0)
        mean = hull(mean, total)
        total_own = plus(mix(opposite, x_high_own, x_low_own), mix(theta, y_high, total))
        total_other = plus(mix(theta, y_high_own, y_low_own), mix(opposite, x_high, total))
        own, other = hull(own, over(total_own, 4.0)), hull(other, over(total_other, 4.0))
    return mean, own, other, x_low, x_low_own, y_low, y_low_own


@compiled
def moments(a, g, t, p):
    """q = E [(x, y, 1) relu(a x + g y + t)]: three intervals, for numbers a >= 0, g, t and p."""
    both, own, other, x_alone, x_own, y_alone, y_own = face(point(a), point(g), point(t))
    on, off = point(p), rest(point(p))
    one, two, none = times(on, off), times(on, on), times(off, off)
    v = plus(times(one, x_own), times(two, own))
    w = plus(times(one, y_own), times(two, other))
    m = plus(times(none, positive(point(t))), times(one, plus(x_alone, y_alone)))
    return v, w, plus(m, times(two, both))


@compiled
def row_loss(a, g, t, p):
    """F(a, g, t) = p/3 + theta . q - 2 v: an interval, for numbers a >= 0, g, t and p."""
    v, w, m = moments(a, g, t, p)
    total = add(mul(point(a), v), add(mul(point(g), w), mul(point(t), m)))
    return add(div(point(p), point(3.0)), sub(total, (2 * v[0], 2 * v[1])))


# Lower bounds on boxes -------------------------------------------------------------------------


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
    v, w, m = moments(centre[0], centre[1], centre[2], p)
    at_centre = add(mul(v, point(centre[0])), mul(w, point(centre[1])))
    at_centre = add(at_centre, mul(m, point(centre[2])))
    by_a = sub((2 * v[0], 2 * v[1]), point(slopes[0]))
    by_g = sub((2 * w[0], 2 * w[1]), point(slopes[1]))
    start = sub(div(point(p), point(3.0)), at_centre)
    least = math.inf
    for k in range(2):
        biased = add(start, mul((2 * m[0], 2 * m[1]), point(t[k])))
        for i in range(2):
            partly = add(biased, mul(by_a, point(a[i])))
            for j in range(2):
                value = add(partly, mul(by_g, point(g[j])))[0]
                least = min(least, down(value - 2 * above[4 * k + 2 * i + j]))
    return least


@compiled
def slope(first, last, ends):
    """Slope between two values at the ends of a range; 0 where it has no width."""
    return (last - first) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.0


@compiled
def row_bound(a, g, p, stack):
    """(c, alpha, gamma): G(a, g) >= c + alpha a + gamma g for all a and g of two ranges.

    stack [depth, 10] : room for pieces of the bias, each its two ends and v at its eight corners
    """
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

    stack[0, 0], stack[0, 1], size, least = ends[0], ends[1], 1, math.inf
    tops(a, g, ends[0], p, stack[0, 2:6])
    tops(a, g, ends[1], p, stack[0, 6:10])
    while size > 0:
        size -= 1
        low, high = stack[size, 0], stack[size, 1]
        bound = piece_bound(a, g, (low, high), stack[size, 2:10], slopes, p)
        if not bound > -math.inf:
            return -math.inf, 0.0, 0.0
        if bound >= enough or high - low <= short or size + 2 > len(stack):
            least = min(least, bound)
            continue
        cut = (low + high) / 2
        stack[size + 1] = stack[size]
        stack[size, 1], stack[size + 1, 0] = cut, cut
        tops(a, g, cut, p, stack[size, 6:10])
        stack[size + 1, 2:6] = stack[size, 6:10]
        size += 2
    return least, slopes[0], slopes[1]


@compiled
def square(w):
    """The range of w^2 over a range of w."""
    far, near = max(abs(w[0]), abs(w[1])), min(abs(w[0]), abs(w[1]))
    near = 0.0 if w[0] < 0 < w[1] else near
    return max(0.0, down(near * near)), up(far * far)


@compiled
def quick_bound(first, second, r, penalty, p):
    """L over a box of weights from below by G >= H: two ranges, r and the penalty."""
    a, c = square(first), square(second)
    rows = add(point(alone(a[0], a[1], p)), mul(point(r), point(alone(c[0], c[1], p))))
    return add(rows, mul((2 * penalty, 2 * penalty), mul(point(a[0]), point(c[0]))))[0]


@compiled
def form_bound(first, second, upper, lower, r, penalty):
    """L over a box of weights from below, by the bounds (c, alpha, gamma) of both rows."""
    x, y = (first[0] + first[1]) / 2, (second[0] + second[1]) / 2
    h = 0.0, max(up(first[1] - x), up(x - first[0]))
    k = 0.0, max(up(second[1] - y), up(y - second[0]))
    r, x, y, twice = point(r), point(x), point(y), point(2.0)
    middle = x[0] * y[0]  # g_0, any number: rounded as it may be
    lean = mul((4 * penalty, 4 * penalty), point(middle))
    A, B = point(upper[1]), mul(r, point(lower[1]))
    C = add(add(point(upper[2]), mul(r, point(lower[2]))), lean)
    total = add(point(upper[0]), mul(r, point(lower[0])))
    total = sub(total, mul((2 * penalty, 2 * penalty), mul(point(middle), point(middle))))
    total = add(total, add(mul(A, mul(x, x)), add(mul(B, mul(y, y)), mul(C, mul(x, y)))))
    total = sub(total, mul(size(add(mul(twice, mul(A, x)), mul(C, y))), h))
    total = sub(total, mul(size(add(mul(twice, mul(B, y)), mul(C, x))), k))
    total = sub(total, mul(size(C), mul(h, k)))
    total = add(total, mul((min(A[0], 0.0), 0.0), mul(h, h)))
    return add(total, mul((min(B[0], 0.0), 0.0), mul(k, k)))[0]


@compiled
def size(x):
    """A range from 0 that contains |x|."""
    return 0.0, max(abs(x[0]), abs(x[1]))


@compiled
def reach(first, second):
    """The sum of all phases that a box of weights has a part in."""
    a, c = square(first), square(second)
    near = math.sqrt(a[0]) * (1 - 1e-12), math.sqrt(c[0]) * (1 - 1e-12)
    far = math.sqrt(a[1]) * (1 + 1e-12), math.sqrt(c[1]) * (1 + 1e-12)
    phases = OTHER if down(a[0] + c[0]) < LEAST_RANGE else 0
    if up(a[1] + c[1]) < LEAST_RANGE:
        return phases
    if near[1] <= RATIO_HIGH * far[0]:
        phases |= DROPPED
    if near[0] <= RATIO_HIGH * far[1]:
        phases |= DEDICATED
    if far[0] >= RATIO_LOW * near[1] and far[1] >= RATIO_LOW * near[0]:
        phases |= PAIR if second[0] <= 0 else 0
        phases |= OTHER if second[1] >= 0 else 0
    return phases


# Branch and bound ------------------------------------------------------------------------------

# Numbers and penalties of the cells [N], the value found in each, and its phase.
Cells = namedtuple("Cells", "r penalty value phase")
# Of each cell [N]: the least bound of any box relative to the value; whether the model is proven to
# be of the phase found; room for the bounds in the box at hand.
State = namedtuple("State", "ratio proven bounds")


@compiled
def cover(p, cells, tolerance, finest):
    """Cover the half-plane w_1 >= 0 with boxes. Returns the State and the number of boxes."""
    count, depth, boxes = len(cells.r), 200, 0
    state = State(np.full(count, np.inf), np.ones(count, np.bool_), np.empty(count))
    edges, todo = np.empty((depth, 4)), np.ones((depth, count), np.bool_)
    pieces = np.empty((60, 10))
    W = 2.0 ** (1 + math.ceil(math.log2(widest(p))))
    outside(W, p, cells, state)
    edges[0, 0], edges[0, 1], edges[0, 2], edges[0, 3], top = 0.0, W, -W, W, 0
    while top >= 0:
        boxes += 1
        first, second = (edges[top, 0], edges[top, 1]), (edges[top, 2], edges[top, 3])
        wide, tall = first[1] - first[0], second[1] - second[0]
        phases = reach(first, second)
        left = settle(first, second, p, phases, cells, tolerance, todo[top], state, pieces)
        if left == 0 or max(wide, tall) <= finest or boxes > MOST or top + 2 > depth:
            give_up(phases, cells, todo[top], state)
            top -= 1
            continue
        edges[top + 1], todo[top + 1] = edges[top], todo[top]
        side = 0 if wide >= tall else 2
        cut = (edges[top, side] + edges[top, side + 1]) / 2
        edges[top, side + 1], edges[top + 1, side] = cut, cut
        top += 1
    return state, boxes


@compiled
def outside(W, p, cells, state):
    """Bound models with a weight of W > 1 or more: there L >= min(1, r) H(W^2)."""
    least = alone(down(W * W), math.inf, p)
    for n in range(len(cells.r)):
        bound = min(least, mul(point(cells.r[n]), point(least))[0])
        state.ratio[n] = down(bound / cells.value[n])
        state.proven[n] = bound > cells.value[n]


@compiled
def settle(first, second, p, phases, cells, tolerance, todo, state, pieces):
    """Bound L on a box in all cells that are `todo` [N], and close those where the box is done.

    Done: the bound is above the value, or, where the box has no part in other phases than the
    cell's own, above 1 - tolerance of it. Returns how many stay open.
    """
    left = 0
    for n in range(len(todo)):
        if todo[n]:
            state.bounds[n] = quick_bound(first, second, cells.r[n], cells.penalty[n], p)
            left += close(n, phases, cells, tolerance, todo, state)
    if left == 0 or max(first[1] - first[0], second[1] - second[0]) > COARSE:
        return left
    g = mul(first, second)
    upper = row_bound(square(first), g, p, pieces)
    lower = row_bound(square(second), g, p, pieces)
    left = 0
    for n in range(len(todo)):
        if todo[n]:
            better = form_bound(first, second, upper, lower, cells.r[n], cells.penalty[n])
            if better > state.bounds[n]:
                state.bounds[n] = better
            left += close(n, phases, cells, tolerance, todo, state)
    return left


@compiled
def close(n, phases, cells, tolerance, todo, state):
    """0 if cell n is done in this box, and then closed; 1 if it stays open."""
    bound, value = state.bounds[n], cells.value[n]
    enough = (1 - tolerance) * value if phases == cells.phase[n] else value
    if not bound > enough:
        return 1
    todo[n] = False
    state.ratio[n] = min(state.ratio[n], down(bound / value))
    return 0


@compiled
def give_up(phases, cells, todo, state):
    """Write what a box that is not divided any further leaves unproven in the cells still open."""
    for n in range(len(todo)):
        if todo[n]:
            state.ratio[n] = min(state.ratio[n], down(state.bounds[n] / cells.value[n]))
            state.proven[n] &= phases == cells.phase[n]


# Values ----------------------------------------------------------------------------------------


@compiled
def rows(x, y, p):
    """Losses of both rows at W = (x, y), biases at their best."""
    return best_bias(x * x, x * y, p)[1], best_bias(y * y, x * y, p)[1]


@compiled
def total(x, y, r, penalty, p):
    both = rows(x, y, p)
    return both[0] + r * both[1] + 2 * penalty * (x * y) ** 2


@compiled
def tabulate(first, second, p):
    """Losses [len(first), len(second), 2] of both rows at W = (first, second)."""
    table = np.empty((len(first), len(second), 2))
    for i in range(len(first)):
        for j in range(len(second)):
            table[i, j] = rows(first[i], second[j], p)
    return table


@compiled
def descend(x, y, r, penalty, p, step):
    """A local minimum (L, x, y) next to W = (x, y), x >= 0, by a search along a pattern."""
    moves = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1))
    least = total(x, y, r, penalty, p)
    while step > 1e-6:
        moved = False
        for move in moves:
            there = abs(x + step * move[0]), y + step * move[1]
            value = total(there[0], there[1], r, penalty, p)
            if value < least:
                x, y, least, moved = there[0], there[1], value, True
        step = step if moved else step / 3
    return least, x, y


@compiled
def exact_value(x, y, r, penalty, p):
    """L at W = (x, y), numbers of single precision, with good biases: from above.

    The products x^2, x y and y^2 are exact in double precision.
    """
    a, c, g = x * x, y * y, x * y
    upper = row_loss(a, g, best_bias(a, g, p)[0], p)
    lower = row_loss(c, g, best_bias(c, g, p)[0], p)
    overlap = mul((2 * penalty, 2 * penalty), mul(point(g), point(g)))
    return add(add(upper, mul(point(r), lower)), overlap)[1]


def minima_along(loss, grid):
    """Where the least value of every column of a table [K, K] is less than those beside it.

    Yields the value, the column and where in the column it is, by a parabola through three points:
    a weak pair is a shallow minimum of a narrow valley.
    """
    column, row = np.arange(len(grid)), loss.argmin(0).clip(1, len(grid) - 2)
    before, here, after = (loss[row + k, column] for k in (-1, 0, 1))
    shift = ((before - after) / (2 * (before - 2 * here + after) + 1e-300)).clip(-1, 1)
    value = here - (before - after) * shift / 4
    there = np.maximum(0, grid[row] + shift * (grid[1] - grid[0]))
    beside = np.pad(value, 1, constant_values=np.inf)
    for k in column[(value <= beside[:-2]) & (value <= beside[2:])]:
        yield value[k], k, there[k]


def find_values(p, r, penalty):
    """The best W [N, 2] found for cells r, penalty [N], its loss [N] from above, its phase [N].

    Descents from minima of a table over w_1 >= 0 >= w_2.
    """
    grid = np.linspace(0, 1.3, 131)
    table, x, y = tabulate(grid, -grid, p), grid[:, None], -grid
    found = np.empty((len(r), 2), np.float32)
    for n in range(len(r)):
        loss = table[..., 0] + r[n] * table[..., 1] + 2 * penalty[n] * (x * y) ** 2
        valley = [(v, grid[k], -there) for v, k, there in minima_along(loss.T, grid)]
        valley += [(v, there, -grid[k]) for v, k, there in minima_along(loss, grid)]
        ends = [descend(*start[1:], r[n], penalty[n], p, 0.003) for start in sorted(valley)[:4]]
        found[n] = min(ends)[1:]
    W = found.astype(float)
    value = np.array([exact_value(*W[n], r[n], penalty[n], p) for n in range(len(r))])
    return W, value, np.array([reach((v, v), (w, w)) for v, w in W])


# A density -------------------------------------------------------------------------------------


@dataclass
class Proof:
    """What is proved at one density, for penalties [P] by relative importances [R]: arrays [P, R].

    W [P, R, 2], value : a model and its loss, rounded up; phase : its phase (a code of PHASES)
    ratio : the global minimum is at least this share of the value
    proven : every global minimum is of that phase
    boxes : how many boxes that took
    """

    density: float
    relative_importance: np.ndarray
    penalty: np.ndarray
    W: np.ndarray
    value: np.ndarray
    phase: np.ndarray
    ratio: np.ndarray
    proven: np.ndarray
    boxes: int


def prove(
    density,
    relative_importance=RELATIVE_IMPORTANCES,
    penalty=PENALTIES,
    *,
    tolerance=TOLERANCE,
    finest=FINEST,
):
    """The Proof of one density. Raises ValueError for numbers that it does not hold for."""
    relative_importance, penalty = (np.asarray(v, float) for v in (relative_importance, penalty))
    if not 1e-4 <= density <= 1:
        raise ValueError(f"density must lie between 0.0001 and 1, got {density!r}")
    if not ((relative_importance >= 1e-3) & (relative_importance <= 1e3)).all():
        raise ValueError("relative importances must lie between 0.001 and 1000")
    if not ((penalty >= 0) & (penalty <= 1e3)).all():
        raise ValueError("penalties must lie between 0 and 1000")
    penalties, r = (v.ravel() for v in np.meshgrid(penalty, relative_importance, indexing="ij"))
    W, value, phase = find_values(float(density), r, penalties)
    state, boxes = cover(float(density), Cells(r, penalties, value, phase), tolerance, finest)
    if (state.ratio > 1).any():  # the value is the loss of a model
        raise ArithmeticError(f"a lower bound above an upper one at density {density!r}")
    state.proven[~np.isin(phase, list(PHASES))] = False  # between two phases
    shape = len(penalty), len(relative_importance)
    arrays = (v.reshape(*shape, *v.shape[1:]) for v in (W, value, phase, state.ratio, state.proven))
    return Proof(float(density), relative_importance, penalty, *arrays, boxes)


def report(proof):
    """Lines about a Proof."""
    r, share = proof.relative_importance, proof.proven.mean()
    yield (
        f"density {proof.density:g}: {proof.ratio.size} cells, relative importance {r.min():g} to "
        f"{r.max():g}: global minimum >= {proof.ratio.min():.6f} of the value found, "
        f"phase proven in {100 * share:.1f} % ({proof.boxes} boxes)"
    )
    for k, penalty in enumerate(proof.penalty):
        counts = [
            f"{name} {(proof.proven[k] & (proof.phase[k] == code)).sum()}"
            for code, name in PHASES.items()
        ]
        unproven = (~proof.proven[k]).sum()
        yield f"    penalty {penalty:g}: {', '.join(counts)}, not proven {unproven}"


def main():
    parser = argparse.ArgumentParser(description="Global minima of the smallest model, proved.")
    parser.add_argument("--density", type=float, nargs="+", default=[0.3])
    for density in parser.parse_args().density:
        proof = prove(density)
        print("\n".join(report(proof)))
        failed = (proof.ratio < 1 - TOLERANCE).sum()
        if failed:
            raise SystemExit(f"density {density:g}: the value is not proved in {failed} cells")


if __name__ == "__main__":
    main()
