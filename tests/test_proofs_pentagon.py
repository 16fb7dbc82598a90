"""The theorem of the pentagon: its formulas, what its boxes are settled by, and what is false."""

import dataclasses
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize

from common.proofs import hexagon, pentagon
from common.proofs.boxes import Cover
from common.proofs.intervals import PI, Interval, enclose
from common.proofs.polygon import (
    balance,
    hessian,
    inverse,
    krawczyk,
    lower_bounds,
    moments,
    slopes,
)

mpmath.mp.dps = 40
SHAPE, STATIONARY = pentagon.stationary()
SIX, _ = pentagon.stationary(6, hexagon.START)
ENDS = np.array([[0.03, -3.0, 0.03, -3.0, 0.0], [5.0, 0.5, 5.0, 0.5, 3.0]])


def integral(g, t, power, weight):
    """int x^weight relu(g x + t)^power over [0, 1] in fractions, from antiderivatives of powers."""
    g, t = Fraction(g), Fraction(t)
    ends = [Fraction(0), Fraction(1)]
    if g and 0 < -t / g < 1:
        ends[0 if g > 0 else 1] = -t / g
    if g * (ends[0] + ends[1]) / 2 + t <= 0:
        return Fraction(0)
    terms = {1: [(g, 1), (t, 0)], 2: [(g * g, 2), (2 * g * t, 1), (t * t, 0)]}[power]
    ends = [[end ** (k + weight + 1) for _, k in terms] for end in ends]
    low, high = (
        sum(c * e / (k + weight + 1) for (c, k), e in zip(terms, end, strict=True)) for end in ends
    )
    return high - low


def bracket(x, shape=SHAPE, acos=np.arccos):
    """The bracket at points (a, b, a', b', g) in columns, from moments rounded as they come."""
    a, b, a2, b2, g = x
    total = 1 / 3 + moments(g, b)[0].lo + moments(g, b2)[0].lo
    for p, q in ((a, b), (a2, b2)):
        u, v, _ = moments(p, q)
        total = total + u.lo / 2 - v.lo
    return total + float(shape.mu.lo) * (acos(g / np.sqrt(a * a2)) - float(shape.gap.lo))


def random_boxes(rng, count, size):
    """Boxes in the domain of two features, many at g = 0, at equal directions and at kinks."""
    low = rng.uniform(ENDS[0], ENDS[1], (count, 5)).T
    low[4] = np.sqrt(low[0] * low[2]) * np.clip(rng.uniform(-0.2, 1.1, count), 0, 1)
    kinked = rng.random(count) < 0.3
    low[1] = np.where(kinked, -low[4], low[1])
    return low, low + size * rng.random((5, count))


def test_moments_contain_the_integrals():
    rng = np.random.default_rng(1)
    g = np.concatenate([rng.uniform(0, 3, 300), np.zeros(20), np.full(80, 0.5)])
    t = np.concatenate([rng.uniform(-3, 1, 320), np.linspace(-0.5, 0, 80)])
    t[:40] *= 10 ** rng.uniform(-9, -2, 40)  # kinks next to 0, and to 1
    t[40:80] = -g[40:80] * (1 + 1e-3 * rng.normal(size=40))
    for interval, (power, weight) in zip(moments(g, t), ((2, 0), (1, 1), (1, 0)), strict=True):
        for low, p, q, high in zip(interval.lo, g, t, interval.hi, strict=True):
            value = integral(p, q, power, weight)
            assert Fraction(low) <= value <= Fraction(high)
            assert high - low < 1e-13 * max(1.0, high)


def test_integrals_are_those_of_the_model():
    """Quadrature over the active feature of a whole pentagon: the loss of the theorem."""
    r, b = float(SHAPE.a.sqrt().lo), float(SHAPE.b.lo)
    angles = 2 * np.pi / 5 * np.arange(5)
    W = r * np.stack([np.cos(angles), np.sin(angles)])
    x = (np.arange(20000) + 0.5) / 20000
    loss = 0.0
    for j in range(5):
        inputs = np.outer(np.eye(5)[j], x)
        loss += ((inputs - np.maximum(W.T @ W @ inputs + b, 0)) ** 2).sum(0).mean()
    assert loss == pytest.approx(float(SHAPE.loss.lo), abs=1e-8)


