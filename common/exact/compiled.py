"""The exact loss of few ReLU features with its gradient, compiled: many models at once.

The recursion is that of `cube`, whose docstring derives it. Here it runs over all pairs (C, V) of
disjoint sets, C active and V shifted into the bias, written as numbers in base 3: digit j says of
feature j whether it is in neither (0), in V (1) or in C (2). Pairs with smaller numbers come first,
and the moments of one with digit 2 at j follow from those with 1 and with 0 there. The gradient is
that of the recursion, taken backwards.

Every output of every model is a lane: the last axis [R] of all arrays. Each step takes all lanes
through one pair without a branch, so that the processor does several at once; what a lane does not
need is computed and dropped. Loops over lanes write few arrays each: only then are they vectorised.
"""

from collections import namedtuple
from functools import lru_cache

import numpy as np

from common.exact import backwards, forwards
from common.exact.jit import compiled, lanes

LANES = 120  # outputs handled together, so that they stay in the cache
WIDTH = 8  # lanes that a processor may do at once: odd ones would be done singly

# members, shifted, rest [e]: the features j of C, pair by pair, and the pairs (C - j, V + j) and
# (C - j, V); those of pair q begin at first[q]. subset[q]: C in binary where V = {}, else -1.
Pairs = namedtuple("Pairs", "first members shifted rest subset")


