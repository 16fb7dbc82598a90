"""What every proof stands on: intervals, the cover, positive definite matrices, what is printed.

Exact results are fractions, or mpmath's with 40 digits.
"""

import math
import re
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from common.proofs import boxes, intervals, statement
from common.proofs.boxes import cover, fill
from common.proofs.definite import positive_definite
from common.proofs.intervals import PI, Interval, arccos_below, cosine, enclose, stack, where
from common.proofs.statement import Statement, arithmetic, digits, prove

mpmath.mp.dps = 40


# --- Intervals -----------------------------------------------------------------------------------


def intervals_of_all_signs(rng, count, smallest=1e-3):
    """Two arrays of ends: points and wide ones, of one sign and of both, at 0, some very small."""
    size = rng.choice([smallest, 1e-3, 1.0, 1.0, 7.0], (2, count))
    ends = np.sort(rng.uniform(-1, 1, (2, count)) * size + rng.choice([-1, 0, 1], count), axis=0)
    ends[1] = np.where(rng.random(count) < 0.2, ends[0], ends[1])
    ends[0] = np.where((rng.random(count) < 0.1) & (ends[1] > 0), 0.0, ends[0])
    ends[1] = np.where((rng.random(count) < 0.1) & (ends[0] < 0), 0.0, ends[1])
    return ends


def inner_points(low, high, rng):
    """Both ends, a point between, 0 if it is one: fractions."""
    low, high = Fraction(low), Fraction(high)
    between = low + (high - low) * Fraction(rng.random())
    return [low, high, between, *([Fraction(0)] if low <= 0 <= high else [])]


def contains(interval, k, value):
    low, high = float(interval.lo[k]), float(interval.hi[k])
    return (low == -math.inf or Fraction(low) <= value) and (
        high == math.inf or value <= Fraction(high)
    )