def test_bounds_lie_below_the_bracket():
    rng = np.random.default_rng(3)
    for size in (1.0, 0.2, 0.02):
        low, high = random_boxes(rng, 2000, size)
        below, own, own2, cross = lower_bounds(low, high, SHAPE.mu, SHAPE.gap)
        for at in (0, 1, *rng.random(12)):
            points = low + (high - low) * (at if at in (0, 1) else rng.random(low.shape))
            valid = points[4] <= np.sqrt(points[0] * points[2])
            points = np.where(valid, points, 1.0)
            assert (~valid | (below <= bracket(points) + 1e-12)).all()
            for found, i in ((own, 0), (own2, 2)):
                u, v, _ = moments(points[i], points[i + 1])
                assert (~valid | (found <= 1 / 3 - 2 * v.lo + u.lo + 1e-12)).all()
            for found, i in zip(cross, (1, 3), strict=True):
                assert (~valid | (found <= moments(points[4], points[i])[0].hi)).all()


def test_bounds_are_of_second_order():
    point = SHAPE.point().middle()[:, None]
    errors = [
        bracket(point) - lower_bounds(point - size, point + size, SHAPE.mu, SHAPE.gap)[0]
        for size in (0.02, 0.01)
    ]
    assert 3 < errors[0] / errors[1] < 5 and errors[1] < 1e-3


def test_second_derivatives():
    rng = np.random.default_rng(4)
    points = SHAPE.point().middle()[:, None] + rng.uniform(-0.05, 0.05, (5, 40))
    found, valid = hessian(points, points, SHAPE.mu)
    assert valid.all()
    step = 1e-4 * np.eye(5)[:, :, None]
    for i in range(5):
        for j in range(5):
            slopes = [bracket(points + s * step[i] + step[j]) for s in (1, -1)]
            slopes = [
                slopes[k] - bracket(points + s * step[i] - step[j]) for k, s in ((0, 1), (1, -1))
            ]
            numeric = (slopes[0] - slopes[1]) / 4e-8
            assert np.abs(numeric - found.lo[:, i, j]).max() < 1e-5
    wide, _ = hessian(points - 0.003, points + 0.003, SHAPE.mu)
    assert (wide.lo <= found.lo).all() and (found.hi <= wide.hi).all()


@pytest.mark.parametrize("factor", [1.05, 0.95])
def test_a_wrong_multiplier_is_refused(factor):
    """There is a point of two features with a lower bracket, and no box around it is settled."""
    wrong = dataclasses.replace(SHAPE, mu=SHAPE.mu * factor)
    point = SHAPE.point().middle()
    found = minimize(bracket, point, (wrong,), "Nelder-Mead")
    assert found.fun < SHAPE.bracket.lo - 1e-6
    assert np.abs(found.x - point).max() > pentagon.RADIUS
    x = found.x if found.x[0] <= found.x[2] else found.x[[2, 3, 0, 1, 4]]  # the half searched
    given = (wrong, pentagon.five(SHAPE), pentagon.ball(SHAPE))
    for size in (0, 1e-9, 1e-4):
        box = (x - size)[:, None], (x + size)[:, None]
        assert not any(mask.any() for mask in pentagon.far_boxes(*box, *given).values())


def test_a_multiplier_slightly_wrong_is_refused():
    assert pentagon.balanced(SHAPE)
    for factor in (1 + 1e-6, 1 - 1e-6):
        assert not pentagon.balanced(dataclasses.replace(SHAPE, mu=SHAPE.mu * factor))


# --- The statements ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proof():
    return list(pentagon.statements())


def test_the_theorem_is_proved(proof):
    assert [statement.name for statement in proof if not statement.proved] == []
    assert len(proof) == 9
    assert "r in [1.17045963909, 1.17045963910]" in str(proof[1])


def test_the_committed_log_holds_these_statements(proof):
    """What README and the write-up call proved was proved by this code."""
    log = (Path(pentagon.__file__).parent / "proofs.txt").read_text().splitlines()
    assert {str(statement) for statement in proof} <= set(log)
    assert not [line for line in log if line.startswith("NOT PROVED")]
    for name in ("hexagon", "pentagon of rare features"):
        assert f"The theorem of the {name} is proved." in log


