"""Neurons: kinds, alignment with the axes, and rotations."""

import math

import pytest
import torch

from common.variants import neurons


def test_kinds_of_neurons():
    W = torch.tensor([[1.0, 0.1, 0.0], [0.7, -0.7, 0.0], [0.1, 0.1, 0.1]])
    one, several, dead = neurons.neuron_kinds(W)
    assert one.tolist() == [True, False, False]
    assert several.tolist() == [False, True, False]
    assert dead.tolist() == [False, False, True]
    assert torch.allclose(neurons.feature_shares(W).sum(-1), torch.ones(3))
    assert (neurons.feature_shares(torch.zeros(2, 3)) == 0).all()


def test_where_kinds_of_neurons_begin():
    """One feature with nine tenths of the squared weights; a length of a half."""
    angle = torch.tensor([math.acos(share**0.5) for share in (0.89, 0.91)])
    W = torch.stack([angle.cos(), angle.sin()], 1)
    one, several, _ = neurons.neuron_kinds(W)
    assert one.tolist() == [False, True] and several.tolist() == [True, False]
    assert torch.allclose(neurons.feature_shares(W)[:, 0], torch.tensor([0.89, 0.91]))
    *_, dead = neurons.neuron_kinds(torch.tensor([[0.3, 0.39], [0.3, 0.41]]))
    assert dead.tolist() == [True, False]
    mixed = 0.1 * W  # of no kind but dead
    assert [kind.tolist() for kind in neurons.neuron_kinds(mixed)] == [[False] * 2] * 2 + [
        [True] * 2
    ]


def test_long_features_count_more_for_the_alignment():
    """One on an axis, one half as long between two: 1 + 2/16/4 of 1 + 1/16."""
    W = torch.tensor([[1.0, 0.5 / 2**0.5], [0.0, 0.5 / 2**0.5]])
    assert neurons.axis_alignment(W).item() == pytest.approx((1 + 1 / 32) / (1 + 1 / 16))


def test_alignment_has_the_stated_ends(generator):
    m = 4
    on_axes = torch.eye(m)[:, torch.randint(m, (9,), generator=generator)] * 3
    spread = torch.randint(2, (m, 9), generator=generator) * 2.0 - 1
    assert torch.isclose(neurons.axis_alignment(on_axes), torch.tensor(1.0))
    assert torch.isclose(neurons.axis_alignment(spread), torch.tensor(1 / m))
    assert neurons.axis_alignment(torch.zeros(3, 2)) == 0


def test_rotations_are_orthogonal_and_uniform():
    """E Q_ij = 0 and E Q_ij^2 = 1/m, as for a uniform law; alignment then averages 3/(m+2)."""
    m, count = 4, 4000
    Q = neurons.random_rotations(m, count, seed=0)
    assert torch.allclose(Q @ Q.mT, torch.eye(m).double().expand(count, m, m), atol=1e-12)
    assert Q.mean(0).abs().max() < 5 / count**0.5
    assert (Q**2).mean(0).sub(1 / m).abs().max() < 5 / count**0.5
    turned = neurons.axis_alignment(Q @ torch.eye(m).double()[:, :1])
    assert abs(turned.mean().item() - 3 / (m + 2)) < 0.02


def test_sorting_keeps_the_neurons():
    W = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.2, 0.0], [0.1, 2.0, 0.0]])
    assert torch.equal(neurons.sorted_neurons(W), W[[1, 2, 0]])


def test_rotations_turn_one_plane_by_the_angle():
    Q = neurons.rotations_by(4, 30, 5, seed=0)
    eye = torch.eye(4, dtype=torch.float64)
    assert torch.allclose(Q @ Q.transpose(1, 2), eye.expand(5, 4, 4), atol=1e-12)
    assert torch.allclose(torch.linalg.det(Q), torch.ones(5, dtype=torch.float64))
    angles = torch.linalg.eigvals(Q).angle().sort(1).values  # of a turn: -a, 0, 0, a
    expected = math.radians(30) * torch.tensor([-1.0, 0, 0, 1], dtype=torch.float64)
    assert torch.allclose(angles, expected.expand(5, 4), atol=1e-6)
    assert not torch.allclose(Q[0], Q[1])
