"""The map of density against compression: models for every number of hidden dimensions."""

from dataclasses import dataclass

import torch

from common import geometry
from common.cores import in_processes
from common.restarts import train_restarts
from common.theory import linear_optimum

FATES = ("orthogonal", "in superposition", "suppressed")


@dataclass
class CompressionMap:
    """The best model for every number of hidden dimensions and every density.

    hidden : [1, ..., n];  density : [D], from dense to sparse;  importance : [n].
    W      : list over hidden of [D, m, n];  loss : [n, D], exact.
    """

    hidden: list
    density: torch.Tensor
    importance: torch.Tensor
    W: list
    loss: torch.Tensor

    @property
    def n(self):
        """Number of features."""
        return len(self.importance)

    def fates(self):
        """{fate: share of features [n, D]}; the three shares sum to 1 in every cell."""
        stored = torch.stack([geometry.represented(W).double().mean(-1) for W in self.W])
        orthogonal = torch.stack([geometry.orthogonal(W).double().mean(-1) for W in self.W])
        return dict(zip(FATES, (orthogonal, stored - orthogonal, 1 - stored), strict=True))

    def loss_ratio(self):
        """Loss relative to the best linear model [n, D]; NaN for m = n, where both are 0."""
        linear = torch.stack(
            [linear_optimum(self.density, self.importance, m) for m in self.hidden]
        )
        return torch.where(linear > 0, self.loss / linear, torch.nan)

    def mean_dimensionality(self):
        """Mean over the represented features [n, D]; 0 where there is none."""
        means = []
        for W in self.W:
            stored = geometry.represented(W)
            total = (geometry.dimensionality(W) * stored).sum(-1)
            means.append(total / stored.sum(-1).clamp(min=1))
        return torch.stack(means)

    def stored_per_dimension(self):
        """Represented features per hidden dimension [n, D]."""
        stored = [
            geometry.represented(W).sum(-1) / m for m, W in zip(self.hidden, self.W, strict=True)
        ]
        return torch.stack(stored)

    def onset(self):
        """Highest density with a feature in superposition [n]; NaN where there is none."""
        return self._highest(self.fates()["in superposition"] > 0)

    def all_stored(self):
        """Density from which on, down to the sparsest, nothing is suppressed [n]; NaN if never."""
        whole = self.fates()["suppressed"] == 0
        return self._highest(whole.flip(1).cumprod(1).flip(1) > 0)

    def _highest(self, where):
        return torch.where(where, self.density, -torch.inf).amax(1).where(where.any(1), torch.nan)


def train_map(density, importance, *, restarts, recipe, seed=0):
    """Train ReLU models for m = 1 ... n at every density [D]; return the CompressionMap.

    importance [n]; of `restarts` models a cell the one of lowest exact loss is kept.
    """
    n = len(importance)
    hidden = list(range(1, n + 1))

    def best_of(m):
        runs = train_restarts(
            n, m, density, importance, restarts=restarts, recipe=recipe, seed=seed + m
        )
        return runs.best()[0], runs.loss.min(1).values

    best, losses = zip(*in_processes(best_of, hidden), strict=True)
    return CompressionMap(hidden, density, importance, list(best), torch.stack(losses))
