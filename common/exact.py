"""The population loss of a toy model, computed exactly instead of estimated from samples.

For outputs x' = f(A x + b) with A = W_out W the loss is a sum over outputs,

    L = sum_i I_i E (x_i - f(z_i))^2,      z_i = b_i + sum_j A_ij x_j,

and every term depends on one row of A only. For a linear f the moments of x suffice. For the ReLU,
`cube` sums over all sets of active features (few features), and `fourier` uses a Fourier series of
the kink (any number). `minimise` finds the minima of this loss over a whole grid of densities and
importances, `polish` the one next to a given model.
"""

from dataclasses import dataclass
from functools import partial

import torch

from common import cube, fourier
from common.checks import (
    check_activation,
    check_count,
    check_density,
    check_feature_density,
    check_finite,
    check_importance,
)
from common.data import feature_variance
from common.problem import TOLERANCE, Problem, lowest_starts, neighbours, rearranged, split, starts

CUBE_FEATURES = 5  # up to here the sum over 3^n terms is faster than the series
LOWER = 1e-9  # relative difference of losses from which a minimum is another, lower one


def population_loss(W, b, density, importance=None, *, W_out=None, output="relu", accuracy=1e-6):
    """Exact loss L = E sum_i I_i (x_i - x'_i)^2 of each instance, float64 and differentiable.

    W          : [..., m, n], features as columns.
    b          : [..., n].
    density    : p in (0, 1]; a number, one value per instance [...] or per feature [..., n].
    importance : I_i, [n] or [..., n]; all 1 when None.
    W_out      : [..., n, m]; W^T (a tied model) when None.
    output     : "relu" or "linear".
    accuracy   : relative accuracy asked for with a ReLU output and more than 5 features; otherwise
                 the result is exact to about 12 digits. It is kept down to 1e-6; below, errors of
                 up to 2e-7 remain where the loss is small.

    Returns the loss [...]. Raises ValueError for shapes that do not fit, a density outside (0, 1],
    weights that are not finite, an unknown output or an accuracy outside [1e-10, 0.1].
    """
    check_activation(output, "output")
    if not 1e-10 <= accuracy <= 0.1:
        raise ValueError(f"accuracy must lie between 1e-10 and 0.1, got {accuracy!r}")
    A, b = _effective(W, b, W_out)
    batch, n = b.shape[:-1], b.shape[-1]
    p = check_feature_density(density, batch, n).to(A.device)
    importance = check_importance(importance, batch, n).to(A.device)
    if output == "linear":
        return (importance * _linear_rows(A, b, p)).sum(-1)
    A, b, p, importance = (v.reshape(-1, *v.shape[len(batch) :]) for v in (A, b, p, importance))
    rows, densities = _own_first(A), p[:, _order(n, A.device)]
    if n <= CUBE_FEATURES:
        flat = (rows.reshape(-1, n), b.reshape(-1), densities.reshape(-1, n))
        loss = cube.row_loss(*flat).sum(0).reshape(b.shape)
    else:
        loss = fourier.row_loss(rows, b, densities, importance, accuracy)
    return (importance * loss).sum(-1).reshape(batch)


def loss_by_active_features(W, b, density, importance=None, *, most=None):
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
    p = check_feature_density(density, batch, n).to(A.device)
    importance = check_importance(importance, batch, n).to(A.device)
    densities = p[..., _order(n, A.device)]
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
    batch = _common_shape({"W": W.shape[:-2], "W_out": decoder.shape[:-2], "b": b.shape[:-1]})
    A = decoder @ W
    return A.expand(*batch, n, n), b.expand(*batch, n)


def _common_shape(shapes):
    """What the leading dimensions {name: shape} broadcast to; ValueError if they do not."""
    try:
        return torch.broadcast_shapes(*shapes.values())
    except RuntimeError:
        names = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise ValueError(f"leading dimensions do not fit: {names}") from None


def _order(n, device):
    """[n, n]: for each output its own feature, then the others in order."""
    order = [[i, *(j for j in range(n) if j != i)] for i in range(n)]
    return torch.tensor(order, device=device)


def _own_first(A):
    """A [..., n, n] with the own feature's entry first in every row."""
    return A.gather(-1, _order(A.shape[-1], A.device).expand(A.shape))


def _linear_rows(A, b, p):
    """Loss of each output of a linear model, from the means p/2 and the variances of features."""
    deviation = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device) - A
    bias = (deviation * (p / 2)[..., None, :]).sum(-1) - b
    return (deviation**2 * feature_variance(p)[..., None, :]).sum(-1) + bias**2


@dataclass
class Optimum:
    """The best minimum found in every cell of a grid.

    W [..., m, n], b [..., n], loss [...] : the best model of each cell.
    restart_losses [..., k]   : loss at the end of every start.
    gradient [...]            : its largest entry at the best model, relative to the loss scale.
    converged [...]           : whether that is below the tolerance.
    improved                  : share of cells in which a neighbour's optimum led lower than the
                                cell's own starts.
    """

    W: torch.Tensor
    b: torch.Tensor
    loss: torch.Tensor
    restart_losses: torch.Tensor
    gradient: torch.Tensor
    converged: torch.Tensor
    improved: float


