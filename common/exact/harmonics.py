"""The sum over harmonics of `series`, compiled, with its derivatives in the same sweep.

Harmonic k (odd) needs e^{ik a} of every feature, a = pi c_j / (2 L). LANES harmonics stand side by
side, spread from the first of them by complex products: no sine or cosine is taken here. That makes
e^{ik a} wrong by about k times 1e-16, which the weights 1/k^2 make up for. All that is left are
sums, products and divisions in a fixed order: the same bits on every processor. Loops along
LANES write few arrays each, real and imaginary parts apart: only then are they vectorised.
"""

import math

import numpy as np

from .jit import compiled

LANES = 64  # harmonics side by side, a power of 2, and of the first block
MOST_HARMONICS = 2**14  # after these a row ends whatever its accuracy
SMALL = 0.02  # half angles below which `_transforms` takes a Taylor series
TINY = 1e-150  # added to every factor, so that one of 0 can be divided out again


@compiled
def add_harmonics(angle, turn, p, live, none, one, period, kinked, base, importance, accuracy,
                  value, by_t, by_c):  # fmt: skip
    """Add the harmonics of all rows with a kink to value [N, n], and their derivatives to by_t
    [N, n] and by_c [N, n, n].

    angle [N, n, n + 1] : a of every entry of c, not 0, and pi t / L behind them;
    turn [N, n, n + 1, 2] : its cosine and sine;  base [N, n] : the loss without the sum;
    all others as in `series.row_loss`.
    """
    n = base.shape[1]
    block = np.zeros(n)
    for m in range(len(base)):
        power, going_on, first, count = turn[m].copy(), kinked[m].copy(), 0, LANES
        scale = np.sum(importance[m] * p[m, :, 0]) / 3
        while going_on.any() and first < MOST_HARMONICS:
            loss = 0.0
            for i in range(n):
                if going_on[i]:
                    block[i], slope = _add_block(
                        first, count, angle[m, i], turn[m, i], power[i], p[m, i], live[m, i],
                        none[m, i], one[m, i], period[m, i], by_c[m, i],
                    )  # fmt: skip
                    value[m, i] += block[i]
                    by_t[m, i] += slope
                loss += importance[m, i] * (base[m, i] + value[m, i])
            allowed = accuracy * max(loss, 1e-9 * scale) / n
            for i in range(n):
                going_on[i] &= importance[m, i] * abs(block[i]) > allowed
            first, count = first + count, first + count


@compiled
def _add_block(first, count, angle, turn, power, p, live, none, one, period, by_c):
    """Harmonics of one row, `count` from number `first` on: their sum and its derivative by t; that
    by c is added to by_c [n]. power [n + 1, 2] : e^{ik a} of the first, moved to the next block."""
    n = len(p)
    z, k, sums = np.empty((n + 1, 2, LANES)), np.empty(LANES), np.zeros((n + 2, LANES))
    factor, psi = np.empty((n, 2, LANES)), np.empty((n, 2, LANES))
    products, beside = np.empty((4, 2, LANES)), np.empty((4, 2, LANES))
    for begin in range(first, first + count, LANES):
        for q in range(LANES):
            k[q] = 2 * (begin + q) + 1
        for j in range(n + 1):
            _spread(turn[j], power[j], z[j])
        for j in range(n):
            _transforms(z[j], angle[j], k, factor[j], psi[j])
        _multiply_out(z[n], p, live, none, one, factor, products)
        _finish(k, period, p[0], one[0], angle[0], z[0], psi[0], products, beside, sums)
        for j in range(n):
            which = 0 if j == 0 else (1 if live[j] else 2)
            _add_slopes(p[j], one[j], factor[j], psi[j], beside[which], beside[3], sums[j])
    for j in range(n):
        by_c[j] += np.sum(sums[j])
    return np.sum(sums[n]), np.sum(sums[n + 1])


@compiled
def _spread(turn, power, z):
    """Write e^{ik a} of LANES harmonics from `power` on into z [2, LANES]; `power` moves behind."""
    real, imag = turn[0] ** 2 - turn[1] ** 2, 2 * turn[0] * turn[1]
    z[0, 0], z[1, 0] = power
    width = 1
    while width < LANES:
        for q in range(width):
            x, y = z[0, q], z[1, q]
            z[0, width + q] = x * real - y * imag
            z[1, width + q] = x * imag + y * real
        real, imag = real**2 - imag**2, 2 * real * imag
        width *= 2
    x, y = power
    power[0], power[1] = x * real - y * imag, x * imag + y * real


