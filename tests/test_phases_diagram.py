"""Phase diagrams in numbers: regions of the window, names of phases, lines and kinds of minima."""

import math

import numpy as np
import pytest
import torch

from common.phases import diagram
from common.phases.diagram import JOINT, OTHER, PHASES
from common.theory import DEDICATED, DROPPED, OTHERS_PAIRED, PAIRED, phase_boundary


def names(codes):
    return [PHASES[k] for k in codes.reshape(-1).tolist()]


def test_window_starts_dense_and_unimportant():
    density, ratio = diagram.window(5, 3)
    assert density.tolist() == pytest.approx([1, 10**-0.5, 0.1, 10**-1.5, 0.01])
    assert ratio.tolist() == pytest.approx([0.1, 1, 10])


def test_importances_put_the_extra_feature_last():
    assert diagram.importances([0.5, 2.0], 3).tolist() == [[1, 1, 0.5], [1, 1, 2.0]]


def closed_form_share():
    """Share of the window above p = 4r / (2 + 5r), r from 0.1 to 1, by quadrature."""
    log_r = np.linspace(-1, 0, 2001)
    r = 10**log_r
    return np.trapezoid(-np.log10(4 * r / (2 + 5 * r)), log_r) / (2 * 2)


def test_theory_regions_have_their_closed_form_shares():
    """For n = 3, r > 1 the share above p = 4/7 is log(7/4) / (2 log 100) = 6.1 %."""
    density, ratio = diagram.window(800, 800)
    above, horizontal = closed_form_share(), math.log(7 / 4) / (2 * math.log(100))
    two = {DROPPED: above, DEDICATED: above, PAIRED: 1 - 2 * above}
    three = {
        DROPPED: above, DEDICATED: horizontal, PAIRED: 0.5 - above, OTHERS_PAIRED: 0.5 - horizontal
    }  # fmt: skip
    assert above == pytest.approx(0.119, abs=0.001)
    for n_hidden, expected in ((1, two), (2, three)):
        found = diagram.shares(diagram.theory_phase(density, ratio, n_hidden))
        assert found == pytest.approx(expected, abs=0.002)


def test_theory_regions_meet_at_the_closed_form_boundary():
    density, ratio = diagram.window(400, 40)  # an even number of columns: none is at r = 1
    superposed = diagram.theory_phase(density, ratio, 1) == PHASES.index(PAIRED)
    edge = diagram.upper_edge(superposed, density)
    step = (density[0] / density[1]).log()
    assert ((edge / phase_boundary(ratio, 1)).log().abs() <= 0.51 * step).all()


HAND_MADE = {
    DROPPED: [[1.0, 0.0, 0.02], [0.0, 1.0, 0.03]],
    DEDICATED: [[0.02, 1.0, 0.0], [0.0, 0.0, 1.0]],
    PAIRED: [[1.0, 0.0, 0.0], [0.0, 1.0, -0.9]],
    OTHERS_PAIRED: [[1.0, -0.8, 0.0], [0.0, 0.0, 1.0]],
    JOINT: [[1.0, -0.5, -0.5], [0.0, math.sqrt(0.75), -math.sqrt(0.75)]],
    OTHER: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.9]],
}


@pytest.mark.parametrize("name", HAND_MADE)
def test_phase_of_hand_made_models(name, generator):
    """Also after a rotation, a reflection, and the two equal features swapped."""
    W = torch.tensor(HAND_MADE[name], dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(5, 2, 2, generator=generator, dtype=torch.float64)).Q
    variants = torch.stack([W, -W, W.flip(0), W[:, [1, 0, 2]], *(turn @ W)])
    assert names(diagram.phase(variants)) == [name] * len(variants)


def test_phase_of_two_features():
    W = torch.tensor([[1, 0.1], [-0.2, 1], [1, -0.8], [0.8, 1], [0, 0]]).unsqueeze(1)
    assert names(diagram.phase(W)) == [DROPPED, DEDICATED, PAIRED, OTHER, OTHER]


def test_a_direction_is_ignored_down_to_a_rank():
    """W^T W of a pair beside a weak third feature has the eigenvalues 2, 0 and its squared norm."""
    for square, name in ((0.049, OTHER), (0.051, OTHERS_PAIRED)):
        W = torch.tensor([[1.0, -1.0, 0.0], [0.0, 0.0, square**0.5]])
        assert names(diagram.phase(W)) == [name]


def test_ignored_direction_is_not_seen(generator):
    W = torch.randn(20, 2, 3, generator=generator, dtype=torch.float64)
    """It is the cross product of the rows of W, its largest entry positive."""
    expected = torch.linalg.cross(W[:, 0], W[:, 1])
    expected /= expected.norm(dim=-1, keepdim=True)
    largest = expected.abs().argmax(-1, keepdim=True)
    expected *= expected.gather(-1, largest).sign()
    torch.testing.assert_close(diagram.ignored_direction(W), expected, rtol=0, atol=1e-7)


def test_extra_feature_is_the_last():
    norm, shared = diagram.extra_feature(torch.tensor([[[0.5, -2.0]]]))
    assert (norm.item(), shared.item()) == (2.0, 0.25)


