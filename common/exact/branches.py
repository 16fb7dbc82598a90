"""Where the optimum changes: minima followed over the density until their losses cross.

`Model.transitions` minimises the exact loss on a grid of densities, from many starts. Where
neighbouring optima lie on different branches of minima, both branches are followed until their
losses are equal: that density is where the optimum jumps, and it is known to many digits whatever
the grid. There the loss is minimised from many starts once more. If that finds a third, lower
branch, both sides are searched again; so a phase narrower than the grid is found as well, provided
that the starts find its minimum where its neighbours are equal.

Where a weight grows continuously from zero the branch goes on, and nothing jumps. `Model.vanishing`
finds where a quantity reaches zero along a branch.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from scipy.optimize import brentq

from common.exact import minimise, polish, population_loss
from common.exact.checks import check_count, check_density, check_importance
from common.parallel import progress

NUDGE = 0.003  # standard deviation of what is added to W, so that a saddle is left
FURTHEST = 0.15  # change of (W^T W, b), Frobenius norm, in one step that is another branch
LONGEST_STEP = 0.03  # of log p, with which a branch is followed
SHORTEST_STEP = 1e-6  # of log p: where a step of that length is too far, the branch ends
SAME_LOSS = 1e-8  # relative difference of two losses up to which they are the same minimum's
ACCURACY = 1e-9  # of log p where two losses cross
ROUNDS = 60  # of Newton's method, at most
DIFFERENCE = 1e-6  # relative step of the derivative by density
NEARLY_ZERO = 0.01  # a quantity that vanishes is nearly linear in the density from here to 0
TOLERANCE = 1e-11  # of the gradient at a minimum


@dataclass
class State:
    """A minimum of the exact loss at one density: W [m, n], b [n]."""

    density: float
    W: torch.Tensor
    b: torch.Tensor
    loss: float

    def distance(self, other):
        """Frobenius norm of the change of (W^T W, b): how far another State is from this one."""
        moved = self.W.mT @ self.W - other.W.mT @ other.W
        return torch.cat([moved.flatten(), self.b - other.b]).norm().item()


@dataclass
class Jump:
    """The optimum jumps at `density`, where two minima have the same loss: it is the branch of the
    State `above` at higher densities and that of `below` at lower ones."""

    density: float
    above: State
    below: State


class Model:
    """Minima of the exact loss of n features of importance [n] in m dimensions, at any density."""

    def __init__(self, n_features, n_hidden, importance=None, *, restarts=64, seed=0):
        """restarts, seed : of every minimisation, as for `exact.minimise`."""
        self.n, self.m = check_count(n_features, "n_features"), check_count(n_hidden, "n_hidden")
        self.importance = check_importance(importance, (), self.n)
        self.options = {"restarts": restarts, "seed": seed}
        noise = torch.randn(self.m, self.n, generator=torch.Generator().manual_seed(0)).double()
        self.nudges = NUDGE * torch.stack([noise, -noise])

    def optima(self, density):
        """The best minimum found at each density [D], descending: a list of States.

        A branch that is optimal at one density is also tried at the next ones, in both directions.
        """
        density = check_density(density).reshape(-1)
        W, b, loss = self.lowest(density)
        parts = zip(density.tolist(), W, b, loss.tolist(), strict=True)
        states = [self.settle(State(*part), part[0]) for part in parts]
        order = range(len(states))
        for path in (order, order[::-1]):
            for last, k in pairwise(path):
                states[k] = self._lower(states[k], self.follow(states[last], states[k].density))
        return states

    def lowest(self, density):
        """The lowest minimum from many starts at each density [D]: W [D, m, n], b [D, n], loss."""
        found = minimise(self.n, self.m, density, self.importance, **self.options)
        return found.W, found.b, found.loss

    def polished(self, W, b, density):
        """The minima next to W [K, m, n], b [K, n] at one density, and their loss [K]."""
        return polish(W, b, density, self.importance, tolerance=TOLERANCE)[:3]

    def loss(self, W, b, density):
        """The loss [K] of W [K, m, n], b [K, n] at densities [K]."""
        return population_loss(W, b, density, self.importance)

    def settle(self, state, density):
        """The minimum next to `state` at another density. Where it is a saddle it is left."""
        W, b, loss = self.polished(state.W + self.nudges, state.b.expand(2, -1), density)
        best = loss.argmin()
        return State(density, W[best], b[best], loss[best].item())

    def along(self, state, density, longest=LONGEST_STEP):
        """The branch of `state` from there to another density: a list of States, at most `longest`
        in log p from one to the next. It is shorter where the branch ends before that."""
        path, step = [state], longest
        while (left := math.log(density / path[-1].density)) != 0:
            step = min(step, abs(left))
            target = path[-1].density * math.exp(math.copysign(step, left))
            there = self.settle(path[-1], density if step == abs(left) else target)
            if path[-1].distance(there) <= FURTHEST:
                path.append(there)
                step = min(longest, 2 * step)
            elif step > SHORTEST_STEP:
                step /= 4
            else:
                break
        return path

    def follow(self, state, density):
        """`state` followed to another density; None where its branch ends before that."""
        last = self.along(state, density)[-1]
        return last if last.density == density else None

    def transitions(self, density):
        """Every jump of the optimum between the densities [D], descending, from high to low: a
        list of Jumps, and the optima [D] at the densities themselves.

        Raises ValueError for densities that do not descend.
        """
        density = check_density(density).reshape(-1)
        if not (density.diff() < 0).all():
            raise ValueError(f"densities must descend, got {density.tolist()}")
        states, jumps = self.optima(density), []
        with progress("transitions", len(states) - 1) as done:
            for pair in pairwise(states):
                jumps += self._between(*pair)
                done(1)
        return jumps, states

    def _between(self, above, below):
        """The Jumps between two optima."""
        if _same(self.follow(above, below.density), below):
            return []
        jump = self.crossing(above, below)
        middle = math.sqrt(above.density * below.density) if jump is None else jump.density
        (third,) = self.optima([middle])
        if jump is not None and third.loss > (1 - SAME_LOSS) * jump.above.loss:
            return [jump]
        return self._between(above, third) + self._between(third, below)

    def crossing(self, above, below):
        """The Jump from the branch of `above` to that of `below`, a lower density at which it is
        the better one. None where the branches do not meet in between: there is a third one."""
        high, low = above.density, below.density
        while above.density != below.density:
            middle = math.sqrt(above.density * below.density)
            upper, lower = self.follow(above, middle), self.follow(below, middle)
            if (upper is None) == (lower is None):
                above, below = upper, lower
                break
            above, below = upper or above, lower or below  # the other one has ended before
        if above is None:
            return None
        for _ in range(ROUNDS):
            slope = self.slope(above) - self.slope(below)
            step = (below.loss - above.loss) / (slope * above.density)  # Newton's, of log p
            step = max(-LONGEST_STEP, min(LONGEST_STEP, step))
            above, below, step = self._together(above, below, step)
            if abs(step) < ACCURACY:
                return Jump(above.density, above, below) if low < above.density < high else None
        return None

    def _together(self, above, below, step):
        """Both States followed by `step` of log p, or by less where one of them ends."""
        density = min(1.0, above.density * math.exp(step))
        upper, lower = self.follow(above, density), self.follow(below, density)
        if upper is None or lower is None:
            return self._together(above, below, step / 2)
        return upper, lower, step

    def slope(self, state):
        """Derivative of the optimal loss by the density, which is that at fixed W and b."""
        p = state.density * torch.tensor([1 - DIFFERENCE, 1], dtype=torch.float64)
        W, b = state.W.expand(2, -1, -1), state.b.expand(2, -1)
        below, here = self.loss(W, b, p).tolist()
        return (here - below) / (state.density * DIFFERENCE)

    def vanishing(self, quantity, inside, outside):
        """Density at which a quantity of W falls to zero on the branch of the State `inside`, and
        how well it is known.

        quantity : W [m, n] -> number, nearly linear in the density where it is small, and below
                   NEARLY_ZERO / 4 on that branch at the density `outside`.

        Extrapolated from where it is NEARLY_ZERO and half of that; the error is the difference
        from the same with half of both.
        """

        def density_at(level):
            def excess(log_density):
                return quantity(self.follow(inside, math.exp(log_density)).W) - level

            ends = math.log(inside.density), math.log(outside)
            return math.exp(brentq(excess, *ends, xtol=1e-10))

        first, second, third = (density_at(NEARLY_ZERO / k) for k in (1, 2, 4))
        return 2 * third - second, abs(2 * third - 3 * second + first)

    def _lower(self, state, other):
        """The better one of two States; the second may be None."""
        return state if other is None or other.loss >= (1 - SAME_LOSS) * state.loss else other


def _same(one, other):
    """Whether two States, of which the first may be None, have one loss."""
    return one is not None and abs(one.loss / other.loss - 1) <= SAME_LOSS
