"""Quasi-Newton minimisation of many small independent problems at once.

BFGS with a dense inverse Hessian per problem and a backtracking line search. All problems advance
together, one evaluation of all that still move a round, each at its own step length; what a problem
does, to the last digit, does not depend on the others.
"""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import torch

from common.exact.jit import compiled

SUFFICIENT = 1e-4  # Armijo: share of the predicted decrease that a step must bring
FIRST_STEP = 0.3  # length of a step from an inverse Hessian that is only a guess
LONGEST = 1.0  # longest step, so that an early one does not leave the region of interest
SHORTEST = 1e-10  # steps, in units of the search direction, after which a problem is given up,
PATIENCE = 350  # or evaluations in a row (the curvature of biases jumps at 0: 200 are too few)
LEAST_GAIN = 1e-13  # none of which lowers the value by this much (values are of order 1)


@dataclass
class Minima:
    """x [N, d], value [N], gradient [N] (largest entry in size) and whether it converged [N]."""

    x: torch.Tensor
    value: torch.Tensor
    gradient: torch.Tensor
    converged: torch.Tensor

    @classmethod
    def joined(cls, parts):
        """All problems of the parts, one part after another."""
        return cls(*map(torch.cat, zip(*(vars(part).values() for part in parts), strict=True)))

    def put(self, index, other):
        """Replace the problems `index` by those of `other`."""
        for name, values in vars(self).items():
            values[index] = getattr(other, name)

    def at(self, index):
        """Only the problems `index`."""
        return Minima(*(values[index] for values in vars(self).values()))

    def lowest_of(self, starts):
        """Of every `starts` problems in a row the position of the lowest: [N / starts]."""
        best = self.value.reshape(-1, starts).argmin(1)
        return best + starts * torch.arange(len(best))


def with_gradient(loss):
    """What `minimise_batch` minimises, from a differentiable loss(x [M, d], index [M]) -> [M]."""

    def function(x, index):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = loss(x, index)
            (gradient,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), gradient

    return function


def minimise_batch(function, x, units, *, tolerance, rounds, gain=LEAST_GAIN):
    """Minimise N problems of d variables from x [N, d].

    function  : (x [M, d], index [M]) -> value [M], gradient [M, d] of the problems `index`. Values
                should be of order 1: LEAST_GAIN is absolute.
    units     : [N, d], the scale on which the value changes along each variable: the first inverse
                Hessian is diagonal, with their squares. It is not scaled by the first curvature
                seen: early ones mislead, and with good units that costs a third more rounds.
    tolerance : a problem has converged when no entry of its gradient exceeds this.
    rounds    : evaluations of a problem after which it stays unconverged.
    gain      : so does one that PATIENCE evaluations in a row have not lowered by this much; not
                less than the noise of its values.
    """
    x = x.detach().clone().contiguous()
    moving, trial = torch.arange(len(x)), x
    value, gradient = (v.detach().clone().contiguous() for v in function(x, moving))
    state = _State.begin(*(v.numpy() for v in (x, value, gradient)), (units**2).numpy())
    for _ in range(rounds):
        count, moving, trial = _next_trials(moving.numpy(), state, tolerance)
        moving, trial = torch.from_numpy(moving[:count]), torch.from_numpy(trial[:count])
        if not count:
            break
        found = (v.detach().contiguous().numpy() for v in function(trial, moving))
        _advance(moving.numpy(), trial.numpy(), *found, state, gain)
    largest = gradient.abs().amax(1)
    return Minima(x, value, largest, largest <= tolerance)


class _State(
    namedtuple("_State", "x value gradient diagonal inverse direction step fresh last idle")
):
    """Where every problem is and where it looks next, as arrays [N, ...].

    diagonal : of the first inverse Hessian; fresh : whether the inverse Hessian is only a guess
    still; last : value at the last gain; idle : evaluations since then.
    """

    @classmethod
    def begin(cls, x, value, gradient, diagonal):
        """The state at x before the first step."""
        count, d = x.shape
        inverse, step = np.zeros((count, d, d)), np.empty(count)
        state = cls(
            x, value, gradient, np.ascontiguousarray(diagonal), inverse, np.empty_like(x), step,
            np.ones(count, dtype=np.bool_), value.copy(), np.zeros(count, dtype=np.int64),
        )  # fmt: skip
        _restart_all(state)
        return state


