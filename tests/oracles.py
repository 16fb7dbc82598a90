"""Independent ways to the population loss, sharing no code with common/exact.py.

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
    n = len(b)
    A = matrix_product(W.T if W_out is None else W_out, W)
    b = [Fraction(float(v)) for v in b]
    p = [Fraction(float(v)) for v in torch.as_tensor(density, dtype=torch.float64).expand(n)]
    importance = [Fraction(float(v)) for v in importance]
    total = Fraction(0)
    for i in range(n):
        loss = p[i] / 3
        for k in range(n + 1):
            for active in combinations(range(n), k):
                weight = prod(p[j] if j in active else 1 - p[j] for j in range(n))
                c = {j: A[i][j] for j in active}
                loss += weight * relu_moment(list(c.values()), b[i], 2)
                if i in active:
                    loss -= 2 * weight * own_moment(c, i, b[i])
        total += importance[i] * loss
    return float(total)


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
