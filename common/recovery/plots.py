"""Figures of the recovery notebooks, and names for their results."""

import re

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from common.plots.style import GREY, array, cell_edges, feature_colors
from common.recovery.study import LEARNED, interval

_DEEP = sns.color_palette("deep")
COLORS = {  # one colour a method, the same in every figure
    "best linear": "0.45",
    "matched filter": _DEEP[1],
    "ReLU decoder": _DEEP[3],
    LEARNED: _DEEP[4],
    "OMP": _DEEP[9],
    "OMP, x ≥ 0": _DEEP[0],
    "Lasso (cd), x ≥ 0": _DEEP[2],
    "all supports": "0.1",
    "ICA": _DEEP[1],
    "dictionary learning": _DEEP[0],
    "dictionary learning, mini-batch": _DEEP[9],
    "autoencoder, L1": _DEEP[2],
    "autoencoder, top k": _DEEP[3],
    "inputs at random": "0.6",
    "random directions": "0.35",
}
MARKERS = {"matched filter": "s", "ReLU decoder": "s", LEARNED: "D", "OMP": "v", "best linear": "x"}
FLOOR = 3e-4  # relative errors are drawn no lower
LADDER_FLOOR = 1.5e-3  # left end of the axes of `decoder_ladder`


def slug(name):
    """The name of a method or family as part of a result's: "omp-nonnegative" of "OMP, x ≥ 0"."""
    words = re.findall(r"[a-z0-9]+", name.lower().replace("x ≥ 0", "nonnegative"))
    return "-".join(words)


def activations(panels, axes):
    """True and recovered activations {title: x [N, n]} as heatmaps, the first one being true."""
    for (title, x), ax in zip(panels.items(), axes, strict=True):
        mesh = ax.imshow(array(x).T, cmap="rocket_r", vmin=0, vmax=1, aspect="auto")
        ax.set_title(title.replace(", ", ",\n", 1))
        ax.set(xticks=[], yticks=[], xlabel="inputs")
        for spine in ax.spines.values():
            spine.set(visible=True, color="0.6")
    axes[0].set(ylabel="feature")
    options = {"label": "activation", "aspect": 18, "shrink": 0.9, "extend": "max"}
    axes[0].figure.colorbar(mesh, ax=list(axes), **options)


def band(ax, at, values, color, label, marker="o", dashed=False, log=False):
    """Mean over the first axis of values [S, points] as a line, its 95 % interval as a band.

    log : the interval of the logarithm of the mean, which never reaches 0.
    """
    mean, low, high = _ends(values, log)
    style = "--" if dashed else "-"
    ax.plot(at, mean, style, marker=marker, ms=3.5, color=color, label=label, lw=1.4)
    ax.fill_between(at, low, high, color=color, alpha=0.18, lw=0)


def _ends(values, log):
    """Mean and both ends of its 95 % interval."""
    mean, half = interval(values)
    if not log:
        return mean, mean - half, mean + half
    factor = np.exp(np.minimum(half / np.maximum(mean, 1e-300), 5))
    return mean, mean / factor, mean * factor


def error_curves(results, at, ax, title, lowest=FLOOR):
    """Relative error against `at`, a line a method; results: a {method: scores} for each point."""
    methods = [name for name in COLORS if name in results[0]]
    for name in methods:
        values = np.maximum([point[name]["relative"] for point in results], FLOOR).T
        band(ax, at, values, COLORS[name], name, MARKERS.get(name, "o"), log=True)
    ax.axhline(1, color=GREY, lw=0.9, ls="--", zorder=0)
    ax.set(yscale="log", ylim=(lowest * 0.8, 3), title=title)


def density_axis(ax, density):
    """Densities on a log axis, sparse to the right."""
    ax.set_xscale("log")
    ax.set_xlim(max(density) * 1.12, min(density) / 1.12)
    ax.set_xticks(density, [f"{p:g}" for p in density])
    ax.minorticks_off()


