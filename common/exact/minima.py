"""Minima of the exact population loss: of a whole grid of problems, and the one next to a model."""

from dataclasses import dataclass
from functools import partial

import torch

from common.exact.checks import (
    check_activation,
    check_count,
    check_feature_density,
    check_importance,
    check_penalty,
)
from common.exact.loss import CUBE_FEATURES, common_shape, population_loss
from common.exact.problem import TOLERANCE, Problem, neighbours, rearranged, split, starts
from common.parallel import on_all_cores

SHARPER = 0.01  # share of the accuracy asked for with which stubborn minima are sought
NOISE = 1e-4  # of the values near a minimum, as a share of the accuracy
PROMISING = 3  # of the rearrangements of many features, that are minimised
DEAD = 1e-3  # size up to which an entry of W stores nothing
GAP = 1e-9  # difference of losses, in units of the cell's scale, from which one minimum is lower


@dataclass
class Optimum:
    """The best minimum found in every cell of a grid.

    W [..., m, n], b [..., n] : the best model of each cell,
    loss [...]                : its loss L,
    objective [...]           : what was minimised, L + penalty R: the loss where penalty is 0.
    restart_losses [..., k]   : objective at the end of every start.
    gradient [...]            : its largest entry at the best model, relative to the loss scale.
    converged [...]           : whether that is below the tolerance.
    improved                  : share of cells in which a neighbour's optimum led lower than the
                                cell's own starts.
    """

    W: torch.Tensor
    b: torch.Tensor
    loss: torch.Tensor
    objective: torch.Tensor
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
    per_feature=False,
    penalty=0.0,
):
    """Minimise the exact loss of a tied model over W and b, in every cell of a grid.

    density    : p, a number or any shape: every entry is a cell of its own.
    importance : [n] or [..., n]; all 1 when None.
    penalty    : of interference, lambda >= 0: L + lambda R is minimised, with R the sum over
                 i != j of (W_i . W_j)^2, see interference_penalty. A number or one a cell. The
                 grid is what density, importance and penalty broadcast to.
    restarts   : independent starts a cell, the same in every cell. They come in pairs that differ
                 in the sign of the last feature, so that both sectors of its sign are tried.
    accuracy   : of the loss beyond 5 features, see population_loss.
    per_feature: the last axis of density is the features' own, [n] or [..., n], and not a cell's.

    Up to 5 features all starts run to convergence (quasi-Newton); beyond that they descend by Adam
    on sampled inputs first, and only the lowest of a cell goes on. Then every cell with a ReLU also
    tries its optimum rearranged (two features exchanged, one turned round) and the optima of its
    neighbours in the grid. Returns an Optimum. Raises ValueError for arguments out of range.
    """
    n, m = check_count(n_features, "n_features"), check_count(n_hidden, "n_hidden")
    check_activation(output, "output")
    shape = torch.as_tensor(density).shape
    shapes = {"density": shape[:-1] if per_feature else shape}
    shapes["importance"] = () if importance is None else torch.as_tensor(importance).shape[:-1]
    shapes["penalty"] = torch.as_tensor(penalty).shape
    cells = common_shape(shapes)
    density = check_feature_density(density, cells, n, per_feature)
    importance, penalty = check_importance(importance, cells, n), check_penalty(penalty, cells)
    problem = _problem(m, density, importance, penalty, output, accuracy)

    start = starts(n, m, check_count(restarts, "restarts"), seed)
    count = len(problem.density)
    x, cell = start.repeat(count, 1), torch.arange(count).repeat_interleave(restarts)
    if n <= CUBE_FEATURES or output == "linear":
        ends = problem.minimise(x, cell)
    else:
        ends = problem.descend_and_minimise(x, cell, seed)
    found = ends.at(ends.lowest_of(restarts))
    lower = torch.zeros(count, dtype=torch.bool)
    if output == "relu":
        _rearrange(problem, found)
        for neighbour in neighbours(cells):
            lower |= _put_lower(found, problem.minimise(found.x[neighbour], torch.arange(count)))
    return _optimum(problem, cells, found, ends, lower)


def _optimum(problem, cells, found, ends, lower):
    """An Optimum of shape `cells`, from the Minima found in them and those of all starts."""
    W, b = split(found.x, problem.n, problem.m)
    every = ends.value.reshape(len(problem.scale), -1) * problem.scale[:, None]
    loss, objective = problem.task_loss(found), found.value * problem.scale
    parts = (W, b, loss, objective, every, found.gradient, found.converged)
    shaped = (part.reshape((*cells, *part.shape[1:])) for part in parts)
    return Optimum(*shaped, lower.double().mean().item())


