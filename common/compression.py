"""The map of density against compression: models for every number of hidden dimensions."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap

from common import geometry
from common.plotting import array
from common.restarts import train_restarts
from common.theory import linear_optimum

FATES = ("orthogonal", "in superposition", "suppressed")
FATE_COLORS = ListedColormap(["#33508c", "#c8553d", "0.82"])  # as in the phase diagrams


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
    hidden, best, losses = list(range(1, n + 1)), [], []
    for m in hidden:
        runs = train_restarts(
            n, m, density, importance, restarts=restarts, recipe=recipe, seed=seed + m
        )
        best.append(runs.best()[0])
        losses.append(runs.loss.min(1).values)
    return CompressionMap(hidden, density, importance, best, torch.stack(losses))


def show(found, values, ax, title):
    """Values [n, D] as a map: hidden dimensions to the right, density downwards from 1."""
    mesh = ax.pcolormesh(*_edges(found), array(values).T, cmap="rocket_r", vmin=0, vmax=1,
                         rasterized=True)  # fmt: skip
    _finish(found, ax, title)
    return mesh


def show_phases(found, ax, title):
    """The fate of most features as colour; onset of superposition (solid), all stored (dotted)."""
    most = torch.stack(list(found.fates().values())).argmax(0)
    ax.pcolormesh(*_edges(found), array(most).T, cmap=FATE_COLORS, vmin=-0.5, vmax=2.5,
                  rasterized=True)  # fmt: skip
    for line, style in ((found.onset(), "-"), (found.all_stored(), ":")):
        ax.plot(found.hidden, array(line), style, color="black", lw=1.3)
    _finish(found, ax, title)


def phase_legend(fig):
    """The colours and lines of `show_phases`, below the figure."""
    handles = [plt.Rectangle((0, 0), 1, 1, color=FATE_COLORS(k)) for k in range(len(FATES))]
    handles += [plt.Line2D([], [], color="black", ls=style) for style in ("-", ":")]
    labels = [f"most {fate}" for fate in FATES] + ["first superposition", "all stored"]
    fig.legend(handles, labels, loc="outside lower center", ncols=3)


def _edges(found):
    """Borders of the cells: hidden dimensions [n + 1] and densities [D + 1]."""
    log = np.log10(array(found.density))
    middle = (log[1:] + log[:-1]) / 2
    ends = 2 * log[0] - middle[0], 2 * log[-1] - middle[-1]
    return np.arange(len(found.hidden) + 1) + 0.5, 10 ** np.array([ends[0], *middle, ends[1]])


def _finish(found, ax, title):
    across, down = _edges(found)
    ax.set(yscale="log", xlim=across[[0, -1]], ylim=down[[-1, 0]], title=title)
    step = max(1, found.n // 4)
    ax.set_xticks([1, *range(step, found.n + 1, step)] if step > 1 else found.hidden)
