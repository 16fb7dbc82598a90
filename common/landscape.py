"""The exact loss of two features in one dimension as a landscape; where its linear minimum ends.

W = (a, c) with importances 1 and r >= 1, so the first feature is the one left out at high density:
the linear minimum is W = (0, 1) with b = (p/2, 0). For r < 1 the features swap their parts.
"""

import torch

from common.bfgs import minimise_batch, with_gradient
from common.data import feature_variance
from common.exact import population_loss
from common.phases import importances

TOLERANCE = 1e-6  # gradient at a minimum, relative to the loss of a model that outputs 0
ROUNDS = 100  # evaluations of a minimisation
HALVINGS = 20  # of a bisection
FINE_HALVINGS = 60  # where each costs nothing


def interference_cost(density):
    """Least cost Q [...] of a weak first weight: the second output's loss grows by r Q a^2.

    For W = (-a, 1) with small a the second output gets the error -a x_1 when x_2 is active and
    relu(b_2 - a x_1) when it is not. With b_2 = a beta and the best change of the second weight

        Q(p) = min over beta of  p (s2 + (beta - p/2)^2 / 4) + S^2 beta^2 + S p beta^3 / 3,

    with s2 = p/3 - p^2/4 and S = 1 - p. The derivative is quadratic in beta.
    """
    p = torch.as_tensor(density, dtype=torch.float64)
    variance, S = feature_variance(p), 1 - p
    quadratic, linear, constant = S * p, p / 2 + 2 * S**2, -(p**2) / 4
    root = (linear**2 - 4 * quadratic * constant).sqrt()
    beta = -2 * constant / (linear + root)
    return p * (variance + (beta - p / 2) ** 2 / 4) + S**2 * beta**2 + S * p * beta**3 / 3


def linear_is_stable_from(density):
    """Relative importance [...] above which W = (0, 1) is a local minimum: s2 / Q.

    The first output gains s2 a^2 from a weak first weight, the second one loses r Q a^2.
    """
    p = torch.as_tensor(density, dtype=torch.float64)
    return feature_variance(p) / interference_cost(p)


def linear_is_stable_above(relative_importance):
    """Density [...] above which W = (0, 1) is a local minimum, for r >= 1; by bisection."""
    r = torch.as_tensor(relative_importance, dtype=torch.float64)
    low, high = torch.full_like(r, 1e-3), torch.ones_like(r)
    for _ in range(FINE_HALVINGS):
        middle = (low + high) / 2
        stable = linear_is_stable_from(middle) <= r
        low, high = torch.where(stable, low, middle), torch.where(stable, middle, high)
    return high


def landscape(weights, density, relative_importance):
    """Loss [K, N] at W = (-a, c) for every a of `weights` [K], with c and b at their best.

    density, relative_importance : [N].
    """
    r = torch.as_tensor(relative_importance, dtype=torch.float64).expand(density.shape)
    a, p = (v.reshape(-1) for v in torch.meshgrid(weights, density, indexing="ij"))
    start = torch.stack([torch.ones_like(p), (0.5 - 0.4 * a.clamp(max=1)) * p, 0.2 * a * p], 1)

    def models(x, index=slice(None)):
        return torch.stack([-a[index], x[:, 0]], 1)[:, None], x[:, 1:]

    return least(start, models, p, r.repeat(len(weights)))[1].reshape(len(weights), -1)


def boundary(weights, relative_importance):
    """Where the linear minimum stops being the best: (density [N], first weight [N] just below).

    By bisection of the density for r >= 1, with the first weight tried at all of `weights` [K]; a
    tie at the smallest of them is a continuous transition.
    """
    r = torch.as_tensor(relative_importance, dtype=torch.float64)
    low, high, first = torch.full_like(r, 1e-2), torch.ones_like(r), torch.zeros_like(r)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        best, index = landscape(weights, middle, r).min(0)
        pays = best < feature_variance(middle)
        first = torch.where(pays, weights[index], first)
        low, high = torch.where(pays, middle, low), torch.where(pays, high, middle)
    return low, first


def cubic_coefficient(density, weight):
    """k [N] in  L - L_linear = k s2 |a|^3 + ...  on the line where W = (0, 1) loses its stability.

    Below 0 the transition there is first-order, above 0 continuous. From the landscape at a =
    `weight` and half of it, extrapolated to 0.
    """
    a = torch.tensor([weight, weight / 2], dtype=torch.float64)
    loss = landscape(a, density, linear_is_stable_from(density))
    excess = loss / feature_variance(density) - 1
    full, half = excess / a[:, None] ** 3
    return 2 * half - full


def tricritical(low, high, weight):
    """(relative importance, density) between the densities `low` and `high` where k changes sign.

    Returns None where it does not.
    """
    ends = torch.tensor([low, high], dtype=torch.float64)
    sign = cubic_coefficient(ends, weight).sign()
    if sign[0] == sign[1]:
        return None
    for _ in range(HALVINGS):
        middle = ends.mean()
        same = cubic_coefficient(middle[None], weight).sign() == sign[0]
        ends = torch.stack([middle, ends[1]] if same else [ends[0], middle])
    return linear_is_stable_from(ends.mean()).item(), ends.mean().item()


def basin(first, second, density, relative_importance):
    """Loss [len(second), len(first)] at W = (first, second), with b at its best."""
    w_2, w_1 = (v.reshape(-1) for v in torch.meshgrid(second, first, indexing="ij"))
    fixed, p = torch.stack([w_1, w_2], 1)[:, None], torch.full_like(w_1, density)

    def models(x, index=slice(None)):
        return fixed[index], x

    start = 0.3 * p[:, None].repeat(1, 2)
    r = torch.full_like(p, relative_importance)
    return least(start, models, p, r)[1].reshape(len(second), -1)


def least(x, models, density, relative_importance):
    """Local minimum over the free variables x [N, d]: (x, loss [N]). models(x, index) -> W, b."""
    importance = importances(relative_importance, 2)
    scale = density / 3 * importance.sum(-1)

    @with_gradient
    def function(x, index):
        loss = population_loss(*models(x, index), density[index], importance[index])
        return loss / scale[index]

    units = torch.ones_like(x)
    units[:, -2:] = density[:, None]
    found = minimise_batch(function, x, units, tolerance=TOLERANCE, rounds=ROUNDS)
    return found.x, found.value * scale
