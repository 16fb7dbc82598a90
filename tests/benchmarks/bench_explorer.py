"""Speed of the explorer's optimum against two plain references, measured in one run; only ratios
are asserted. References: `exact.minimise` from 64 starts, and the authors' recipe for as many runs.
"""

import itertools
import statistics
import time

import pytest
import torch
from bench_exact import plain_seconds

from common import explorer, plotting
from common.data import importance_decay
from common.exact import minimise
from common.quick import quick_optimum

DENSITIES, DECAYS, RESTARTS = (1, 0.5, 0.2, 0.1, 0.03, 0.01), (1, 0.9, 0.7), 64


def timed(function, *arguments, **options):
    start = time.perf_counter()
    result = function(*arguments, **options)
    return result, time.perf_counter() - start


@pytest.mark.parametrize(
    ("n", "m", "at_least"), [(2, 1, 1.5), (3, 2, 3), (4, 2, 3), (5, 1, 5), (5, 2, 6), (5, 3, 8)]
)
def test_quick_optimum(n, m, at_least):
    """Over slider positions: median ratio of times, and how often the quick loss is as low."""
    quick_optimum(n, m, 0.1)  # tables are made once
    ratios, seconds, excess = [], [], []
    for density, decay in itertools.product(DENSITIES, DECAYS):
        importance = importance_decay(n, decay)
        (_, _, loss), ours = timed(quick_optimum, n, m, density, importance)
        slow, theirs = timed(minimise, n, m, density, importance, restarts=RESTARTS, seed=5)
        ratios.append(theirs / ours)
        seconds.append(ours)
        excess.append((loss / slow.loss - 1).item())
    good = sum(value <= 1e-4 for value in excess) / len(excess)
    training = plain_seconds(n, m, RESTARTS) / statistics.median(seconds)
    print(
        f"\nn={n} m={m}: {1e3 * statistics.median(seconds):.0f} ms, {1e3 * max(seconds):.0f} at "
        f"most; {statistics.median(ratios):.0f} times faster than minimise, {training:.0f} than "
        f"training; excess at most 1e-4 in {100 * good:.0f} %, from {min(excess):.0e} to "
        f"{max(excess):.0e}"
    )
    assert statistics.median(ratios) >= at_least
    assert training >= 100
    assert good >= 0.9


def test_redraw(benchmark):
    """From the sliders' values to the PNG, n = 5 and m = 2, on one thread."""
    plotting.use_style()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    positions = itertools.cycle(itertools.product(DENSITIES, DECAYS))

    def redraw():
        density, decay = next(positions)
        return explorer.png(explorer.draw_optimum(density, decay, 5, 2))

    benchmark.pedantic(redraw, rounds=18, warmup_rounds=2)
    whole = statistics.median(benchmark.stats.stats.data)
    optimum = statistics.median(timed(quick_optimum, 5, 2, p)[1] for p in DENSITIES)
    torch.set_num_threads(threads)
    print(f"\na redraw {1e3 * whole:.0f} ms, its optimum {1e3 * optimum:.0f} ms")
    assert whole < 3 * optimum  # the drawing takes no longer than the mathematics, twice
