r"""The population loss of a toy model, computed exactly instead of estimated from samples.

For outputs x' = f(A x + b) with A = W_out W the loss is

    L = sum_i I_i ( p_i/3 - 2 E[x_i f(z_i)] + E[f(z_i)^2] ),      z_i = b_i + sum_j A_ij x_j .

For the ReLU the two expectations are sums over sets C of active features, with the x_j, j in C,
uniform on [0, 1]. Write F_C^q(t) = E relu(t + sum_C c_j u_j)^q and H_C(t) = E u_0 relu(t + ...) for
a feature 0 in C. They are homogeneous in (t, c), and integrating by parts in u_j gives, for any
numbers s_j with sum_C c_j s_j = -t,

    (q + k) F_C^q(t) = sum_{j in C} (1 - s_j) F_{C-j}^q(t + c_j) + s_j F_{C-j}^q(t),     k = |C|,
    (k + 2) H_C(t)   = sum_{j in C-0} (1 - s_j) H_{C-j}(t + c_j) + s_j H_{C-j}(t)
                       + (1 - s_0) F_{C-0}^1(t + c_0) + s_0 F_C^1(t) .

Where the kink lies inside the range of t + c.u the s_j can be chosen in [0, 1]: both are then
convex combinations, with no division by any c_j. That makes them stable for every W, zero and
tiny entries included, where the textbook formula (a product of differences divided by a product of
coefficients) loses all digits. Elsewhere the ReLU is linear or zero and the moments are elementary.
"""

from functools import lru_cache
from itertools import combinations

import torch

from common.data import check_density
from common.model import check_activation

MAX_FEATURES = 8  # 3^n terms an output: 6,561 at n = 8


def population_loss(W, b, density, importance=None, *, W_out=None, output="relu"):
    """Exact loss L = E sum_i I_i (x_i - x'_i)^2 of each instance, float64 and differentiable.

    W          : [..., m, n], features as columns.
    b          : [..., n].
    density    : p in (0, 1]; a number, one value per instance [...] or per feature [..., n].
    importance : I_i, [n] or [..., n]; all 1 when None.
    W_out      : [..., n, m]; W^T (a tied model) when None.
    output     : "relu" or "linear".

    Returns the loss [...], accurate to about 12 digits. Raises ValueError for shapes that do not
    fit, a density outside (0, 1], weights that are not finite, an unknown output, or more than
    8 features with a ReLU output.
    """
    check_activation(output, "output")
    W, b = _as_float64(W, "W"), _as_float64(b, "b")
    if W.dim() < 2 or b.dim() < 1 or b.shape[-1] != W.shape[-1]:
        raise ValueError(
            f"W [..., m, n] and b [..., n] do not fit: {list(W.shape)}, {list(b.shape)}"
        )
    n = W.shape[-1]
    decoder = W.transpose(-1, -2) if W_out is None else _as_float64(W_out, "W_out")
    if decoder.dim() < 2 or decoder.shape[-2:] != (n, W.shape[-2]):
        raise ValueError(
            f"W_out must have shape [..., {n}, {W.shape[-2]}], got {list(decoder.shape)}"
        )
    A = decoder @ W
    batch = torch.broadcast_shapes(A.shape[:-2], b.shape[:-1])
    A, b = A.expand(*batch, n, n), b.expand(*batch, n)
    p = _per_feature(density, batch, n).to(A.device)
    loss = _linear_loss(A, b, p) if output == "linear" else _relu_loss(A, b, p)
    if importance is not None:
        loss = loss * _check_importance(importance, batch, n).to(A.device)
    return loss.sum(-1)


def _as_float64(value, name):
    value = torch.as_tensor(value, dtype=torch.float64)
    if not torch.isfinite(value).all():
        raise ValueError(f"{name} must be finite, got {value[~torch.isfinite(value)][0].item()}")
    return value


def _check_importance(importance, batch, n):
    importance = _as_float64(importance, "importance")
    try:
        return importance.expand(*batch, n)
    except RuntimeError:
        raise ValueError(
            f"importance must have shape {[n]} or {[*batch, n]}, got {list(importance.shape)}"
        ) from None


def _per_feature(density, batch, n):
    """density as [*batch, n]: a trailing axis of length n is per feature only behind the batch."""
    p = check_density(density)
    if p.dim() == len(batch) + 1 and p.shape[-1] in (1, n):
        return p.expand(*batch, n)
    try:
        return p.expand(batch)[..., None].expand(*batch, n)
    except RuntimeError:
        raise ValueError(
            f"density must be a number or have shape {list(batch)} or {[*batch, n]}, "
            f"got {list(p.shape)}"
        ) from None


def _linear_loss(A, b, p):
    """Loss per feature of a linear output, from the means p/2 and variances p/3 - p^2/4."""
    mean, variance = p / 2, p / 3 - p**2 / 4
    deviation = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device) - A
    bias = (deviation * mean[..., None, :]).sum(-1) - b
    return (deviation**2 * variance[..., None, :]).sum(-1) + bias**2


def _relu_loss(A, b, p):
    """Loss per feature of a ReLU output: own feature first in every row, then all active sets."""
    n = A.shape[-1]
    if n > MAX_FEATURES:
        raise ValueError(f"the exact ReLU loss takes at most {MAX_FEATURES} features, got {n}")
    order = torch.tensor([[i, *(j for j in range(n) if j != i)] for i in range(n)], device=A.device)
    c = A.gather(-1, order.expand(A.shape))
    square, cross = _expectations(c, b, p[..., order])
    return p / 3 - 2 * cross + square


