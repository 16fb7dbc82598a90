"""The part of a ReLU output's loss with at most one active feature, in closed form.

There z = t + c.x has atoms and edges, which a Fourier series would meet slowly: `series` leaves
this part out.
"""

import torch

from .linear import feature_variance


def few_active_weights(p):
    """Probabilities that no feature [...] or only feature j [..., n] is active."""
    q = 1 - p
    return q.prod(-1), p * _products_before(q) * _products_before(q.flip(-1)).flip(-1)


def _products_before(q):
    """The product [..., n] of all entries of q before each one."""
    return torch.cumprod(torch.cat([torch.ones_like(q[..., :1]), q[..., :-1]], -1), -1)


class FewActive:
    """The inputs with at most one active live feature, in closed form.

    Features that are not live shift z by their mean and spread it by their variance. The kink
    between matters only where z has an atom, at the bias: there, one of them alone may cross it.
    """

    def __init__(self, c, t, p, live, none, one):
        dead = torch.where(live, 0, c)
        self.t = t + (dead * p).sum(-1) / 2
        self.spread = (dead**2 * feature_variance(p)).sum(-1)
        self.c, self.none, self.one = c, none, one
        self.idle = self._idle(dead, t, p)
        column = self.t[..., None]
        # Moments of z and x_0 z over these inputs.
        self.mean = none * self.t + (one * (column + c / 2)).sum(-1)
        squares = column**2 + column * c + c**2 / 3
        self.second = none * self.t**2 + (one * squares).sum(-1)
        self.second = self.second + (none + one.sum(-1)) * self.spread
        self.own = one[..., 0] * (self.t / 2 + c[..., 0] / 3)

    def loss(self):
        """E [relu(z)^2 - 2 x_0 relu(z)] over these inputs."""
        c, t, spread = self.c, self.t[..., None], self.spread[..., None]
        kinked = (t < 0) != (t + c < 0)
        s = torch.where(kinked, -t / torch.where(kinked, c, 1), 0)
        at_0, at_1 = t.relu(), (t + c).relu()
        linear = (t >= 0) & (t + c >= 0)
        crossing = ((1 - s) * at_1**2 + s * at_0**2) / 3 * kinked
        square = torch.where(linear, t**2 + t * c + c**2 / 3, crossing)
        on = torch.where(kinked, torch.where(c > 0, 1 - s, s), linear.to(c.dtype))  # P(z > 0)
        square = square + on * spread
        own = self._own(*(v[..., 0] for v in (s, at_0, at_1, linear, kinked)))
        return self.none * self.idle + (self.one * square).sum(-1) - 2 * self.one[..., 0] * own

    def _idle(self, dead, t, p):
        """E relu(z)^2 without an active live feature, but for two dead ones across the kink."""
        above, end = (t > 0)[..., None], t[..., None] + dead
        crosses = (end > 0) != above
        _, alone = few_active_weights(torch.where(crosses, p, 0))
        beyond = end**3 / (3 * torch.where(crosses, dead, 1).abs())
        kink = torch.where(crosses, alone * beyond, 0).sum(-1)
        return torch.where(t > 0, self.t**2 + self.spread, 0) + kink

    def _own(self, s, at_0, at_1, linear, kinked):
        """E u_0 relu(t + c_0 u_0)."""
        average = ((1 - s) * at_1 + s * at_0) / 2
        kink = ((1 - s) * at_1 + s * average) / 3 * kinked
        return torch.where(linear, self.t / 2 + self.c[..., 0] / 3, kink)
