r"""Exact expectations of a ReLU output for few features: a recursion over sets of active features.

Let C be the active features, the x_j, j in C, uniform on [0, 1], and write, with k = |C|,

    F_C^q(t) = E relu(t + sum_C c_j u_j)^q,      H_C(t) = E u_0 relu(t + sum_C c_j u_j)   (0 in C).

They are homogeneous in (t, c), and integrating by parts in every u_j gives, for any numbers s_j
with sum_C c_j s_j = -t,

    (q + k) F_C^q(t) = sum_{j in C} (1 - s_j) F_{C-j}^q(t + c_j) + s_j F_{C-j}^q(t),
    (k + 2) H_C(t)   = sum_{j in C-0} (1 - s_j) H_{C-j}(t + c_j) + s_j H_{C-j}(t)
                       + (1 - s_0) F_{C-0}^1(t + c_0) + s_0 F_C^1(t) .

Where the kink lies inside the range of t + c.u the s_j can be chosen in [0, 1]: all weights are
then non-negative and sum to less than one, and nothing is divided by any c_j. That makes the
recursion stable for every c, zero and tiny entries included, where the textbook formula
(differences divided by the product of the c_j) loses all digits. Elsewhere the ReLU is linear or
zero and the moments are elementary.
"""

from functools import lru_cache
from itertools import combinations

import torch

TINY = 1e-100  # keeps 0 / 0 away; its square is still a number


def row_loss(c, t, p, most=None):
    """E (x_0 - relu(z))^2 of every output row, for z = t + c.x, by the number of active features.

    c : [rows, n], a row of A with the own feature first;  t : [rows], the biases;
    p : [rows, n], densities in the order of c;  most : active features up to which, n when None.

    Returns [most + 1, rows]: the contribution of the inputs with k active features, k = 0 ... most,
    each with its probability. Differentiable in c and t. 3^n terms a row when most is n.
    """
    c, p = c.T, p.T  # the long axis last: everything below works on whole rows of memory
    n = len(c)
    most = n if most is None else most
    by_count = []
    F1 = F2 = H = None
    for k in range(most + 1):
        states = _states(n, k, most)
        F1, F2, H = _moments(c, t, states, F1, F2, H)
        weight = _weights(p, states)
        loss = (weight * F2[:: states.shifts]).sum(0)
        if k > 0:
            cross = H[:: states.shifts]
            weight = weight[: len(cross)]
            loss = loss + weight.sum(0) / 3 - 2 * (weight * cross).sum(0)
        by_count.append(loss)
    return torch.stack(by_count)


def _weights(p, states):
    """Probability [sets, rows] of each active set of one size."""
    weight = torch.ones_like(p[:1])
    for j in range(len(p)):
        member = states.active[:: states.shifts, j, None] > 0
        weight = weight * torch.where(member, p[j], 1 - p[j])
    return weight


class _States:
    """The pairs (C, V) with |C| = k and V a subset of the complement, V = {} first for each C.

    Together they have at most `most` members: no larger C needs them.

    A state stands for F_C(t + sum_V c) and H_C(t + sum_V c); it is one line of the tensors here.
    Sets that hold feature 0 come first, so that H needs only the first `owned` states. `slots`
    [k, states] lists the members of C; `shifted` and `unshifted` [k, states] index the states
    (C - j, V + j) and (C - j, V) one level down.
    """

    def __init__(self, n, k, most):
        pairs = _pairs(n, k, most)
        below = {pair: index for index, pair in enumerate(_pairs(n, k - 1, most))} if k else {}
        self.k = k
        self.shifts = len(pairs) // sum(not V for _, V in pairs)  # every C has as many V
        self.owned = sum(0 in C for C, _ in pairs)
        self.active = self._members([C for C, _ in pairs], n)
        self.shift = self._members([V for _, V in pairs], n)
        rows = [
            [(j, below[C - {j}, V | {j}], below[C - {j}, V]) for j in sorted(C)] for C, V in pairs
        ]
        table = torch.tensor(rows).reshape(len(pairs), k, 3).permute(2, 1, 0)
        self.slots, self.shifted, self.unshifted = table.contiguous()

    @staticmethod
    def _members(sets, n):
        rows = [[float(j in chosen) for j in range(n)] for chosen in sets]
        return torch.tensor(rows, dtype=torch.float64)


@lru_cache(maxsize=64)
def _states(n, k, most):
    return _States(n, k, most)


def _pairs(n, k, most):
    pairs = []
    for C in combinations(range(n), k):
        free = [j for j in range(n) if j not in C]
        for size in range(most - k + 1):
            pairs += [(frozenset(C), frozenset(V)) for V in combinations(free, size)]
    return pairs


def _moments(c, t, states, F1, F2, H):
    """F^1, F^2 [states, rows] and H [owned, rows] of one level, from those of the level below."""
    k, own = states.k, states.owned
    T = t + states.shift @ c
    if k == 0:
        return T.relu(), T.relu() ** 2, None
    # Masks are numbers, 1 or 0: products are faster than selections, backward above all. c = 0 goes
    # with the negative side here and in s below: one analytic branch, so that the derivative at
    # exactly 0 is right as well.
    positive = (c > 0).to(c)
    low = T + states.active @ (c * (1 - positive))
    width = states.active @ (c * (2 * positive - 1))
    linear = (low >= 0).to(c)
    kinked = (1 - linear) * (low + width > 0)
    theta = -low / (width + TINY)

    F1_kink, F2_kink, H_kink = 0, 0, 0
    for slot in range(k):
        side = positive[states.slots[slot]]
        s = torch.addcmul(1 - side, 2 * side - 1, theta)
        shifted, unshifted = states.shifted[slot], states.unshifted[slot]
        F1_kink = F1_kink + _mix(s, F1[shifted], F1[unshifted])
        F2_kink = F2_kink + _mix(s, F2[shifted], F2[unshifted])
        if slot == 0:
            own_s, own_shifted = s[:own], F1[shifted[:own]]  # feature 0 is the first slot
        else:
            H_kink = H_kink + _mix(s[:own], H[shifted[:own]], H[unshifted[:own]])

    mean = T + states.active @ c / 2
    variance = states.active @ c**2 / 12
    new_F1 = torch.addcmul(linear * mean, kinked, F1_kink, value=1 / (k + 1))
    new_F2 = torch.addcmul(linear * (mean**2 + variance), kinked, F2_kink, value=1 / (k + 2))
    linear, kinked, mean = linear[:own], kinked[:own], mean[:own]
    H_kink = H_kink + _mix(own_s, own_shifted, new_F1[:own])
    new_H = torch.addcmul(linear * (mean / 2 + c[0] / 12), kinked, H_kink, value=1 / (k + 2))
    return new_F1, new_F2, new_H


def _mix(s, shifted, unshifted):
    """(1 - s) F(t + c_j) + s F(t)."""
    return torch.lerp(shifted, unshifted, s)
