"""Sparse synthetic features: the inputs of every toy model.

Each feature is zero with probability S = 1 - p and uniform on [0, 1] otherwise; features, samples
and instances are independent (paper, "Demonstrating Superposition", the feature vector x).
"""

from copy import copy

import numpy as np
import torch

from common.exact.checks import (
    check_count,
    check_density,
    check_feature_density,
    check_positive,
)
from common.steps.compiled import stacked_inputs


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
        # [instances] where all features of an instance share it
        self.density = p[:, 0] if (p == p[:, :1]).all() else p
        self.skip_empty = skip_empty

    @property
    def instances(self):
        """Number of instances sampled for."""
        return len(self.density)

    @property
    def active_share(self):
        """Probability [instances] that an input has an active feature."""
        return -torch.expm1(torch.log1p(-self._densities()).sum(1))

    @property
    def sampled_share(self):
        """Probability [instances] that an input is of the kind `sample` draws."""
        if not self.skip_empty:
            return torch.ones(self.instances, dtype=torch.float64)
        if not draws_itself(self):
            raise ValueError("a sample method of your own has its empty inputs: skip_empty=False")
        return self.active_share

    def sample(self, batch, generator=None):
        """Draw inputs x [instances, batch, n_features], float32 in [0, 1], with a torch generator.

        They lie feature by feature, [instances, n, batch] in memory, and are a transposed view.
        """
        batch = check_count(batch, "batch")
        u = torch.rand(self.instances, self.n_features, batch, generator=generator)
        v = torch.zeros(self.instances, batch)
        if self.skip_empty:
            v = torch.rand(v.shape, generator=generator)
        stacked_inputs(u.numpy(), v.numpy(), *self.law(self.skip_empty))
        return u.transpose(1, 2)

    def law(self, not_empty):
        """What `steps.inputs` needs: slope [instances, n] and before [instances, n + 1], float32.

        not_empty : for inputs that are not empty. The first active feature is then j with
        probability proportional to p_j times the product of 1 - p over the features before it.
        """
        p = self._densities()
        before = torch.full((self.instances, self.n_features + 1), 2, dtype=torch.float64)
        if not_empty:
            up_to = -torch.expm1(torch.log1p(-p).cumsum(1))
            before[:, 0], before[:, 1:-1] = 0, up_to[:, :-1] / up_to[:, -1:]
        return (-1 / p).numpy().astype(np.float32), before.numpy().astype(np.float32)

    def _densities(self):
        """Densities [instances, n] of all features."""
        return self.density.reshape(self.instances, -1).expand(-1, self.n_features)

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


def draws_itself(data):
    """Whether data are SparseFeatures, also with densities of a class of its own, drawn as here."""
    return getattr(type(data), "sample", None) is SparseFeatures.sample


def importance_decay(n_features, factor):
    """Importances [n_features] of features i = 1, 2, ...: I_i = factor^(i-1).

    (The authors' notebook, with 0.9^i and 0.7^i, counts from 0.)
    """
    n_features = check_count(n_features, "n_features")
    check_positive(factor, "the decay factor")
    return float(factor) ** torch.arange(n_features, dtype=torch.float64)
