"""The explorer's pictures at every size, and what its sliders do, without a browser."""

import io

import ipywidgets
import matplotlib.pyplot as plt
import pytest
import torch
from drawn import place
from live import kernel
from PIL import Image

from common.data import importance_decay
from common.exact import minimise
from common.explorer import panels, sliders
from common.phases import diagram
from common.theory import linear_optimum

pytestmark = pytest.mark.usefixtures("drawing")

SIZES = [(n, m) for n in range(2, 6) for m in range(1, n + 1)]


@pytest.fixture(scope="module")
def small_map():
    """(optimum, density, relative importance) of two features in one dimension."""
    density, ratio = diagram.window(9, 7)
    return diagram.exact_map(2, 1, density, ratio, restarts=8), density, ratio


@pytest.fixture
def shown(monkeypatch):
    """What a live notebook displays."""
    monkeypatch.delenv("SUPERPOSITION_OUTPUT", raising=False)
    found = []
    monkeypatch.setattr("IPython.display.display", found.append)
    return found


def texts(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_draws_every_size(n, m):
    fig = sliders.draw_optimum(0.2, 0.9, n, m)
    assert [ax.get_title() for ax in fig.axes[::3]] == ["hidden space", "least loss"]
    assert f"n = {n} features, m = {m} dimension" in fig.get_suptitle()
    assert "density 0.2 (sparsity 0.8), importance 0.9" in fig.get_suptitle()
    picture = Image.open(io.BytesIO(sliders.png(fig)))
    assert picture.size == (990, 297)
    assert not plt.get_fignums()


@pytest.mark.parametrize("density", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_the_losses_drawn_are_those_of_the_optimum_and_of_the_best_linear_model(density, decay):
    fig = sliders.draw_optimum(density, decay, 3, 2)
    linear, best = (bar.get_height() for bar in fig.axes[3].patches)
    importance = importance_decay(3, decay)
    slow = minimise(3, 2, density, importance, restarts=32, seed=9)
    assert best == pytest.approx(slow.loss.item(), rel=1e-7)
    assert linear == pytest.approx(linear_optimum(density, importance, 2).item())
    assert texts(fig.axes[3]) == [f"{linear:.3g}", f"{best:.3g}\n{100 * best / linear:.0f} %"]


def test_a_pair_on_a_line_points_both_ways_the_first_to_the_right():
    fig = sliders.draw_optimum(0.1, 0.9, 2, 1)
    ends = [line.get_xdata()[1] for line in fig.axes[0].lines[:4:2]]
    assert ends == pytest.approx([1, -1], abs=0.1)
    assert fig.axes[0].yaxis_inverted()
    assert texts(fig.axes[1])[:4] == ["1.0", "−1.0", "−1.0", "1.0"]


def test_a_pentagon_is_numbered_at_its_tips():
    fig = sliders.draw_optimum(0.1, 0.9, 5, 2)
    tips = [text.get_position() for text in fig.axes[0].texts]
    assert texts(fig.axes[0]) == ["1", "2", "3", "4", "5"]
    assert tips[0][0] > 1.1 and tips[0][1] == pytest.approx(0, abs=1e-6)
    assert texts(fig.axes[2]) == [f"{value:.2f}" for value in superpositions(0.1, 0.9, 5, 2)]


def superpositions(density, decay, n, m):
    W = minimise(n, m, density, importance_decay(n, decay), restarts=64, seed=5).W
    G = W.T @ W
    return (((G**2).sum(0) - G.diagonal() ** 2) / G.diagonal()).tolist()


def test_dimensions_of_more_than_a_plane_are_bars():
    """Two dedicated features and an antipodal pair, in three dimensions."""
    W = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -1]]).double()
    _, ax = plt.subplots()
    panels.hidden_space(W, ax)
    assert [bar.get_width() for bar in ax.patches] == [1, 1, 0.5, 0.5]
    assert ax.yaxis_inverted()


def test_features_are_turned_as_they_are_drawn():
    """On a line the first that can be seen points right; in the plane the first; else as it is."""
    for w, sign in (([-1.0, 0.5], -1), ([1.0, -0.5], 1), ([-0.01, 1.0], 1), ([0.01, -1.0], -1)):
        W = torch.tensor([w])
        assert torch.equal(panels.oriented(W), sign * W)
    W = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(panels.oriented(W), W)
    turned = panels.oriented(W[:2])
    assert torch.allclose(turned.T @ turned, W[:2].T @ W[:2], atol=1e-6)
    assert turned[0, 0] > 0 and abs(turned[1, 0]) < 1e-6


