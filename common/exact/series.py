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
in growing blocks, each row of the model ending when its own blocks have become negligible.
"""

import math
from functools import cache

import torch

from .atoms import FewActive, few_active_weights
from .linear import feature_variance

FIRST_BLOCK = 48  # harmonics of the first block
MOST_HARMONICS = 2**14  # after these a row ends whatever its accuracy
TOGETHER = 2**17  # complex numbers handled at a time, so that they stay in the cache
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
        n = c.shape[-1]
        needed = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        value, grad_t, grad_c = torch.zeros_like(t), torch.zeros_like(t), torch.zeros_like(c)
        rows = kinked.nonzero(as_tuple=True)
        first, count = 0, FIRST_BLOCK
        while len(rows[0]) and first < MOST_HARMONICS:
            size = max(1, TOGETHER // (n * count))
            blocks = []
            for part in zip(*(index.split(size) for index in rows), strict=True):
                arrays = (v[part] for v in (c, t, p, live, none, one, period))
                block = _harmonics(first, count, *arrays, needed)
                value[part] += block[0]
                blocks.append(block[0])
                if needed:
                    grad_t[part] += block[1]
                    grad_c[part] += block[2]
            loss = (importance * (base + value)).sum(-1)
            scale = (importance * p[..., 0] / 3).sum(-1)
            allowed = accuracy * torch.maximum(loss, 1e-9 * scale)[rows[0]] / n
            going_on = importance[rows] * torch.cat(blocks).abs() > allowed
            rows = tuple(index[going_on] for index in rows)
            first, count = first + count, first + count
        ctx.save_for_backward(grad_c, grad_t)
        return value

    @staticmethod
    def backward(ctx, grad):
        grad_c, grad_t = ctx.saved_tensors
        return grad[..., None] * grad_c, grad * grad_t, *(None,) * 9


def _harmonics(first, count, c, t, p, live, none, one, period, derivatives):
    """Contribution of `count` odd harmonics, from number `first` on, to rows c [R, n].

    Returns the value [R] and, with `derivatives`, those by t [R] and c [R, n].
    """
    k = 2.0 * torch.arange(first, first + count, dtype=c.dtype) + 1
    s = k * (math.pi / period[:, None])  # frequencies [R, K]
    w2 = 4 * period[:, None] / (math.pi * k) ** 2  # of Re E x_0 e^{isz}
    w3 = -4 * period[:, None] ** 2 / (math.pi * k) ** 3  # of Im E e^{isz}
    h = c[:, :, None] * s[:, None]
    phi_real, phi_imag, psi = _phi_psi(h)
    # The part with at most one active live feature is not of the series: its sum over j of
    # one_j phi_j, before p_j phi_j takes the place of phi_j.
    alone = torch.complex(*(_weighted_sum(one, part) for part in (phi_real, phi_imag)))
    column = p[:, :, None]
    # A tiny number, so that a factor of 0 can be divided out again.
    factor = torch.complex(phi_real.mul_(column).add_(1 - column + 1e-150), phi_imag.mul_(column))
    phase = torch.polar(torch.ones_like(s), s * t[:, None])
    others = phase * factor[:, 1:].prod(1)
    every = others * factor[:, 0]
    own = p[:, :1] * psi[:, 0] * others
    idle = phase if live.all() else phase * torch.where(live[:, :, None], 1, factor).prod(1)
    many = every - idle * (none[:, None] + alone)
    many_own = own - idle * one[:, :1] * psi[:, 0]
    value = (w3 * many.imag + w2 * many_own.real).sum(1)
    if not derivatives:
        return (value,)

    w2, w3 = s * w2, s * w3
    grad_t = (w3 * many.real - w2 * many_own.imag).sum(1)
    # phi'(h) = i psi(h), so each derivative is Re of psi_j times what stands beside phi_j: the
    # products without their factor j, and for a live feature the part where it is active alone.
    whole, rest, only = w3 * every + 1j * w2 * own, w3 * many + 1j * w2 * many_own, w3 * idle
    ratio = psi * factor.reciprocal_()  # a complex division takes five times as long
    beside = torch.where(live, *_real_sums(ratio, whole, rest))
    beside[:, 0] = _real_sums(ratio[:, :1], w3 * every)[0][:, 0]
    grad_c = p * beside - one * _real_sums(psi, only)[0]
    # The own feature stands in psi(c_0 s) as well, with psi' = i chi2, chi2 = E u^2 e^{ihu}.
    chi2 = _chi2(h[:, 0], psi[:, 0])
    own_beside = p[:, :1] * others - one[:, :1] * idle
    grad_c[:, 0] -= (w2 * (chi2 * own_beside).imag).sum(-1)
    return value, grad_t, grad_c


def _weighted_sum(weights, values):
    """Sum [R, K] over j of weights [R, n] times values [R, n, K]."""
    return torch.bmm(weights[:, None], values)[:, 0]


def _real_sums(values, *vectors):
    """Re of the sums over k of complex values [R, n, K] times each of the vectors [R, K]."""
    pairs = torch.view_as_real(values).flatten(2)
    conjugates = [torch.view_as_real(v.conj().resolve_conj()).flatten(1) for v in vectors]
    return torch.bmm(pairs, torch.stack(conjugates, 2)).unbind(2)


def _phi_psi(h):
    """E e^{ihu} as real and imaginary part, and E u e^{ihu}.

    From the centred integrals over [-1/2, 1/2] of cos(hv) and v sin(hv).
    """
    half = h / 2 + 1e-300  # never 0
    sin, cos = torch.sin(half), torch.cos(half)
    even = sin / half
    odd = torch.where(half.abs() < 5e-5, half / 6, (even - cos).div_(2 * half))
    real, imaginary = cos * even, sin * even
    psi = torch.complex(real / 2 - sin * odd, imaginary / 2 + cos * odd)
    return real, imaginary, psi


def _chi2(h, psi):
    """E u^2 e^{ihu} = (e^{ih} - 2 psi(h)) / (ih)."""
    small = h.abs() < 1e-3
    safe = torch.where(small, 1, h)
    series = torch.complex(1 / 3 - h**2 / 10, h / 4)
    turn = torch.polar(torch.ones_like(h), h)
    return torch.where(small, series, (turn - 2 * psi) / (1j * safe))
