"""Pictures of phase diagrams: relative importance to the right, density upwards, 1 at the top.

Both axes are logarithmic. Maps [R, C] have the rows of density [R] (descending, as `phases.window`
makes it) and the columns of relative importance [C] (ascending). Colours follow the paper, so that
its figure can be compared at a glance: an extra feature that is not represented is grey, one with a
dimension of its own blue, one in superposition red.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap, LogNorm, to_rgb
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from common.phases.diagram import PHASES
from common.plots.style import array, cell_edges

ABSENT, DEDICATED, SUPERPOSED = to_rgb("0.87"), to_rgb("#2f4fbf"), to_rgb("#d62a2a")
# In the order of phases.PHASES: not represented, dedicated, superposed, others paired, joint, other
PHASE_COLORS = (ABSENT, DEDICATED, SUPERPOSED, "#6f9be0", "#f0b429", "white")
PHASE_LABELS = ("extra dropped", "extra dedicated", "extra in a pair",
                "extra dedicated, others paired", "all three joint", "other")  # fmt: skip
THEORY_LINE = {"color": "black", "lw": 1.3, "ls": (0, (4, 2))}
EXACT_LINE = {"color": "black", "lw": 1.3, "ls": "-"}
TICKS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
FEW_TICKS = (0.03, 0.1, 0.3, 1, 3, 10, 30)  # of relative importance, in panels side by side
NEAR_TICKS = (0.4, 0.5, 0.7, 1, 1.4, 2)  # of an axis of less than a decade
PANEL = 2.75  # inches, side of one map
KEY_POINTS = 64  # of the colour key, along each side
EXCESS = 1e-6, 1e-1  # ends of the colour scale of excess losses


def panels(count, *, key=False, width=PANEL):
    """A row of `count` maps, with room for the colour key on the right: (figure, axes, key axes).

    The key axes are None without a key.
    """
    widths = [1.0] * count + [0.42] * key
    fig, axes = plt.subplots(
        1, len(widths), figsize=(width * sum(widths) + 0.5, width + 0.35), squeeze=False,
        width_ratios=widths,
    )  # fmt: skip
    return fig, axes[0, :count], axes[0, -1] if key else None


def map_axes(ax, density, relative_importance, title=None, ylabel=True):
    """Logarithmic axes around the window, density 1 at the top."""
    density, r = array(density), array(relative_importance)
    ax.set(xscale="log", yscale="log", xlim=(r.min(), r.max()), ylim=(density.min(), density.max()))
    for axis, values, ticks in ((ax.xaxis, r, FEW_TICKS), (ax.yaxis, density, TICKS)):
        near = values.max() < 10 * values.min()
        axis.set_major_locator(FixedLocator(NEAR_TICKS if near else ticks))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    ax.set(xlabel="relative importance $r$", ylabel="density" if ylabel else "")
    ax.tick_params(labelleft=ylabel)
    ax.spines[["top", "right"]].set_visible(True)
    if title is not None:
        ax.set_title(title)
    return ax.figure


def log_ticks(ticks, ax):
    """Make the axis to the right logarithmic, with ticks at those of these places that it shows."""
    ax.set(xscale="log")
    low, high = ax.get_xlim()
    # Any other would widen the axis.
    ticks = [tick for tick in ticks if 0.999 * low <= tick <= 1.001 * high]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


def _mesh(values, density, relative_importance, ax, **options):
    x, y = cell_edges(relative_importance, log=True), cell_edges(density, log=True)
    return ax.pcolormesh(x, y, values, rasterized=True, shading="flat", **options)


def phase_map(codes, density, relative_importance, ax, title=None, ylabel=True):
    """Phases [R, C], positions in phases.PHASES, in one flat colour each."""
    flat = ListedColormap(PHASE_COLORS)
    levels = BoundaryNorm(np.arange(len(PHASES) + 1) - 0.5, len(PHASES))
    _mesh(array(codes), density, relative_importance, ax, cmap=flat, norm=levels)
    return map_axes(ax, density, relative_importance, title, ylabel)


def phase_legend(fig, codes):
    """One line below the figure that names the colours of the phases among `codes`."""
    present = [k for k in range(len(PHASES)) if (array(codes) == k).any()]
    handles = [Patch(fc=PHASE_COLORS[k], ec="0.5", lw=0.4, label=PHASE_LABELS[k]) for k in present]
    fig.legend(
        handles=handles, loc="outside lower center", ncols=len(handles) if len(handles) <= 4 else 3
    )


def two_channel_colors(norm, superposition):
    """Colours [..., 3]: norm 0 -> 1 or more from grey to full colour, superposition 0 -> 1 or more
    from blue to red."""
    norm, superposition = (np.clip(array(v), 0, 1)[..., None] for v in (norm, superposition))
    hue = (1 - superposition) * np.array(DEDICATED) + superposition * np.array(SUPERPOSED)
    return (1 - norm) * np.array(ABSENT) + norm * hue


def two_channel_map(norm, superposition, density, relative_importance, ax, title=None, ylabel=True):
    """The extra feature's norm and superposition, both [R, C], in the paper's two channels."""
    _mesh(two_channel_colors(norm, superposition), density, relative_importance, ax)
    return map_axes(ax, density, relative_importance, title, ylabel)


def channel_maps(views, density, relative_importance, *, more=0, width=PANEL):
    """A row of two-channel maps {title: (norm, superposition)}, then `more` empty axes, then the
    key: (figure, axes)."""
    fig, axes, key = panels(len(views) + more, key=True, width=width)
    for ax, (title, channels) in zip(axes, views.items(), strict=False):
        two_channel_map(*channels, density, relative_importance, ax, title, ylabel=ax is axes[0])
    color_key(key)
    return fig, axes


def aggregation(views, stuck, density, relative_importance):
    """Two-channel maps of `views` {title: (norm, superposition)}, beside the share of runs that are
    `stuck` [R, C]; lettered (a), (b), ... Returns the figure."""
    lettered = {f"({'abcdef'[k]}) {title}": views[title] for k, title in enumerate(views)}
    fig, axes = channel_maps(lettered, density, relative_importance, more=1, width=2.2)
    title = f"({'abcdef'[len(views)]}) runs stuck"
    mesh = share_map(stuck, density, relative_importance, axes[-1], title, ylabel=False)
    fig.colorbar(mesh, ax=axes[-1], label="share of runs")
    return fig


def theory_exact_trained(theory, exact, trained, window, trained_window):
    """The diagram three times: phases of `theory` [R, C], and the norm and superposition of the
    `exact` optimum and of `trained` models; each window is (density, relative importance).

    Returns (figure, axes).
    """
    fig, axes, key = panels(3, key=True)
    phase_map(theory, *window, axes[0], "theory")
    two_channel_map(*exact, *window, axes[1], "exact optimum", ylabel=False)
    two_channel_map(*trained, *trained_window, axes[2], "trained, lowest loss", ylabel=False)
    color_key(key)
    return fig, axes


def named_maps(maps, density, relative_importance, *, more=0, width=2.4):
    """A row of maps of phases {"theory", "exact", "trained"}, then `more` empty axes, above the
    names of the colours: (figure, axes)."""
    fig, axes, _ = panels(len(maps) + more, width=width)
    titles = {"exact": "exact optimum", "trained": "trained, lowest loss"}
    for ax, (name, codes) in zip(axes, maps.items(), strict=False):
        title = titles.get(name, name)
        phase_map(codes, density, relative_importance, ax, title, ylabel=ax is axes[0])
    phase_legend(fig, np.stack([array(codes) for codes in maps.values()]))
    return fig, axes


def color_key(ax):
    """The two-dimensional key of `two_channel_map`: superposition to the right, norm upwards."""
    centres = (np.arange(KEY_POINTS) + 0.5) / KEY_POINTS
    side = np.linspace(0, 1, KEY_POINTS + 1)
    colors = two_channel_colors(centres[:, None], np.tile(centres, (KEY_POINTS, 1)))
    ax.pcolormesh(side, side, colors, rasterized=True)
    ax.set(aspect="equal", xticks=[0, 1], yticks=[0, 1], xlabel="superposition", ylabel="norm")
    ax.set_xticklabels(["0", "≥ 1"])
    ax.set_yticklabels(["0", "≥ 1"])
    ax.tick_params(length=0, pad=4)  # a tick would touch the sign
    ax.spines[["top", "right"]].set_visible(True)
    return ax.figure


def boundary_line(relative_importance, density, ax, label=None, **style):
    """A boundary: density [N] over relative importance [N]; NaN leaves a gap."""
    style = EXACT_LINE | style
    ax.plot(array(relative_importance), array(density), label=label, **style)
    return ax.figure


def region_label(ax, relative_importance, density, text, color="white"):
    """A name written into a region, readable on any colour."""
    halo = withStroke(linewidth=2, foreground="black" if color == "white" else "white", alpha=0.35)
    ax.text(relative_importance, density, text, color=color, size=8.5, ha="center", va="center",
            linespacing=1.0, path_effects=[halo])  # fmt: skip


def share_map(values, density, relative_importance, ax, title=None, ylabel=True, vmax=1.0):
    """A share [R, C] from 0 (white) to `vmax` (dark); returns what a colour bar needs."""
    mesh = _mesh(array(values), density, relative_importance, ax, cmap="Purples", vmin=0, vmax=vmax)
    map_axes(ax, density, relative_importance, title, ylabel)
    return mesh


def excess_map(values, density, relative_importance, ax, title=None, ylabel=True):
    """A relative excess loss [R, C] on a logarithmic scale; returns what a colour bar needs."""
    values = np.clip(array(values), *EXCESS)
    mesh = _mesh(values, density, relative_importance, ax, cmap="viridis", norm=LogNorm(*EXCESS))
    map_axes(ax, density, relative_importance, title, ylabel)
    return mesh


def mark(points, ax, marker, color, label):
    """Mark points [K, 2] of a basin picture."""
    points = array(points)
    ax.plot(points[:, 0], points[:, 1], marker, color=color, ms=10 if marker == "*" else 6,
            mec="white", mew=0.7, ls="none", label=label)  # fmt: skip


def ring(points, ax, color, label):
    """Circles around points [K, 2] of a basin picture."""
    points = array(points)
    ax.plot(points[:, 0], points[:, 1], "o", mfc="none", mec=color, mew=1.3, ms=12, label=label)


def curves(x, ys, labels, colors, ax, **style):
    """Lines of one quantity, values [T] each, over x [T]."""
    for y, label, color in zip(ys, labels, colors, strict=True):
        ax.plot(array(x), array(y), color=color, label=label, **style)
    return ax.figure
