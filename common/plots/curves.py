"""Curves of many runs or features: their names at the end, their range as a band."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import FuncFormatter, NullLocator

from common.plots.style import array


def density_colors(n_densities):
    """One colour per density [n, 4], from light (the first) to dark; none of them a feature's."""
    return plt.get_cmap("flare")(np.linspace(0, 1, n_densities))


def percent_ticks(axis):
    """Write the ticks of an axis of relative errors (0.01 is 1 %) in per cent, the major ones."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
    axis.set_minor_locator(NullLocator())


def spread(places, gap):
    """Sorted places [N] moved apart to distances of at least `gap`, by the least sum of squares."""
    blocks = []  # of neighbours that touch: mean place, each less `gap` times its rank, and size
    for rank, place in enumerate(places):
        mean, size = place - gap * rank, 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    means = np.array([mean for mean, size in blocks for _ in range(size)])
    return means + gap * np.arange(len(means))


def curve_names(x, ys, names, colors, ax, gap):
    """Names of curves that end at (x, ys [K]), beyond the right end of the axes.

    They are `gap` apart at least, in units of the (linear) y-axis, and a thin line joins each to
    its curve. Easier to read than a legend of many colours.
    """
    ys = array(ys)
    order = np.argsort(ys)
    heights = dict(zip(order, spread(ys[order], gap), strict=True))
    arrow = {"arrowstyle": "-", "lw": 0.7, "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 0}
    for k, (y, name, color) in enumerate(zip(ys, names, colors, strict=True)):
        ax.annotate(
            name, (x, y), (1.08, heights[k]), textcoords=ax.get_yaxis_transform(), color=color,
            size=9, va="center_baseline", arrowprops=arrow | {"color": color},
        )  # fmt: skip
    return ax.figure


def range_band(x, values, ax, color, label, middle=np.median, **style):
    """`middle` of values [points, runs] over x as a line, least to most as a band."""
    values = array(values)
    ax.fill_between(x, values.min(1), values.max(1), color=color, alpha=0.2, lw=0)
    ax.plot(x, middle(values, axis=1), color=color, label=label, **style)
    return ax.figure
