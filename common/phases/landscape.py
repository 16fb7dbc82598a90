"""The exact loss of two features in one dimension as a landscape; where its linear minimum ends.

W = (a, c) with importances 1 and r >= 1, so the first feature is the one left out at high density:
the linear minimum is W = (0, 1) with b = (p/2, 0). For r < 1 the features swap their parts, so
what is a function of r alone is the same at 1/r.
"""

import numpy as np
import torch
from scipy.optimize.elementwise import find_root

from common.exact import population_loss
from common.exact.bfgs import minimise_batch, with_gradient
from common.exact.linear import feature_variance
from common.parallel import one_thread
from common.phases.diagram import importances
from common.phases.meeting import NAMES, meet

TOLERANCE = 1e-6  # gradient at a minimum, relative to the loss of a model that outputs 0
ROUNDS = 100  # evaluations of a minimisation
FIRST_WEIGHTS = (0.1, 0.2, 0.35, 0.55, 0.75, 1.0)  # from which `exact_boundary` looks for a pair
PAYS = 1e-11  # a loss this share below the linear one is lower: ten times its rounding
CLOSE = {"xatol": 0, "xrtol": 1e-8}  # of a boundary, which costs minimisations
# With the quadratic equation for beta, kappa = 0 becomes a polynomial in the density, of degree 9.
# Three of its roots lie between 0 and 1: two tricritical points, and one with the other beta.
TRICRITICAL = 81, -756, 3546, -9882, 17265, -19449, 14188, -6496, 1696, -192


def interference_cost(density):
    """Least cost Q [...] of a weak first weight: the second output's loss grows by r Q a^2.

    For W = (-a, c) with small a the second output gets the error -a x_1 when x_2 is active and
    relu(b_2 - a x_1) when it is not. With b_2 = a beta and the best c = 1 - 3/4 (beta - p/2) a

        Q(p) = min over beta of  p (s2 + (beta - p/2)^2 / 4) + S^2 beta^2 + S p beta^3 / 3,

    with s2 = p/3 - p^2/4 and S = 1 - p. The best beta is the root >= 0 of

        S p beta^2 + (p/2 + 2 S^2) beta - p^2 / 4 = 0.
    """
    p = torch.as_tensor(density, dtype=torch.float64)
    S, beta = 1 - p, _best_bias(p)
    return (
        p * (feature_variance(p) + (beta - p / 2) ** 2 / 4) + S**2 * beta**2 + S * p * beta**3 / 3
    )


def _best_bias(p):
    """beta [...] of the least cost: its derivative is quadratic in beta."""
    S = 1 - p
    quadratic, linear, constant = S * p, p / 2 + 2 * S**2, -(p**2) / 4
    root = (linear**2 - 4 * quadratic * constant).sqrt()
    return -2 * constant / (linear + root)


def linear_is_stable_from(density, penalty=0.0):
    """Relative importance [...] above which W = (0, 1) is a local minimum: (s2 - 2 lambda) / Q.

    The first output gains s2 a^2 from a weak first weight, the second one loses r Q a^2, and the
    penalty lambda on 2 w_1^2 w_2^2 is 2 lambda a^2.
    """
    p = torch.as_tensor(density, dtype=torch.float64)
    return (feature_variance(p) - 2 * penalty) / interference_cost(p)


def linear_is_stable_above(relative_importance):
    """Density [...] above which the linear minimum is stable, for every r > 0."""
    r = from_one(relative_importance).numpy()

    def gain(p, r):
        return (linear_is_stable_from(p) - torch.as_tensor(r)).numpy()

    return torch.as_tensor(find_root(gain, (0.1 / r, r**0), args=(r,)).x)  # about 1/r when large


def from_one(relative_importance):
    """r or, below 1, 1/r [...]: the less important feature is the first one."""
    r = torch.as_tensor(relative_importance, dtype=torch.float64)
    if not ((r > 0) & r.isfinite()).all():
        raise ValueError("relative importances must be positive and finite")
    return torch.maximum(r, 1 / r)


def landscape(weights, density, relative_importance):
    """Loss [K, N] at W = (-a, c) for every a of `weights` [K], with c and b at their best.

    density [N], relative_importance [N] or a number.
    """
    weights, density = (torch.as_tensor(v, dtype=torch.float64) for v in (weights, density))
    r = torch.as_tensor(relative_importance, dtype=torch.float64).expand(density.shape)
    a, p = (v.reshape(-1) for v in torch.meshgrid(weights, density, indexing="ij"))

    def models(x, index=slice(None)):
        return torch.stack([-a[index], x[:, 0]], 1)[:, None], x[:, 1:]

    return least(_start(a, p)[:, 1:], models, p, r.repeat(len(weights)))[1].reshape(
        len(weights), -1
    )


def _start(a, p):
    """(-a, c, b_1, b_2) [N, 4] from which minimisations at a first weight -a [N] begin."""
    return torch.stack([-a, torch.ones_like(p), (0.5 - 0.4 * a.clamp(max=1)) * p, 0.2 * a * p], 1)


