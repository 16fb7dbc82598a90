"""Panels of the explorer's pictures: one optimum, in drawings and numbers."""

from common import geometry
from common.plots import style
from common.plots.matrices import gram_with_bias

WRITTEN = 0.05  # entries of W^T W and b are written into their cells from this size on
DARK = 0.6  # and in white from this size on
LOSS_COLORS = ("0.75", "#b3202c")  # of the best linear model, of the optimum
CENTRED = {"ha": "center", "va": "center"}
COLUMN = 0.2  # width of a column of a table, of its axes
BLANK = {"fc": "white", "ec": "none", "pad": 0.8}  # behind a number, so that no line crosses it


def oriented(W):
    """W [m, n], for m = 1 and 2 turned as it is drawn: its first feature points right."""
    if len(W) == 2:
        return geometry.align(W)
    kept = W[0, W[0].abs() > style.SHORTEST]
    return -W if len(W) == 1 and len(kept) and kept[0] < 0 else W


def hidden_space(W, ax):
    """The features W [m, n] where they can be drawn (m = 1, 2), else their dimensionalities."""
    if len(W) == 1:
        return _on_a_line(W[0], ax)
    if len(W) > 2:
        return _dimensions(W, ax)
    style.feature_vectors(W, ax, "hidden space")
    for i, (w, color) in enumerate(zip(W.T, style.feature_colors(W.shape[1]), strict=True)):
        if w.norm() > style.SHORTEST:
            x, y = w + 0.2 * w / w.norm()
            ax.text(x, y, i + 1, color=color, size=8, bbox=BLANK, **CENTRED)
    return ax.figure


def _on_a_line(w, ax):
    """Weights w [n] of one hidden dimension, a row for every feature."""
    colors = style.feature_colors(len(w))
    for i, (value, color) in enumerate(zip(w.tolist(), colors, strict=True), start=1):
        ax.plot([0, value], [i, i], color=color, lw=2.2, solid_capstyle="round")
        ax.plot(value, i, "o", color=color, ms=5)
    ax.axvline(0, color="0.8", lw=0.8, zorder=0)
    limit = max(style.LIMIT, 1.1 * w.abs().max().item())
    ax.set(title="hidden space", xlabel="weight", xlim=(-limit, limit), xticks=(-1, 0, 1))
    return _rows(len(w), ax)


def _dimensions(W, ax):
    """Share of a hidden dimension that each feature of W [m, n] has to itself."""
    n = W.shape[1]
    share = (geometry.dimensionality(W) * geometry.represented(W)).tolist()
    ax.barh(range(1, n + 1), share, color=style.feature_colors(n))
    ax.set(title="hidden space", xlabel="dimensions per feature")
    ax.set(xlim=(0, 1.05), xticks=(0, 0.5, 1), xticklabels=("0", "½", "1"))
    return _rows(n, ax)


def _rows(n, ax):
    """One numbered row for each of n features, the first at the top."""
    ax.set(yticks=range(1, n + 1), ylim=(n + 0.6, 0.4))
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    return ax.figure


def gram_in_numbers(G, b, ax):
    """`gram_with_bias` of G [n, n] and b [n], with its larger entries written in."""
    gram_with_bias(G, b, ax, "$W^T W$ and $b$")
    n = len(b)
    cells = [(j + 0.5, i + 0.5, G[i, j].item()) for i in range(n) for j in range(n)]
    cells += [(n + 1, i + 0.5, b[i].item()) for i in range(n)]
    for x, y, value in cells:
        if abs(value) >= WRITTEN:
            color = "white" if abs(value) >= DARK else "0.25"
            ax.text(x, y, f"{value:.1f}".replace("-", "−"), color=color, size=6.5, **CENTRED)
    return ax.figure


def norms_in_numbers(W, ax):
    """`style.norm_bars` of W [m, n], with the superposition of its features written in."""
    norms, superposition = geometry.feature_norms(W), geometry.superposition(W)
    style.norm_bars(norms, superposition, ax, "norm (number: superposition)")
    for i, value in enumerate(superposition.tolist()):
        if norms[i] >= geometry.REPRESENTED_NORM:
            color = "white" if value < DARK else "black"
            ax.text(0.04, i + 1, f"{value:.2f}", color=color, size=7.5, va="center")
    ax.set_xlabel("")
    return ax.figure


def loss_bars(linear, optimum, ax):
    """The loss of the best linear model and of the optimum, two numbers, side by side."""
    ax.bar((0, 1), (linear, optimum), color=LOSS_COLORS, width=0.7)
    share = f"\n{100 * optimum / linear:.0f} %" if linear > 0 else ""
    for x, value, text in ((0, linear, ""), (1, optimum, share)):
        ax.text(x, value, f"{value:.3g}{text}", size=7.5, ha="center", va="bottom")
    ax.set(title="least loss", xticks=(0, 1), xticklabels=("linear", "ReLU"), yticks=())
    ax.set(xlim=(-0.6, 1.6), ylim=(0, 1.25 * linear or 1))
    ax.tick_params(axis="x", length=0)
    ax.spines["left"].set_visible(False)
    return ax.figure


def cross_hair(x, y, ax):
    """A cursor over a map."""
    ax.axvline(x, color="black", lw=0.6)
    ax.axhline(y, color="black", lw=0.6)
    ax.plot(x, y, "o", color="white", mec="black", ms=6, zorder=3)
    return ax.figure


def facts(title, rows, ax):
    """A title and a table without lines: rows of (name, texts in columns from the right)."""
    ax.set_axis_off()
    place = {"va": "top", "transform": ax.transAxes}
    ax.text(0, 1, title, weight="bold", **place)
    for k, (name, texts) in enumerate(rows):
        y = 0.86 * (1 - k / len(rows))
        ax.text(0, y, name, size=8, **place)
        for j, text in enumerate(reversed(texts)):
            ax.text(1 - COLUMN * j, y, text, size=8, ha="right", **place)
    return ax.figure


def two_decimals(values):
    """Numbers [n] as texts, with a true minus sign and no minus zero."""
    return [f"{round(float(value), 2) + 0.0:.2f}".replace("-", "−") for value in values]