def minimise(
    n_features,
    n_hidden,
    density,
    importance=None,
    *,
    restarts=16,
    seed=0,
    output="relu",
    accuracy=1e-6,
):
    """Minimise the exact loss of a tied model over W and b, in every cell of a grid.

    density    : p, a number or any shape.
    importance : [n] or [..., n]; all 1 when None. The grid is what the two broadcast to.
    restarts   : independent starts a cell, the same in every cell. They come in pairs that differ
                 in the sign of the last feature, so that both sectors of its sign are tried.
    accuracy   : of the loss beyond 5 features, see population_loss.

    Up to 5 features all starts run to convergence (quasi-Newton). Then every cell also tries its
    optimum rearranged (two features exchanged, one turned round) and the optima of its neighbours
    in the grid. Beyond that the starts descend by Adam on sampled
    inputs first, and only the lowest of a cell goes on. Returns an Optimum. Raises ValueError for
    arguments out of range.
    """
    n, m = check_count(n_features, "n_features"), check_count(n_hidden, "n_hidden")
    check_activation(output, "output")
    density = check_density(density)
    leading = () if importance is None else torch.as_tensor(importance).shape[:-1]
    cells = _common_shape({"density": density.shape, "importance": leading})
    importance = check_importance(importance, cells, n).reshape(-1, n)
    problem = _problem(n, m, density.expand(cells).reshape(-1), importance, output, accuracy)

    start = starts(n, m, check_count(restarts, "restarts"), seed)
    count = len(problem.density)
    cell = torch.arange(count).repeat_interleave(restarts)
    if n <= CUBE_FEATURES or output == "linear":
        ends = problem.minimise(start.repeat(count, 1), cell)
    else:
        ends = problem.descend_and_minimise(start.repeat(count, 1), cell, seed)
    best = lowest_starts(ends.value, restarts)
    found = ends.at(best)
    lower = torch.zeros(count, dtype=torch.bool)
    if n <= CUBE_FEATURES and output == "relu":
        _rearrange(problem, found)
        for neighbour in neighbours(cells):
            lower |= _put_lower(found, problem.minimise(found.x[neighbour], torch.arange(count)))
    scale, (W, b) = problem.scale, split(found.x, n, m)
    return Optimum(
        W=W.reshape(*cells, m, n),
        b=b.reshape(*cells, n),
        loss=(found.value * scale).reshape(cells),
        restart_losses=(ends.value.reshape(count, restarts) * scale[:, None]).reshape(
            *cells, restarts
        ),
        gradient=found.gradient.reshape(cells),
        converged=found.converged.reshape(cells),
        improved=lower.double().mean().item(),
    )


def _rearrange(problem, found):
    """Minimise again from the optima `found` rearranged, as long as that leads lower somewhere."""
    cell = torch.arange(len(found.value))
    while len(cell):
        x = rearranged(found.x[cell], problem.n, problem.m)
        ends = problem.minimise(x.flatten(0, 1), cell.repeat(len(x)))
        lower = torch.zeros(len(found.value), dtype=torch.bool)
        for part in torch.arange(len(ends.value)).split(len(cell)):
            lower[cell] |= _put_lower(found, ends.at(part), cell)
        cell = lower.nonzero()[:, 0]


def _put_lower(found, tried, cell=slice(None)):
    """Put the Minima `tried` into the cells of `found` where they are lower; where that is."""
    better = tried.value < found.value[cell] - LOWER
    found.put(torch.arange(len(found.value))[cell][better], tried.at(better))
    return better


def _problem(n, m, density, importance, output, accuracy):
    if not (importance.sum(-1) > 0).all():
        raise ValueError("importance must be positive for at least one feature of every cell")
    loss = partial(population_loss, output=output, accuracy=accuracy)
    terms = n * min(3**n, 2**7 * n)
    if n <= CUBE_FEATURES or output == "linear":
        few = output == "relu" and n <= CUBE_FEATURES
        return Problem(n, m, density, importance, loss, terms, few=few)
    return Problem(n, m, density, importance, loss, terms, noise=1e-4 * accuracy)


def polish(W, b, density, importance=None, *, output="relu", accuracy=1e-6, tolerance=TOLERANCE):
    """The local minimum of the exact loss next to given models W [..., m, n], b [..., n].

    density [...] and importance [n] or [..., n] as for population_loss. tolerance : of the gradient
    at the end, relative to the loss of a model that outputs 0. Returns (W, b, loss, distance), the
    last one [...]: how far W^T W and b moved (Frobenius norm), which rotations of the hidden space
    do not affect.
    """
    W, b = (torch.as_tensor(v, dtype=torch.float64) for v in (W, b))
    cells, (m, n) = W.shape[:-2], W.shape[-2:]
    importance = check_importance(importance, cells, n).reshape(-1, n)
    density = check_density(density).expand(cells).reshape(-1)
    problem = _problem(n, m, density, importance, output, accuracy)
    problem.tolerance = tolerance
    start = torch.cat([W.reshape(-1, m * n), b.reshape(-1, n)], 1)
    end = problem.minimise(start, torch.arange(len(start)))
    new_W, new_b = (v.reshape(old.shape) for v, old in zip(split(end.x, n, m), (W, b), strict=True))
    moved = (new_W.transpose(-1, -2) @ new_W - W.transpose(-1, -2) @ W).flatten(-2)
    distance = torch.cat([moved, new_b - b], -1).norm(dim=-1)
    return new_W, new_b, (end.value * problem.scale).reshape(cells), distance
