"""Quasi-Newton minimisation of many small independent problems at once.

BFGS with a dense inverse Hessian per problem and a backtracking line search. All problems advance
together, one evaluation of the batch a round, each at its own step length; a problem that has
converged leaves the batch. `compiled` holds the same method for the loss of few features, and the
constants of both.
"""

from dataclasses import dataclass

import torch

from common.exact.compiled import (
    FIRST_STEP,
    LEAST_GAIN,
    LONGEST,
    PATIENCE,
    ROUNDING,
    SHORTEST,
    SUFFICIENT,
)

FULL = 0.9  # share of the batch up to which moving problems are gathered in a smaller one


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
                should be of order 1: ROUNDING is absolute.
    units     : [N, d], the scale on which the value changes along each variable: the first inverse
                Hessian is diagonal, with their squares. Good ones save a third of the rounds.
    tolerance : a problem has converged when no entry of its gradient exceeds this.
    rounds    : evaluations of a problem after which it stays unconverged.
    gain      : so does one that PATIENCE evaluations in a row have not lowered by this much; not
                less than the noise of its values.
    """
    index = torch.arange(len(x))
    state = _State.begin(x, *function(x, index), units**2)
    found = state.minima(tolerance)
    for _ in range(rounds):
        moving = state.moving(tolerance)
        if moving.double().mean() <= FULL or not moving.any():
            found.put(index, state.minima(tolerance))
            index, state = index[moving], state.keep(moving)
            if not len(index):
                return found
        trial = state.x + state.step[:, None] * state.direction
        state.advance(trial, *function(trial, index))
        state.count_idle(gain)
    found.put(index, state.minima(tolerance))
    return found


@dataclass
class _State:
    """Where every problem of a batch is, and where it looks next."""

    x: torch.Tensor
    value: torch.Tensor
    gradient: torch.Tensor
    diagonal: torch.Tensor  # of the first inverse Hessian
    inverse: torch.Tensor  # Hessian
    fresh: torch.Tensor  # whether that is only a guess still
    direction: torch.Tensor
    step: torch.Tensor
    last: torch.Tensor  # value at the last gain
    idle: torch.Tensor  # evaluations since then

    @classmethod
    def begin(cls, x, value, gradient, diagonal):
        """The state at x before the first step."""
        fresh, idle = torch.ones(len(x), dtype=torch.bool), torch.zeros(len(x), dtype=torch.int64)
        direction = -diagonal * gradient
        return cls(
            x, value, gradient, diagonal, torch.diag_embed(diagonal), fresh, direction,
            _step_length(direction, fresh), value, idle,
        )  # fmt: skip

    def keep(self, mask):
        """The state of some of the problems."""
        return _State(*(values[mask] for values in vars(self).values()))

    def largest(self):
        """Largest entry of each gradient in size."""
        return self.gradient.abs().amax(1)

    def moving(self, tolerance):
        """Whether each problem goes on: it has neither converged nor got stuck."""
        stuck = (self.step <= SHORTEST) | (self.idle >= PATIENCE)
        return (self.largest() > tolerance) & ~stuck

    def minima(self, tolerance):
        """Where the problems are now, as Minima of their own memory."""
        largest = self.largest()
        return Minima(self.x.clone(), self.value.clone(), largest, largest <= tolerance)

    def advance(self, trial, value, gradient):
        """Take the trial step where it decreases the value enough, elsewhere shorten it."""
        slope = (self.gradient * self.direction).sum(1)
        wanted = self.value + SUFFICIENT * self.step * slope
        accepted = value <= wanted + ROUNDING
        # The minimum of the parabola through what is known is the next guess.
        curvature = (value - self.value - self.step * slope).clamp(min=1e-300)
        shorter = (-slope * self.step**2 / (2 * curvature)).clamp(0.1 * self.step, 0.5 * self.step)
        self._update(accepted, trial - self.x, gradient - self.gradient)
        self.x = torch.where(accepted[:, None], trial, self.x)
        self.value = torch.where(accepted, value, self.value)
        self.gradient = torch.where(accepted[:, None], gradient, self.gradient)

        direction = -torch.bmm(self.inverse, self.gradient[:, :, None])[:, :, 0]
        uphill = (direction * self.gradient).sum(1) >= 0
        if uphill.any():
            self.inverse[uphill] = torch.diag_embed(self.diagonal[uphill])
            self.fresh = self.fresh | uphill
            direction = torch.where(uphill[:, None], -self.diagonal * self.gradient, direction)
        self.direction = torch.where((accepted | uphill)[:, None], direction, self.direction)
        length = _step_length(self.direction, self.fresh)
        self.step = torch.where(accepted | uphill, length, shorter)

    def count_idle(self, gain):
        """Count evaluations since the value was last lower by `gain`."""
        lower = self.value <= self.last - gain
        self.last = torch.where(lower, self.value, self.last)
        self.idle = torch.where(lower, 0, self.idle + 1)

    def _update(self, accepted, s, y):
        """BFGS update of the inverse Hessians where the step shows positive curvature."""
        sy, yDy = (s * y).sum(1), (self.diagonal * y * y).sum(1)
        usable = accepted & (sy > 1e-10 * s.norm(dim=1) * y.norm(dim=1))
        safe = torch.where(usable, sy, 1)
        # A fresh inverse Hessian takes the scale of the first curvature seen.
        scale = torch.where(self.fresh & usable, sy / torch.where(yDy > 0, yDy, 1), 1)
        self.inverse *= scale[:, None, None]
        self.fresh = self.fresh & ~usable
        Hy = torch.bmm(self.inverse, y[:, :, None])[:, :, 0]
        weight = torch.where(usable, (1 + (y * Hy).sum(1) / safe) / safe, 0)
        cross = torch.where(usable, 1 / safe, 0)
        s_scaled = cross[:, None] * s
        self.inverse += weight[:, None, None] * s[:, :, None] * s[:, None, :]
        self.inverse -= Hy[:, :, None] * s_scaled[:, None, :]
        self.inverse -= s_scaled[:, :, None] * Hy[:, None, :]


def _step_length(direction, fresh):
    """Length [N] of the next step along each direction [N, d], in units of it.

    1, or less where the direction is long, and from a fresh inverse Hessian.
    """
    length = direction.norm(dim=1).clamp(min=1e-300)
    return torch.where(fresh, FIRST_STEP / length, 1.0).minimum(LONGEST / length).clamp(max=1e6)
