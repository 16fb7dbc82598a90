"""The exact optimum of a few features in a tenth of a second, for a picture that follows sliders.

`exact.minimise` takes seconds for one model. Here a thousand weighted points stand in for the
population first. Over points the loss is, as long as no output changes between on and off, a
quadratic function of the effective rows (A_i, b_i), so one matrix product (which outputs are on, by
products of the points' coordinates) gives value, gradient and curvature of all starts at once, and
Newton's method gets down in a few dozen rounds. Its best ends go on with the exact loss and
gradient, and the points' curvature. What is returned is the exact loss.
"""

import math
from itertools import product
from math import comb

import torch

from common.bfgs import with_gradient
from common.checks import check_count, check_density, check_importance
from common.exact import CUBE_FEATURES, polish, population_loss
from common.problem import natural_units, split, starts

STARTS = 1600  # random starts, over the number of variables: the time is the same for every size
ROUNDS = 15, 25  # of Newton's method on the points: of all starts, of the contenders
CONTENDERS = 24  # different starts that go on after the first of these
FINALISTS = 12  # and with the exact loss,
EXACT_ROUNDS = 5  # for so many rounds
POINTS = 1000  # with two or more active features
SINGLE = 32  # of every feature alone
DAMPING, LESS, MORE = 0.1, 0.2, 4.0  # of a step: at first, after a success, after a failure
LONGEST = 1.5  # step, in units of the variables


