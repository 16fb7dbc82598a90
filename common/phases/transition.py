"""What kind of transition it is: two features in one dimension, local minima followed through it.

W = (a, c) with importances 1 and r >= 1, so the first feature is the one left out at high density;
for r < 1 the features swap their parts, and `locate` and `takeover` answer for 1/r. Three kinds of
minima matter: the linear one, W = (0, 1) and b = (p/2, 0), the weak one, with a small a of the
opposite sign, and the strong one, the antipodal pair.
"""

from dataclasses import dataclass

import numpy as np
import torch

from common.exact import polish, population_loss
from common.phases.diagram import exact_map, importances
from common.phases.landscape import from_one, least

NUDGE = 0.005  # a minimum that has become a saddle must not be followed any further
JUMP = 0.1  # change of a over one step that is not the same branch any more
SHORTEST_STEP = 5e-5  # of log p, where a branch ends
STEPS = 200  # at most, of a branch
STARTS = 64  # of `local_minima`
SIDE = 1e-6  # relative step of the derivatives with respect to the density


@dataclass
class Branch:
    """A local minimum followed from where it is known to where it ceases to exist, N times.

    density [T, N], weights [T, N, 2] (sizes of a and c), loss [T, N] : the way there, step by step.
    end [N] : the density at which the minimum ceases to exist (a spinodal).
    """

    density: torch.Tensor
    weights: torch.Tensor
    loss: torch.Tensor
    end: torch.Tensor

    def half(self, which):
        """The first (0) or second (1) half of the N."""
        values = (value.chunk(2, dim=1)[which] for value in (self.density, self.weights, self.loss))
        return Branch(*values, end=self.end.chunk(2)[which])


def follow(W, b, density, relative_importance, *, direction, step=0.01):
    """Follow minima from W [N, 1, 2], b [N, 2] at density [N]; direction [N]: 1 up, -1 down.

    Steps of `step` in log p, halved where the next minimum is not the same branch any more; ends
    when all steps are too small. Returns a Branch.
    """
    r = torch.as_tensor(relative_importance, dtype=torch.float64)
    W, b, loss = _settle(W, b, density, r)
    p, step, path = density, torch.full_like(density, step), []
    for _ in range(STEPS):
        path.append((p, W[:, 0].abs(), loss))
        trial = (p * torch.exp(step * direction)).clamp(1e-3, 1)
        new_W, new_b, new_loss = _settle(W, b, trial, r)
        same = (new_W[:, 0, 0].abs() - W[:, 0, 0].abs()).abs() <= JUMP
        step = torch.where(same & (trial != p), step, step / 2)
        p, loss = torch.where(same, trial, p), torch.where(same, new_loss, loss)
        W, b = torch.where(same[:, None, None], new_W, W), torch.where(same[:, None], new_b, b)
        if (step < SHORTEST_STEP).all():
            break
    return Branch(*(torch.stack(values) for values in zip(*path, strict=True)), end=p)


def _settle(W, b, density, relative_importance):
    """The minima next to W [N, 1, 2], b [N, 2], nudged towards a pair: (W, b, loss [N])."""
    nudged = W[:, 0].clone()
    nudged[:, 0] -= NUDGE * torch.where(W[:, 0, 1] < 0, -1.0, 1.0)
    x, loss = least(
        torch.cat([nudged, b], 1),
        lambda x, index: (x[:, None, :2], x[:, 2:]),
        density,
        relative_importance,
    )
    return x[:, None, :2], x[:, 2:], loss


@dataclass
class Crossing:
    """Where two minima have the same loss: N points of a line of first-order transitions.

    density [N]; W_upper, W_lower [N, 1, 2]: the minima that are best above and below it;
    slope_upper, slope_lower [N]: derivatives of the optimal loss with respect to the density.
    """

    density: torch.Tensor
    W_upper: torch.Tensor
    W_lower: torch.Tensor
    slope_upper: torch.Tensor
    slope_lower: torch.Tensor