def beyond(kink, function):
    return mpmath.quad(function, [kink, 1])


def exact_polygon(n, start):
    """(a, b) where the gradient of own + 2 cross is 0, then g, own, cross and mu, by mpmath."""
    c = mpmath.cos(2 * mpmath.pi / n)

    def gradient(a, b):
        """Half of it: the integrand's derivative from the kinks on."""
        own, cross = -b / a, -b / (c * a)
        by_a = beyond(own, lambda x: x * (a * x + b - x))
        by_b = beyond(own, lambda x: a * x + b - x)
        by_a += 2 * beyond(cross, lambda x: c * x * (c * a * x + b))
        return [by_a, by_b + 2 * beyond(cross, lambda x: c * a * x + b)]

    a, b = mpmath.findroot(gradient, start)
    kink, g = -b / a, c * a
    own = kink**3 / 3 + beyond(kink, lambda x: (x - a * x - b) ** 2)
    cross = beyond(-b / g, lambda x: (g * x + b) ** 2)
    v = beyond(-b / g, lambda x: x * (g * x + b))
    return a, b, g, own, cross, 4 * v * a * mpmath.sqrt(1 - c * c)


@pytest.mark.parametrize("shape", [SHAPE, SIX])
def test_the_polygon_is_the_stationary_one(shape):
    with mpmath.workdps(20):
        found = exact_polygon(shape.n, (float(shape.a.lo), float(shape.b.lo)))
    a, b, g, own, cross, mu = found
    for interval, exact in (
        (shape.a, a), (shape.b, b), (shape.g, g), (shape.own, own), (shape.mu, mu),
        (shape.bracket, own + 2 * cross), (shape.loss, shape.n * (own + 2 * cross)),
        (shape.gap, 2 * mpmath.pi / shape.n),
    ):  # fmt: skip
        assert interval.lo < exact < interval.hi and interval.hi - interval.lo < 1e-11


@pytest.mark.parametrize("radius", [1e-9, 0.02])
def test_the_operator_of_krawczyk_holds_all_steps_of_newton(radius):
    """By the mean value theorem it contains x - Y F(x) for all x of the box."""
    a, b = float(SHAPE.a.middle()) + radius / 3, float(SHAPE.b.middle()) - radius / 2
    c = pentagon.polygon(5, SHAPE.a, SHAPE.b).g / SHAPE.a
    A, B = Interval(a - radius, a + radius), Interval(b - radius, b + radius)
    image = krawczyk(5, a, b, radius)[:2]
    Y = inverse(*(entry.middle() for entry in slopes(A, B, c)[1]))
    rng = np.random.default_rng(6)
    for s, t in (*rng.uniform(-1, 1, (20, 2)), (1, 1), (1, -1), (-1, 1), (-1, -1)):
        x, y = a + s * radius, b + t * radius
        F, _ = slopes(enclose(x), enclose(y), c)
        for row, at, found in zip(Y, (x, y), image, strict=True):
            step = at - (row[0] * F[0] + row[1] * F[1])
            assert found.lo <= step.hi and step.lo <= found.hi


def test_a_square_is_refused():
    assert not krawczyk(5, 1.0, 0.0)[2]
    assert not krawczyk(5, 1.3, -0.2)[2]
    a, b = float(SHAPE.a.middle()), float(SHAPE.b.middle())
    assert krawczyk(5, a, b)[2] and not krawczyk(5, a + 2e-9, b)[2]  # the root lies beside the box
    assert not krawczyk(5, a, b, radius=0.2)[2]  # where the slopes differ too much
    assert not pentagon.wide(dataclasses.replace(SHAPE, gap=PI / 2)).proved
    assert not pentagon.wide(dataclasses.replace(SHAPE, bracket=SHAPE.bracket + 0.02)).proved


