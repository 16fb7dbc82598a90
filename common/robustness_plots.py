"""Figures of the robustness study: rates of success with their intervals."""

import matplotlib.pyplot as plt
import numpy as np

from common.plotting import AUTHORS_COLOR, FAST_COLOR, array
from common.robustness import wilson

COLORS = (AUTHORS_COLOR, FAST_COLOR)  # of the learning rates, lower first
ROOM = 0.62  # part of a claim's row that the dots of its settings share
ROW = 0.3  # inches of height a claim


def success_chart(rates, settings, titles, width=3.1):
    """Rate of success of every claim in every setting, with 95 % intervals.

    rates  : {claim: Rate over all settings}, drawn from top to bottom.
    titles : {start: title of its panel}. Colours are learning rates, filled dots the larger batch.
    """
    size = (width * len(titles) + 1.6, ROW * len(rates) + 1.0)
    fig, axes = plt.subplots(1, len(titles), figsize=size, sharey=True, squeeze=False)
    for ax, (start, title) in zip(axes[0], titles.items(), strict=True):
        mine = [k for k, setting in enumerate(settings) if setting.start == start]
        offsets = np.linspace(-ROOM / 2, ROOM / 2, len(mine))
        for k, offset in zip(mine, offsets, strict=True):
            _dots(rates, k, offset, ax, _look(settings[k], settings))
        for row in range(1, len(rates)):
            ax.axhline(row - 0.5, color="0.9", lw=0.6, zorder=0)
        ax.set(title=title, xlim=(-0.02, 1.02), xlabel="share of runs in which the claim holds")
    axes[0, 0].set(yticks=range(len(rates)), ylim=(len(rates) - 0.5, -0.5))
    axes[0, 0].set_yticklabels(rates)
    for ax in axes[0]:
        ax.tick_params(axis="y", length=0)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    return fig


def _dots(rates, setting, offset, ax, look):
    """Dots and intervals of one setting, a row each claim, moved down by `offset`."""
    share = np.array([rate.share()[setting].item() for rate in rates.values()])
    ends = [wilson(rate.successes[setting], rate.trials) for rate in rates.values()]
    low, high = array(ends).T.astype(float)
    rows = np.arange(len(rates)) + offset
    ax.hlines(rows, low, high, color=look["color"], lw=1.1)
    ax.plot(share, rows, "o", ms=3.6, mew=1.1, clip_on=False, zorder=3, **look)


def _look(setting, settings):
    """Colour by learning rate, filled for the largest batch, and the label of the legend."""
    slower = setting.learning_rate < max(s.learning_rate for s in settings)
    color = COLORS[0] if slower else COLORS[1]
    filled = setting.batch == max(s.batch for s in settings)
    label = f"batch {setting.batch}, rate {setting.learning_rate:g}"
    return {"color": color, "mfc": color if filled else "white", "label": label}
