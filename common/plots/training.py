"""Figures of training: losses of restarts, and norms and angles as they change step by step."""

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from common.plots.curves import percent_ticks, spread
from common.plots.style import AUTHORS_COLOR, GREY, NORM_LIMIT, array, feature_colors

SHORTEST_CURVE = 0.2  # below this norm a feature's direction is not worth following
NUMBER_GAP = 0.085  # between the numbers of features that join, as a share of the axis
FAN = 0.1  # height of the lines from there to the axis, as a share of the axis


def restart_strip(excess, labels, ax, color=AUTHORS_COLOR, label=None, shift=0.0, floor=1e-6):
    """Excess loss of every restart over the best, one column of dots a setting, log scale.

    excess : [settings, restarts] relative excess (0.01, drawn as 1 %); below `floor` it is drawn
             there.
    """
    excess = np.maximum(array(excess), floor)
    jitter = np.linspace(-0.14, 0.14, excess.shape[1])
    for column, values in enumerate(excess):
        ax.plot(
            column + shift + jitter, np.sort(values), "o", ms=4.5, color=color, alpha=0.6,
            mew=0, label=label if column == 0 else None,
        )  # fmt: skip
    ax.set(yscale="log", xticks=range(len(labels)), xticklabels=labels)
    percent_ticks(ax.yaxis)
    ax.axhline(0.01, color=GREY, lw=0.8, ls="--", zorder=0)
    return ax.figure


def feature_curves(steps, values, ax, ylabel):
    """One line a feature: values [T, n] at `steps` [T]; NaN leaves a gap."""
    values = array(values)
    for y, color in zip(values.T, feature_colors(values.shape[1]), strict=True):
        ax.plot(steps, y, color=color)
    ax.set_ylabel(ylabel)
    return ax.figure


def training_story(steps, losses, norms, angles, joined, axes, title, last=None):
    """Loss, feature norms and feature angles over training, one above the other.

    losses [T]; norms, angles [T, n] (degrees); joined: the step at which each feature joins, or
    None, drawn as a dotted line in the feature's colour with its number on top; last: the step to
    draw up to. An angle is drawn from a norm of SHORTEST_CURVE on.
    """
    loss_ax, norm_ax, angle_ax = axes
    norms = array(norms)
    loss_ax.plot(steps, array(losses), color="0.25")
    loss_ax.set(yscale="log", ylabel="exact loss")
    loss_ax.set_title(title, pad=24)  # above the numbers of the features that join
    low, high = loss_ax.get_ylim()
    loss_ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
    loss_ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    loss_ax.yaxis.set_minor_locator(NullLocator())
    feature_curves(steps, norms, norm_ax, "norm")
    norm_ax.set(ylim=(0, NORM_LIMIT))
    feature_curves(steps, _unbroken(angles, norms), angle_ax, "angle (degrees)")
    angle_ax.set(ylim=(-45, 315), yticks=[0, 90, 180, 270], xlabel="training step")
    angle_ax.xaxis.set_major_locator(MaxNLocator(2))  # neighbours stand close
    for ax in axes:
        ax.set_xlim(0, last or steps[-1])
    joining_lines(joined, axes)
    return loss_ax.figure


def _unbroken(angles, norms):
    """Angles [T, n] in [-45, 315), NaN where a curve must not be drawn: short feature or wrap.

    The range keeps the feature that points right, at 0 or 360, away from its ends.
    """
    angles = (array(angles) + 45) % 360 - 45
    angles[norms < SHORTEST_CURVE] = np.nan
    angles[1:][np.abs(np.diff(angles, axis=0)) > 180] = np.nan
    return angles


def joining_lines(joined, axes):
    """A dotted line at the step where each feature joins (None: never), numbered on top.

    The axes must have their final limits: the numbers of features that join at nearly the same
    step are moved apart, and thin lines lead from them to their steps.
    """
    colors = feature_colors(len(joined))
    last = axes[0].get_xlim()[1]
    shown = sorted((step, i) for i, step in enumerate(joined) if step is not None and step <= last)
    top = axes[0].get_xaxis_transform()
    places = last * spread([step / last for step, _ in shown], NUMBER_GAP)
    for (step, i), place in zip(shown, places, strict=True):
        for ax in axes:
            ax.axvline(step, color=colors[i], ls=":", lw=1.2)
        lines = {"color": colors[i], "lw": 0.8, "clip_on": False, "transform": top}
        axes[0].plot([step, place], [1, 1 + FAN], **lines)
        axes[0].text(
            place, 1.02 + FAN, i + 1, color=colors[i], size=9.5, ha="center", va="bottom",
            transform=top,
        )  # fmt: skip
