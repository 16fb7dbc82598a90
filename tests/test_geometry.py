"""Geometry: hand-computed examples, dead features, invariances."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st

from common import geometry

# Three features in two dimensions: e1, 2 e2 and (0.6, 0.8).
W = torch.tensor([[1.0, 0.0, 0.6], [0.0, 2.0, 0.8]], dtype=torch.float64)


def test_gram_and_norms():
    expected = torch.tensor([[1, 0, 0.6], [0, 4, 1.6], [0.6, 1.6, 1]], dtype=torch.float64)
    assert torch.allclose(geometry.gram(W), expected)
    assert torch.allclose(geometry.feature_norms(W), torch.tensor([1, 2, 1.0]).double())


def test_superposition_is_the_papers_measure():
    """Only W_i is normalised: 0.6^2, then 0.8^2, then 0.6^2 + (0.8 * 2)^2. By hand."""
    expected = torch.tensor([0.36, 0.64, 2.92], dtype=torch.float64)
    assert torch.allclose(geometry.superposition(W), expected)


def test_interference_is_cosines():
    expected = torch.tensor([[1, 0, 0.6], [0, 1, 0.8], [0.6, 0.8, 1]], dtype=torch.float64)
    assert torch.allclose(geometry.cosines(W), expected)


def test_dimensionality():
    expected = torch.tensor([1 / 1.36, 4 / 4.64, 1 / 3.92], dtype=torch.float64)
    assert torch.allclose(geometry.dimensionality(W), expected)


def test_dimensionality_of_known_arrangements():
    pair = torch.tensor([[1.0, -1.0]])
    assert torch.allclose(geometry.dimensionality(pair), torch.tensor([0.5, 0.5]))
    pentagon = geometry.regular_polygon(5)
    assert torch.allclose(geometry.dimensionality(pentagon), torch.full((5,), 0.4).double())


def test_dead_features_give_zero_and_not_nan():
    dead = W.clone()
    dead[:, 1] = 0
    assert geometry.feature_norms(dead)[1] == 0
    assert geometry.superposition(dead)[1] == 0
    assert geometry.dimensionality(dead)[1] == 0
    assert (geometry.cosines(dead)[1] == 0).all()
    assert (geometry.cosines(dead)[:, 1] == 0).all()
    for measure in (geometry.superposition, geometry.dimensionality, geometry.interference):
        assert torch.isfinite(measure(dead)).all()
        assert (measure(torch.zeros(2, 3)) == 0).all()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 4), n=st.integers(1, 6))
def test_rotating_the_hidden_space_changes_nothing(seed, m, n):
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(m, n, generator=generator, dtype=torch.float64)
    Q = torch.linalg.qr(torch.randn(m, m, generator=generator, dtype=torch.float64)).Q
    for measure in (
        geometry.gram, geometry.feature_norms, geometry.superposition, geometry.interference,
        geometry.dimensionality,
    ):  # fmt: skip
        assert torch.allclose(measure(Q @ W), measure(W), atol=1e-10)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6))
def test_permuting_features_permutes_the_measures(seed, n):
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(3, n, generator=generator, dtype=torch.float64)
    order = torch.randperm(n, generator=generator)
    for measure in (geometry.feature_norms, geometry.superposition, geometry.dimensionality):
        assert torch.allclose(measure(W[:, order]), measure(W)[order], atol=1e-12)


def test_measures_broadcast_over_instances():
    stack = torch.stack([W, 2 * W])
    assert geometry.superposition(stack).shape == (2, 3)
    assert torch.allclose(geometry.superposition(stack)[1], 4 * geometry.superposition(W))


def test_represented_orthogonal_and_antipodal():
    arrangement = torch.tensor([[1.0, 0.0, 0.0, 0.1], [0.0, 0.9, -0.95, 0.0]])
    assert geometry.represented(arrangement).tolist() == [True, True, True, False]
    assert geometry.orthogonal(arrangement).tolist() == [True, False, False, False]
    pairs = geometry.antipodal_pairs(arrangement)
    assert pairs.nonzero().tolist() == [[1, 2], [2, 1]]


def test_what_counts_is_decided_at_the_thresholds():
    """The definitions of the text: a norm of 0.5, a superposition of 0.1, a cosine of -0.9."""
    for norm, stored in ((0.499, False), (0.501, True)):
        assert geometry.represented(torch.tensor([[norm], [0.0]])).item() == stored
    for shared, alone in ((0.099, True), (0.101, False)):  # the square of the slanted one's part
        slanted = torch.tensor([[1.0, shared**0.5], [0.0, 1.0]])
        assert geometry.orthogonal(slanted)[0] == alone
    for cosine, opposite in ((-0.899, False), (-0.901, True)):
        bent = torch.tensor([[1.0, 2 * cosine], [0.0, 2 * (1 - cosine**2) ** 0.5]])
        assert geometry.antipodal_pairs(bent)[0, 1] == opposite
    short = torch.tensor([[1.0, -0.4], [0.0, 0.0]])  # opposite, but not represented
    assert (
        not geometry.antipodal_pairs(short).any()
        and not geometry.antipodal_pairs(short.flip(1)).any()
    )


def test_positive_interference_counts_each_pair_once():
    """W above: 0.6 and 1.6; a negative entry takes nothing away."""
    assert geometry.positive_interference(W).item() == pytest.approx(2.2)
    mirrored = W * torch.tensor([-1.0, 1.0, 1.0])
    assert geometry.positive_interference(mirrored).item() == pytest.approx(1.6)


def test_angles_and_gaps():
    pentagon = geometry.regular_polygon(5, radius=1.1)
    assert torch.allclose(geometry.angles(pentagon), torch.arange(5).double() * 72)
    assert torch.allclose(geometry.angle_gaps(pentagon), torch.full((5,), 72.0).double())
    pentagon[:, 2] = 0  # a dead feature has no direction
    assert geometry.angle_gaps(pentagon).tolist() == pytest.approx([72, 144, 72, 72])
    assert geometry.angle_gaps(torch.tensor([[1.0, 0.0], [0.0, 0.0]])).numel() == 0


@pytest.mark.parametrize("mirror", [1, -1])
def test_align_picks_one_drawing(mirror):
    pentagon = geometry.regular_polygon(5)
    pentagon[:, 2] *= 0.9
    turn = torch.tensor(
        [[math.cos(1), -math.sin(1)], [math.sin(1), math.cos(1)]], dtype=torch.float64
    )
    turned = torch.diag(torch.tensor([1.0, mirror]).double()) @ turn @ pentagon
    aligned = geometry.align(turned)
    assert torch.allclose(aligned, geometry.align(pentagon), atol=1e-12)
    assert aligned[1, 0].abs() < 1e-12 and aligned[0, 0] > 0
    assert torch.allclose(geometry.gram(aligned), geometry.gram(pentagon))


def test_joined_at_counts_only_joining_for_good():
    norms = torch.tensor([[0.1, 0.9, 0.1], [0.7, 0.1, 0.2], [0.8, 0.6, 0.3]])
    assert geometry.joined_at(norms, [0, 10, 20]) == [10, 20, None]


def test_arrays_are_welcome_and_shapes_are_checked():
    assert torch.allclose(geometry.gram(W.numpy()), geometry.gram(W))
    with pytest.raises(ValueError, match=r"W must have shape \[..., m, n\], got \[3\]"):
        geometry.gram(torch.zeros(3))
    with pytest.raises(ValueError, match="angles need 2 hidden dimensions, got 3"):
        geometry.angles(torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"takes one model, W \[2, n\], got \[1, 2, 3\]"):
        geometry.angle_gaps(torch.zeros(1, 2, 3))
