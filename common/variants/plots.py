"""Figures of the model variants. The style and the colours are those of `plots.style`."""

from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import ListedColormap

from common.plots import curves, style
from common.plots.matrices import signed_colorbar
from common.plots.style import array, cell_edges

STABLE_COLOR, SADDLE_COLOR = "#8fb7d9", "0.93"
NEIGHBOUR_ANGLE = 1.2  # neighbours in 3-D: angles up to this times a feature's smallest one
KINDS = ("monosemantic", "polysemantic", "dead")
KIND_COLORS = ("black", "#f2a93b", "0.8")  # none of the colours of weights
WEIGHT_LIMIT = 1.5  # end of the colour scale of weights of neurons


def response_matrices(stages, titles, size=2.3):
    """Responses [stages, n, n] of every output (rows) to every feature alone (columns)."""
    fig, axes = plt.subplots(1, len(titles), figsize=(size * len(titles) + 0.8, size + 0.2))
    for ax, values, title in zip(axes, array(stages), titles, strict=True):
        ax.pcolormesh(values, cmap=style.SIGNED, vmin=-1, vmax=1, edgecolors="white", linewidth=0.3)
        ax.set(aspect="equal", ylim=(len(values), 0), xticks=[], yticks=[], title=title)
        ax.set_xlabel("the active feature")
        for spine in ax.spines.values():
            spine.set_visible(False)
    axes[0].set_ylabel("output")
    signed_colorbar(fig, axes, "response", extend="both")
    return fig


def stability_chart(density, counts, stable, lowest, ax):
    """Where the regular polygon of `counts` [K] features is a minimum, along `density` [D].

    stable : [K, D] booleans, drawn as filled cells.
    lowest : {(k, p): whether the polygon is the lowest minimum found}, drawn as dots and crosses
             where k is among `counts`.
    """
    edges = cell_edges(density, log=True)
    ax.pcolormesh(
        edges, cell_edges(counts), array(stable).astype(float),
        cmap=ListedColormap([SADDLE_COLOR, STABLE_COLOR]), vmin=0, vmax=1,
        edgecolors="white", linewidth=0.8,
    )  # fmt: skip
    for (k, p), best in lowest.items():
        if k in counts:
            ax.plot(p, k, "o" if best else "x", color="0.1", ms=4.5, mew=1.2)
    ax.set(xscale="log", xlabel="density", ylabel="features $k$", yticks=list(counts))
    ax.set_xlim(1, edges[-1])
    ax.tick_params(axis="y", length=0)
    handles = [
        plt.Rectangle((0, 0), 1, 1, color=STABLE_COLOR, label="a minimum"),
        plt.Rectangle((0, 0), 1, 1, color=SADDLE_COLOR, label="a saddle, or flat"),
        plt.Line2D([], [], color="0.1", marker="o", ls="", ms=4.5, label="the lowest found"),
        plt.Line2D([], [], color="0.1", marker="x", ls="", ms=4.5, label="not the lowest"),
    ]
    ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderpad=0)
    return ax.figure


def value_curves(density, counts, value, ax):
    """Features' worth stored [K, D] by polygons of `counts` [K] features, along `density` [D]."""
    value = array(value)
    colors = sns.color_palette("deep", len(counts))
    for curve, color in zip(value, colors, strict=True):
        ax.plot(density, curve, color=color)
    end = float(min(density))
    ax.set(xscale="log", xlabel="density", ylabel="features' worth stored", xlim=(1, end))
    names = [f"$k = {k}$" for k in counts]
    return curves.curve_names(end, value[:, -1], names, colors, ax, 0.085 * np.ptp(value))


def windmills(models, titles, size=1.5):
    """Feature drawings of models W [2, n], which may differ in n, side by side."""
    fig, axes = plt.subplots(1, len(models), figsize=(size * len(models), size + 0.35))
    for ax, W, title in zip(np.atleast_1d(axes), models, titles, strict=True):
        style.feature_vectors(W, ax)
        limit = max(style.LIMIT, 1.15 * float(np.hypot(*array(W)).max()))
        style.clean_square(ax, limit)
        ax.set_title(title)
    return fig


def features_in_3d(W, ax, title=None, view=(22, 35)):
    """The columns of W [3, n] as vectors, neighbouring tips joined, with shadows on the floor.

    Neighbours are features whose angle is close to the smallest of either one.
    """
    W = array(W)
    long = np.hypot.reduce(W, axis=0) >= style.SHORTEST
    W = upright(W, long)
    colors = style.feature_colors(W.shape[1])
    limit = 1.02 * np.abs(W).max() or 1.0
    floor = -1.15 * limit
    for i, j in neighbours(W):
        ax.plot(*W[:, [i, j]], color="0.55", lw=0.8, zorder=1)
    for i in np.flatnonzero(long):
        ax.plot(*np.stack([np.zeros(3), W[:, i]], 1), color=colors[i], lw=2)
        ax.plot(*W[:, i : i + 1], "o", color=colors[i], ms=5.5)
        ax.plot(W[0, [i]], W[1, [i]], [floor], "o", color="0.85", ms=4)
        ax.plot(W[0, [i, i]], W[1, [i, i]], [floor, W[2, i]], color="0.88", lw=0.6, zorder=0)
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), zlim=(floor, limit))
    ax.set_box_aspect((2, 2, 2.15), zoom=1.15)
    ax.set_axis_off()
    ax.view_init(*view)
    if title is not None:
        ax.set_title(title, y=1.02)
    return ax.figure


