"""Figures of a row of models from dense to sparse: matrices over norms, and counts over density."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator

from common import geometry
from common.plotting import (
    GREY,
    MANY,
    SUPERPOSITION,
    UNSHOWN,
    array,
    gram_with_bias,
    norm_bars,
    signed_colorbar,
    superposition_colorbar,
)

# Dimensionality of features in regular arrangements (paper, "The Geometry of Superposition").
SIMPLE_SHARES = {1: "own dimension", 2 / 3: "triangle", 1 / 2: "pair", 2 / 5: "pentagon"}


def grams_and_norms(W, b, titles, size=1.5):
    """The paper's two-row figure: W^T W with b above, norms coloured by superposition below.

    W [models, m, n], b [models, n], one column a model.
    """
    columns, n = len(titles), array(b).shape[1]
    fig, axes = plt.subplots(2, columns, figsize=(size * columns, 2.1 * size), squeeze=False)
    fig.get_layout_engine().set(w_pad=0.03, wspace=0.02)
    G, norms = geometry.gram(W), geometry.feature_norms(W)
    for k, title in enumerate(titles):
        gram_with_bias(G[k], b[k], axes[0, k], title, numbers=False)
        norm_bars(norms[k], geometry.superposition(W[k]), axes[1, k])
        shown = [1, *range(5, n + 1, 5)] if n <= MANY and k == 0 else []
        axes[1, k].set(xlim=(0, 1.35), xticks=[0, 1], yticks=shown, ylim=(n + 0.5, 0.5), xlabel="")
    axes[0, 0].set(xlabel="input", ylabel="output")
    axes[1, 0].set(xlabel="norm", ylabel="feature")
    signed_colorbar(fig, axes[0], "$W^T W$ and $b$", extend="both")
    superposition_colorbar(fig, axes[1])
    return fig


def feature_map(density, norms, superposition, ax):
    """Every feature over density: its superposition as colour, grey where not represented.

    density [D] from dense to sparse (drawn in that order, log scale); norms, superposition [D, n].
    """
    norms, superposition = array(norms).T, array(superposition).T
    colors = plt.get_cmap(SUPERPOSITION)(0.85 * np.clip(superposition, 0, 1))
    colors[norms < geometry.REPRESENTED_NORM] = to_rgba(UNSHOWN)
    edges = _edges(np.log10(array(density)))
    rows = np.arange(len(norms) + 1) + 0.5
    ax.pcolormesh(10**edges, rows, colors, rasterized=True)
    ax.set(xscale="log", xlim=10 ** edges[[0, -1]], ylim=rows[[-1, 0]], ylabel="feature")
    ax.set_yticks([1, *range(5, len(norms) + 1, 5)])
    return ax.figure


def _edges(centres):
    """Borders [D + 1] of cells around centres [D]."""
    middle = (centres[1:] + centres[:-1]) / 2
    return np.array([2 * centres[0] - middle[0], *middle, 2 * centres[-1] - middle[-1]])


def count_curve(density, counts, ax, color, label, best=None):
    """Counts over restarts against density: mean as a line, least to most as a band.

    counts [D, restarts]; best [D]: the count of the model with the lowest loss, as dots.
    """
    counts = array(counts)
    ax.fill_between(density, counts.min(1), counts.max(1), color=color, alpha=0.2, lw=0)
    ax.plot(density, counts.mean(1), color=color, label=label)
    if best is not None:
        ax.plot(density, array(best), "o", color=color, ms=3.5)
    ax.set(xscale="log")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return ax.figure


def shares_of_dimensions(density, shares, ax):
    """Dimensionality of every feature as a dot over density: shares [D, n], NaN left out."""
    for share, name in SIMPLE_SHARES.items():
        ax.axhline(share, color="0.8", lw=0.8, zorder=0)
        ax.text(0.995, share, name, transform=ax.get_yaxis_transform(), size=7, color=GREY,
                ha="right", va="bottom")  # fmt: skip
    shares = array(shares)
    ax.plot(np.repeat(array(density), shares.shape[1]), shares.ravel(), "o", ms=2.6, alpha=0.5,
            color="0.2", mew=0)  # fmt: skip
    ax.set(xscale="log", ylim=(0, 1.08), ylabel="dimensionality")
    return ax.figure


def landscape(axis, values, ax, title):
    """Loss [len(axis), len(axis)] over the weights (w_1, w_2) of two features in one dimension.

    Dark is low; the colour follows the square root of the height above the lowest point.
    """
    values = array(values)
    height = np.sqrt((values - values.min()) / np.ptp(values))
    ax.contourf(axis, axis, height, levels=np.linspace(0, 1, 16), cmap="mako")
    ax.axhline(0, color="white", lw=0.4, alpha=0.6)
    ax.axvline(0, color="white", lw=0.4, alpha=0.6)
    ax.set(aspect="equal", xticks=[-1, 0, 1], yticks=[-1, 0, 1], xlabel="$w_1$", title=title)
    return ax.figure
