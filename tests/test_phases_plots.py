"""Pictures of phase diagrams: orientation read off the drawn figure, colours that carry meaning."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from common.phases import diagram, plots as phase_plots
from common.phases.diagram import JOINT, PHASES
from common.theory import DEDICATED, DROPPED, PAIRED

pytestmark = pytest.mark.usefixtures("drawing")


def pixel(ax, ratio, density):
    """Colour drawn at a point of the window."""
    fig = ax.figure
    fig.canvas.draw()
    x, y = ax.transData.transform((ratio, density))
    pixels = np.asarray(fig.canvas.buffer_rgba())
    return pixels[int(pixels.shape[0] - 1 - y), int(x), :3] / 255


def height(ax, density):
    return ax.transData.transform((1, density))[1]


def close(color, expected):
    return np.allclose(color, to_rgb(expected), atol=0.03)


def test_density_one_is_at_the_top_and_importance_grows_to_the_right():
    density, ratio = diagram.window(40, 40)
    _, ax = plt.subplots()
    phase_plots.phase_map(diagram.theory_phase(density, ratio, 1), density, ratio, ax)
    assert height(ax, 1) > height(ax, 0.1) > height(ax, 0.01)
    assert ax.get_ylim() == pytest.approx((0.01, 1))
    assert ax.get_xlim() == pytest.approx((0.1, 10))
    colors = dict(zip(PHASES, phase_plots.PHASE_COLORS, strict=True))
    assert close(pixel(ax, 0.15, 0.9), colors[DROPPED])
    assert close(pixel(ax, 7, 0.9), colors[DEDICATED])
    assert close(pixel(ax, 1, 0.02), colors[PAIRED])


def test_rows_and_columns_are_where_their_labels_say():
    """One cell of one: row 0 is density 1, column 0 is importance 0.1."""
    density, ratio = diagram.window(5, 5)
    for row, column in ((0, 0), (0, 4), (4, 0), (1, 3)):
        norm = torch.zeros(5, 5)
        norm[row, column] = 1
        _, ax = plt.subplots()
        phase_plots.two_channel_map(norm, 0 * norm, density, ratio, ax)
        # a little towards the middle of the window: corner cells are half outside
        p, r = density[row] ** 0.97 * 0.1**0.06, ratio[column] ** 0.97
        assert close(pixel(ax, r.item(), p.item()), phase_plots.DEDICATED)
        assert close(pixel(ax, ratio[2].item(), density[2].item()), phase_plots.ABSENT)


@pytest.mark.parametrize("draw", [phase_plots.share_map, phase_plots.excess_map])
def test_scalar_maps_have_the_same_orientation(draw):
    density, ratio = diagram.window(5, 5)
    values = torch.zeros(5, 5)
    values[0, -1] = 1  # density 1, importance 10
    _, ax = plt.subplots()
    draw(values, density, ratio, ax)
    assert not np.allclose(pixel(ax, 9, 0.95), pixel(ax, 0.11, 0.95), atol=0.1)
    assert np.allclose(pixel(ax, 9, 0.011), pixel(ax, 0.11, 0.95), atol=0.01)


def test_two_channels_at_the_corners():
    corners = phase_plots.two_channel_colors([0, 0, 1, 1, 3], [0, 1, 0, 1, 7])
    expected = [
        phase_plots.ABSENT, phase_plots.ABSENT, phase_plots.DEDICATED,
        phase_plots.SUPERPOSED, phase_plots.SUPERPOSED,
    ]  # fmt: skip
    np.testing.assert_allclose(corners, expected)
    red, _, blue = phase_plots.SUPERPOSED
    assert red > blue
    red, _, blue = phase_plots.DEDICATED
    assert blue > red
    assert len(set(phase_plots.ABSENT)) == 1  # grey


def test_ticks_suit_the_window():
    _, axes = plt.subplots(1, 2)
    phase_plots.map_axes(axes[0], *diagram.window(5, 5))
    window = diagram.window(5, 5, lowest_density=0.4, widest_ratio=2)
    phase_plots.map_axes(axes[1], *window)
    shown = [
        [x for x in axis.get_ticklocs() if low * 0.99 <= x <= high * 1.01]
        for ax in axes
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim()))
    ]
    assert shown[0] == [0.1, 0.3, 1, 3, 10] and shown[1] == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
    assert shown[2] == [0.5, 0.7, 1, 1.4, 2] and shown[3] == [0.4, 0.5, 0.7, 1]


def test_signs_of_the_key_touch_no_axis():
    fig, _, key = phase_plots.panels(4, key=True, width=2.2)
    phase_plots.color_key(key)
    fig.canvas.draw()
    square = key.get_window_extent()
    assert {tick.tick1line.get_markersize() for tick in key.yaxis.get_major_ticks()} == {0}
    assert all(label.get_window_extent().x1 < square.x0 for label in key.get_yticklabels())
    assert all(label.get_window_extent().y1 < square.y0 for label in key.get_xticklabels())


def test_key_has_the_colours_of_the_map():
    _, ax = plt.subplots()
    phase_plots.color_key(ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("superposition", "norm")
    for x, y, color in (
        (0.02, 0.98, phase_plots.DEDICATED),
        (0.98, 0.98, phase_plots.SUPERPOSED),
        (0.5, 0.02, phase_plots.ABSENT),
    ):
        assert np.allclose(pixel(ax, x, y), color, atol=0.05)


def test_colours_of_phases_are_those_of_the_two_channels():
    """A dropped feature is grey, one alone blue, one in a pair red: where the maps stand side by
    side the same colour means the same."""
    colors = dict(zip(PHASES, map(to_rgb, phase_plots.PHASE_COLORS), strict=True))
    assert colors[DROPPED] == phase_plots.ABSENT and colors[PAIRED] == phase_plots.SUPERPOSED
    assert max(colors[DEDICATED]) == colors[DEDICATED][2]  # blue
    labels = dict(zip(PHASES, phase_plots.PHASE_LABELS, strict=True))
    assert labels[DROPPED] == "extra dropped" and labels[DEDICATED] == "extra dedicated"
    assert labels[PAIRED] == "extra in a pair" and labels[JOINT] == "all three joint"


def test_boundary_lies_on_the_edge_of_its_region():
    density, ratio = diagram.window(200, 200)
    _, ax = plt.subplots()
    phase_plots.phase_map(diagram.theory_phase(density, ratio, 1), density, ratio, ax)
    phase_plots.boundary_line([0.1, 10], [0.16, 0.16], ax)
    (line,) = ax.get_lines()
    assert height(ax, line.get_ydata()[0]) == pytest.approx(height(ax, 0.16))
    colors = dict(zip(PHASES, phase_plots.PHASE_COLORS, strict=True))
    assert close(pixel(ax, 2, 0.43), colors[PAIRED])  # the boundary is at 4/9 there
    assert close(pixel(ax, 2, 0.46), colors[DEDICATED])


def test_legend_names_only_what_is_there():
    fig = plt.figure()
    codes = torch.tensor([[PHASES.index(PAIRED), PHASES.index(DROPPED)]])
    phase_plots.phase_legend(fig, codes)
    texts = [text.get_text() for text in fig.legends[0].get_texts()]
    assert texts == ["extra dropped", "extra in a pair"]


def test_points_of_a_surface_are_marked_with_their_names():
    _, ax = plt.subplots()
    phase_plots.mark([[0.5, -0.5]], ax, "*", "red", "minimum")
    phase_plots.ring([[0.5, -0.5]], ax, "teal", "runs")
    assert [line.get_label() for line in ax.get_lines()] == ["minimum", "runs"]
    assert ax.get_lines()[0].get_xydata().tolist() == [[0.5, -0.5]]


def test_panels_share_a_row_and_leave_room_for_a_key():
    fig, axes, key = phase_plots.panels(3, key=True)
    assert len(axes) == 3 and key in fig.axes and key not in list(axes)
    assert phase_plots.panels(2)[2] is None


def test_rows_of_maps_have_their_titles_and_room_for_more():
    density, ratio = diagram.window(5, 5)
    flat, codes = torch.zeros(5, 5), torch.full((5, 5), PHASES.index(PAIRED))
    fig, axes = phase_plots.channel_maps({"one": (flat, flat)}, density, ratio, more=1)
    assert [ax.get_title() for ax in axes] == ["one", ""] and len(fig.axes) == 3
    fig, axes = phase_plots.named_maps({"theory": codes, "exact": codes}, density, ratio)
    assert [ax.get_title() for ax in axes] == ["theory", "exact optimum"] and fig.legends
    fig = phase_plots.aggregation({"mean": (flat, flat)}, flat, density, ratio)
    assert [ax.get_title() for ax in fig.axes[:2]] == ["(a) mean", "(b) runs stuck"]
    window = (density, ratio)
    fig, axes = phase_plots.theory_exact_trained(codes, (flat, flat), (flat, flat), window, window)
    assert [ax.get_title() for ax in axes] == ["theory", "exact optimum", "trained, lowest loss"]


def test_ticks_of_a_logarithmic_axis_are_the_given_ones():
    _, ax = plt.subplots()
    ax.plot([0.1, 10], [0, 1])
    phase_plots.log_ticks([0.2, 1, 5], ax)
    assert ax.get_xscale() == "log"
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0.2", "1", "5"]
    assert not len(ax.get_xticks(minor=True))
