"""The population loss of a toy model, computed exactly instead of estimated from samples.

For outputs x' = f(A x + b) with A = W_out W the loss is a sum over outputs,

    L = sum_i I_i E (x_i - f(z_i))^2,      z_i = b_i + sum_j A_ij x_j,

and every term depends on one row of A only. For a linear f the moments of x suffice. For the ReLU,
`cube` sums over all sets of active features (few features), and `series` uses a Fourier series of
the kink (any number).
"""

import torch

from . import cube, linear, series
from .checks import check_activation, check_feature_density, check_finite, check_importance

CUBE_FEATURES = 5  # up to here the sum over 3^n terms is faster than the series


def population_loss(
    W,
    b,
    density,
    importance=None,
    *,
    W_out=None,
    output="relu",
    accuracy=1e-6,
    per_feature=False,
):
    """Exact loss L = E sum_i I_i (x_i - x'_i)^2 of each instance, float64 and differentiable.

    W          : [..., m, n], features as columns.
    b          : [..., n].
    density    : p in (0, 1]; a number, or one value per instance [...].
    importance : I_i, [n] or [..., n]; all 1 when None.
    W_out      : [..., n, m]; W^T (a tied model) when None.
    output     : "relu" or "linear".
    accuracy   : relative accuracy asked for with a ReLU output and more than 5 features; otherwise
                 the result is exact to about 12 digits. It is kept down to 1e-6; below, errors of
                 up to 2e-7 remain where the loss is small.
    per_feature: the last axis of density is the features' own, [n] or [..., n].

    Returns the loss [...]. Raises ValueError for shapes that do not fit, a density outside (0, 1],
    weights that are not finite, an unknown output or an accuracy outside [1e-10, 0.1].
    """
    check_activation(output, "output")
    if not 1e-10 <= accuracy <= 0.1:
        raise ValueError(f"accuracy must lie between 1e-10 and 0.1, got {accuracy!r}")
    A, b = _effective(W, b, W_out)
    batch, n = b.shape[:-1], b.shape[-1]
    p = check_feature_density(density, batch, n, per_feature)
    importance = check_importance(importance, batch, n)
    if output == "linear":
        return (importance * linear.row_loss(A, b, p)).sum(-1)
    A, b, p, importance = (v.reshape(-1, *v.shape[len(batch) :]) for v in (A, b, p, importance))
    rows, densities = _own_first(A), p[:, _order(n)]
    if n <= CUBE_FEATURES:
        flat = (rows.reshape(-1, n), b.reshape(-1), densities.reshape(-1, n))
        loss = cube.row_loss(*flat).sum(0).reshape(b.shape)
    else:
        loss = series.row_loss(rows, b, densities, importance, accuracy)
    return (importance * loss).sum(-1).reshape(batch)


def interference_penalty(W):
    """R = sum over i != j of (W_i . W_j)^2 of the features (columns) of W [..., m, n]: [...].

    What `minimise` adds to the loss, times its `penalty`: interference that the ReLU cannot hide.
    Importances and densities have no part in it. Raises ValueError for weights that are not finite.
    """
    W = check_finite(W, "W")
    gram = W.transpose(-1, -2) @ W
    return (gram - torch.diag_embed(gram.diagonal(dim1=-2, dim2=-1))).square().sum((-2, -1))


def loss_by_active_features(W, b, density, importance=None, *, most=None, per_feature=False):
    """The ReLU loss by number of active features: terms p^k S^(n-k) L_k of the paper's expansion.

    Arguments as for population_loss, up to 5 features; `most` is the last k, n when None. Returns
    [most + 1, ...]; all n + 1 terms sum to the loss.
    """
    A, b = _effective(W, b, None)
    batch, n = b.shape[:-1], b.shape[-1]
    if n > CUBE_FEATURES:
        raise ValueError(f"the split takes at most {CUBE_FEATURES} features, got {n}")
    if most is not None and not 0 <= most <= n:
        raise ValueError(f"most must lie between 0 and {n}, got {most}")
    p = check_feature_density(density, batch, n, per_feature)
    importance = check_importance(importance, batch, n)
    densities = p[..., _order(n)]
    flat = (_own_first(A).reshape(-1, n), b.reshape(-1), densities.reshape(-1, n))
    rows = cube.row_loss(*flat, most)
    return (rows.reshape(len(rows), *batch, n) * importance).sum(-1)


def _effective(W, b, W_out):
    """A = W_out W [..., n, n] and b [..., n] with one batch shape, after checking both."""
    W, b = check_finite(W, "W"), check_finite(b, "b")
    if W.dim() < 2 or b.dim() < 1 or b.shape[-1] != W.shape[-1]:
        raise ValueError(
            f"W [..., m, n] and b [..., n] do not fit: {list(W.shape)}, {list(b.shape)}"
        )
    m, n = W.shape[-2:]
    decoder = W.transpose(-1, -2) if W_out is None else check_finite(W_out, "W_out")
    if decoder.dim() < 2 or decoder.shape[-2:] != (n, m):
        raise ValueError(f"W_out must have shape [..., {n}, {m}], got {list(decoder.shape)}")
    batch = common_shape({"W": W.shape[:-2], "W_out": decoder.shape[:-2], "b": b.shape[:-1]})
    A = decoder @ W
    return A.expand(*batch, n, n), b.expand(*batch, n)


def common_shape(shapes):
    """What the leading dimensions {name: shape} broadcast to; ValueError if they do not."""
    try:
        return torch.broadcast_shapes(*shapes.values())
    except RuntimeError:
        names = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ValueError(f"leading dimensions do not fit: {names}") from None


def _order(n):
    """[n, n]: for each output its own feature, then the others in order."""
    order = [[i, *(j for j in range(n) if j != i)] for i in range(n)]
    return torch.tensor(order)


def _own_first(A):
    """A [..., n, n] with the own feature's entry first in every row."""
    return A.gather(-1, _order(A.shape[-1]).expand(A.shape))
