"""What the pictures of the transition show, read back from the axes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from common.phases import diagram, transition, transition_plots

pytestmark = pytest.mark.usefixtures("drawing")


def test_lines_are_mirrored_at_equal_importance():
    r = torch.tensor([1.0, 2.0, 5.0])
    lines = {"pair": 0.7 / r, "begins": 0.9 / r, "theory": 0.5 / r}
    points = {"tricritical": [(1.7, 0.5), (1.1, 0.8)], "three": 0.7}
    _, ax = plt.subplots()
    transition_plots.transition_lines(r, lines, (0.6 / r, 0.8 / r), points, ax)
    drawn = {}
    for line in ax.lines:
        drawn.setdefault(line.get_label(), []).append(line.get_xydata())
    for label, name in (("pair takes over (jump)", "pair"), ("theory", "theory")):
        right, left = drawn[label]
        assert right[:, 0] == pytest.approx(r.numpy())
        assert left[:, 0] == pytest.approx(1 / r.numpy())
        for side in (right, left):
            assert side[:, 1] == pytest.approx(lines[name].numpy())
    marks = np.concatenate(drawn["tricritical point"])
    assert marks == pytest.approx(
        np.array([[1.7, 0.5], [1 / 1.7, 0.5], [1.1, 0.8], [1 / 1.1, 0.8]])
    )


def test_a_cut_shows_the_slope_of_the_loss():
    x = torch.logspace(0, -1, 50)  # descending, as densities are
    norms = torch.stack([x, 1 - x], 1)
    _, axes = plt.subplots(3)
    transition_plots.cut_column(x, 3 * x + 1, norms, x**2, axes, "density", "a cut", [0.2, 1])
    assert [line.get_label() for line in axes[0].lines] == ["first feature", "extra feature"]
    assert axes[0].lines[1].get_ydata() == pytest.approx(1 - x.numpy())
    assert axes[1].lines[0].get_ydata() == pytest.approx(x.numpy() ** 2)
    assert axes[2].lines[0].get_ydata() == pytest.approx(3, rel=1e-3)
    assert axes[2].get_xlim() == pytest.approx((0.1, 1))


def test_cuts_stand_side_by_side():
    x = torch.logspace(0, -1, 20)
    cut = (x, x, torch.stack([x, x], 1), x)
    events = {"two": ([0.5], [0.3]), "three": ([], [0.25, 0.75])}
    fig = transition_plots.cuts({"one": cut, "two": cut}, {"three": cut}, events)
    titles = [ax.get_title() for ax in fig.axes]
    assert len(titles) == 9 and titles[:3] == ["one", "two", "three"]
    rare = "density (rare: left)"
    assert [ax.get_xlabel() for ax in fig.axes[6:]] == [rare, rare, "$r$"]
    for first in (0, 3, 6):  # the row of norms, which has two lines of its own, and the two below
        own = 2 if first == 0 else 1
        places = [[line.get_xdata()[0] for line in ax.lines[own:]] for ax in fig.axes[first:][:3]]
        assert places == [[], [0.5, 0.3], [0.25, 0.75]]
    names = {line.get_color(): line.get_label() for line in fig.legends[0].get_lines()}
    begins, takes_over = (line.get_color() for line in fig.axes[4].lines[1:])
    assert names[begins] == "superposition begins"
    assert names[takes_over] == "pair takes over (jump)"


def test_the_onset_is_mirrored_and_compared_with_theory():
    r, theory = torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0.8, 0.4, 0.2])
    window = diagram.window(5, 5)
    fig = transition_plots.onset_lines(r, 1.1 * theory, theory, 0 * window[1], window)
    left, right = fig.axes
    lines = {line.get_label(): line for line in left.lines}
    assert lines["exact optimum"].get_xdata() == pytest.approx([0.25, 0.5, 1, 1, 2, 4])
    assert lines["theory"].get_ydata() == pytest.approx([0.2, 0.4, 0.8, 0.8, 0.4, 0.2])
    assert right.lines[0].get_ydata() == pytest.approx(1.1)


def test_jumps_go_from_above_the_line_to_below_it():
    W = torch.tensor([[-0.2, 1.0], [0.3, 1.0]])[:, None]
    slopes = torch.tensor([0.1, 0.2])
    crossing = transition.Crossing(slopes, W, 2 * W, slopes, 3 * slopes)
    weights, slope = transition_plots.jumps([1.0, 2.0], crossing).axes
    drawn = {line.get_label(): line.get_ydata() for line in weights.lines}
    assert drawn["above the line"] == pytest.approx([0.2, 0.3])
    assert drawn["below the line"] == pytest.approx([0.4, 0.6])
    assert slope.lines[1].get_ydata() == pytest.approx(3 * slope.lines[0].get_ydata())
