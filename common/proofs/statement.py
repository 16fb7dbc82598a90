"""A statement with its constants, how a proof prints them, and a check of the arithmetic."""

import re
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np

from common.proofs import intervals
from common.proofs.intervals import Interval

LOG = Path(__file__).with_name("proofs.txt")


@dataclass
class Statement:
    """What was to be shown, with its constants, and whether it was."""

    name: str
    text: str
    proved: bool

    def __str__(self):
        return f"{'proved' if self.proved else 'NOT PROVED':<10} {self.name:<10} {self.text}"


def digits(x):
    """Both ends of an interval, printed so that the printed interval contains it."""
    low, high = Fraction(float(x.lo)) * 10**11, Fraction(float(x.hi)) * 10**11
    low, high = low.__floor__(), high.__ceil__()
    return f"[{low / 10**11:.11f}, {high / 10**11:.11f}]"


def prove(name, found):
    """Print the statements of a theorem; 0 if all are proved, for the shell. Times go to stderr."""
    begin, proved = time.perf_counter(), True
    for statement in found:
        print(statement, flush=True)
        proved &= statement.proved
    verdict = "is proved" if proved else "is NOT proved"
    print(f"The theorem of the {name} {verdict}.", flush=True)
    print(f"({time.perf_counter() - begin:.1f} s)", file=sys.stderr)
    return 0 if proved else 1


def committed():
    """What `make proofs` printed when it last ran: theorem -> its Statements, in their order."""
    theorems, found = {}, []
    for line in LOG.read_text().splitlines():
        if end := re.fullmatch(r"The theorem of the (.+) (is|is NOT) proved\.", line):
            theorems[end[1]], found = found, []
        elif statement := re.match(r"(proved|NOT PROVED) +(wide gaps|\S+) +(.+)", line):
            found.append(Statement(statement[2], statement[3], statement[1] == "proved"))
    return theorems


def arithmetic(samples=200):
    """Results of the interval operations contain those of all ends and of points between, exactly.

    Half of the intervals are points, the others hold numbers of both signs as often as of one.
    """
    rng = np.random.default_rng(0)
    ends = np.ldexp(rng.uniform(-1, 1, (4, samples)), rng.integers(-30, 30, (4, samples)))
    ends[1::2, ::2] = ends[::2, ::2]
    (a, b), (c, d) = np.sort(ends[:2], axis=0), np.sort(ends[2:], axis=0)
    X, Y = Interval(a, b), Interval(c, d)
    with np.errstate(over="ignore"):
        results = (X + Y, X - Y, X * Y, X / Y, X.square(), X.cube())
    roots = Interval(np.abs(a)).sqrt()
    good = all(intervals.down(v) < v < intervals.up(v) for v in (0.0, 1.0, -1.0))
    for k in range(samples):
        good &= Fraction(roots.lo[k]) ** 2 <= abs(Fraction(a[k])) <= Fraction(roots.hi[k]) ** 2
        for x, y in product(_points(a[k], b[k]), _points(c[k], d[k])):
            exact = (x + y, x - y, x * y, x / y if y else None, x**2, x**3)
            good &= all(
                value is None or float(result.lo[k]) <= value <= float(result.hi[k])
                for result, value in zip(results, exact, strict=True)
            )
    text = f"{samples} pairs of intervals: sums, products, ... of points inside stay inside"
    return Statement("arithmetic", text, bool(good))


def _points(low, high):
    """Both ends of an interval, its middle, and 0 if it lies inside: as fractions."""
    low, high = Fraction(low), Fraction(high)
    return {low, high, (low + high) / 2, *([Fraction(0)] if low <= 0 <= high else [])}
