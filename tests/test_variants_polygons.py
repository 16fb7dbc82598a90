"""Regular polygons: their optimum and curvature against autograd, scipy and known geometry."""

import pytest
import torch
from scipy.optimize import minimize

from common.exact import minimise, polish, population_loss
from common.geometry import angle_gaps
from common.parallel import one_thread
from common.theory import linear_optimum
from common.variants import polygons


def loss_of(x, k, p):
    W, b = x[: 2 * k].reshape(2, k), x[2 * k :]
    return population_loss(W, b, p, accuracy=1e-8)


def flat(W, b):
    return torch.cat([W.reshape(-1), b])


def softest(k, p):
    """The best k-gon's norm and bias, least curvature, mode and its direction."""
    radius, bias, _ = polygons.best_polygon(k, [p])
    curvature, direction, radius, bias = polygons.softest_modes(k, radius, bias, p)
    mode = int(curvature.argmin())
    return radius, bias, curvature[mode].item(), mode, direction[mode]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "p"), [(2, 0.4), (3, 0.3), (3, 1.0), (4, 0.01), (4, 0.65), (5, 0.1), (5, 0.31), (5, 0.4)]
)
def test_modes_are_the_eigenvalues_of_the_whole_hessian(k, p):
    """Up to 5 features the loss of a model can be differentiated twice, without any symmetry.

    At density 0.01 the square's bias is 1e-5, and the second derivative jumps where it is 0.
    """
    radius, bias, _ = polygons.best_polygon(k, [p])
    curvature, _, *shape = polygons.softest_modes(k, radius, bias, p)
    x = flat(*polygons.polygon(k, *shape))
    with one_thread():
        hessian = torch.autograd.functional.hessian(lambda x: loss_of(x, k, p), x) / (p / 3)
    expected = torch.linalg.eigvalsh(hessian)
    rotation = expected.abs().argmin()  # the loss does not change along it
    assert expected[rotation].abs() < 1e-12
    others = torch.cat([expected[:rotation], expected[rotation + 1 :]])
    assert curvature.min().item() == pytest.approx(others[0].item(), abs=1e-9)
    for value in curvature:  # each of them is one
        assert (others - value).abs().min() < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(("k", "p"), [(6, 0.3), (8, 0.05), (9, 0.1)])
def test_the_loss_bends_along_a_mode_as_its_curvature_says(k, p, step=0.005):
    """Second differences of the loss of any number of features, a different way to compute it."""
    radius, bias, _ = polygons.best_polygon(k, [p])
    curvature, direction, *shape = polygons.softest_modes(k, radius, bias, p)
    middle = loss_of(flat(*polygons.polygon(k, *shape)), k, p)
    for mode, value in enumerate(curvature.tolist()):
        ends = [
            loss_of(flat(*polygons.displaced(k, *shape, mode, direction[mode], s)), k, p)
            for s in (step, -step)
        ]
        bend = (sum(ends) - 2 * middle).item() / step**2 / (p / 3)
        assert bend == pytest.approx(value, abs=0.01 * (1 + abs(value)))


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
    least, _ = polygons.lowest_curvature(5, radius, bias, [0.1])
    assert polygons.is_minimum(least).all()
    search = minimise(5, 2, 0.1, restarts=4)
    assert search.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    assert (angle_gaps(search.W) - 72).abs().max() < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(
    ("k", "low", "high", "edge", "mode", "below"),
    [
        (4, 0.6, 0.7, 0.660, 1, True),
        (5, 0.27, 0.33, 0.303, 1, True),
        (5, 0.55, 0.6, 0.579, 1, False),  # the pentagon is a minimum again between these two
        (5, 0.66, 0.72, 0.691, 2, True),
        (8, 0.025, 0.035, 0.0294, 1, True),
    ],
)
def test_descent_returns_to_a_polygon_just_inside_its_edge_and_leaves_it_outside(
    k, low, high, edge, mode, below
):
    inside, outside = (low, high) if below else (high, low)
    found, softest_mode = polygons.stability_edge(k, inside, outside)
    assert (found, softest_mode) == (pytest.approx(edge, rel=2e-3), mode)
    for p, stays in ((0.99 * found, below), (1.01 * found, not below)):
        radius, bias, value, *_ = softest(k, p)
        assert (value > 0) == stays
        before = loss_of(flat(*polygons.polygon(k, radius, bias)), k, p).item()
        W, _, after = polygons.fall(k, p, size=0.01)
        spread = W.norm(dim=0).max() - W.norm(dim=0).min()
        if stays:
            assert spread < 1e-3 and after.item() == pytest.approx(before, rel=1e-6)
        else:
            assert spread > 0.02 and after.item() < before * (1 - 1e-4)


