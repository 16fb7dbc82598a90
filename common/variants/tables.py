"""Inputs from a table of real observations, for the same training as synthetic features."""

import torch

from common.exact.checks import check_count
from common.geometry import safe_divide


class TableFeatures:
    """Rows of a table x [N, n], drawn at random with replacement; stands in for SparseFeatures.

    instances : how many models draw from it, each its own rows.

    Raises ValueError for a table that is not [N, n] or holds anything outside [0, 1].
    """

    def __init__(self, x, instances=1):
        if x.dim() != 2 or not ((x >= 0) & (x <= 1)).all():
            raise ValueError(f"a table must be [N, n] with values in [0, 1], got {list(x.shape)}")
        self.x, self.instances = x.to(torch.float32), check_count(instances, "instances")
        self.n_features = x.shape[1]

    @property
    def density(self):
        """Share of rows [n] in which each feature is not zero."""
        return (self.x > 0).double().mean(0)

    @property
    def sampled_share(self):
        """Probability [instances] that a row is of the kind `sample` draws: always 1."""
        return torch.ones(self.instances, dtype=torch.float64)

    def sample(self, batch, generator=None):
        """Draw inputs x [instances, batch, n]."""
        shape = (self.instances, check_count(batch, "batch"))
        rows = torch.randint(len(self.x), shape, generator=generator)
        return self.x[rows]

    def stacked(self, instances):
        """The same table for a stack of `instances`."""
        return TableFeatures(self.x, instances)

    def part(self, index):
        """The same table for the instances `index`, a slice."""
        return self.stacked(len(range(self.instances)[index]))


def split(x, share, seed):
    """Rows of x [N, n] in random order, as (the first `share` of them, the rest)."""
    x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))]
    cut = round(share * len(x))
    return x[:cut], x[cut:]


def shuffled(x, seed):
    """x [N, n] with every column in an order of its own: same marginals, independent features."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(x.shape, generator=generator).argsort(0)
    return x.gather(0, order)


@torch.no_grad()
def table_loss(model, x):
    """Mean over rows of x [N, n] of sum_i (x_i - x'_i)^2, for each instance [instances]."""
    errors = [((model(part[None]) - part) ** 2).sum(-1).double() for part in x.split(1024)]
    return torch.cat(errors, 1).mean(1)


def linear_table_loss(seen, unseen, n_hidden):
    """Loss on rows `unseen` of the best linear model of rank m with a bias, fitted to `seen`.

    That is a principal component analysis: the mean, and the m directions of largest variance.
    """
    mean = seen.double().mean(0)
    kept = torch.linalg.svd(seen.double() - mean, full_matrices=False).Vh[:n_hidden]
    rest = unseen.double() - mean
    return ((rest - rest @ kept.T @ kept) ** 2).sum(1).mean().item()


def correlations(x):
    """Correlations [n, n] between the columns of x [N, n], 0 for columns that never change."""
    centred = x.double() - x.double().mean(0)
    centred = safe_divide(centred, centred.norm(dim=0))
    return centred.T @ centred
