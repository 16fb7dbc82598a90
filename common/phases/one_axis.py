"""Equal features on one axis: the best arrangement at every density, and the limit of rare ones.

q_k(p) is the least loss of k features of importance 1 in one dimension. With one nonzero entry in
every column of W, n features on m axes are m such models: the least loss is that of the best split
of n into m groups, the sum of q over the groups.
"""

import math
from collections import defaultdict

import torch
from scipy.optimize import minimize

from common import geometry
from common.exact import branches, cube, feature_variance
from common.exact.checks import check_count, check_density
from common.exact.problem import TOLERANCE, Problem, split, starts

MOST_FEATURES = 7  # on one axis: the loss takes 3^k terms an output
LONG, SHORT = 1.0, 0.33  # weights of the arrangements from which minima are looked for
STEP = 0.1  # of log p, with which a curve goes from one density to the next
SAME_LOSS = 1e-8  # relative difference up to which two splits cost the same
REPRESENTED = 0.05  # weights below this count as 0


class Axis(branches.Model):
    """`branches.Model` of k features of importance 1 in one dimension, k from 2 to 7.

    Its loss is the recursion over sets of active features for every k, exact to about 12 digits,
    where `exact.minimise` turns to a series of six digits beyond `exact.CUBE_FEATURES`.
    Minima are looked for from every one of `arrangements` beside the random starts.
    """

    def __init__(self, k, *, restarts=16, seed=0):
        if not 2 <= check_count(k, "k") <= MOST_FEATURES:
            raise ValueError(f"k must lie between 2 and {MOST_FEATURES}, got {k}")
        super().__init__(k, 1, restarts=restarts, seed=seed)

    def lowest(self, density):
        random = starts(self.n, 1, self.options["restarts"], self.options["seed"])
        x = torch.cat([arrangements(self.n), random])
        problem = self._problem(density, TOLERANCE)
        cell, count = torch.arange(len(density)).repeat_interleave(len(x)), len(x)
        W, b = x.repeat(len(density), 1).split(self.n, 1)
        # The output of a dropped feature is its mean; from 0 it would never leave 0.
        b = torch.where(W == 0, density[cell][:, None] / 2, b)
        ends = problem.minimise(torch.cat([W, b], 1), cell)
        found = ends.at(ends.lowest_of(count))
        return *split(found.x, self.n, 1), found.value * problem.scale

    def polished(self, W, b, density):
        problem = self._problem(
            torch.full((len(b),), density, dtype=torch.float64), branches.TOLERANCE
        )
        end = problem.minimise(torch.cat([W[:, 0], b], 1), torch.arange(len(b)))
        return *split(end.x, self.n, 1), end.value * problem.scale

    def loss(self, W, b, density):
        own_first = (torch.arange(self.n) + torch.arange(self.n)[:, None]) % self.n
        w = W[:, 0]
        rows = w[:, own_first] * w[:, :, None]  # of W^T W, each turned until its own comes first
        p = density[:, None, None].expand_as(rows)
        parts = (rows.flatten(0, 1), b.flatten(), p.flatten(0, 1))
        return cube.row_loss(*parts).sum(0).reshape(-1, self.n).sum(-1)

    def _problem(self, density, tolerance):
        p = density[:, None].expand(-1, self.n)
        return Problem(
            self.n, 1, p, torch.ones_like(p), loss=None, terms=0, few=True, tolerance=tolerance
        )


def arrangements(k):
    """Starts [N, 2 k], weights and biases: one long feature with short ones on the other side, or
    two long ones, one on each side, with short ones beside either; the others 0."""
    weights = [[LONG] + [-SHORT] * others for others in range(1, k)]
    for left in range(k - 1):
        for right in range(left, k - 1 - left):
            weights.append([LONG, -LONG] + [SHORT] * left + [-SHORT] * right)
    return torch.tensor([w + [0.0] * (2 * k - len(w)) for w in weights], dtype=torch.float64)


class Curve:
    """q_k between two densities: its jumps, and the optimum at every density in between.

    densities : descending; at these the optimum is searched, as by `branches.Model.transitions`.
    """

    def __init__(self, axis, densities):
        self.axis = axis
        self.ends = densities[0], densities[-1]
        self.jumps, states = axis.transitions(densities)
        self.known = defaultdict(list)  # States on each piece between two jumps
        for state in states:
            self.known[self._piece(state.density)].append(state)
        for piece, jump in enumerate(self.jumps):
            self.known[piece].append(jump.above)
            self.known[piece + 1].append(jump.below)

    def at(self, density):
        """The optimum, a State, at one density. Raises ValueError outside the densities searched,
        and RuntimeError if the branch of the optimum ends before it is reached."""
        high, low = self.ends
        if not low <= density <= high:
            raise ValueError(f"the density must lie between {low} and {high}, got {density}")
        known = self.known[self._piece(density)]
        nearest = min(known, key=lambda state: abs(math.log(state.density / density)))
        path = self.axis.along(nearest, density, STEP)
        if path[-1].density != density:
            raise RuntimeError(f"the branch ends at {path[-1].density} before {density}")
        known.append(path[-1])
        return path[-1]

    def _piece(self, density):
        return sum(jump.density > density for jump in self.jumps)


