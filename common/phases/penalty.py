"""Two features in one dimension with a penalty on interference: where superposition ends.

What is minimised is L + lambda R with importances 1 and r and R = 2 w_1^2 w_2^2. Without
superposition the best is the linear model, of loss min(1, r) s2, s2 = p/3 - p^2/4, and R = 0. So
superposition pays at some weights exactly if lambda is below

    lambda_c(r, p) = sup over W and b with w_1 w_2 != 0 of  (min(1, r) s2 - L(W, b)) / R(W),

and the optimum has none from there on. Two of its values are closed forms. At W = (1, -1), b = 0
it is that of the paper's candidates, `fixed_weight_penalty`. In the limit of a weak first weight
(r >= 1) it is (s2 - r Q) / 2, `continuous_penalty`, with Q of `landscape.interference_cost`: where
this is the supremum the weight goes to 0 continuously as lambda rises, elsewhere it jumps to 0.
With the features exchanged lambda_c(r, p) = r lambda_c(1/r, p).
"""

from dataclasses import dataclass

import torch
from scipy.optimize import brentq, minimize_scalar

from common.exact import feature_variance, interference_penalty, minimise, polish, population_loss
from common.phases.diagram import importances
from common.phases.landscape import (
    from_one,
    interference_cost,
    linear_is_stable_from,
    tricritical_penalty,
)
from common.phases.meeting import meet

STRONG = (-0.76, 1.02), (0.2, 0.07)  # W and b of a pair next to which strong pairs are looked for
# W and b of the minima that meet at equal importances without a penalty
WEAK_AND_STRONG = ((-0.52, 0.92), (-0.755, 0.755)), ((0.43, 0.2), (0.33, 0.33))
FOLLOW = 0.0015  # step of the penalty from one meeting to the next
NEAR = 0.46, 0.515  # densities between which the strong pair meets the end of the continuous onset
PAYS = 1e-9  # a value this share below the linear one is lower: it moves lambda_c by that over R
CLOSE = 1e-10  # of lambda_c, relative, between two steps
STEPS = 30  # of one rise, at most
SEARCHES = 8  # from all starts, at most


def fixed_weight_penalty(density, relative_importance):
    """The penalty [...] from which the paper's candidates say that a pair does not pay."""
    p, r = _numbers(density, relative_importance)
    return (r.clamp(max=1) * feature_variance(p) - (1 + r) * p**2 / 6) / 2


def continuous_penalty(density, relative_importance):
    """The penalty [...] from which the linear minimum is stable; none below 0."""
    p, r = _numbers(density, relative_importance)
    return r.clamp(max=1) * (feature_variance(p) - from_one(r) * interference_cost(p)) / 2


@dataclass
class Critical:
    """penalty [...]: lambda_c, 0 where superposition never pays.

    W [..., 2]: the weights with which it pays up to there, sizes, the more important feature's
    last; a first one of 0 where it vanishes continuously or superposition never pays.
    """

    penalty: torch.Tensor
    W: torch.Tensor


def critical_penalty(density, relative_importance, *, restarts, seed=0):
    """The Critical penalties [...] of densities and relative importances that broadcast.

    A model that pays at lambda shows that lambda_c is at least its own (s2 - L) / R, and the
    optimum there shows more (Dinkelbach's method for a ratio, which converges quadratically). From
    the closed forms up, until `restarts` starts in every cell find no model that pays.
    """
    p, r = _numbers(density, relative_importance)
    swapped, r = r.clamp(max=1), from_one(r)
    penalty = torch.maximum(fixed_weight_penalty(p, r), continuous_penalty(p, r)).clamp(min=0)
    W = torch.zeros(*p.shape, 2).double()
    W[..., 1] = 1
    for _ in range(SEARCHES):
        options = {"restarts": restarts, "seed": seed, "penalty": penalty}
        found = minimise(2, 1, p, importances(r, 2), **options)
        pays = found.objective < (1 - PAYS) * feature_variance(p)
        if not pays.any():
            break
        penalty[pays], W[pays] = _rise(found.W[pays], found.b[pays], p[pays], r[pays])
    twins = (r == 1) & (W[..., 0] > W[..., 1])  # at r = 1 the features may swap
    return Critical(swapped * penalty, torch.where(twins[..., None], W.flip(-1), W))