@lru_cache
def pairs(n):
    """Every pair (C, V) of n features, as Pairs."""
    digits = (np.arange(3**n)[:, None] // 3 ** np.arange(n)) % 3
    pair, members = (digits == 2).nonzero()
    first = np.searchsorted(pair, np.arange(3**n + 1))
    subset = np.where((digits == 1).any(1), -1, (digits == 2) @ 2 ** np.arange(n))
    return Pairs(first, members, pair - 3**members, pair - 2 * 3**members, subset)


def loss_and_gradient(x, m, density, importance, penalty=0.0):
    """L + penalty R of tied ReLU models x [N, m n + n], W [m, n] and b [n] in one row: value [N],
    gradient [N, m n + n].

    density, importance, penalty : numbers, or what broadcasts to [N, n], [N, n] and [N], unchecked.
    For following the exact gradient: numpy arrays, microseconds a model of up to 5 features.
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    count, n = len(x), x.shape[1] // (m + 1)
    shapes = (count, n), (count, n), (count,)
    arrays = [
        np.ascontiguousarray(np.broadcast_to(np.asarray(v, dtype=np.float64), shape))
        for v, shape in zip((density, importance, penalty), shapes, strict=True)
    ]
    value, gradient = np.empty(count), np.empty_like(x)
    model_losses(x, np.arange(count), m, *arrays, pairs(n), value, gradient)
    return value, gradient


@compiled
def model_losses(x, index, m, p, importance, penalty, pairs, value, gradient):
    """Write value [N] and gradient [N, d] of L + penalty R for models x [N, d] = (W, b).

    index [N] : the problem of each model;  p, importance [P, n], penalty [P] : of the problems;
    R, the sum of (W_i . W_j)^2 over i != j, is `loss.interference_penalty`.
    """
    n = p.shape[1]
    block = min(len(x), max(1, LANES // n))
    A, room = np.empty((block, n, n)), _room(n, block * n)
    for begin in range(0, len(x), block):
        count = min(block, len(x) - begin)
        if count < block:
            room = _room(n, count * n)
        c, t, q, loss, by_row = room[:5]
        for k in range(count):
            _gram(x[begin + k], m, A[k])
            for i in range(n):
                lane = k * n + i
                t[lane] = x[begin + k, m * n + i]
                for j in range(n):
                    c[j, lane] = A[k, i, _feature(i, j)]
                    q[j, lane] = p[index[begin + k], _feature(i, j)]
        _row_losses(c, t, q, pairs, loss, by_row, room[5:])
        for k in range(count):
            which = index[begin + k]
            rows = slice(k * n, k * n + n)
            value[begin + k] = _add_rows(
                x[begin + k], m, A[k], importance[which], penalty[which],
                loss[rows], by_row[:, rows], gradient[begin + k],
            )  # fmt: skip


@lanes
def _feature(i, j):
    """The feature at place j in output i: its own first, then the others in order."""
    return i if j == 0 else (j if j > i else j - 1)


@compiled
def _gram(x, m, A):
    """Write A = W^T W [n, n]."""
    n = len(A)
    for i in range(n):
        for j in range(n):
            A[i, j] = 0.0
            for k in range(m):
                A[i, j] += x[k * n + i] * x[k * n + j]


@compiled
def _add_rows(x, m, A, importance, penalty, loss, by_row, gradient):
    """The loss of one model from those of its outputs [n]; writes its gradient. A is lost."""
    n, total = len(A), 0.0
    for i in range(n):
        total += importance[i] * loss[i]
        gradient[m * n + i] = importance[i] * by_row[n, i]
        for j in range(n):
            f = _feature(i, j)
            if j > 0:
                total += penalty * A[i, f] ** 2
            # From here on the derivative by A_if.
            A[i, f] = importance[i] * by_row[j, i] + (2 * penalty * A[i, f] if j > 0 else 0.0)
    for k in range(m):
        for i in range(n):
            by_W = 0.0
            for j in range(n):
                by_W += (A[i, j] + A[j, i]) * x[k * n + j]
            gradient[k * n + i] = by_W
    return total


@compiled
def _room(n, R):
    """Arrays for R lanes or a few more: those of `_row_losses` and what it works in.

    cube : least value and range of z over the cube of a pair, sum of c_j^2 / 12 over C; later the
           derivatives by these. F : the moments F^1, F^2 and H; by_F : derivatives by them.
    """
    states, R = 3**n, -(-R // WIDTH) * WIDTH
    c, t, p = np.zeros((n, R)), np.zeros(R), np.zeros((n, R))
    loss, gradient = np.empty(R), np.empty((n + 1, R))
    cube, F, by_F = np.empty((3, states, R)), np.empty((3, states, R)), np.empty((3, states, R))
    theta, total, slope = np.empty((states, R)), np.empty((3, R)), np.empty(R)
    side, chance = np.empty((2, n, R)), np.empty((2**n, R))
    return c, t, p, loss, gradient, cube, F, by_F, theta, total, slope, side, chance


@compiled
def _row_losses(c, t, p, pairs, loss, gradient, room):
    """Write E (x_0 - relu(z))^2 for z = t + c.x [R], and its gradient by c and t [n + 1, R].

    c [n, R] : the own feature first; t [R] : biases; p [n, R] : densities in the order of c.
    """
    first, members, shifted, rest, subset = pairs
    cube, F, by_F, theta, total, slope, side, chance = room
    states = len(first) - 1
    forwards.begin(c, t, p, side, chance, cube, loss)
    for q in range(states):
        k, own = first[q + 1] - first[q], q % 3 == 2
        forwards.place(theta, cube, q, k)
        total[:] = 0.0
        for e in range(first[q], first[q + 1]):
            j, u, v = members[e], shifted[e], rest[e]
            forwards.mix(total, F, theta, side, q, j, u, v)
            if own and j > 0:
                forwards.mix_own(total, F, theta, side, q, j, u, v)
        forwards.finish(F, total, theta, cube, q, k)
        if own:
            forwards.finish_own(F, total, theta, cube, side, c, q, k)
        forwards.count(loss, by_F, F, chance, q, subset[q], own)
    gradient[:] = 0.0
    for q in range(states - 1, -1, -1):
        k, own = first[q + 1] - first[q], q % 3 == 2
        backwards.weigh(total, slope, by_F, theta, q, k)
        if own:
            backwards.weigh_own(total, slope, by_F, F, theta, side, q, k)
            backwards.own_down(by_F, gradient, total, theta, side, q)
        for e in range(first[q], first[q + 1]):
            j, u, v = members[e], shifted[e], rest[e]
            backwards.steepen(slope, total, F, side, j, u, v)
            backwards.down(by_F, total, theta, side, q, j, v, 0.0, 1.0)
            backwards.down(by_F, total, theta, side, q, j, u, 1.0, -1.0)
            if own and j > 0:
                backwards.steepen_own(slope, total, F, side, j, u, v)
                backwards.down_own(by_F, total, theta, side, q, j, u, v)
        backwards.settle(cube, by_F, slope, theta, q, own)
    backwards.gather(gradient, total, cube, c, side)
