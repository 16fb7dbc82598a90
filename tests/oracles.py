"""Independent ways to the population loss, sharing no code with common/exact.

`rational_loss` is the textbook formula over every active set, evaluated in exact rational
arithmetic (every float is a fraction), so that its cancellations cost nothing:

    E relu(c.u + t)^q = q!/(q+k)! / prod_j c_j * sum_{v in {0,1}^k} (-1)^(k-|v|) relu(c.v + t)^(q+k)
    E u_i relu(c.u + t) = (E relu(c'.u' + t + c_i)^2 - E relu(c.u + t)^2) / (2 c_i),  c' without c_i
"""

from fractions import Fraction
from itertools import combinations, product
from math import factorial, prod

import torch


def rational_loss(W, b, density, importance, W_out=None):
    """Loss of one tied or untied ReLU model: W [m, n], b [n], density a number or [n]."""
    return float(sum(rational_terms(W, b, density, importance, W_out)))


def rational_terms(W, b, density, importance, W_out=None):
    """The part of that loss from inputs with k active features, for k = 0 ... n, as fractions."""
    n = len(b)
    A = matrix_product(W.T if W_out is None else W_out, W)
    b = [Fraction(float(v)) for v in b]
    p = [Fraction(float(v)) for v in torch.as_tensor(density, dtype=torch.float64).expand(n)]
    importance = [Fraction(float(v)) for v in importance]
    terms = [Fraction(0)] * (n + 1)
    for i, k in product(range(n), range(n + 1)):
        for active in combinations(range(n), k):
            weight = prod(p[j] if j in active else 1 - p[j] for j in range(n))
            c = {j: A[i][j] for j in active}
            loss = relu_moment(list(c.values()), b[i], 2)
            if i in active:
                loss += Fraction(1, 3) - 2 * own_moment(c, i, b[i])
            terms[k] += importance[i] * weight * loss
    return terms


def matrix_product(left, right):
    """left @ right as fractions, rounded to floats entry by entry as float64 arithmetic sees it."""
    return [[Fraction(float(v)) for v in row] for row in (left.double() @ right.double())]


def relu_moment(c, t, q):
    """E relu(c.u + t)^q for u uniform on the cube; zero coefficients drop out."""
    c = [v for v in c if v != 0]
    k = len(c)
    total = sum(
        (-1) ** (k - sum(v))
        * max(t + sum(x for x, on in zip(c, v, strict=True) if on), 0) ** (q + k)
        for v in product((0, 1), repeat=k)
    )
    return Fraction(factorial(q), factorial(q + k)) * total / prod(c)


def own_moment(c, i, t):
    """E u_i relu(c.u + t)."""
    rest = [v for j, v in c.items() if j != i]
    if c[i] == 0:
        return relu_moment(rest, t, 1) / 2
    return (relu_moment(rest, t + c[i], 2) - relu_moment([*rest, c[i]], t, 2)) / (2 * c[i])


def series_loss(W, b, density, importance, harmonics):
    """Loss of one tied ReLU model by the plain Fourier series of |z| and z|z|, nothing taken out.

    For any number of features; the error falls like a power of the number of harmonics.
    """
    A = (W.T @ W).double()
    rows = [_series_row(A[i], b[i].double(), i, density, harmonics) for i in range(len(b))]
    return float((importance.double() * torch.stack(rows)).sum())


def _series_row(c, t, i, p, harmonics):
    high, low = t + c.clamp(min=0).sum(), t + c.clamp(max=0).sum()
    period = 1.01 * torch.maximum(high.abs(), low.abs()).item() + 1e-9
    mean, variance = p / 2, p / 3 - p**2 / 4
    z_mean = t + c.sum() * mean
    square = z_mean**2 + (c**2).sum() * variance + period * z_mean  # E z^2 + E z|z|, without series
    own = mean * z_mean + c[i] * variance + period / 2 * mean  # E x_i z + E x_i |z|, likewise
    for k in torch.arange(1, 2 * harmonics, 2, dtype=torch.float64).split(2000):
        s = k * torch.pi / period
        h = c[:, None] * s
        phi, psi = _uniform_transforms(h)
        factors = 1 - p + p * phi
        phase = torch.exp(1j * s * t)
        others = phase * torch.cat([factors[:i], factors[i + 1 :]]).prod(0)
        square = square - 8 * period**2 / torch.pi**3 * ((others * factors[i]).imag / k**3).sum()
        own = own - 4 * period / torch.pi**2 * ((others * p * psi[i]).real / k**2).sum()
    return p / 3 - own + square / 2


def _uniform_transforms(h):
    """E e^{ihu} and E u e^{ihu}; by their Taylor series where |h| is small."""
    small = h.abs() < 0.05
    g = torch.where(small, 1.0, h)
    e = torch.exp(1j * g)
    phi = (e - 1) / (1j * g)
    psi = (e - phi) / (1j * g)
    taylor = [sum((1j * h) ** k / (factorial(k) * (k + d)) for k in range(9)) for d in (1, 2)]
    return torch.where(small, taylor[0], phi), torch.where(small, taylor[1], psi)