@one_thread()  # small problems
def exact_boundary(relative_importance):
    """Density [...] below which superposition pays, for every r > 0.

    There the optimum over all weights and biases falls below the best linear model. Where its
    weight grows from 0, between the tricritical points, this is where the linear minimum loses
    its stability, a closed form; elsewhere a minimum with a pair is better at once, and where that
    begins is searched for, to a relative 1e-6. 1 where superposition pays at every density.
    """
    r = from_one(relative_importance)
    low, high = linear_is_stable_above(r).reshape(-1).numpy(), np.ones(r.numel())
    found = find_root(_linear_wins, (low, high), args=(r.reshape(-1).numpy(),), tolerances=CLOSE)
    without_jump = np.where(found.f_bracket[1] < 0, high, low)
    return torch.as_tensor(np.where(found.success, found.x, without_jump)).reshape(r.shape)


def _linear_wins(density, r):
    """1 [N] where no pair is better than the linear minimum, -1 where one is (NumPy arrays).

    A step, so that its root is bisected: the difference of the losses is flat on one side.
    """
    p, r = torch.as_tensor(density), torch.as_tensor(r)
    pays = _best_pair(p, r) < (1 - PAYS) * feature_variance(p)
    return np.where(pays, -1.0, 1.0)


def _best_pair(density, r):
    """Least loss [N] of the minima that a search with all weights and biases free finds."""
    first = torch.tensor(FIRST_WEIGHTS, dtype=torch.float64)
    a, p = (v.reshape(-1) for v in torch.meshgrid(first, density, indexing="ij"))

    def models(x, index=slice(None)):
        return x[:, None, :2], x[:, 2:]

    loss = least(_start(a, p), models, p, r.repeat(len(first)))[1]
    return loss.reshape(len(first), -1).min(0).values


def corner():
    """Relative importance r > 1 up to which superposition pays at density 1 too (from 1/r on).

    There a weak pair has the loss of the linear minimum.
    """
    return meet([[-0.2, 1.0]], [[0.58, 0.11]], (1.01, 1.0, 0.0), NAMES[:1]).relative_importance


def weak_end():
    """The Meeting of linear minimum, weak pair and strong pair without a penalty: for r above its
    relative importance the linear minimum is left for the strong pair at once."""
    weak, strong = ([-0.015, 1.0], [0.26, 0.0013]), ([-0.76, 1.02], [0.2, 0.07])
    return meet(*zip(weak, strong, strict=True), (1.773, 0.5115, 0.0), NAMES[:2])


def cubic_coefficient(density, penalty=0.0):
    """kappa [...] in  L + lambda R - s2 = kappa s2 a^3 + ...  where W = (0, 1) loses its stability.

    Below 0 the transition there is first-order, above 0 continuous. With c = 1 + g a the first
    output loses 2 g s2, the second one r K and the penalty 4 lambda g, of a^3 each; r is that of
    `linear_is_stable_from`, so that

        kappa = 2 g (1 + 2 lambda / s2) + (1 - 2 lambda / s2) K / Q,      S = 1 - p,
        K = p [2 g s2 + p g^2 / 3 - p (1 - beta)^4 / 6 - S g beta^3 / 3],  g = 3/4 (p/2 - beta).
    """
    p = torch.as_tensor(density, dtype=torch.float64)
    s2, g, K = feature_variance(p), *_third_order(p)
    share = 2 * torch.as_tensor(penalty, dtype=torch.float64) / s2
    return 2 * g * (1 + share) + (1 - share) * K / interference_cost(p)


def _third_order(p):
    """g and K [...] of `cubic_coefficient`.

    Of the second output the error where x_2 is active is a (beta - x_1 + 2 g x_2) +
    a^2 (g^2 x_2 - g x_1), cut off where the ReLU is 0 (the term with (1 - beta)^4), and where it
    is not active it is a relu(beta - c x_1).
    """
    beta = _best_bias(p)
    g = 0.75 * (p / 2 - beta)
    active = 2 * g * feature_variance(p) + p * g**2 / 3 - p * (1 - beta) ** 4 / 6
    return g, p * (active - (1 - p) * g * beta**3 / 3)


def tricritical(low, high, penalty=0.0):
    """(relative importance, density) between the densities `low` and `high` where kappa changes
    sign. Returns None where it does not.

    Without a penalty the density is a root of the polynomial TRICRITICAL.
    """
    found = find_root(lambda p: cubic_coefficient(p, penalty).numpy(), (low, high))
    if not found.success:
        return None
    return linear_is_stable_from(found.x, penalty).item(), found.x.item()


def tricritical_penalty(density):
    """The penalty [...] at which kappa is 0, and the relative importance [...] where that is.

    kappa is linear in lambda: the line of tricritical points, density by density. A penalty below 0
    or a relative importance below 1 is no such point.
    """
    p = torch.as_tensor(density, dtype=torch.float64)
    s2, Q, (g, K) = feature_variance(p), interference_cost(p), _third_order(p)
    penalty = s2 * (K + 2 * g * Q) / (2 * (K - 2 * g * Q))
    return penalty, linear_is_stable_from(p, penalty)


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
    """Local minima of N problems over d free variables each, of which the last two are b.

    x [N, d]    : where the searches begin.
    models      : W [K, 1, 2], b [K, 2] as a function of x [K, d] and the numbers [K] of problems.
    density [N], relative_importance [N].

    Returns x [N, d] and the loss [N] there.
    """
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
