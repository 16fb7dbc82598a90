"""The theorem of rare features: its bounds against the exact loss, quadrature and differences."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from common.exact import loss_by_active_features
from common.proofs import nearby, pairs, rare, statement
from common.proofs.boxes import Cover
from common.proofs.definite import congruent
from common.proofs.intervals import Interval
from common.proofs.pentagon import stationary
from common.proofs.polygon import moments

SHAPE, _ = stationary()
POINT = np.array([float(x.middle()) for x in (SHAPE.a.sqrt(), SHAPE.b)] * 2 + [SHAPE.gap.middle()])
OUTER, _ = nearby.around(SHAPE, nearby.OUTER)
INNER, _ = nearby.around(SHAPE, nearby.INNER)


def losses(r, b, gaps):
    """L_0 to L_5 of models with norms, biases and gaps [k, 5], by the exact loss."""
    angles = np.cumsum(gaps, -1)
    W = torch.tensor(r[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1))
    terms = loss_by_active_features(W, torch.tensor(b), 0.5)
    return 32 * terms.numpy()


def models(rng, count, share=1.0):
    """Norms, biases and gaps [count, 5] in the outer box, gaps adding up to 2 pi."""
    sides = [share * radius * rng.uniform(-1, 1, (count, 5)) for radius in nearby.OUTER]
    sides[2] = (sides[2] - sides[2].mean(1, keepdims=True)) / 2
    return [centre + side for centre, side in zip(POINT[[0, 1, 4]], sides, strict=True)]


def terms(x):
    """What two neighbours (r, b, r', b', gap) cost, half their own terms and both crosses."""
    r, b, r2, b2, gap = x
    total = 1 / 3
    for p, q in ((r, b), (r2, b2)):
        u, v, _ = moments(p * p, q)
        total += u.lo / 2 - v.lo + moments(r * r2 * np.cos(gap), q)[0].lo
    return float(total)


def points(*values):
    return [Interval(np.atleast_1d(np.asarray(v, dtype=float))) for v in values]


def phi(r, b, r2, angle, cells=4000):
    """E (x - relu(a x + y x' + b))^2: exact in x, the midpoint rule in x'."""
    t = r * r2 * np.cos(angle) * (np.arange(cells) + 0.5) / cells + b
    a = r * r
    s = np.clip(-t / a, 0, 1)
    cubes = [(1 - s**k) / k for k in (1, 2, 3)]
    z = (1 - a) ** 2 * cubes[2] - 2 * (1 - a) * t * cubes[1] + t * t * cubes[0]
    return (z + s**3 / 3).mean()


@pytest.mark.parametrize("turns", [1, 2])
def test_two_active_features_by_differences(turns):
    """Slopes and second derivatives of an active output, in the middle and at the box's ends."""
    rng = np.random.default_rng(1)
    step = 1e-3 * np.eye(4)
    for share in (0, 0.5, 0.5, 1, 1):
        x = np.array([POINT[0], POINT[1], POINT[0], turns * POINT[4]])
        x += share * rng.uniform(-1, 1, 4) * np.array([0.15, 0.25, 0.15, turns * 0.15])
        by, second = pairs.active_output(*points(*x))
        for i in range(4):
            numeric = (phi(*(x + step[i])) - phi(*(x - step[i]))) / 2e-3
            assert numeric == pytest.approx(by.lo[0, i], abs=1e-4)
            for j in range(4):
                signs = itertools.product((1, -1), repeat=2)
                numeric = sum(s * t * phi(*(x + s * step[i] + t * step[j])) for s, t in signs)
                assert numeric / 4e-6 == pytest.approx(second.lo[0, i, j], abs=0.02)
        assert (second.hi - second.lo).max() < 1e-10


def test_intervals_contain_what_happens_inside():
    rng = np.random.default_rng(2)
    for turns in (1, 2):
        centre = np.array([POINT[0], POINT[1], POINT[0], turns * POINT[4]])[:, None]
        centre = centre + 0.8 * rng.uniform(-1, 1, (4, 50)) * np.array([[0.15], [0.25]] * 2)
        size = 0.02 * rng.random((4, 50))
        inner = centre + size * rng.uniform(-1, 1, (4, 50))
        box = [Interval(c - s, c + s) for c, s in zip(centre, size, strict=True)]
        for wide, point in zip(
            pairs.active_output(*box), pairs.active_output(*points(*inner)), strict=True
        ):
            assert (wide.lo <= point.lo).all() and (point.hi <= wide.hi).all()


def test_a_third_feature_by_quadrature():
    x = (np.arange(1500) + 0.5) / 1500
    first, second = np.meshgrid(x, x)

    def value(g, y, b):
        return (np.maximum(g * first + y * second + b, 0) ** 2).mean()

    g, y, b = 0.42, 1.1, -0.28
    (both, by), (mixed, by_mixed) = pairs.third_values(*points(g, y, b))
    assert value(g, g, b) == pytest.approx(both.lo[0], rel=1e-5)
    assert value(g, -y, b) == pytest.approx(mixed.lo[0], rel=1e-3)
    step = 1e-4
    slopes = {
        "g": (value(g + step, g + step, b) - value(g - step, g - step, b), by["g"]),
        "b": (value(g, g, b + step) - value(g, g, b - step), by["b"]),
        "mixed g": (value(g + step, -y, b) - value(g - step, -y, b), by_mixed["g"]),
        "mixed y": (value(g, -y - step, b) - value(g, -y + step, b), by_mixed["y"]),
        "mixed b": (value(g, -y, b + step) - value(g, -y, b - step), by_mixed["b"]),
    }
    for numeric, found in slopes.values():
        assert numeric / (2 * step) == pytest.approx(found.lo[0], rel=5e-3)


def test_slopes_of_two_active_features_at_the_pentagon():
    """Of the whole L2, by the norm, bias and gap of one feature, from the exact loss."""
    r, b, gaps = (np.full((6, 5), x) for x in POINT[[0, 1, 4]])
    step = 1e-5
    for k, array in enumerate((r, b)):
        array[2 * k, 0] += step
        array[2 * k + 1, 0] -= step
    gaps[4, :2] += [step, -step]
    gaps[5, :2] -= [step, -step]
    L2 = losses(r, b, gaps)[2]
    numeric = (L2[::2] - L2[1::2]) / (2 * step)
    for found, value in zip(nearby.slopes(SHAPE), numeric[:2], strict=True):
        assert value == pytest.approx(float(found.middle()), abs=1e-6)
        assert found.hi - found.lo < 1e-9
    assert numeric[2] == pytest.approx(0, abs=1e-6)


def test_no_line_curves_downward_by_more_than_the_bends():
    """L2 of the exact loss along random lines, in the whole outer box; L3 likewise near P."""
    rng = np.random.default_rng(3)
    most = nearby.bends(SHAPE)
    line = rng.normal(size=(3, 400, 5))
    line[2] -= line[2].mean(1, keepdims=True)
    line *= 1e-3 / np.sqrt((line**2).sum((0, 2)))[:, None]
    for share in (1.0, 0.05):
        centre = models(rng, 400, share)
        along = [
            losses(*(c + s * x for c, x in zip(centre, line, strict=True))) for s in (-1, 0, 1)
        ]
        second = (along[0] - 2 * along[1] + along[2]) / 1e-6
        bound = sum(
            float(bend.hi) * (x**2).sum(1) / 1e-6
            for bend, x in zip((most.r, most.b, most.gap), line, strict=True)
        )
        assert (second[2] > -bound).all()
    assert (second[3] > -rare.worst(3)).all() and (second[4] > -rare.worst(4)).all()


def test_the_bends_count_every_output():
    """A bound from the limits of one output cannot be below the share of the other ones."""
    most = nearby.bends(SHAPE)
    assert float(most.r.lo) > 2 * (nearby.NEAR[0] + nearby.NEAR[2] + nearby.FAR[0] + nearby.FAR[2])
    assert float(most.gap.lo) > 2 * nearby.NEAR[3] + 8 * nearby.FAR[3]


def slope_of_one_product(g, other, b, cells=1500):
    """Derivative by g of E relu(g x + other x' + b)^2, the midpoint rule in both."""
    x = (np.arange(cells) + 0.5)[:, None] / cells
    return (2 * x * np.maximum(g * x + other * x.T + b, 0)).mean()


def test_the_bends_are_those_of_every_pair_and_output_counted_one_by_one():
    """Of five features on a circle, for each pair of active ones and each output: what L2 may curve
    downward by in norms, biases and gaps, from the limits of active outputs and the largest slopes
    of the others' inner products, by quadrature. An angle is a sum of gaps,
    (g + g')^2 <= 2 g^2 + 2 g'^2."""
    r, b, gap = (x.hi for x in OUTER)
    least_r, least_gap = OUTER[0].lo, OUTER[2].lo
    g, y = r**2 * np.cos(least_gap), -(least_r**2) * np.cos(2 * least_gap)  # largest, smallest
    both, beside = (slope_of_one_product(g, other, b) for other in (g, 0))
    # By y, so x and x' change parts: x' over all of where the output is not 0, even beyond 1.
    end = (g + b) / y
    across = end * end * slope_of_one_product(-y * end, g, b)
    sine = np.sin(2 * least_gap)
    # What one inner product r r' cos(angle) adds, per unit of slope: to either norm, to the angle.
    near = np.cos(least_gap) + r, 2 * r + r**2 * np.cos(least_gap)
    far = -np.cos(2 * gap) + r * sine, 2 * r * sine
    found = np.zeros((3, 5))  # by norm, bias and gap of each feature

    def between(i, k):
        """Of features i and k: the gaps from one to the other, and whether they are neighbours."""
        start = i if (k - i) % 5 < 3 else k
        apart = min((i - k) % 5, (k - i) % 5)
        return [(start + step) % 5 for step in range(apart)], apart == 1

    def turn(gaps, size):
        for gap in gaps:
            found[2, gap] += len(gaps) * size

    for i, k in itertools.combinations(range(5), 2):
        for output in range(5):
            if output in (i, k):  # an active one
                other = i + k - output
                gaps, neighbours = between(i, k)
                limits = nearby.NEAR if neighbours else nearby.FAR
                found[0, output] += limits[0]
                found[1, output] += limits[1]
                found[0, other] += limits[2]
                turn(gaps, limits[3])
                continue
            sides = [between(output, active) for active in (i, k)]
            close = sum(neighbours for _, neighbours in sides)
            for active, (gaps, neighbours) in zip((i, k), sides, strict=True):
                # With both far away the output is 0.
                slope = (0, beside if neighbours else across, both)[close]
                by_norm, by_angle = near if neighbours else far
                found[0, [output, active]] += slope * by_norm
                turn(gaps, slope * by_angle)
    most = nearby.bends(SHAPE)
    for bend, counted in zip((most.r, most.b, most.gap), found, strict=True):
        assert counted == pytest.approx(float(bend.hi), rel=1e-4)


def test_the_excess_of_the_pentagon():
    r, b, gaps = (np.full((1, 5), x) for x in POINT[[0, 1, 4]])
    exact = losses(r, b, gaps)[:, 0]
    text = rare.excess(SHAPE).text
    for k, room in ((2, 0.2), (3, 1.0)):
        bound = float(text.split(f"L{k} <= ")[1].split(":")[0].split(",")[0])
        assert exact[k] < bound < exact[k] + room
    assert exact[4] < 5 * 4.36 and exact[5] < 5
    assert not rare.excess(replace(SHAPE, b=SHAPE.b + 0.2)).proved


def test_forms_lie_below_the_second_derivatives():
    rng = np.random.default_rng(4)
    step = 1e-4 * np.eye(5)
    least = np.array([0.03, 0.01, 0.03, 0.01, 0.05])
    for point in POINT + rng.uniform(-0.01, 0.01, (5, 5)):
        K, J, E, valid = nearby.forms(point[:, None], point[:, None], least)
        found = J.middle()[0].T @ K.middle()[0] @ J.middle()[0] + E.middle()[0]
        for i, j in itertools.product(range(5), repeat=2):
            signs = itertools.product((1, -1), repeat=2)
            numeric = sum(s * t * terms(point + s * step[i] + t * step[j]) for s, t in signs) / 4e-8
            assert numeric - least[i] * (i == j) == pytest.approx(found[i, j], abs=1e-5)
        assert valid.all()
        # Over an interval of gaps K lies below the matrices of all of them.
        wide = 0.004 * step[4] / 1e-4
        box = nearby.forms((point - wide)[:, None], (point + wide)[:, None], least)[0]
        differences = np.linalg.eigvalsh(K.middle()[0] - box.middle()[0])
        assert differences.min() > -1e-12 and differences.max() > 1e-3


def test_where_kinks_leave_the_unit_interval_nothing_is_said_to_be_convex():
    for change in ((1, 0.4), (4, 0.6), (1, -0.9)):  # a bias above 0; far; never on
        point = POINT.copy()
        point[change[0]] += change[1]
        *parts, valid = nearby.forms(point[:, None], point[:, None], np.zeros(5))
        assert not valid.any() and not congruent(*parts, valid).any()


def test_the_bounds_are_those_of_the_proof():
    """PROOF.md, section 8: |z'| <= 2.8 k + 1 and |z''| <= 6.18 k along a line, errors up to 2.4."""
    for k, sets in ((3, 10), (4, 5), (5, 1)):
        bend = 2 * 2.4 * 6.18 * k
        active = 2 * (2.8 * k + 1) ** 2 / 1.34
        assert rare.worst(k) == pytest.approx(sets * (5 * bend + k * active))
        assert rare.worst(k) < rare.WORST[k - 3]
    assert rare.ODDS > rare.DENSITY / (1 - rare.DENSITY)


@pytest.mark.parametrize("active", [3, 4, 5])
def test_no_output_moves_or_bends_faster_than_the_proof_says(active):
    """Differences along lines of unit speed in norms, biases and gaps that add up to a circle."""
    rng, step, fastest = np.random.default_rng(5), 1e-3, 0.0
    x = np.zeros((5, 400))
    for n in range(400):
        x[rng.choice(5, active, replace=False), n] = 1 if n % 2 else rng.random(active)
    for _ in range(40):
        start = np.concatenate([POINT[0] + rng.uniform(-0.01, 0.01, 5), np.full(5, POINT[1])])
        start = np.concatenate([start, np.full(5, 2 * np.pi / 5)])
        line = rng.normal(size=15) * rng.choice([0.02, 1], 15)
        line[10:] -= line[10:].mean()
        line *= step / np.linalg.norm(line)
        before, here, after = (
            outputs(start + s * line) @ np.vstack([x, np.ones(400)]) for s in (-1, 0, 1)
        )
        speed = np.abs(after - before) / (2 * step)
        bend = np.abs(after - 2 * here + before) / step**2
        fastest = max(fastest, speed.max())
        assert speed.max() <= 2.8 * active + 1 and bend.max() <= 6.18 * active + 1e-6
        assert np.abs(np.maximum(here, 0) - x).max() <= 2.4
    assert fastest > 1


def outputs(model):
    """(W' W, b) [5, 6] of a model (norms, biases, gaps)."""
    angles = np.cumsum(model[10:])
    W = model[:5] * np.stack([np.cos(angles), np.sin(angles)])
    return np.hstack([W.T @ W, model[5:10, None]])


def test_a_statement_needs_all_that_it_says(monkeypatch):
    least = rare.least_curvature(SHAPE)
    checks = {
        nearby: [nearby.bent, lambda shape: nearby.curved(shape, least)],
        rare: [rare.localised, rare.closer],
    }
    for module, found in checks.items():
        for check in found:
            for last in (True, False):
                covers = iter([Cover({}, 1, True), Cover({}, 1, last)])
                if check is not nearby.bent:
                    next(covers)
                monkeypatch.setattr(module, "cover", lambda *_, covers=covers, **__: next(covers))
                assert check(SHAPE).proved == last
                monkeypatch.undo()
    covers = iter([Cover({}, 1, False), Cover({}, 1, True)])
    monkeypatch.setattr(nearby, "cover", lambda *_, **__: next(covers))
    assert not nearby.bent(SHAPE).proved
    monkeypatch.undo()
    for k in range(3):  # one bound of what curves downward that is exceeded
        limits = [x if k != n else x / 2 for n, x in enumerate(rare.WORST)]
        monkeypatch.setattr(rare, "WORST", limits)
        assert not rare.outweighed(SHAPE, least).proved
        monkeypatch.undo()
    for name, value in (("EXCESS", 0.0025), ("REST", 5e-6)):
        monkeypatch.setattr(rare, name, value)
        assert not rare.excess(SHAPE).proved
        monkeypatch.undo()
    monkeypatch.setattr(rare, "together", lambda *_: Interval(0.0))  # L2 = L3 = 0
    assert rare.excess(SHAPE).proved  # but in L4 and L5 an output may err by more than 1
    assert not rare.excess(replace(SHAPE, b=SHAPE.b + 0.3)).proved
    assert not rare.excess(replace(SHAPE, g=SHAPE.g + 0.1)).proved
    monkeypatch.undo()
    monkeypatch.setattr(rare, "DIP", 1e-7)
    assert not rare.dip(SHAPE, least).proved
    monkeypatch.undo()
    assert not rare.excess(replace(SHAPE, g=SHAPE.g + 0.1)).proved


def test_forms_that_are_not_positive_are_refused():
    rng = np.random.default_rng(5)
    for _ in range(20):
        K = np.diag(rng.uniform(0.1, 1, 5)) - np.eye(5) * (rng.random(5) < 0.3) * 2
        J, E = rng.normal(size=(5, 5)), 1e-3 * np.eye(5)
        smallest = np.linalg.eigvalsh(J.T @ K @ J + E).min()
        parts = [Interval(x[None]) for x in (K, J, E)]
        assert congruent(*parts, np.ones(1, bool))[0] == (smallest > 0)


def test_leaning_is_a_function_with_these_slopes():
    step = 1e-6

    def value(x):
        return float(nearby.leaning(SHAPE, [Interval(v) for v in x], rare.ODDS)[0].middle())

    x = POINT + np.array([0.004, -0.003, 0.001, 0.002, -0.005])
    _, by = nearby.leaning(SHAPE, [Interval(v) for v in x], rare.ODDS)
    assert value(POINT) == pytest.approx(0, abs=1e-12)
    for k in range(5):
        move = step * np.eye(5)[k]
        numeric = (value(x + move) - value(x - move)) / (2 * step)
        assert numeric == pytest.approx(float(by[k].middle()), abs=1e-8)


def test_the_gain_in_boxes_lies_below_leaning():
    """`gain` plus the bracket in a box, against `leaning` at points of the box."""
    rng = np.random.default_rng(6)
    polar = POINT[:, None] + rng.uniform(-1, 1, (5, 300)) * np.array([[0.1], [0.2]] * 2 + [[0.1]])
    r, b, r2, b2, gap = polar
    x = np.stack([r * r, b, r2 * r2, b2, r * r2 * np.cos(gap)])
    size = 0.02 * rng.random((5, 300))
    pair = [Interval(v) for v in polar]
    whole, plain = (nearby.leaning(SHAPE, pair, q)[0].middle() for q in (rare.ODDS, 0.0))
    assert (rare.gain(SHAPE, x - size, x + size, OUTER) <= whole - plain + 1e-12).all()
    assert (rare.gain(SHAPE, x, x, OUTER) > whole - plain - 1e-3).all()


def test_within_tells_what_lies_in_a_box_of_angles():
    rng = np.random.default_rng(7)
    polar = POINT[:, None] + 1.5 * rng.uniform(-1, 1, (5, 4000)) * np.array(
        [[x] for x in (*nearby.INNER[:2], *nearby.INNER)]
    )
    r, b, r2, b2, gap = polar
    x = np.stack([r * r, b, r2 * r2, b2, r * r2 * np.cos(gap)])
    sides = (*INNER[:2], *INNER)
    true = np.all([(s.lo < v) & (v < s.hi) for v, s in zip(polar, sides, strict=True)], axis=0)
    assert 100 < true.sum() < 3900
    assert (rare.within(x, x, INNER) == true).all()
    wide = rare.within(x - 0.001, x + 0.001, INNER)
    assert wide.any() and not (wide & ~true).any()


def test_boxes_are_settled_for_a_reason_that_holds_inside_them():
    """Random boxes: what `leaning`, the angles and the inner box say at points of them."""
    rng = np.random.default_rng(9)
    polar = POINT[:, None] + rng.normal(size=(5, 3000)) * np.array([[0.06], [0.1]] * 2 + [[0.07]])
    r, b, r2, b2, gap = polar
    x = np.stack([r * r, b, r2 * r2, b2, r * r2 * np.cos(gap)])
    size = 10 ** rng.uniform(-4, -1.5, (1, 3000)) * rng.random((5, 3000))
    reasons = rare.settled(SHAPE, x - size, x + size)
    pair = [Interval(v) for v in polar]
    cost, plain = (nearby.leaning(SHAPE, pair, q)[0].middle() for q in (rare.ODDS, 0.0))
    sides = [(s.lo < v) & (v < s.hi) for v, s in zip(polar, (*OUTER[:2], *OUTER), strict=True)]
    inside = np.all(sides, axis=0)
    assert (cost > 1e-5)[reasons["larger"] & inside].all()
    assert (plain > 0)[reasons["larger"] & inside].all()
    assert not sides[4][reasons["outside"]].any() and (r >= r2)[reasons["mirrored"]].all()
    assert reasons["larger"][inside].mean() > 0.5 and 0.01 < reasons["outside"].mean() < 0.2
    for reason in ("mirrored", "outside", "larger"):
        assert 0 < reasons[reason].mean() < 1


@pytest.mark.slow
def test_what_two_active_features_gain_is_counted():
    """Pairs above the target by themselves, and below it with two active features."""
    rng = np.random.default_rng(10)
    radii = 1.3 * np.array([[x] for x in (*nearby.INNER[:2], *nearby.INNER)])
    polar = POINT[:, None] + radii * rng.uniform(-1, 1, (5, 200_000))
    r, b, r2, b2, gap = polar
    pair = [Interval(v) for v in polar]
    cost, plain = (nearby.leaning(SHAPE, pair, q)[0].middle() for q in (rare.ODDS, 0.0))
    between = (plain > 1.02e-5) & (cost < 0.98e-5)
    x = np.stack([r * r, b, r2 * r2, b2, r * r2 * np.cos(gap)])[:, between]
    assert between.sum() > 3
    assert not rare.settled(SHAPE, x, x)["larger"].any()


def test_the_full_loss_is_larger_near_the_pentagon_and_further_away():
    """What the theorem says, at random models and the largest odds: F of the exact loss."""
    rng = np.random.default_rng(8)
    q = rare.ODDS
    weights = np.array([1 / q, 1, q, q**2, q**3, q**4])
    best = weights @ losses(*(np.full((1, 5), x) for x in POINT[[0, 1, 4]]))
    for share in (1.0, 0.3, 0.1):
        assert (weights @ losses(*models(rng, 300, share)) > best).all()


def test_what_is_false_is_refused(monkeypatch):
    least = rare.least_curvature(SHAPE)
    assert rare.outweighed(SHAPE, least).proved and rare.dip(SHAPE, least).proved
    assert not rare.dip(SHAPE, least, steps=0).proved  # a tangent elsewhere tells less
    assert not nearby.curved(SHAPE, least + 0.06, most=5000).proved  # least eigenvalue: 0.0595
    monkeypatch.setattr(nearby, "FAR", (0.5, 0.5, 0.5, 0.5))
    assert not nearby.bent(SHAPE, most=5000).proved
    monkeypatch.setattr(rare, "ODDS", 1.1e-3)
    assert not rare.excess(SHAPE).proved
    monkeypatch.setattr(rare, "WORST", (8000.0, 7500.0, 2500.0))
    assert not rare.outweighed(SHAPE, least).proved


@pytest.mark.slow
def test_the_theorem_is_proved_and_the_committed_log_says_so():
    found = list(rare.statements())
    assert [line.name for line in found if not line.proved] == []
    assert len(found) == 16
    assert rare.DENSITY / (1 - rare.DENSITY) < rare.ODDS
    committed = statement.committed()["pentagon of rare features"]
    assert [str(line) for line in found] == [str(line) for line in committed]


def test_the_log_is_read_as_it_is_printed():
    log = statement.LOG.read_text()
    theorems = statement.committed()
    assert set(theorems) == {"hexagon", "pentagon of rare features"}
    for lines in theorems.values():
        assert all(str(line) in log for line in lines)
    assert theorems["hexagon"][5].name == "wide gaps" and theorems["hexagon"][5].proved
