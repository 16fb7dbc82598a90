"""The map of density against compression: models for every number of hidden dimensions."""

from dataclasses import dataclass, replace

import torch

from common import geometry
from common.exact import polish
from common.parallel import in_processes
from common.restarts import train_restarts
from common.theory import linear_optimum

FATES = ("orthogonal", "in superposition", "short", "dropped")
DROPPED_NORM = 0.1  # trained norms leave a gap here, between noise around 0 and short features


def fate(W, stored_from=geometry.REPRESENTED_NORM):
    """Index into FATES of every feature [..., n] of W [..., m, n].

    A feature is stored from the norm `stored_from` on, and then either orthogonal to the others or
    in superposition. Below, it is short: stored in part, unless its norm is near 0.
    """
    norms = geometry.feature_norms(W)
    shared = geometry.superposition(W) >= geometry.ORTHOGONAL_SUPERPOSITION
    dropped = (norms < DROPPED_NORM).long()
    return torch.where(norms >= stored_from, shared.long(), 2 + dropped)


@dataclass
class CompressionMap:
    """The best model for every number of hidden dimensions and every density.

    hidden : [1, ..., n];  density : [D], from dense to sparse;  importance : [n].
    W, b   : lists over hidden of [D, m, n] and [D, n];  loss : [n, D], exact.
    stored_from : norm from which on a feature counts as stored.
    """

    hidden: list
    density: torch.Tensor
    importance: torch.Tensor
    W: list
    b: list
    loss: torch.Tensor
    stored_from: float = geometry.REPRESENTED_NORM

    @property
    def n(self):
        """Number of features."""
        return len(self.importance)

    def fate(self):
        """Index into FATES of every feature [n, D, n]: hidden dimensions, density, feature."""
        return torch.stack([fate(W, self.stored_from) for W in self.W])

    def fates(self):
        """{fate: share of features [n, D]}; the four shares sum to 1 in every cell."""
        found = self.fate()
        return {name: (found == k).double().mean(-1) for k, name in enumerate(FATES)}

    def loss_ratio(self):
        """Loss relative to the best linear model [n, D]; NaN for m = n, where both are 0."""
        linear = torch.stack(
            [linear_optimum(self.density, self.importance, m) for m in self.hidden]
        )
        return torch.where(linear > 0, self.loss / linear, torch.nan)

    def mean_dimensionality(self):
        """Mean over the stored features [n, D]; 0 where there is none."""
        means = []
        for W in self.W:
            stored = geometry.represented(W, self.stored_from)
            total = (geometry.dimensionality(W) * stored).sum(-1)
            means.append(total / stored.sum(-1).clamp(min=1))
        return torch.stack(means)

    def stored_per_dimension(self):
        """Stored features per hidden dimension [n, D]."""
        stored = (self.fate() < FATES.index("short")).sum(-1)
        return stored / torch.tensor(self.hidden)[:, None]

    def first_extra(self):
        """Highest density with more than m features that are not dropped [n]; NaN if none."""
        kept = (self.fate() != FATES.index("dropped")).sum(-1)
        return self._highest(kept > torch.tensor(self.hidden)[:, None])

    def all_stored(self):
        """Density from which down to the sparsest all features are stored [n]; NaN if never."""
        whole = (self.fate() < FATES.index("short")).all(-1).long()
        return self._highest(whole.flip(1).cumprod(1).flip(1) > 0)

    def polished(self):
        """Every model moved on to the minimum of the exact loss next to it."""
        models = zip(self.W, self.b, strict=True)
        moved = [polish(W, b, self.density, self.importance) for W, b in models]
        W, b, loss, _ = zip(*moved, strict=True)
        return replace(self, W=list(W), b=list(b), loss=torch.stack(loss))

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
        return *runs.best(), runs.loss.min(1).values

    W, b, loss = zip(*in_processes(best_of, hidden), strict=True)
    return CompressionMap(hidden, density, importance, list(W), list(b), torch.stack(loss))
