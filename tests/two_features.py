"""Two features in one dimension from scratch: nested quadrature and scipy, nothing of `common`.

A model is v = (w_1, w_2, b_1, b_2), the importances are 1 and r. Every integrand is a polynomial
between the kinks of the ReLU, so Gauss-Legendre rules split at the kinks are exact.
"""

import numpy as np
from scipy.optimize import minimize, root

NODES, WEIGHTS = np.polynomial.legendre.leggauss(5)
NODES, WEIGHTS = (NODES + 1) / 2, WEIGHTS / 2
# Where searches for a pair start: weights, and biases as parts of the density.
STARTS = [(-0.9, 1, 0.1, 0.1), (-0.6, 0.95, 0.25, 0.15), (-0.3, 1, 0.4, 0.1), (-0.1, 1, 0.5, 0.03)]


def variance(p):
    return p / 3 - p**2 / 4


def rule(knots):
    """Nodes and weights of [0, 1], split at those of `knots` that lie inside."""
    edges = np.unique(np.concatenate([[0.0, 1.0], np.clip(knots, 0, 1)]))
    width = np.diff(edges)[:, None]
    return (edges[:-1, None] + width * NODES).ravel(), (width * WEIGHTS).ravel()


def ratio(a, b):
    return a / b if b else 2.0  # outside [0, 1]: no kink


def output_loss(own, other, t, p):
    """E (x - relu(own x + other y + t))^2 and its gradient by (own, other, t)."""
    alone, w_alone = rule([ratio(-t, own)])
    away, w_away = rule([ratio(-t, other)])
    outer, w_outer = rule([ratio(-t, other), ratio(-t - own, other)])
    x, y, w = [0.0, *alone, *0 * away], [0.0, *0 * alone, *away], [(1 - p) ** 2]
    w += [*p * (1 - p) * w_alone, *p * (1 - p) * w_away]
    for second, weight in zip(outer, w_outer, strict=True):
        inner, w_inner = rule([ratio(-t - other * second, own)])
        x, y = [*x, *inner], [*y, *np.full_like(inner, second)]
        w += [*p**2 * weight * w_inner]
    x, y, w = map(np.array, (x, y, w))
    z = own * x + other * y + t
    error = np.maximum(z, 0) - x
    slope = 2 * w * error * (z > 0)
    return (w * error**2).sum(), np.array([(slope * x).sum(), (slope * y).sum(), slope.sum()])


def loss(v, p, r):
    """The loss of the model and its gradient [4]."""
    w_1, w_2, b_1, b_2 = v
    first, g = output_loss(w_1**2, w_1 * w_2, b_1, p)
    second, h = output_loss(w_2**2, w_1 * w_2, b_2, p)
    by_w_1 = 2 * w_1 * g[0] + w_2 * g[1] + r * w_2 * h[1]
    by_w_2 = w_1 * g[1] + r * (2 * w_2 * h[0] + w_1 * h[1])
    return first + r * second, np.array([by_w_1, by_w_2, g[2], r * h[2]])


def minimum(v, p, r, free=(0, 1, 2, 3)):
    """The minimum next to v, of the variables `free`: (v, loss)."""
    free, v = list(free), np.array(v, dtype=float)
    units = np.array([1, 1, p, p])[free]

    def function(u):
        x = v.copy()
        x[free] = u * units
        value, gradient = loss(x, p, r)
        return value / variance(p), gradient[free] * units / variance(p)

    found = minimize(function, v[free] / units, jac=True, options={"gtol": 1e-11})
    exact = root(lambda u: function(u)[1], found.x, tol=1e-14)
    near = np.abs(exact.x - found.x).max() < 1e-3
    v[free] = (exact.x if near else found.x) * units
    return v, loss(v, p, r)[0]


def best_pair(p, r):
    """The lowest minimum that searches from pairs find: (v, loss)."""
    found = [minimum(np.array(v) * [1, 1, p, p], p, r) for v in STARTS]
    return min(found, key=lambda pair: pair[1])


def loss_at(a, p, r):
    """Least loss with a first weight of -a."""
    return minimum([-a, 1, p / 2, 0.2 * a * p], p, r, free=(1, 2, 3))[1]


def slope(v, p, r, h=1e-4):
    """Derivative of the loss by the density at a fixed model."""
    up, down = (loss(v, p + s * h, r)[0] for s in (1, -1))
    far_up, far_down = (loss(v, p + 2 * s * h, r)[0] for s in (1, -1))
    return (8 * (up - down) - (far_up - far_down)) / (12 * h)