def legend_below(fig, axes, columns, extra=()):
    """All labels of `axes` once, below the figure; extra: pairs (handle, label)."""
    found = {}
    for ax in np.ravel(axes):
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    order = [name for name in COLORS if name in found]
    order += [name for name in found if name not in order]
    handles = [found[name] for name in order] + [handle for handle, _ in extra]
    labels = order + [label for _, label in extra]
    fig.legend(handles, labels, loc="outside lower center", ncols=columns)


def baseline_handle():
    """Legend entry (handle, label) of the dashed baseline."""
    return plt.Line2D([], [], color=GREY, lw=0.9, ls="--"), "always predicting the mean"


def decoder_ladder(families, ax, title):
    """Relative error of each decoder as dots with intervals, a row a family of dictionaries.

    families: {family: {method: scores}}.
    """
    for row, results in enumerate(families.values()):
        shown = [name for name in COLORS if name in results]
        for k, name in enumerate(shown):
            mean, low, high = _ends(np.maximum(results[name]["relative"], FLOOR), log=True)
            y = row + 0.09 * (k - (len(shown) - 1) / 2)
            ax.plot(mean, y, MARKERS.get(name, "o"), ms=5, color=COLORS[name],
                    label=name if row == 0 or name == "ReLU decoder" else None)  # fmt: skip
            ax.plot([low, high], [y, y], color=COLORS[name], lw=1.2)
    ax.axvline(1, color=GREY, lw=0.9, ls="--", zorder=0)
    ax.set(xscale="log", xlim=(LADDER_FLOOR, 1.5), title=title, xlabel="relative error")
    ax.set_yticks(range(len(families)), list(families))
    ax.set_ylim(len(families) - 0.5, -0.5)
    for row in range(len(families) - 1):
        ax.axhline(row + 0.5, color="0.9", lw=0.8, zorder=0)


def fate_map(r2, density, ax, title):
    """R^2 [densities, n] of each feature: the most important at the top, sparse to the right."""
    mesh = ax.pcolormesh(array(np.maximum(r2, 0)).T, cmap="rocket_r", vmin=0, vmax=1)
    n = np.shape(r2)[1]
    ax.set_xticks(np.arange(len(density)) + 0.5, [f"{p:g}" for p in density])
    ticks = [0, *range(4, n, 5)]
    ax.set_yticks(np.array(ticks) + 0.5, [i + 1 for i in ticks])
    ax.set(title=title, xlabel="density p")
    ax.invert_yaxis()
    ax.tick_params(length=0)
    return mesh


def against_norm(norms, r2, ax, title):
    """R^2 [S, n] of every feature against its norm [S, n], coloured by importance."""
    colors = np.tile(feature_colors(norms.shape[1]), (len(norms), 1))
    ax.scatter(array(norms).ravel(), np.ravel(r2), c=colors, s=9, linewidths=0, alpha=0.8)
    ax.axhline(0, color=GREY, lw=0.9, ls="--", zorder=0)
    ax.set(title=title, xlabel="norm of the feature", ylim=(-0.12, 1.05))


def transition_map(delta, rho, shares, ax):
    """Share of exact recoveries [delta, rho]: m / n to the right, active / m upwards."""
    # A single column has no neighbours that say how wide it is.
    columns = cell_edges(delta) if len(delta) > 1 else delta[0] + np.array([-0.05, 0.05])
    edges = columns, cell_edges(rho)
    mesh = ax.pcolormesh(*edges, array(shares).T, cmap="mako", vmin=0, vmax=1, rasterized=True)
    ax.set(xlim=edges[0][[0, -1]], ylim=edges[1][[0, -1]])
    return mesh


def transition_legend(fig, axes, mesh):
    """Colour bar and legend of a grid of `transition_map` panels with their curves."""
    fig.colorbar(mesh, ax=axes, label="share of exact recoveries", aspect=28, shrink=0.8)
    theory = axes.flat[0].get_legend_handles_labels()
    half = plt.Line2D(
        [], [], color="0.4", marker="o", ms=4, mfc="white", mec="black", mew=0.5, lw=1
    )
    fig.legend(
        [*theory[0][:1], half], [*theory[1][:1], "half of all signals come back"],
        loc="outside lower center", ncols=2,
    )  # fmt: skip
