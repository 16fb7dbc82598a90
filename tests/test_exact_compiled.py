"""The compiled loss of few features against the differentiable one, rationals and differences."""

import numpy as np
import pytest
import torch
from oracles import rational_loss

from common.exact import compiled, minimise, population_loss, problem
from common.exact.problem import rearranged, starts

NEVER = property(lambda self: False, lambda self, value: None)  # few features or not
SIZES = [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 2), (5, 1), (5, 2), (5, 4)]


def model_loss(x, m, p, importance, penalty=0.0):
    """Loss and gradient of one model."""
    (value,), (gradient,) = compiled.loss_and_gradient(x[None], m, p, importance, penalty)
    return value, gradient


def models(n, m, count, seed):
    """Random models x [count, d], densities and importances [count, n]: some entries exactly 0,
    some densities exactly 1, some columns alike."""
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(count, m, n)), 0.4 * rng.normal(size=(count, n))
    p, importance = rng.uniform(0.001, 1, (count, n)), rng.uniform(0, 2, (count, n))
    W[::3, :, -1] = 0
    W[1::3, :, 0] = -W[1::3, :, -1]
    b[::4] = 0
    p[::5] = 1
    return np.concatenate([W.reshape(count, -1), b], 1), p, importance


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_loss_and_gradient_are_those_of_the_differentiable_loss(n, m):
    for x, p, importance in zip(*models(n, m, 24, seed=n + m), strict=True):
        value, gradient = model_loss(x, m, p, importance)
        variables = torch.tensor(x, requires_grad=True)
        W, b = variables[: m * n].reshape(m, n), variables[m * n :]
        numbers = torch.tensor(p), torch.tensor(importance)
        loss = population_loss(W, b, *numbers, per_feature=True)
        loss.backward()
        assert value == pytest.approx(loss.item(), rel=1e-12, abs=1e-15)
        expected = variables.grad.numpy()
        assert np.abs(gradient - expected).max() <= 1e-12 * max(1e-3, np.abs(expected).max())


def test_loss_is_that_of_rational_arithmetic():
    """Also where cancellation would cost all digits: an entry of 1e-9 in W."""
    for x, p, importance in zip(*models(3, 2, 6, seed=8), strict=True):
        x[2] = 1e-9
        value, _ = model_loss(x, 2, p, importance)
        W, b = torch.tensor(x[:6]).reshape(2, 3), torch.tensor(x[6:])
        assert value == pytest.approx(rational_loss(W, b, torch.tensor(p), importance), rel=1e-12)


@pytest.mark.parametrize("penalty", [0, 0.7])
@pytest.mark.parametrize(("n", "m"), [(3, 1), (4, 2)])
def test_gradient_is_that_of_central_differences(n, m, penalty):
    step = 1e-6
    for x, p, importance in zip(*models(n, m, 8, seed=3), strict=True):
        x += 0.01 * np.random.default_rng(0).normal(size=len(x))  # away from exact zeros

        def loss(y, p=p, importance=importance):
            return model_loss(y, m, p, importance, penalty)[0]

        value, gradient = model_loss(x, m, p, importance, penalty)
        slopes = [(loss(x + step * e) - loss(x - step * e)) / (2 * step) for e in np.eye(len(x))]
        assert np.abs(gradient - slopes).max() < 1e-8 * max(1, value)