def _rise(W, b, density, relative_importance):
    """lambda_c [N] of the branches of minima of W [N, 1, 2], b [N, 2]: (penalty, sizes of W)."""
    importance, linear = importances(relative_importance, 2), feature_variance(density)
    penalty = (linear - population_loss(W, b, density, importance)) / interference_penalty(W)
    for _ in range(STEPS):
        W, b, loss, _ = polish(W, b, density, importance, penalty=penalty)
        ratio = (linear - loss) / interference_penalty(W)
        higher = torch.where(ratio > penalty, ratio, penalty)
        settled = (higher <= (1 + CLOSE) * penalty).all()
        penalty = higher
        if settled:
            break
    return penalty, W[:, 0].abs()


def mirrored(relative_importance, critical):
    """A Critical [R, C] over relative importances [C] from 1 up, continued to their inverses.

    Returns relative importances [2 C - 1], lambda_c and the smaller weight [R, 2 C - 1].
    """
    r = torch.as_tensor(relative_importance, dtype=torch.float64)
    parts = (1 / r, r), (critical.penalty / r, critical.penalty), (critical.W[..., 0],) * 2
    return tuple(torch.cat([left.flip(-1)[..., :-1], right], -1) for left, right in parts)


def highest():
    """(density, penalty): the highest lambda_c of all. It is that of equal importances."""

    def lower(p):
        return -critical_penalty(p, 1.0, restarts=4).penalty.item()

    found = minimize_scalar(lower, bounds=(0.15, 0.4), options={"xatol": 1e-7})
    return found.x, -found.fun


def onset_end(penalty):
    """(relative importance, density) of the end of the continuous onset: beyond, at larger r, the
    linear minimum has lost to a strong pair before it loses its stability."""
    found = brentq(lambda p: _strong(p, linear_is_stable_from(p, penalty), penalty), *NEAR)
    return linear_is_stable_from(found, penalty).item(), found


def takeover(penalty):
    """Where the strong pair takes over from the weak one at equal importances: Meetings.

    penalty [T] : ascending from 0, below that of `last_onset`.
    """
    W, b, p, last, found = *WEAK_AND_STRONG, 0.706, 0.0, []
    for value in torch.as_tensor(penalty).tolist():
        steps = 1 + int((value - last) / FOLLOW)
        for step in torch.linspace(last, value, steps + 1, dtype=torch.float64)[1:].tolist():
            there = meet(W, b, (1.0, p, step), ["density"], linear=False)
            W, b, p = there.W, there.b, there.density
        found.append(there)
        last = value
    return found


def last_onset():
    """(density, penalty) at equal importances: the highest penalty with a continuous onset."""
    found = brentq(lambda p: _strong(p, 1.0, continuous_penalty(p, 1.0)), 0.48, NEAR[1])
    return found, continuous_penalty(found, 1.0).item()


def last_tricritical():
    """{name: (relative importance, density, penalty)}: up to where there are tricritical points.

    The lower one then lies where a strong pair is better already, the upper one has come to r = 1,
    where the features exchange their parts.
    """
    lower = brentq(lambda p: _strong(p, *tricritical_penalty(p)[::-1]), 0.5, NEAR[1])
    upper = brentq(lambda p: tricritical_penalty(p)[1].item() - 1, 0.8, 0.9, xtol=1e-15)
    points = {"lower": lower, "upper": upper}
    return {
        name: (tricritical_penalty(p)[1].item(), p, tricritical_penalty(p)[0].item())
        for name, p in points.items()
    }


def _strong(density, relative_importance, penalty):
    """Value of the strong pair over that of the linear minimum, less 1."""
    W, b = torch.tensor(STRONG[:1]), torch.tensor(STRONG[1])
    importance = importances(torch.as_tensor(relative_importance, dtype=torch.float64), 2)
    options = {"penalty": penalty, "tolerance": 1e-12}
    W, _, loss, _ = polish(W, b, density, importance, **options)
    value = loss + penalty * interference_penalty(W)
    return (value / feature_variance(density) - 1).item()


def _numbers(density, relative_importance):
    numbers = (torch.as_tensor(v, dtype=torch.float64) for v in (density, relative_importance))
    return torch.broadcast_tensors(*numbers)