def quick_optimum(n_features, n_hidden, density, importance=None, *, seed=0):
    """The best minimum found of the exact loss of ONE tied ReLU model: W [m, n], b [n], loss.

    density    : p, a number.
    importance : [n]; all 1 when None.

    float64; the loss is a tensor without dimensions. Raises ValueError for arguments out of range
    and for more than 5 features.
    """
    n, m = check_count(n_features, "n_features"), check_count(n_hidden, "n_hidden")
    if n > CUBE_FEATURES:
        raise ValueError(f"the quick optimum takes at most {CUBE_FEATURES} features, got {n}")
    p = check_density(density).reshape(()).item()
    importance = check_importance(importance, (), n)
    if not importance.sum() > 0:
        raise ValueError("importance must be positive for at least one feature")
    if m >= n:  # every feature has a dimension: nothing is lost
        return torch.eye(m, n).double(), torch.zeros(n).double(), torch.zeros(()).double()
    share = importance / importance.sum()
    scale = p / 3 * importance.sum()  # loss of a model that outputs 0
    points = Points(n, m, p, share * 3 / p)

    def exact_loss(x, _):
        return population_loss(*split(x, n, m), p, importance) / scale

    def exact(x):
        return *with_gradient(exact_loss)(x, None), points(x)[2]

    units = natural_units(importance, torch.tensor(p, dtype=torch.float64), m)
    x = starts(n, m, STARTS // (m * n + n), seed)
    x = _lowest(*newton(points, x, units, ROUNDS[0], DAMPING), CONTENDERS)
    x, _ = newton(points, x, units, ROUNDS[1], DAMPING)
    x = _lowest(x, exact_loss(x, None), FINALISTS)
    x = torch.cat([x, _linear(importance, m, p)[None]])
    x, value = newton(exact, x, units, EXACT_ROUNDS, DAMPING / 100)
    W, b = split(x[value.argmin()], n, m)
    return W, b, value.min() * scale


def optima(n_features, n_hidden, density, importance=None, *, seed=0):
    """`quick_optimum` at every density [D], each moved on to the minimum of the exact loss next to
    it: W [D, m, n], b [D, n], loss [D]. Other arguments as there."""
    density = check_density(density)
    found = [quick_optimum(n_features, n_hidden, p, importance, seed=seed) for p in density]
    W, b, _ = (torch.stack(values) for values in zip(*found, strict=True))
    return polish(W, b, density, importance)[:3]


def edge(changed, n_features, n_hidden, low, high, importance=None, *, halvings=8, seed=0):
    """Densities (below, above) between which the optimum changes, and its W [2, m, n] there.

    changed : says of W [m, n] whether it has; it has at density `low` and has not at `high`. The
              logarithm of the density is bisected. Other arguments as for quick_optimum.
    """
    size = n_features, n_hidden
    for _ in range(halvings):
        middle = math.sqrt(low * high)
        W, _, _ = optima(*size, [middle], importance, seed=seed)
        low, high = (middle, high) if changed(W[0]) else (low, middle)
    return low, high, optima(*size, [low, high], importance, seed=seed)[0]


def _lowest(x, value, count):
    """The `count` lowest of x [N, d], one of each value [N]."""
    order = value.argsort()
    fresh = value[order].diff(prepend=torch.tensor([-1.0])) > 1e-6
    return x[order[fresh][:count]]


def _linear(importance, m, p):
    """The best linear model [d]: the m most important features as they are, the others' means."""
    n = len(importance)
    kept = importance.argsort(descending=True, stable=True)[:m]
    W, b = torch.zeros(m, n).double(), torch.full((n,), p / 2).double()
    W[range(m), kept], b[kept] = 1, 0
    return torch.cat([W.flatten(), b])


def newton(derivatives, x, units, rounds, damping):
    """Newton's method for many starts x [N, d]: the ends [N, d] and their values [N].

    derivatives : x [N, d] -> value [N], gradient [N, d], curvature [N, d, d]; the last may be
                  approximate.
    units       : [d], the scale of every variable.
    damping     : added to the curvature, in size; grows where a step fails and falls elsewhere.

    Negative curvature counts as positive, which leads away from saddles. No step goes up.
    """
    value, gradient, curvature = derivatives(x)
    damping = torch.full_like(value, damping)
    for _ in range(rounds):
        size, axes = torch.linalg.eigh(curvature * units * units[:, None])
        along = (axes.mT @ (gradient * units)[..., None])[..., 0]
        step = -(axes @ (along / (size.abs() + damping[:, None]))[..., None])[..., 0]
        step *= (LONGEST / step.norm(dim=1, keepdim=True).clamp(min=1e-12)).clamp(max=1)
        trial = x + units * step
        new_value, *new = derivatives(trial)
        lower = new_value < value
        value = torch.where(lower, new_value, value)
        x = torch.where(lower[:, None], trial, x)
        gradient = torch.where(lower[:, None], new[0], gradient)
        curvature = torch.where(lower[:, None, None], new[1], curvature)
        damping = torch.where(lower, LESS * damping, MORE * damping).clamp(1e-7, 1e7)
    return x, value


class Points:
    """The loss over weighted points, of many models at once: value, gradient and curvature."""

    def __init__(self, n, m, density, importance):
        """n features of one density (a number) and importance [n], m hidden dimensions."""
        x, weight = quadrature(n, density)
        self.n, self.m, self.importance = n, m, importance
        self.x = torch.cat([x, torch.ones(len(x), 1).double()], 1)  # [P, n + 1]: the bias last
        products = (weight[:, None, None] * self.x[:, :, None] * self.x[:, None]).flatten(1)
        self.x, self.products = self.x.float(), products.float()  # half the time; points are few
        self.second_moment = weight @ x**2

    def __call__(self, theta):
        """value [N], gradient [N, d], curvature [N, d, d] of the models theta [N, d]."""
        n, m, importance = self.n, self.m, self.importance
        W, b = split(theta, n, m)
        rows = torch.cat([W.mT @ W, b[..., None]], -1)  # [N, n, n + 1]
        on = (rows.flatten(0, 1).float() @ self.x.T).gt_(0)  # 1 or 0
        moments = (on @ self.products).double()  # E x x^T over the points where an output is on
        moments = moments.reshape(*rows.shape, n + 1)
        own = moments.diagonal(dim1=1, dim2=3).mT  # E x_i x over the points on, [N, n, n + 1]
        output = (moments @ rows[..., None])[..., 0]
        value = (self.second_moment + ((output - 2 * own) * rows).sum(-1)) @ importance
        by_row = 2 * importance[:, None] * (output - own)
        by_A = by_row[..., :n] + by_row[..., :n].mT
        gradient = torch.cat([(W @ by_A).flatten(1), by_row[..., n]], 1)

        slope = self._slope(W).flatten(2).unflatten(1, (n, n + 1))
        weighted = 2 * importance[:, None, None] * moments @ slope
        curvature = slope.flatten(1, 2).mT @ weighted.flatten(1, 2)
        for k in range(m):  # A = W^T W is itself curved
            curvature[:, k * n : (k + 1) * n, k * n : (k + 1) * n] += by_A
        return value, gradient, curvature

    def _slope(self, W):
        """Derivatives [N, n (n + 1), d] of the rows (A_ij, b_i) by W and b."""
        n, eye = self.n, torch.eye(self.n).double()
        by_W = torch.einsum("il,rkj->rijkl", eye, W) + torch.einsum("jl,rki->rijkl", eye, W)
        slope = torch.zeros(len(W), n, n + 1, W[0].numel() + n).double()
        slope[:, :, :n, : W[0].numel()] = by_W.flatten(3)
        slope[:, :, n, W[0].numel() :] = eye
        return slope.flatten(1, 2)


def quadrature(n, density):
    """Points x [P, n] and weights [P], summing to 1, in place of n features of one density.

    Every set of active features has its own points, with the exact means, variances and
    covariances: of a linear output nothing is lost. Coordinates may lie a little outside [0, 1].
    """
    p = density
    probability = [p**k * (1 - p) ** (n - k) for k in range(n + 1)]  # of one set of k features
    root = [comb(n, k) * probability[k] ** 0.5 for k in range(n + 1)]
    points, weights = [], []
    for active in product((False, True), repeat=n):
        k = sum(active)
        if probability[k] == 0:
            continue
        share = root[k] / max(sum(root[2:]), 1e-12) / comb(n, k)
        count = (1, SINGLE)[k] if k < 2 else max(4 * k, int(POINTS * share))
        x = torch.zeros(count, n).double()
        x[:, torch.tensor(active)] = _uniform(count, k)
        points.append(x)
        weights.append(torch.full((count,), probability[k] / count).double())
    return torch.cat(points), torch.cat(weights)


def _uniform(count, k):
    """`count` evenly spread points [count, k], with mean 1/2, variance 1/12 and no correlation.

    Multiples of the powers of a generalised golden ratio, modulo 1 (M. Roberts, "The Unreasonable
    Effectiveness of Quasirandom Sequences"), then moved to the exact moments.
    """
    if k == 0:
        return torch.zeros(count, 0).double()
    if k == 1:
        return ((torch.arange(count) + 0.5) / count).double()[:, None]
    ratio = 2.0
    for _ in range(50):
        ratio = (1 + ratio) ** (1 / (k + 1))
    x = torch.outer(torch.arange(count) + 0.5, ratio ** -torch.arange(1.0, k + 1)).double() % 1
    x = x - x.mean(0)
    spread = torch.linalg.cholesky(x.T @ x / count)
    return 0.5 + torch.linalg.solve_triangular(spread, x.T, upper=False).T / 12**0.5