def _rearrange(problem, found):
    """Minimise again from the optima `found` rearranged, as long as that leads lower somewhere."""
    cell = torch.arange(len(found.value))
    while len(cell):
        x = rearranged(found.x[cell], problem.density[cell], problem.m)
        if not problem.few:
            x = _promising(problem, x, cell, found.x[cell])
        ends = problem.minimise(x.flatten(0, 1), cell.repeat(len(x)))
        lower = torch.zeros(len(found.value), dtype=torch.bool)
        for part in torch.arange(len(ends.value)).split(len(cell)):
            lower[cell] |= _put_lower(found, ends.at(part), cell)
        cell = lower.nonzero()[:, 0]


def _promising(problem, x, cell, now):
    """Of the models x [K, N, d] the PROMISING with the least loss of every cell, but for those with
    the weights it has, now [N, d] (dead features exchanged): [PROMISING, N, d]."""

    def losses(models, one):
        return problem.value_and_gradient(models, one.repeat(len(models)))[0]

    loss = torch.stack(list(on_all_cores(losses, x.unbind(1), cell)), 1)
    changed = (x - now)[..., : problem.m * problem.n].abs().amax(-1) > DEAD
    order = loss.where(changed, torch.inf).argsort(0)[:PROMISING]
    return x.gather(0, order[..., None].expand(-1, -1, x.shape[-1]))


def _put_lower(found, tried, cell=slice(None)):
    """Put the Minima `tried` into the cells of `found` where they are lower; where that is."""
    better = tried.value < found.value[cell] - GAP
    found.put(torch.arange(len(found.value))[cell][better], tried.at(better))
    return better


def _problem(m, density, importance, penalty, output, accuracy, tolerance=TOLERANCE):
    """The problems of cells of density and importance [..., n] and penalty [...]."""
    n = density.shape[-1]
    density, importance = density.reshape(-1, n), importance.reshape(-1, n)
    if not (importance.sum(-1) > 0).all():
        raise ValueError("importance must be positive for at least one feature of every cell")
    options = {"penalty": penalty.reshape(-1), "tolerance": tolerance}
    parts = n, m, density, importance

    def loss(accuracy):
        return partial(population_loss, output=output, accuracy=accuracy, per_feature=True)

    terms, finer = n * min(3**n, 2**7 * n), max(1e-9, SHARPER * accuracy)
    if n <= CUBE_FEATURES or output == "linear":
        return Problem(*parts, loss(accuracy), terms, few=output == "relu", **options)
    sharper = Problem(*parts, loss(finer), terms, noise=NOISE * finer, **options)
    options |= {"noise": NOISE * accuracy, "sharper": sharper}
    return Problem(*parts, loss(accuracy), terms, **options)


def polish(
    W,
    b,
    density,
    importance=None,
    *,
    output="relu",
    accuracy=1e-6,
    tolerance=TOLERANCE,
    per_feature=False,
    penalty=0.0,
):
    """The local minimum of the exact loss next to given models W [..., m, n], b [..., n].

    density, importance, output, accuracy and per_feature as for population_loss; penalty, a number
    or [...], as for minimise. tolerance : of the gradient at the end, relative to the loss of a
    model that outputs 0. Returns (W, b, loss, distance): the loss [...] is L, without the penalty;
    distance [...] is how far W^T W and b moved (Frobenius norm), which rotations of the hidden
    space do not affect. Raises ValueError as population_loss does.
    """
    W, b = (torch.as_tensor(v, dtype=torch.float64) for v in (W, b))
    cells, (m, n) = W.shape[:-2], W.shape[-2:]
    density = check_feature_density(density, cells, n, per_feature)
    importance, penalty = check_importance(importance, cells, n), check_penalty(penalty, cells)
    problem = _problem(m, density, importance, penalty, output, accuracy, tolerance)
    start = torch.cat([W.reshape(-1, m * n), b.reshape(-1, n)], 1)
    end = problem.minimise(start, torch.arange(len(start)))
    new_W, new_b = (v.reshape(old.shape) for v, old in zip(split(end.x, n, m), (W, b), strict=True))
    moved = (new_W.transpose(-1, -2) @ new_W - W.transpose(-1, -2) @ W).flatten(-2)
    distance = torch.cat([moved, new_b - b], -1).norm(dim=-1)
    return new_W, new_b, problem.task_loss(end).reshape(cells), distance
