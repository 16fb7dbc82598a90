"""Numbers on a picture of equal features on one axis."""

import math
from collections import Counter

from common.phases.one_axis import in_order

WIDE = 0.2  # in log density, from which on a piece of a curve has room for numbers


def count_labels(curve, ax):
    """Beside the weights of a Curve drawn over log density, how many features share each."""
    for states in curve.known.values():
        ends = [state.density for state in states]
        if math.log(max(ends) / min(ends)) < WIDE:
            continue
        middle = math.sqrt(max(ends) * min(ends))
        state = min(states, key=lambda s: abs(math.log(s.density / middle)))
        for w, count in Counter(in_order(state.W).round(decimals=2).tolist()).items():
            if w and count > 1:
                shift = (0, 3 if w > 0 else -10)
                ax.annotate(
                    f"{count}",
                    (state.density, w),
                    shift,
                    textcoords="offset points",
                    size=8,
                    ha="center",
                )