def _expectations(c, t, p):
    """E relu(z)^2 and E[x_0 relu(z)] [...] for z = t + c.x; c and p [..., n], t [...]."""
    n = c.shape[-1]
    square, cross = 0, 0
    F1 = F2 = H = None
    for k in range(n + 1):
        states = _states(n, k, c.device)
        F1, F2, H = _moments(c, t, states, F1, F2, H)
        sets = states.active[:: states.shifts] > 0  # one row a set; its first state has no shift
        weight = torch.where(sets, p[..., None, :], 1 - p[..., None, :]).prod(-1)
        square = square + (weight * F2[..., :: states.shifts]).sum(-1)
        if k > 0:
            cross_k = H[..., :: states.shifts]
            cross = cross + (weight[..., : cross_k.shape[-1]] * cross_k).sum(-1)
    return square, cross


class _States:
    """The pairs (C, V) with |C| = k and V a subset of the complement, V = {} first for each C.

    A state stands for F_C(t + sum_V c) and H_C(t + sum_V c). Sets that hold feature 0 come first,
    so that H needs only the first `owned` states. `slots` [states, k] lists the members of C;
    `shifted` and `unshifted` [states, k] index the states (C - j, V + j) and (C - j, V) one level
    down.
    """

    def __init__(self, n, k, device):
        pairs = _pairs(n, k)
        below = {pair: index for index, pair in enumerate(_pairs(n, k - 1))} if k else {}
        self.k = k
        self.shifts = 2 ** (n - k)
        self.owned = sum(0 in C for C, _ in pairs)

        def members(sets):
            rows = [[float(j in chosen) for j in range(n)] for chosen in sets]
            return torch.tensor(rows, dtype=torch.float64, device=device)

        self.active = members([C for C, _ in pairs])
        self.shift = members([V for _, V in pairs])
        rest = [[(C - {j}, V, j) for j in sorted(C)] for C, V in pairs]
        self.slots = torch.tensor([[j for *_, j in row] for row in rest], device=device).long()
        self.shifted = torch.tensor(
            [[below[C, V | {j}] for C, V, j in row] for row in rest], device=device
        ).long()
        self.unshifted = torch.tensor(
            [[below[C, V] for C, V, _ in row] for row in rest], device=device
        ).long()


@lru_cache(maxsize=64)
def _states(n, k, device):
    return _States(n, k, device)


def _pairs(n, k):
    pairs = []
    for C in combinations(range(n), k):
        free = [j for j in range(n) if j not in C]
        for size in range(len(free) + 1):
            pairs += [(frozenset(C), frozenset(V)) for V in combinations(free, size)]
    return pairs


def _moments(c, t, states, F1, F2, H):
    """F^1, F^2 [..., states] and H [..., owned] of one level, from those of the level below."""
    k, own = states.k, states.owned
    T = t[..., None] + c @ states.shift.T
    if k == 0:
        return T.relu(), T.relu() ** 2, None
    # c = 0 goes with the negative side here and in s below: one analytic branch, so that the
    # derivative at exactly 0 is right as well.
    high = T + torch.where(c > 0, c, 0) @ states.active.T
    low = T + torch.where(c > 0, 0, c) @ states.active.T
    linear, kinked = low >= 0, (low < 0) & (high > 0)
    theta = torch.where(kinked, -low / torch.where(kinked, high - low, 1), 0)[..., None]
    s = torch.where(c[..., states.slots] > 0, theta, 1 - theta)

    mean = T + c @ states.active.T / 2
    F1_kink = _mix(s, F1, states) / (k + 1)
    F2_kink = _mix(s, F2, states) / (k + 2)
    variance = c**2 @ states.active.T / 12
    new_F1 = _select(linear, mean, kinked, F1_kink)
    new_F2 = _select(linear, mean**2 + variance, kinked, F2_kink)

    # Feature 0 is the first slot of every state with an H.
    s = s[..., :own, :]
    own_part = (1 - s[..., 0]) * F1[..., states.shifted[:own, 0]] + s[..., 0] * new_F1[..., :own]
    H_kink = own_part
    if k > 1:
        shifted, unshifted = states.shifted[:own, 1:], states.unshifted[:own, 1:]
        others = (1 - s[..., 1:]) * H[..., shifted] + s[..., 1:] * H[..., unshifted]
        H_kink = own_part + others.sum(-1)
    H_linear = mean[..., :own] / 2 + c[..., :1] / 12
    new_H = _select(linear[..., :own], H_linear, kinked[..., :own], H_kink / (k + 2))
    return new_F1, new_F2, new_H


def _mix(s, F, states):
    """sum over j in C of (1 - s_j) F_{C-j}(t + c_j) + s_j F_{C-j}(t)."""
    return ((1 - s) * F[..., states.shifted] + s * F[..., states.unshifted]).sum(-1)


def _select(linear, value_linear, kinked, value_kinked):
    """The linear value, the value with a kink inside, or 0 where the ReLU is off throughout."""
    return torch.where(linear, value_linear, torch.where(kinked, value_kinked, 0))
