"""Sparse synthetic features: the inputs of every toy model.

Each feature is zero with probability S = 1 - p and uniform on [0, 1] otherwise; features, samples
and instances are independent (paper, "Demonstrating Superposition", the feature vector x).
"""

import torch

from common.checks import check_count, check_density, check_positive


class SparseFeatures:
    """Independent sparse features for a stack of instances.

    n_features : number of features n.
    density    : p = 1 - S in (0, 1]; a number, or one value per instance [instances].
    skip_empty : draw only inputs with at least one active feature. At p = 0.001 and n = 5 all but
                 0.5 % of inputs are empty and teach a model nothing beyond relu(b)^2, which
                 training adds exactly, weighted by 1 - `sampled_share`. Unbiased.

    Raises ValueError for a density outside (0, 1], a wrong shape or a wrong n_features.
    """

    def __init__(self, n_features, density, *, skip_empty=False, device="cpu"):
        self.n_features = check_count(n_features, "n_features")
        density = check_density(density)
        if density.dim() > 1:
            raise ValueError(
                f"density must be a number or have shape [instances], got {list(density.shape)}"
            )
        self.density = density.reshape(-1).to(device)
        self.skip_empty = skip_empty

    @property
    def instances(self):
        """Number of instances sampled for."""
        return self.density.numel()

    @property
    def device(self):
        """Device the samples are drawn on."""
        return self.density.device

    @property
    def sampled_share(self):
        """Probability [instances] that an input is of the kind `sample` draws."""
        if not self.skip_empty:
            return torch.ones_like(self.density)
        return -torch.expm1(self.n_features * torch.log1p(-self.density))

    def sample(self, batch, generator=None, out=None):
        """Draw inputs x [instances, batch, n_features], float32 in [0, 1].

        One uniform draw u gives mask and value: the feature is active iff u < p, and 1 - u/p is
        then uniform. So x = relu(1 - u/p). The memory layout is feature-major ([instances, n,
        batch], returned as a transposed view), because batched matrix products are faster along a
        long last axis; `out` is such a tensor to write into instead of a new one.
        """
        batch = check_count(batch, "batch")
        shape = (self.instances, self.n_features, batch)
        if out is None:
            out = torch.empty(shape, device=self.device)
        u = torch.rand(shape, generator=generator, device=self.device, out=out)
        first = self._first_active(batch, generator) if self.skip_empty else None
        value = None if first is None else u.gather(1, first)
        slope = (-1 / self.density).to(torch.float32)[:, None, None]
        x = torch.mul(u, slope, out=out).add_(1).relu_()
        if first is not None:
            feature = torch.arange(self.n_features, device=self.device)[None, :, None]
            x.mul_(feature > first).scatter_(1, first, value)
        return x.transpose(1, 2)

    def _first_active(self, batch, generator):
        """Index [instances, 1, batch] of the first active feature of inputs that are not empty.

        It is j with probability proportional to S^j p (a truncated geometric law). Given it, the
        features before it are zero, it is uniform itself, and those after it are as in the plain
        sampler.
        """
        share = self.sampled_share[:, None]
        log_sparsity = torch.log1p(-self.density)[:, None]  # -inf at density 1: the first is 0
        v = torch.rand(self.instances, batch, generator=generator, device=self.device)
        first = torch.floor(torch.log1p(-v * share) / log_sparsity)
        return first.clamp_(0, self.n_features - 1).to(torch.int64)[:, None]

    def stacked(self, instances):
        """The same data for a stack of `instances`: one density is repeated, several must fit."""
        if self.instances not in (1, instances):
            raise ValueError(f"{self.instances} densities do not fit {instances} instances")
        density = self.density.expand(instances)
        return SparseFeatures(
            self.n_features, density, skip_empty=self.skip_empty, device=self.device
        )


def importance_decay(n_features, factor):
    """Importances I_i = factor^i [n_features] for i = 0, 1, ... (paper: 0.9^i, 0.7^i)."""
    n_features = check_count(n_features, "n_features")
    check_positive(factor, "the decay factor")
    return float(factor) ** torch.arange(n_features, dtype=torch.float64)


def feature_variance(density):
    """Variance p/3 - p^2/4 [...] of a feature of density p [...]: E x^2 = p/3, E x = p/2."""
    return density / 3 - density**2 / 4
