"""Hand-written gradients of a training step, against autograd on the plain formula."""

import pytest
import torch

from common.data import SparseFeatures
from common.gradients import Gradients
from common.model import ToyModel

INSTANCES, N, M, BATCH = 4, 6, 3, 32


@pytest.fixture
def importance(generator):
    return torch.rand(INSTANCES, N, generator=generator, dtype=torch.float64)


@pytest.fixture
def x(generator):
    return SparseFeatures(N, torch.full((INSTANCES,), 0.4)).sample(BATCH, generator).double()


def model_of(generator, **options):
    """A stack in float64 with a bias that is not zero."""
    model = ToyModel(N, M, INSTANCES, generator=generator, **options).double()
    with torch.no_grad():
        model.b.normal_(0, 0.3, generator=generator)
        if not model.tied:
            model.W_out.add_(0.3 * torch.randn(INSTANCES, N, M, generator=generator))
    return model


def plain_loss(model, x, importance, share):
    """Loss [instances] of a batch, of whose kind only a share of all inputs is."""
    full = (importance[:, None] * (model(x) - x) ** 2).sum(-1).mean(1)
    empty = (importance * model(torch.zeros(INSTANCES, 1, N).double())[:, 0] ** 2).sum(-1)
    return share * full + (1 - share) * empty


@pytest.mark.parametrize("hidden", ["linear", "relu"])
@pytest.mark.parametrize("output", ["linear", "relu"])
@pytest.mark.parametrize("tied", [True, False])
def test_gradients_equal_autograd(hidden, output, tied, generator, x, importance):
    model = model_of(generator, hidden=hidden, output=output, tied=tied)
    share = torch.tensor([1.0, 0.7, 0.7, 0.1], dtype=torch.float64)
    loss = plain_loss(model, x, importance, share)
    expected = dict(
        zip(
            [name for name, _ in model.named_parameters()],
            torch.autograd.grad(loss.sum(), list(model.parameters())),
            strict=True,
        )
    )
    part = slice(1, 4)
    with torch.no_grad():
        ours = Gradients(model, part, importance[part], share[part], BATCH)
        for _ in range(2):  # buffers are used again and must not remember
            ours.step(x[part].transpose(1, 2))

    gradient = {"b": ours.decoder.grad[:, -1], "W": ours.encoder.grad[:, :-1]}
    if not tied:
        gradient["W_out"] = ours.decoder.grad[:, :-1].transpose(1, 2)
        assert (ours.encoder.grad[:, -1] == 0).all()
    for name, value in gradient.items():
        assert torch.allclose(value, expected[name][part], rtol=1e-10, atol=1e-14), name


@pytest.mark.parametrize("tied", [True, False])
def test_weights_come_back_as_they_went_in(tied, generator, importance):
    model = model_of(generator, tied=tied)
    whole = slice(0, INSTANCES)
    with torch.no_grad():
        weights = Gradients(model, whole, importance, torch.ones(INSTANCES), BATCH).weights()
    assert weights.keys() == dict(model.named_parameters()).keys()
    for name, value in model.named_parameters():
        assert torch.equal(weights[name], value)


def test_a_model_without_bias_gets_none(generator, x, importance):
    model = model_of(generator, bias=False)
    with torch.no_grad():
        ours = Gradients(model, slice(0, 4), importance, torch.full((INSTANCES,), 0.5), BATCH)
        ours.step(x.transpose(1, 2))
    assert (ours.decoder.grad[:, -1] == 0).all()
    assert (ours.decoder.grad[:, :-1] != 0).any()
