"""Quasi-Newton minimisation of many small independent problems at once.

BFGS with a dense inverse Hessian per problem and a backtracking line search. All problems advance
together, one evaluation of the batch a round, each at its own step length; a problem that has
converged leaves the batch.
"""

from dataclasses import dataclass

import torch

SUFFICIENT = 1e-4  # Armijo: share of the predicted decrease that a step must bring
ROUNDING = 1e-14  # differences of values below this are rounding (values are of order 1)
LONGEST = 1.0  # longest step, so that an early one does not leave the region of interest
PATIENCE = 100  # evaluations in which a problem must gain something, or it is given up
REST = 0.9  # the batch is compacted when only this share of it is still moving


@dataclass
class Minima:
    """x [N, d], value [N], gradient [N] (largest entry in size) and whether it converged [N]."""

    x: torch.Tensor
    value: torch.Tensor
    gradient: torch.Tensor
    converged: torch.Tensor

    def put(self, index, other):
        """Replace the problems `index` by those of `other`."""
        for name, values in vars(self).items():
            values[index] = getattr(other, name)

    def at(self, index):
        """Only the problems `index`."""
        return Minima(*(values[index] for values in vars(self).values()))


def with_gradient(loss):
    """What `minimise_batch` minimises, from a differentiable loss(x [M, d], index [M]) -> [M]."""

    def function(x, index):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            value = loss(x, index)
            (gradient,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), gradient

    return function


def minimise_batch(function, x, units, *, tolerance, rounds, gain=1e-13):
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
    index = torch.arange(len(x), device=x.device)
    value, gradient = function(x, index)
    found = Minima(x.clone(), value.clone(), gradient.abs().amax(1), torch.zeros_like(index).bool())
    state = _State(x, value, gradient, units**2)
    for _ in range(rounds):
        done = state.gradient.abs().amax(1) <= tolerance
        moving = ~done & (state.step > 1e-10) & (state.idle < PATIENCE)
        if moving.double().mean() <= REST or not moving.any():
            found.x[index] = state.x
            found.value[index] = state.value
            found.gradient[index] = state.gradient.abs().amax(1)
            found.converged[index] = done
            index, state = index[moving], state.keep(moving)
            if not len(index):
                return found
        trial = state.x + state.step[:, None] * state.direction
        state.advance(trial, *function(trial, index))
        state.count_idle(gain)
    found.x[index], found.value[index] = state.x, state.value
    found.gradient[index] = state.gradient.abs().amax(1)
    found.converged[index] = found.gradient[index] <= tolerance
    return found


class _State:
    """Position, value, gradient, inverse Hessian, search direction and step of every problem."""

    def __init__(self, x, value, gradient, diagonal, rest=None):
        self.x, self.value, self.gradient, self.diagonal = x, value, gradient, diagonal
        if rest is not None:
            self.inverse, self.direction, self.step, self.fresh, self.last, self.idle = rest
            return
        self.inverse = torch.diag_embed(diagonal)
        self.fresh = torch.ones(len(x), dtype=torch.bool, device=x.device)
        self.direction = -diagonal * gradient
        self.step = self._first_step()
        self.last, self.idle = value, torch.zeros(len(x), dtype=torch.int64, device=x.device)

    def keep(self, mask):
        """The state of some of the problems."""
        kept = self.inverse, self.direction, self.step, self.fresh, self.last, self.idle
        rest = [v[mask] for v in kept]
        now = [v[mask] for v in (self.x, self.value, self.gradient, self.diagonal)]
        return _State(*now, rest)

    def _first_step(self):
        """1, or less where the direction is long. A fresh direction is only a guess: 0.3 long."""
        length = self.direction.norm(dim=1).clamp(min=1e-300)
        return torch.where(self.fresh, 0.3 / length, 1.0).minimum(LONGEST / length).clamp(max=1e6)

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
        self.step = torch.where(accepted | uphill, self._first_step(), shorter)

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
