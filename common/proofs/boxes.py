"""Branch and bound: a box is halved until every part has been settled, and none is left out."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Cover:
    """How often each reason settled a part, and whether the parts fill the whole box."""

    settled: dict = field(default_factory=dict)
    boxes: int = 0
    complete: bool = False


def halves(low, high, depth, weights):
    """Both halves of every box, cut across its longest side in units of 1 / weights."""
    side = np.argmax((high - low) * weights[:, None], axis=0), np.arange(low.shape[1])
    middle = 0.5 * (low[side] + high[side])
    above, below = low.copy(), high.copy()
    above[side] = below[side] = middle
    ends = np.concatenate([low, above], 1), np.concatenate([below, high], 1)
    return *ends, np.tile(depth + 1, 2)


def fill(low, high, lows, highs):
    """Do two halves, one half of all boxes before the other, make up each box with no gap?"""
    if lows.shape[1] != 2 * low.shape[1]:
        return False
    (first, second), (end, last) = np.split(lows, 2, axis=1), np.split(highs, 2, axis=1)
    cut = (end != high) | (second != low)  # sides in which a half differs from the box
    whole = (first == low).all() and (last == high).all() and (cut.sum(0) <= 1).all()
    return bool(whole and (second <= end)[cut].all())


DEEPEST = 200  # halvings after which a box is given up


def cover(low, high, verdict, weights, most=2_000_000, chunk=1 << 15):
    """Settle the box from `low` to `high` (one number a coordinate).

    `verdict(low, high)`, for arrays of boxes in columns, maps reasons to masks: which boxes each
    settles. Depth first, so that few boxes wait. The cover is complete if both halves of every box
    that was cut fill it, and if all of them were settled: a part halved n times counts 2^-n, and
    these add up to 1, in integers.
    """
    result, weights = Cover(), np.asarray(weights, dtype=float)
    depths = np.zeros(1, dtype=int)
    waiting = [(np.array(low, dtype=float)[:, None], np.array(high, dtype=float)[:, None], depths)]
    leaves, filled = np.zeros(DEEPEST + 1, dtype=int), True
    while waiting and result.boxes < most and waiting[-1][2].max() <= DEEPEST:
        low, high, depth = waiting.pop()
        if len(depth) > chunk:
            waiting.append((low[:, chunk:], high[:, chunk:], depth[chunk:]))
            low, high, depth = low[:, :chunk], high[:, :chunk], depth[:chunk]
        result.boxes += len(depth)
        left = np.ones(len(depth), dtype=bool)
        for reason, mask in verdict(low, high).items():
            result.settled[reason] = result.settled.get(reason, 0) + int((left & mask).sum())
            left &= ~mask
        leaves += np.bincount(depth[~left], minlength=len(leaves))
        if left.any():
            parts = halves(low[:, left], high[:, left], depth[left], weights)
            filled &= fill(low[:, left], high[:, left], *parts[:2])
            waiting.append(parts)
    settled = sum(int(count) << (DEEPEST - n) for n, count in enumerate(leaves))
    result.complete = filled and not waiting and settled == 1 << DEEPEST
    return result
