"""Figures of the variants: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from common.variants import plots as variant_plots

pytestmark = pytest.mark.usefixtures("drawing")


def test_a_neuron_is_a_column_and_the_first_feature_at_the_top(generator):
    W = torch.randn(3, 6, generator=generator)
    _, ax = plt.subplots()
    variant_plots.neuron_map(W, [0, 1, 2], ax, "title")
    (mesh,) = ax.collections
    assert np.array_equal(mesh.get_array().reshape(6, 3), W.T.numpy())
    assert ax.yaxis_inverted()
    assert [label.get_text() for label in ax.get_yticklabels()] == list("123456")
    squares = [(line.get_xdata()[0], line.get_color()) for line in ax.lines]
    assert squares == list(zip((0.5, 1.5, 2.5), variant_plots.KIND_COLORS, strict=True))


def test_a_grid_of_neurons_has_one_legend_and_one_colour_bar(generator):
    W = torch.randn(3, 6, generator=generator)
    grid = variant_plots.neuron_grid([[W, W]], [[[0, 1, 2]] * 2], ["a", "b"], ["row"])
    left, right, bar = grid.axes
    assert [left.get_title(), right.get_title(), left.get_ylabel()] == ["a", "b", "row"]
    assert bar.get_ylim() == (-variant_plots.WEIGHT_LIMIT, variant_plots.WEIGHT_LIMIT)
    assert tuple(text.get_text() for text in grid.legends[0].get_texts()) == variant_plots.KINDS


def test_curves_of_worth_are_named_beside_their_ends():
    """Two end at nearly the same height: their names stand apart, in the order of the curves."""
    density, value = torch.tensor([1.0, 0.1]), torch.tensor([[1, 2], [1, 5.1], [1, 5.0]])
    _, ax = plt.subplots()
    variant_plots.value_curves(density, [2, 3, 4], value, ax)
    for line, name in zip(ax.lines, ax.texts, strict=True):
        assert line.get_color() == name.get_color()
        assert name.xy == pytest.approx((0.1, line.get_ydata()[-1]))
    assert [name.get_text() for name in ax.texts] == ["$k = 2$", "$k = 3$", "$k = 4$"]
    low, upper, middle = (name.xyann[1] for name in ax.texts)
    assert low == pytest.approx(2) and upper - middle == pytest.approx(0.07 * 4.1)


def test_neighbours_of_an_octahedron():
    """Every feature has the four at right angles; the opposite one and a dead one are none."""
    W = np.hstack([np.eye(3), -np.eye(3), np.zeros((3, 1))])
    pairs = variant_plots.neighbours(W)
    assert len(pairs) == 12
    assert not {(0, 3), (1, 4), (2, 5)} & set(pairs)
    assert all(6 not in pair for pair in pairs)
    assert variant_plots.neighbours(np.zeros((3, 2))) == []


def test_the_axis_of_symmetry_is_turned_upright(generator):
    """A prism stretched along a random direction; turning changes no scalar product."""
    W = np.array([[1, -1, 0.5, -0.5], [0.5, 0.5, -1, -1], [2, 2, 2, -2.0]])
    Q = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q.numpy()
    turned = variant_plots.upright(Q @ W, np.ones(4, bool))
    assert np.allclose(turned.T @ turned, W.T @ W)
    assert np.abs(turned[2]).min() > 1.2


def test_figures_hold_for_any_model():
    for W in (torch.zeros(3, 4), torch.eye(3), torch.ones(3, 5)):
        ax = plt.figure().add_subplot(projection="3d")
        assert variant_plots.features_in_3d(W, ax, "title") is ax.figure
    fig = variant_plots.windmills([torch.eye(2), torch.zeros(2, 3)], ["a", "b"])
    assert len(fig.axes) == 2
    fig = variant_plots.response_matrices(torch.zeros(2, 4, 4), ["a", "b"])
    assert [ax.get_title() for ax in fig.axes[:2]] == ["a", "b"]


def test_a_stability_chart_has_a_row_a_polygon():
    density = torch.logspace(0, -2, 5)
    stable = torch.tensor([[True] * 5, [False] * 5])
    _, ax = plt.subplots()
    lowest = {(2, 0.1): True, (3, 0.1): False, (4, 0.1): True}  # the last one has no row
    variant_plots.stability_chart(density, [2, 3], stable, lowest, ax)
    assert [line.get_marker() for line in ax.lines] == ["o", "x"]
    (mesh,) = ax.collections
    assert np.array_equal(mesh.get_array().reshape(2, 5), stable.double().numpy())


def test_the_rise_by_angle_has_a_line_a_density():
    _, ax = plt.subplots()
    rise = torch.tensor([[1e-3, 1e-2, 0.1], [0.1, 1.0, 10.0]])
    variant_plots.rise_by_angle([2, 10, 45], rise, [1.0, 0.01], ax)
    assert [line.get_label() for line in ax.lines] == ["1", "0.01"]
    for line, values in zip(ax.lines, rise, strict=True):
        assert line.get_xdata() == pytest.approx([2, 10, 45])
        assert line.get_ydata() == pytest.approx(values.numpy())
    assert ax.get_ylim()[1] > rise.max()  # the legend covers no line
