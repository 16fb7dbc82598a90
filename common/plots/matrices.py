"""Square matrices as pictures: W^T W beside b, cosines between features, and one model's report.

Red is positive and blue negative, row 1 at the top, as in the paper; see `style` for the rest.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.colors import Normalize

from common import geometry
from common.plots.style import FEW, MANY, SIGNED, UNSHOWN, array, feature_vectors, norm_bars

PIXELS = 8  # along a cell of a matrix that is drawn as an image
SHORTEST_SHOWN = 0.4  # five features that share a neuron have norms of 1 / sqrt(5) each


def gram_grid(Gs, bs, titles, row_labels, label="$W^T W$ and $b$", size=1.7):
    """Effective matrices [rows, columns, n, n] with biases [rows, columns, n], one colour bar.

    A row label stands beside the name of the axis; "" for none.
    """
    Gs, bs = array(Gs), array(bs)
    rows, columns = len(row_labels), len(titles)
    fig, axes = plt.subplots(
        rows, columns, figsize=(size * columns + 0.8, size * rows + 0.25), squeeze=False
    )
    # A bias nearer to its own matrix than to the next one.
    fig.get_layout_engine().set(w_pad=0.1, h_pad=0.06)
    for row, column in np.ndindex(rows, columns):
        ax = axes[row, column]
        numbers = row == rows - 1 and column == 0
        gram_with_bias(Gs[row, column], bs[row, column], ax, numbers=numbers)
        if row < rows - 1:
            ax.set_xticks([])
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title)
    for ax, text in zip(axes[:, 0], row_labels, strict=True):
        ax.set_ylabel(f"{text}\noutput" if text else "output")
    for ax in axes[-1]:
        ax.set_xlabel("input")
    beyond = max(np.abs(Gs).max(), np.abs(bs).max()) > 1
    signed_colorbar(fig, axes, label, extend="both" if beyond else "neither")
    return fig


def gram_with_bias(G, b, ax, title=None, numbers=True):
    """W^T W [n, n] and, a little apart, b [n]: blue (-1) to red (+1).

    Row i is output i, from the top; column j is input j. Rows and columns are numbered when there
    are few and `numbers` is set.
    """
    G, b = array(G), array(b)
    n = len(b)
    wide = max(1, n / 20)  # of the bias; one cell would be a mere line beside 80 columns
    edges = np.array([*range(n + 1), n + 0.5 * wide, n + 1.5 * wide])
    if n > MANY:  # no lines between cells, and images in the PDF, not thousands of shapes
        for values, left, right in ((G, 0, n), (b[:, None], *edges[-2:])):
            cells = values.repeat(PIXELS, axis=0).repeat(PIXELS, axis=1)
            ax.imshow(cells, cmap=SIGNED, vmin=-1, vmax=1, extent=(left, right, n, 0),
                      interpolation="none")  # fmt: skip
    else:
        values = np.hstack([G, np.full((n, 1), np.nan), b[:, None]])
        ax.pcolormesh(edges, range(n + 1), values, cmap=SIGNED, vmin=-1, vmax=1,
                      edgecolors="white", linewidth=0.15)  # fmt: skip
    shown = np.arange(1, n + 1) if numbers and n <= FEW else np.arange(0)
    ax.set_xticks([*(shown - 0.5), n + wide], [*shown, "$b$"])
    ax.set_yticks(shown - 0.5, shown)
    ax.set(aspect="equal", xlim=edges[[0, -1]], ylim=(n, 0))  # the first output at the top
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)
    if title is not None:
        ax.set_title(title)
    return ax.figure


def matrix(values, ax, title=None, shown=None):
    """A small signed matrix [n, n] with its entries written in; row 1 at the top.

    shown : [n] booleans; rows and columns of the other features are left grey. All when None.
    """
    values = np.round(array(values), 2) + 0.0  # + 0.0 makes -0.00 a plain 0.00
    n = len(values)
    shown = np.ones(n, bool) if shown is None else array(shown)
    sns.heatmap(
        values, ax=ax, cmap=SIGNED, vmin=-1, vmax=1, cbar=False, square=True, linewidths=0.6,
        annot=n <= FEW, fmt=".2f", annot_kws={"size": min(7.5, 44 / n)},
        mask=~np.outer(shown, shown),
        xticklabels=range(1, n + 1), yticklabels=range(1, n + 1),
    )  # fmt: skip
    ax.set_facecolor(UNSHOWN)
    ax.tick_params(length=0, rotation=0)
    if title is not None:
        ax.set_title(title)
    return ax.figure


def signed_colorbar(fig, axes, label, extend="neither", limit=1):
    """The colour bar that goes with `gram_with_bias` and `matrix`, from -limit to limit.

    extend : "both" where values beyond the ends are drawn in their colours.
    """
    scale = plt.cm.ScalarMappable(Normalize(-limit, limit), SIGNED)
    fig.colorbar(
        scale, ax=axes, label=label, ticks=[-limit, 0, limit], aspect=18, shrink=0.8, extend=extend
    )


def embedding_report(W, axes, label):
    """One model W [2, n] in three panels: vectors, cosines, norms (by superposition).

    Features shorter than SHORTEST_SHOWN are left out of the cosines and grey among the norms.
    """
    feature_vectors(W, axes[0])
    axes[0].set_ylabel(label)
    matrix(geometry.cosines(W), axes[1], shown=geometry.represented(W, SHORTEST_SHOWN))
    norms, superposition = geometry.feature_norms(W), geometry.superposition(W)
    norm_bars(norms, superposition, axes[2], least=SHORTEST_SHOWN)
    return axes[0].figure
