"""The exact loss of few ReLU features and its minimisation, compiled: one model after another.

The recursion is that of `cube`, whose docstring derives it. Here it runs over all pairs (C, V) of
disjoint sets, C active and V shifted into the bias, written as numbers in base 3: digit j says of
feature j whether it is in neither (0), in V (1) or in C (2). Pairs with smaller numbers come first,
and the moments of one with digit 2 at j follow from those with 1 and with 0 there. The gradient is
that of the recursion, taken backwards. `bfgs` describes the minimisation; this is the same method.
"""

from functools import lru_cache

import numpy as np
from numba import njit

# Of `bfgs` as well. They stand here because numba compiles anew only when this file changes.
SUFFICIENT = 1e-4  # Armijo: share of the predicted decrease that a step must bring
ROUNDING = 1e-14  # differences of values below this are rounding (values are of order 1)
FIRST_STEP = 0.3  # length of a step from an inverse Hessian that is only a guess
LONGEST = 1.0  # longest step, so that an early one does not leave the region of interest
SHORTEST = 1e-10  # steps, in units of the search direction, after which a problem is given up,
PATIENCE = 100  # or evaluations in a row
LEAST_GAIN = 1e-13  # none of which lowers the value by this much

UNUSED, ZERO, LINEAR, KINKED = range(4)  # what the ReLU does over the cube of a pair

compiled = njit(cache=True, nogil=True, error_model="numpy")


