"""The hexagon is the optimum of six features with exactly one active: statements and checkers.

The theorem of the pentagon gives the budget. Without its feature i a model of six is one of five,
whose loss is at least the pentagon's: so in a model of least loss the own term of a feature and all
its cross terms together cost at most L1(hexagon) - L1(pentagon).

    python -m common.proofs.hexagon
"""

import sys

from common.proofs import pentagon
from common.proofs.pentagon import Budget, frame, stationary
from common.proofs.statement import prove

START = (1.74, -0.62)
RADIUS = 0.006


def six(shape, smaller):
    """The budget of six features, from the hexagon and the pentagon."""
    single, pair = float((shape.loss - smaller.loss).hi), float(shape.loss.hi)
    return Budget(single, pair, 4, frame(single))


def statements():
    """The statements of the theorem, those of the pentagon first."""
    yield from pentagon.statements()
    smaller, _ = stationary()
    shape, first = stationary(6, START)
    yield first
    budget = six(shape, smaller)
    for check in (pentagon.attained, pentagon.stored, pentagon.framed, pentagon.wide):
        yield check(shape, budget)
    near = pentagon.ball(shape, RADIUS)
    for check in (pentagon.convex, pentagon.away):
        yield check(shape, budget, near)


if __name__ == "__main__":
    sys.exit(prove("hexagon", statements()))
