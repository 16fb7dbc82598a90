"""Closed-form optima to hold results against: the linear model and the paper's candidates."""

import torch

from common.exact.checks import check_count, check_density
from common.exact.linear import feature_variance

# The paper's candidate solutions for n = m + 1 features of importances 1, ..., 1, r, named by what
# happens to the extra (last) feature.
DROPPED, DEDICATED, PAIRED, OTHERS_PAIRED = "dropped", "dedicated", "paired", "others paired"


def linear_optimum(density, importance, n_hidden):
    """Least loss [...] of a linear model with m hidden dimensions.

    s2 * (sum of all but the m largest importances), with s2 = p/3 - p^2/4 the variance of a
    feature: the linear model keeps the m most important features and predicts the mean of the
    others (paper, "Mathematical Understanding").

    density    : a number or [...].
    importance : [n] or [..., n].
    """
    density = check_density(density)
    n_hidden = check_count(n_hidden, "n_hidden")
    importance = torch.as_tensor(importance, dtype=torch.float64)
    dropped = importance.sort(descending=True).values[..., n_hidden:]
    return feature_variance(density) * dropped.sum(-1)


def linear_loss_terms(W, b, density, importance):
    """The loss of a tied linear model as (feature benefit, interference, bias), each [...].

    With A = W^T W, s2 the variance of a feature and mu = p/2 its mean,

        L = s2 sum_i I_i (1 - ||W_i||^2)^2 + s2 sum_{i != j} I_i (W_i . W_j)^2
            + sum_i I_i (mu (1 - sum_j A_ij) - b_i)^2 .

    The first two are the paper's terms with their constant s2 ("Mathematical Understanding"); the
    third vanishes at the best bias.

    W [..., m, n], b [..., n], density [...], importance [n].
    """
    W, b = (torch.as_tensor(v, dtype=torch.float64) for v in (W, b))
    p = check_density(density)
    importance = torch.as_tensor(importance, dtype=torch.float64)
    A = W.transpose(-1, -2) @ W
    own = torch.diagonal(A, dim1=-2, dim2=-1)
    variance = feature_variance(p)
    benefit = variance * (importance * (1 - own) ** 2).sum(-1)
    others = (A**2).sum(-1) - own**2
    offset = p[..., None] / 2 * (1 - A.sum(-1)) - b
    return benefit, variance * (importance * others).sum(-1), (importance * offset**2).sum(-1)


def candidate_losses(density, relative_importance, n_hidden):
    """Losses of the paper's candidate solutions, {name: [...]}, for n = m + 1 and m = 1 or 2.

    Features have importance 1 but for the last, which has r; weights are 1, 0 or -1 and only the
    bias of a dropped feature is optimised (p/2). In a pair W_i = -W_j with b = 0 an error appears
    only when both features are active (paper, "Superposition as a Phase Change").

    density, relative_importance : broadcast to [...]. Raises ValueError for another n_hidden.
    """
    p, r = check_density(density), torch.as_tensor(relative_importance, dtype=torch.float64)
    if n_hidden not in (1, 2):
        raise ValueError(f"the candidates are those of 1 or 2 hidden dimensions, got {n_hidden!r}")
    p, r = torch.broadcast_tensors(p, r)
    variance = feature_variance(p)
    losses = {DROPPED: r * variance, DEDICATED: variance, PAIRED: (1 + r) * p**2 / 6}
    if n_hidden == 2:
        losses[OTHERS_PAIRED] = p**2 / 3
    return losses


def phase_boundary(relative_importance, n_hidden):
    """The paper's boundary, of its candidates with fixed weights: below this density [...]
    superposition is best among them, at each r. The true one is `phases.landscape.exact_boundary`.

    Both boundaries meet at r = 1, p = 4/7. Below them lies a pair with the extra feature in it,
    or, for m = 2 and r > 1, a pair of the other two. Raises ValueError for another n_hidden.
    """
    r = torch.as_tensor(relative_importance, dtype=torch.float64)
    if n_hidden not in (1, 2):
        raise ValueError(f"the boundary is that of 1 or 2 hidden dimensions, got {n_hidden!r}")
    above_one = 4 / (5 + 2 * r) if n_hidden == 1 else torch.full_like(r, 4 / 7)
    return torch.where(r <= 1, 4 * r / (2 + 5 * r), above_one)
