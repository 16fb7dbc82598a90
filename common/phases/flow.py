"""Noise-free gradient flow: d(W, b)/dt = -gradient of L + penalty R, from given starts to the end.

The gradient is that of the exact loss, so nothing is sampled, and there is no optimiser. Time is
integrated by a Rosenbrock method, the second-order pair of Shampine & Reichelt (1997, "The MATLAB
ODE suite"): a step costs one linear system, may be long where the flow is slow, and stays stable
there however fast other directions decay. Its error is estimated and kept small relative to the
smallest feature of the model, because two things are decided where a weight is almost 0: on which
side of 0 it ends, and whether it grows again after a plateau. The gradient has kinks in its slope
where a ReLU begins to cut; the steps shorten there by themselves.
"""

from dataclasses import dataclass

import numpy as np
import torch

from common.exact import compiled
from common.exact.checks import check_feature_density, check_importance, check_penalty
from common.exact.loss import CUBE_FEATURES
from common.exact.problem import split
from common.parallel import on_all_cores, progress

TOLERANCE = 1e-3  # error of a step, relative to the smallest feature or, if larger, the entry
GRADIENT = 1e-6  # largest entry of the gradient at the end, relative to an output of 0's loss
ROUNDS = 5_000  # steps after which a start is given up
FIRST_STEP = 1e-3  # of time
LONGEST_STEP = 1e3  # longer ones jump to and fro across a kink next to a minimum
ROUNDING = 1e-15  # of the loss, relative to an output of 0's: otherwise a step must lower it
FLOOR = 1e-7  # features shorter than this count as this long
DIFFERENCE = 1e-6  # step of the differences that give the second derivatives, relative as above
LEAST_DIFFERENCE = 1e-10
SAFETY, SHRINK, GROW = 0.8, 0.2, 5.0  # of the next step's length
SHARE = 1 / (2 + 2**0.5)  # the two constants of the method
CORRECTION = 6 + 2**0.5
TOGETHER = 2**13  # numbers of one loss, 3^n, times models that are stepped at once


@dataclass
class Ends:
    """Where the flow ends from each start [...]: W [..., m, n], b [..., n], task loss [...].

    time [...], finished [...] : when, and whether the gradient was small then.
    """

    W: torch.Tensor
    b: torch.Tensor
    loss: torch.Tensor
    time: torch.Tensor
    finished: torch.Tensor


class _Field:
    """Minus the gradient at models of n features in m dimensions, each with numbers of its own."""

    def __init__(self, m, density, importance, penalty):
        """density, importance [N, n] and penalty [N], NumPy arrays."""
        self.m, self.n = m, density.shape[1]
        self.numbers = density, importance, penalty
        self.scale = (density * importance).sum(1) / 3

    def part(self, which):
        """The field of the models `which` alone."""
        return _Field(self.m, *(numbers[which] for numbers in self.numbers))

    def __call__(self, x):
        """L + penalty R [N] and d x / dt [N, d] at models x [N, d] = (W, b)."""
        value, gradient = compiled.loss_and_gradient(x, self.m, *self.numbers)
        return value, -gradient

    def sizes(self, x):
        """[N, d]: what errors are relative to."""
        W = x[:, : self.m * self.n].reshape(-1, self.m, self.n)
        least = np.sqrt((W**2).sum(1)).min(1, keepdims=True)
        return np.maximum(np.maximum(np.abs(x), least), FLOOR)

    def slopes(self, x, at_x, sizes):
        """Derivatives [N, d, d] of the field at x, where it is `at_x`, by differences."""
        step = np.maximum(DIFFERENCE * sizes, LEAST_DIFFERENCE)
        matrix = np.empty((*x.shape, x.shape[1]))
        for k in range(x.shape[1]):
            moved = x.copy()
            moved[:, k] += step[:, k]
            matrix[:, :, k] = (self(moved)[1] - at_x) / step[:, k : k + 1]
        return matrix


def _step(field, x, now, h):
    """A step of length h [N] from x [N, d], where the field is `now`: the new x, loss and field
    there, and the largest error of an entry, relative to its size [N]."""
    sizes, h = field.sizes(x), h[:, None]
    system = np.eye(x.shape[1]) - SHARE * h[..., None] * field.slopes(x, now, sizes)
    inverse = np.linalg.inv(system)

    def solve(right):
        return (inverse * right[:, None]).sum(2)

    first = solve(now)
    middle = field(x + h / 2 * first)[1]
    second = solve(middle - first) + first
    new = x + h * second
    value, after = field(new)
    third = solve(after - CORRECTION * (second - middle) - 2 * (first - now))
    error = h / 6 * np.abs(first - 2 * second + third)
    return new, value, after, (error / sizes).max(1)


