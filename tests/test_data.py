"""Sparse features: marginals, independence of the masks, the sampler that skips empty inputs.

Statistical tests compare a mean of N draws with its exact value at 5 standard errors. Seeds are
fixed; were they not, a test of k comparisons would fail by chance with probability 6e-7 k.
"""

from itertools import product

import numpy as np
import pytest
import torch

from common.data import SparseFeatures, importance_decay

SIGMAS = 5


def close(estimate, exact, variance, count):
    """Whether means of `count` draws lie within 5 standard errors of their exact values."""
    return (
        np.abs(np.asarray(estimate) - exact) <= SIGMAS * np.sqrt(np.asarray(variance) / count)
    ).all()


def test_shape_type_and_range(generator):
    x = SparseFeatures(7, [1.0, 0.3, 0.01]).sample(50, generator)
    assert x.shape == (3, 50, 7)
    assert x.dtype == torch.float32
    assert ((x >= 0) & (x <= 1)).all()


def test_a_number_as_density_means_one_instance(generator):
    assert SparseFeatures(4, 0.5).sample(3, generator).shape == (1, 3, 4)


@pytest.mark.parametrize("p", [1.0, 0.3, 0.01])
def test_density_mean_and_second_moment(p, generator):
    x = SparseFeatures(5, p).sample(200_000, generator).double().flatten()
    count = x.numel()
    assert close((x > 0).double().mean(), p, p * (1 - p) + 1e-9, count)
    assert close(x.mean(), p / 2, p / 3, count)
    assert close((x**2).mean(), p / 3, p / 5, count)


def test_active_values_are_uniform(generator):
    x = SparseFeatures(1, 0.2).sample(200_000, generator).flatten()
    values = x[x > 0].double().numpy()
    share = np.histogram(values, bins=20, range=(0, 1))[0] / len(values)
    assert close(share, 0.05, 0.05 * 0.95, len(values))


def pairs_of(mask):
    """Correlation estimates between masks along samples, features and instances; each near 0.

    mask [instances, samples, features] of one density p: the product of two independent centred
    masks has mean 0 and variance (p (1 - p))^2.
    """
    p = 0.1
    centred = (mask.double() - p) / (p * (1 - p)) ** 0.5
    yield "neighbouring samples", centred[:, 1:] * centred[:, :-1]
    yield "features", centred[:, :, 1:] * centred[:, :, :-1]
    yield "first and last feature", centred[:, :, 0] * centred[:, :, -1]
    yield "instances", centred[1:] * centred[:-1]


def test_masks_are_independent_across_samples_features_and_instances(generator):
    x = SparseFeatures(5, torch.full((4,), 0.1)).sample(50_000, generator)
    for name, products in pairs_of(x > 0):
        assert close(products.mean(), 0, 1, products.numel()), name


def test_the_independence_test_notices_a_shared_mask(generator):
    """A mask shared by all features of an input (a broadcasting slip) must not pass."""
    shared = (torch.rand(4, 50_000, 1, generator=generator) < 0.1).expand(4, 50_000, 5)
    failed = [n for n, products in pairs_of(shared) if not close(products.mean(), 0, 1, 50_000)]
    assert "features" in failed


@pytest.mark.parametrize("p", [1.0, 0.5, 0.1, 0.001])
def test_skipping_empty_inputs_is_the_conditional_distribution(p, generator):
    """Every moment of the plain law is the sampled share times that of the conditional one."""
    n, count = 4, 200_000
    data = SparseFeatures(n, p, skip_empty=True)
    x = data.sample(count, generator)[0].double()
    share = data.sampled_share.item()
    assert share == pytest.approx(1 - (1 - p) ** n, rel=1e-12)
    assert (x > 0).any(1).all()

    active = (x > 0).double()
    assert close(share * active.mean(0), p, share * p, count)  # no feature is favoured
    assert close(share * x.mean(0), p / 2, share * p / 3, count)
    both = share * (active[:, 0] * active[:, 3]).mean()
    assert close(both, p**2, share * p**2, count)
    exactly_one = share * (active.sum(1) == 1).double().mean()
    assert close(exactly_one, n * p * (1 - p) ** (n - 1), share, count)


