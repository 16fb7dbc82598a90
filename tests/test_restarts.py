"""Restarts: the choice by exact loss, and the shapes it comes in."""

from dataclasses import replace

import pytest
import torch

from common import geometry, restarts
from common.data import SparseFeatures
from common.exact import population_loss
from common.model import ToyModel
from common.restarts import SAMPLES, Restarts, lowest, shared_loss, train_restarts
from common.training import FAST, Recipe, estimate_loss

SHORT = Recipe(
    steps=30, batch=32, learning_rate=1e-2, weight_decay=0.0, cosine=True, skip_empty=True
)


def run(**options):
    return train_restarts(
        4, 2, [1.0, 0.1, 0.01], None, restarts=5, recipe=SHORT, snapshot_steps=[0, 30], **options
    )


def test_shapes_and_exact_losses():
    runs = run()
    assert runs.W.shape == (3, 5, 2, 4) and runs.b.shape == (3, 5, 4) and runs.loss.shape == (3, 5)
    expected = population_loss(runs.W, runs.b, runs.density[:, None].expand(3, 5))
    assert torch.allclose(runs.loss, expected)
    assert torch.equal(runs.snapshots[30][0], runs.W)


def test_best_is_the_lowest_loss_of_each_density():
    loss = torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.02, 1.005]])
    W = torch.arange(6.0).reshape(2, 3, 1, 1)
    runs = Restarts(torch.tensor([1.0, 0.1]), W, W[..., 0], loss, {})
    assert [w.item() for w in runs.best()[0]] == [1, 3]
    assert runs.pick(loss).tolist() == [1, 1]
    assert runs.excess()[0].tolist() == [2, 0, 1]
    assert runs.agreement().tolist() == pytest.approx([1 / 3, 2 / 3])


def test_lowest_takes_the_slice_of_the_lowest_loss_whatever_the_shapes(generator):
    loss = torch.rand(2, 3, 4, generator=generator)
    values = torch.rand(2, 3, 4, 5, 6, generator=generator)
    least, chosen = lowest(loss, loss, values)
    assert torch.equal(least, loss.min(-1).values)
    for i, j in ((0, 0), (1, 2)):
        assert torch.equal(chosen[i, j], values[i, j, loss[i, j].argmin()])


def test_a_hidden_relu_is_judged_on_fresh_inputs():
    runs = run(hidden="relu", output="linear", bias=False)
    assert torch.isfinite(runs.loss).all() and (runs.b == 0).all()
    W, b = runs.W.float().flatten(0, 1), runs.b.float().flatten(0, 1)
    model = ToyModel.from_weights(W, b, hidden="relu", output="linear")
    data = SparseFeatures(4, runs.density.repeat_interleave(5), skip_empty=True)
    # As many inputs as the worst-known losses of `shared_loss` rest on, so that no loss has a
    # larger standard error than the one returned here.
    expected, error = estimate_loss(model, data, samples=SAMPLES // 16, seed=99)
    # Within 5 combined standard errors: 15 comparisons, false alarm below 1e-5 over all seeds.
    assert ((runs.loss.flatten() - expected).abs() < 5 * 2**0.5 * error).all()
    assert (error < 0.02 * expected).all()  # so the comparison says something


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="restarts must be a whole number of at least 1, got 0"):
        train_restarts(4, 2, [0.5], None, restarts=0)
    with pytest.raises(ValueError, match=r"density must lie in \(0, 1\], got 2"):
        train_restarts(4, 2, [0.5, 2], None, restarts=1)


def test_untied_models_are_judged_with_their_own_decoder():
    runs = run(tied=False)
    assert runs.W_out.shape == (3, 5, 4, 2)
    assert not torch.equal(runs.W_out, runs.W.mT)
    expected = population_loss(runs.W, runs.b, runs.density[:, None].expand(3, 5), W_out=runs.W_out)
    assert torch.allclose(runs.loss, expected)
    assert torch.equal(runs.effective(), runs.W_out @ runs.W)
    assert torch.equal(run().effective(), run().W.mT @ run().W)


def test_shared_loss_agrees_with_the_exact_loss_and_cancels_noise(generator, monkeypatch):
    """On a linear hidden layer, where the exact loss is known; rotations make equal models."""
    W = torch.randn(1, 2, 4, generator=generator)
    Q = torch.linalg.qr(torch.randn(6, 2, 2, generator=generator)).Q
    model = ToyModel.from_weights(Q @ W, torch.full((6, 4), -0.1))
    monkeypatch.setattr(restarts, "SAMPLES", 2**16)
    found = shared_loss(model, [0.3, 0.03])
    exact = population_loss(model.W.detach(), model.b.detach(), [0.3] * 3 + [0.03] * 3)
    assert torch.allclose(found, exact, rtol=0.06)
    assert found[:3].std() < 1e-6 * found[0]  # the same inputs, so the same loss


@pytest.mark.parametrize("hidden", ["linear", "relu"])
def test_a_density_of_each_feature(hidden):
    """What is rare is dropped or paired, and the loss is that of these densities."""
    p = torch.tensor([[0.5, 0.5, 0.01], [0.01, 0.5, 0.5]]).double()
    recipe = replace(FAST, steps=300)
    runs = train_restarts(
        3, 2, p, torch.ones(3), restarts=4, recipe=recipe, hidden=hidden, per_feature=True
    )
    W, b = runs.best()
    kept = geometry.represented(W)
    assert kept[0, :2].all() and kept[1, 1:].all()
    if hidden == "linear":
        expected = population_loss(W, b, p, per_feature=True)
        assert torch.allclose(runs.loss.min(1).values, expected, rtol=1e-6)
    one = train_restarts(3, 2, p[0], None, restarts=2, recipe=recipe, per_feature=True)
    assert one.W.shape == (1, 2, 2, 3)


def test_every_seed_draws_inputs_of_its_own(monkeypatch):
    """From the same initial weights: `train` is told of the seed."""
    ends = []
    for seed in (0, 1):
        model = ToyModel(4, 2, 15, generator=torch.Generator().manual_seed(0))
        monkeypatch.setattr(restarts, "ToyModel", lambda *_, model=model, **__: model)
        ends.append(run(seed=seed).W)
    assert not torch.isclose(*ends).any()