@pytest.mark.slow
def test_turning_points_of_the_pentagon():
    """A minimum between 0.579 and 0.691 and again below 0.303."""
    density = torch.tensor([0.8, 0.65, 0.4, 0.2, 0.1], dtype=torch.float64)
    stable = torch.tensor([False, True, False, True, True])
    edges, modes = zip(*polygons.turning_points(5, density, stable), strict=True)
    assert edges == pytest.approx((0.691, 0.579, 0.303), rel=2e-3)
    assert modes == (2, 1, 1)
    assert polygons.turning_points(3, density, torch.ones(5, dtype=torch.bool)) == []


def test_a_polygon_is_as_stable_as_its_softest_mode():
    """The square at a density beyond its edge: one mode lowers the loss, others raise it."""
    radius, bias, _ = polygons.best_polygon(4, [0.75])
    curvature, *_ = polygons.softest_modes(4, radius, bias, 0.75)
    assert curvature.min() < -1e-3 and curvature.max() > 1e-3
    least, mode = polygons.lowest_curvature(4, radius, bias, [0.75])
    assert not polygons.is_minimum(least).any()
    assert least.item() == curvature.min().item() and mode.item() == curvature.argmin()


def test_an_edge_needs_a_change():
    with pytest.raises(ValueError, match="different signs"):
        polygons.stability_edge(3, 0.5, 0.9)


def test_the_triangle_is_a_strict_minimum_and_the_optimum_at_density_1(generator):
    """Its least curvature is small there, but no more than elsewhere near: nothing degenerates."""
    radius, bias, value, _, _ = softest(3, 1.0)
    assert value == pytest.approx(0.00211, abs=1e-5)
    W, b = polygons.polygon(3, radius, bias)
    loss = population_loss(W, b, 1.0).item()
    assert loss < linear_optimum(torch.tensor(1.0), torch.ones(3), 2).item()
    noise = 0.01 * torch.randn(8, 3, 3, generator=generator, dtype=torch.float64)
    W, b = W + noise[:, :2], b + noise[:, 2]
    _, _, after, _ = polish(W, b, 1.0)
    assert torch.allclose(after, torch.full_like(after, loss), rtol=1e-9, atol=0)
    search = minimise(3, 2, 1.0, restarts=16)
    assert search.loss.item() == pytest.approx(loss, rel=1e-9)


def test_the_square_is_a_linear_model_at_density_1_and_flat():
    radius, bias, value, _, _ = softest(4, 1.0)
    assert (radius, bias) == (pytest.approx(0.5**0.5), pytest.approx(0.5))
    assert abs(value) < polygons.ROUNDING and not polygons.is_minimum(torch.tensor(value))


@pytest.mark.slow
def test_ten_corners_are_too_many_at_any_density():
    """However rare the features; nine become a minimum."""
    assert softest(10, 1e-4)[2] < -0.01
    assert softest(9, 1e-4)[2] > 0.01
    with pytest.raises(ValueError, match="2 to 10 corners"):
        polygons.softest_modes(11, 1.0, 0.0, 0.1)


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
    s2 = p / 3 - p**2 / 4
    value = polygons.stored_value(4, p, losses[4])
    assert torch.allclose(lowest[:1], (5 - value[:1]) * s2[:1])  # what is stored is saved
    fewer, size = polygons.best_with_dropped(3, losses, p)
    assert size.max() <= 3 and (fewer < lowest).all()
