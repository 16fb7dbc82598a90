"""Models chosen by the first terms of the loss: held against the whole loss and known minima."""

import pytest
import torch

from common.data import importance_decay
from common.exact import loss_by_active_features, minimise, population_loss
from common.exact.truncated import minimise_up_to

DENSITY = torch.tensor([0.5, 0.05], dtype=torch.float64)
IMPORTANCE = importance_decay(3, 0.8)


def test_with_all_terms_it_is_the_whole_loss():
    W, b = minimise_up_to(3, 3, 2, DENSITY, IMPORTANCE, restarts=16)
    best = minimise(3, 2, DENSITY, IMPORTANCE, restarts=16)
    assert torch.allclose(population_loss(W, b, DENSITY, IMPORTANCE), best.loss, rtol=1e-6)


@pytest.mark.parametrize("most", [1, 2])
def test_no_model_has_lower_first_terms(most):
    def first_terms(W, b):
        return loss_by_active_features(W, b, DENSITY, IMPORTANCE)[: most + 1].sum(0)

    chosen = first_terms(*minimise_up_to(most, 3, 2, DENSITY, IMPORTANCE, restarts=16))
    best = minimise(3, 2, DENSITY, IMPORTANCE, restarts=16)
    assert (chosen <= first_terms(best.W, best.b) + 1e-9).all()


def test_three_features_in_two_dimensions_have_no_loss_when_alone():
    """Any two at 90 degrees or more interfere negatively only: L_0 + L_1 can be 0."""
    W, b = minimise_up_to(1, 3, 2, DENSITY, IMPORTANCE, restarts=16)
    terms = loss_by_active_features(W, b, DENSITY, IMPORTANCE)[:2].sum(0)
    assert (terms < 1e-9 * DENSITY).all()


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="most must lie between 0 and 3, got -1"):
        minimise_up_to(-1, 3, 2, DENSITY, IMPORTANCE, restarts=2)
    with pytest.raises(ValueError, match="restarts must be a whole number of at least 1, got 0"):
        minimise_up_to(1, 3, 2, [0.1], [1.0, 1.0, 1.0], restarts=0)
    with pytest.raises(ValueError, match="at most 5 features, got 6"):
        minimise_up_to(1, 6, 2, DENSITY, importance_decay(6, 0.8), restarts=2)
