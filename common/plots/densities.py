"""Figures of models from dense to sparse: matrices over norms, counts and norms over density."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.ticker import MaxNLocator

from common import geometry
from common.plots.curves import range_band
from common.plots.matrices import gram_with_bias, signed_colorbar
from common.plots.style import (
    GREY,
    MANY,
    SUPERPOSITION,
    UNSHOWN,
    array,
    cell_edges,
    feature_legend,
    norm_bars,
    superposition_colorbar,
)
from common.plots.training import feature_curves

CLOSE = 0.02  # of the width in log p: of events as close as that, one label would cover the other
EVENT = {"color": GREY, "lw": 0.8, "ls": ":", "zorder": 0}
ZOOM_PLACE = (0.38, 0.2, 0.19, 0.52)  # of the inset in its panel: where no norms are
# Dimensionality of features in regular arrangements (paper, "The Geometry of Superposition").
SIMPLE_SHARES = {1: "alone", 2 / 3: "triangle", 1 / 2: "pair", 2 / 5: "pentagon"}


def grams_and_norms(W, b, titles, size=1.2, columns=None):
    """The paper's two-row figure: W^T W with b above, norms coloured by superposition below.

    W [models, m, n], b [models, n]; `columns` models beside each other, all of them when None.
    """
    columns, n = columns or len(titles), array(b).shape[1]
    rows = -(-len(titles) // columns)
    figsize = size * columns, 2.5 * size * rows
    fig, axes = plt.subplots(2 * rows, columns, figsize=figsize, squeeze=False)
    fig.get_layout_engine().set(w_pad=0.03, wspace=0.02)
    G, norms = geometry.gram(W), geometry.feature_norms(W)
    step = 5 if n <= MANY else 20
    for k, title in enumerate(titles):
        row, column = divmod(k, columns)
        upper, lower = axes[2 * row : 2 * row + 2, column]
        gram_with_bias(G[k], b[k], upper, title, numbers=False)
        norm_bars(norms[k], geometry.superposition(W[k]), lower)
        shown = [1, *range(step, n + 1, step)] if column == 0 else []
        lower.set(xlim=(0, 1.35), xticks=[0, 1], yticks=shown, ylim=(n + 0.5, 0.5), xlabel="")
    for ax in axes.reshape(rows, 2, columns).swapaxes(1, 2).reshape(-1, 2)[len(titles) :].flat:
        ax.set_axis_off()
    for upper, lower in axes[:, 0].reshape(rows, 2):
        upper.set(xlabel="input", ylabel="output")
        lower.set(xlabel="norm", ylabel="feature")
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
    edges = cell_edges(density, log=True)
    rows = np.arange(len(norms) + 1) + 0.5
    ax.pcolormesh(edges, rows, colors, rasterized=True)
    ax.set(xscale="log", xlim=edges[[0, -1]], ylim=rows[[-1, 0]], ylabel="feature")
    ax.set_yticks([1, *range(5, len(norms) + 1, 5)])
    return ax.figure


def count_curve(density, counts, ax, color, label, best=None):
    """Counts over restarts against density: mean as a line, least to most as a band.

    counts [D, restarts]; best [D]: the count of the model with the lowest loss, as dots.
    """
    range_band(density, array(counts), ax, color, label, middle=np.mean)
    if best is not None:
        ax.plot(density, array(best), "o", color=color, ms=3.5)
    ax.set(xscale="log")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return ax.figure


def published_counts(density, counts, ax, marker, label, bounds=()):
    """Published counts [D] as hollow markers; an arrow up from those at `bounds`: at least so many.

    bounds : positions of lower bounds among the counts.
    """
    ax.plot(density, array(counts), marker, mfc="none", color="0.3", ms=5, label=label)
    for k in bounds:
        ax.annotate(
            "", (density[k], 1.18 * counts[k]), (density[k], counts[k]),
            arrowprops={"arrowstyle": "->", "color": "0.3", "shrinkA": 3, "lw": 0.9},
        )  # fmt: skip
    return ax.figure


def shares_of_dimensions(density, shares, ax):
    """Dimensionality of every feature as a dot over density: shares [D, n], NaN left out."""
    for share, name in SIMPLE_SHARES.items():
        ax.axhline(share, color="0.8", lw=0.8, zorder=0)
        text = ax.text(1.02, share, name, transform=ax.get_yaxis_transform(), size=9, color="0.35",
                       va="center")  # fmt: skip
        text.set_in_layout(False)  # a colour bar of another panel leaves room for it
    shares = array(shares)
    ax.plot(np.repeat(array(density), shares.shape[1]), shares.ravel(), "o", ms=2.6, alpha=0.5,
            color="0.2", mew=0)  # fmt: skip
    ax.set(xscale="log", ylim=(0, 1.08), ylabel="dimensionality")
    return ax.figure


def optimum_path(curves, events, zoom=None):
    """Norms of the optimum's features over density, and the share of the linear loss it saves.

    curves : (density [T], norms [T, n], saved [T]) of every branch, from dense to sparse; they
             break off where the optimum jumps.
    events : (density, label) of what happens, from dense to sparse: a dotted line, and the label
             ("" for none) above it.
    zoom   : two densities, from dense to sparse, between which an inset enlarges the norms.
    """
    fig, (upper, lower) = plt.subplots(2, figsize=(6.4, 4.1), sharex=True, height_ratios=[2, 1])
    for density, norms, saved in curves:
        feature_curves(density, norms, upper, "norm")
        lower.plot(array(density), array(saved), color="0.25")
    for ax in (upper, lower):
        for density, _ in events:
            ax.axvline(density, **EVENT)
    sparsest = min(array(density).min() for density, _, _ in curves)
    _name_events(events, sparsest, upper)
    lower.set(xscale="log", xlabel="density (log scale)", ylabel="loss saved")
    lower.set_xticks([1, 0.5, 0.2, 0.1, 0.05], ["1", "0.5", "0.2", "0.1", "0.05"])
    lower.set_xlim(1, 0.99 * sparsest)  # after the ticks, which move it
    lower.minorticks_off()
    if zoom is not None:
        _enlarge(curves, events, zoom, upper)
    feature_legend(fig, array(curves[0][1]).shape[1])
    return fig


def _name_events(events, sparsest, ax):
    """Labels above their lines, every other one a row higher; beside the line of a close one."""
    denser = None
    for k, (density, label) in enumerate(events):
        close = denser is not None and np.log(denser / density) < CLOSE * np.log(1 / sparsest)
        ax.annotate(
            label, (density, 1), (0, 3 if k % 2 else 14), xycoords=("data", "axes fraction"),
            textcoords="offset points", size=8.5, color="0.25", ha="left" if close else "center",
        )  # fmt: skip
        denser = density


def _enlarge(curves, events, zoom, ax):
    """The norms between the two densities `zoom` once more, in the empty space on the right."""
    inset = ax.inset_axes(ZOOM_PLACE)
    for density, norms, _ in curves:
        feature_curves(density, norms, inset, "")
    for density, _ in events:
        inset.axvline(density, **EVENT)
    inset.set(xlim=zoom, ylim=(-0.05, 1.1), xticks=zoom, yticks=[0, 1])
    inset.tick_params(labelsize=8)
    for label in inset.get_xticklabels():  # over the line that leads here
        label.set_bbox({"fc": "white", "ec": "none", "pad": 0.5})
    inset.spines[:].set(visible=True, color=GREY)
    ax.indicate_inset_zoom(inset, edgecolor=GREY)
