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
from numba import njit

LANES = 120  # outputs handled together, so that they stay in the cache
WIDTH = 8  # lanes that a processor may do at once: odd ones would be done singly
ZERO, LINEAR = -1.0, 2.0  # values of theta where the ReLU has no kink inside the cube of a pair

# lanes: a step that all lanes take together, written out where it is called.
compiled = njit(cache=True, nogil=True, error_model="numpy")
lanes = njit(cache=True, nogil=True, error_model="numpy", forceinline=True)

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
    _begin(c, t, p, side, chance, cube, loss)
    for q in range(states):
        k, own = first[q + 1] - first[q], q % 3 == 2
        _place(theta, cube, q, k)
        total[:] = 0.0
        for e in range(first[q], first[q + 1]):
            j, u, v = members[e], shifted[e], rest[e]
            _mix(total, F, theta, side, q, j, u, v)
            if own and j > 0:
                _mix_own(total, F, theta, side, q, j, u, v)
        _finish(F, total, theta, cube, q, k)
        if own:
            _finish_own(F, total, theta, cube, side, c, q, k)
        _count(loss, by_F, F, chance, q, subset[q], own)
    gradient[:] = 0.0
    for q in range(states - 1, -1, -1):
        k, own = first[q + 1] - first[q], q % 3 == 2
        _weigh(total, slope, by_F, theta, q, k)
        if own:
            _weigh_own(total, slope, by_F, F, theta, side, q, k)
            _own_down(by_F, gradient, total, theta, side, q)
        for e in range(first[q], first[q + 1]):
            j, u, v = members[e], shifted[e], rest[e]
            _steepen(slope, total, F, side, j, u, v)
            _down(by_F, total, theta, side, q, j, v, 0.0, 1.0)
            _down(by_F, total, theta, side, q, j, u, 1.0, -1.0)
            if own and j > 0:
                _steepen_own(slope, total, F, side, j, u, v)
                _down_own(by_F, total, theta, side, q, j, u, v)
        _settle(cube, by_F, slope, theta, q, own)
    _gather(gradient, total, cube, c, side)


@lanes
def _begin(c, t, p, side, chance, cube, loss):
    """Write the sides of the c_j, the chance of every active set, and the cubes of all pairs.

    s_j = side[0, j] + side[1, j] theta: theta where c_j > 0, else 1 - theta.
    """
    R, power = len(t), 1
    for lane in range(R):
        loss[lane], chance[0, lane] = 0.0, 1.0
        cube[0, 0, lane], cube[1, 0, lane], cube[2, 0, lane] = t[lane], 0.0, 0.0
    for j in range(len(c)):
        for lane in range(R):
            side[0, j, lane] = 0.0 if c[j, lane] > 0 else 1.0
            side[1, j, lane] = 1.0 if c[j, lane] > 0 else -1.0
        for without in range(1 << j):
            for lane in range(R):
                chance[(1 << j) + without, lane] = chance[without, lane] * p[j, lane]
            for lane in range(R):
                chance[without, lane] *= 1 - p[j, lane]
        for q in range(power):
            in_V, in_C = power + q, 2 * power + q
            for lane in range(R):
                cube[0, in_V, lane] = cube[0, q, lane] + c[j, lane]
                cube[0, in_C, lane] = cube[0, q, lane] + min(c[j, lane], 0.0)
            for lane in range(R):
                cube[1, in_V, lane] = cube[1, q, lane]
                cube[1, in_C, lane] = cube[1, q, lane] + abs(c[j, lane])
            for lane in range(R):
                cube[2, in_V, lane] = cube[2, q, lane]
                cube[2, in_C, lane] = cube[2, q, lane] + c[j, lane] ** 2 * (1 / 12)
        power *= 3


@lanes
def _place(theta, cube, q, k):
    """Where the kink of pair q lies in the range of z: theta in [0, 1], or LINEAR or ZERO."""
    for lane in range(theta.shape[1]):
        low, width = cube[0, q, lane], cube[1, q, lane]
        inside = -low / width
        place = inside if low + width > 0 else ZERO
        theta[q, lane] = LINEAR if (low > 0) | ((low == 0) & (k > 0)) else place