def test_features_that_are_not_neighbours_must_cost_nothing():
    """A bias above 0, or features two gaps apart that are nearer than a right angle."""
    assert pentagon.attained(SHAPE).proved and pentagon.attained(SIX).proved
    assert not pentagon.attained(dataclasses.replace(SHAPE, b=-SHAPE.b)).proved
    assert not pentagon.attained(dataclasses.replace(SHAPE, b=Interval(-0.1, 0.1))).proved
    assert pentagon.attained(dataclasses.replace(SHAPE, n=8)).proved
    assert not pentagon.attained(dataclasses.replace(SHAPE, n=9)).proved


def test_the_slopes_of_the_bracket():
    """By differences, at points where a polygon's numbers do not fit together."""
    rng, step = np.random.default_rng(7), 1e-5
    for _ in range(10):
        a, b, g, mu = SHAPE.a.lo, SHAPE.b.lo, SHAPE.g.lo, SHAPE.mu.lo
        a, b, g, mu = (
            v + d for v, d in zip((a, b, g, mu), rng.uniform(-0.03, 0.03, 4), strict=True)
        )
        shape = dataclasses.replace(
            SHAPE, **{k: enclose(v) for k, v in zip("abg", (a, b, g), strict=True)}, mu=enclose(mu)
        )
        point = np.array([a, b, a, b, g])[:, None]
        for found, i in zip(balance(shape), (0, 1, 4), strict=True):
            move = step * np.eye(5)[i][:, None]
            numeric = (bracket(point + move, shape) - bracket(point - move, shape)) / (2 * step)
            assert found.middle() == pytest.approx(numeric[0], abs=1e-7)
            assert not pentagon.balanced(shape)


def test_budgets_allow_every_model_of_least_loss():
    five, six = pentagon.five(SHAPE), hexagon.six(SIX, SHAPE)
    assert five.single >= SHAPE.loss.hi + 1e-3 and five.pair >= five.single and five.rest == 0
    assert six.single >= SIX.loss.hi - SHAPE.loss.lo - 1e-12 and six.pair >= SIX.loss.lo
    assert six.rest == 4  # beside two of six features
    for budget in (five, six):
        assert budget.single < budget.single * (1 + 1e-9) < 1 / 3
        low, high = pentagon.domain(budget)
        assert low == (*budget.frame[::2], *budget.frame[::2], 0)
        assert high == (*budget.frame[1::2] * 2, budget.frame[1])


def test_a_vector_0_costs_more_than_the_budget():
    """The least over b of 1/3 - b + b^2, and b^2 in each other output that counts."""
    b = [Fraction(k, 9240) for k in range(6000)]
    for shape, budget in ((SHAPE, pentagon.five(SHAPE)), (SIX, hexagon.six(SIX, SHAPE))):
        others = budget.rest + 1 if budget.rest else 0
        least = float(min(Fraction(1, 3) - x + (1 + others) * x * x for x in b))
        for single, proved in ((least - 1e-6, True), (least + 1e-6, False)):
            changed = dataclasses.replace(budget, single=single)
            assert pentagon.stored(shape, changed).proved == proved


def test_a_frame_that_the_budget_does_not_imply_is_refused():
    budget = pentagon.five(SHAPE)
    assert pentagon.framed(SHAPE, budget).proved
    for k in range(4):
        frame = list(budget.frame)
        frame[k] *= 0.99
        wrong = dataclasses.replace(budget, frame=tuple(frame))
        assert not pentagon.framed(SHAPE, wrong).proved


@pytest.mark.parametrize("pieces", [1, 3, 40, 4000])
@pytest.mark.parametrize("limit", [0.05, 0.0801, 0.21])
def test_the_frame_bounds_what_it_is_made_of(limit, pieces):
    """The bound of own(a, b) at every kink s, however few the pieces."""
    low, high, bottom, top = pentagon.frame(limit, pieces)
    s = np.linspace(0, np.cbrt(3 * limit), 2001)
    a = 1 + np.sqrt(np.maximum(12 * limit - 4 * s**3, 0) / (1 - s) ** 3)
    assert high >= a.max() and bottom <= -(s * a).max() and top >= 2 * np.sqrt(limit)
    assert low <= max(1 - np.sqrt(12 * limit), 0)