def test_upper_edge_of_columns_full_empty_and_in_between():
    density = torch.tensor([1.0, 0.25, 0.0625])
    inside = torch.tensor([[True, False, False], [True, False, True], [True, False, True]])
    edge = diagram.upper_edge(inside, density)
    assert edge[0] == 1 and edge[1].isnan() and edge[2] == pytest.approx(0.5)


def test_near_boundary_counts_cells_also_diagonally():
    codes = torch.zeros(5, 5, dtype=torch.int64)
    codes[2, 2] = 1
    near = diagram.near_boundary(codes, 1)
    assert near[1:4, 1:4].all() and near.sum() == 9
    assert not diagram.near_boundary(torch.zeros(3, 4), 1).any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (1, 3)])
def test_phases_are_named_in_two_and_three_features_only(shape):
    with pytest.raises(ValueError, match=r"phases are of W \[..., 1, 2\] or \[..., 2, 3\], got"):
        diagram.phase(torch.ones(shape))


def test_agreement():
    one, other = torch.tensor([[0, 1], [2, 2]]), torch.tensor([[0, 1], [1, 2]])
    assert diagram.agreement(one, other) == 0.75
    assert diagram.agreement(one, other, torch.tensor([[True, False], [True, False]])) == 0.5
    assert math.isnan(diagram.agreement(one, other, torch.zeros(2, 2, dtype=torch.bool)))


def test_agreements_are_those_of_all_cells_and_of_those_outside_a_band():
    exact = torch.tensor([[0, 1], [2, 2]])
    maps = {"theory": torch.zeros(2, 2), "exact": exact, "trained": exact.clone()}
    found = diagram.agreements(maps, torch.tensor([[False, True], [False, True]]))
    assert found["trained", "exact"] == (1, 1)
    assert found["theory", "exact"] == found["theory", "trained"] == (0.25, 0.5)


def test_improvement_finds_a_cell_that_is_not_minimal(monkeypatch):
    """A map whose losses are all too high, most so in some of its columns."""
    density, ratio = diagram.window(3, 5, lowest_density=0.2)
    found = diagram.exact_map(2, 1, density, ratio, restarts=4)
    options = {"cells": 8, "restarts": 4, "seed": 3}
    assert abs(diagram.improvement(found, density, ratio, **options)) < 1e-9
    given = []
    minimise = diagram.minimise
    monkeypatch.setattr(
        diagram,
        "minimise",
        lambda *a, seed, **k: given.append(seed) or minimise(*a, seed=seed, **k),
    )
    part = torch.tensor([0.9, 0.8, 0.9, 0.8, 0.9], dtype=torch.float64)
    found.loss = found.loss / part
    assert diagram.improvement(found, density, ratio, **options) == pytest.approx(0.2)
    assert given == [4]  # not the starts of the map itself


def test_exact_map_has_the_symmetry_of_the_window():
    """r -> 1/r swaps the two features: the losses are r times those of the mirror image."""
    density, ratio = diagram.window(4, 5, lowest_density=0.1)
    loss = diagram.exact_map(2, 1, density, ratio, restarts=8).loss
    torch.testing.assert_close(loss, loss.flip(1) * ratio, rtol=1e-6, atol=0)
    assert not diagram.beats_linear(loss, density, ratio)[0, 0]
    assert diagram.beats_linear(loss, density, ratio)[-1].all()


def test_superposition_pays_from_a_millionth_on():
    density, ratio = torch.tensor([0.3]).double(), torch.tensor([0.5]).double()
    loss = diagram.linear_loss(density, ratio)
    for gain, pays in ((0, False), (0.9e-6, False), (1.1e-6, True)):
        assert diagram.beats_linear((1 - gain) * loss, density, ratio).item() == pays


def test_linear_loss_is_that_of_the_linear_optimum():
    density, ratio = torch.tensor([0.3]), torch.tensor([0.5, 3.0])
    loss = diagram.linear_loss(density.double(), ratio.double())
    assert loss[0].tolist() == pytest.approx([0.5 * 0.0775, 0.0775])


def test_same_sign():
    W = torch.tensor([[0.3, 1.0], [-0.3, -1.0], [0.3, -1.0], [0.0, 1.0]])[:, None]
    assert diagram.same_sign(W).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("r", "density", "jointly"),
    [(0.560, 0.5125, False), (0.568, 0.514, True), (1.444, 0.661, True), (1.450, 0.661, False)],
)
def test_the_lens_ends_where_an_independent_recomputation_found(r, density, jointly):
    """Three features share the plane for r from 0.564 to 1.447 (branches followed with other code).
    Elsewhere the optimum is that of two features in one dimension beside a third."""
    p = torch.tensor([density + 2e-4 * k for k in range(-3, 4)], dtype=torch.float64)
    ratio = torch.tensor([r], dtype=torch.float64)
    three = diagram.exact_map(3, 2, p, ratio, restarts=24).loss
    two = diagram.exact_map(2, 1, p, ratio.clamp(max=1), restarts=12).loss
    gain = 1 - three / two
    assert (gain > -1e-9).all()
    assert bool((gain > 1e-8).any()) == jointly
