"""The theorem of rare features: its bounds, held against sampling and differences."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from common.proofs import rare
from common.proofs.boxes import Cover
from common.proofs.pentagon import RADIUS, stationary
from common.proofs.polygon import moments

SHAPE, _ = stationary()
POINT = np.array([float(x.middle()) for x in (SHAPE.a.sqrt(), SHAPE.b)] * 2 + [SHAPE.gap.middle()])


def loss(r, b, gaps, active, samples):
    """L_k of a model, k = `active`, with the same samples of the active features in every set."""
    angles = np.cumsum(gaps)
    W = r * np.stack([np.cos(angles), np.sin(angles)])
    total = 0.0
    for chosen in itertools.combinations(range(5), active):
        x = np.zeros((5, samples.shape[1]))
        x[list(chosen)] = samples
        total += ((x - np.maximum(W.T @ W @ x + b[:, None], 0)) ** 2).sum(0).mean()
    return total


def terms(x):
    """What two neighbours (r, b, r', b', gap) cost, half their own terms and both crosses."""
    r, b, r2, b2, gap = x
    total = 1 / 3
    for p, q in ((r, b), (r2, b2)):
        u, v, _ = moments(p * p, q)
        total += u.lo / 2 - v.lo + moments(r * r2 * np.cos(gap), q)[0].lo
    return float(total)


def test_the_excess_of_the_pentagon():
    rng = np.random.default_rng(1)
    r, b, gaps = np.full(5, POINT[0]), np.full(5, POINT[1]), np.full(5, 2 * np.pi / 5)
    found = [loss(r, b, gaps, k, rng.random((k, 40000))) for k in (2, 3, 4, 5)]
    bound = float(rare.excess(SHAPE).text.split("L2 <= ")[1].split(":")[0])
    assert found[0] < bound < found[0] + 0.3
    crude = [10 * (3 + 2 * 0.36), 5 * (4 + 0.36), 5]
    assert all(x < y for x, y in zip(found[1:], crude, strict=True))
    assert not rare.excess(replace(SHAPE, b=SHAPE.b + 0.2)).proved


def test_second_derivatives():
    rng = np.random.default_rng(2)
    step = 1e-4 * np.eye(5)
    for point in POINT + rng.uniform(-0.01, 0.01, (5, 5)):
        found, valid = rare.polar_hessian(point[:, None], point[:, None], 0.005)
        for i, j in itertools.product(range(5), repeat=2):
            signs = itertools.product((1, -1), repeat=2)
            numeric = sum(s * t * terms(point + s * step[i] + t * step[j]) for s, t in signs) / 4e-8
            assert numeric - 0.005 * (i == j) == pytest.approx(found.lo[0, i, j], abs=1e-5)
        assert valid.all()


@pytest.mark.parametrize("active", [2, 3])
def test_no_line_curves_downward_by_more_than_the_bound(active):
    rng = np.random.default_rng(3)
    samples = rng.random((active, 20000))
    for _ in range(10):
        r, b = POINT[0] + rng.uniform(-5e-3, 5e-3, 5), POINT[1] + rng.uniform(-0.01, 0.01, 5)
        line = rng.normal(size=15)
        line[10:] -= line[10:].mean()
        line *= 0.02 / np.linalg.norm(line)
        along = [
            loss(
                r + s * line[:5], b + s * line[5:10], 2 * np.pi / 5 + s * line[10:], active, samples
            )
            for s in (-1, 0, 1)
        ]
        assert (along[0] - 2 * along[1] + along[2]) / 0.02**2 > -rare.worst(active)


def test_the_bounds_are_those_of_the_proof():
    """PROOF.md, section 8: |z'| <= 2.8 k + 1 and |z''| <= 6.16 k along a line, errors up to 2.4."""
    for k, sets in ((2, 10), (3, 10), (4, 5), (5, 1)):
        bend = 2 * 2.4 * 6.16 * k
        active = 2 * (2.8 * k + 1) ** 2 / 1.35
        assert rare.worst(k) == pytest.approx(sets * (5 * bend + k * active))
        assert rare.worst(k) < rare.WORST[k - 2]
    assert rare.ODDS > 1e-6 / (1 - 1e-6)