@compiled
def _next_trials(moving, state, tolerance):
    """Which of the problems `moving` go on, neither converged nor stuck, and what each tries next:
    (count, problems [count, ...], x [count, ...])."""
    goes_on, trial, count = np.empty_like(moving), np.empty((len(moving), state.x.shape[1])), 0
    for k in moving:
        stuck = state.step[k] <= SHORTEST or state.idle[k] >= PATIENCE
        if not stuck and np.abs(state.gradient[k]).max() > tolerance:
            goes_on[count] = k
            for i in range(trial.shape[1]):
                trial[count, i] = state.x[k, i] + state.step[k] * state.direction[k, i]
            count += 1
    return count, goes_on, trial


@compiled
def _advance(moving, trial, value, gradient, state, gain):
    """Take every trial step that decreases the value enough, shorten the others.

    Where noise hides whether it did, the slope along the step decides: it must be less steep.
    """
    Hy = np.empty(trial.shape[1])
    for new, k in enumerate(moving):
        slope = new_slope = 0.0
        step, excess = state.step[k], value[new] - state.value[k]
        for i in range(len(Hy)):
            slope += state.gradient[k, i] * state.direction[k, i]
            new_slope += gradient[new, i] * state.direction[k, i]
        hidden = excess <= gain and abs(new_slope) <= -slope
        if excess <= SUFFICIENT * step * slope or hidden:
            _update(k, trial[new], gradient[new], state, Hy)
            state.x[k], state.gradient[k], state.value[k] = trial[new], gradient[new], value[new]
            if not _look_ahead(k, state):
                _restart(k, state)
        else:  # the minimum of the parabola through what is known is the next guess
            curvature = max(excess - step * slope, 1e-300)
            state.step[k] *= min(max(-slope * step / (2 * curvature), 0.1), 0.5)
        state.idle[k] += 1
        if state.value[k] <= state.last[k] - gain:
            state.idle[k], state.last[k] = 0, state.value[k]


@compiled
def _restart_all(state):
    """Begin every problem."""
    for k in range(len(state.x)):
        _restart(k, state)


@compiled
def _restart(k, state):
    """Begin problem k again from the first inverse Hessian."""
    state.fresh[k] = True
    state.inverse[k] = 0.0
    for i in range(state.x.shape[1]):
        state.inverse[k, i, i] = state.diagonal[k, i]
    _look_ahead(k, state)


@compiled
def _look_ahead(k, state):
    """Write the direction and the length of the next step; whether it leads downhill."""
    d, length, slope = state.x.shape[1], 0.0, 0.0
    for i in range(d):
        entry = 0.0
        for j in range(d):
            entry -= state.inverse[k, i, j] * state.gradient[k, j]
        state.direction[k, i] = entry
        length += entry**2
        slope += entry * state.gradient[k, i]
    length = max(np.sqrt(length), 1e-300)
    first = FIRST_STEP / length if state.fresh[k] else 1.0
    state.step[k] = min(first, LONGEST / length, 1e6)
    return slope <= 0


@compiled
def _update(k, trial, gradient, state, Hy):
    """BFGS update of the inverse Hessian of problem k where the step shows positive curvature."""
    d, inverse = len(trial), state.inverse[k]
    ss = sy = yy = yHy = 0.0
    for i in range(d):
        s, y = trial[i] - state.x[k, i], gradient[i] - state.gradient[k, i]
        ss, sy, yy = ss + s * s, sy + s * y, yy + y * y
    if sy <= 1e-10 * np.sqrt(ss * yy):
        return
    state.fresh[k] = False
    for i in range(d):
        Hy[i] = 0.0
        for j in range(d):
            Hy[i] += inverse[i, j] * (gradient[j] - state.gradient[k, j])
        yHy += (gradient[i] - state.gradient[k, i]) * Hy[i]
    weight = (1 + yHy / sy) / sy
    for i in range(d):
        s_i = trial[i] - state.x[k, i]
        for j in range(d):
            s_j = trial[j] - state.x[k, j]
            inverse[i, j] += weight * s_i * s_j - (Hy[i] * s_j + s_i * Hy[j]) / sy
