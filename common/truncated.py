"""Models chosen by the loss of inputs with few active features alone."""

from math import comb

import torch

from common.checks import check_count
from common.exact import CUBE_FEATURES, loss_by_active_features
from common.problem import Problem, starts


def minimise_up_to(most, n_features, n_hidden, density, importance, *, restarts, seed=0):
    """W [D, m, n] and b [D, n] that minimise the first terms of the expansion by active features.

    The terms kept are those with at most `most` active features, p^k S^(n-k) L_k for k <= most
    (paper, "Mathematical Understanding"). density [D], importance [n]; up to 5 features.
    """
    n, m = check_count(n_features, "n_features"), check_count(n_hidden, "n_hidden")
    if n > CUBE_FEATURES:
        raise ValueError(f"the split takes at most {CUBE_FEATURES} features, got {n}")
    count = len(density)

    def loss(W, b, p, weights):
        return loss_by_active_features(W, b, p, weights, most=most).sum(0)

    terms = n * sum(comb(n, k) * 2**k for k in range(most + 1))  # 3^n for all k
    problem = Problem(n, m, density, importance.expand(count, n), loss, terms)
    cell = torch.arange(count).repeat_interleave(restarts)
    found = problem.minimise(starts(n, m, restarts, seed).repeat(count, 1), cell, None)
    best = found.value.reshape(count, restarts).argmin(1) + restarts * torch.arange(count)
    x = found.x[best]
    return x[:, : m * n].reshape(count, m, n), x[:, m * n :]
