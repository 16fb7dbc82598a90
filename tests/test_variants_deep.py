"""The deeper model: shapes, a solution known in closed form, packing, training."""

import pytest
import torch

from common.data import SparseFeatures
from common.training import Recipe, estimate_loss, train
from common.variants.deep import DeepModel

SHORT = Recipe(
    steps=300, batch=64, learning_rate=5e-3, weight_decay=0.0, cosine=True, skip_empty=True
)


def test_the_identity_is_within_reach():
    """With W = V = U = 1 and no biases the model copies every non-negative input."""
    model = DeepModel(3, 3, 3)
    with torch.no_grad():
        for weight in (model.W, model.V, model.U):
            weight.copy_(torch.eye(3)[None])
    x = SparseFeatures(3, 0.5).sample(100)
    assert torch.equal(model(x), x)
    loss, error = estimate_loss(model, SparseFeatures(3, 0.5), samples=2**8, shared=True)
    assert loss.item() == error.item() == 0


def test_outputs_are_those_of_the_formula(generator):
    """Both layers cut at 0, every bias counts."""
    model = DeepModel(4, 2, 6, 3, generator=generator)
    with torch.no_grad():
        for bias in (model.b, model.c):
            bias.copy_(torch.randn(bias.shape, generator=generator))
    x = torch.rand(3, 20, 4, generator=generator)
    found = model(x)
    for k in range(3):
        for row, answer in zip(x[k], found[k], strict=True):
            h = model.W[k] @ row
            a = (model.V[k] @ h + model.c[k]).clamp(min=0)
            assert torch.allclose(answer, (model.U[k] @ a + model.b[k]).clamp(min=0), atol=1e-6)
    assert (found == 0).any() and (found > 0).any()


def test_weights_begin_at_the_scale_of_xavier():
    """200 models, within 4 standard errors of a standard deviation."""
    model = DeepModel(6, 3, 8, 200, generator=torch.Generator().manual_seed(4))
    for weight, (rows, columns) in ((model.W, (3, 6)), (model.V, (8, 3)), (model.U, (6, 8))):
        expected, count = (2 / (rows + columns)) ** 0.5, weight.numel()
        assert weight.std().item() == pytest.approx(expected, rel=4 / (2 * count) ** 0.5)
    assert (model.b == 0).all() and (model.c == 0).all()


def test_packing_invariance():
    """The first instance starts the same however many are stacked behind it."""
    models = [
        DeepModel(4, 2, 6, instances, generator=torch.Generator().manual_seed(1))
        for instances in (1, 3)
    ]
    for one, several in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(one[0], several[0])


def test_training_reduces_the_loss_and_repeats():
    def trained():
        model = DeepModel(4, 2, 16, 2, generator=torch.Generator().manual_seed(1))
        data = SparseFeatures(4, 0.1, skip_empty=True)
        before = estimate_loss(model, data, samples=2**14, shared=True)[0]
        train(model, data, recipe=SHORT, seed=3)
        return before, estimate_loss(model, data, samples=2**14, shared=True)[0]

    before, after = trained()
    assert (after < 0.7 * before).all()
    assert torch.equal(after, trained()[1])


def test_bad_sizes_are_named():
    with pytest.raises(ValueError, match="width must be a whole number of at least 1, got 0"):
        DeepModel(3, 2, 0)
