"""Maps of density against compression: hidden dimensions to the right, density 1 at the top."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb

from common.compression import FATES
from common.plotting import array, cell_edges

FATE_COLORS = ("#33508c", "#c8553d", "0.82")  # as in the phase diagrams


def show(found, values, ax, title):
    """Values [n, D] as a map: hidden dimensions to the right, density downwards from 1."""
    mesh = ax.pcolormesh(*_edges(found), array(values).T, cmap="rocket_r", vmin=0, vmax=1,
                         rasterized=True)  # fmt: skip
    _finish(found, ax, title)
    return mesh


def show_phases(found, ax, title):
    """The three fates' colours mixed by their shares; onset of superposition (solid), all stored
    (dotted)."""
    shares = np.stack([array(share) for share in found.fates().values()])  # [fates, n, D]
    mixed = np.einsum("fmd,fc->dmc", shares, [to_rgb(color) for color in FATE_COLORS])
    ax.pcolormesh(*_edges(found), mixed.clip(0, 1), rasterized=True)
    for line, style in ((found.onset(), "-"), (found.all_stored(), ":")):
        ax.plot(found.hidden, array(line), style, color="black", lw=1.3)
    _finish(found, ax, title)


def phase_legend(fig):
    """The colours and lines of `show_phases`, below the figure."""
    handles = [plt.Rectangle((0, 0), 1, 1, color=color) for color in FATE_COLORS]
    handles += [plt.Line2D([], [], color="black", ls=style) for style in ("-", ":")]
    labels = [*FATES, "first superposition", "all stored"]
    fig.legend(handles, labels, loc="outside lower center", ncols=3)


def _edges(found):
    """Borders of the cells: hidden dimensions [n + 1] and densities [D + 1]."""
    return np.arange(len(found.hidden) + 1) + 0.5, cell_edges(found.density, log=True)


def _finish(found, ax, title):
    across, down = _edges(found)
    ax.set(yscale="log", xlim=across[[0, -1]], ylim=down[[-1, 0]], title=title)
    step = max(1, found.n // 4)
    ax.set_xticks([1, *range(step, found.n + 1, step)] if step > 1 else found.hidden)
