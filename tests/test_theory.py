"""The closed forms: each candidate's loss is the exact loss of its weights, boundaries are ties."""

import pytest
import torch

from common.exact import population_loss
from common.theory import (
    DEDICATED,
    DROPPED,
    OTHERS_PAIRED,
    PAIRED,
    candidate_losses,
    linear_loss_terms,
    linear_optimum,
    phase_boundary,
)

# W of each candidate, and which features are dropped.
WEIGHTS = {
    1: {DROPPED: ([[1, 0]], [1]), DEDICATED: ([[0, 1]], [0]), PAIRED: ([[1, -1]], [])},
    2: {
        DROPPED: ([[1, 0, 0], [0, 1, 0]], [2]),
        DEDICATED: ([[0, 0, 1], [0, 1, 0]], [0]),
        PAIRED: ([[1, 0, 0], [0, 1, -1]], []),
        OTHERS_PAIRED: ([[1, -1, 0], [0, 0, 1]], []),
    },
}


@pytest.mark.parametrize("m", [1, 2])
@pytest.mark.parametrize("p", [1.0, 0.4, 0.03])
@pytest.mark.parametrize("r", [0.1, 1.0, 7.0])
def test_candidate_losses_are_exact_losses_of_their_weights(m, p, r):
    importance = torch.ones(m + 1, dtype=torch.float64)
    importance[-1] = r
    for name, loss in candidate_losses(p, r, m).items():
        W, dropped = WEIGHTS[m][name]
        b = torch.zeros(m + 1, dtype=torch.float64)
        b[dropped] = p / 2
        exact = population_loss(torch.tensor(W, dtype=torch.float64), b, p, importance)
        assert loss.item() == pytest.approx(exact.item(), rel=1e-12)


def test_feature_benefit_and_interference_add_up_to_the_linear_loss(generator):
    W = torch.randn(4, 2, 5, generator=generator, dtype=torch.float64)
    b = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    importance = torch.rand(5, generator=generator, dtype=torch.float64)
    p = torch.tensor([1.0, 0.5, 0.1, 0.01], dtype=torch.float64)
    terms = linear_loss_terms(W, b, p, importance)
    loss = population_loss(W, b, p, importance, output="linear")
    assert torch.allclose(sum(terms), loss, rtol=1e-12)
    assert all((term >= 0).all() for term in terms)


@pytest.mark.parametrize("m", [1, 2])
def test_boundaries_are_ties_of_the_two_best_candidates(m):
    r = torch.tensor([0.1, 0.5, 0.99, 1.01, 3.0, 10.0], dtype=torch.float64)
    boundary = phase_boundary(r, m)
    losses = torch.stack(list(candidate_losses(boundary, r, m).values())).sort(0).values
    assert torch.allclose(losses[0], losses[1], rtol=1e-12)
    for factor, superposed in ((0.99, True), (1.01, False)):
        candidates = candidate_losses(factor * boundary, r, m)
        names = list(candidates)
        best = [names[i] for i in torch.stack(list(candidates.values())).argmin(0)]
        assert all((name in (PAIRED, OTHERS_PAIRED)) == superposed for name in best)


def test_the_triple_point():
    assert phase_boundary(1.0, 1).item() == pytest.approx(4 / 7)
    assert phase_boundary(1.0, 2).item() == pytest.approx(4 / 7)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="1 or 2 hidden dimensions, got 3"):
        candidate_losses(0.1, 1.0, 3)
    with pytest.raises(ValueError, match="1 or 2 hidden dimensions, got 0"):
        phase_boundary(1.0, 0)
    with pytest.raises(ValueError, match=r"density must lie in \(0, 1\], got 0"):
        linear_optimum(0.0, [1.0], 1)


def test_linear_optimum_takes_importances_of_every_cell():
    importance = torch.tensor([[1.0, 0.2, 3.0], [0.5, 0.4, 0.3]], dtype=torch.float64)
    density = torch.tensor([1.0, 0.1], dtype=torch.float64)
    loss = linear_optimum(density, importance, 2)
    assert loss.tolist() == pytest.approx([0.2 / 12, 0.3 * (0.1 / 3 - 0.01 / 4)])