def test_the_ball_is_one_and_holds_the_polygon():
    near = pentagon.ball(SHAPE)
    point = np.array([float(v.middle()) for v in (SHAPE.a, SHAPE.b, SHAPE.a, SHAPE.b, SHAPE.g)])
    assert near.holds and near.radius == pentagon.RADIUS
    assert near.high - point == pytest.approx(pentagon.RADIUS)
    assert point - near.low == pytest.approx(pentagon.RADIUS)
    assert not pentagon.ball(SHAPE, 0.0).holds


def test_a_statement_needs_all_that_it_says(monkeypatch):
    """Of convex: the cover, the polygon inside, the multiplier; of away: the cover; of stable:
    gaps that are wide, a slack no larger than that of the theorem, vectors that are stored."""
    near, budget = pentagon.ball(SHAPE), pentagon.five(SHAPE)
    monkeypatch.setattr(pentagon, "cover", lambda *_: Cover({}, 1, True))
    assert pentagon.convex(SHAPE, budget, near).proved and pentagon.stable(SHAPE).proved
    assert not pentagon.convex(SHAPE, budget, dataclasses.replace(near, holds=False)).proved
    wrong = dataclasses.replace(SHAPE, mu=SHAPE.mu * 1.001)
    assert not pentagon.convex(wrong, budget, near).proved
    assert not pentagon.stable(SHAPE, excess=2e-3).proved
    assert not pentagon.stable(dataclasses.replace(SHAPE, bracket=SHAPE.bracket + 0.018)).proved
    monkeypatch.setattr(pentagon, "cover", lambda *_: Cover({"larger": 1}, 1, False))
    assert not pentagon.convex(SHAPE, budget, near).proved
    assert not pentagon.away(SHAPE, budget, near).proved and not pentagon.stable(SHAPE).proved


def test_convex_and_away_look_at_the_same_ball(monkeypatch):
    """And at no other: what is covered begins and ends where `in the ball` does."""
    covered = []
    monkeypatch.setattr(
        pentagon, "cover", lambda *given: covered.append(given) or Cover({}, 1, True)
    )
    list(pentagon.statements())
    (ball_low, ball_high, *_), (*_, verdict, _, _) = covered[:2]
    for shift, expected in ((0.0, True), (1e-9, False)):
        for low, high in ((ball_low - shift, ball_high), (ball_low, ball_high + shift)):
            assert verdict(low[:, None], high[:, None])["in the ball"] == expected


# --- What settles a box --------------------------------------------------------------------------


def own(a, t):
    """The own term and what two moments leave, for numbers a >= 0 and t, by the closed forms."""
    end, bent = a + t, np.where((t < 0) & (a + t > 0), a, 1.0)
    u = np.where(t >= 0, a * a / 3 + a * t + t * t, np.where(end <= 0, 0, end**3 / (3 * bent)))
    v = np.where(t >= 0, a / 3 + t / 2, end**2 * (2 * a - t) / (6 * bent**2))
    return 1 / 3 - 2 * np.where((t < 0) & (end <= 0), 0, v) + u


def cross(g, t):
    """The cross term for numbers g of any sign."""
    first, last = np.maximum(t, 0), np.maximum(g + t, 0)
    steep = np.where(np.abs(g) > 1e-9, g, 1.0)
    bent = (last**3 - first**3) / (3 * steep)
    return np.where(np.abs(g) > 1e-9, bent, first**2)


def exact_bracket(x, mu, gap):
    """From fractions and mpmath."""
    a, b, a2, b2, g = (Fraction(float(v)) for v in x)
    total = sum(integral(g, t, 2, 0) for t in (b, b2))
    for p, q in ((a, b), (a2, b2)):
        total += (Fraction(1, 3) - 2 * integral(p, q, 1, 1) + integral(p, q, 2, 0)) / 2
    a, a2, g, whole = (mpmath.mpf(v.numerator) / v.denominator for v in (a, a2, g, total))
    return whole + mu * (mpmath.acos(g / mpmath.sqrt(a * a2)) - gap)


