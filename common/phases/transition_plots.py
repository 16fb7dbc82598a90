"""Pictures of the transition of two features in one dimension: its lines, and cuts across them."""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D

from common.phases import plots as phase_plots
from common.phases.plots import DEDICATED, SUPERPOSED, log_ticks
from common.plots.style import array

TAKEOVER, COEXISTING = "#b3202c", "#f0b429"
EVENTS = {  # on the way down in density, as thin lines across the cuts
    "superposition begins": {"color": DEDICATED, "lw": 0.7},
    "pair takes over (jump)": {"color": TAKEOVER, "lw": 0.7},
}


def onset_lines(relative_importance, exact, theory, read_off, window):
    """Where superposition begins to pay, and by how much higher that is than in theory; a figure.

    exact, theory : densities [N] over relative importance [N] >= 1, mirrored.
    read_off      : densities [C] found on the map, over the columns [C] of its `window`.
    """
    fig, (left, right) = plt.subplots(1, 2, figsize=(6.6, 2.7), width_ratios=[1, 1.25])
    r, exact, theory = (array(v) for v in (relative_importance, exact, theory))
    both = np.concatenate([1 / r[::-1], r])
    exact, theory = (np.concatenate([v[::-1], v]) for v in (exact, theory))
    phase_plots.map_axes(left, *window)
    phase_plots.boundary_line(both, theory, left, "theory", **phase_plots.THEORY_LINE)
    phase_plots.boundary_line(both, exact, left, "exact optimum", color=DEDICATED)
    every = slice(None, None, 9)
    left.plot(
        window[1][every], read_off[every], ".", color=DEDICATED, ms=4, label="read off the map"
    )
    left.set_ylim(both.min(), 1)  # at r the boundary lies above 1/r
    left.legend(loc="lower center")
    right.plot(both, exact / theory, color=DEDICATED)
    right.axhline(1, color="0.6", lw=0.8)
    right.set(xlim=(both.min(), both.max()), xlabel="relative importance $r$")
    log_ticks([0.03, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30], right)
    right.set_ylabel("onset density, exact / theory")
    return fig


def jumps(relative_importance, crossing):
    """The weight of the less important feature, and the slope of the optimal loss, above and below
    the line of a Crossing over relative importance [N] >= 1. Returns the figure."""
    fig, axes = plt.subplots(1, 2, figsize=(6.8, 2.4), sharex=True)
    r = array(relative_importance)
    below, above = (array(W[:, 0, 0].abs()) for W in (crossing.W_lower, crossing.W_upper))
    axes[0].fill_between(r, above, below, color=COEXISTING, alpha=0.45, lw=0)
    axes[0].plot(r, below, color=TAKEOVER, label="below the line")
    axes[0].plot(r, above, color=DEDICATED, label="above the line")
    axes[0].set(ylabel="weight $a$", ylim=(0, 1), xlim=(1, r.max()))
    axes[0].legend()
    axes[1].plot(r, crossing.slope_upper, color=DEDICATED)
    axes[1].plot(r, crossing.slope_lower, color=TAKEOVER)
    axes[1].set(ylabel="slope of the optimal loss")
    for ax in axes:
        log_ticks([1, 2, 5, 10, 30], ax)
        ax.set_xlabel("relative importance $r$")
    return fig


def transition_lines(relative_importance, lines, coexisting, points, ax):
    """Where what happens on the way down in density, over relative importance [N] >= 1, mirrored.

    lines      : densities [N] at which the "pair" takes over, superposition "begins", and "theory"
                 has its boundary.
    coexisting : densities [N] and [N] between which two minima coexist.
    points     : (r, p) of the "tricritical" points, a list, and the density of "three" minima that
                 meet at r = 1.
    """
    r = array(relative_importance)
    styles = {
        "pair": {"color": TAKEOVER, "label": "pair takes over (jump)"},
        "begins": {"color": DEDICATED, "lw": 1.3, "label": "superposition begins"},
        "theory": {**phase_plots.THEORY_LINE, "label": "theory"},
    }
    band = {"color": COEXISTING, "alpha": 0.45, "lw": 0, "label": "two minima coexist"}
    for side in (r, 1 / r):
        ax.fill_between(side, *map(array, coexisting), **band)
        for name, style in styles.items():
            ax.plot(side, array(lines[name]), **style)
    three = points["three"]
    ax.plot([1, 1], [three, 1], color="0.2", lw=1, ls=":", label="features swap")
    for x, p in points["tricritical"]:
        ax.plot([x, 1 / x], [p, p], "o", color="black", ms=4, label="tricritical point")
    ax.plot(1, three, "^", color="black", ms=5, label="three minima meet")
    return ax.figure


def cuts(along_density, along_importance, events):
    """Cuts through the diagram side by side, along density and along relative importance, both
    {title: (x [T], loss [T], norms [T, 2], superposition of the extra feature [T])}.

    events : {title: (x where superposition begins, x where the pair takes over)}.

    Above each other: norms, superposition, slope of the optimal loss. Returns the figure.
    """
    count = len(along_density) + len(along_importance)
    size = (1.88 * count, 4.8)
    fig, axes = plt.subplots(3, count, figsize=size, sharex="col", squeeze=False)
    columns = dict(zip([*along_density, *along_importance], axes.T, strict=True))
    for title, cut in along_density.items():
        cut_column(*cut, columns[title], "density (rare: left)", title, [0.1, 0.2, 0.5, 1])
    for title, cut in along_importance.items():
        near = max(cut[0]) < 10 * min(cut[0])
        ticks = phase_plots.NEAR_TICKS if near else [0.1, 1, 10]
        cut_column(*cut, columns[title], "$r$", title, ticks)
    for title, places in events.items():
        for xs, event in zip(places, EVENTS.values(), strict=True):
            for ax, x in product(columns[title], xs):
                ax.axvline(x, zorder=0, **event)
    labels = ("norm", "superposition\nof the extra", "slope of the\noptimal loss")
    for ax, label in zip(axes[:, 0], labels, strict=True):
        ax.set_ylabel(label)
    named = [Line2D([], [], label=name, **event) for name, event in EVENTS.items()]
    fig.legend(handles=[*axes[0, 0].lines[:2], *named], loc="outside lower center", ncols=4)
    return fig


def cut_column(x, loss, norms, shared, axes, xlabel, title, ticks):
    """One cut through the diagram, along x [T]: norms [T, 2], superposition of the extra feature
    [T] and the slope of the optimal loss [T], in three axes above each other."""
    x = array(x)
    for y, color, name in zip(array(norms).T, ("0.35", DEDICATED), ("first", "extra"), strict=True):
        axes[0].plot(x, y, color=color, label=f"{name} feature")
    axes[1].plot(x, array(shared), color=SUPERPOSED)
    axes[2].plot(x, np.gradient(array(loss), x), color="0.2")
    axes[0].set(title=title, ylim=(0, 1.12))
    axes[1].set(ylim=(0, 1.12))
    axes[2].set(xlim=(x.min(), x.max()), xlabel=xlabel)
    log_ticks(ticks, axes[2])
    return axes[0].figure
