"""Pictures of the transition of two features in one dimension: its lines, and cuts across them."""

import numpy as np

from common.phases import plots as phase_plots
from common.phases.plots import DEDICATED, SUPERPOSED
from common.plots.style import array

TAKEOVER, COEXISTING = "#b3202c", "#f0b429"


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


def cut_column(x, loss, norms, shared, axes, xlabel, title):
    """One cut through the diagram, along x [T]: norms [T, 2], superposition of the extra feature
    [T] and the slope of the optimal loss [T], in three axes above each other."""
    x = array(x)
    for y, color, name in zip(array(norms).T, ("0.35", DEDICATED), ("first", "extra"), strict=True):
        axes[0].plot(x, y, color=color, label=name)
    axes[1].plot(x, array(shared), color=SUPERPOSED)
    axes[2].plot(x, np.gradient(array(loss), x), color="0.2")
    axes[0].set(title=title, ylim=(0, 1.12))
    axes[1].set(ylim=(0, 1.12))
    axes[2].set(xscale="log", xlim=(x.min(), x.max()), xlabel=xlabel)
    axes[2].minorticks_off()
    return axes[0].figure
