"""Every figure of the collection, one function a figure type, one style.

Functions take arrays (or torch tensors) and optional axes, and return the figure. They compute
nothing but positions and colours: numbers come from `geometry` and `exact`.

Colours carry meaning, always the same: features go from dark violet (most important) to yellow
green (least important); entries of W^T W and b from blue (-1) over white to red (+1), as in the
paper; superposition from dark (0) to yellow (1 or more), as in the paper.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import ListedColormap, Normalize

from common import geometry

LIMIT = 1.35  # half-width of the drawings of a two-dimensional hidden space
SHORTEST = 0.05  # below this norm a feature has no meaningful direction
SIGNED = "RdBu_r"  # diverging, colour-blind safe; red positive as in the paper
SUPERPOSITION = "inferno"
GREY = "0.55"

STYLE = {
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
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


def feature_vectors(W, ax, title=None):
    """Draw the columns of W [2, n] as vectors: solid to the feature's norm, dotted beyond.

    The dotted continuation shows the direction of short vectors; the grey circle is norm 1.
    """
    W = array(W)
    ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="0.85", lw=0.8, zorder=0))
    for i, color in enumerate(feature_colors(W.shape[1])):
        norm = np.hypot(*W[:, i])
        if norm > SHORTEST:
            far = W[:, i] / norm * LIMIT
            ax.plot([0, far[0]], [0, far[1]], ":", color=color, lw=0.9, alpha=0.6, zorder=1)
        ax.plot([0, W[0, i]], [0, W[1, i]], color=color, lw=2.2, solid_capstyle="round")
        ax.plot(*W[:, i], "o", color=color, ms=5, zorder=3)
    clean_square(ax, LIMIT)
    if title is not None:
        ax.set_title(title)
    return ax.figure


def clean_square(ax, limit):
    """Square axes around the origin without ticks or frame."""
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal", xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)


def feature_vector_grid(rows, titles, row_labels, size=1.55, legend=True):
    """A grid of feature drawings: rows [row][column] of W [2, n], shared column titles."""
    fig, axes = plt.subplots(
        len(rows), len(titles), figsize=(size * len(titles), size * len(rows) * 1.08), squeeze=False
    )
    for axes_row, row, label in zip(axes, rows, row_labels, strict=True):
        for ax, W in zip(axes_row, row, strict=True):
            feature_vectors(W, ax)
        axes_row[0].set_ylabel(label)
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    if legend:
        feature_legend(fig, array(rows[0][0]).shape[1])
    return fig


def feature_legend(fig, n_features):
    """One line below the figure that names the colours of the features."""
    handles = [
        plt.Line2D([], [], color=color, marker="o", ms=4.5, lw=2, label=f"{i + 1}")
        for i, color in enumerate(feature_colors(n_features))
    ]
    fig.legend(
        handles=handles,
        title="feature, from most to least important",
        title_fontsize=8,
        loc="outside lower center",
        ncols=n_features,
    )


def gram_with_bias(G, b, axes, title=None):
    """W^T W [n, n] and b [n] beside it, blue (-1) to red (+1); row i is output i, from the top."""
    G, b = array(G), array(b)
    norm = Normalize(-1, 1)
    shared = {"cmap": SIGNED, "norm": norm, "cbar": False, "square": True, "linewidths": 0.4}
    for ax, values in zip(axes, (G, b[:, None]), strict=True):
        sns.heatmap(values, ax=ax, xticklabels=False, yticklabels=False, **shared)
    if title is not None:
        axes[0].set_title(title)
    return axes[0].figure


def matrix(values, ax, title=None, labels="12345678"):
    """A small signed matrix [n, n] with its entries written in; row 1 at the top."""
    values = array(values)
    n = values.shape[0]
    sns.heatmap(
        values, ax=ax, cmap=SIGNED, vmin=-1, vmax=1, cbar=False, square=True, linewidths=0.6,
        annot=True, fmt=".2f", annot_kws={"size": 7},
        xticklabels=list(labels[:n]), yticklabels=list(labels[:n]),
    )  # fmt: skip
    ax.tick_params(length=0, rotation=0)
    if title is not None:
        ax.set_title(title)
    return ax.figure


def signed_colorbar(fig, axes, label):
    """The colour bar that goes with `gram_with_bias` and `matrix`."""
    scale = plt.cm.ScalarMappable(Normalize(-1, 1), SIGNED)
    fig.colorbar(scale, ax=axes, label=label, ticks=[-1, 0, 1], aspect=18, shrink=0.8)


def norm_bars(norms, superposition, ax, title=None):
    """Feature norms [n] as bars coloured by superposition [n]; the most important at the top."""
    norms, superposition = array(norms), array(superposition)
    colors = plt.get_cmap(SUPERPOSITION)(0.85 * np.clip(superposition, 0, 1))
    positions = np.arange(1, len(norms) + 1)
    ax.barh(positions, norms, color=colors, height=0.8)
    ax.axvline(1, color="0.8", lw=0.8, zorder=0)
    ax.invert_yaxis()
    ax.set(yticks=positions)
    ax.tick_params(axis="y", length=0)
    if title is not None:
        ax.set_title(title)
    return ax.figure


def superposition_colorbar(fig, axes):
    """The colour bar that goes with `norm_bars`."""
    colors = plt.get_cmap(SUPERPOSITION)(0.85 * np.linspace(0, 1, 256))
    scale = plt.cm.ScalarMappable(Normalize(0, 1), ListedColormap(colors))
    fig.colorbar(
        scale, ax=axes, label="superposition", ticks=[0, 1], aspect=18, shrink=0.8
    ).ax.set_yticklabels(["0", "≥ 1"])


def restart_strip(excess, labels, ax, color="C0", label=None, shift=0.0, floor=1e-6):
    """Excess loss of every restart over the best, one column of dots a setting, log scale.

    excess : [settings, restarts] relative excess (0.01 = 1 %); below `floor` it is drawn there.
    """
    excess = np.maximum(array(excess), floor)
    jitter = np.linspace(-0.12, 0.12, excess.shape[1])
    for column, values in enumerate(excess):
        ax.plot(
            column + shift + jitter, np.sort(values), "o", ms=2.6, color=color, alpha=0.75,
            mew=0, label=label if column == 0 else None,
        )  # fmt: skip
    ax.set(yscale="log", xticks=range(len(labels)), xticklabels=labels)
    ax.axhline(0.01, color=GREY, lw=0.8, ls="--", zorder=0)
    return ax.figure


def feature_curves(steps, values, ax, ylabel):
    """One line a feature: values [T, n] at `steps` [T]; NaN leaves a gap."""
    values = array(values)
    for y, color in zip(values.T, feature_colors(values.shape[1]), strict=True):
        ax.plot(steps, y, color=color)
    ax.set_ylabel(ylabel)
    return ax.figure


def training_story(steps, losses, norms, angles, joined, axes, title):
    """Loss, feature norms and feature angles over training, one above the other.

    losses [T]; norms, angles [T, n] (degrees); joined: the step at which each feature joins, or
    None, drawn as a dotted line in the feature's colour. An angle is drawn while the feature has a
    direction to speak of.
    """
    loss_ax, norm_ax, angle_ax = axes
    norms, angles = array(norms), array(angles).copy()
    loss_ax.plot(steps, array(losses), color="0.25")
    loss_ax.set(yscale="log", ylabel="exact loss", title=title)
    feature_curves(steps, norms, norm_ax, "norm")
    norm_ax.set(ylim=(0, 1.3))
    angles[norms < 4 * SHORTEST] = np.nan
    jump = np.abs(np.diff(angles, axis=0)) > 180  # from 360 to 0 degrees: not a movement
    angles[1:][jump] = np.nan
    feature_curves(steps, angles, angle_ax, "angle")
    angle_ax.set(ylim=(0, 360), yticks=[0, 90, 180, 270, 360], xlabel="training step")
    for step, color in zip(joined, feature_colors(norms.shape[1]), strict=True):
        for ax in axes:
            if step is not None:
                ax.axvline(step, color=color, ls=":", lw=1)
    return loss_ax.figure


def embedding_report(W, axes, label):
    """One model in three panels: vectors in two dimensions, cosines, norms (by superposition)."""
    feature_vectors(W, axes[0])
    axes[0].set_ylabel(label)
    matrix(geometry.interference(W), axes[1])
    norm_bars(geometry.feature_norms(W), geometry.superposition(W), axes[2])
    return axes[0].figure
