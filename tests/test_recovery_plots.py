"""Figures of the recovery notebooks, read back from what was drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from drawn import cells, is_dark, place

from common.plots.style import feature_colors
from common.recovery import plots
from common.recovery.study import interval

pytestmark = pytest.mark.usefixtures("drawing")

DENSITY = [0.3, 0.1, 0.03]


def test_activations_have_the_first_feature_at_the_top_and_an_input_a_column():
    x = np.zeros((4, 3))
    x[3, 0] = 1  # the last input, the first feature
    fig, axes = plt.subplots(1, 2)
    plots.activations({"true": x, "OMP, x ≥ 0": np.roll(x, -1, 0)}, axes)
    for ax, column in zip(axes, (3, 2), strict=True):
        assert np.argwhere(is_dark(cells(ax, 3, 4))).tolist() == [[0, column]]
    assert axes[1].get_title() == "OMP,\nx ≥ 0" and axes[0].get_ylabel() == "feature"
    assert fig.axes[2].get_ylim() == (0, 1)


VALUES = np.array([[0.1, 0.2], [0.3, 0.2], [0.2, 0.5]])  # three seeds, two points


@pytest.mark.parametrize("log", [False, True])
def test_a_band_is_the_interval_of_the_mean(log):
    """That of the logarithm lies at equal factors on both sides, and so above 0."""
    _, ax = plt.subplots()
    plots.band(ax, [1, 2], VALUES, "red", "name", log=log)
    mean, half = interval(VALUES)
    assert ax.lines[0].get_ydata().tolist() == mean.tolist()
    ends = ax.collections[0].get_paths()[0].vertices
    for k, x in enumerate((1, 2)):
        heights = np.unique(ends[ends[:, 0] == x, 1])
        low, high = heights.min(), heights.max()
        if log:
            assert low * high == pytest.approx(mean[k] ** 2) and low > 0
            assert np.log(high / mean[k]) == pytest.approx(half[k] / mean[k])
        else:
            assert (low, high) == (
                pytest.approx(mean[k] - half[k]),
                pytest.approx(mean[k] + half[k]),
            )


def test_the_interval_of_a_logarithm_is_bounded():
    mean, low, high = plots._ends(np.array([1e-9, 1.0]), log=True)
    assert mean == pytest.approx(0.5) and high < 100 and low > 0.001


def scored(relative):
    return {"relative": np.asarray(relative, float)}


def test_error_curves_have_a_line_a_method_and_a_floor():
    points = [{"OMP": scored([e, e]), "best linear": scored([0.5, 0.5])} for e in (0.1, 0.2, 1e-9)]
    _, ax = plt.subplots()
    plots.error_curves(points, DENSITY, ax, "title")
    drawn = {line.get_label(): line for line in ax.lines}
    assert drawn["OMP"].get_ydata().tolist() == pytest.approx([0.1, 0.2, plots.FLOOR])
    assert drawn["best linear"].get_ydata().tolist() == [0.5] * 3
    assert drawn["OMP"].get_xdata().tolist() == DENSITY
    (dashed,) = (line for line in ax.lines if line.get_linestyle() == "--")
    assert dashed.get_ydata() == [1, 1] and ax.get_yscale() == "log"
    assert ax.get_ylim()[0] < plots.FLOOR < 1 < ax.get_ylim()[1]


def test_an_axis_of_densities_has_sparse_to_the_right():
    _, ax = plt.subplots()
    plots.density_axis(ax, DENSITY)
    places = [place(ax, p, 0)[0] for p in DENSITY]
    assert 0 < places[0] < places[1] < places[2] < 1
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.3", "0.1", "0.03"]


def test_a_legend_names_everything_once_in_the_order_of_the_methods():
    fig, axes = plt.subplots(1, 2)
    for ax, names in zip(axes, (["OMP", "something"], ["best linear", "OMP"]), strict=True):
        for name in names:
            ax.plot([0, 1], label=name)
    plots.legend_below(fig, axes, 2, [plots.baseline_handle()])
    names = [text.get_text() for text in fig.legends[0].get_texts()]
    assert names == ["best linear", "OMP", "something", "always predicting the mean"]


def test_a_ladder_has_the_first_family_at_the_top_and_the_interval_of_the_mean():
    results = {"OMP": scored([0.1, 0.2, 0.3]), "best linear": scored([0.5, 0.6, 0.7])}
    _, ax = plt.subplots()
    plots.decoder_ladder(
        {"random": results, "learned": {"OMP": scored([0.01, 0.02, 0.03])}}, ax, ""
    )
    dots = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert [dot.get_xdata()[0] for dot in dots] == pytest.approx([0.6, 0.2, 0.02])
    heights = [place(ax, 0.1, dot.get_ydata()[0])[1] for dot in dots]
    assert heights[0] > heights[1] > 0.5 > heights[2]
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names == ["random", "learned"] and ax.get_yticks().tolist() == [0, 1]
    bars = [
        line.get_xdata()
        for line in ax.lines
        if len(line.get_xdata()) == 2 and line.get_color() == dots[1].get_color()
    ]
    assert bars[0][0] * bars[0][1] == pytest.approx(0.04)
    mean, half = interval([0.1, 0.2, 0.3])
    assert np.log(bars[0][1] / mean) == pytest.approx(half / mean)


def test_a_fate_map_has_the_most_important_feature_at_the_top_and_sparse_to_the_right():
    r2 = np.zeros((3, 6))  # densities, features
    r2[2, 0], r2[0, 5], r2[1, 1] = 1, 0.9, -4
    _, ax = plt.subplots()
    plots.fate_map(r2, DENSITY, ax, "title")
    assert np.argwhere(is_dark(cells(ax, 6, 3))).tolist() == [[0, 2], [5, 0]]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.3", "0.1", "0.03"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["1", "5"]


def test_every_feature_has_its_norm_its_r2_and_its_colour():
    norms, r2 = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]), np.array([[1, 2, 3], [4, 5, 6]]) / 7
    _, ax = plt.subplots()
    plots.against_norm(norms, r2, ax, "title")
    (dots,) = ax.collections
    assert np.allclose(dots.get_offsets(), np.stack([norms.ravel(), r2.ravel()], 1))
    assert np.allclose(dots.get_facecolor()[:, :3], np.tile(feature_colors(3)[:, :3], (2, 1)))


def test_a_transition_map_has_many_dimensions_right_and_many_active_features_up():
    shares = np.zeros((3, 4))  # m / n, active / m
    shares[2, 0] = 1  # the most dimensions, the fewest active
    shares[0, 3] = 0.9
    _, ax = plt.subplots()
    mesh = plots.transition_map([0.2, 0.4, 0.6], [0.1, 0.3, 0.5, 0.7], shares, ax)
    assert np.argwhere(~is_dark(cells(ax, 4, 3))).tolist() == [[0, 0], [3, 2]]
    assert mesh.get_clim() == (0, 1)
    assert ax.get_xlim() == pytest.approx((0.1, 0.7)) and ax.get_ylim() == pytest.approx((0, 0.8))


def test_a_map_of_one_column_is_drawn():
    _, ax = plt.subplots()
    plots.transition_map([0.5], [0.2, 0.4], np.ones((1, 2)), ax)
    assert ax.get_xlim() == pytest.approx((0.45, 0.55))
    assert ax.get_ylim() == pytest.approx((0.1, 0.5))
    assert not is_dark(cells(ax, 2, 1)).any()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("OMP, x ≥ 0", "omp-nonnegative"),
        ("Lasso (cd), x ≥ 0", "lasso-cd-nonnegative"),
        ("dictionary learning, mini-batch", "dictionary-learning-mini-batch"),
        ("tight frame", "tight-frame"),
    ],
)
def test_methods_in_the_names_of_results(name, expected):
    assert plots.slug(name) == expected
