"""The map of density against compression: the fates of features, and where superposition begins."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from common import exact
from common.data import importance_decay
from common.exact.branches import Model
from common.phases import compression, compression_plots
from common.phases.compression import DROPPED_NORM, FATES
from common.phases.landscape import linear_is_stable_above
from common.theory import linear_optimum
from common.training import FAST

DENSITY = torch.tensor([1.0, 0.1, 0.01], dtype=torch.float64)
IMPORTANCE = torch.tensor([1.0, 0.5], dtype=torch.float64)


@pytest.fixture
def found():
    """n = 2: at m = 1 one feature, then a weak pair, then a pair; both orthogonal at m = 2."""
    return compression.CompressionMap(
        hidden=[1, 2],
        density=DENSITY,
        importance=IMPORTANCE,
        W=[
            torch.tensor([[[1.0, 0.05]], [[1.0, -0.4]], [[1.0, -1.0]]]).double(),
            torch.eye(2).expand(3, 2, 2).double(),
        ],
        b=[torch.zeros(3, 2).double()] * 2,
        loss=torch.tensor([[0.5 / 12, 0.01, 0.001], [0.0, 0.0, 0.0]], dtype=torch.float64),
    )


@pytest.mark.parametrize(
    ("columns", "fates"),
    [
        ([(1, 0), (0, 0.6)], ["orthogonal", "orthogonal"]),
        ([(1, 0), (-0.9, 0)], ["in superposition", "in superposition"]),
        ([(1, 0), (-0.4, 0)], ["in superposition", "short"]),
        ([(1, 0), (-0.3, 0)], ["orthogonal", "short"]),  # superposition 0.09
        ([(1, 0), (0, 0.4)], ["orthogonal", "short"]),
        ([(1, 0), (0, 0.05)], ["orthogonal", "dropped"]),
        ([(1, 0), (0, 0)], ["orthogonal", "dropped"]),
    ],
)
def test_fates_of_known_features(columns, fates):
    W = torch.tensor(columns).double().T
    assert [FATES[k] for k in compression.fate(W)] == fates


def test_every_feature_has_one_fate():
    W = torch.randn(200, 3, 7, generator=torch.Generator().manual_seed(0))
    W = W * torch.linspace(0, 1, 7)
    half = W[:100], W[100:]
    random = compression.CompressionMap(
        [3, 3], torch.ones(100), torch.ones(7), list(half), [None, None], torch.zeros(2, 100)
    )
    shares = random.fates()
    assert list(shares) == list(FATES)
    assert all(share.max() > 0 for share in shares.values())
    assert torch.allclose(sum(shares.values()), torch.ones(2, 100).double())
    norms = torch.stack(half).norm(dim=-2)
    assert torch.equal(shares["dropped"], (norms < DROPPED_NORM).double().mean(-1))


def test_shares_of_a_known_map(found):
    fates = found.fates()
    assert fates["orthogonal"].tolist() == [[0.5, 0, 0], [1, 1, 1]]
    assert fates["in superposition"].tolist() == [[0, 0.5, 1], [0, 0, 0]]
    assert fates["short"].tolist() == [[0, 0.5, 0], [0, 0, 0]]
    assert fates["dropped"].tolist() == [[0.5, 0, 0], [0, 0, 0]]


def test_another_threshold_moves_short_features_only(found):
    lower = replace(found, stored_from=0.3).fates()
    assert lower["in superposition"].tolist() == [[0, 1, 1], [0, 0, 0]]
    assert torch.equal(lower["dropped"], found.fates()["dropped"])


def test_boundaries_are_read_along_density(found):
    assert found.first_extra()[0] == 0.1  # short counts
    assert found.first_extra()[1].isnan()
    assert found.all_stored().tolist() == [0.01, 1.0]  # and does not
    assert replace(found, stored_from=0.3).all_stored().tolist() == [0.1, 1.0]


def test_loss_is_relative_to_the_linear_optimum(found):
    ratio = found.loss_ratio()
    assert ratio[0, 0].item() == pytest.approx(1)  # 1/3 - 1/4 = 1/12 of the dropped importance
    assert ratio[1].isnan().all()  # nothing to compress


def test_dimensions_per_feature(found):
    one = 1 / (1 + 0.05**2), 1 / (1 + 0.4**2), 0.5  # of the stored features
    assert found.mean_dimensionality()[0].tolist() == pytest.approx(one)
    assert found.mean_dimensionality()[1].tolist() == [1, 1, 1]
    assert found.stored_per_dimension().tolist() == [[1, 1, 2], [1, 1, 1]]


@pytest.mark.usefixtures("drawing")
def test_dense_is_at_the_top_and_compression_on_the_left(found):
    _, ax = plt.subplots()
    mesh = compression_plots.show(found, found.fates()["orthogonal"], ax, "map")
    values = np.asarray(mesh.get_array())  # [density, hidden], as drawn from (x, y) borders
    assert values[0].tolist() == [0.5, 1]
    top = ax.transData.transform((1, 1.0))[1]
    assert top > ax.transData.transform((1, 0.01))[1]
    assert ax.transData.transform((1, 1.0))[0] < ax.transData.transform((2, 1.0))[0]


@pytest.mark.usefixtures("drawing")
def test_each_fate_has_a_map_on_one_colour_scale(found):
    _, axes = plt.subplots(1, 4)
    compression_plots.show_fates(found, axes)
    for ax, (name, share) in zip(axes, found.fates().items(), strict=True):
        mesh = ax.collections[0]
        assert ax.get_title() == name
        assert np.array_equal(np.asarray(mesh.get_array()), share.T.numpy())
        assert mesh.get_clim() == (0, 1)


@pytest.mark.slow
def test_trained_maps_have_a_model_for_every_cell():
    recipe = replace(FAST, steps=5, batch=8)
    found = compression.train_map(DENSITY, IMPORTANCE, restarts=2, recipe=recipe)
    assert [list(W.shape) for W in found.W] == [[3, 1, 2], [3, 2, 2]]
    assert found.loss.shape == (2, 3)
    models = zip(found.W, found.b, found.loss, strict=True)
    for W, b, loss in models:
        assert torch.allclose(exact.population_loss(W, b, DENSITY, IMPORTANCE), loss)
    again = compression.train_map(DENSITY, IMPORTANCE, restarts=2, recipe=recipe)
    assert torch.equal(found.loss, again.loss)


@pytest.mark.slow
def test_every_width_draws_for_itself():
    """One step that hardly moves anything: the first row of W is not that of the width before."""
    recipe = replace(FAST, steps=1, learning_rate=1e-9, batch=8)
    found = compression.train_map(DENSITY, IMPORTANCE, restarts=1, recipe=recipe)
    narrow, wide = (W[:, 0] / W[:, 0, :1] for W in found.W)
    assert (narrow - wide)[:, 1].abs().min() > 1e-3


def test_polished_maps_are_minima():
    recipe = replace(FAST, steps=300, batch=64)
    found = compression.train_map(DENSITY, IMPORTANCE, restarts=4, recipe=recipe)
    polished = found.polished()
    assert (polished.loss <= found.loss).all()
    best = exact.minimise(2, 1, DENSITY, IMPORTANCE, restarts=16).loss
    assert torch.allclose(polished.loss[0], best, rtol=1e-6)
    assert polished.W[0][0, 0, 1].abs() < 1e-3  # at density 1 the second feature is dropped


@pytest.mark.parametrize("m", [1, 2, 3])
def test_superposition_begins_at_the_closed_form_whatever_the_compression(m):
    """The exact optimum of four features on both sides of s2/Q = 1/0.9."""
    importance = importance_decay(4, 0.9)
    onset = linear_is_stable_above(1 / 0.9)
    density = onset * torch.tensor([1.0005, 0.9995], dtype=torch.float64)
    best = exact.minimise(4, m, density, importance, restarts=32)
    linear = linear_optimum(density, importance, m)
    above, below = best.W.norm(dim=-2)
    assert torch.allclose(above, (torch.arange(4) < m).double(), atol=1e-4)
    assert below[m] > 0.01
    assert (below[m + 1 :] < 1e-4).all()
    assert best.loss[0].item() == pytest.approx(linear[0].item(), rel=1e-12)
    assert best.loss[1] < linear[1] * (1 - 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2), (4, 3)])
def test_the_extra_feature_is_stored_in_a_jump(n, m):
    """At 0.6374 for a pair, at 0.6859 for three features in a plane: `branches` against fresh
    minimisations on both sides."""
    importance = importance_decay(n, 0.9)
    (jump,), _ = Model(n, m, importance, restarts=32).transitions([0.8, 0.7, 0.6])
    density = jump.density * torch.tensor([1.0005, 0.9995], dtype=torch.float64)
    extra = exact.minimise(n, m, density, importance, restarts=32).W.norm(dim=-2)[:, m]
    assert extra[0] < 0.45 < 0.55 < extra[1]
    assert jump.density == pytest.approx(0.6374 if m == 1 else 0.6859, abs=1e-4)