def upright(W, long):
    """W [3, n] turned for a drawing: the axis of symmetry of the features `long` upright.

    It is the principal axis whose spread differs most from the other two; without such an axis
    the direction of the longest feature.
    """
    if not long.any():
        return W
    axes, spread, _ = np.linalg.svd(W[:, long])
    spread = np.pad(spread, (0, 3 - len(spread)))
    gaps = np.abs(spread - np.median(spread))
    if gaps.max() > 0.02 * spread.max():
        up = axes[:, gaps.argmax()]
    else:
        up = W[:, np.hypot.reduce(W, axis=0).argmax()]
    turned = np.linalg.svd(up[None])[2][[1, 2, 0]] @ W  # two directions across it, then itself
    return turned * np.array([1, 1, -1 if turned[2].sum() < 0 else 1])[:, None]


def neighbours(W):
    """Pairs (i, j) of features of W [m, n] whose angle is at most NEIGHBOUR_ANGLE times the least
    angle of one of the two; features too short to have a direction have none."""
    norms = np.sqrt((W**2).sum(0))
    unit = W / np.where(norms > 0, norms, 1)
    angle = np.arccos(np.clip(unit.T @ unit, -1, 1))
    long = norms >= style.SHORTEST
    angle[~np.outer(long, long)] = np.inf
    np.fill_diagonal(angle, np.inf)
    nearest = NEIGHBOUR_ANGLE * angle.min(1)
    pairs = combinations(range(W.shape[1]), 2)
    return [(i, j) for i, j in pairs if angle[i, j] <= max(nearest[i], nearest[j]) < np.inf]


def neuron_map(W, kinds, ax, title=None):
    """Weights W [m, n] of every neuron (column) to every feature (row, the first at the top).

    kinds : [m] index into KINDS, shown by a square under each neuron.
    """
    W = array(W)
    n = W.shape[1]
    ax.pcolormesh(
        W.T, cmap=style.SIGNED, vmin=-WEIGHT_LIMIT, vmax=WEIGHT_LIMIT, edgecolors="white", lw=0.4
    )
    for k, kind in enumerate(kinds):
        ax.plot(k + 0.5, n + 0.7, "s", color=KIND_COLORS[kind], ms=5.5, clip_on=False)
    ax.set(aspect="equal", ylim=(n, 0), xticks=[])
    ax.set_yticks(np.arange(n) + 0.5, range(1, n + 1))
    ax.tick_params(length=0)
    ax.spines[["left", "bottom"]].set_visible(False)
    if title is not None:
        ax.set_title(title)
    return ax.figure


def rise_by_angle(angles, rise, density, ax):
    """Rise of the loss [D, A] when the hidden space is turned by angles [A], in degrees; a line for
    each density [D]."""
    rise = array(rise)
    for values, p, shade in zip(rise, density, curves.density_colors(len(density)), strict=True):
        ax.plot(angles, values, "o-", ms=3.5, color=shade, label=f"{p:g}")
    ax.set(xscale="log", yscale="log", xticks=angles, xticklabels=angles)
    ax.set(xlabel="angle of rotation (degrees)", ylabel="rise of the loss (1: doubled)")
    ax.set_ylim(top=100 * rise.max())  # room for the legend
    ax.minorticks_off()
    ax.legend(
        title="density", fontsize=8, title_fontsize=8, labelspacing=0.2, loc="upper left", ncols=2
    )
    return ax.figure


def neuron_grid(rows, kinds, titles, row_labels, size=0.145):
    """`neuron_map` of models rows [row][column] of W [m, n], with one legend (of the kinds that
    occur) and colour bar.

    kinds : [row][column] of [m] index into KINDS; size: inches, side of a cell.
    """
    shape = len(rows), len(titles)
    m, n = array(rows[0][0]).shape
    figsize = (size * (m + 3) * shape[1] + 1, size * (n + 3.5) * shape[0] + 0.6)
    fig, axes = plt.subplots(*shape, figsize=figsize, sharey=True, squeeze=False)
    for row, label in enumerate(row_labels):
        for column, ax in enumerate(axes[row]):
            title = titles[column] if row == 0 else None
            neuron_map(rows[row][column], kinds[row][column], ax, title)
        axes[row, 0].set_ylabel(label)
    present = sorted({int(kind) for row in kinds for each in row for kind in each})
    handles = [
        plt.Line2D([], [], color=KIND_COLORS[kind], marker="s", ls="", ms=5.5, label=KINDS[kind])
        for kind in present
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    signed_colorbar(fig, axes, "weight", extend="both", limit=WEIGHT_LIMIT)
    return fig