@lanes
def _mix(total, F, theta, side, q, j, u, v):
    """Add (1 - s) F_u + s F_v of the member j to the sums of pair q."""
    for lane in range(theta.shape[1]):
        s = side[0, j, lane] + side[1, j, lane] * theta[q, lane]
        total[0, lane] += F[0, u, lane] + s * (F[0, v, lane] - F[0, u, lane])
        total[1, lane] += F[1, u, lane] + s * (F[1, v, lane] - F[1, u, lane])


@lanes
def _mix_own(total, F, theta, side, q, j, u, v):
    """The same for H."""
    for lane in range(theta.shape[1]):
        s = side[0, j, lane] + side[1, j, lane] * theta[q, lane]
        total[2, lane] += F[2, u, lane] + s * (F[2, v, lane] - F[2, u, lane])


@lanes
def _finish(F, total, theta, cube, q, k):
    """Write F^1 and F^2 of pair q."""
    share1, share2 = 1 / (k + 1), 1 / (k + 2)
    for lane in range(theta.shape[1]):
        where, mean = theta[q, lane], cube[0, q, lane] + 0.5 * cube[1, q, lane]
        kink = total[0, lane] * share1
        F[0, q, lane] = mean if where > 1 else (kink if where >= 0 else 0.0)
    for lane in range(theta.shape[1]):
        where, mean = theta[q, lane], cube[0, q, lane] + 0.5 * cube[1, q, lane]
        kink, square = total[1, lane] * share2, mean * mean + cube[2, q, lane]
        F[1, q, lane] = square if where > 1 else (kink if where >= 0 else 0.0)


@lanes
def _finish_own(F, total, theta, cube, side, c, q, k):
    """Write H of pair q."""
    share = 1 / (k + 2)
    for lane in range(theta.shape[1]):
        where, mean = theta[q, lane], cube[0, q, lane] + 0.5 * cube[1, q, lane]
        s = side[0, 0, lane] + side[1, 0, lane] * where
        own = F[0, q - 1, lane] + s * (F[0, q, lane] - F[0, q - 1, lane])
        kink, whole = (total[2, lane] + own) * share, 0.5 * mean + c[0, lane] * (1 / 12)
        F[2, q, lane] = whole if where > 1 else (kink if where >= 0 else 0.0)


@lanes
def _count(loss, by_F, F, chance, q, subset, own):
    """Add pair q to the loss if it is an active set; write the derivatives by its moments."""
    share = 1.0 if own else 0.0
    if subset < 0:
        for lane in range(len(loss)):
            by_F[0, q, lane], by_F[1, q, lane], by_F[2, q, lane] = 0.0, 0.0, 0.0
        return
    for lane in range(len(loss)):
        by_F[0, q, lane] = 0.0
        by_F[1, q, lane] = chance[subset, lane]
        by_F[2, q, lane] = -2 * share * chance[subset, lane]
    for lane in range(len(loss)):
        loss[lane] += chance[subset, lane] * F[1, q, lane]
    if own:
        for lane in range(len(loss)):
            loss[lane] += chance[subset, lane] * (1 / 3 - 2 * F[2, q, lane])


@lanes
def _weigh(weight, slope, by_F, theta, q, k):
    """Write the derivatives by the sums of pair q, 0 without a kink, and begin that by theta."""
    share1, share2 = 1 / (k + 1), 1 / (k + 2)
    weight[2] = 0.0
    slope[:] = 0.0
    for lane in range(theta.shape[1]):
        where, by_1 = theta[q, lane], by_F[0, q, lane] * share1
        weight[0, lane] = by_1 if (where >= 0) & (where <= 1) else 0.0
    for lane in range(theta.shape[1]):
        where, by_2 = theta[q, lane], by_F[1, q, lane] * share2
        weight[1, lane] = by_2 if (where >= 0) & (where <= 1) else 0.0


@lanes
def _weigh_own(weight, slope, by_F, F, theta, side, q, k):
    """The same where H passes its derivative on to F^1 of the pair itself."""
    share1, share2 = 1 / (k + 1), 1 / (k + 2)
    for lane in range(theta.shape[1]):
        where, by_H = theta[q, lane], by_F[2, q, lane] * share2
        s = side[0, 0, lane] + side[1, 0, lane] * where
        by_sum = by_H if (where >= 0) & (where <= 1) else 0.0
        weight[0, lane] += by_sum * s * share1
        weight[2, lane] = by_sum
        slope[lane] = side[1, 0, lane] * by_sum * (F[0, q, lane] - F[0, q - 1, lane])


