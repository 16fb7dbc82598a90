"""Figures of training: curves that break where they must, steps that are named in order."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from common.plots import style, training as training_plots

pytestmark = pytest.mark.usefixtures("drawing")


def story(angles, joined=(None,), last=None):
    _, axes = plt.subplots(3, 1)
    steps, ones = range(len(angles)), torch.ones_like(angles)
    training_plots.training_story(steps, ones[:, 0], ones, angles, joined, axes, "", last)
    return axes


def test_angles_stay_in_one_piece_where_the_first_feature_points_right():
    angles = torch.tensor([[350.0], [359.0], [2.0], [5.0]])
    drawn = story(angles)[2].lines[0].get_ydata()
    assert drawn.tolist() == [-10, -1, 2, 5]
    assert angles[1, 0] == 359  # the caller's array is left alone


def test_curves_break_where_an_angle_wraps():
    drawn = story(torch.tensor([[310.0], [314.0], [317.0], [320.0]]))[2].lines[0].get_ydata()
    assert np.isnan(drawn[2]) and drawn[3] == -40


def test_joining_lines_are_numbered_in_order_and_side_by_side():
    loss_ax, norm_ax, _ = story(torch.zeros(101, 4), joined=(50, None, 51, 10))
    assert [text.get_text() for text in loss_ax.texts] == ["4", "1", "3"]
    places = [text.get_position()[0] for text in loss_ax.texts]
    gap = 100 * training_plots.NUMBER_GAP
    assert places == pytest.approx([10, 50.5 - gap / 2, 50.5 + gap / 2])
    dotted = [line.get_xdata()[0] for line in norm_ax.lines if line.get_linestyle() == ":"]
    assert dotted == [10, 50, 51]


def test_a_line_leads_from_each_number_to_its_step():
    loss_ax, _, _ = story(torch.zeros(101, 2), joined=(50, 51))
    lines = [line.get_xydata() for line in loss_ax.lines if not line.get_clip_on()]
    for line, step, text in zip(lines, (50, 51), loss_ax.texts, strict=True):
        assert line[0].tolist() == [step, 1]  # the top of the axis
        assert line[1, 0] == text.get_position()[0] and line[1, 1] < text.get_position()[1]


def test_a_feature_that_joins_beyond_the_last_step_drawn_has_no_number():
    loss_ax, _, _ = story(torch.zeros(101, 2), joined=(50, 10), last=40)
    assert [text.get_text() for text in loss_ax.texts] == ["2"]
    assert loss_ax.texts[0].get_position()[0] == pytest.approx(10)


def test_restart_strip_draws_at_least_the_floor():
    _, ax = plt.subplots()
    training_plots.restart_strip(torch.tensor([[0.0, 0.5]]), ["a"], ax, floor=1e-6)
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([1e-6, 0.5])


def test_excess_is_written_in_per_cent():
    _, ax = plt.subplots()
    training_plots.restart_strip(torch.tensor([[1e-4, 0.5]]), ["a"], ax)
    write = ax.yaxis.get_major_formatter()
    assert [write(y) for y in (1, 0.01, 1e-4)] == ["100 %", "1 %", "0.01 %"]


def test_every_restart_is_a_dot_in_the_column_of_its_setting():
    _, ax = plt.subplots()
    excess = torch.tensor([[0.3, 0.1, 0.2], [1.0, 3.0, 2.0]])
    training_plots.restart_strip(excess, ["a", "b"], ax, label="one", shift=-0.2)
    training_plots.restart_strip(excess, ["a", "b"], ax, label="other", shift=0.2)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_xdata().mean() for line in dots] == pytest.approx([-0.2, 0.8, 0.2, 1.2])
    for line, values in zip(dots, [*excess, *excess], strict=True):
        assert line.get_ydata() == pytest.approx(values.sort().values.numpy())
        assert np.ptp(line.get_xdata()) < 0.4
    assert [text.get_text() for text in ax.get_xticklabels()] == ["a", "b"]
    dashed = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "--"]
    assert np.allclose(dashed, 0.01)


def test_curves_of_features_run_from_the_first_step_to_the_last():
    """Each in its feature's colour; only directions of long features are followed."""
    _, (loss_ax, norm_ax, angle_ax) = plt.subplots(3, 1)
    steps, losses = [0, 10, 20], torch.tensor([4.0, 2.0, 1.0])
    norms = torch.tensor([[0.1, 0.0], [0.5, 0.1], [1.0, 0.3]])
    angles = torch.tensor([[0.0, 90.0], [5.0, 100.0], [10.0, 110.0]])
    axes = loss_ax, norm_ax, angle_ax
    training_plots.training_story(steps, losses, norms, angles, [5, None], axes, "title")
    assert loss_ax.lines[0].get_xydata().tolist() == [[0, 4], [10, 2], [20, 1]]
    for i, color in enumerate(style.feature_colors(2)):
        norm, angle = norm_ax.lines[i], angle_ax.lines[i]
        assert np.allclose(norm.get_xydata(), np.stack([steps, norms[:, i]], 1))
        expected = np.where(norms[:, i] < 0.2, np.nan, angles[:, i])
        assert np.allclose(angle.get_ydata(), expected, equal_nan=True)
        assert np.allclose(norm.get_color(), color) and np.allclose(angle.get_color(), color)
