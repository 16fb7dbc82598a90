"""The figures of a row of models, read back from what was drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from common import geometry
from common.plots import densities as density_plots, style

pytestmark = pytest.mark.usefixtures("drawing")


@pytest.mark.parametrize("n", [4, 24])
def test_two_rows_and_one_column_a_model(n):
    W = torch.eye(2, n).expand(3, 2, n).clone()
    W[1, 0, 2] = -1.0  # an antipodal pair
    fig = density_plots.grams_and_norms(W, torch.zeros(3, n), ["a", "b", "c"])
    panels = [ax for ax in fig.axes if ax.get_title() or ax.patches]
    assert [ax.get_title() for ax in fig.axes[:3]] == ["a", "b", "c"]
    bars = fig.axes[4].patches[:n]
    assert len(panels) >= 6
    assert [bar.get_width() for bar in bars[:4]] == [1, 1, 1, 0]
    dark, bright = bars[1].get_facecolor(), bars[2].get_facecolor()
    assert sum(dark[:3]) < sum(bright[:3])  # orthogonal against in superposition
    assert fig.axes[4].get_ylim()[0] > fig.axes[4].get_ylim()[1]  # the first feature at the top


def test_models_beyond_the_columns_go_on_below():
    """Row by row; what is left of the last row is empty."""
    fig = density_plots.grams_and_norms(
        torch.ones(3, 2, 3), torch.zeros(3, 3), ["a", "b", "c"], columns=2
    )
    assert [ax.get_title() for ax in fig.axes[:8]] == ["a", "b", "", "", "c", "", "", ""]
    assert len(fig.axes[6].patches) == 3 and fig.axes[6].get_yticks()[0] == 1
    assert [ax.get_xlabel() for ax in fig.axes[:8]] == ["input", "", "norm", ""] * 2
    assert [ax.axison for ax in fig.axes[:8]] == [True] * 5 + [False, True, False]


def test_every_column_is_of_its_own_model(generator):
    W, b = torch.randn(2, 2, 3, generator=generator), torch.randn(2, 3, generator=generator)
    fig = density_plots.grams_and_norms(W, b, ["a", "b"])
    for k in range(2):
        drawn = np.asarray(fig.axes[k].collections[0].get_array()).reshape(3, 5)
        assert np.allclose(drawn[:, :3], W[k].T @ W[k]) and np.allclose(drawn[:, 4], b[k])
        bars = fig.axes[2 + k].patches
        assert [bar.get_width() for bar in bars] == pytest.approx(W[k].norm(dim=0).tolist())
        _, ax = plt.subplots()
        style.norm_bars(W[k].norm(dim=0), geometry.superposition(W[k]), ax)
        for bar, expected in zip(bars, ax.patches, strict=True):
            assert bar.get_facecolor() == pytest.approx(expected.get_facecolor(), abs=1e-6)


def test_the_feature_map_is_coloured_by_superposition():
    """As the bars of norms are."""
    norms, superposition = torch.full((2, 3), 0.9), torch.tensor([[0, 0.3, 2.0], [1, 0.6, 0.1]])
    _, (ax, other) = plt.subplots(1, 2)
    density_plots.feature_map(torch.tensor([1.0, 0.1]), norms, superposition, ax)
    colors = np.asarray(ax.collections[0].get_array())
    for k in range(2):
        style.norm_bars(norms[k], superposition[k], other)
        expected = [bar.get_facecolor() for bar in other.patches[3 * k :]]
        assert np.allclose(colors[:, k], expected)


def test_shares_of_dimensions_have_their_names_and_their_densities():
    """Of the arrangements as their geometry says: alone 1, m of n features m / n."""
    _, ax = plt.subplots()
    shares = torch.tensor([[1.0, float("nan"), 0.5], [0.4, 0.6, 0.7]])
    density_plots.shares_of_dimensions([0.3, 0.1], shares, ax)
    (dots,) = (line for line in ax.lines if line.get_marker() == "o")
    expected = [[0.3, 1], [0.3, np.nan], [0.3, 0.5], [0.1, 0.4], [0.1, 0.6], [0.1, 0.7]]
    assert np.allclose(dots.get_xydata(), expected, equal_nan=True)
    named = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert named["alone"] == 1
    for name, W in (
        ("pair", [[1.0, -1]]),
        ("triangle", geometry.regular_polygon(3)),
        ("pentagon", geometry.regular_polygon(5)),
    ):
        share = geometry.dimensionality(torch.as_tensor(W))
        assert share.tolist() == pytest.approx([named[name]] * len(share))
    lines = sorted(line.get_ydata()[0] for line in ax.lines if line.get_marker() != "o")
    assert lines == sorted(named.values())


def test_the_feature_map_is_grey_where_nothing_is_represented():
    norms = torch.tensor([[1.0, 0.2], [1.0, 1.0]])
    ax = plt.figure().subplots()
    density_plots.feature_map(torch.tensor([1.0, 0.1]), norms, torch.zeros(2, 2), ax)
    colors = np.asarray(ax.collections[0].get_array())  # [feature, density, rgba]
    grey = [float(style.UNSHOWN)] * 3
    assert np.allclose(colors[1, 0, :3], grey)
    assert not np.allclose(colors[1, 1, :3], grey)
    left, right = ax.get_xlim()
    assert left > 1 > 0.1 > right  # dense on the left, cells whole
    assert ax.get_ylim() == (2.5, 0.5)


def test_a_count_curve_spans_its_restarts():
    ax = plt.figure().subplots()
    counts = torch.tensor([[5, 5, 5], [6, 7, 8]])
    density_plots.count_curve([1, 0.1], counts, ax, "C0", "represented", best=[5, 7])
    line, dots = ax.lines
    assert line.get_ydata().tolist() == [5, 7]
    assert dots.get_ydata().tolist() == [5, 7]
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 5
    assert band[:, 1].max() == 8


def test_lower_bounds_have_an_arrow():
    ax = plt.figure().subplots()
    density_plots.published_counts([1, 0.1], [5, 10], ax, "o", "published", bounds=[1])
    (arrow,) = ax.texts
    assert arrow.xy[0] == 0.1 and arrow.xy[1] > 10
    assert ax.lines[0].get_ydata().tolist() == [5, 10]


def test_positive_interference_counts_each_pair_once():
    W = torch.tensor([[1.0, 0.6, -1.0], [0.0, 0.8, 0.0]])
    assert geometry.positive_interference(W).item() == pytest.approx(0.6)  # -1 and -0.6 are free
    assert geometry.positive_interference(torch.eye(3)).item() == 0


def branch(first, last, norms):
    saved = torch.linspace(-first, -last, 5) / 2
    return torch.logspace(first, last, 5), torch.tensor(norms).expand(5, 2), saved


BRANCHES = [
    branch(0, -0.5, [1.0, 0.0]),
    branch(-0.5, -0.51, [1.0, 0.3]),
    branch(-0.51, -1, [1.1, 1.0]),
]
EVENTS = [(10**-0.3, "early"), (10**-0.5, "first"), (10**-0.51, "second")]


def norms_drawn(ax):
    return [max(line.get_ydata()) for line in ax.lines if line.get_linestyle() == "-"]


def dotted(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_linestyle() == ":"]


def test_the_path_of_the_optimum_breaks_at_its_jumps():
    fig = density_plots.optimum_path(BRANCHES, EVENTS)
    upper, lower = fig.axes
    assert norms_drawn(upper) == pytest.approx([1, 0, 1, 0.3, 1.1, 1])  # two features a branch
    assert dotted(lower) == dotted(upper) == pytest.approx([10**-0.3, 10**-0.5, 10**-0.51])
    saved = [line.get_xydata() for line in lower.lines if line.get_linestyle() == "-"]
    for (density, _, expected), drawn in zip(BRANCHES, saved, strict=True):
        assert np.allclose(drawn, torch.stack([density, expected], 1))
    assert lower.get_xlim() == pytest.approx((1, 0.099))  # dense on the left
    assert not upper.child_axes


def test_the_events_of_a_path_have_labels_that_do_not_cover_each_other():
    """As close as those of the published figure, on an axis as long."""
    events = [(0.84, "3 enters"), (0.69, "3 jumps"), (0.579, "4 enters"), (0.572, "4 jumps")]
    fig = density_plots.optimum_path([branch(0, -1.3, [1.0, 0.0])], events)
    labels = fig.axes[0].texts
    assert [(label.xy[0], label.get_text()) for label in labels] == events
    fig.canvas.draw()
    boxes = [label.get_window_extent() for label in labels]
    assert not any(boxes[k].overlaps(box) for k in range(4) for box in boxes[:k])
    unnamed = density_plots.optimum_path(BRANCHES, [(density, "") for density, _ in EVENTS])
    assert {label.get_text() for label in unnamed.axes[0].texts} == {""}


def test_the_inset_of_a_path_has_the_same_curves():
    upper = density_plots.optimum_path(BRANCHES, EVENTS, zoom=(0.33, 0.3)).axes[0]
    (inset,) = upper.child_axes
    assert inset.get_xlim() == (0.33, 0.3)
    assert norms_drawn(inset) == norms_drawn(upper)
    assert dotted(inset) == dotted(upper)
