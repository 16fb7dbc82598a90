"""The map of density against compression: bookkeeping on hand-made models, and its orientation."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from common import compression, compression_plots
from common.training import FAST

DENSITY = torch.tensor([1.0, 0.1, 0.01], dtype=torch.float64)
IMPORTANCE = torch.tensor([1.0, 0.5], dtype=torch.float64)


@pytest.fixture
def found():
    """n = 2: one feature, then a pair, at m = 1; both orthogonal at m = 2."""
    one, pair = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, -1.0]])
    return compression.CompressionMap(
        hidden=[1, 2],
        density=DENSITY,
        importance=IMPORTANCE,
        W=[torch.stack([one, pair, pair]).double(), torch.eye(2).expand(3, 2, 2).double()],
        loss=torch.tensor([[0.5 / 12, 0.01, 0.001], [0.0, 0.0, 0.0]], dtype=torch.float64),
    )


def test_every_feature_has_one_fate(found):
    fates = found.fates()
    assert torch.allclose(sum(fates.values()), torch.ones(2, 3).double())
    assert fates["orthogonal"].tolist() == [[0.5, 0, 0], [1, 1, 1]]
    assert fates["in superposition"].tolist() == [[0, 1, 1], [0, 0, 0]]
    assert fates["suppressed"].tolist() == [[0.5, 0, 0], [0, 0, 0]]


def test_boundaries_are_read_along_density(found):
    assert found.onset()[0] == 0.1
    assert found.onset()[1].isnan()
    assert found.all_stored().tolist() == [0.1, 1.0]


def test_loss_is_relative_to_the_linear_optimum(found):
    ratio = found.loss_ratio()
    assert ratio[0, 0].item() == pytest.approx(1)  # 1/3 - 1/4 = 1/12 of the dropped importance
    assert ratio[1].isnan().all()  # nothing to compress


def test_dimensions_per_feature(found):
    assert found.mean_dimensionality().tolist() == [[1, 0.5, 0.5], [1, 1, 1]]
    assert found.stored_per_dimension().tolist() == [[1, 2, 2], [1, 1, 1]]


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
def test_fates_are_mixed_by_their_shares(found):
    _, ax = plt.subplots()
    compression_plots.show_phases(found, ax, "fates")
    colors = np.asarray(ax.collections[0].get_array())  # [density, hidden, rgb]
    blue, red, grey = (np.array(to_rgb(color)) for color in compression_plots.FATE_COLORS)
    assert colors[0, 0] == pytest.approx((blue + grey) / 2)  # density 1: one of two is dropped
    assert colors[2, 0] == pytest.approx(red)
    assert colors[2, 1] == pytest.approx(blue)


def test_trained_maps_have_a_model_for_every_cell():
    recipe = replace(FAST, steps=5, batch=8)
    found = compression.train_map(DENSITY, IMPORTANCE, restarts=2, recipe=recipe)
    assert [list(W.shape) for W in found.W] == [[3, 1, 2], [3, 2, 2]]
    assert found.loss.shape == (2, 3)
    again = compression.train_map(DENSITY, IMPORTANCE, restarts=2, recipe=recipe)
    assert torch.equal(found.loss, again.loss)
