"""Figures of the robustness study: rates of success with their intervals."""

import matplotlib.pyplot as plt
import numpy as np

from common.plots.style import AUTHORS_COLOR, FAST_COLOR
from common.robustness.runs import MODEL, STACK, wilson

COLORS = {STACK: AUTHORS_COLOR, MODEL: FAST_COLOR}
MARKERS = ("o", "D")  # with the smaller weight decay, mostly none, and with the larger
DOTS_ROOM = 0.74  # part of a statement's row that the dots of its settings share
ROW_HEIGHT = 0.36  # inches of height a statement


def success_chart(rates, settings, titles, groups, width=3.1):
    """Rate of success of every statement in every setting, with 95 % intervals.

    rates  : {statement: Rate over all settings}, drawn from top to bottom.
    titles : {learning rate: title of its panel}.
    groups : numbers of statements that a line divides, in their order.

    Colours are initial scales, filled marks the larger batch, diamonds the larger weight decay.
    """
    size = (width * len(titles) + 1.8, ROW_HEIGHT * len(rates) + 1.2)
    fig, axes = plt.subplots(1, len(titles), figsize=size, sharey=True, squeeze=False)
    for ax, (learning_rate, title) in zip(axes[0], titles.items(), strict=True):
        mine = [k for k, s in enumerate(settings) if s.learning_rate == learning_rate]
        offsets = np.linspace(-DOTS_ROOM / 2, DOTS_ROOM / 2, len(mine))
        for k, offset in zip(mine, offsets, strict=True):
            _dots(rates, k, offset, ax, _look(settings[k], settings))
        for row in range(1, len(rates)):
            ax.axhline(row - 0.5, color="0.9", lw=0.6, zorder=0)
        for row in np.cumsum(groups)[:-1]:
            ax.axhline(row - 0.5, color="0.3", lw=0.8, zorder=0)
        ax.set(title=title, xlim=(-0.02, 1.02), xlabel="share of runs in which it holds")
        ax.tick_params(axis="y", length=0)
    axes[0, 0].set(yticks=range(len(rates)), ylim=(len(rates) - 0.5, -0.5))
    axes[0, 0].set_yticklabels(rates)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=7)
    return fig


def _dots(rates, setting, offset, ax, look):
    """Marks and intervals of one setting, a row each statement, moved down by `offset`."""
    share = [rate.share()[setting].item() for rate in rates.values()]
    ends = [wilson(rate.successes[setting], rate.trials) for rate in rates.values()]
    rows = np.arange(len(rates)) + offset
    ax.hlines(rows, *zip(*ends, strict=True), color=look["color"], lw=0.9)
    ax.plot(share, rows, ls="", ms=3.2, mew=0.9, clip_on=False, zorder=3, **look)


def _look(setting, settings):
    """Colour, mark and label of a setting."""
    color = COLORS[setting.start]
    filled = setting.batch == max(s.batch for s in settings)
    marker = MARKERS[setting.weight_decay > min(s.weight_decay for s in settings)]
    return {
        "color": color, "mfc": color if filled else "white", "marker": marker,
        "label": str(setting),
    }  # fmt: skip
