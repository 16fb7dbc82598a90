"""Figures of the robustness study: rates of success with their intervals."""

import matplotlib.pyplot as plt
import numpy as np

from common.plots.style import AUTHORS_COLOR, FAST_COLOR
from common.robustness.runs import MODEL, STACK, wilson

COLORS = {STACK: AUTHORS_COLOR, MODEL: FAST_COLOR}
MARKERS = ("o", "D")  # with the smaller weight decay, mostly none, and with the larger
DOTS_ROOM = 0.74  # part of a statement's row that the dots of its settings share
ROW_HEIGHT = 0.36  # inches of height a statement, or the title of a group


def success_chart(groups, settings, titles, width=3.1):
    """Rate of success of every statement in every setting, with 95 % intervals.

    groups : {title: {statement: Rate over all settings}}, drawn from top to bottom.
    titles : {learning rate: title of its panel}.

    Colours are initial scales, filled marks the larger batch, diamonds the larger weight decay.
    """
    # A title has a row of its own, and no rate.
    rows = [row for title, rates in groups.items() for row in ((title, None), *rates.items())]
    rates = {k: rate for k, (_, rate) in enumerate(rows) if rate is not None}
    size = (width * len(titles) + 2.4, ROW_HEIGHT * len(rows) + 1.2)
    fig, axes = plt.subplots(1, len(titles), figsize=size, sharey=True, squeeze=False)
    for ax, (learning_rate, title) in zip(axes[0], titles.items(), strict=True):
        mine = [k for k, s in enumerate(settings) if s.learning_rate == learning_rate]
        offsets = np.linspace(-DOTS_ROOM / 2, DOTS_ROOM / 2, len(mine))
        for k, offset in zip(mine, offsets, strict=True):
            _dots(rates, k, offset, ax, _look(settings[k], settings))
        for row in range(1, len(rows)):
            ax.axhline(row - 0.5, color="0.9" if row in rates else "0.3", lw=0.7, zorder=0)
        ax.set(title=title, xlim=(-0.02, 1.02), xlabel="share of runs in which it holds")
        ax.tick_params(axis="y", length=0)
    for row, (title, rate) in enumerate(rows):
        if rate is None:
            text = axes[0, 0].annotate(
                title, (0.01, row), xycoords=("figure fraction", "data"), va="center", size=9.5,
                style="italic", bbox={"fc": "white", "ec": "none", "pad": 2},
            )  # fmt: skip
            text.set_in_layout(False)  # from the left end of the labels on, over the axis
    axes[0, 0].set(yticks=list(rates), ylim=(len(rows) - 0.5, -0.5))
    axes[0, 0].set_yticklabels([rows[k][0] for k in rates])
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=7)
    return fig


def _dots(rates, setting, offset, ax, look):
    """Marks and intervals of one setting at the rows of `rates` {row: Rate}, moved by `offset`."""
    share = [rate.share()[setting].item() for rate in rates.values()]
    ends = [wilson(rate.successes[setting], rate.trials) for rate in rates.values()]
    rows = np.array(list(rates)) + offset
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
