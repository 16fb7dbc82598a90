"""Trained models of a phase diagram: many runs a cell, aggregated, and which of them are stuck.

Maps are those of `phases.diagram`: density [R] by relative importance [C].
"""

from dataclasses import dataclass

import torch

from common.exact import polish
from common.phases.diagram import extra_feature, importances
from common.restarts import lowest, train_restarts


@dataclass
class TrainedMap:
    """Trained models, k runs a cell: W [R, C, k, m, n], b [R, C, k, n], exact loss [R, C, k]."""

    W: torch.Tensor
    b: torch.Tensor
    loss: torch.Tensor

    def lowest(self, *values):
        """The slice [R, C, ...] of arrays [R, C, k, ...] that belongs to the lowest loss."""
        return lowest(self.loss, *values)

    def mean(self, values):
        """Mean [R, C] over all runs of values [R, C, k]."""
        return values.mean(-1)

    def mean_without_worst(self, values):
        """Mean [R, C] over all runs but the one with the highest loss (the paper's wording)."""
        worst = self.loss.argmax(-1, keepdim=True)
        kept = values.shape[-1] - 1
        return (values.sum(-1) - values.gather(-1, worst)[..., 0]) / max(1, kept)


def trained_map(
    n_features, n_hidden, density, relative_importance, *, restarts, seed=0, rows=4, **options
):
    """Train `restarts` models in every cell of density [R] by relative importance [C].

    `rows` of the map are trained in one stack (a few thousand small models are fastest together),
    each stack with its own seed. options : as for train_restarts. Returns a TrainedMap.
    """
    grid = importances(relative_importance, n_features)
    parts = []
    for first in range(0, len(density), rows):
        some = density[first : first + rows].repeat_interleave(len(grid))
        weights = grid.repeat(len(some) // len(grid), 1).repeat_interleave(restarts, 0)
        options |= {"restarts": restarts, "seed": seed + 10 * first}
        parts.append(train_restarts(n_features, n_hidden, some, weights, **options))
    joined = (torch.cat([getattr(part, name) for part in parts]) for name in ("W", "b", "loss"))
    shape = (len(density), len(grid))
    return TrainedMap(*(value.reshape(*shape, *value.shape[1:]) for value in joined))


def aggregates(runs):
    """Norm and superposition of the extra feature, both [R, C], aggregated over the runs of a
    TrainedMap in three ways: {name: (norm, superposition)}.

    W itself is never averaged: W and -W are the same model.
    """
    every = extra_feature(runs.W)
    return {
        "mean of all runs": [runs.mean(v) for v in every],
        "without the worst": [runs.mean_without_worst(v) for v in every],
        "lowest loss": extra_feature(runs.lowest(runs.W)),
    }


def stuck(loss, optimum, tolerance):
    """Whether each run's loss [R, C, k] is more than `tolerance` above `optimum` [R, C]."""
    return loss > (1 + tolerance) * optimum[..., None]


def stuck_share(loss, optimum, tolerance):
    """Share [R, C] of runs whose loss [R, C, k] is more than `tolerance` above `optimum` [R, C]."""
    return stuck(loss, optimum, tolerance).double().mean(-1)


def unfinished(runs, which, density, relative_importance, optimum, tolerance):
    """Whether stuck runs were only not finished: booleans, one for each true entry of `which`.

    Minimised further on the exact loss, these come within `tolerance` of `optimum` [R, C]. For a
    TrainedMap over density [R] and relative importance [C], and booleans `which` [R, C, k].
    """
    if not which.any():
        return torch.zeros(0, dtype=torch.bool)
    row, column, _ = which.nonzero().T
    grid = importances(relative_importance[column], runs.W.shape[-1])
    end = polish(runs.W[which], runs.b[which], density[row], grid)[2]
    return end <= (1 + tolerance) * optimum[row, column]
