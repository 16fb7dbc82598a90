"""The landscape of two features in one dimension, against quadrature and scipy."""

import pytest
import torch
from two_features import best_pair, loss_at, variance

from common.exact import minimise
from common.phases import diagram, landscape


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("p", [0.2, 0.6, 0.95])
def test_linear_minimum_loses_its_stability_where_the_expansion_says(p):
    edge = landscape.linear_is_stable_from(p).item()
    assert loss_at(1e-3, p, 0.99 * edge) < variance(p) < loss_at(1e-3, p, 1.01 * edge)
    assert landscape.linear_is_stable_above(edge).item() == pytest.approx(p, abs=1e-9)


@pytest.mark.parametrize("p", [0.3, 0.5, 0.6, 0.8, 0.9])
def test_cubic_coefficient_is_that_of_the_loss(p):
    """By the third power of three small weights, extrapolated to 0."""
    r = landscape.linear_is_stable_from(p).item()
    k = [(loss_at(a, p, r) / variance(p) - 1) / a**3 for a in (0.04, 0.02, 0.01)]
    expected = (8 * k[2] - 6 * k[1] + k[0]) / 3
    assert landscape.cubic_coefficient(p).item() == pytest.approx(expected, abs=1e-5)


def test_tricritical_points():
    """Roots of the resultant, a polynomial, found once by computer algebra to 20 digits."""
    lower, upper = landscape.tricritical(0.4, 0.7), landscape.tricritical(0.7, 0.98)
    assert lower == pytest.approx((1.742033093819, 0.520247736799), abs=1e-11)
    assert upper == pytest.approx((1.115522869746, 0.837319580135), abs=1e-11)
    assert landscape.tricritical(0.6, 0.7) is None


def test_landscape_is_the_least_loss_at_a_weight():
    weights, p, r = torch.tensor([0.1, 0.5, 0.9]), 0.55, 1.4  # float32
    found = landscape.landscape(weights, [p], r)[:, 0]
    expected = [loss_at(a, p, r) for a in weights.tolist()]
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


def test_each_density_of_a_landscape_has_its_own_relative_importance():
    weights, densities, ratios = tensor(0.2, 0.6, 0.9), tensor(0.3, 0.8), tensor(1.2, 3.0)
    found = landscape.landscape(weights, densities, ratios)
    expected = [[loss_at(a, p, r) for p, r in ((0.3, 1.2), (0.8, 3.0))] for a in (0.2, 0.6, 0.9)]
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=1e-9, atol=0)


def test_landscape_minimum_is_the_exact_minimum():
    a = torch.linspace(0.0, 1.2, 241, dtype=torch.float64)
    p, r = tensor(0.3), tensor(2.0)
    exact = minimise(2, 1, p, diagram.importances(r, 2), restarts=8).loss
    assert landscape.landscape(a, p, r).min().item() == pytest.approx(exact.item(), rel=1e-4)


def test_basin_has_the_second_weight_upwards():
    """The dedicated extra feature, (0, 1), costs less than the dropped one, (1, 0), at r = 3."""
    axis = tensor(0.0, 1.0)
    loss = landscape.basin(axis, axis, 0.9, 3.0)
    assert loss[1, 0].item() == pytest.approx(0.9 / 3 - 0.81 / 4, rel=1e-6)
    assert loss[0, 1].item() == pytest.approx(3 * (0.9 / 3 - 0.81 / 4), rel=1e-6)


# --- where superposition begins to pay ---

KNOWN = {2.0: 0.4846, 5.0: 0.2956, 10.0: 0.1812}


@pytest.mark.slow
def test_exact_boundary_is_known():
    found = landscape.exact_boundary(list(KNOWN))
    assert found.tolist() == pytest.approx(list(KNOWN.values()), abs=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("r", [1.05, 1.8, 2.0, 5.0, 10.0, 100.0])
def test_a_pair_pays_below_the_exact_boundary_and_not_above(r):
    """Where it begins in a jump, to the accuracy stated."""
    edge = landscape.exact_boundary(r).item()
    for factor, pays in ((1 - 2e-6, True), (1 + 2e-6, False)):
        p = factor * edge
        assert (best_pair(p, r)[1] < (1 - 1e-12) * variance(p)) == pays


def test_the_onset_between_the_tricritical_points_is_continuous():
    r = 1.3
    edge = landscape.exact_boundary(r).item()
    assert edge == landscape.linear_is_stable_above(r).item()
    weights = [abs(best_pair(factor * edge, r)[0][0]) for factor in (0.99, 0.999, 0.9999)]
    assert weights[0] > 4 * weights[1] > 16 * weights[2] > 0


@pytest.mark.slow
def test_which_feature_is_the_extra_one_does_not_matter():
    r, mirrored = tensor(1.0, 1.3, 2.0, 10.0), 1 / tensor(1.0, 1.3, 2.0, 10.0)
    for edge in (landscape.exact_boundary, landscape.linear_is_stable_above):
        torch.testing.assert_close(edge(mirrored), edge(r), rtol=1e-12, atol=0)


@pytest.mark.slow
def test_superposition_pays_at_every_density_in_the_corner():
    corner = landscape.corner()
    assert best_pair(1.0, corner - 1e-5)[1] < (1 - 1e-12) / 12
    assert best_pair(1.0, corner + 1e-5)[1] > (1 - 1e-12) / 12
    assert landscape.exact_boundary(1.005) == 1 > landscape.exact_boundary(1.02)


@pytest.mark.parametrize("r", [0.0, -1.0, float("inf"), float("nan")])
def test_relative_importances_must_be_positive(r):
    for edge in (landscape.exact_boundary, landscape.linear_is_stable_above):
        with pytest.raises(ValueError, match="relative importances must be positive"):
            edge([2.0, r])
