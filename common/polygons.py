"""Regular polygons as models: k equally important features at equal angles in two dimensions.

The reference that describes them calls them windmills, "like roots of unity". All losses are the
exact population loss. Among models with the polygon's symmetry only two numbers are free, the
norm of the features and their common bias; whether the best of them is a minimum among ALL
models is a matter of the curvature there.
"""

import math

import torch

from common.bfgs import minimise_batch, with_gradient
from common.checks import check_count, check_density
from common.data import feature_variance
from common.exact import population_loss
from common.geometry import regular_polygon

ACCURACY = 1e-8  # of the loss beyond 5 features; gradients are differenced
STEP = 1e-4  # of the central differences
RADII, BIASES = (0.6, 1.2), (-0.4, 0.1)  # starts of the search over norm and bias

STABLE = 0.01  # a minimum needs a least curvature above this times the density; else it is flat


def polygon(k, radius, bias):
    """W [..., 2, k] and b [..., k] of the regular k-gon with norm and bias [...]."""
    radius, bias = (torch.as_tensor(v, dtype=torch.float64) for v in (radius, bias))
    return radius[..., None, None] * regular_polygon(k), bias[..., None].expand(*bias.shape, k)


def best_polygon(k, density, start=None):
    """Norm, bias and loss, each [D], of the best regular k-gon at every density [D].

    Quasi-Newton from norms and biases `start` [S, 2], by default a small grid; the lowest end
    counts. By symmetry one output stands for all.
    """
    k, density = check_count(k, "k"), check_density(density).reshape(-1)
    if start is None:
        start = torch.cartesian_prod(torch.tensor(RADII), torch.tensor(BIASES)).double()
    p = density.repeat_interleave(len(start))
    first = torch.eye(k, dtype=torch.float64)[0]  # the importances: only the first output counts

    @with_gradient
    def function(x, index):
        loss = population_loss(*polygon(k, *x.T), p[index], first, accuracy=ACCURACY)
        return loss / (p[index] / 3)

    units = torch.stack([torch.ones_like(p), p], 1)
    ends = minimise_batch(
        function, start.repeat(len(density), 1), units, tolerance=1e-7, rounds=200
    )
    value, x = ends.value.reshape(len(density), -1), ends.x.reshape(len(density), -1, 2)
    index = value.argmin(1)
    row = torch.arange(len(density))
    best = x[row, index]
    return best[:, 0].abs(), best[:, 1], value[row, index] * k * density / 3


def curvature(W, b, density):
    """Eigenvalues and eigenvectors of the Hessian of the exact loss at ONE model of equal features.

    W [2, n], b [n]. Relative to the loss p/3 of a feature that is output as 0. The direction that
    rotates the hidden space, in which the loss never changes, is taken out. From central
    differences of the gradient, because beyond 5 features the loss can be differentiated once.

    Returns (eigenvalues [3n - 1], ascending; eigenvectors [3n - 1, 3n], weights before biases).
    """
    W, b = (torch.as_tensor(v, dtype=torch.float64) for v in (W, b))
    p, n = float(check_density(density)), len(b)
    x = torch.cat([W.reshape(-1), b])
    steps = STEP * torch.eye(3 * n, dtype=torch.float64)

    @with_gradient
    def function(x, index):
        W, b = x[:, : 2 * n].reshape(-1, 2, n), x[:, 2 * n :]
        return population_loss(W, b, p, accuracy=ACCURACY) / (p / 3)

    _, gradient = function(torch.cat([x + steps, x - steps]), None)
    hessian = (gradient[: 3 * n] - gradient[3 * n :]) / (2 * STEP)
    hessian = (hessian + hessian.T) / 2
    turn = torch.cat([torch.stack([-W[1], W[0]]).reshape(-1), torch.zeros(n).double()])
    basis = torch.linalg.svd(turn[None] / turn.norm()).Vh[1:]  # all that is orthogonal to it
    values, vectors = torch.linalg.eigh(basis @ hessian @ basis.T)
    return values, vectors.T @ basis


def lowest_curvature(k, radius, bias, density):
    """Least curvature [D] of regular k-gons of given norm, bias and density [D]."""
    models = zip(radius, bias, check_density(density), strict=True)
    return torch.stack([curvature(*polygon(k, r, t), p)[0][0] for r, t, p in models])


def is_minimum(least_curvature, density):
    """Whether polygons of that least curvature [...] at `density` [...] are minima."""
    return least_curvature > STABLE * check_density(density)


def stability_edge(k, inside, outside, rounds=7):
    """Density between `inside`, where the k-gon is a minimum, and `outside`, where it is not, at
    which it stops being one: bisection of the logarithm, to 2^-rounds of the interval."""
    start = torch.stack(best_polygon(k, [inside, outside])[:2], 1)
    for _ in range(rounds):
        middle = math.sqrt(inside * outside)
        radius, bias, _ = best_polygon(k, middle, start)
        if is_minimum(lowest_curvature(k, radius, bias, [middle]), middle).item():
            inside = middle
        else:
            outside = middle
    return math.sqrt(inside * outside)


def stored_value(k, density, loss):
    """What k features in a polygon save [...], in variances of one feature.

    A dropped feature costs its variance s2 = p/3 - p^2/4. The k-gon saves k - loss / s2 of them,
    2 for a linear model whatever k; other features can be dropped beside it at s2 each.
    """
    density = check_density(density)
    return k - loss / feature_variance(density)


def best_with_dropped(n, losses, density):
    """Lowest loss [D] of n equal features over polygons of k <= n with n - k dropped, and its k.

    losses : {k: loss of the best k-gon [D]}, its keys the polygons to choose from. Exact: the
    outputs of dropped features are their means, and nothing they do reaches the others.
    """
    density = check_density(density).reshape(-1)
    variance = feature_variance(density)
    sizes = torch.tensor([k for k in losses if k <= n])
    rivals = torch.stack([losses[k] + (n - k) * variance for k in sizes.tolist()])
    lowest = rivals.min(0)
    return lowest.values, sizes[lowest.indices]