def searched_boxes(rng, shape, budget):
    """Boxes of the search [5, N]: anywhere, of cheap features, at equal directions, at the ball."""
    low, high = (np.array(ends)[:, None] for ends in pentagon.domain(budget))
    anywhere = low + (high - low) * rng.random((5, 3000)) ** 2
    point = shape.point().middle()[:, None]
    cheap = point * np.exp(rng.normal(size=(5, 6000)) * 0.3)
    dropped, k = cheap[:, :2000], rng.choice([0, 2], 2000)  # nearly, one of the two
    dropped[k, np.arange(2000)] = 10 ** rng.uniform(-3, -0.5, 2000)
    dropped[k + 1, np.arange(2000)] = rng.uniform(-0.1, 0.4, 2000)
    ends = [(0.3, 0, 0.1, -0.3, 0), (1.5, 0.4, 0.8, 0.1, 0.2)]  # one with a bias above 0
    cheap[:, 2000:5000] = rng.uniform(*ends, (3000, 5)).T
    cheap[:, 3500:5000] = cheap[[2, 3, 0, 1, 4], 3500:5000]
    at_ball = point + rng.uniform(-0.04, 0.04, (5, 3000)) * rng.choice([1, 0.3, 0.02], 3000)
    sizes = 10 ** rng.uniform(-3.5, -0.5, (1, 12000)) * np.array(pentagon.WEIGHTS)[:, None] ** -1
    sizes[:, 9000:] *= 0.1
    centre = np.concatenate([anywhere, cheap, at_ball], 1)
    centre[[0, 2]] = np.where(rng.random(12000) < 0.3, centre[[2, 2]], centre[[0, 2]])
    root = np.sqrt(centre[0] * centre[2])
    centre[4] = np.where(rng.random(12000) < 0.3, root * rng.uniform(0.9, 1.02), centre[4])
    below = np.maximum(centre - sizes * rng.random((5, 12000)), low)
    return below, np.maximum(below, np.minimum(centre + sizes * rng.random((5, 12000)), high))


def inside(low, high, rng, count=12):
    """Points of boxes: corners, and others."""
    for k in range(count):
        share = rng.random(low.shape)
        yield low + (high - low) * (share.round() if k % 2 else share)