OPERATIONS = {
    "sum": lambda x, y: x + y,
    "difference": lambda x, y: x - y,
    "product": lambda x, y: x * y,
    "quotient": lambda x, y: x / y,
    "from a number": lambda x, y: 2 - x,
    "number over it": lambda x, y: 3 / y,
    "square": lambda x, y: x.square() if isinstance(x, Interval) else x * x,
    "cube": lambda x, y: x.cube() if isinstance(x, Interval) else x**3,
    "minus": lambda x, y: -x,
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("smallest", [1e-3, 1e-160])
def test_results_of_points_inside_stay_inside(name, smallest):
    rng, operation = np.random.default_rng(11), OPERATIONS[name]
    first, second = (intervals_of_all_signs(rng, 200, smallest) for _ in range(2))
    with np.errstate(over="ignore"):
        found = operation(Interval(*first), Interval(*second))
    for k in range(200):
        for x in inner_points(*first[:, k], rng):
            for y in inner_points(*second[:, k], rng):
                if y or name not in ("quotient", "number over it"):
                    assert contains(found, k, operation(x, y))


def test_a_divisor_that_may_be_0_leaves_everything_open():
    divisor = Interval([-1.0, 0.0, -1.0, 0.0], [1.0, 1.0, 0.0, 0.0])
    for found in (Interval(np.ones(4)) / divisor, 1 / divisor):
        assert (found.lo == -np.inf).all() and (found.hi == np.inf).all()


def test_squares_and_roots_are_not_negative_and_contain_the_exact_ones():
    assert Interval(-1.0, 2.0).square().lo == 0
    rng = np.random.default_rng(12)
    low, high = np.sort(rng.uniform(0, 3, (2, 200)) ** 4, axis=0)
    low[:5] = 0
    found = Interval(low, high).sqrt()
    assert (found.lo >= 0).all()
    for k in range(200):
        assert Fraction(found.lo[k]) ** 2 <= Fraction(low[k])
        assert Fraction(high[k]) <= Fraction(found.hi[k]) ** 2
    assert np.isnan(Interval(-1.0, 1.0).sqrt().lo)


def test_inner_points_are_those_of_the_open_interval():
    unit = Interval(0.0, 1.0)
    assert Interval(0.1, 0.9).inside(unit)
    for low, high in ((0.0, 0.9), (0.1, 1.0), (-0.1, 0.9), (0.1, 1.1)):
        assert not Interval(low, high).inside(unit)


def test_fractions_are_enclosed_and_arrays_put_together():
    for value in (Fraction(1, 3), Fraction(-2, 7)):
        assert Fraction(float(enclose(value).lo)) < value < Fraction(float(enclose(value).hi))
    x, y = Interval([1.0, 2.0], [3.0, 4.0]), enclose(0.0)
    chosen, both = where(np.array([True, False]), x, y), stack([x, y])
    assert (chosen.lo.tolist(), chosen.hi.tolist()) == ([1, 0], [3, 0])
    assert (both.lo.tolist(), both.hi.tolist()) == ([[1, 0], [2, 0]], [[3, 0], [4, 0]])
    whole = intervals.symmetric({(0, 0): x, (0, 1): y, (1, 1): -x}, 2)
    assert whole.lo.tolist() == [[[1, 0], [0, -3]], [[2, 0], [0, -4]]]
    assert whole.hi.tolist() == [[[3, 0], [0, -1]], [[4, 0], [0, -2]]]


def test_circle_functions_contain_the_exact_values():
    assert Fraction(float(PI.lo)) < Fraction(str(mpmath.pi)) < Fraction(float(PI.hi))
    rng = np.random.default_rng(2)
    x = np.sort(np.concatenate([rng.uniform(0, 3.1415, 200), [0.0, 1e-9, 1.5707963]]))
    for width in (0.0, 0.01):
        low, high = np.maximum(x - width, 0), np.minimum(x + width, 3.1415)
        ends = cosine(Interval(low, high))
        for k, (first, last) in enumerate(zip(low, high, strict=True)):
            assert ends.lo[k] <= mpmath.cos(mpmath.mpf(last))
            assert mpmath.cos(mpmath.mpf(first)) <= ends.hi[k]
            assert ends.hi[k] - ends.lo[k] < 1e-13 + 2 * width
    for low, high in ((-0.1, 1.0), (1.0, 3.2)):
        with pytest.raises(ValueError, match="angles must lie in"):
            cosine(Interval(low, high))


W = np.concatenate([np.random.default_rng(13).random(300), [0.0, 1.0, 1 - 1e-12, 1e-300]])


def test_arccos_from_below():
    for below, value in zip(arccos_below(W), W, strict=True):
        exact = mpmath.acos(mpmath.mpf(value))
        assert below <= exact and exact - below < 1e-6
    assert arccos_below(np.array([1.5])) == 0


@pytest.mark.parametrize("error", [1e-14, 2e-14, 1e-9, 1e-3, -0.5])
def test_a_library_that_is_wrong_misleads_nobody(error, monkeypatch):
    """Its arccos is a guess, kept only where the cosine proves it."""
    arccos = np.arccos
    monkeypatch.setattr(np, "arccos", lambda w: arccos(w) + error)
    for below, value in zip(arccos_below(W), W, strict=True):
        assert below <= mpmath.acos(mpmath.mpf(value))


@pytest.mark.parametrize("operation", ["product", "square", "quotient"])
def test_arithmetic_that_is_right_for_points_only_is_noticed(operation, monkeypatch):
    """Ends multiplied in order; a square that forgets 0; a divisor whose sign is not looked at."""
    wrong = {
        "product": ("__mul__", lambda x, y: ends(x, y, np.multiply)),
        "square": ("square", lambda x: ends(x, x, np.multiply)),
        "quotient": ("__truediv__", lambda x, y: ends(x, y, np.divide)),
    }

    def ends(x, y, function):
        y = intervals.enclose(y)
        one, other = function(x.lo, y.lo), function(x.hi, y.hi)
        low, high = np.minimum(one, other), np.maximum(one, other)
        return Interval(intervals.down(low), intervals.up(high))

    assert arithmetic().proved
    monkeypatch.setattr(Interval, *wrong[operation])
    assert not arithmetic().proved


@pytest.mark.parametrize("inward", [("down", "up"), ("up", "down")])
def test_inward_rounding_is_noticed(inward, monkeypatch):
    """On either side."""
    monkeypatch.setattr(intervals, inward[0], getattr(intervals, inward[1]))
    assert not arithmetic().proved


# --- The cover -----------------------------------------------------------------------------------


def small(low, high):
    return {"small": (high - low).max(0) < 0.3}


@pytest.mark.parametrize("chunk", [3, 1 << 15])
def test_every_point_lies_in_a_box_that_was_settled(chunk):
    """Boxes that are narrow near the diagonal, looked at a few or all at a time."""
    settled = []

    def verdict(low, high):
        far = np.abs(low + high - 1).sum(0) > 2 * (high - low).sum(0)
        tiny = (high - low).max(0) < 0.05
        settled.extend(zip(low.T[far | tiny], high.T[far | tiny], strict=True))
        return {"far": far, "tiny": tiny}

    found = cover([0.0, -1.0], [2.0, 1.0], verdict, [1, 2], chunk=chunk)
    assert found.complete and sum(found.settled.values()) == len(settled)
    low, high = (np.array(ends) for ends in zip(*settled, strict=True))
    assert (high - low).prod(1).sum() == 4
    points = np.random.default_rng(14).uniform((0, -1), (2, 1), (500, 2))
    inside = (low <= points[:, None]) & (points[:, None] <= high)
    assert inside.all(2).any(1).all()


def test_a_cover_that_leaves_something_is_not_complete():
    def never(low, high):
        return {"never": np.full(low.shape[1], np.nan) > 0}

    def all_but_one(low, high):
        return {"without a point": ((low > 0.3) | (high < 0.3)).any(0)}

    assert not cover([0.0], [1.0], never, [1], most=1000).complete
    assert not cover([0.0], [1.0], small, [1], most=2).complete
    found = cover([0.0], [1.0], all_but_one, [1])  # ends when halves have no width any more
    assert not found.complete and found.boxes < 1000


def without_one(lows, highs):
    return lows[:, 1:], highs[:, 1:]


def with_a_gap(lows, highs):
    count = lows.shape[1] // 2
    highs[:, :count] -= 0.01 * (highs[:, :count] - lows[:, :count])
    return lows, highs


def twice_the_lower(lows, highs):
    count = lows.shape[1] // 2
    lows[:, count:], highs[:, count:] = lows[:, :count], highs[:, :count]
    return lows, highs


def cut_across_too(lows, highs):
    """The first half loses half of the side that was not cut as well."""
    count = lows.shape[1] // 2
    whole = highs[:, :count] == highs[:, count:]
    highs[:, :count] = np.where(whole, (lows + highs)[:, :count] / 2, highs[:, :count])
    return lows, highs


def cut_at_the_end(lows, highs):
    highs[0, -1] -= 0.01
    return lows, highs


WRONG_HALVES = (without_one, with_a_gap, twice_the_lower, cut_across_too, cut_at_the_end)


@pytest.mark.parametrize("times", [1, 1000])
@pytest.mark.parametrize("wrong", WRONG_HALVES)
def test_halves_that_leave_something_out_are_noticed(wrong, times, monkeypatch):
    """Once is enough; the number of halvings alone would not tell."""
    genuine, done = boxes.halves, []

    def halves(low, high, depth, weights):
        lows, highs, depths = genuine(low, high, depth, weights)
        done.append(1)
        lows, highs = wrong(lows, highs) if len(done) <= times else (lows, highs)
        return lows, highs, depths[: lows.shape[1]]

    assert cover([0.0, 0.0], [1.0, 1.0], small, [1.0, 1.0]).complete
    monkeypatch.setattr(boxes, "halves", halves)
    assert not cover([0.0, 0.0], [1.0, 1.0], small, [1.0, 1.0]).complete


def test_halves_that_overlap_still_fill():
    low, high = np.zeros((2, 1)), np.ones((2, 1))
    lows, highs = np.array([[0, 0.4], [0, 0]]), np.array([[0.6, 1], [1, 1]])
    assert fill(low, high, lows, highs)
    assert not fill(low, high, lows, np.array([[0.3, 1], [1, 1]]))


# --- Positive definite matrices ------------------------------------------------------------------


def symmetric(rng, eigenvalues, orders=4):
    """Random matrices [N, k, k] with eigenvalues [N, k]; in half of them rows and columns are then
    scaled, over orders of magnitude."""
    turn = np.linalg.qr(rng.normal(size=(*eigenvalues.shape, eigenvalues.shape[1])))[0]
    scale = 10 ** (rng.uniform(-orders, 0, eigenvalues.shape) * (rng.random((len(turn), 1)) < 0.5))
    found = np.einsum("nij,nj,nkj->nik", turn, eigenvalues, turn)
    found = found * scale[:, :, None] * scale[:, None]
    return (found + found.swapaxes(1, 2)) / 2


@pytest.mark.parametrize("k", [2, 3, 5])
def test_matrices_that_are_indefinite_are_never_called_positive_definite(k):
    rng, count = np.random.default_rng(15), 4000
    values = rng.uniform(0, 2, (count, k))
    values[np.arange(count), rng.integers(k, size=count)] = -(10 ** rng.uniform(-6, 0, count))
    indefinite = symmetric(rng, values)
    everywhere = np.ones(count, bool)
    assert not positive_definite(Interval(indefinite), everywhere).any()
    # Beside them, in one interval, a matrix that is positive definite; or one of them at an end.
    good = symmetric(rng, rng.uniform(0, 2, (count, k)))
    good = np.where(rng.random((count, 1, 1)) < 0.5, good, np.eye(k))
    ends = np.minimum(indefinite, good), np.maximum(indefinite, good)
    assert not positive_definite(Interval(*ends), everywhere).any()
    around = np.abs(indefinite - good)
    assert not positive_definite(Interval(good - around, good + around), everywhere).any()


def test_a_matrix_that_only_all_beside_its_diagonal_make_indefinite():
    """Every entry but one leaves it positive definite: none may be left out, in any order."""
    wide = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]])
    for order in np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0]]):
        for size, expected in ((0.49, True), (0.75, False)):
            around = size * wide[order][:, order][None]
            ends = Interval(np.eye(3) - around, np.eye(3) + around)
            assert positive_definite(ends, np.ones(1, bool)) == expected


