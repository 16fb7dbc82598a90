"""Pictures of the smallest model with a penalty, which makes superposition an island.

At a penalty lambda superposition pays where lambda_c(r, p) is above it. On the boundary of that
region it ends, continuously or in a jump.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from common.phases import diagram, plots as phase_plots
from common.phases.plots import THEORY_LINE, log_ticks
from common.plots.style import array, cell_edges

CRITICAL = LinearSegmentedColormap.from_list(
    "critical penalty", ["#6fa86a", "#a9c77c", "#ead9a2", "#cda06c", "#97694d", "#f4efe9"]
)
NOWHERE, CONTINUOUS, JUMP = to_rgb("#cfe3f1"), "#ffdf3d", "#3a2418"
WEIGHTS = "0.45", phase_plots.DEDICATED  # of the first feature and of the extra one
ENDS = "#2a9d8f", "#111111"  # of the lines on the map of jumps
WEAK, STRONG = "#f6c9b0", "#d96a57"
NUMBERED = 0.8  # of the highest lambda_c: higher contours lie too close for a number
NAMES = 8.5  # points: of numbers and names in a figure that is printed at 80 % of its size


def critical_map(density, relative_importance, critical, jump, penalties, ax):
    """lambda_c [R, C] as colours, with the boundary of superposition at each of `penalties`.

    jump [R, C] : the smaller weight just before superposition ends; 0 where it ends continuously.
    """
    critical, jump = array(critical), array(jump)
    pays = np.ma.masked_where(critical == 0, critical)
    edges = cell_edges(relative_importance, log=True), cell_edges(density, log=True)
    mesh = ax.pcolormesh(*edges, pays, cmap=CRITICAL, vmin=0, rasterized=True)
    ax.set_facecolor(NOWHERE)
    ax.figure.colorbar(mesh, ax=ax, label=r"$\lambda_c$", aspect=35, pad=0.02)
    phase_plots.map_axes(ax, density, relative_importance)
    return boundaries(density, relative_importance, critical, jump, penalties, ax)


def boundaries(density, relative_importance, critical, jump, penalties, ax, numbers=True):
    """Lines of equal lambda_c [R, C], yellow where `jump` [R, C] is 0."""
    place = array(relative_importance), array(density)
    lines = ax.contour(*place, critical, penalties, colors=[JUMP], linewidths=1.1)
    if numbers:
        low = [penalty for penalty in penalties if penalty < NUMBERED * critical.max()]
        for number in ax.clabel(lines, low, fmt="%g", fontsize=NAMES, inline_spacing=2):
            number.set_path_effects([withStroke(linewidth=2, foreground="white")])
    smooth = np.ma.masked_where(array(jump) > 0, critical)
    ax.contour(*place, smooth, penalties, colors=[CONTINUOUS], linewidths=2.4)
    return ax.figure


def section(density, critical, jump, takeover, fixed, points, ax):
    """The optimum at equal importances, over densities and penalties.

    critical, jump, fixed [R] : lambda_c over `density` [R], the smaller weight just before, and
                                what the fixed weights say.
    takeover                  : densities and penalties [T] where a strong pair takes over from a
                                weak one.
    points                    : {name: (density, penalty)} to be marked.
    """
    p, critical, jump, fixed = (array(v) for v in (density, critical, jump, fixed))
    border, at = (array(v) for v in takeover)
    below = np.interp(p, border[::-1], at[::-1])  # the pair is weak from here to lambda_c
    weak = (p > border.min()) & (below < critical)
    ax.fill_between(p, critical, color=STRONG, lw=0)
    ax.fill_between(p, below, critical, where=weak, color=WEAK, lw=0)
    ax.plot(border, at, color=JUMP, lw=1.2)
    ax.plot(p, critical, color=JUMP, lw=1.6)
    ax.plot(p, np.where(jump == 0, critical, np.nan), color=CONTINUOUS, lw=2.4)
    ax.plot(p, np.where(fixed > 0, fixed, np.nan), **THEORY_LINE)
    for name, (x, y) in points.items():
        ax.plot(x, y, "o", color="black", ms=4)
        ax.annotate(name, (x, y), (6, 3), textcoords="offset points", size=NAMES)
    ax.set(xlim=(p.min(), 1), ylim=(0, 1.08 * critical.max()))
    ax.set(xlabel="density (rare: left)", ylabel=r"penalty $\lambda$")
    log_ticks([0.01, 0.03, 0.1, 0.3, 1], ax)
    return ax.figure


def islands(W, penalties, window, surface, edge):
    """The exact optimum W [P, R, C, 1, 2] at each penalty, in the two channels of the paper's
    diagram: the extra feature's norm and superposition. Returns the figure.

    window  : (density [R], relative importance [C]).
    surface : (density, relative importance, critical, jump) for `boundaries`.
    edge    : relative importance [N] >= 1, density [N] below which superposition pays without a
              penalty, and whether it begins continuously there [N].
    """
    columns = (len(penalties) + 1) // 2
    fig, axes = plt.subplots(2, columns, figsize=(2.1 * columns, 4.6), squeeze=False)
    for k, (ax, penalty) in enumerate(zip(axes.flat, penalties, strict=False)):
        title = f"penalty {penalty:g}"
        channels = diagram.extra_feature(W[k])
        phase_plots.two_channel_map(*channels, *window, ax, title, ylabel=k % columns == 0)
        _boundary(penalty, surface, edge, ax)
        if k < columns:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
    for ax in axes.flat[len(penalties) :]:
        ax.set_axis_off()
    boundary_legend(fig, {})
    return fig


def jump_map(density, relative_importance, jump, critical, lines, ax, title):
    """The smaller weight just before superposition ends [R, C], and `lines` {name: (relative
    importances, densities)} on it. Returns what a colour bar needs."""
    edges = cell_edges(relative_importance, log=True), cell_edges(density, log=True)
    shown = np.ma.masked_where(array(critical) == 0, array(jump))
    mesh = ax.pcolormesh(*edges, shown, cmap="magma_r", vmin=0, vmax=0.85, rasterized=True)
    phase_plots.map_axes(ax, density, relative_importance, title)
    ax.set_facecolor(NOWHERE)
    for (name, (x, y)), color in zip(lines.items(), ENDS, strict=False):
        ax.plot(array(x), array(y), color=color, lw=2.2, label=name)
    return mesh


def on_the_way(shares, weights, kept, titles, axes):
    """Both weights [T, 2] (above) and the share of the saving that is kept [T] (below), over the
    penalty as a share of lambda_c [T]; a column for each of `titles`."""
    for k, title in enumerate(titles):
        upper, lower = axes[0, k], axes[1, k]
        for size, color, name in zip(array(weights[k]).T, WEIGHTS, ("first", "extra"), strict=True):
            upper.plot(shares, size, color=color, label=f"{name} feature")
        lower.plot(shares, array(kept[k]), color="0.2")
        upper.set(title=title, ylim=(-0.03, 1.1))
        lower.set(ylim=(-3, 103), xlabel=r"penalty / $\lambda_c$")
    axes[0, 0].legend(loc="lower left")
    axes[0, 0].set_ylabel("size of the weights")
    axes[1, 0].set_ylabel("saving kept (%)")
    return axes[0, 0].figure


def _boundary(penalty, surface, edge, ax):
    """The boundary at a penalty; without one that is the `edge` of superposition for free."""
    if penalty > 0:
        boundaries(*surface, [penalty], ax, numbers=False)
        return
    r, density, continuous = (array(v) for v in edge)
    for x in (r, 1 / r):
        ax.plot(x, density, color=JUMP, lw=1.1)
        ax.plot(x, np.where(continuous, density, np.nan), color=CONTINUOUS, lw=2.4)


def proven_maps(proven, surface, edge):
    """Proven phases, as `proofs.smallest.read` has them, a map for each penalty; white: not proven.

    surface, edge : as for `islands`. Returns the figure.
    """
    codes = np.full(proven["phase"].shape, diagram.PHASES.index(diagram.OTHER))
    for name, letter in proven["letters"].items():
        codes[proven["phase"] == letter] = diagram.PHASES.index(name)
    window = proven["density"], proven["relative_importance"]
    fig, axes = plt.subplots(2, 3, figsize=(6.6, 4.7))
    for k, (ax, penalty) in enumerate(zip(axes.flat, proven["penalty"], strict=True)):
        title = f"penalty {penalty:g}"
        phase_plots.phase_map(codes[:, k], *window, ax, title, ylabel=k % 3 == 0)
        _boundary(penalty, surface, edge, ax)
        if k < 3:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
    phase_plots.phase_legend(fig, codes)
    boundary_legend(fig, {}, "outside upper center")
    return fig


def boundary_legend(fig, more, loc="outside lower center"):
    """Names of the two kinds of boundary, and of further lines {name: style}, beside a figure."""
    styles = {
        "boundary, by a jump": {"color": JUMP, "lw": 1.4},
        "boundary, continuous": {"color": CONTINUOUS, "lw": 2.6},
        **more,
    }
    handles = [Line2D([], [], label=name, **style) for name, style in styles.items()]
    fig.legend(handles=handles, loc=loc, ncols=len(handles))