def test_a_matrix_is_written_into_its_cells():
    """Entry (i, j) in row i and column j, the bias behind; small ones are left out, and what is
    written on a dark colour is white."""
    G, b = torch.tensor([[1.0, 0.3], [-0.7, 0.04]]), torch.tensor([0.55, -0.06])
    _, ax = plt.subplots()
    panels.gram_in_numbers(G, b, ax)
    seen = {text.get_position(): (text.get_text(), text.get_color()) for text in ax.texts}
    assert seen == {
        (0.5, 0.5): ("1.0", "white"),
        (1.5, 0.5): ("0.3", "0.25"),
        (0.5, 1.5): ("−0.7", "white"),
        (3, 0.5): ("0.6", "0.25"),
        (3, 1.5): ("−0.1", "0.25"),
    }
    assert place(ax, 1.5, 0.5)[1] > 0.5


def test_superposition_is_written_into_the_bars_of_what_is_represented():
    W = torch.tensor([[1.0, -1.0, 0.3, 0.0], [0.0, 0.0, 0.0, 1.0]])
    _, ax = plt.subplots()
    panels.norms_in_numbers(W, ax)
    seen = {text.get_position()[1]: text.get_text() for text in ax.texts}
    assert seen == {1: "1.09", 2: "1.09", 4: "0.00"}
    assert [text.get_color() for text in ax.texts] == ["black", "black", "white"]


def test_two_losses_are_bars_with_their_names_and_their_share():
    _, ax = plt.subplots()
    panels.loss_bars(0.4, 0.1, ax)
    assert [(bar.get_x() + 0.35, bar.get_height()) for bar in ax.patches] == [(0, 0.4), (1, 0.1)]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["linear", "ReLU"]
    assert texts(ax) == ["0.4", "0.1\n25 %"]
    panels.loss_bars(0.0, 0.0, plt.subplots()[1])


def test_a_cross_stands_where_it_is_said():
    _, ax = plt.subplots()
    panels.cross_hair(0.2, 0.7, ax)
    upright, level, dot = ax.lines
    assert set(upright.get_xdata()) == {0.2} and set(level.get_ydata()) == {0.7}
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (0.2, 0.7)


def table(ax):
    """{name: texts from left to right} of a panel of facts, and its title."""
    (title, *rest), rows = ax.texts, {}
    for text in sorted(rest, key=lambda text: (-text.get_position()[1], text.get_position()[0])):
        rows.setdefault(text.get_position()[1], []).append(text.get_text())
    return title.get_text(), {name: values for name, *values in rows.values()}


def test_facts_stand_in_rows_from_the_top_and_from_left_to_right():
    _, ax = plt.subplots()
    panels.facts("title", [("first", ["1"]), ("second", ["2", "3"])], ax)
    title, rows = table(ax)
    assert title == "title" and list(rows.items()) == [("first", ["1"]), ("second", ["2", "3"])]


def test_a_share_of_a_dimension_is_for_what_is_represented():
    _, ax = plt.subplots()
    panels.hidden_space(torch.tensor([[1.0, 0, 0], [0, 0.2, 0], [0, 0, 0.9]]), ax)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([1, 0, 1])


def test_what_a_cursor_says_is_of_its_cell(small_map):
    optimum, density, ratio = small_map
    codes = diagram.phase(optimum.W)
    for r, p in ((0.3, 0.2), (6.0, 0.02)):
        fig = sliders.draw_cursor(optimum, codes, density, ratio, r, p)
        row, column = (
            (abs(v.log() - torch.tensor(x).log())).argmin() for v, x in ((density, p), (ratio, r))
        )
        W, b, loss = (v[row, column] for v in (optimum.W, optimum.b, optimum.loss))
        importance = torch.tensor([1.0, ratio[column].item()])
        linear = linear_optimum(density[row], importance, 1).item()
        _, rows = table(fig.axes[3])
        assert rows["loss"] == [f"{loss.item():.3g}"] and rows["density"] == [
            f"{density[row].item():.3g}"
        ]
        assert rows["relative importance"] == [f"{ratio[column].item():.3g}"]
        assert rows["loss of the best linear model"] == [f"{linear:.3g}"]
        sign = -1 if W[0, W[0].abs() > 0.05][0] < 0 else 1
        assert rows["$W$"] == panels.two_decimals(sign * W[0]) and rows[
            "$b$"
        ] == panels.two_decimals(b)
        assert rows["norm of the extra"] == panels.two_decimals([abs(W[0, 1])])
        plt.close(fig)


def test_numbers_have_a_true_minus_sign_and_zero_has_none():
    assert panels.two_decimals([-1.006, -0.001, 0.5]) == ["−1.01", "0.00", "0.50"]


def test_the_cursor_shows_its_cell(small_map):
    optimum, density, ratio = small_map
    codes = diagram.phase(optimum.W)
    fig = sliders.draw_cursor(optimum, codes, density, ratio, 4.0, 0.05)
    row, column = 5, 5  # of 9 densities down to 0.01 and 7 ratios up to 10: 0.0562 and 4.64
    assert density[row].item() == pytest.approx(0.0562, rel=1e-3)
    marker = fig.axes[0].lines[-1]
    assert (marker.get_xdata()[0], marker.get_ydata()[0]) == (ratio[column], density[row])
    W, b = optimum.W[row, column, 0], optimum.b[row, column]
    facts = texts(fig.axes[3])
    assert facts[0] == "extra in a pair"
    assert f"{optimum.loss[row, column]:.3g}" in facts
    for value in (*W.abs().tolist(), *b.abs().tolist()):
        assert any(text.lstrip("−") == f"{value:.2f}" for text in facts)