@compiled
def _transforms(z, angle, k, phi, psi):
    """Write phi(h) = E e^{ihu} and psi(h) = E u e^{ihu} [2, LANES], h = 2 k angle, z = e^{ih/2}.

    From the centred integrals over [-1/2, 1/2] of cos(hv) and v sin(hv).
    """
    for q in range(len(k)):
        cos, sin, half = z[0, q], z[1, q], angle * k[q]
        inverse, square = 1 / half, half * half
        even = sin * inverse
        near = half * (1 / 6 - square * (1 / 60 - square * (1 / 1680)))
        odd = near if square < SMALL**2 else 0.5 * inverse * (even - cos)
        real, imag = cos * even, sin * even
        phi[0, q], phi[1, q] = real, imag
        psi[0, q] = 0.5 * real - sin * odd
        psi[1, q] = 0.5 * imag + cos * odd


@compiled
def _multiply_out(phase, p, live, none, one, factor, products):
    """Turn phi_j [n, 2, LANES] into factors 1 - p_j + p_j phi_j and write four `products`: of all
    with the phase, of all but the own one, of those that are not live; and, no product, what the
    last is multiplied by where at most one live feature is active."""
    every, others, idle, alone = products
    others[:], idle[:], alone[1] = phase, phase, 0
    alone[0] = none
    for j in range(len(p)):
        if one[j] > 0:
            _scale_and_add(one[j], factor[j], alone)
        _to_factor(p[j], factor[j])
        if j > 0:
            _multiply(others, factor[j])
        if not live[j]:
            _multiply(idle, factor[j])
    every[:] = others
    _multiply(every, factor[0])


@compiled
def _scale_and_add(weight, values, total):
    """Add complex numbers [2, LANES] times a weight."""
    for q in range(total.shape[1]):
        total[0, q] += weight * values[0, q]
        total[1, q] += weight * values[1, q]


@compiled
def _to_factor(p, phi):
    """Turn phi [2, LANES] into 1 - p + p phi."""
    for q in range(phi.shape[1]):
        phi[0, q] = p * phi[0, q] + (1 - p + TINY)
        phi[1, q] *= p


@compiled
def _multiply(product, factor):
    """Multiply complex numbers [2, LANES] by others, in place."""
    for q in range(product.shape[1]):
        x, y, u, v = product[0, q], product[1, q], factor[0, q], factor[1, q]
        product[0, q] = x * u - y * v
        product[1, q] = x * v + y * u


@compiled
def _finish(k, period, p, one, angle, z, psi, products, beside, sums):
    """Add the harmonics, their derivatives by t and part of those by c_0 to `sums` [n + 2, LANES].

    Each derivative by c_j is Re of psi_j times what stands beside phi_j, as phi' = i psi. Write
    what that is (times the factor j) in `beside` [4, 2, LANES]: of the own feature, of another live
    one, of one that is not live; and what it is where a feature is active alone.
    """
    for q in range(len(k)):
        w2 = 4 * period / (math.pi * k[q]) ** 2  # of Re E x_0 e^{isz}
        w3 = -w2 * period / (math.pi * k[q])  # of Im E e^{isz}
        by_w2, by_w3 = 4 / (math.pi * k[q]), -w2  # the same times s
        every, others = _get(products[0], q), _get(products[1], q)
        idle, alone = _get(products[2], q), _get(products[3], q)
        transform = _get(psi, q)
        # The part with at most one active live feature is not of the series.
        many, beside_own = every - idle * alone, p * others - one * idle
        own = transform * beside_own
        sums[-2, q] += w3 * many.imag + w2 * own.real
        sums[-1, q] += by_w3 * many.real - by_w2 * own.imag
        turned = 1j * by_w2
        whole = by_w3 * every
        _put(beside[0], q, whole)
        _put(beside[1], q, whole + turned * p * transform * others)
        _put(beside[2], q, by_w3 * many + turned * own)
        _put(beside[3], q, by_w3 * idle)
        # The own feature stands in psi(c_0 s) as well, and psi' = i chi2.
        chi2 = _chi2(2 * k[q] * angle, _get(z, q), transform)
        sums[0, q] -= by_w2 * (chi2 * beside_own).imag


@compiled
def _get(array, q):
    """A complex number of array [2, LANES]."""
    return complex(array[0, q], array[1, q])


@compiled
def _put(array, q, number):
    """Write a complex number into array [2, LANES]."""
    array[0, q], array[1, q] = number.real, number.imag


@compiled
def _chi2(h, half_turn, psi):
    """E u^2 e^{ihu} = (e^{ih} - 2 psi(h)) / (ih)."""
    if abs(h) < 1e-3:
        return complex(1 / 3 - h**2 / 10, h / 4)
    difference = half_turn * half_turn - 2 * psi
    return complex(difference.imag / h, -difference.real / h)


@compiled
def _add_slopes(p, one, factor, psi, beside, alone, total):
    """Add Re psi (p beside / factor - one alone) to total [LANES]."""
    for q in range(len(total)):
        u, v, x, y = factor[0, q], factor[1, q], beside[0, q], beside[1, q]
        scale = p / (u * u + v * v)
        real = scale * (u * x + v * y) - one * alone[0, q]
        imag = scale * (u * y - v * x) - one * alone[1, q]
        total[q] += psi[0, q] * real - psi[1, q] * imag
