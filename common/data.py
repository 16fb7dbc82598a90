"""Sparse synthetic features: the inputs of every toy model.

Each feature is zero with probability S = 1 - p and uniform on [0, 1] otherwise; features, samples
and instances are independent (paper, "Demonstrating Superposition", the feature vector x).
"""

from copy import copy
from inspect import signature

import numpy as np
import torch

from common.exact.checks import (
    check_count,
    check_density,
    check_feature_density,
    check_positive,
)


class SparseFeatures:
    """Independent sparse features for a stack of instances.

    n_features : number of features n.
    density    : p = 1 - S in (0, 1]; a number, or one value per instance [instances].
    per_feature: the last axis of density is the features' own: [n] or [instances, n].
    skip_empty : draw only inputs with at least one active feature. At p = 0.001 and n = 5 all but
                 0.5 % of inputs are empty and teach a model nothing beyond relu(b)^2, which
                 training adds exactly, weighted by 1 - `sampled_share`. Unbiased.

    Raises ValueError for a density outside (0, 1], a wrong shape or a wrong n_features.
    """

    def __init__(self, n_features, density, *, per_feature=False, skip_empty=False):
        self.n_features = n = check_count(n_features, "n_features")
        density = check_density(density)
        cells = density.shape[:-1] if per_feature else density.shape
        if len(cells) > 1:
            axes = "[n] or [instances, n]" if per_feature else "[] or [instances]"
            raise ValueError(f"density must have shape {axes}, got {list(density.shape)}")
        p = check_feature_density(density, cells, n, per_feature).reshape(-1, n)
        # [instances] where all features of an instance share it, which is drawn faster
        self.density = p[:, 0] if (p == p[:, :1]).all() else p
        self.skip_empty = skip_empty

    @property
    def instances(self):
        """Number of instances sampled for."""
        return len(self.density)

    @property
    def sampled_share(self):
        """Probability [instances] that an input is of the kind `sample` draws."""
        if not self.skip_empty:
            return torch.ones(self.instances, dtype=torch.float64)
        if type(self).sample is not SparseFeatures.sample:
            raise ValueError("a sample method of your own has its empty inputs: skip_empty=False")
        inactive = torch.log1p(-self.density)
        return -torch.expm1(inactive.sum(-1) if inactive.dim() > 1 else self.n_features * inactive)

    def generator(self, seed):
        """A generator for `sample`: numpy's fastest; torch's for a `sample` without `out`."""
        if fills(self):
            return np.random.Generator(np.random.SFC64(seed))
        return torch.Generator().manual_seed(seed)

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
        slope = self._columns(-1 / self.density)
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

        It is j with probability proportional to S^j p (a truncated geometric law) where densities
        are equal. Given it, the features before it are zero, it is uniform itself, and those after
        it are as in the plain sampler.
        """
        share = self.sampled_share.to(torch.float32)[:, None, None]
        inactive = torch.log1p(-self.density)  # -inf at density 1: the first is 0
        v = _uniform(generator, torch.empty(self.instances, 1, batch))
        if inactive.dim() == 1:
            first = v.mul_(-share).log1p_().div_(self._columns(inactive)).floor_()
        else:
            up_to = -torch.expm1(inactive.cumsum(-1))  # that one of the first 1, 2, ... is active
            up_to, v = up_to.to(torch.float32), v.mul_(share)[:, 0]
            first = torch.searchsorted(up_to, v, right=True)[:, None].to(v.dtype)
        return first.clamp_(0, self.n_features - 1)

    def _columns(self, value):
        """`value` [instances] or [instances, n] as float32 for arrays [instances, n, batch]."""
        return value.to(torch.float32).reshape(self.instances, -1, 1)

    def stacked(self, instances):
        """The same data for a stack of `instances`: one density is repeated, several must fit."""
        if self.instances not in (1, instances):
            raise ValueError(f"{self.instances} densities do not fit {instances} instances")
        return self._of(self.density.expand(instances, *self.density.shape[1:]))

    def part(self, index):
        """The same data for the instances `index`, a slice."""
        return self._of(self.density[index])

    def _of(self, density):
        """The same data, of the same class, with other densities."""
        other = copy(self)
        other.density = density
        return other


def fills(data):
    """Whether data.sample can write into a tensor `out`; a method of one's own need not."""
    return "out" in signature(data.sample).parameters


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
