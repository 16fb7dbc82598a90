"""Regular polygons: their optimum and curvature against autograd, scipy and known geometry."""

import pytest
import torch
from scipy.optimize import minimize

from common import polygons
from common.exact import minimise, population_loss
from common.geometry import angle_gaps


def loss_of(x, k, p):
    W, b = x[: 2 * k].reshape(2, k), x[2 * k :]
    return population_loss(W, b, p)


@pytest.mark.parametrize(("k", "p"), [(3, 0.3), (4, 0.3), (5, 0.1), (5, 0.4)])
def test_curvature_equals_autograd(k, p):
    """Up to 5 features the exact loss can be differentiated twice."""
    radius, bias, _ = polygons.best_polygon(k, [p])
    W, b = polygons.polygon(k, radius[0], bias[0])
    found, _ = polygons.curvature(W, b, p)
    x = torch.cat([W.reshape(-1), b])
    hessian = torch.autograd.functional.hessian(lambda x: loss_of(x, k, p), x) / (p / 3)
    expected = torch.linalg.eigvalsh(hessian)
    rotation = expected.abs().argmin()  # the loss does not change along it
    assert expected[rotation].abs() < 1e-6
    others = torch.cat([expected[:rotation], expected[rotation + 1 :]])
    assert torch.allclose(found, others, atol=1e-4)


@pytest.mark.parametrize("k", [4, 6])
def test_best_polygon_has_no_gradient_and_is_the_lowest_of_its_kind(k):
    p = 0.2
    radius, bias, loss = polygons.best_polygon(k, [p])
    W, b = polygons.polygon(k, radius[0], bias[0])
    W.requires_grad_()
    (gradient,) = torch.autograd.grad(population_loss(W, b, p), W)
    assert gradient.abs().max() < 1e-5 * p

    def value(x):
        return population_loss(*polygons.polygon(k, *torch.tensor(x)), p).item()

    starts = [(0.7, 0.1), (1.1, -0.2)]
    reference = min(minimize(value, start, method="Nelder-Mead").fun for start in starts)
    assert loss.item() == pytest.approx(reference, rel=1e-4)


def test_the_pentagon_is_a_minimum_where_a_search_over_all_models_finds_it():
    radius, bias, loss = polygons.best_polygon(5, [0.1])
    assert polygons.is_minimum(polygons.lowest_curvature(5, radius, bias, [0.1]), 0.1).all()
    search = minimise(5, 2, 0.1, restarts=4)
    assert search.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    assert (angle_gaps(search.W) - 72).abs().max() < 0.01


def test_descent_leaves_a_saddle():
    """Along the direction of negative curvature the loss falls, and a minimum is not left."""
    radius, bias, loss = polygons.best_polygon(6, [0.3])
    W, b = polygons.polygon(6, radius[0], bias[0])
    values, vectors = polygons.curvature(W, b, 0.3)
    assert values[0] < 0
    moved = torch.cat([W.reshape(-1), b]) + 0.02 * vectors[0]
    expected = loss.item() + 0.3 / 3 * values[0].item() * 0.02**2 / 2
    assert loss_of(moved, 6, 0.3).item() == pytest.approx(
        expected, abs=0.1 * (loss.item() - expected)
    )


def test_stability_edge_lies_between_a_minimum_and_a_saddle():
    edge = polygons.stability_edge(4, 0.5, 0.8, rounds=4)
    p = torch.tensor([0.95 * edge, 1.05 * edge])
    radius, bias, _ = polygons.best_polygon(4, p)
    least = polygons.lowest_curvature(4, radius, bias, p)
    assert polygons.is_minimum(least, p).tolist() == [True, False]


def test_dropping_features_costs_their_variance():
    p = torch.tensor([0.3, 0.1], dtype=torch.float64)
    losses = {k: polygons.best_polygon(k, p)[2] for k in (2, 3, 4, 5)}
    lowest, size = polygons.best_with_dropped(5, losses, p)
    assert size.tolist() == [4, 5]
    W, b = polygons.polygon(4, *(v[:1] for v in polygons.best_polygon(4, p[:1])[:2]))
    W = torch.cat([W, torch.zeros(1, 2, 1).double()], 2)
    b = torch.cat([b, p[:1, None] / 2], 1)
    assert population_loss(W, b, p[:1]).item() == pytest.approx(lowest[0].item(), rel=1e-9)
    assert polygons.stored_value(4, p, losses[4])[1] > 3.7