def in_order(W):
    """Weights [k] of W [1, k] as they are drawn: the side with more stored features is positive, of
    two with as many that of the longest one. First that side, then the other, each from long to
    short, then the features that are not stored, as 0."""
    w = torch.where(W[0].abs() < REPRESENTED, 0, W[0])
    balance = w.sign().sum()
    w = w * (balance.sign() if balance else w[w.abs().argmax()].sign())
    return torch.cat([w[w > 0].sort(descending=True).values, w[w < 0].sort().values, w[w == 0]])


def splits(n, m):
    """The ways to split n features into m groups of 1 or more: lists of sizes, descending."""

    def parts(left, groups, most):
        if groups == 0:
            return [[]] if left == 0 else []
        return [
            [k, *rest]
            for k in range(min(most, left), 0, -1)
            for rest in parts(left - k, groups - 1, k)
        ]

    return parts(n, m, n)


def best_split(n, m, q):
    """The least loss [D] of n features on m axes, and of which of `splits(n, m)` it is [D]: of
    several with the same loss the most even one, as where a group only drops what it is given.

    q : {k: losses [D] of k features on one axis}, from 1 to n - m + 1.
    """
    loss = torch.stack([sum(q[k] for k in sizes) for sizes in splits(n, m)])
    ties = loss <= (1 + SAME_LOSS) * loss.min(0).values
    return loss.min(0).values, (ties * torch.arange(1, len(loss) + 1)[:, None]).argmax(0)


def conjectured(n, m, density):
    """The conjectured least loss [...] of n >= 2 m features on m axes: m features alone, or m
    pairs of weights 1 and -1 and biases 0; the others dropped at s2 = p/3 - p^2/4 each."""
    p = check_density(density)
    dropped = feature_variance(p)
    return torch.minimum((n - m) * dropped, m * p**2 / 3 + (n - 2 * m) * dropped)


def side_cost(w, t, v, short):
    """C: what one active feature at a time costs on one side of an axis, of one long feature and
    `short` short ones, biases t and 0.

    Per feature: w > 0 and t <= 0 of the long one, v > 0 of the short ones. With
    own(a, t) = E (x - relu(a x + t))^2 and cross(g, t) = E relu(g x + t)^2, x uniform on [0, 1],

        C = own(w^2, t) + short * [ cross(w v, t) + own(v^2, 0) + cross(v w, 0)
                                    + (short - 1) cross(v^2, 0) ].
    """
    s = max(0.0, 1 + t / w**2)
    long = 1 / 3 - w**2 * s**2 + (w**2 + w**4) * s**3 / 3
    above = max(0.0, w * v + t)
    disturbed = above**3 / (3 * w * v)
    return long + short * (disturbed + ((1 - v**2) ** 2 + v**2 * w**2 + (short - 1) * v**4) / 3)


def best_side(count):
    """C and (w, t, v) of the best side of `count` features, one long and the others short."""
    if count == 1:
        return 0.0, (1.0, 0.0, 0.0)
    start = [1.0, -0.17, 0.33]
    options = {"xatol": 1e-10, "fatol": 1e-15, "maxiter": 5000, "maxfev": 5000}
    found = minimize(
        lambda x: side_cost(*x, count - 1), start, method="Nelder-Mead", options=options
    )
    return found.fun, tuple(found.x)


def rare_limit(k):
    """The limit of q_k / p as p goes to 0: the features spread evenly over the two sides."""
    return best_side((k + 1) // 2)[0] + (best_side(k // 2)[0] if k > 1 else 0.0)


def closest_triple(W, least=0.1):
    """How nearly three features of one model W [m, n] share an axis, and which ones do.

    Of three features of norm `least` or more the smallest cosine, in size, between any two counts:
    the largest such number and its features; 0 and none where there are not three.
    """
    cosines = geometry.cosines(W).abs().fill_diagonal_(0)
    (kept,) = (geometry.feature_norms(W) >= least).nonzero(as_tuple=True)
    if len(kept) < 3:
        return 0.0, []
    cosines = cosines[kept][:, kept]
    triples = torch.minimum(cosines[:, :, None], cosines[:, None, :]).minimum(cosines)
    features = torch.unravel_index(triples.argmax(), triples.shape)
    return triples.max().item(), sorted(kept[torch.stack(features)].tolist())


def named(sizes):
    """A split as text: 3 + 2."""
    return " + ".join(map(str, sizes))
