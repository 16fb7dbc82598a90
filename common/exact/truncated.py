"""Models chosen by the loss of inputs with few active features alone."""

from math import comb

import torch

from common.exact import CUBE_FEATURES, loss_by_active_features
from common.exact.checks import check_count, check_density, check_importance
from common.exact.problem import Problem, split, starts


def minimise_up_to(most, n_features, n_hidden, density, importance, *, restarts, seed=0):
    """W [D, m, n] and b [D, n] that minimise the first terms of the expansion by active features.

    The terms kept are those with at most `most` active features, p^k S^(n-k) L_k for k <= most
    (paper, "Mathematical Understanding"). density [D], importance [n]; up to 5 features.
    Raises ValueError for arguments out of range.
    """
    n, m = check_count(n_features, "n_features"), check_count(n_hidden, "n_hidden")
    if n > CUBE_FEATURES:
        raise ValueError(f"the split takes at most {CUBE_FEATURES} features, got {n}")
    if not 0 <= most <= n:
        raise ValueError(f"most must lie between 0 and {n}, got {most}")
    density = check_density(density).reshape(-1)
    count, restarts = len(density), check_count(restarts, "restarts")
    importance = check_importance(importance, (count,), n)

    def loss(W, b, p, weights):
        return loss_by_active_features(W, b, p, weights, most=most, per_feature=True).sum(0)

    terms = n * sum(comb(n, k) * 2**k for k in range(most + 1))  # 3^n for all k
    problem = Problem(n, m, density[:, None].expand(count, n), importance, loss, terms)
    cell = torch.arange(count).repeat_interleave(restarts)
    found = problem.minimise(starts(n, m, restarts, seed).repeat(count, 1), cell)
    return split(found.x[found.lowest_of(restarts)], n, m)
