"""Closed-form optima to hold results against."""

import torch

from common.data import check_count, check_density


def linear_optimum(density, importance, n_hidden):
    """Least loss of a linear model with m hidden dimensions [...].

    s2 * (sum of all but the m largest importances), with s2 = p/3 - p^2/4 the variance of a
    feature: the linear model keeps the m most important features and predicts the mean of the
    others (paper, "Mathematical Understanding").

    density    : a number or [...].
    importance : [n].
    """
    density = check_density(density)
    n_hidden = check_count(n_hidden, "n_hidden")
    dropped = (
        torch.as_tensor(importance, dtype=torch.float64).sort(descending=True).values[n_hidden:]
    )
    return (density / 3 - density**2 / 4) * dropped.sum()
