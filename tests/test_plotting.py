"""What a figure shows: orientation of every image-like plot, colours that carry meaning."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from common import animation, plotting


@pytest.fixture(autouse=True)
def style():
    plotting.use_style()
    yield
    plt.close("all")


def heatmap_pixel(ax, row, column):
    """Colour at the centre of a heatmap's cell, rows counted from the TOP of the drawn figure."""
    fig = ax.figure
    fig.canvas.draw()
    bottom_to_top = ax.transData.transform([(column + 0.5, y + 0.5) for y in range(99)])
    box = ax.get_window_extent()
    inside = sorted((y for y in bottom_to_top[:, 1] if box.y0 < y < box.y1), reverse=True)
    x, y = bottom_to_top[0, 0], inside[row]
    pixels = np.asarray(fig.canvas.buffer_rgba())
    return pixels[int(pixels.shape[0] - 1 - y), int(x), :3] / 255


def is_red(color):
    return color[0] > 0.3 and color[2] < 0.3


def is_blue(color):
    return color[2] > 0.3 and color[0] < 0.3


def test_gram_has_output_one_at_the_top_and_red_for_plus():
    """Only entry (first row, last column) is +1, only the last bias is -1."""
    G, b = torch.zeros(3, 3), torch.tensor([0.0, 0.0, -1.0])
    G[0, 2] = 1
    _, axes = plt.subplots(1, 2)
    plotting.gram_with_bias(G, b, axes)
    assert is_red(heatmap_pixel(axes[0], 0, 2))
    for row, column in ((2, 0), (2, 2), (0, 0)):
        assert not is_red(heatmap_pixel(axes[0], row, column))
    assert is_blue(heatmap_pixel(axes[1], 2, 0))
    assert not is_blue(heatmap_pixel(axes[1], 0, 0))


def test_matrix_has_row_one_at_the_top():
    _, ax = plt.subplots()
    values = np.zeros((3, 3))
    values[0, 2] = -1
    plotting.matrix(values, ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2", "3"]
    corner = ax.collections[0].get_array().reshape(3, 3)
    assert corner[0, 2] == -1 and ax.yaxis_inverted()


def test_inputs_have_the_first_feature_at_the_top():
    _, ax = plt.subplots()
    x = torch.zeros(4, 3)
    x[1, 0] = 1  # second input, first feature
    plotting.inputs(x, ax)
    assert (heatmap_pixel(ax, 0, 1) < 0.2).all()
    assert (heatmap_pixel(ax, 2, 1) > 0.8).all()


def test_norm_bars_have_the_most_important_feature_at_the_top():
    fig, ax = plt.subplots()
    plotting.norm_bars([1.0, 0.5], [0.0, 1.0], ax)
    fig.canvas.draw()
    first, second = ax.patches
    assert first.get_width() == 1.0 and second.get_width() == 0.5
    heights = [ax.transData.transform((0, bar.get_y()))[1] for bar in (first, second)]
    assert heights[0] > heights[1]
    luminance = [sum(to_rgb(bar.get_facecolor())) for bar in (first, second)]
    assert luminance[0] < 0.2 < luminance[1]  # dark: no superposition; yellow: 1 or more


def test_vectors_are_drawn_where_the_columns_of_w_point():
    _, ax = plt.subplots()
    plotting.feature_vectors(torch.tensor([[1.0, 0.0], [0.0, -0.5]]), ax)
    tips = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert np.allclose(tips, [[1, 0], [0, -0.5]])
    dotted = [line.get_xydata()[1] for line in ax.lines if line.get_linestyle() == ":"]
    assert np.allclose(dotted, [[plotting.LIMIT, 0], [0, -plotting.LIMIT]])


def test_a_dead_feature_has_no_dotted_continuation():
    _, ax = plt.subplots()
    plotting.feature_vectors(np.zeros((2, 1)), ax)
    assert not [line for line in ax.lines if line.get_linestyle() == ":"]


def test_the_most_important_feature_is_dark():
    colors = plotting.feature_colors(5)
    assert sum(colors[0][:3]) < sum(colors[-1][:3])


def test_curves_break_where_an_angle_wraps():
    _, axes = plt.subplots(3, 1)
    angles = torch.tensor([[350.0], [359.0], [2.0], [5.0]])
    plotting.training_story([0, 1, 2, 3], torch.ones(4), torch.ones(4, 1), angles, [None], axes, "")
    drawn = axes[2].lines[0].get_ydata()
    assert np.isnan(drawn[2]) and drawn[3] == 5
    assert angles[2, 0] == 2  # the caller's array is left alone


def test_restart_strip_draws_at_least_the_floor():
    _, ax = plt.subplots()
    plotting.restart_strip(torch.tensor([[0.0, 0.5]]), ["a"], ax, floor=1e-6)
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([1e-6, 0.5])


def test_animation_frames_move_and_share_a_palette():
    W = torch.stack([torch.eye(2) * scale for scale in (0.1, 0.5, 1.0)])
    frames = animation.forming_features(W, [0, 10, 20], torch.tensor([3.0, 2, 1]), "title")
    assert len(frames) == 3 and {frame.size for frame in frames} == {(420, 420)}
    assert len({frame.tobytes() for frame in frames}) == 3
    assert len({bytes(frame.getpalette()) for frame in frames}) == 1
    assert frames[0].convert("RGB").getpixel((2, 2)) == (255, 255, 255)


def test_animation_lengths_must_agree():
    with pytest.raises(ValueError, match="differ in length: 2, 3, 2"):
        animation.forming_features(torch.zeros(2, 2, 2), [0, 1, 2], torch.ones(2), "title")
