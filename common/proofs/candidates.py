"""Two features in one dimension: the models that descents find, and their loss from above."""

import numpy as np

from common.proofs.moments import row_loss
from common.proofs.outputs import best_bias
from common.proofs.rounding import add, compiled, mul, point
from common.proofs.weights import reach


@compiled
def exact_value(x, y, r, penalty, p):
    """L at W = (x, y) with good biases, from above where x and y are numbers of single precision.

    Then the products x^2, x y and y^2 are exact in double precision.
    """
    a, c, g = x * x, y * y, x * y
    upper = row_loss(a, g, best_bias(a, g, p)[0], p)
    lower = row_loss(c, g, best_bias(c, g, p)[0], p)
    overlap = mul(point(2 * penalty), mul(point(g), point(g)))
    return add(add(upper, mul(point(r), lower)), overlap)[1]


@compiled
def tabulate(first, second, p):
    """Losses [len(first), len(second), 2] of both rows at W = (first, second)."""
    table = np.empty((len(first), len(second), 2))
    for i in range(len(first)):
        for j in range(len(second)):
            x, y = first[i], second[j]
            table[i, j] = best_bias(x * x, x * y, p)[1], best_bias(y * y, x * y, p)[1]
    return table


@compiled
def descend(x, y, r, penalty, p, step):
    """A local minimum (L, x, y) next to W = (x, y), x >= 0, by a search along a pattern."""
    moves = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (1, -1), (-1, 1))
    least = exact_value(x, y, r, penalty, p)
    while step > 1e-6:
        moved = False
        for move in moves:
            there = abs(x + step * move[0]), y + step * move[1]
            value = exact_value(there[0], there[1], r, penalty, p)
            if value < least:
                x, y, least, moved = there[0], there[1], value, True
        step = step if moved else step / 3
    return least, x, y


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
