"""Outcomes, sectors of starts and their probabilities, against counting, symmetry and theory."""

import math

import numpy as np
import pytest
import torch

from common.phases import basins, diagram
from common.phases.basins import OUTCOMES
from common.phases.diagram import PHASES

DROPPED, DEDICATED, PAIRED, OTHER = range(4)


def models(w):
    return torch.tensor(w, dtype=torch.float64)[:, None]


def test_outcomes_are_named_after_the_weights():
    w = [(1, 0.005), (-1, 0), (0, 1), (0.9, -0.02), (-0.3, 1), (0.2, 1), (0.005, -0.005)]
    expected = [DROPPED, DROPPED, DEDICATED, PAIRED, PAIRED, OTHER, OTHER]
    assert basins.outcome(models(w)).tolist() == expected


def test_names_are_those_of_the_phase_diagram_where_both_apply():
    """All but short weights, which the diagram rounds to 0."""
    angle = torch.linspace(0, 2 * torch.pi, 101, dtype=torch.float64)[:-1] + 0.01
    exact = models([(1, 0), (0, 1), (0, -1), (-1, 0)])
    W = torch.cat([torch.stack([angle.cos(), angle.sin()], -1)[:, None], exact])
    short = (W.abs().amin((-1, -2)) / W.abs().amax((-1, -2))) < math.tan(torch.pi / 8)
    named = [OUTCOMES[k] for k in basins.outcome(W).tolist()]
    phases = [PHASES[k] for k in diagram.phase(W).tolist()]
    kept = [not s or k >= 100 for k, s in enumerate(short)]
    pairs = [(a, b) for a, b, keep in zip(named, phases, kept, strict=True) if keep]
    assert len(pairs) > 50 and all(a == b for a, b in pairs)


@pytest.mark.slow
def test_sectors_are_the_shares_of_many_starts():
    """A cell with three outcomes: 400 directions on half a circle, each weighing 0.0025."""
    share = basins.sectors([0.8], 0.05, 1.5, 0.01)
    angle = math.pi * (torch.arange(400, dtype=torch.float64) + 0.5) / 400
    w = 0.8 * torch.stack([angle.cos(), angle.sin()], -1)
    counted = np.bincount(basins.selected(w, 0.05, 1.5, 0.01), minlength=4) / 400
    assert (counted > 0.05).sum() == 3
    assert np.abs(share[0, 0].numpy() - counted).max() <= 4 * 0.0025 / 2


def test_bisection_finds_the_border_to_its_last_halving(monkeypatch):
    """Borders planted at known angles, one of them across the half turn."""
    borders = (0.3, 1.1, 2.9)

    def planted(w, *cell):
        angle = torch.atan2(w[..., 1], w[..., 0]) % math.pi
        code = sum((angle > border).long() for border in borders)
        return torch.where(code == 3, 0, code)

    monkeypatch.setattr(basins, "selected", planted)
    share = basins.sectors([0.5, 2.0], 0.5, torch.tensor([1.0, 2.0]), angles=16, halvings=12)
    expected = torch.tensor([0.3 + math.pi - 2.9, 0.8, 1.8, 0]) / math.pi
    assert share.shape == (2, 2, 4)
    assert (share - expected).abs().max() < 2 / 16 / 2**12


def test_exchanging_equal_features_exchanges_their_outcomes():
    share = basins.sectors([0.3, 1.0], 0.05, 1.0, 0.01, angles=24)[0]
    assert (share[:, DROPPED] > 0.1).all()
    assert (share[:, DROPPED] - share[:, DEDICATED]).abs().max() < 1 / 24 / 2**7
    assert torch.allclose(share.sum(-1), torch.ones(2, dtype=torch.float64))


@pytest.mark.slow
def test_from_tiny_weights_the_pair_is_missed_by_the_square_of_the_density():
    """r = 1: half of the starts but for p^2 / (2 pi), to leading order (see the notebook)."""
    for p in (0.1, 0.2):
        pair = basins.sectors([0.01], p, 1.0, angles=16, halvings=12)[0, 0, PAIRED].item()
        assert (0.5 - pair) / (p**2 / (2 * math.pi)) == pytest.approx(1, abs=0.1)


def test_probabilities_are_means_over_the_normal_distribution():
    """A share that is 1 inside a radius of 0.7 has the Rayleigh distribution's probability, up to
    the interpolation between two radii; and a draw of 10^5 starts agrees within 4 standard errors.
    """
    radii = torch.logspace(-2, 1, 400, dtype=torch.float64)
    inside = (radii <= 0.7).double()
    share = torch.stack([inside, 1 - inside], -1)
    for sigma in (0.3, 1.0):
        found = basins.probabilities(sigma, radii, share)
        assert found[0].item() == pytest.approx(1 - math.exp(-0.49 / 2 / sigma**2), abs=5e-3)
        assert found.sum().item() == pytest.approx(1, abs=1e-12)
    smooth = torch.stack([radii.log().sin() ** 2, radii.log().cos() ** 2], -1)
    w = 0.5 * torch.randn(10**5, 2, generator=torch.Generator().manual_seed(0)).double()
    drawn = w.norm(dim=-1).log().sin() ** 2
    found = basins.probabilities(0.5, radii, smooth)[0]
    assert abs(found - drawn.mean()) < 4 * drawn.std() / 10**2.5


def test_shares_are_interpolated_in_the_logarithm_of_the_radius():
    """A share that is linear in it, from three circles: the logarithm has a mean in closed form."""
    radii = torch.tensor([1e-6, 1e-1, 1e4], dtype=torch.float64)
    share = torch.tensor([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]], dtype=torch.float64)
    for sigma in (0.1, 0.8):
        mean = math.log(sigma) + (math.log(2) - np.euler_gamma) / 2
        expected = (mean - math.log(1e-6)) / math.log(1e10)
        found = basins.probabilities(sigma, radii, share)
        assert found.tolist() == pytest.approx([expected, 1 - expected], abs=1e-4)


@pytest.mark.slow
def test_starts_that_do_not_come_to_rest_are_not_named():
    with pytest.raises(RuntimeError, match="have not come to rest"):
        basins.selected(torch.tensor([[0.5, 0.4]]).double(), 0.5, 1.5, rounds=5)
