"""Gradient flow against scipy's solver on a loss of its own; energy, symmetries, stopping."""

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from two_features import loss as plain_loss

from common.exact import interference_penalty, polish, population_loss
from common.phases import flow

CELLS = [(0.2, 1.5, 0.0), (0.5, 1.0, 0.0), (0.05, 3.0, 0.01), (1.0, 2.0, 0.003)]  # p, r, penalty
STARTS = [(0.7, -0.4), (0.5, 0.6), (-0.05, 0.08), (1.9, 0.3)]


def tensors(*values):
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def field(v, p, r, penalty):
    """Minus the gradient, by quadrature, with the penalty's added by hand."""
    w_1, w_2 = v[:2]
    by_penalty = np.array([4 * w_1 * w_2**2, 4 * w_2 * w_1**2, 0, 0])
    return -plain_loss(v, p, r)[1] - penalty * by_penalty


@pytest.mark.parametrize(("p", "r", "penalty"), CELLS)
def test_the_way_is_that_of_an_independent_solver(p, r, penalty):
    """Positions at three times: what the steps' errors add up to is of their size."""
    w = STARTS[CELLS.index((p, r, penalty))]
    start, (W, b) = (*w, 0, 0), tensors([list(w)], [0, 0])
    times, W_way, b_way = flow.path(W, b, p, [1, r], penalty=penalty, tolerance=1e-6)
    times = times.numpy()
    chosen = np.searchsorted(times, (0.3, 2, 10))
    way = torch.cat([W_way[chosen, 0], b_way[chosen]], 1).numpy()
    solved = solve_ivp(
        lambda _, v: field(v, p, r, penalty), (0, 30), start, "LSODA",
        t_eval=times[chosen], rtol=1e-8, atol=1e-10,
    )  # fmt: skip
    assert np.abs(way - solved.y.T).max() < 2e-4


def test_the_method_is_of_second_order():
    """Errors of steps fall like their third power: for a thousandth ten times as many steps."""
    W, b = tensors([[0.7, -0.4]], [0, 0])
    few, many = (len(flow.path(W, b, 0.3, [1, 1.5], tolerance=t)[0]) for t in (1e-3, 1e-6))
    assert 5 < many / few < 15


def test_the_loss_falls_all_the_way():
    W, b = tensors([[0.3, 0.02, -0.2], [-0.1, 0.4, 0.3]], [0, 0, 0])
    for penalty in (0.0, 0.02):
        times, W_way, b_way = flow.path(W, b, 0.15, [1, 0.8, 0.6], penalty=penalty)
        height = population_loss(W_way, b_way, 0.15, [1, 0.8, 0.6])
        height = height + penalty * interference_penalty(W_way)
        assert (times.diff() > 0).all() and height.diff().max() < 1e-14
        assert height[-1] < 0.5 * height[0]


def test_it_ends_at_minima_that_the_minimiser_confirms():
    generator = torch.Generator().manual_seed(4)
    W = torch.randn(12, 2, 3, generator=generator, dtype=torch.float64)
    ends = flow.follow(W, torch.zeros(3), 0.2, [1, 0.8, 0.5])
    assert ends.finished.all()
    loss, distance = polish(ends.W, ends.b, 0.2, [1, 0.8, 0.5])[2:]
    assert distance.max() < 1e-3
    assert torch.allclose(ends.loss, loss, rtol=1e-6)


def test_the_end_is_the_task_loss_and_the_penalty_is_not_in_it():
    W, b = tensors([[[0.9, -0.4]]], [[0, 0]])
    ends = flow.follow(W, b, 0.2, [1, 1.5], penalty=0.01)
    assert ends.loss.item() == pytest.approx(population_loss(ends.W, ends.b, 0.2, [1, 1.5]).item())
    assert ends.W[0, 0].prod() > flow.follow(W, b, 0.2, [1, 1.5]).W[0, 0].prod()  # it is weaker


@pytest.mark.slow
def test_starts_keep_their_own_numbers_however_they_are_grouped(monkeypatch):
    generator = torch.Generator().manual_seed(1)
    W = 0.7 * torch.randn(3, 5, 1, 2, generator=generator, dtype=torch.float64)
    p, r, penalty = tensors([[0.1], [0.3], [0.6]], [1.0, 1.2, 1.5, 2.0, 4.0], [0, 0, 0, 0, 0.01])
    importance = torch.stack([torch.ones(5), r], -1)
    together = flow.follow(W, torch.zeros(2), p, importance, penalty=penalty)
    assert together.loss.shape == (3, 5)
    monkeypatch.setattr(flow, "TOGETHER", 20)
    apart = flow.follow(W, torch.zeros(2), p, importance, penalty=penalty)
    assert torch.equal(together.W, apart.W) and torch.equal(together.time, apart.time)
    one = flow.follow(W[1, 4], torch.zeros(2), 0.3, [1, 4.0], penalty=0.01)
    assert torch.equal(one.W, together.W[1, 4]) and torch.equal(one.b, together.b[1, 4])


def test_turning_the_hidden_space_or_all_signs_changes_nothing():
    generator = torch.Generator().manual_seed(2)
    W = 0.6 * torch.randn(6, 2, 3, generator=generator, dtype=torch.float64)
    angle = torch.tensor(0.7)
    turn = torch.tensor([[angle.cos(), -angle.sin()], [angle.sin(), angle.cos()]]).double()
    ends, turned = (flow.follow(M, torch.zeros(3), 0.3, tolerance=1e-5) for M in (W, turn @ W))
    assert (ends.W.mT @ ends.W - turned.W.mT @ turned.W).abs().max() < 1e-3


def test_a_start_given_up_says_so():
    W, b = tensors([[0.7, -0.4]], [0, 0])
    ends = flow.follow(W, b, 0.2, [1, 1.5], rounds=3)
    assert not ends.finished and ends.time < 1


def test_curvatures_are_those_of_differences_of_the_loss():
    W, b = tensors([[0.8, -0.3]], [0.05, 0.02])
    x, h = torch.cat([W[0], b]), 1e-4

    def height(x):
        return population_loss(x[None, :2], x[2:], 0.3, [1, 1.5]) + 0.02 * interference_penalty(
            x[None, :2]
        )

    steps = h * torch.eye(4, dtype=torch.float64)
    hessian = [
        [
            sum(s * t * height(x + s * d + t * e) for s in (1, -1) for t in (1, -1)) / (4 * h * h)
            for d in steps
        ]
        for e in steps
    ]
    expected = torch.linalg.eigvalsh(torch.tensor(hessian, dtype=torch.float64))
    found = flow.curvatures(W, b, 0.3, [1, 1.5], penalty=0.02)
    assert torch.allclose(found, expected, atol=2e-4)


def test_more_features_than_the_recursion_takes_are_refused():
    with pytest.raises(ValueError, match="at most 5"):
        flow.follow(torch.zeros(2, 6), torch.zeros(6), 0.1)
