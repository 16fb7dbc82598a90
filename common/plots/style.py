"""The style of every figure, and the drawings that several notebooks share.

Functions take arrays (or torch tensors) and optional axes, and return the figure. They compute
nothing but positions and colours: numbers come from `geometry` and `exact`.

Colours carry meaning, always the same: features go from dark violet (most important) to yellow
green (least important); entries of W^T W and b from blue (-1) over white to red (+1), as in the
paper; superposition from dark (0) to yellow (1 or more), as in the paper.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
import torch
from matplotlib.colors import ListedColormap, Normalize, PowerNorm, to_rgba

from common import geometry

LIMIT = 1.35  # half-width of the drawings of a two-dimensional hidden space
NORM_LIMIT = 1.3  # end of the axes that show norms
SHORTEST = 0.05  # below this norm a feature has no meaningful direction
FEW = 8  # up to here features are numbered and entries written into a matrix
MANY = 20  # beyond this, no gaps between cells or bars
SIGNED = "RdBu_r"  # diverging, colour-blind safe; red positive as in the paper
SUPERPOSITION = "inferno"
GREY = "0.55"
UNSHOWN = "0.85"  # in place of a colour that would mean nothing
BY_IMPORTANCE = "feature, from most to least important"
AUTHORS_COLOR, FAST_COLOR = sns.color_palette("deep", 2)  # of runs by the two recipes
CONTOURS = 19  # of a loss over two weights

STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "axes.formatter.min_exponent": 5,  # 0.001 on a log axis: exponents are too small in print
    "pdf.fonttype": 42,  # real fonts in the PDF, so that its text can be selected
    "image.interpolation": "nearest",
}


def use_style():
    """Apply the collection's style to matplotlib."""
    sns.set_theme(style="ticks", rc=STYLE)


def feature_colors(n_features):
    """One colour per feature [n, 4], from most important (dark violet) to least (yellow green)."""
    return plt.get_cmap("viridis")(np.linspace(0.0, 0.9, n_features))