def test_skipping_empty_inputs_agrees_with_the_plain_sampler(generator):
    """The same functional, E max(x), by both routes; difference within 5 standard errors."""
    p, n, count = 0.2, 3, 200_000
    plain = SparseFeatures(n, p).sample(count, generator)[0].double().max(1).values
    data = SparseFeatures(n, p, skip_empty=True)
    conditional = data.sample(count, generator)[0].double().max(1).values
    share = data.sampled_share.item()
    variance = plain.var() + share**2 * conditional.var()
    assert close(plain.mean() - share * conditional.mean(), 0, variance, count)


@pytest.mark.parametrize("skip_empty", [False, True])
def test_a_density_of_each_feature(skip_empty, generator):
    """Two instances; every set of active features is as frequent as it should be."""
    p, count = torch.tensor([[0.5, 0.02, 1.0], [0.1, 0.3, 0.01]]).double(), 200_000
    data = SparseFeatures(3, p, per_feature=True, skip_empty=skip_empty)
    x = data.sample(count, generator).double()
    share = data.sampled_share.numpy()
    assert share == pytest.approx((1 - (1 - p).prod(1)).numpy() if skip_empty else 1, rel=1e-12)
    for active in product([0, 1], repeat=3):
        chance = torch.where(torch.tensor(active) > 0, p, 1 - p).prod(1).numpy()
        if skip_empty and not any(active):
            chance = np.zeros(2)
        found = ((x > 0) == torch.tensor(active)).all(2).double().mean(1).numpy()
        assert close(share * found, chance, share * chance, count)
    moment = share[:, None] * p.numpy() / 3
    assert close(share[:, None] * x.mean(1).numpy(), p.numpy() / 2, moment, count)


class Copies(SparseFeatures):
    """All features of an input are the same."""

    def sample(self, batch, generator=None):
        return super().sample(batch, generator)[..., :1].expand(-1, -1, self.n_features)


def test_a_distribution_of_ones_own_stays_itself():
    data = Copies(3, 0.5).stacked(4).part(slice(1, 3))
    assert type(data) is Copies and data.instances == 2
    x = data.sample(50, torch.Generator().manual_seed(0))
    assert torch.equal(x[..., 0], x[..., 2]) and 0 < (x > 0).float().mean() < 1
    with pytest.raises(ValueError, match="a sample method of your own has its empty inputs"):
        _ = Copies(3, 0.5, skip_empty=True).sampled_share


def test_part_of_a_stack_keeps_densities_and_sampler():
    data = SparseFeatures(3, [0.5, 0.2, 0.1], skip_empty=True).part(slice(1, 3))
    assert data.density.tolist() == [0.2, 0.1]
    assert data.skip_empty
    assert data.sample(4).shape == (2, 4, 3)


def test_same_seed_same_inputs():
    draws = [SparseFeatures(3, 0.4).sample(9, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*draws)


@pytest.mark.parametrize("density", [0, -0.1, 1.5, float("nan"), float("inf"), [0.5, 0.0]])
def test_a_density_outside_the_range_is_named(density):
    with pytest.raises(ValueError, match=r"density must lie in \(0, 1\], got"):
        SparseFeatures(5, density)


def test_other_bad_input():
    with pytest.raises(ValueError, match=r"shape \[\] or \[instances\], got \[2, 2\]"):
        SparseFeatures(5, torch.full((2, 2), 0.5))
    with pytest.raises(ValueError, match=r"must have shape \[\.\.\., 5\], got \[2\]"):
        SparseFeatures(5, [0.5, 0.5], per_feature=True)
    with pytest.raises(ValueError, match="n_features must be a whole number of at least 1, got 0"):
        SparseFeatures(0, 0.5)
    with pytest.raises(ValueError, match="batch must be a whole number of at least 1, got -3"):
        SparseFeatures(2, 0.5).sample(-3)
    with pytest.raises(ValueError, match="2 densities do not fit 3 instances"):
        SparseFeatures(2, [0.5, 0.5]).stacked(3)
    with pytest.raises(ValueError, match="decay factor must be positive and finite, got -1"):
        importance_decay(3, -1)


def test_importance_decay():
    assert importance_decay(4, 0.5).tolist() == [1, 0.5, 0.25, 0.125]