@lanes
def _own_down(by_F, gradient, weight, theta, side, q):
    """Pass the derivative by H on to F^1 of (C - 0, V + 0), or to c_0 where the ReLU is linear."""
    for lane in range(theta.shape[1]):
        s = side[0, 0, lane] + side[1, 0, lane] * theta[q, lane]
        by_F[0, q - 1, lane] += weight[2, lane] * (1 - s)
    for lane in range(theta.shape[1]):
        direct = by_F[2, q, lane] * (1 / 12)
        gradient[0, lane] += direct if theta[q, lane] > 1 else 0.0


@lanes
def _steepen(slope, weight, F, side, j, u, v):
    """Add what the member j contributes to the derivative by theta."""
    for lane in range(len(slope)):
        by_s = weight[0, lane] * (F[0, v, lane] - F[0, u, lane])
        by_s += weight[1, lane] * (F[1, v, lane] - F[1, u, lane])
        slope[lane] += side[1, j, lane] * by_s


@lanes
def _steepen_own(slope, weight, F, side, j, u, v):
    """The same for H."""
    for lane in range(len(slope)):
        slope[lane] += side[1, j, lane] * weight[2, lane] * (F[2, v, lane] - F[2, u, lane])


@lanes
def _down(by_F, weight, theta, side, q, j, to, base, sign):
    """Pass the derivatives of pair q on to pair `to`, with the weight base + sign s_j."""
    for lane in range(theta.shape[1]):
        s = base + sign * (side[0, j, lane] + side[1, j, lane] * theta[q, lane])
        by_F[0, to, lane] += weight[0, lane] * s
        by_F[1, to, lane] += weight[1, lane] * s


@lanes
def _down_own(by_F, weight, theta, side, q, j, u, v):
    """The same for H, to both pairs."""
    for lane in range(theta.shape[1]):
        s = side[0, j, lane] + side[1, j, lane] * theta[q, lane]
        by_F[2, u, lane] += weight[2, lane] * (1 - s)
        by_F[2, v, lane] += weight[2, lane] * s


@lanes
def _settle(cube, by_F, slope, theta, q, own):
    """Write the derivatives by what stands in `cube` in its place."""
    share = 0.5 if own else 0.0
    for lane in range(theta.shape[1]):
        where, width = theta[q, lane], cube[1, q, lane]
        mean = cube[0, q, lane] + 0.5 * width
        whole = by_F[0, q, lane] + 2 * mean * by_F[1, q, lane] + share * by_F[2, q, lane]
        kink, by_square = -slope[lane] / width, by_F[1, q, lane]
        edge, by_width = kink * where, 0.5 * whole
        cube[0, q, lane] = whole if where > 1 else (kink if where >= 0 else 0.0)
        cube[1, q, lane] = by_width if where > 1 else (edge if where >= 0 else 0.0)
        cube[2, q, lane] = by_square if where > 1 else 0.0


@lanes
def _gather(gradient, total, cube, c, side):
    """Add the derivatives by all cubes to those by c and t."""
    n, R = c.shape
    power = 3**n
    for j in range(n - 1, -1, -1):
        power //= 3
        total[:] = 0.0
        for q in range(power):
            in_V, in_C = power + q, 2 * power + q
            for lane in range(R):
                total[0, lane] += cube[0, in_C, lane]
                total[1, lane] += cube[1, in_C, lane]
                total[2, lane] += cube[2, in_C, lane]
            for lane in range(R):
                gradient[j, lane] += cube[0, in_V, lane]
            for i in range(3):
                for lane in range(R):
                    cube[i, q, lane] += cube[i, in_V, lane] + cube[i, in_C, lane]
        for lane in range(R):
            by_low, by_width = total[0, lane], total[1, lane]
            edge = by_width if side[1, j, lane] > 0 else by_low - by_width
            gradient[j, lane] += edge + total[2, lane] * c[j, lane] * (1 / 6)
    for lane in range(R):
        gradient[n, lane] = cube[0, 0, lane]