def _integrate(x, field, tolerance, gradient, rounds, keep=None):
    """Move x [N, d] along the field until it is small: time [N], finished [N].

    keep(time, x) : called with every new point of a single start.
    """
    time, finished = np.zeros(len(x)), np.zeros(len(x), bool)
    h, active, (value, now) = np.full(len(x), FIRST_STEP), np.arange(len(x)), field(x)
    for _ in range(rounds):
        some = field.part(active)
        new, lower, after, error = _step(some, x[active], now[active], h[active])
        error = np.nan_to_num(error / tolerance, nan=np.inf)
        error[lower > value[active] + ROUNDING * some.scale] = np.inf
        done = error <= 1
        good = active[done]
        x[good], value[good], now[good] = new[done], lower[done], after[done]
        time[good] += h[good]
        if keep and len(good):
            keep(time[0], x[0])
        factor = np.clip(SAFETY * np.maximum(error, 1e-6) ** (-1 / 3), SHRINK, GROW)
        h[active] = np.minimum(h[active] * factor, LONGEST_STEP)
        finished[active] = np.abs(now[active]).max(1) <= gradient * some.scale
        active = active[~finished[active]]
        if not len(active):
            break
    return time, finished


def follow(
    W,
    b,
    density,
    importance=None,
    *,
    penalty=0.0,
    tolerance=TOLERANCE,
    gradient=GRADIENT,
    rounds=ROUNDS,
):
    """Follow the gradient flow of L + penalty R from W [..., m, n], b [..., n]: the Ends.

    density, importance, penalty : numbers, or as for `exact.minimise`, one for each start [...].
    tolerance : error of a step. gradient : at the end. rounds : steps at most.

    Up to 5 features; a start in a symmetric set that flow cannot leave (equal features on the same
    spot) ends at the minimum of that set. Raises ValueError for more features and as
    `population_loss` does.
    """
    x, field, shape = _prepared(W, b, density, importance, penalty)
    parts = np.array_split(np.arange(len(x)), -(-len(x) * 3**field.n // TOGETHER))

    def run(part):
        moved = x[part]
        return moved, *_integrate(moved, field.part(part), tolerance, gradient, rounds)

    found = []
    with progress("flow", len(parts)) as done:
        for ends in on_all_cores(run, parts):
            found.append(ends)
            done(1)
    end, time, finished = (np.concatenate(values) for values in zip(*found, strict=True))
    task = compiled.loss_and_gradient(end, field.m, *field.numbers[:2])[0]
    whole = (torch.as_tensor(v).reshape(shape) for v in (task, time, finished))
    return Ends(*_models(end.reshape(*shape, -1), field), *whole)


def path(W, b, density, importance=None, *, penalty=0.0, tolerance=TOLERANCE, gradient=GRADIENT):
    """The way of one start W [m, n], b [n]: times [T], W [T, m, n], b [T, n], from the start on.

    Arguments as for `follow`.
    """
    x, field, _ = _prepared(W, b, density, importance, penalty)
    times, points = [0.0], [x[0].copy()]

    def keep(time, point):
        times.append(float(time))
        points.append(point.copy())

    _integrate(x, field, tolerance, gradient, ROUNDS, keep)
    return torch.tensor(times, dtype=torch.float64), *_models(np.stack(points), field)


def curvatures(W, b, density, importance=None, *, penalty=0.0):
    """Eigenvalues [..., m n + n], ascending, of the second derivatives of L + penalty R at models.

    By differences of the exact gradient. Below 0: a direction in which the loss falls ever faster.
    """
    x, field, shape = _prepared(W, b, density, importance, penalty)
    hessian = -field.slopes(x, field(x)[1], field.sizes(x))
    eigenvalues = np.linalg.eigvalsh((hessian + hessian.transpose(0, 2, 1)) / 2)
    return torch.as_tensor(eigenvalues).reshape(*shape, -1)


def _prepared(W, b, density, importance, penalty):
    """Models as rows x [N, d], their field, and the shape [...] of the starts."""
    W, b = (torch.as_tensor(v, dtype=torch.float64) for v in (W, b))
    (m, n), shape = W.shape[-2:], W.shape[:-2]
    if n > CUBE_FEATURES:
        raise ValueError(f"the flow takes at most {CUBE_FEATURES} features, got {n}")
    numbers = (
        check_feature_density(density, shape, n).reshape(-1, n),
        check_importance(importance, shape, n).reshape(-1, n),
        check_penalty(penalty, shape).reshape(-1),
    )
    x = torch.cat([W.flatten(-2), b.expand(*shape, n)], -1).reshape(-1, m * n + n)
    return x.numpy().copy(), _Field(m, *(v.numpy() for v in numbers)), shape


def _models(x, field):
    """W [..., m, n] and b [..., n] of an array x [..., d]."""
    return split(torch.as_tensor(x), field.n, field.m)