def array(values):
    """`values` as a numpy array, from a tensor (detached) or anything numpy takes."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def cell_edges(centres, log=False):
    """Borders [N + 1] of the cells around centres [N], N >= 2; `log`: half-way in the logarithm."""
    centres = np.log(array(centres)) if log else array(centres).astype(float)
    middle = (centres[1:] + centres[:-1]) / 2
    edges = np.array([2 * centres[0] - middle[0], *middle, 2 * centres[-1] - middle[-1]])
    return np.exp(edges) if log else edges


def loss_surface(loss, first, second, ax):
    """Loss [len(second), len(first)] over two weights w_1 and w_2, dark where it is low.

    Contours lie closer together near the lowest point. Returns what a colour bar needs.
    """
    loss = array(loss)
    levels = loss.min() + np.ptp(loss) * np.linspace(0, 1, CONTOURS) ** 2
    axes = array(first), array(second)
    filled = ax.contourf(*axes, loss, levels, cmap="mako", norm=PowerNorm(0.5))
    filled.set_rasterized(True)
    ax.contour(*axes, loss, levels, colors="white", linewidths=0.3, alpha=0.4)
    ax.axhline(0, color="white", lw=0.5, alpha=0.6)
    ax.axvline(0, color="white", lw=0.5, alpha=0.6)
    ax.set(aspect="equal", xlabel="$w_1$", ylabel="$w_2$")
    return filled


def inputs(x, ax, title=None):
    """Inputs x [batch, n] as a picture: one column an input, the first feature at the top."""
    sns.heatmap(
        array(x).T, ax=ax, cmap="Greys", vmin=0, vmax=1, cbar=False, linewidths=0.3,
        xticklabels=False, yticklabels=range(1, x.shape[1] + 1),
    )  # fmt: skip
    ax.tick_params(length=0, rotation=0)
    ax.set(xlabel=f"{len(x)} inputs")
    if title is not None:
        ax.set_title(title)
    return ax.figure


def turned(W):
    """W [..., m, n], m = 2 or 3, turned as it is drawn, each model by itself: no loss changes.

    The first feature points along the first axis, and the next lie as low in the numbering of the
    axes as they can.
    """
    if W.shape[-2] == 2:
        return geometry.align(W)
    triangle = torch.linalg.qr(W).R  # W but for a rotation: upper triangular
    signs = torch.diagonal(triangle, dim1=-2, dim2=-1) < 0
    return torch.where(signs[..., None], -triangle, triangle)


def feature_vectors(W, ax, title=None):
    """Draw the columns of W [2, n] as vectors: solid to the feature's norm, dotted beyond.

    The dotted continuation shows the direction of short vectors; the grey circle is norm 1. W
    [3, n] takes axes in 3-D; there thin lines lead from the tips down to the floor.
    """
    W = array(W)
    if len(W) == 3:
        _vectors_in_3d(W, ax)
    else:
        _vectors_in_2d(W, ax)
    if title is not None:
        ax.set_title(title)
    return ax.figure


def _vectors_in_2d(W, ax):
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="0.85", lw=0.8, zorder=0))
    for i, color in enumerate(feature_colors(W.shape[1])):
        norm = np.hypot(*W[:, i])
        if norm > SHORTEST:
            far = W[:, i] / norm * LIMIT
            ax.plot([0, far[0]], [0, far[1]], ":", color=color, lw=0.9, alpha=0.6, zorder=1)
        ax.plot([0, W[0, i]], [0, W[1, i]], color=color, lw=2.2, solid_capstyle="round")
        ax.plot(*W[:, i], "o", color=color, ms=5, zorder=3)
    clean_square(ax, LIMIT)


def _vectors_in_3d(W, ax):
    around = np.linspace(0, 2 * np.pi, 60)
    ax.plot(np.cos(around), np.sin(around), -LIMIT, color="0.88", lw=0.8)  # norm 1, on the floor
    for w, color in zip(W.T, feature_colors(W.shape[1]), strict=True):
        ax.plot(*np.stack([0 * w, w], 1), color=color, lw=2.2)
        ax.plot(*w[:, None], "o", color=color, ms=5)
        ax.plot(w[[0, 0]], w[[1, 1]], [-LIMIT, w[2]], color="0.85", lw=0.6)
    ax.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), zlim=(-LIMIT, LIMIT))
    ax.set_box_aspect((1, 1, 1), zoom=1.25)
    ax.view_init(22, -60)
    ax.set_axis_off()


def clean_square(ax, limit):
    """Square axes around the origin without ticks or frame."""
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)


def feature_vector_grid(rows, titles, row_labels, size=1.55, legend=BY_IMPORTANCE, per_line=None):
    """A grid of feature drawings: rows [row][column] of W [2 or 3, n], shared column titles.

    legend   : title of the legend; None for no legend.
    per_line : columns after which the grid goes on below, all rows together; None: never.
    """
    width = min(per_line or len(titles), len(titles))
    lines = -(-len(titles) // width)  # rounded up
    fig, axes = plt.subplots(
        lines * len(rows), width, figsize=(size * width, size * lines * len(rows) * 1.08),
        squeeze=False, subplot_kw={"projection": "3d" if len(rows[0][0]) == 3 else None},
    )  # fmt: skip
    for block, start in zip(np.split(axes, lines), range(0, len(titles), width), strict=True):
        part = slice(start, start + width)
        _grid_line(block, [row[part] for row in rows], titles[part], row_labels)
    if legend is not None:
        feature_legend(fig, array(rows[0][0]).shape[1], legend)
    return fig


def _grid_line(axes, rows, titles, row_labels):
    """One line of `feature_vector_grid` on axes [row, column]; axes left over stay empty."""
    for axes_row, row, label in zip(axes, rows, row_labels, strict=True):
        for ax, W in zip(axes_row[: len(titles)], row, strict=True):
            feature_vectors(W, ax)
        if len(row[0]) == 3:  # where a label of the axes would turn with the view
            place = {"rotation": 90, "ha": "right", "va": "center"}
            axes_row[0].text2D(0, 0.5, label, transform=axes_row[0].transAxes, **place)
        else:
            axes_row[0].set_ylabel(label)
    for ax, title in zip(axes[0, : len(titles)], titles, strict=True):
        ax.set_title(title)
    for ax in axes[:, len(titles) :].flat:
        ax.set_axis_off()


def feature_legend(fig, n_features, title=BY_IMPORTANCE):
    """One line below the figure that names the colours of the features."""
    handles = [
        plt.Line2D([], [], color=color, marker="o", ms=4.5, lw=2, label=f"{i + 1}")
        for i, color in enumerate(feature_colors(n_features))
    ]
    fig.legend(
        handles=handles,
        title=title,
        title_fontsize=9,
        loc="outside lower center",
        ncols=n_features,
    )


def norm_bars(norms, superposition, ax, title=None, least=geometry.REPRESENTED_NORM):
    """Feature norms [n] as bars coloured by superposition [n]; the most important at the top.

    Bars shorter than `least` are grey: of a feature that is not represented the direction, and so
    the superposition, means little.
    """
    norms, superposition = array(norms), array(superposition)
    colors = plt.get_cmap(SUPERPOSITION)(0.85 * np.clip(superposition, 0, 1))
    colors[norms < least] = to_rgba(UNSHOWN)
    positions = np.arange(1, len(norms) + 1)
    # No gaps between bars as thin as lines, nor the pale seams of edges that only touch.
    height, edge = (0.8, 0) if len(norms) <= MANY else (1.0, 0.4)
    ax.barh(positions, norms, color=colors, height=height, linewidth=edge, edgecolor=colors)
    ax.axvline(1, color="0.8", lw=0.8, zorder=0)
    ax.invert_yaxis()
    ax.set(yticks=positions, xlabel="norm", xlim=(0, max(NORM_LIMIT, 1.05 * norms.max())))
    ax.tick_params(axis="y", length=0)
    if title is not None:
        ax.set_title(title)
    return ax.figure


def superposition_colorbar(fig, axes):
    """The colour bar that goes with `norm_bars`."""
    colors = plt.get_cmap(SUPERPOSITION)(0.85 * np.linspace(0, 1, 256))
    scale = plt.cm.ScalarMappable(Normalize(0, 1), ListedColormap(colors))
    bar = fig.colorbar(scale, ax=axes, label="superposition", ticks=[0, 1], aspect=18, shrink=0.8)
    bar.ax.set_yticklabels(["0", "≥ 1"])
    bar.ax.tick_params(length=0, pad=5)  # a tick would touch the sign
