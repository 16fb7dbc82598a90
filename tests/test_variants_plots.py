"""Figures of the variants: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from drawn import cells, place
from matplotlib.colors import to_rgb

from common.plots import style
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


def test_a_grid_of_neurons_shows_every_model_and_its_kinds_in_its_place(generator):
    W, kinds = (
        torch.randn(2, 2, 3, 6, generator=generator),
        [[[0, 1, 2], [1, 1, 0]], [[2, 2, 2], [0, 0, 1]]],
    )
    fig = variant_plots.neuron_grid(W, kinds, ["a", "b"], ["one", "two"])
    for k, ax in enumerate(fig.axes[:4]):
        assert np.array_equal(ax.collections[0].get_array().reshape(6, 3), W[k // 2, k % 2].T)
        expected = [variant_plots.KIND_COLORS[kind] for kind in kinds[k // 2][k % 2]]
        assert [line.get_color() for line in ax.lines] == expected


def test_a_grid_of_neurons_has_one_legend_and_one_colour_bar(generator):
    W = torch.randn(3, 6, generator=generator)
    grid = variant_plots.neuron_grid([[W, W]], [[[0, 1, 2]] * 2], ["a", "b"], ["row"])
    left, right, bar = grid.axes
    assert [left.get_title(), right.get_title(), left.get_ylabel()] == ["a", "b", "row"]
    assert bar.get_ylim() == (-variant_plots.WEIGHT_LIMIT, variant_plots.WEIGHT_LIMIT)
    assert tuple(text.get_text() for text in grid.legends[0].get_texts()) == variant_plots.KINDS
    grid = variant_plots.neuron_grid([[W, W]], [[[0, 1, 1]] * 2], ["a", "b"], ["row"])
    names = [text.get_text() for text in grid.legends[0].get_texts()]
    assert names == ["monosemantic", "polysemantic"]  # no neuron is dead


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
    assert low == pytest.approx(2) and upper - middle == pytest.approx(0.085 * 4.1)


def test_neighbours_of_an_octahedron():
    """Every feature has the four at right angles; the opposite one and a dead one are none."""
    W = np.hstack([np.eye(3), -np.eye(3), np.zeros((3, 1))])
    pairs = variant_plots.neighbours(W)
    assert len(pairs) == 12
    assert not {(0, 3), (1, 4), (2, 5)} & set(pairs)
    assert all(6 not in pair for pair in pairs)
    assert variant_plots.neighbours(np.zeros((3, 2))) == []
    angle = np.deg2rad([0, 50, 105, 240])  # 0 and 105 are more than 1.2 times 50 and 55 apart
    pairs = variant_plots.neighbours(np.stack([np.cos(angle), np.sin(angle)]))
    assert pairs == [(0, 1), (0, 3), (1, 2), (2, 3)]


def test_the_axis_of_symmetry_is_turned_upright(generator):
    """A prism stretched along a random direction; turning changes no scalar product."""
    W = np.array([[1, -1, 0.5, -0.5], [0.5, 0.5, -1, -1], [2, 2, 2, -2.0]])
    Q = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q.numpy()
    turned = variant_plots.upright(Q @ W, np.ones(4, bool))
    assert np.allclose(turned.T @ turned, W.T @ W)
    assert np.abs(turned[2]).min() > 1.2
    assert turned[2].sum() > 0  # more of them up than down
    whole = np.hstack([Q @ W, np.zeros((3, 1))])
    assert np.allclose(variant_plots.upright(whole, np.arange(5) < 4)[:, :4], turned)


def test_figures_hold_for_models_without_features():
    ax = plt.figure().add_subplot(projection="3d")
    assert variant_plots.features_in_3d(torch.zeros(3, 4), ax, "title") is ax.figure
    assert not [line for line in ax.lines if line.get_marker() == "o"]


def test_features_in_3d_have_their_tips_colours_and_neighbours():
    """An octahedron: turned, each feature at its tip; the twelve edges join neighbours."""
    W = 1.1 * np.hstack([np.eye(3), -np.eye(3)])
    ax = plt.figure().add_subplot(projection="3d")
    variant_plots.features_in_3d(W, ax)
    dots = [line for line in ax.lines if line.get_marker() == "o"]
    tips = np.array([np.squeeze(line.get_data_3d()) for line in dots[::2]])
    turned = variant_plots.upright(W, np.ones(6, bool)).T
    assert np.allclose(tips, turned)
    assert np.allclose([dot.get_color() for dot in dots[::2]], style.feature_colors(6))
    edges = [line for line in ax.lines if str(line.get_color()) == "0.55"]
    lengths = [np.linalg.norm(np.diff(line.get_data_3d(), axis=1)) for line in edges]
    assert lengths == pytest.approx([1.1 * 2**0.5] * 12)


def test_windmills_point_where_their_columns_do_and_fit():
    models = [torch.tensor([[1.0, 0.0, -1.7], [0.2, -0.5, 0.0]]), torch.eye(2)]
    fig = variant_plots.windmills(models, ["a", "b"])
    for ax, W, title in zip(fig.axes, models, "ab", strict=True):
        tips = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
        assert np.allclose(tips, W.T) and ax.get_title() == title
        assert ax.get_xlim()[1] > np.abs(tips).max() and ax.get_ylim()[0] < -np.abs(tips).max()


def test_responses_have_outputs_down_and_active_features_across():
    """Red: the first output to the last feature; blue: the last to the second."""
    stages = torch.zeros(2, 4, 4)
    stages[1, 0, 3], stages[1, 3, 1] = 1, -1
    fig = variant_plots.response_matrices(stages, ["a", "b"])
    assert [ax.get_title() for ax in fig.axes[:2]] == ["a", "b"]
    for ax, marked in zip(fig.axes, ([], [[0, 3], [3, 1]]), strict=False):
        colors = cells(ax, 4, 4)
        assert np.argwhere(colors.min(-1) < 0.5).tolist() == marked
    assert colors[0, 3, 0] > colors[0, 3, 2] and colors[3, 1, 2] > colors[3, 1, 0]


def test_a_stability_chart_has_a_row_a_polygon():
    """Minima where they are said to be, more features further up, dense on the left."""
    density = torch.logspace(0, -2, 5)
    stable = torch.tensor([[True] * 5, [False, False, False, True, True]])
    _, ax = plt.subplots()
    lowest = {(2, 0.1): True, (3, 0.01): False, (4, 0.1): True}  # the last one has no row
    variant_plots.stability_chart(density, [2, 3], stable, lowest, ax)
    seen = [(line.get_marker(), line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines]
    assert seen == [("o", 0.1, 2), ("x", 0.01, 3)]
    ax.lines[0].remove()
    ax.lines[0].remove()
    left = place(ax, 10**-0.25, 2)[0]  # half a cell lies beyond density 1
    assert left == pytest.approx(1 / 9) and place(ax, 0.1, 3)[1] > 0.5
    colors = cells(ax, 2, 18)[:, 1::4]  # one in every cell
    minimum, saddle = (to_rgb(c) for c in (variant_plots.STABLE_COLOR, variant_plots.SADDLE_COLOR))
    for row, expected in zip(colors, stable.flip(0), strict=True):
        for color, is_minimum in zip(row, expected, strict=True):
            assert color == pytest.approx(minimum if is_minimum else saddle, abs=0.01)
    patches = ax.get_legend().get_patches()
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == ["a minimum", "a saddle, or flat", "the lowest found", "not the lowest"]
    assert [to_rgb(patch.get_facecolor()) for patch in patches] == [minimum, saddle]
    markers = [line.get_marker() for line in ax.get_legend().get_lines()]
    assert markers == ["o", "x"]


def test_the_rise_by_angle_has_a_line_a_density():
    _, ax = plt.subplots()
    rise = torch.tensor([[1e-3, 1e-2, 0.1], [0.1, 1.0, 10.0]])
    variant_plots.rise_by_angle([2, 10, 45], rise, [1.0, 0.01], ax)
    assert [line.get_label() for line in ax.lines] == ["1", "0.01"]
    for line, values in zip(ax.lines, rise, strict=True):
        assert line.get_xdata() == pytest.approx([2, 10, 45])
        assert line.get_ydata() == pytest.approx(values.numpy())
    assert not np.allclose(ax.lines[0].get_color(), ax.lines[1].get_color())
    assert ax.get_ylim()[1] > rise.max()  # the legend covers no line