def test_many_models_at_once_with_the_penalty_written_out():
    x, p, importance = models(3, 2, 6, seed=4)
    penalty = np.linspace(0, 2, 6)
    value, gradient = compiled.loss_and_gradient(x, 2, p, importance, penalty)
    for k in range(6):
        w = x[k, :6].reshape(2, 3).T
        R = 2 * ((w[0] @ w[1]) ** 2 + (w[0] @ w[2]) ** 2 + (w[1] @ w[2]) ** 2)
        alone, by_loss = model_loss(x[k], 2, p[k], importance[k])
        assert value[k] == pytest.approx(alone + penalty[k] * R, rel=1e-13)
        by_R = [4 * sum((w[i] @ w[j]) * w[j] for j in range(3) if j != i) for i in range(3)]
        expected = by_loss + penalty[k] * np.concatenate([np.transpose(by_R).ravel(), np.zeros(3)])
        assert gradient[k] == pytest.approx(expected, abs=1e-13)
    first, _ = compiled.loss_and_gradient(x, 2, 0.3, [1, 1, 0.5])  # broadcast
    assert first[0] == pytest.approx(model_loss(x[0], 2, np.full(3, 0.3), [1, 1, 0.5])[0])


def test_minima_are_those_of_the_tensor_minimiser(monkeypatch):
    """The same starts, minimised by `bfgs` on the differentiable loss: the same lowest loss."""
    density, importance = [0.9, 0.3, 0.05], [1, 0.8, 0.5]
    options = {"restarts": 12, "penalty": [[0.0], [0.02]]}
    fast = minimise(3, 2, density, importance, **options)
    monkeypatch.setattr(problem.Problem, "few", NEVER, raising=False)
    slow = minimise(3, 2, density, importance, **options)
    assert fast.converged.all() and slow.converged.all()
    assert torch.allclose(fast.objective, slow.objective, rtol=1e-10, atol=0)
    assert torch.allclose(fast.loss, slow.loss, rtol=1e-6, atol=0)  # off the minimum: to 1st order


def test_threads_do_not_change_the_result(monkeypatch):
    one = minimise(3, 2, [0.5, 0.1], restarts=40)
    monkeypatch.setattr(problem, "TOGETHER", 3)
    other = minimise(3, 2, [0.5, 0.1], restarts=40)
    assert torch.equal(one.W, other.W) and torch.equal(one.restart_losses, other.restart_losses)


def test_starts_are_of_two_kinds_in_mirrored_pairs():
    n, m = 4, 2
    x = starts(n, m, 8, seed=1)
    W, b = x[:, : n * m].reshape(8, m, n), x[:, n * m :]
    assert torch.equal(W[0::2, :, :-1], W[1::2, :, :-1])
    assert torch.equal(W[0::2, :, -1], -W[1::2, :, -1])
    assert torch.equal(b[0::2], b[1::2])
    assert (b[[0, 1, 4, 5]] == 0).all() and (b[[2, 3, 6, 7]] < 0).all()
    assert torch.allclose(W[[2, 3, 6, 7]].norm(dim=1), torch.tensor(problem.START_NORM).double())


def test_rearranged_models_exchange_features_or_turn_one_or_switch_outputs_on():
    x = starts(3, 2, 2, seed=0)
    W, b = x[:, :6].reshape(2, 2, 3), x[:, 6:]
    x[0, [2, 5, 8]] = torch.tensor([0.0, 0.0, -0.3]).double()  # a dead feature
    density = torch.tensor([[0.1, 0.2, 0.4]] * 2).double()
    changed = rearranged(x, density, 2)
    assert changed.shape == (7, 2, 9)
    assert changed[6][0, 8] == density[0, 2] / 2 and torch.equal(changed[6][:, :6], x[:, :6])
    assert (changed[6][:, 6:] >= b).all()
    assert torch.equal(changed[1][:, :6].reshape(2, 2, 3), W[..., [2, 1, 0]])
    assert torch.equal(changed[1][:, 6:], b[:, [2, 1, 0]])
    assert torch.equal(changed[4][:, :6].reshape(2, 2, 3), W * torch.tensor([1, -1, 1]))


def test_the_best_order_of_a_pentagon_is_found_from_few_starts():
    """Orders of the features around the circle differ by hundredths of a per cent."""
    importance = 0.9 ** torch.arange(5)
    few = [minimise(5, 2, 0.1, importance, restarts=12, seed=s).loss.item() for s in range(4)]
    assert max(few) == pytest.approx(min(few), rel=1e-9)
