"""Speed of one optimum for the explorer against the authors' recipe for as many runs, how often
its starts are enough, and what a move of a slider costs in a real kernel beside drawing without the
optimum; measured in one run, only ratios are asserted."""

import itertools
import statistics
import time

import pytest
from bench_exact import plain_seconds
from live import kernel

from common.data import importance_decay
from common.exact import minimise
from common.explorer import sliders
from common.plots import style

DENSITIES, DECAYS, RESTARTS = (1, 0.5, 0.2, 0.1, 0.03, 0.01), (1, 0.9, 0.7), 512


def timed(function, *arguments, **options):
    start = time.perf_counter()
    result = function(*arguments, **options)
    return result, time.perf_counter() - start


@pytest.mark.parametrize(("n", "m"), [(2, 1), (3, 2), (4, 2), (5, 1), (5, 2), (5, 3)])
def test_one_optimum(n, m):
    """Over slider positions: time, and excess over the best of ten times as many starts."""
    minimise(n, m, 0.1, restarts=2)  # compiled once
    seconds, excess = [], []
    for density, decay in itertools.product(DENSITIES, DECAYS):
        importance = importance_decay(n, decay)
        best, ours = timed(minimise, n, m, density, importance, restarts=sliders.STARTS)
        slow = minimise(n, m, density, importance, restarts=RESTARTS, seed=5)
        seconds.append(ours)
        excess.append((best.loss / slow.loss - 1).item())
    good = sum(value <= 1e-7 for value in excess) / len(excess)
    training = plain_seconds(n, m, sliders.STARTS) / statistics.median(seconds)
    print(
        f"\nn={n} m={m}: {1e3 * statistics.median(seconds):.0f} ms, {1e3 * max(seconds):.0f} at "
        f"most; {training:.0f} times faster than training; excess at most 1e-7 in "
        f"{100 * good:.0f} %, largest {max(excess):.0e}"
    )
    assert training >= 1000
    assert good >= 0.9


def test_redraw(benchmark):
    """From the sliders' values to the PNG, n = 5 and m = 2."""
    style.use_style()
    positions = itertools.cycle(itertools.product(DENSITIES, DECAYS))

    def redraw():
        density, decay = next(positions)
        return sliders.png(sliders.draw_optimum(density, decay, 5, 2))

    benchmark.pedantic(redraw, rounds=18, warmup_rounds=2)
    whole = statistics.median(benchmark.stats.stats.data)
    plain = plain_seconds(5, 2, sliders.STARTS)
    print(f"\na redraw takes {1e3 * whole:.0f} ms")
    assert plain / whole > 250


LIVE = """
from unittest import mock
from common.plots import style
from common.explorer import sliders
style.use_style()
_ = sliders.explore_optimum(0.12, {decay}, {n}, {m})
best = sliders.minimise({n}, {m}, 0.12, sliders.importance_decay({n}, {decay}))
def plain():
    with mock.patch.object(sliders, "minimise", lambda *_, **__: best):
        sliders.png(sliders.draw_optimum(0.12, {decay}, {n}, {m}))
"""


@pytest.mark.parametrize(
    ("n", "m", "decay"),
    [(2, 1, 0.9), (3, 2, 0.9), (4, 2, 0.9), (5, 1, 0.9), (5, 2, 0.9), (5, 2, 1), (5, 3, 0.9)],
)
def test_a_move_in_a_real_kernel(n, m, decay, monkeypatch):
    """From a slider's message to the picture, against drawing alone in the same kernel."""
    monkeypatch.delenv("SUPERPOSITION_OUTPUT", raising=False)
    moves, redraws = [], []
    with kernel() as live:
        live.run(LIVE.format(n=n, m=m, decay=decay))
        for position in range(3 * len(DENSITIES)):
            density = DENSITIES[position % len(DENSITIES)] * (1 - 0.02 * position)
            moves.append(live.move("density", max(density, sliders.LOWEST_DENSITY))[1])
            redraws.append(live.run("plain()"))
    ratio = statistics.median(moves) / statistics.median(redraws)
    print(
        f"\nn={n} m={m} decay={decay}: first move {1e3 * moves[0]:.0f} ms, best "
        f"{1e3 * min(moves):.0f}, median {1e3 * statistics.median(moves):.0f}, longest "
        f"{1e3 * max(moves):.0f}; drawing alone {1e3 * min(redraws):.0f} to "
        f"{1e3 * statistics.median(redraws):.0f}; ratio of medians {ratio:.1f}"
    )
    assert ratio < 3