CASES = {
    "five": (SHAPE, pentagon.five(SHAPE), pentagon.ball(SHAPE), 0.0),
    "near the least": (SHAPE, pentagon.five(SHAPE, 1e-3), pentagon.ball(SHAPE, 0.2), 1e-3),
    "six": (SIX, hexagon.six(SIX, SHAPE), pentagon.ball(SIX, hexagon.RADIUS), 0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_settled_boxes_hold_only_what_is_said(case):
    """Points of every box against closed forms of their own, exactly where boxes are `larger`."""
    shape, budget, near, excess = CASES[case]
    rng = np.random.default_rng(8)
    low, high = searched_boxes(rng, shape, budget)
    settled = pentagon.far_boxes(low, high, shape, budget, near, excess)
    assert all(mask.sum() >= 10 for mask in settled.values())
    centre, mu, gap = shape.point().middle()[:, None], float(shape.mu.lo), float(shape.gap.lo)
    least = float(shape.bracket.lo) + excess
    for x in inside(low, high, rng):
        a, b, a2, b2, g = x
        exists = g * g <= a * a2
        crosses, owns = cross(g, b) + cross(g, b2), (own(a, b), own(a2, b2))
        far = [budget.rest * cross(-np.sqrt(v * budget.frame[1]), t) for v, t in ((a, b), (a2, b2))]
        costs = [one + crosses + others for one, others in zip(owns, far, strict=True)]
        over = (np.maximum(*costs) > budget.single) | (sum(costs) - crosses > budget.pair)
        angle = np.arccos(np.minimum(g / np.sqrt(np.maximum(a * a2, 1e-300)), 1))
        larger = sum(owns) / 2 + crosses + mu * (angle - gap) > least - 1e-12
        assert (a > a2)[settled["mirrored"]].all()
        assert not (exists & settled["no such angle"]).any()
        assert over[settled["over budget"] & exists].all()
        assert larger[settled["larger"] & exists].all()
        assert (np.abs(x - centre) <= near.radius)[:, settled["in the ball"]].all()
    (close,) = np.nonzero(settled["larger"] & (np.abs(low - centre) < 2 * near.radius).all(0))
    for x in low[:, close[:40]].T:
        if x[4] ** 2 < x[0] * x[2]:
            assert exact_bracket(x, mu, mpmath.mpf(gap)) > least


def test_bounds_hold_to_the_last_digit():
    """Boxes without width at equal directions, whose bound is all but exact."""
    rng = np.random.default_rng(9)
    a, b, b2 = rng.uniform(0.5, 2, 60), rng.uniform(-0.6, 0.2, 60), rng.uniform(-0.6, 0.2, 60)
    point, mu, gap = np.stack([a, b, a, b2, a]), 0.125, 1.25
    below, own_below, _, crosses = lower_bounds(point, point, enclose(mu), enclose(gap))
    for k, x in enumerate(point.T):
        exact = exact_bracket(x, mu, mpmath.mpf(gap))
        assert below[k] <= exact and exact - below[k] < 1e-13
        a, b, *_ = (Fraction(v) for v in x)
        assert Fraction(own_below[k]) <= Fraction(1, 3) - 2 * integral(a, b, 1, 1) + integral(
            a, b, 2, 0
        )
        for found, t in zip(crosses, (x[1], x[3]), strict=True):
            assert Fraction(found[k]) <= integral(x[4], t, 2, 0)


def test_boxes_of_the_ball_are_convex_where_that_is_said():
    """Where the bracket is smooth, by least eigenvalues of its differences at points of boxes."""
    rng = np.random.default_rng(10)
    centre = SHAPE.point().middle()[:, None] + rng.uniform(-0.25, 0.25, (5, 500))
    size = rng.choice([0, 1e-2, 0.1, 0.25], 500) * rng.random((5, 500))
    low, high = centre - size, centre + size
    with np.errstate(invalid="ignore"):  # boxes that reach beyond all angles
        settled = pentagon.convex_boxes(low, high, SHAPE.mu)
    assert 50 < settled["positive definite"].sum() < 450
    for x in inside(low, high, rng, 4):
        assert (x[0] > x[2])[settled["mirrored"]].all()
        convex = settled["positive definite"]
        a, b, a2, b2, g = x[:, convex]  # kinks inside (0, 1), directions that differ
        assert (np.maximum(b, b2) < 0).all() and (g + np.minimum(b, b2) > 0).all()
        assert (g < np.sqrt(a * a2)).all()
        assert (np.linalg.eigvalsh(differences(x[:, convex]))[:, 0] > -1e-5).all()


def differences(x, step=1e-4):
    """Second differences [N, 5, 5] of the bracket at points [5, N]."""
    moves = step * np.eye(5)[:, :, None]
    found = np.empty((x.shape[1], 5, 5))
    for i in range(5):
        for j in range(5):
            corners = [
                s * t * bracket(x + s * moves[i] + t * moves[j]) for s in (1, -1) for t in (1, -1)
            ]
            found[:, i, j] = sum(corners) / (4 * step * step)
    return found


def test_second_derivatives_hold_wherever_they_are_called_valid():
    """Anywhere in the search, also where a kink lies outside and where directions are equal."""
    rng = np.random.default_rng(11)
    low, high = random_boxes(rng, 3000, 0.02)
    near = SHAPE.point().middle()[:, None] * np.exp(rng.normal(size=(5, 1000)) * 0.5)
    low, high = np.concatenate([low, near], 1), np.concatenate([high, near * 1.001], 1)
    low, high = np.minimum(low, high), np.maximum(low, high)
    found, valid = hessian(low, high, SHAPE.mu)
    assert 100 < valid.sum() < 3500
    assert np.isfinite(found.lo[valid]).all()
    for x in inside(low[:, valid], high[:, valid], rng, 2):
        exists = x[4] < 0.97 * np.sqrt(x[0] * x[2])  # differences need room
        exists &= (x[4] > 0.05) & (np.abs(x[[1, 3]]) > 1e-3).all(0)
        for k, t in ((0, 1), (2, 3), (4, 1), (4, 3)):
            exists &= np.abs(x[k] + x[t]) > 1e-3
        numeric = differences(x[:, exists])
        size = 1 + np.abs(numeric)
        assert (found.lo[valid][exists] <= numeric + 1e-3 * size).all()
        assert (numeric <= found.hi[valid][exists] + 1e-3 * size).all()
