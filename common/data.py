"""Sparse synthetic features: the inputs of every toy model.

Each feature is zero with probability S = 1 - p and uniform on [0, 1] otherwise; features, samples
and instances are independent (paper, "Demonstrating Superposition", the feature vector x).
"""

import numpy as np
import torch

from common.exact.checks import check_count, check_density, check_positive


class SparseFeatures:
    """Independent sparse features for a stack of instances.

    n_features : number of features n.
    density    : p = 1 - S in (0, 1]; a number, or one value per instance [instances].
    skip_empty : draw only inputs with at least one active feature. At p = 0.001 and n = 5 all but
                 0.5 % of inputs are empty and teach a model nothing beyond relu(b)^2, which
                 training adds exactly, weighted by 1 - `sampled_share`. Unbiased.

    Raises ValueError for a density outside (0, 1], a wrong shape or a wrong n_features.
    """

    def __init__(self, n_features, density, *, skip_empty=False):
        self.n_features = check_count(n_features, "n_features")
        density = check_density(density)
        if density.dim() > 1:
            raise ValueError(
                f"density must be a number or have shape [instances], got {list(density.shape)}"
            )
        self.density = density.reshape(-1)
        self.skip_empty = skip_empty

    @property
    def instances(self):
        """Number of instances sampled for."""
        return self.density.numel()

    @property
    def sampled_share(self):
        """Probability [instances] that an input is of the kind `sample` draws."""
        if not self.skip_empty:
            return torch.ones_like(self.density)
        return -torch.expm1(self.n_features * torch.log1p(-self.density))

    def generator(self, seed):
        """A generator for `sample`: numpy's fastest, faster than torch's."""
        return np.random.Generator(np.random.SFC64(seed))

    def sample(self, batch, generator=None, out=None):
        """Draw inputs x [instances, batch, n_features], float32 in [0, 1].

        generator is one of torch or one of numpy.

        One uniform draw u gives mask and value: the feature is active iff u < p, and 1 - u/p is
        then uniform. So x = relu(1 - u/p). The memory layout is feature-major ([instances, n,
        batch], returned as a transposed view), because batched matrix products are faster along a
        long last axis; `out` is such a tensor to write into instead of a new one.
        """
        batch = check_count(batch, "batch")
        if out is None:
            out = torch.empty(self.instances, self.n_features, batch)
        u = _uniform(generator, out)
        slope = (-1 / self.density).to(torch.float32)[:, None, None]
        if not self.skip_empty:
            return u.mul_(slope).add_(1).relu_().transpose(1, 2)
        first = self._first_active(batch, generator)
        feature = torch.arange(self.n_features, dtype=u.dtype)[:, None]
        # Comparisons give numbers, not booleans: those would be converted in every product.
        flag = torch.gt(feature, first, out=torch.empty_like(u))
        later = torch.mul(u, slope).add_(1).relu_().mul_(flag)
        return u.mul_(torch.eq(feature, first, out=flag)).add_(later).transpose(1, 2)

    def _first_active(self, batch, generator):
        """Number [instances, 1, batch] of the first active feature of inputs that are not empty.

        It is j with probability proportional to S^j p (a truncated geometric law). Given it, the
        features before it are zero, it is uniform itself, and those after it are as in the plain
        sampler.
        """
        share = self.sampled_share.to(torch.float32)[:, None, None]
        # -inf at density 1: the first is 0
        log_sparsity = torch.log1p(-self.density).to(torch.float32)[:, None, None]
        v = _uniform(generator, torch.empty(self.instances, 1, batch))
        first = v.mul_(-share).log1p_().div_(log_sparsity).floor_()
        return first.clamp_(0, self.n_features - 1)

    def stacked(self, instances):
        """The same data for a stack of `instances`: one density is repeated, several must fit."""
        if self.instances not in (1, instances):
            raise ValueError(f"{self.instances} densities do not fit {instances} instances")
        density = self.density.expand(instances)
        return SparseFeatures(self.n_features, density, skip_empty=self.skip_empty)

    def part(self, index):
        """The same data for the instances `index`, a slice."""
        return SparseFeatures(self.n_features, self.density[index], skip_empty=self.skip_empty)


def _uniform(generator, out):
    """Fill `out` (contiguous, float32) with uniform numbers in [0, 1) and return it."""
    if isinstance(generator, np.random.Generator):
        generator.random(out=out.numpy(), dtype=np.float32)
        return out
    return torch.rand(out.shape, generator=generator, out=out)


def importance_decay(n_features, factor):
    """Importances I_i = factor^i [n_features] for i = 0, 1, ... (paper: 0.9^i, 0.7^i)."""
    n_features = check_count(n_features, "n_features")
    check_positive(factor, "the decay factor")
    return float(factor) ** torch.arange(n_features, dtype=torch.float64)
