r"""Exact expectations of a ReLU output for any number of features, by a Fourier series of its kink.

For z = t + sum_j c_j x_j on an interval [-L, L] that z (almost) never leaves,

    |z|   = L/2 - (4 L / pi^2)  sum_{k odd} cos(k pi z / L) / k^2,
    z |z| = L z - (8 L^2/pi^3)  sum_{k odd} sin(k pi z / L) / k^3,

and relu(z) = (z + |z|)/2, relu(z)^2 = (z^2 + z|z|)/2. The x_j are independent, so with
s = k pi / L, phi(h) = E e^{ihu} and psi(h) = E u e^{ihu} for u uniform on [0, 1],

    E e^{isz}     = e^{ist} prod_j (1 - p_j + p_j phi(c_j s)),
    E x_0 e^{isz} = e^{ist} p_0 psi(c_0 s) prod_{j > 0} (1 - p_j + p_j phi(c_j s)).

Three things make the series converge fast and to a stated accuracy. (1) z has atoms and edges
where no feature or exactly one is active (not counting those whose coefficient is negligible);
these parts are taken out of the product and added back in closed form, see `atoms`. (2) L is the
smallest bound that z exceeds with negligible probability (Chernoff), often far below the largest
possible |z|; where the kink itself is that improbable, no series is needed. (3) Harmonics are added
in growing blocks, each row of the model ending when its own blocks have become negligible; that
sum is `harmonics`.
"""

import math
from functools import cache

import torch

from .atoms import FewActive, few_active_weights
from .linear import feature_variance

NEGLIGIBLE = 1e-4  # coefficients below this do not make a feature live, see row_loss
SLOPES = [2.0**k for k in range(-2, 9)]  # tried in Chernoff's bound


def row_loss(c, t, p, importance, accuracy):
    """E (x_0 - relu(z))^2 of every output row, for z = t + c.x.

    c          : [N, n, n], for each instance and output its row of A with the own feature first.
    t          : [N, n], the biases.
    p          : [N, n, n], densities in the order of c.
    importance : [N, n], weights of the rows; they only decide how accurate each row must be.
    accuracy   : allowed error of the importance-weighted sum of an instance, relative.

    Returns [N, n], differentiable once in c and t.
    """
    _keep_freed_memory()
    live = c.detach().abs() > NEGLIGIBLE
    live[..., 0] = True
    none, one = few_active_weights(torch.where(live, p, 0))
    low, high = _likely_range(c.detach(), t.detach(), p, math.log(1e-4 * accuracy))
    kinked = (low < 0) & (high > 0)
    period = torch.where(kinked, torch.maximum(-low, high), 1.0)
    mean, second, own = _moments(c, t, p)
    few = FewActive(c, t, p, live, none, one)

    # In a row with a kink: the closed forms, and the series without its sum over harmonics.
    share = (p[..., 0] - one[..., 0]) / 2  # E x_0 where two or more are active
    smooth = (second - few.second + period * (mean - few.mean)) / 2 - (own - few.own)
    smooth = smooth - period * share / 2 + few.loss()
    elsewhere = torch.where(low >= 0, second - 2 * own, 0)
    base = p[..., 0] / 3 + torch.where(kinked, smooth, elsewhere)
    fixed = live, none, one, period, kinked, base.detach(), importance, accuracy
    return base + _Series.apply(c, t, p, *fixed)


@cache
def _keep_freed_memory():
    """Let glibc keep what is freed: fresh pages cost more than the arithmetic on them.

    It keeps blocks up to the largest one freed so far, if that had at most 32 MB: so free one, of
    which no page was ever touched.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


def _moments(c, t, p):
    """E z, E z^2 and E x_0 z."""
    mean = t + (c * p).sum(-1) / 2
    variance = feature_variance(p)
    second = mean**2 + (c**2 * variance).sum(-1)
    own = p[..., 0] / 2 * mean + c[..., 0] * variance[..., 0]
    return mean, second, own


def _likely_range(c, t, p, log_tail):
    """Bounds [...] that z stays below or above but for a probability of e^log_tail each.

    Chernoff: P(z > x) <= E e^{s z} e^{-s x} for every s > 0; the best of a few s, and never wider
    than the range of z itself.
    """

    def reach(h, slope):
        growth = torch.where(h.abs() < 1e-5, h / 2, torch.expm1(h) / h - 1)
        return (torch.log1p(p * growth).sum(-1) - log_tail) / slope

    high, low = t + c.clamp(min=0).sum(-1), t + c.clamp(max=0).sum(-1)
    for slope in SLOPES:
        high = torch.minimum(high, t + reach(slope * c, slope))
        low = torch.maximum(low, t - reach(-slope * c, slope))
    return low, high


class _Series(torch.autograd.Function):
    """The sum over harmonics, and in the same sweep its derivatives by c and t."""

    @staticmethod
    def forward(ctx, c, t, p, live, none, one, period, kinked, base, importance, accuracy):
        from .harmonics import add_harmonics  # few features do without numba

        angle = torch.cat([c / 2, t[..., None]], -1) * (math.pi / period[..., None])
        angle = angle + 1e-300  # never 0
        turn = torch.stack([angle.cos(), angle.sin()], -1)
        found = value, grad_t, grad_c = [torch.zeros_like(v) for v in (t, t, c)]
        arrays = angle, turn, p, live, none, one, period, kinked, base, importance
        numpy = (v.detach().contiguous().numpy() for v in arrays)
        add_harmonics(*numpy, accuracy, *(v.numpy() for v in found))
        ctx.save_for_backward(grad_c, grad_t)
        return value

    @staticmethod
    def backward(ctx, grad):
        grad_c, grad_t = ctx.saved_tensors
        return grad[..., None] * grad_c, grad * grad_t, *(None,) * 9