@pytest.mark.parametrize(
    ("r", "p", "name"),
    [(0.1, 1, "extra dropped"), (10, 1, "extra dedicated"), (1, 0.01, "extra in a pair")],
)
def test_the_cursor_names_the_phase(small_map, r, p, name):
    optimum, density, ratio = small_map
    fig = sliders.draw_cursor(optimum, diagram.phase(optimum.W), density, ratio, r, p)
    assert texts(fig.axes[3])[0] == name


def test_nearest_is_in_the_logarithm():
    assert [sliders.nearest([1, 0.1, 0.01], v) for v in (5, 0.35, 0.3, 1e-9)] == [0, 0, 1, 2]


@pytest.mark.parametrize("start", [{}, {"n_features": 3, "n_hidden": 1}])
def test_headless_there_is_a_picture_and_no_widget(monkeypatch, tmp_path, small_map, start):
    monkeypatch.setenv("SUPERPOSITION_OUTPUT", str(tmp_path))
    monkeypatch.setattr(sliders, "widget", None)
    figures = [sliders.explore_optimum(**start), sliders.explore_map(*small_map)]
    assert plt.get_fignums() == [fig.number for fig in figures]  # open: the notebook shows them


def slider(box, description):
    (found,) = [s for s in box.children[0].children if s.description == description]
    return found


def test_live_every_slider_redraws(shown):
    fig = sliders.explore_optimum(0.1, 0.9, 3, 2)
    assert fig.axes and not plt.get_fignums()  # shown by the widget, and not a second time
    (box,) = shown
    image = box.children[1]
    assert isinstance(image, ipywidgets.Image)
    seen = {bytes(image.value)}
    for name, value in (("density", 0.5), ("decay", 0.6), ("m", 1), ("n", 4)):
        slider(box, name).value = value
        seen.add(bytes(image.value))
    assert len(seen) == 5
    assert all(not s.continuous_update for s in box.children[0].children)
    expected = sliders.png(sliders.draw_optimum(0.5, 0.6, 4, 1))
    assert bytes(image.value) == expected


def test_live_there_are_never_more_dimensions_than_features(shown):
    sliders.explore_optimum(0.1, 0.9, 5, 4)
    n, m = (slider(shown[0], name) for name in "nm")
    n.value = 3
    assert (m.value, m.max) == (3, 3)
    n.value = 5
    assert (m.value, m.max) == (3, 5)
    shown_now = sliders.png(sliders.draw_optimum(0.1, 0.9, 5, 3))
    assert bytes(shown[0].children[1].value) == shown_now


def test_live_the_cursor_moves(shown, small_map):
    sliders.explore_map(*small_map, start=(1.0, 0.1))
    (box,) = shown
    before = bytes(box.children[1].value)
    for name, low, high, value in (("density", -2, 0, 0.1), ("importance", -1, 1, 1.0)):
        found = slider(box, name)
        assert (found.min, found.max) == pytest.approx((low, high))
        assert found.value == pytest.approx(value)
    slider(box, "density").value = 0.9
    optimum, density, ratio = small_map
    moved = sliders.draw_cursor(optimum, diagram.phase(optimum.W), density, ratio, 1.0, 0.9)
    assert before != bytes(box.children[1].value) == sliders.png(moved)


@pytest.mark.slow
def test_a_real_kernel_sends_a_new_picture_for_every_move(monkeypatch):
    monkeypatch.delenv("SUPERPOSITION_OUTPUT", raising=False)
    with kernel() as live:
        live.run("from common.plots import style\nfrom common.explorer import sliders")
        live.run("style.use_style()\n_ = sliders.explore_optimum(0.1, 0.9, 3, 2)")
        (first, _) = live.images[-1]
        moves = ("density", 0.5), ("decay", 0.6), ("m", 1), ("n", 4)
        pictures = [live.move(*move)[0] for move in moves]
    assert len({first, *pictures}) == 5
    expected = sliders.png(sliders.draw_optimum(0.5, 0.6, 4, 1))
    assert pictures[-1] == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.1, 0.9, 3, 4), "n_hidden must be at most n_features, 3, got 4"),
        ((0.1, 0.9, 6, 2), "n_features must be at most 5, got 6"),
        ((0.0, 0.9, 3, 2), "density must lie in"),
        ((0.1, -1, 3, 2), "decay factor must be positive"),
        ((0.1, 0.9, 3, 0.5), "n_hidden must be a whole number"),
    ],
)
def test_positions_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        sliders.draw_optimum(*arguments)


def test_a_cursor_must_be_positive(small_map):
    with pytest.raises(ValueError, match="the cursor must be positive"):
        sliders.explore_map(*small_map, start=(1.0, 0.0))
