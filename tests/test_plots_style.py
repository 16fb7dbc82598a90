"""What a figure shows: orientation of every image-like plot, colours that carry meaning."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from drawn import cells
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from sklearn.isotonic import IsotonicRegression

from common import geometry
from common.plots import animation, curves, matrices, style

pytestmark = pytest.mark.usefixtures("drawing")


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


def tick_texts(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def is_red(color):
    return color[0] > 0.3 and color[2] < 0.3


def is_blue(color):
    return color[2] > 0.3 and color[0] < 0.3


def test_gram_has_output_one_at_the_top_and_red_for_plus():
    """Only entry (first row, last column) is +1, only the last bias is -1."""
    G, b = torch.zeros(3, 3), torch.tensor([0.0, 0.0, -1.0])
    G[0, 2] = 1
    _, ax = plt.subplots()
    matrices.gram_with_bias(G, b, ax)
    bias = 3.5  # half a cell lies between the two
    assert is_red(heatmap_pixel(ax, 0, 2))
    for row, column in ((2, 0), (2, 2), (0, 0), (0, bias)):
        assert not is_red(heatmap_pixel(ax, row, column))
    assert is_blue(heatmap_pixel(ax, 2, bias))
    assert not is_blue(heatmap_pixel(ax, 0, bias))
    assert tick_texts(ax.xaxis) == ["1", "2", "3", "$b$"]
    assert tick_texts(ax.yaxis) == ["1", "2", "3"]


def test_gram_grid_numbers_the_first_panel_only():
    G, b = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3)
    fig = matrices.gram_grid(G, b, ["left", "right"], [""])
    left, right, bar = fig.axes
    assert [left.get_title(), right.get_title()] == ["left", "right"]
    assert tick_texts(left.yaxis) == ["1", "2", "3"] and tick_texts(right.yaxis) == []
    assert tick_texts(right.xaxis) == ["$b$"]
    assert left.get_ylabel() == "output" and bar.get_ylabel() == "$W^T W$ and $b$"


def test_gram_grid_keeps_a_bias_nearer_to_its_own_matrix():
    fig = matrices.gram_grid(torch.zeros(1, 3, 5, 5), torch.zeros(1, 3, 5), list("abc"), [""])
    fig.canvas.draw()
    left, right = (ax.get_window_extent() for ax in fig.axes[:2])
    cell = left.width / 6.5
    assert right.x0 - left.x1 > 1.5 * (0.5 * cell)


@pytest.mark.parametrize(("largest", "extend"), [(1.0, "neither"), (1.2, "both")])
def test_the_colour_bar_has_points_where_values_lie_beyond_it(largest, extend):
    fig = matrices.gram_grid(
        largest * torch.eye(2)[None, None], torch.zeros(1, 1, 2), ["one"], [""]
    )
    assert fig.axes[0].collections[0].get_clim() == (-1, 1)
    assert fig.axes[1]._colorbar.extend == extend


def test_gram_grid_names_its_rows_and_columns():
    G, b = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4)
    fig = matrices.gram_grid(G, b, ["a", "b", "c"], ["one", "two"], "label")
    assert [ax.get_title() for ax in fig.axes[:6]] == ["a", "b", "c", "", "", ""]
    assert [fig.axes[k].get_ylabel() for k in (0, 3)] == ["one\noutput", "two\noutput"]
    assert [ax.get_xlabel() for ax in fig.axes[:6]] == ["", "", "", "input", "input", "input"]


def test_cell_edges_are_half_a_step_around_the_centres():
    assert style.cell_edges([1, 2, 4]).tolist() == [0.5, 1.5, 3, 5]
    edges = style.cell_edges([1, 0.1], log=True)
    assert edges.tolist() == pytest.approx([10**0.5, 10**-0.5, 10**-1.5])


def test_places_are_spread_by_the_least_sum_of_squares(generator):
    """Against isotonic regression of the places less their ranks, which is the same problem."""
    places = torch.rand(40, generator=generator).sort().values.numpy()
    apart = curves.spread(places, 0.03)
    ranks = 0.03 * np.arange(40)
    assert np.allclose(apart - ranks, IsotonicRegression().fit_transform(ranks, places - ranks))
    assert np.diff(apart).min() > 0.03 - 1e-12
    assert curves.spread([0.1, 0.5], 0.03).tolist() == pytest.approx([0.1, 0.5])
    assert len(curves.spread([], 0.03)) == 0


def test_names_of_curves_stand_beside_their_ends_and_apart():
    _, ax = plt.subplots()
    ax.set(xlim=(0, 2), ylim=(0, 10))
    curves.curve_names(2, torch.tensor([5.0, 1.0, 5.0]), list("abc"), ["red"] * 3, ax, gap=1)
    assert [text.get_text() for text in ax.texts] == ["a", "b", "c"]
    assert [text.xy for text in ax.texts] == [(2, 5), (2, 1), (2, 5)]
    assert [text.xyann[1] for text in ax.texts] == pytest.approx([4.5, 1, 5.5])
    ax.figure.canvas.draw()
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without its line
    assert all(box.x0 > ax.get_window_extent().x1 for box in boxes)
    assert not boxes[0].overlaps(boxes[2])


@pytest.mark.parametrize("power", [0, -1, -3])
def test_powers_on_a_log_axis_are_written_out(power):
    _, ax = plt.subplots()
    ax.set(xscale="log", xlim=(1e-4, 10))
    text = ax.xaxis.get_major_formatter()(10.0**power)
    assert f"{10.0**power:g}" in text and "^" not in text


def test_a_range_band_shows_the_middle_and_the_range():
    _, ax = plt.subplots()
    curves.range_band([1, 2], torch.tensor([[1.0, 2, 6], [3, 4, 5]]), ax, "red", "name")
    assert ax.lines[0].get_ydata().tolist() == [2, 4]
    assert ax.collections[0].get_paths()[0].get_extents().ymax == 6


def test_a_loss_surface_is_darkest_at_its_minimum_with_the_first_weight_to_the_right():
    first, second = np.linspace(-1, 1, 41), np.linspace(-1, 1, 21)
    x, y = np.meshgrid(first, second)
    _, ax = plt.subplots()
    style.loss_surface((x - 0.5) ** 2 + (y + 0.3) ** 2, first, second, ax)
    darkest = ax.collections[0].get_paths()[0].vertices
    assert np.allclose(darkest.mean(0), [0.5, -0.3], atol=0.05)


def test_large_gram_is_not_numbered():
    _, ax = plt.subplots()
    matrices.gram_with_bias(torch.eye(80), torch.zeros(80), ax)
    assert tick_texts(ax.xaxis) == ["$b$"] and tick_texts(ax.yaxis) == []


@pytest.mark.parametrize("n", [21, 80])
def test_a_large_gram_is_two_images_of_whole_cells(n, generator):
    """Every cell a square block of equal pixels; the bias beside the matrix and apart from it."""
    G, b = torch.randn(n, n, generator=generator), torch.randn(n, generator=generator)
    _, ax = plt.subplots()
    matrices.gram_with_bias(G, b, ax)
    matrix, bias = ax.images
    side = matrices.PIXELS
    for image, expected in ((matrix, G), (bias, b[:, None])):
        blocks = np.asarray(image.get_array()).reshape(n, side, -1, side)
        assert np.array_equal(blocks[:, 0, :, 0], expected)
        assert np.ptp(blocks, axis=(1, 3)).max() == 0
    assert matrix.get_extent() == [0, n, n, 0]
    left, right, bottom, top = bias.get_extent()
    assert (bottom, top) == (n, 0) and n < left < ax.get_xticks()[-1] < right
    assert ax.get_xlim() == (0, right) and ax.get_ylim() == (n, 0)


def test_matrix_has_row_one_at_the_top():
    _, ax = plt.subplots()
    values = np.zeros((3, 3))
    values[0, 2] = -1
    matrices.matrix(values, ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2", "3"]
    corner = ax.collections[0].get_array().reshape(3, 3)
    assert corner[0, 2] == -1 and ax.yaxis_inverted()


def test_matrix_leaves_out_features_that_mean_little_and_writes_no_negative_zero():
    _, ax = plt.subplots()
    values = np.array([[1, -0.001, 0.5], [-0.001, 1, 0.5], [0.5, 0.5, 1]])
    matrices.matrix(values, ax, shown=torch.tensor([True, True, False]))
    assert [text.get_text() for text in ax.texts] == ["1.00", "0.00", "0.00", "1.00"]
    assert ax.get_facecolor()[:3] == to_rgb(style.UNSHOWN)


def test_matrix_takes_more_features_than_it_can_write_entries_for():
    _, ax = plt.subplots()
    matrices.matrix(np.eye(12), ax)
    assert tick_texts(ax.yaxis)[-1] == "12" and not ax.texts


def test_inputs_have_the_first_feature_at_the_top():
    _, ax = plt.subplots()
    x = torch.zeros(4, 3)
    x[1, 0] = 1  # second input, first feature
    style.inputs(x, ax)
    assert (heatmap_pixel(ax, 0, 1) < 0.2).all()
    assert (heatmap_pixel(ax, 2, 1) > 0.8).all()


def test_norm_bars_have_the_most_important_feature_at_the_top():
    fig, ax = plt.subplots()
    style.norm_bars([1.0, 0.5], [0.0, 1.0], ax)
    fig.canvas.draw()
    first, second = ax.patches
    assert first.get_width() == 1.0 and second.get_width() == 0.5
    heights = [ax.transData.transform((0, bar.get_y()))[1] for bar in (first, second)]
    assert heights[0] > heights[1]
    luminance = [sum(to_rgb(bar.get_facecolor())) for bar in (first, second)]
    assert luminance[0] < 0.2 < luminance[1]  # dark: no superposition; yellow: 1 or more


def test_bars_of_features_that_are_not_represented_are_grey():
    _, ax = plt.subplots()
    style.norm_bars([1.0, 0.4], [1.0, 1.0], ax)
    long, short = (to_rgb(bar.get_facecolor()) for bar in ax.patches)
    assert short == to_rgb(style.UNSHOWN) != long
    assert ax.get_xlim() == (0, style.NORM_LIMIT)


def test_a_wrapped_grid_goes_on_below():
    W = torch.eye(2).repeat(2, 5, 1, 1)
    fig = style.feature_vector_grid(W, list("abcde"), ["x", "y"], legend="feature", per_line=3)
    titles = [ax.get_title() for ax in fig.axes]
    assert titles == ["a", "b", "c", "", "", "", "d", "e", "", "", "", ""]
    assert [ax.axison for ax in fig.axes[6:]] == [True, True, False] * 2
    assert [ax.get_ylabel() for ax in fig.axes[::3]] == ["x", "y"] * 2
    assert fig.legends[0].get_title().get_text() == "feature"


def test_a_grid_can_do_without_a_legend():
    assert not style.feature_vector_grid([torch.eye(2)[None]], ["a"], ["x"], legend=None).legends


def test_three_dimensions_are_drawn_in_3d():
    W = style.turned(torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)))
    fig = style.feature_vector_grid([W], ["a", "b"], ["x"])
    assert [ax.name for ax in fig.axes] == ["3d", "3d"]
    tips = [line.get_data_3d() for line in fig.axes[0].lines if line.get_marker() == "o"]
    assert np.allclose(np.squeeze(tips), W[0].T)


@pytest.mark.parametrize("m", [2, 3])
def test_turning_changes_no_product_and_points_the_first_feature_right(m):
    W = torch.randn(6, m, 5, generator=torch.Generator().manual_seed(1)).double()
    turned = style.turned(W)
    assert torch.allclose(turned.mT @ turned, W.mT @ W)
    assert torch.allclose(turned[:, 1:, 0], torch.zeros((), dtype=torch.float64), atol=1e-9)
    assert (turned[:, 0, 0] > 0).all()


def test_vectors_are_drawn_where_the_columns_of_w_point():
    _, ax = plt.subplots()
    style.feature_vectors(torch.tensor([[1.0, 0.0], [0.0, -0.5]]), ax)
    tips = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o"]
    assert np.allclose(tips, [[1, 0], [0, -0.5]])
    dotted = [line.get_xydata()[1] for line in ax.lines if line.get_linestyle() == ":"]
    assert np.allclose(dotted, [[style.LIMIT, 0], [0, -style.LIMIT]])


@pytest.mark.parametrize("length", [0, 0.04])
def test_a_dead_feature_has_no_dotted_continuation(length):
    _, ax = plt.subplots()
    style.feature_vectors(np.array([[length], [0.0]]), ax)
    assert not [line for line in ax.lines if line.get_linestyle() == ":"]


def test_the_most_important_feature_is_dark():
    colors = style.feature_colors(5)
    assert sum(colors[0][:3]) < sum(colors[-1][:3])


def test_animation_frames_move_and_share_a_palette():
    W = torch.stack([torch.eye(2) * scale for scale in (0.1, 0.5, 1.0)])
    frames = animation.forming_features(W, [0, 10, 20], torch.tensor([3.0, 2, 1]), "title")
    assert len(frames) == 3 and {frame.size for frame in frames} == {(420, 420)}
    assert len({frame.tobytes() for frame in frames}) == 3
    assert len({bytes(frame.getpalette()) for frame in frames}) == 1
    assert frames[0].convert("RGB").getpixel((2, 2)) == (255, 255, 255)


def test_colours_of_features_that_vanish_are_kept():
    """All five end at the origin, one on top of the other."""
    W = torch.stack([geometry.regular_polygon(5) * scale for scale in (1, 0.5, 0)])
    frames = animation.forming_features(W, [0, 10, 20], torch.tensor([3.0, 2, 1]), "title")
    pixels = np.asarray(frames[0].convert("RGB"), dtype=int).reshape(-1, 3)
    for color in style.feature_colors(5):
        assert (np.abs(pixels - 255 * color[:3]).max(1) <= 3).sum() > 200
    for frame in frames:
        assert frame.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
        assert len(frame.getpalette()) <= 3 * 128


def test_animation_files_are_small(tmp_path):
    steps = range(91)
    W = torch.stack([geometry.regular_polygon(5) * (k / 90) for k in steps])
    losses = torch.linspace(1, 0.1, 91)
    frames = animation.forming_features(W, steps, losses, "title")
    path = tmp_path / "film.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], disposal=1, optimize=False)
    assert path.stat().st_size < 700_000


def test_animation_lengths_must_agree():
    with pytest.raises(ValueError, match="differ in length: 2, 3, 2"):
        animation.forming_features(torch.zeros(2, 2, 2), [0, 1, 2], torch.ones(2), "title")


def scene(W, steps, losses):
    """The function that moves a film to a frame, and its panels of vectors and of the loss."""
    fig = plt.figure(figsize=(animation.INCHES, animation.INCHES), layout="none")
    return animation._scene(fig, W.numpy(), np.array(steps), losses.numpy(), "title"), fig


def test_a_film_shows_each_frame_in_its_place():
    """Vectors end where W says, numbered beyond their tips where they are long; the step, the loss
    and the curve are those of the frame."""
    W = torch.tensor([[[0.1, 0.0], [0.2, -0.1]], [[1.0, 0.3], [0.5, -1.0]]])
    losses = torch.tensor([3.0, 0.25])
    update, fig = scene(W, [10, 2000], losses)
    vectors, curve = fig.axes
    for frame, long in ((0, False), (1, True)):
        update(frame)
        for i, line in enumerate(vectors.lines):
            assert np.allclose(line.get_xydata(), [[0, 0], W[frame, :, i]])
            number, tip = vectors.texts[i], W[frame, :, i].numpy()
            assert number.get_text() == str(i + 1) and number.get_visible() == long
            beyond = np.array(number.get_position())
            assert beyond @ tip > tip @ tip and abs(beyond[0] * tip[1] - beyond[1] * tip[0]) < 1e-6
        texts = [text.get_text() for text in fig.texts]
        assert texts == [
            "title",
            ("step 10", "step 2,000")[frame],
            ("loss 3.0000", "loss 0.2500")[frame],
        ]
        grey, filled, dot = curve.lines
        assert grey.get_ydata().tolist() == [3, 0.25]
        assert filled.get_ydata().tolist() == losses[: frame + 1].tolist()
        assert (dot.get_xdata(), dot.get_ydata()) == ([frame], [losses[frame]])
    (circle,) = vectors.patches
    assert circle.get_radius() == 1


def test_the_circle_has_norm_1():
    _, ax = plt.subplots()
    style.feature_vectors(torch.eye(2), ax)
    assert [patch.get_radius() for patch in ax.patches] == [1]


def test_the_legend_of_features_counts_from_the_most_important():
    fig = plt.figure()
    style.feature_legend(fig, 4)
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "3", "4"]
    found = [line.get_color() for line in legend.get_lines()]
    assert np.allclose(found, style.feature_colors(4))


def test_the_bar_of_superposition_has_the_colours_of_the_bars():
    fig, ax = plt.subplots()
    style.norm_bars([1.0, 1.0, 1.0], [0.0, 0.5, 7.0], ax)
    style.superposition_colorbar(fig, ax)
    bar = fig.axes[1]._colorbar
    for value, patch in zip((0.0, 0.5, 1.0), ax.patches, strict=True):
        assert bar.mappable.to_rgba(value) == pytest.approx(patch.get_facecolor(), abs=0.01)
    assert tick_texts(bar.ax.yaxis) == ["0", "≥ 1"] and bar.get_ticks().tolist() == [0, 1]


def test_a_signed_bar_goes_from_minus_to_plus():
    fig, ax = plt.subplots()
    matrices.signed_colorbar(fig, ax, "label", limit=1.5)
    bar = fig.axes[1]._colorbar
    assert is_red(bar.mappable.to_rgba(1.5)) and is_blue(bar.mappable.to_rgba(-1.5))
    assert bar.ax.get_ylim() == (-1.5, 1.5)


def test_every_panel_of_a_grid_has_its_own_matrix_and_bias(generator):
    G, b = torch.randn(2, 2, 3, 3, generator=generator), torch.randn(2, 2, 3, generator=generator)
    fig = matrices.gram_grid(G, b, ["a", "b"], ["one", "two"])
    for k, ax in enumerate(fig.axes[:4]):
        drawn = np.asarray(ax.collections[0].get_array()).reshape(3, 5)
        assert np.array_equal(drawn[:, :3], G[k // 2, k % 2])
        assert np.array_equal(drawn[:, 4], b[k // 2, k % 2])


@pytest.mark.parametrize(("entry", "bias"), [(-1.2, 0), (0, 1.2), (0, -1.2)])
def test_what_lies_beyond_the_colours_is_told_of_either_sign_and_of_biases(entry, bias):
    fig = matrices.gram_grid(
        torch.full((1, 1, 2, 2), entry), torch.full((1, 1, 2), bias), ["a"], [""]
    )
    assert fig.axes[1]._colorbar.extend == "both"


def test_a_report_shows_cosines_of_what_is_long_enough():
    """The third feature is short: no cosine, a grey bar."""
    W = torch.tensor([[1.0, 0.6, 0.3], [0.0, 0.6, 0.0]])
    _, axes = plt.subplots(1, 3)
    matrices.embedding_report(W, axes, "label")
    assert axes[0].get_ylabel() == "label"
    assert [text.get_text() for text in axes[1].texts] == ["1.00", "0.71", "0.71", "1.00"]
    colors = [to_rgb(bar.get_facecolor()) for bar in axes[2].patches]
    assert [color == to_rgb(style.UNSHOWN) for color in colors] == [False, False, True]


def test_a_loss_is_dark_where_it_is_low():
    first = np.linspace(-1, 1, 41)
    x, y = np.meshgrid(first, first)
    _, ax = plt.subplots()
    style.loss_surface((x - 0.5) ** 2 + (y + 0.5) ** 2, first, first, ax)
    colors = cells(ax, 4, 4).sum(-1)
    assert colors[2:, 2:].mean() < colors[:2, :2].mean() - 0.5


def test_three_dimensions_have_the_first_feature_along_the_first_axis_and_tips_in_colour():
    W = style.turned(torch.randn(3, 4, generator=torch.Generator().manual_seed(3)))
    ax = plt.figure().add_subplot(projection="3d")
    style.feature_vectors(W, ax)
    tips = [line for line in ax.lines if line.get_marker() == "o"]
    assert np.allclose([np.squeeze(tip.get_data_3d()) for tip in tips], W.T)
    assert np.allclose([tip.get_color() for tip in tips], style.feature_colors(4))