def crossing(upper, lower, density, relative_importance, iterations=8):
    """Where the minima `upper` and `lower`, pairs (W [N, 1, 2], b [N, 2]), have the same loss.

    Newton's method from density [N], where both must exist. The derivative of an optimal loss is
    that of the loss at fixed W and b. Returns a Crossing.
    """
    r = torch.as_tensor(relative_importance, dtype=torch.float64)
    p, states = density, [upper, lower]
    for _ in range(iterations):
        states = [_settle(*state, p, r) for state in states]
        slopes = [_slope(W, b, p, r) for W, b, _ in states]
        step = (states[0][2] - states[1][2]) / (slopes[0] - slopes[1])
        p = (p - torch.where(step.isfinite(), step, 0).clamp(-0.02, 0.02)).clamp(1e-4, 1)
        states = [state[:2] for state in states]
    return Crossing(p, states[0][0], states[1][0], *slopes)


@dataclass
class Line:
    """The line on which the strong minimum takes over, for N relative importances r >= 1.

    bracket [2, N] : neighbouring densities of the search between which the takeover lies.
    crossing       : the Crossing between them.
    upper, lower   : Branches of the minimum above (linear or weak), followed down, and of the one
                     below (strong), followed up; both exist between their ends.
    """

    bracket: torch.Tensor
    crossing: Crossing
    upper: Branch
    lower: Branch


def locate(density, relative_importance, *, restarts, seed=0):
    """Search density [T], descending, for where the exact optimum at each of N relative importances
    changes most.

    Returns the neighbouring densities [2, N] around it, and the minima above and below as two pairs
    W [N, 1, 2], b [N, 2].
    """
    r = from_one(relative_importance)
    found = exact_map(2, 1, density, r, restarts=restarts, seed=seed)
    W, b = found.W.clone(), found.b.clone()
    swapped = W[..., 0, 0].abs() > W[..., 0, 1].abs()  # at r = 1 the two features are alike
    W[swapped], b[swapped] = W[swapped].flip(-1), b[swapped].flip(-1)
    above, N = W[..., 0, 0].abs().diff(dim=0).argmax(0), torch.arange(len(r))
    bracket = torch.stack([density[above], density[above + 1]])
    return bracket, [(W[row, N], b[row, N]) for row in (above, above + 1)]


def takeover(density, relative_importance, *, restarts, seed=0, step=0.01):
    """Find the Line by `locate`, following both minima to their ends with `step` in log p."""
    r = from_one(relative_importance)
    bracket, states = locate(density, r, restarts=restarts, seed=seed)
    together = [torch.cat(pair) for pair in zip(*states, strict=True)]
    direction = torch.cat([-torch.ones_like(r), torch.ones_like(r)])
    both = follow(*together, bracket.reshape(-1), r.repeat(2), direction=direction, step=step)
    upper, lower = both.half(0), both.half(1)
    inside = bracket.prod(0).sqrt().minimum(0.999 * lower.end).maximum(1.001 * upper.end)
    return Line(bracket, crossing(*states, inside, r), upper, lower)


def local_minima(density, relative_importance, seed=0):
    """All minima that random starts find in one cell: W [K, 2] and loss [K], lowest first."""
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(STARTS, 1, 2, generator=generator, dtype=torch.float64)
    r = torch.full((STARTS,), float(relative_importance), dtype=torch.float64)
    b = torch.full((STARTS, 2), 0.1 * density, dtype=torch.float64)
    W, _, loss, _ = polish(W, b, torch.full_like(r, density), importances(r, 2))
    order = loss.argsort()
    _, first = np.unique(W[order, 0].numpy().round(2) + 0.0, axis=0, return_index=True)
    chosen = order[torch.as_tensor(np.sort(first))]
    return W[chosen, 0], loss[chosen]


def _slope(W, b, density, relative_importance):
    """Derivative [N] of the loss of W [N, 1, 2], b [N, 2] with respect to the density [N]."""
    importance = importances(relative_importance, 2)
    above, below = (
        population_loss(W, b, ((1 + side) * density).clamp(max=1), importance)
        for side in (SIDE, -SIDE)
    )
    return (above - below) / (((1 + SIDE) * density).clamp(max=1) - (1 - SIDE) * density)
