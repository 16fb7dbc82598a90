"""Exactly one active feature: the loss against sampling, its minima against the proofs."""

import math

import pytest
import torch

from common.proofs import pentagon
from common.variants import one_active
from common.variants.polygons import polygon


def sampled(W, b, importance, cells=4000):
    """L1 of one model by the midpoint rule over the active feature."""
    n, total = len(b), 0.0
    x = (torch.arange(cells).double() + 0.5) / cells
    for j in range(n):
        inputs = torch.zeros(cells, n).double()
        inputs[:, j] = x
        outputs = torch.relu(inputs @ W.T @ W + b)
        total += (importance * (inputs - outputs) ** 2).sum(1).mean()
    return total.item()


def random_model(seed, n=5):
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(2, n, generator=generator).double()
    return W, torch.randn(n, generator=generator).double() / 2


@pytest.mark.parametrize("seed", range(6))
def test_the_loss_is_that_of_the_model(seed):
    W, b = random_model(seed)
    importance = torch.tensor([1.0, 0.9, 0.5, 0.2, 0.7]).double()
    exact = one_active.one_active_loss(W, b, importance).item()
    assert exact == pytest.approx(sampled(W, b, importance), rel=1e-5)


def test_slopes_are_those_of_differences():
    W, b = random_model(7)
    x = torch.cat([W.flatten(), b]).requires_grad_()

    def loss(x):
        return one_active.one_active_loss(x[:10].reshape(2, 5), x[10:])

    (slope,) = torch.autograd.grad(loss(x), x)
    for k in range(15):
        move = 1e-6 * torch.eye(15).double()[k]
        numeric = (loss(x + move) - loss(x - move)) / 2e-6
        assert numeric.item() == pytest.approx(slope[k].item(), abs=1e-7)


def test_minima_are_the_polygons_of_the_proof():
    W, b, loss = one_active.minimise_one_active(5, 2, restarts=40)
    assert (loss.diff() >= 0).all()
    shape, _ = pentagon.stationary()
    assert loss[0].item() == pytest.approx(float(shape.loss.middle()), abs=1e-10)
    assert W[0].norm(dim=0).numpy() == pytest.approx(float(shape.a.sqrt().middle()), abs=1e-6)
    assert b[0].numpy() == pytest.approx(float(shape.b.middle()), abs=1e-6)
    best = one_active.best_regular(6)
    assert best.loss == pytest.approx(0.28915425619, abs=1e-10)
    assert one_active.one_active_loss(best.W, best.b).item() == pytest.approx(best.loss)


def test_a_dropped_feature_costs_what_a_model_with_one_costs():
    best = one_active.best_regular(7)
    n = 9
    W = torch.cat([best.W, torch.zeros(2, 2).double()], 1)
    b = torch.cat([best.b, torch.full((2,), 1 / (2 * n)).double()])
    loss = one_active.one_active_loss(W, b).item()
    assert loss == pytest.approx(best.loss + 2 * one_active.dropped_cost(n), abs=1e-12)
    for other in (0.9, 1.1):
        worse = torch.cat([best.b, other * b[7:]])
        assert one_active.one_active_loss(W, worse) > loss


def test_pairs_add_up_to_the_loss_of_a_pentagon_and_less_elsewhere():
    weights = torch.tensor([1.0, 0.8, 0.6, 0.9, 0.7]).double()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        angles = torch.sort(2 * math.pi * torch.rand(5, generator=generator).double()).values
        W = 1.2 * torch.stack([angles.cos(), angles.sin()])
        b = -0.5 * torch.rand(5, generator=generator).double()
        gaps = torch.diff(angles, append=angles[:1] + 2 * math.pi)
        norms = W.norm(dim=0)
        x = torch.stack([norms, b, norms.roll(-1), b.roll(-1), gaps], -1)
        pairs = one_active.pair_cost(x, (weights, weights.roll(-1))).sum()
        assert pairs <= one_active.one_active_loss(W, b, weights) + 1e-12
    W, b = polygon(5, 1.17, -0.28)
    pair = torch.tensor([1.17, -0.28, 1.17, -0.28, 2 * math.pi / 5], dtype=torch.float64)
    loss = one_active.one_active_loss(W, b).item()
    assert 5 * one_active.pair_cost(pair).item() == pytest.approx(loss, abs=1e-12)


@pytest.mark.slow
def test_a_bracket_that_falls_below_is_found():
    """With one feature of little importance two neighbours do better with it all but dropped."""
    start, biases = polygon(5, 1.17, -0.28)
    for weights, low in (([1.0] * 5, False), ([1.0, 1.0, 0.1, 1.0, 0.1], True)):
        importance = torch.tensor(weights).double()
        W, b, _ = one_active.settle(start[None], biases[None], importance)
        order = torch.atan2(W[0][1], W[0][0]).argsort()
        parts = W[0][:, order], b[0][order], importance[order]
        excess = one_active.least_excess(*parts, samples=4000, tried=4)
        assert (excess.min().item() < -1e-4) == low