@pytest.mark.parametrize("active", [2, 3, 4, 5])
def test_no_output_moves_or_bends_faster_than_the_proof_says(active):
    """Differences along lines of unit speed in norms, biases and gaps that add up to a circle."""
    rng, step, fastest = np.random.default_rng(5), 1e-3, 0.0
    x = np.zeros((5, 400))
    for n in range(400):
        x[rng.choice(5, active, replace=False), n] = 1 if n % 2 else rng.random(active)
    for _ in range(40):
        start = np.concatenate([POINT[0] + rng.uniform(-5e-3, 5e-3, 5), np.full(5, POINT[1])])
        start = np.concatenate([start, np.full(5, 2 * np.pi / 5)])
        line = rng.normal(size=15) * rng.choice([0.02, 1], 15)
        line[10:] -= line[10:].mean()
        line *= step / np.linalg.norm(line)
        before, here, after = (
            outputs(start + s * line) @ np.vstack([x, np.ones(400)]) for s in (-1, 0, 1)
        )
        speed, bend = (
            np.abs(after - before) / (2 * step),
            np.abs(after - 2 * here + before) / step**2,
        )
        fastest = max(fastest, speed.max())
        assert speed.max() <= 2.8 * active + 1 and bend.max() <= 6.16 * active + 1e-6
        assert np.abs(np.maximum(here, 0) - x).max() <= 2.4
    assert fastest > 1


def outputs(model):
    """(W' W, b) [5, 6] of a model (norms, biases, gaps)."""
    angles = np.cumsum(model[10:])
    W = model[:5] * np.stack([np.cos(angles), np.sin(angles)])
    return np.hstack([W.T @ W, model[5:10, None]])


def test_the_polar_box_holds_the_ball():
    """Corners and points of the ball in (a, b, a', b', g), seen in (r, b, r', b', gap)."""
    box, holds = rare.polar(SHAPE)
    centre = SHAPE.point().middle()
    rng = np.random.default_rng(6)
    for x in (*itertools.product((-1, 1), repeat=5), *rng.uniform(-1, 1, (500, 5))):
        a, b, a2, b2, g = centre + RADIUS * np.array(x)
        r, r2 = np.sqrt(a), np.sqrt(a2)
        point = np.array([r, b, r2, b2, np.arccos(g / (r * r2))])
        assert (box.lo <= point).all() and (point <= box.hi).all()
    assert holds
    for change in (
        {"gap": SHAPE.gap + 0.01},
        {"g": SHAPE.g * 1.02},
        {"a": SHAPE.a * 1.02},
        {"b": -SHAPE.b},
    ):
        assert not rare.polar(replace(SHAPE, **change))[1]


def test_a_statement_needs_all_that_it_says(monkeypatch):
    for complete, holds in itertools.product((True, False), repeat=2):
        box = rare.polar(SHAPE)[0]
        monkeypatch.setattr(rare, "cover", lambda *_, complete=complete: Cover({}, 1, complete))
        monkeypatch.setattr(rare, "polar", lambda _, box=box, holds=holds: (box, holds))
        assert rare.curved(SHAPE).proved == (complete and holds)
        monkeypatch.undo()
    for k in range(4):  # a bound of what curves downward that is exceeded
        limits = [x if k != n else x / 2 for n, x in enumerate(rare.WORST)]
        monkeypatch.setattr(rare, "WORST", limits)
        assert not rare.outweighed().proved
    monkeypatch.undo()
    monkeypatch.setattr(rare, "EXCESS", 2.8e-6)  # 2.65 q is more
    assert not rare.excess(SHAPE).proved


def test_where_kinks_leave_the_unit_interval_nothing_is_said_to_be_convex():
    for change in ((1, 0.4), (4, 0.6), (1, -0.9)):  # a bias above 0; far; never on
        point = POINT.copy()
        point[change[0]] += change[1]
        found, valid = rare.polar_hessian(point[:, None], point[:, None], 0.0)
        assert not valid.any() and np.isnan(found.lo).all()


def test_second_derivatives_of_boxes_contain_those_of_their_points():
    rng = np.random.default_rng(7)
    centre = POINT[:, None] + rng.uniform(-0.01, 0.01, (5, 200))
    size = 0.004 * rng.random((5, 200))
    found, valid = rare.polar_hessian(centre - size, centre + size, 0.0)
    assert valid.all()
    for _ in range(5):
        x = centre + size * rng.uniform(-1, 1, (5, 200))
        exact, _ = rare.polar_hessian(x, x, 0.0)
        assert (found.lo <= exact.hi).all() and (exact.lo <= found.hi).all()


def test_what_is_false_is_refused(monkeypatch):
    assert rare.outweighed().proved and rare.polar(SHAPE)[1]
    assert not rare.curved(SHAPE, least=0.07, most=5000).proved  # the least eigenvalue is 0.0595
    monkeypatch.setattr(rare, "ODDS", 2e-6)
    assert not rare.outweighed().proved and not rare.excess(SHAPE).proved


@pytest.mark.slow
def test_the_theorem_is_proved():
    found = list(rare.statements())
    assert [statement.name for statement in found if not statement.proved] == []
    assert len(found) == 13