def test_matrices_that_are_positive_definite_are_found():
    rng = np.random.default_rng(16)
    good = symmetric(rng, rng.uniform(0.1, 2, (500, 5)), orders=1)
    valid = rng.random(500) < 0.5
    assert (positive_definite(Interval(good), valid) == valid).all()
    for bad in (np.nan, np.inf):
        high = good + np.where(np.arange(25).reshape(5, 5) == 24, bad, 0)
        assert not positive_definite(Interval(good, high), np.ones(500, bool)).any()


# --- What is printed -----------------------------------------------------------------------------


def test_printed_digits_contain_the_interval():
    for low, high in ((1 / 3, 0.34), (-1 / 3, -1 / 7), (-1e-13, 1e-13), (2.0, 2.0)):
        ends = [Fraction(end) for end in re.findall(r"-?\d\.\d{11}", digits(Interval(low, high)))]
        assert ends[0] <= Fraction(low) <= Fraction(high) <= ends[1]
        assert ends[1] - ends[0] <= Fraction(high) - Fraction(low) + Fraction(2, 10**11)


@pytest.mark.parametrize("proved", [(True, True), (True, False), (False, True)])
def test_a_theorem_is_proved_if_all_its_statements_are(proved, capsys):
    found = (Statement(name, "text", one) for name, one in zip("ab", proved, strict=True))
    assert prove("square", found) == (not all(proved))
    printed = capsys.readouterr().out.splitlines()
    for line, name, one in zip(printed, "ab", proved, strict=False):
        assert line.split() == [*(["proved"] if one else ["NOT", "PROVED"]), name, "text"]
    verdict = "is proved" if all(proved) else "is NOT proved"
    assert printed[-1] == f"The theorem of the square {verdict}."


def test_the_points_that_check_the_arithmetic_are_ends_and_between():
    assert statement._points(-1.0, 3.0) == {-1, 3, 1, 0} and statement._points(2.0, 2.0) == {2}
