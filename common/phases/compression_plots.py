"""Maps of density against compression: hidden dimensions to the right, density 1 at the top."""

import numpy as np
from matplotlib.colors import PowerNorm

from common.plots.style import array, cell_edges


def show(found, values, ax, title=""):
    """Values [n, D] as a map: hidden dimensions to the right, density downwards from 1.

    One sequential colour scale from 0 to 1; its square root, so that one feature of many shows.
    """
    mesh = ax.pcolormesh(*_edges(found), array(values).T, cmap="rocket_r",
                         norm=PowerNorm(0.5, vmin=0, vmax=1), rasterized=True)  # fmt: skip
    _finish(found, ax, title)
    return mesh


def show_fates(found, axes, titles=True):
    """The share of the features that meets each fate, one map in each of the four axes."""
    for ax, (fate, share) in zip(axes, found.fates().items(), strict=True):
        mesh = show(found, share, ax, fate if titles else "")
    return mesh


def _edges(found):
    """Borders of the cells: hidden dimensions [n + 1] and densities [D + 1]."""
    return np.arange(len(found.hidden) + 1) + 0.5, cell_edges(found.density, log=True)


def _finish(found, ax, title):
    across, down = _edges(found)
    ax.set(yscale="log", xlim=across[[0, -1]], ylim=down[[-1, 0]], title=title)
    step = max(1, found.n // 4)
    ax.set_xticks([1, *range(step, found.n + 1, step)] if step > 1 else found.hidden)
