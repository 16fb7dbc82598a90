"""Two features in one dimension: the loss over boxes of weights from below, until they cover all.

Points 3 to 5 of the argument in the docstring of `smallest`. The corners of boxes are exact:
numbers of few binary digits, or rounded outward.
"""

import math
from collections import namedtuple

import numpy as np

from common.proofs.outputs import alone, row_bound, widest
from common.proofs.rounding import add, compiled, down, mul, point, size, square, sub, up

DROPPED, DEDICATED, PAIR, OTHER = 1, 2, 4, 8  # a box may reach into several: their sum
PHASES = {DROPPED: "dropped", DEDICATED: "dedicated", PAIR: "paired", OTHER: "other"}
# A weight less than tan(22.5 degrees) of the other one is nearer to its absence than to a pair.
RATIO_LOW, RATIO_HIGH = 0.41421356, 0.41421357  # around that tangent, the square root of 2 less 1
LEAST_RANGE = 0.05  # of w_1^2 + w_2^2: below, the model counts as empty

COARSE = 0.4  # width of a box from which on only G >= H is tried
FINEST = 2.0**-14  # width of a box that is not divided any further
MOST = 400_000  # boxes after which none is divided: a value that is wrong ends there

# Numbers and penalties of the cells [N], the value found in each, and its phase.
Cells = namedtuple("Cells", "r penalty value phase")
# Of each cell [N]: the least bound of any box relative to the value; whether the model is proven to
# be of the phase found.
State = namedtuple("State", "ratio proven")


@compiled
def quick_bound(first, second, r, penalty, p):
    """L over a box of weights from below by G >= H: two ranges, r and the penalty."""
    a, c = square(first), square(second)
    rows = add(point(alone(a[0], a[1], p)), mul(point(r), point(alone(c[0], c[1], p))))
    return add(rows, mul(point(2 * penalty), mul(point(a[0]), point(c[0]))))[0]


@compiled
def form_bound(first, second, upper, lower, r, penalty):
    """L over a box of weights from below, by the bounds (c, alpha, gamma) of both rows."""
    x, y = (first[0] + first[1]) / 2, (second[0] + second[1]) / 2
    h = 0.0, max(up(first[1] - x), up(x - first[0]))
    k = 0.0, max(up(second[1] - y), up(y - second[0]))
    r, x, y, two = point(r), point(x), point(y), point(2.0)
    middle = x[0] * y[0]  # g_0, any number: rounded as it may be
    lean = mul(point(4 * penalty), point(middle))
    A, B = point(upper[1]), mul(r, point(lower[1]))
    C = add(add(point(upper[2]), mul(r, point(lower[2]))), lean)
    total = add(point(upper[0]), mul(r, point(lower[0])))
    total = sub(total, mul(point(2 * penalty), mul(point(middle), point(middle))))
    total = add(total, add(mul(A, mul(x, x)), add(mul(B, mul(y, y)), mul(C, mul(x, y)))))
    total = sub(total, mul(size(add(mul(two, mul(A, x)), mul(C, y))), h))
    total = sub(total, mul(size(add(mul(two, mul(B, y)), mul(C, x))), k))
    total = sub(total, mul(size(C), mul(h, k)))
    total = add(total, mul((min(A[0], 0.0), 0.0), mul(h, h)))
    return add(total, mul((min(B[0], 0.0), 0.0), mul(k, k)))[0]


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


@compiled
def cover(p, cells, tolerance, finest):
    """Cover the half-plane w_1 >= 0 with boxes. Returns the State and the number of boxes."""
    depth, boxes, top = 200, 0, 0
    W = 2.0 ** (1 + math.ceil(math.log2(widest(p))))
    state = outside(W, p, cells)
    edges, todo = np.empty((depth, 4)), np.ones((depth, len(cells.r)), np.bool_)
    edges[0] = np.array([0.0, W, -W, W])
    while top >= 0:
        boxes += 1
        first, second = (edges[top, 0], edges[top, 1]), (edges[top, 2], edges[top, 3])
        wide, tall = first[1] - first[0], second[1] - second[0]
        last = max(wide, tall) <= finest or boxes > MOST or top + 2 > depth
        if settle(first, second, p, cells, tolerance, todo[top], state, last) == 0:
            top -= 1
            continue
        edges[top + 1], todo[top + 1] = edges[top], todo[top]
        side = 0 if wide >= tall else 2
        cut = (edges[top, side] + edges[top, side + 1]) / 2
        edges[top, side + 1], edges[top + 1, side] = cut, cut
        top += 1
    return state, boxes


@compiled
def outside(W, p, cells):
    """The State by models with a weight of W > 1 or more alone: there L >= min(1, r) H(W^2)."""
    least, count = alone(down(W * W), math.inf, p), len(cells.r)
    state = State(np.empty(count), np.empty(count, np.bool_))
    for n in range(count):
        bound = min(least, mul(point(cells.r[n]), point(least))[0])
        state.ratio[n] = down(bound / cells.value[n])
        state.proven[n] = bound > cells.value[n]
    return state


@compiled
def settle(first, second, p, cells, tolerance, todo, state, last):
    """Bound L on a box in all cells that are `todo` [N], and close those where the box is done.

    Done: the bound is above the value, or, where the box has no part in other phases than the
    cell's own, above 1 - tolerance of it. A box that is not divided any further, `last`, is closed
    in all cells, with what it leaves unproven. Returns how many stay open.
    """
    phases, left = reach(first, second), 0
    coarse = max(first[1] - first[0], second[1] - second[0]) > COARSE
    bounded, upper, lower = False, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    for n in range(len(todo)):
        if not todo[n]:
            continue
        r, penalty, value = cells.r[n], cells.penalty[n], cells.value[n]
        enough = (1 - tolerance) * value if phases == cells.phase[n] else value
        bound = quick_bound(first, second, r, penalty, p)
        if not bound > enough and not coarse:
            if not bounded:  # the rows are those of all cells
                g, bounded = mul(first, second), True
                upper, lower = row_bound(square(first), g, p), row_bound(square(second), g, p)
            bound = max(bound, form_bound(first, second, upper, lower, r, penalty))
        if not (bound > enough or last):
            left += 1
            continue
        todo[n] = False
        state.ratio[n] = min(state.ratio[n], down(bound / value))
        if not bound > enough:
            state.proven[n] &= phases == cells.phase[n]
    return left
