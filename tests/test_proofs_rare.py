"""The theorem of rare features: its bounds, held against sampling and differences."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from common.proofs import rare
from common.proofs.pentagon import stationary
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
