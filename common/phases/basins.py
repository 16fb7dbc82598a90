"""Which minimum gradient flow selects: two features in one dimension, from starts in a plane.

A start is w = (w_1, w_2) with b = 0, and w and -w are one model. Outcomes are those of problem O50
of the collection "Math for AI Safety" (L. Levine, 2026): one feature dropped (its weight is 0 at
the end), a pair (opposite signs, however short one weight is) or anything else (the same sign, or
nothing stored). Where `diagram.phase` calls a model paired, so does this; where a weight is 0 the
names are the same as well.
"""

import math

import numpy as np
import torch

from common.phases.diagram import OTHER, importances
from common.phases.flow import follow
from common.theory import DEDICATED, DROPPED, PAIRED

# The second feature dropped, the first one dropped, a pair, other.
OUTCOMES = (DROPPED, DEDICATED, PAIRED, OTHER)
ZERO = 0.01  # weights this short at the end are 0: those that vanish are below 0.001 by then
QUANTILES = 4_000  # of the radius, over which a probability is the mean


def outcome(W):
    """Outcome [...] of models W [..., 1, 2], as a position in OUTCOMES."""
    first, second = (w.abs() >= ZERO for w in W[..., 0, :].unbind(-1))
    opposite = first & second & (W[..., 0, :].prod(-1) < 0)
    codes = torch.full(first.shape, OUTCOMES.index(OTHER))
    for name, where in ((DROPPED, first & ~second), (DEDICATED, second & ~first)):
        codes[where] = OUTCOMES.index(name)
    codes[opposite] = OUTCOMES.index(PAIRED)
    return codes


def selected(w, density, relative_importance, penalty=0.0, **options):
    """Outcome [...] of the flow from w [..., 2] with b = 0.

    density, relative_importance, penalty : numbers or [...]. options : as for `flow.follow`.
    Raises RuntimeError where a start has not come to rest.
    """
    r = torch.as_tensor(relative_importance, dtype=torch.float64).expand(w.shape[:-1])
    ends = follow(w[..., None, :], 0 * w, density, importances(r, 2), penalty=penalty, **options)
    if not ends.finished.all():
        raise RuntimeError(f"{int((~ends.finished).sum())} starts have not come to rest")
    return outcome(ends.W)


def sectors(radii, density, relative_importance, penalty=0.0, *, angles=48, halvings=8, **options):
    """Share [C, K, 4] of each outcome among the starts of a circle, of `radii` [K], in C cells.

    density, relative_importance, penalty : numbers or [C]. Half of the circle is scanned at
    `angles` directions, a multiple of 4 so that none lies on an axis or a diagonal; between two
    neighbours that differ the border is bisected `halvings` times. A sector narrower than
    pi / angles may be missed.
    """
    numbers = (density, relative_importance, penalty)
    cells = torch.broadcast_tensors(*(torch.as_tensor(v, dtype=torch.float64) for v in numbers))
    cells = [v.reshape(-1, 1, 1) for v in cells]
    radii = torch.as_tensor(radii, dtype=torch.float64)
    size = len(cells[0]), len(radii), angles

    def codes(angle, *where):
        """Outcomes of starts at angles [...] of the cells and radii `where`."""
        radius, *cell = (v.expand(size)[where] for v in (radii[:, None], *cells))
        w = radius[..., None] * torch.stack([angle.cos(), angle.sin()], -1)
        return selected(w, *cell, **options)

    width = math.pi / angles
    scanned = width * (torch.arange(angles, dtype=torch.float64) + 0.5)
    found = codes(scanned.expand(size), ...)
    after = found.roll(-1, -1)  # a half turn later the outcome is the same
    where = (found != after).nonzero().unbind(1)
    left, right = found[where], after[where]
    low, high = scanned[where[2]], scanned[where[2]] + width
    for _ in range(halvings):
        middle = (low + high) / 2
        same = codes(middle, *where) == left
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    share = torch.nn.functional.one_hot(found, len(OUTCOMES)).double().sum(2) / angles
    beyond = ((low + high) / 2 - scanned[where[2]] - width / 2) / math.pi
    share.index_put_((*where[:2], left), beyond, accumulate=True)
    share.index_put_((*where[:2], right), -beyond, accumulate=True)
    return share


def probabilities(sigma, radii, share):
    """Probability [..., 4] of each outcome for w ~ N(0, sigma^2).

    The mean of the shares [..., K, 4] of the circles of `radii` [K] over the distribution of the
    radius; between radii they are interpolated in its logarithm.
    """
    u = (np.arange(QUANTILES) + 0.5) / QUANTILES
    radius = np.log(sigma * np.sqrt(-2 * np.log1p(-u)))
    known, share = np.log(np.asarray(radii)), np.asarray(share)
    place = np.clip(np.searchsorted(known, radius) - 1, 0, len(known) - 2)
    part = np.clip((radius - known[place]) / (known[place + 1] - known[place]), 0, 1)
    weights = np.zeros(len(known))
    np.add.at(weights, place, 1 - part)
    np.add.at(weights, place + 1, part)
    return torch.as_tensor((share * weights[:, None]).sum(-2) / QUANTILES)
