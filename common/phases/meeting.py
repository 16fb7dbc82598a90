"""Two features in one dimension: where minima of the penalised loss have the same value.

What is minimised is L + lambda R with importances 1 and r >= 1 and R = 2 w_1^2 w_2^2. The linear
minimum, W = (0, 1), has the value s2 = p/3 - p^2/4. `meet` finds, to ten digits and more, where
other minima have the value of the linear one, or of each other: in the space of (r, p, lambda) that
is one equation a minimum, or one less.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize, root

from common.exact import feature_variance, interference_penalty, population_loss

NAMES = ("relative_importance", "density", "penalty")
# At the end, in units of s2. An error of a gradient enters the value squared only; near a weak pair
# with a weight of a, gradients of a quotient by R have a rounding error of about 1e-16 / a^3.
SAME, STATIONARY = 1e-10, 1e-7
DIFFERENT = 1e-4  # weights of two minima that are not one
CAUTIOUS = {"factor": 0.1}  # first steps of Newton's method, so that no branch is left


@dataclass
class Meeting:
    """relative_importance, density, penalty : where; W, b [K, 2] : the minima that meet there."""

    relative_importance: float
    density: float
    penalty: float
    W: np.ndarray
    b: np.ndarray


def meet(W, b, numbers, free, linear=True):
    """The Meeting of K minima near W, b [K, 2] and near `numbers`, (r, p, lambda).

    free   : names among NAMES of the numbers that are looked for. The others stay as given.
    linear : the linear minimum is one of those that meet (and is not among the K).

    Raises ValueError where there are not as many free numbers as equations, K or, without the
    linear minimum, K - 1, and where Newton's method finds no such place, or minima that are one or
    the linear one.
    """
    models = np.concatenate([np.reshape(v, (-1, 2)) for v in (W, b)], 1).astype(float)
    count = len(models) - (not linear)
    if len(free) != count:
        raise ValueError(f"{len(free)} numbers are free for {count} equations")
    given, places = np.array(numbers, dtype=float), [NAMES.index(name) for name in free]

    def parts(x):
        there = given.copy()
        there[places] = x[:count]
        return there, x[count:].reshape(-1, 4)

    def equations(x):
        there, models = parts(x)
        excess, gradient = excess_over_linear(models, *there, by_interference=linear)
        return np.concatenate([excess if linear else np.diff(excess), gradient.ravel()])

    settled = [_settle(model, given, linear) for model in models]
    start = np.concatenate([given[places], *settled])
    found = root(equations, start, tol=1e-15, options=CAUTIOUS)
    there, models = parts(found.x)
    left = np.abs(equations(found.x))
    apart = np.abs(np.diff(models[:, :2], axis=0)).max(1) > DIFFERENT
    pairs = np.abs(models[:, :2]).min(1) > DIFFERENT
    solved = left[:count].max() < SAME and left.max() < STATIONARY
    if not (solved and apart.all() and pairs.all()):
        raise ValueError(f"{len(models)} minima do not meet near (r, p, lambda) = {numbers}")
    return Meeting(*there.tolist(), models[:, :2], models[:, 2:])


def _settle(model, numbers, by_interference):
    """The minimum [4] next to a model [4] of what `meet` asks to be stationary."""

    def function(x):
        value, gradient = excess_over_linear(x[None], *numbers, by_interference)
        return value.item(), gradient[0]

    return minimize(function, model, jac=True, options={"gtol": 1e-9}).x


def excess_over_linear(models, relative_importance, density, penalty, by_interference=False):
    """(L + lambda R) / s2 - 1 [K] of models (w_1, w_2, b_1, b_2) [K, 4], and its gradient [K, 4].

    by_interference : divided by R. Where it is 0 the same models are stationary, but the linear
                      minimum, of which every weak pair is a neighbour, is none of them.
    """
    x = torch.tensor(models, requires_grad=True)
    p = min(max(float(density), 1e-6), 1.0)  # trial steps may lead out
    importance = torch.tensor([1.0, max(float(relative_importance), 0.0)], dtype=torch.float64)
    interference = interference_penalty(x[:, None, :2])
    loss = population_loss(x[:, None, :2], x[:, 2:], p, importance)
    value = (loss + penalty * interference) / feature_variance(p) - 1
    if by_interference:
        value = value / interference
    (gradient,) = torch.autograd.grad(value.sum(), x)
    return value.detach().numpy(), gradient.numpy()
