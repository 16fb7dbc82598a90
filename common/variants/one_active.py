"""Models of inputs with exactly one active feature: their loss, its minima, and its brackets.

Each of n features is the active one equally often, uniform on [0, 1]; the others are 0. Up to the
factor 1/n the loss is a sum over outputs,

    L1 = sum_i I_i [ own(|W_i|^2, b_i) + sum_(j != i) cross(W_i . W_j, b_i) ],
    own(a, t) = int_0^1 (x - relu(a x + t))^2 dx,    cross(g, t) = int_0^1 relu(g x + t)^2 dx,

the first term of the paper's expansion by active features ("Mathematical Understanding"). All
numbers here are floating point; `proofs` has the same functions in intervals, and shares no code.
"""

from dataclasses import dataclass

import torch

from common.exact.bfgs import minimise_batch, with_gradient
from common.exact.checks import check_count, check_importance
from common.exact.problem import split
from common.geometry import gram
from common.variants.polygons import polygon

RADII, LEVELS = (0.9, 1.2, 1.5), (-1.1, -0.6, -0.1)  # starts of `best_regular`
TOLERANCE = 1e-10  # of the gradient at a minimum
ROUNDS = 3000  # evaluations after which a start is given up
PAIR_ROUNDS = 300  # the same in `least_excess`, where some have no minimum
PAIR_BOX = ((0.1, -1.5, 0.1, -1.5, 0.0), (1.8, 0.6, 1.8, 0.6, torch.pi / 2))  # of `least_excess`
DROPPED, SHORT = 1 / 8, 0.01  # share of features that begin dropped, and their norm
NORMS, BIASES = (0.3, 1.6), (-1.2, 0.2)  # of the starts, uniform between these


def cross(g, t):
    """int_0^1 relu(g x + t)^2 dx of tensors that broadcast."""
    g, t = torch.broadcast_tensors(torch.as_tensor(g), torch.as_tensor(t))
    straight, end = (t >= 0) & (g + t >= 0), torch.maximum(t, g + t)
    bent = ~straight & (end > 0)
    size = torch.where(bent, g.abs(), 1)
    kinked = torch.where(bent, end, 0) ** 3 / (3 * size)
    return torch.where(straight, g**2 / 3 + g * t + t**2, kinked)


def own(a, t):
    """int_0^1 (x - relu(a x + t))^2 dx of tensors that broadcast, a >= 0."""
    a, t = torch.broadcast_tensors(torch.as_tensor(a), torch.as_tensor(t))
    bent = (t < 0) & (a + t > 0)
    size = torch.where(bent, a, 1)
    kinked = torch.where(bent, a + t, 0) ** 2 * (2 * a - t) / (6 * size**2)
    product = torch.where(t >= 0, a / 3 + t / 2, kinked)  # int x relu(a x + t)
    return 1 / 3 - 2 * product + cross(a, t)


def one_active_loss(W, b, importance=None):
    """L1 [...] of models W [..., m, n] and b [..., n], differentiable; importances 1 when None."""
    products = gram(W)
    n = b.shape[-1]
    importance = check_importance(importance, (), n)
    alone = own(torch.diagonal(products, dim1=-2, dim2=-1), b)
    others = cross(products, b[..., None]) * (1 - torch.eye(n, dtype=b.dtype))
    return (importance * (alone + others.sum(-1))).sum(-1)


def minimise_one_active(n_features, n_hidden, importance=None, *, restarts=64, seed=0):
    """Minima of L1 from random starts, the lowest first: W [k, m, n], b [k, n] and loss [k].

    Directions of the features are uniform, norms and biases too; but every feature begins as
    good as dropped with a probability of 1/8. Raises ValueError for counts that are not positive.
    """
    n, m = check_count(n_features, "n_features"), check_count(n_hidden, "n_hidden")
    k = check_count(restarts, "restarts")
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(k, m, n, generator=generator).double()
    size, level = torch.rand(2, k, n, generator=generator).double()
    norms, biases = ((hi - lo) * x + lo for (lo, hi), x in ((NORMS, size), (BIASES, level)))
    dropped = torch.rand(k, n, generator=generator) < DROPPED
    norms, biases = torch.where(dropped, SHORT, norms), torch.where(dropped, 1 / (2 * n), biases)
    W = norms[:, None] * W / W.norm(dim=1, keepdim=True)

    return settle(W, biases, importance)


