"""The quick optimum against slow minimisation, and its parts against plain evaluations."""

import pytest
import torch

from common import quick
from common.data import feature_variance, importance_decay
from common.exact import minimise, population_loss
from common.landscape import linear_is_stable_above
from common.problem import starts
from common.theory import linear_optimum

# Minima of a little higher loss than the best one: pairings and orders of features.
POSITIONS = [
    (2, 1, 0.3, 0.9),
    (3, 2, 0.8, 1.0),
    (4, 1, 0.05, 0.9),
    (4, 2, 0.2, 0.7),
    (5, 1, 0.2, 1.0),
    (5, 2, 1.0, 0.9),
    (5, 2, 0.1, 0.9),
    (5, 3, 0.03, 0.8),
    (5, 4, 0.5, 0.9),
]


@pytest.mark.parametrize(("n", "m", "density", "decay"), POSITIONS)
def test_it_is_the_optimum(n, m, density, decay):
    """At most 1e-4 above the best of 64 starts that run to convergence; lower is welcome."""
    importance = importance_decay(n, decay)
    W, b, loss = quick.quick_optimum(n, m, density, importance)
    slow = minimise(n, m, density, importance, restarts=64, seed=5)
    assert (W.shape, b.shape, loss.shape) == ((m, n), (n,), ())
    assert loss <= (1 + 1e-4) * slow.loss
    assert loss == pytest.approx(population_loss(W, b, density, importance).item(), rel=1e-12)


def test_optima_at_several_densities_are_minima():
    density, importance = torch.tensor([0.9, 0.2, 0.05]).double(), importance_decay(3, 0.8)
    W, b, loss = quick.optima(3, 2, density, importance)
    slow = minimise(3, 2, density, importance, restarts=64, seed=5)
    torch.testing.assert_close(loss, slow.loss, rtol=1e-9, atol=0)
    W, b = W.requires_grad_(), b.requires_grad_()
    total = population_loss(W, b, density, importance).sum()
    assert max(g.abs().max() for g in torch.autograd.grad(total, (W, b))) < 1e-7


def test_edge_finds_where_the_linear_minimum_gives_way():
    """n = 2, m = 1, r = 1.3: a weak second weight grows from where a closed form says that the
    linear minimum becomes unstable. The edge is where it passes 0.01, soon below."""
    importance = torch.tensor([1.0, 1.3]).double()
    low, high, W = quick.edge(lambda W: W.abs().min() > 0.01, 2, 1, 0.5, 0.9, importance)
    assert low < high < 1.005 * low
    assert W[0].abs().min() > 0.01 > W[1].abs().min()
    expected = linear_is_stable_above(1.3).item()
    assert 0.995 * expected < low < 1.001 * expected


def test_enough_dimensions_lose_nothing():
    W, b, loss = quick.quick_optimum(3, 4, 0.5, [1, 0.5, 0.25])
    assert loss == 0 == population_loss(W, b, 0.5)


def test_it_keeps_what_is_important_wherever_it_stands():
    """At density 1 the optimum is the linear one."""
    importance = torch.tensor([0.1, 1, 0.2, 0.9])
    W, b, loss = quick.quick_optimum(4, 2, 1, importance)
    assert loss == pytest.approx(linear_optimum(1, importance, 2).item(), rel=1e-3)
    assert (W.norm(dim=0) > 0.9).tolist() == [False, True, False, True]
    assert b[[0, 2]].tolist() == pytest.approx([0.5, 0.5], abs=0.05)


@pytest.mark.parametrize("density", [1.0, 0.4, 0.01])
def test_quadrature_has_the_moments_of_the_population(density):
    """The loss of a LINEAR model depends on these only."""
    x, weight = quick.quadrature(4, density)
    mean = weight @ x
    covariance = (weight[:, None] * (x - mean)).T @ (x - mean)
    assert weight.sum().item() == pytest.approx(1)
    assert mean.tolist() == pytest.approx([density / 2] * 4)
    variance = feature_variance(torch.tensor(density).double())
    # A feature that is active alone has the midpoint rule's second moment, 1/12 off by 1e-4.
    torch.testing.assert_close(covariance, variance * torch.eye(4).double(), rtol=0, atol=1e-4)


def test_points_come_close_to_the_exact_loss():
    """200 random models; errors of the points are a few percent and not biased."""
    importance = importance_decay(4, 0.8)
    x = starts(4, 2, 200, seed=1)
    value, _, _ = quick.Points(4, 2, 0.3, importance)(x)
    exact = population_loss(x[:, :8].reshape(-1, 2, 4), x[:, 8:], 0.3, importance)
    excess = value / exact - 1
    assert excess.abs().max() < 0.1
    assert excess.mean().abs() < 0.01


def differences(points, x, output, step=1e-3):
    """Differences of output number `output` of the points, along every variable [N, ..., d]."""
    steps = step * torch.eye(x.shape[1]).double()
    sides = [[points(x + sign * s)[output] for s in steps] for sign in (1, -1)]
    return torch.stack([(u - d) / (2 * step) for u, d in zip(*sides, strict=True)], -1)


def test_gradient_and_curvature_of_the_points():
    """Against differences; the curvature where every output is on, as it leaves out the kink."""
    points = quick.Points(3, 2, 0.5, torch.tensor([1.0, 0.5, 0.2]).double())
    x = starts(3, 2, 6, seed=3) + 0.1
    torch.testing.assert_close(points(x)[1], differences(points, x, 0), rtol=0, atol=5e-3)
    x[:, 6:] += 4
    torch.testing.assert_close(points(x)[2], differences(points, x, 1), rtol=1e-3, atol=1e-3)


def test_newton_finds_a_minimum_and_leaves_a_saddle():
    """x^4/4 - x^2/2 + y^2/2 has its minima at (+-1, 0), a saddle at 0."""

    def derivatives(x):
        u, v = x.T
        zero, one = torch.zeros_like(u), torch.ones_like(u)
        curvature = torch.stack([3 * u**2 - 1, zero, zero, one], -1).reshape(-1, 2, 2)
        return u**4 / 4 - u**2 / 2 + v**2 / 2, torch.stack([u**3 - u, v], -1), curvature

    start = torch.tensor([[0.01, 0.5], [-0.01, -3.0], [2.0, 0.0]]).double()
    x, value = quick.newton(derivatives, start, torch.ones(2).double(), 40, 0.1)
    torch.testing.assert_close(x, torch.tensor([[1.0, 0], [-1, 0], [1, 0]]).double())
    assert value.tolist() == pytest.approx([-0.25] * 3)


def test_it_is_the_same_every_time():
    first, second = (quick.quick_optimum(4, 2, 0.2) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((6, 2, 0.1), "at most 5 features, got 6"),
        ((3, 0, 0.1), "n_hidden must be a whole number"),
        ((3, 2, 0.0), r"density must lie in \(0, 1\], got 0"),
        ((3, 2, 0.1, [1, 1]), "importance must have shape"),
        ((3, 2, 0.1, [0, 0, 0]), "positive for at least one feature"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ValueError, match=message):
        quick.quick_optimum(*arguments)