@lru_cache
def pairs(n):
    """Every pair (C, V) of n features [3^n, n + 1]: its digits, and the size of C."""
    digits = (np.arange(3**n)[:, None] // 3 ** np.arange(n)) % 3
    return np.concatenate([digits, (digits == 2).sum(1, keepdims=True)], 1)


@compiled
def row_loss(c, t, p, digits, gradient, work):
    """E (x_0 - relu(z))^2 for z = t + c.x; writes its gradient by c and t.

    c [n] : the own feature first; t : the bias; p [n] : densities of the features in that order
    digits : `pairs(n)`;  gradient [n + 1], work [10, 3^n] : overwritten
    """
    low, width, chance, kind, F1, F2, H, a1, a2, aH = work
    _cubes(c, t, p, digits, low, width, chance, kind)
    _moments(c, low, width, kind, digits, F1, F2, H)
    loss = 0.0
    for pair in range(len(chance)):
        a1[pair], a2[pair], aH[pair] = 0.0, chance[pair], 0.0
        if chance[pair] > 0:
            loss += chance[pair] * F2[pair]
            if digits[pair, 0] == 2:
                loss += chance[pair] * (1 / 3 - 2 * H[pair])
                aH[pair] = -2 * chance[pair]
    _backwards(c, low, width, kind, digits, F1, F2, H, a1, a2, aH, gradient)
    return loss


@compiled
def _cubes(c, t, p, digits, low, width, chance, kind):
    """Write of every pair: least value and range of z over its cube, its probability, its kind.

    Only pairs that have a probability, or that others are computed from, get a kind.
    """
    states, n = len(digits), digits.shape[1] - 1
    low[0], width[0], chance[0] = t, 0.0, 1.0
    power = 1
    for j in range(n):
        for rest in range(power):
            shifted, active = power + rest, 2 * power + rest
            low[shifted], width[shifted] = low[rest] + c[j], width[rest]
            low[active], width[active] = low[rest] + min(c[j], 0.0), width[rest] + abs(c[j])
            chance[shifted], chance[active] = 0.0, chance[rest] * p[j]
            chance[rest] *= 1 - p[j]
        power *= 3
    for pair in range(states):
        kind[pair] = ZERO if chance[pair] > 0 else UNUSED
    for pair in range(states - 1, -1, -1):
        if kind[pair] == UNUSED:
            continue
        if low[pair] > 0 or (low[pair] == 0 and digits[pair, n] > 0):
            kind[pair] = LINEAR
        elif low[pair] + width[pair] > 0:
            kind[pair] = KINKED
            for j in range(n):
                if digits[pair, j] == 2:
                    kind[pair - 3**j] = kind[pair - 2 * 3**j] = ZERO  # until their turn comes


@compiled
def _moments(c, low, width, kind, digits, F1, F2, H):
    """Write F^1, F^2 and H of every pair that has a kind; H where the own feature is active."""
    states, n = len(digits), digits.shape[1] - 1
    for pair in range(states):
        F1[pair], F2[pair], H[pair] = 0.0, 0.0, 0.0
        own = digits[pair, 0] == 2
        if kind[pair] == LINEAR:
            mean, variance = low[pair] + width[pair] / 2, 0.0
            for j in range(n):
                if digits[pair, j] == 2:
                    variance += c[j] ** 2 / 12
            F1[pair], F2[pair] = mean, mean**2 + variance
            if own:
                H[pair] = mean / 2 + c[0] / 12
        elif kind[pair] == KINKED:
            theta, k = -low[pair] / width[pair], digits[pair, n]
            f1, f2, h = 0.0, 0.0, 0.0
            for j in range(n):
                if digits[pair, j] == 2:
                    s = theta if c[j] > 0 else 1 - theta
                    shifted, rest = pair - 3**j, pair - 2 * 3**j
                    f1 += (1 - s) * F1[shifted] + s * F1[rest]
                    f2 += (1 - s) * F2[shifted] + s * F2[rest]
                    if own and j > 0:
                        h += (1 - s) * H[shifted] + s * H[rest]
            F1[pair], F2[pair] = f1 / (k + 1), f2 / (k + 2)
            if own:
                s = theta if c[0] > 0 else 1 - theta
                H[pair] = (h + (1 - s) * F1[pair - 1] + s * F1[pair]) / (k + 2)


@compiled
def _backwards(c, low, width, kind, digits, F1, F2, H, a1, a2, aH, gradient):
    """Gradient [n + 1] by c and t, from the derivatives a1, a2, aH by F^1, F^2 and H."""
    states, n = len(digits), digits.shape[1] - 1
    gradient[:] = 0
    for pair in range(states - 1, -1, -1):
        if kind[pair] == LINEAR:
            by_low = a1[pair] + 2 * (low[pair] + width[pair] / 2) * a2[pair]
            if digits[pair, 0] == 2:
                by_low += aH[pair] / 2
                gradient[0] += aH[pair] / 12
            by_width = by_low / 2
            for j in range(n):
                if digits[pair, j] == 2:
                    gradient[j] += a2[pair] * c[j] / 6
        elif kind[pair] == KINKED:
            theta = -low[pair] / width[pair]
            by_theta = _through_kink(pair, theta, c, digits, F1, F2, H, a1, a2, aH)
            by_low, by_width = -by_theta / width[pair], -by_theta * theta / width[pair]
        else:
            continue
        gradient[n] += by_low
        for j in range(n):
            if digits[pair, j] == 1:
                gradient[j] += by_low
            elif digits[pair, j] == 2:
                gradient[j] += by_width if c[j] > 0 else by_low - by_width


@njit(inline="always")  # as a call of its own it would double the time
def _through_kink(pair, theta, c, digits, F1, F2, H, a1, a2, aH):
    """Pass the derivatives of one pair on to those below it; the derivative by theta."""
    n = digits.shape[1] - 1
    own, k, by_theta = digits[pair, 0] == 2, digits[pair, n], 0.0
    w2, wH = a2[pair] / (k + 2), aH[pair] / (k + 2)
    if own:
        s = theta if c[0] > 0 else 1 - theta
        a1[pair - 1] += wH * (1 - s)
        a1[pair] += wH * s
        by_theta += wH * (F1[pair] - F1[pair - 1]) * (1 if c[0] > 0 else -1)
    w1 = a1[pair] / (k + 1)
    for j in range(n):
        if digits[pair, j] == 2:
            s = theta if c[j] > 0 else 1 - theta
            shifted, rest = pair - 3**j, pair - 2 * 3**j
            by_s = w1 * (F1[rest] - F1[shifted]) + w2 * (F2[rest] - F2[shifted])
            a1[shifted] += w1 * (1 - s)
            a1[rest] += w1 * s
            a2[shifted] += w2 * (1 - s)
            a2[rest] += w2 * s
            if own and j > 0:
                by_s += wH * (H[rest] - H[shifted])
                aH[shifted] += wH * (1 - s)
                aH[rest] += wH * s
            by_theta += by_s if c[j] > 0 else -by_s
    return by_theta


@compiled
def model_loss(x, m, p, importance, penalty, digits, gradient, work):
    """Loss of the tied model x = (W, b) [m n + n] plus penalty R(W); writes the gradient of both.

    p, importance [n];  R(W), the sum of (W_i . W_j)^2 over i != j, is `loss.interference_penalty`.
    """
    n = len(p)
    W, order = x[: m * n].reshape(m, n), np.empty(n, np.int64)
    vectors = np.empty((n + 3, n + 1))
    c, densities, row, by_A = vectors[0, :n], vectors[1, :n], vectors[2], vectors[3:, :n]
    loss = 0.0
    for i in range(n):
        for j in range(n):  # the own feature first, then the others in order
            order[j] = i if j == 0 else (j if j > i else j - 1)
            c[j] = 0.0
            for k in range(m):
                c[j] += W[k, i] * W[k, order[j]]
            densities[j] = p[order[j]]
        loss += importance[i] * row_loss(c, x[m * n + i], densities, digits, row, work)
        by_A[i, i] = importance[i] * row[0]
        for j in range(1, n):
            loss += penalty * c[j] ** 2
            by_A[i, order[j]] = importance[i] * row[j] + 2 * penalty * c[j]
        gradient[m * n + i] = importance[i] * row[n]
    for k in range(m):
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += (by_A[i, j] + by_A[j, i]) * W[k, j]
            gradient[k * n + i] = total
    return loss


def loss_and_gradient(x, m, density, importance, penalty=0.0):
    """L + penalty R of tied ReLU models x [N, m n + n], W [m, n] and b [n] in one row: value [N],
    gradient [N, m n + n].

    density, importance, penalty : numbers, or what broadcasts to [N, n], [N, n] and [N], unchecked.
    For following the exact gradient: numpy arrays, some microseconds a model of up to 5 features.
    """
    x = np.ascontiguousarray(x, dtype=np.float64)
    count, n = len(x), x.shape[1] // (m + 1)
    shapes = (count, n), (count, n), (count,)
    arrays = [
        np.ascontiguousarray(np.broadcast_to(np.asarray(v, dtype=np.float64), shape))
        for v, shape in zip((density, importance, penalty), shapes, strict=True)
    ]
    value, gradient = np.empty(count), np.empty_like(x)
    _all_losses(x, m, *arrays, pairs(n), value, gradient)
    return value, gradient


@compiled
def _all_losses(x, m, p, importance, penalty, digits, value, gradient):
    """Write value [N] and gradient [N, d] of all models x [N, d]."""
    work = np.empty((10, len(digits)))
    for k in range(len(x)):
        value[k] = model_loss(x[k], m, p[k], importance[k], penalty[k], digits, gradient[k], work)


@compiled
def minimise_all(starts, m, p, importance, penalty, units, digits, tolerance, rounds):
    """Minimise N problems from starts [N, d]: x [N, d], value [N], largest gradient entry [N].

    p, importance [N, n];  penalty [N];  units [N, d] : scale of every variable;  others as in
    `bfgs`. Values and gradients are relative to the loss of a model that outputs 0.
    """
    x, value, gradient = starts.copy(), np.empty(len(starts)), np.empty(len(starts))
    for k in range(len(starts)):
        scale = (importance[k] * p[k]).sum() / 3
        share = importance[k] / scale
        value[k], gradient[k] = _minimise(
            x[k], m, p[k], share, penalty[k] / scale, units[k] ** 2, digits, tolerance, rounds
        )
    return x, value, gradient


@compiled
def _minimise(x, m, p, importance, penalty, diagonal, digits, tolerance, rounds):
    """Move x [d] to a minimum: (value, largest entry of the gradient)."""
    d = len(x)
    gradient, new_gradient, trial = np.empty(d), np.empty(d), np.empty(d)
    inverse, direction = np.diag(diagonal), np.empty(d)
    work = np.empty((10, len(digits)))
    value = model_loss(x, m, p, importance, penalty, digits, gradient, work)
    fresh, idle, last = True, 0, value
    step = _next_step(inverse, diagonal, gradient, direction, True)
    for _ in range(rounds):
        if np.abs(gradient).max() <= tolerance or step <= SHORTEST or idle >= PATIENCE:
            break
        for k in range(d):
            trial[k] = x[k] + step * direction[k]
        new_value = model_loss(trial, m, p, importance, penalty, digits, new_gradient, work)
        slope = (gradient * direction).sum()
        if new_value <= value + SUFFICIENT * step * slope + ROUNDING:
            fresh = _update(inverse, diagonal, trial - x, new_gradient - gradient, fresh)
            x[:], gradient[:], value = trial, new_gradient, new_value
            step = _next_step(inverse, diagonal, gradient, direction, fresh)
            if step < 0:  # uphill: begin again
                inverse[:], fresh = np.diag(diagonal), True
                step = _next_step(inverse, diagonal, gradient, direction, True)
        else:  # the minimum of the parabola through what is known is the next guess
            curvature = max(new_value - value - step * slope, 1e-300)
            step *= min(max(-slope * step / (2 * curvature), 0.1), 0.5)
        idle += 1
        if value <= last - LEAST_GAIN:
            idle, last = 0, value
    return value, np.abs(gradient).max()


@compiled
def _next_step(inverse, diagonal, gradient, direction, fresh):
    """Length of the next step along `direction`, which is written; -1 if that leads uphill."""
    d = len(gradient)
    length, slope = 0.0, 0.0
    for i in range(d):
        direction[i] = 0.0
        for j in range(d):
            direction[i] -= inverse[i, j] * gradient[j]
        length += direction[i] ** 2
        slope += direction[i] * gradient[i]
    if slope > 0:
        return -1.0
    length = max(np.sqrt(length), 1e-300)
    return min(FIRST_STEP / length if fresh else 1.0, LONGEST / length, 1e6)


@compiled
def _update(inverse, diagonal, s, y, fresh):
    """BFGS update where the step shows positive curvature; whether the matrix is still a guess."""
    sy, d = (s * y).sum(), len(s)
    if sy <= 1e-10 * np.sqrt((s * s).sum() * (y * y).sum()):
        return fresh
    if fresh:  # takes the scale of the first curvature seen
        inverse *= sy / (diagonal * y * y).sum()
    Hy = np.zeros(d)
    for i in range(d):
        for j in range(d):
            Hy[i] += inverse[i, j] * y[j]
    weight = (1 + (y * Hy).sum() / sy) / sy
    for i in range(d):
        for j in range(d):
            inverse[i, j] += weight * s[i] * s[j] - (Hy[i] * s[j] + s[i] * Hy[j]) / sy
    return False