def settle(W, b, importance=None):
    """Minima of L1 next to models W [k, m, n] and b [k, n], lowest first: W, b and loss [k]."""
    m, n = W.shape[-2:]

    def loss(x, _):
        return one_active_loss(*split(x, n, m), importance)

    x = torch.cat([W.flatten(1), b], 1)
    units = torch.ones_like(x)
    ends = minimise_batch(with_gradient(loss), x, units, tolerance=TOLERANCE, rounds=ROUNDS)
    ends = ends.at(ends.value.argsort())
    return *split(ends.x, n, m), ends.value


@dataclass
class Regular:
    """A regular polygon: W [2, k], b [k] and its loss."""

    W: torch.Tensor
    b: torch.Tensor
    loss: float


def best_regular(k):
    """The best regular k-gon."""

    def loss(x, _):
        return one_active_loss(*polygon(k, *x.unbind(-1))) / k

    start = torch.cartesian_prod(*(torch.tensor(v).double() for v in (RADII, LEVELS)))
    units = torch.ones_like(start)
    ends = minimise_batch(with_gradient(loss), start, units, tolerance=TOLERANCE, rounds=ROUNDS)
    best = ends.value.argmin()
    return Regular(*polygon(k, *ends.x[best]), k * ends.value[best].item())


def dropped_cost(n):
    """Least cost of a dropped feature among n: 1/3 - t + n t^2 with its bias t = 1/(2 n).

    Its output is t whichever feature is active; the others do not feel it.
    """
    return 1 / 3 - 1 / (4 * n)


def pair_cost(x, importance=(1, 1)):
    """What two neighbours x [..., 5] = (norm, bias, norm', bias', gap) cost: half of each own
    term and both cross terms, times the importances of the outputs."""
    r, b, r2, b2, gap = x.unbind(-1)
    g = r * r2 * torch.cos(gap)
    first, second = own(r**2, b) / 2 + cross(g, b), own(r2**2, b2) / 2 + cross(g, b2)
    return importance[0] * first + importance[1] * second


def least_excess(W, b, importance, *, samples=100_000, tried=100, seed=0):
    """How far the bracket of each pair of neighbours falls below its value at a minimum of L1.

    W [2, n], b [n] : a minimum with all features stored, in the order of their angles. A bracket is
    `pair_cost` minus its tangent at the minimum. The tangents of all pairs cancel in the sum over
    a circle: so if no bracket falls below 0, no model whose features stand in this order is better.
    Searched from the lowest `tried` of random points within the budget, what the pair may cost in a
    model that is better, with gaps up to pi/2. Returns [n], 0 where nothing lower was found.
    """
    norms, angles = W.norm(dim=0), torch.atan2(W[1], W[0])
    gaps = (angles.roll(-1) - angles) % (2 * torch.pi)
    point = torch.stack([norms, b, norms.roll(-1), b.roll(-1), gaps], -1)
    weights = torch.stack([importance, importance.roll(-1)], -1)
    budget = one_active_loss(W, b, importance)
    generator = torch.Generator().manual_seed(seed)
    low, high = torch.tensor(PAIR_BOX, dtype=torch.float64)
    found = []
    for centre, pair in zip(point, weights, strict=True):
        value, slope = with_gradient(lambda x, _, pair=pair: pair_cost(x, pair))(centre, None)

        def excess(x, _, pair=pair, centre=centre, value=value, slope=slope):
            return pair_cost(x, pair) - value - (x - centre) @ slope

        x = low + (high - low) * torch.rand(samples, 5, generator=generator).double()
        x = x[_within(x, pair, budget, low, high)]
        x = x[excess(x, None).argsort()[:tried]]
        ends = minimise_batch(
            with_gradient(excess), x, torch.ones_like(x), tolerance=1e-9, rounds=PAIR_ROUNDS
        )
        x = torch.cat([x, ends.x[_within(ends.x, pair, budget, low, high)]])
        found.append(excess(x, None).min().clamp(max=0))
    return torch.stack(found)


def _within(x, importance, budget, low, high):
    """Which pairs x [k, 5] lie in the box and cost at most the budget, own terms whole."""
    alone = importance[0] * own(x[:, 0] ** 2, x[:, 1]) + importance[1] * own(x[:, 2] ** 2, x[:, 3])
    fits = pair_cost(x, importance) + alone / 2 <= budget
    return fits & (x >= low).all(1) & (x <= high).all(1)
