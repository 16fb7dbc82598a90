"""Speed of the exact optimum against sampling, both measured in one run; only ratios are asserted.

The plain reference is the authors' recipe as in bench_training: 10,000 steps of 1,024 inputs a
model. A few of its steps are timed and multiplied.
"""

import resource
import time

import pytest
import torch
from bench_training import PAPERS, plain_training, seconds

from common.data import SparseFeatures, importance_decay
from common.exact import minimise, population_loss
from common.model import ToyModel, authors_scale
from common.restarts import train_restarts
from common.training import AUTHORS, Recipe, train

DENSITIES = torch.tensor([1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001], dtype=torch.float64)


def plain_seconds(n, m, models):
    """Time of the authors' recipe, written plainly, for so many models trained in stacks of 100."""
    stack, steps = [0.1] * 100, 20  # their densities, which change no time
    plain_training(stack, n, m, 3)
    step = seconds(plain_training, stack, n, m, steps) / steps
    return step * AUTHORS.steps * models / len(stack)


def phase_map(n, m, side, restarts):
    """The exact phase diagram on side x side cells."""
    density = torch.logspace(0, -2, side, dtype=torch.float64)[:, None]
    importance = torch.ones(1, side, n, dtype=torch.float64)
    importance[..., -1] = torch.logspace(-1, 1, side, dtype=torch.float64)
    return minimise(n, m, density, importance, restarts=restarts)


@pytest.mark.parametrize(
    ("n", "m", "side", "restarts", "at_least"), [(2, 1, 256, 16, 20_000), (3, 2, 128, 32, 7000)]
)
def test_phase_map(n, m, side, restarts, at_least):
    """The whole map, converged, against ten thousand steps of sampling a start; under 3 GB."""
    start = time.perf_counter()
    best = phase_map(n, m, side, restarts)
    ours = time.perf_counter() - start
    plain = plain_seconds(n, m, restarts * side**2)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # GiB on Linux
    print(f"\nn={n} {side}x{side}, {restarts} starts: {ours:.0f} s, {memory:.1f} GiB; plain "
          f"{plain / 3600:.0f} h; ratio {plain / ours:.0f}; improved by neighbours "
          f"{best.improved:.2%}, not converged {(~best.converged).sum()}")  # fmt: skip
    assert best.converged.double().mean() > 0.999
    assert memory < 3
    assert plain / ours >= at_least


def test_twenty_features():
    """n = 20, m = 5: the lowest loss of ten runs of the authors, in a fifth of their time."""
    importance = importance_decay(20, 0.7)
    scale = authors_scale(20, 5, instances=7)
    authors = train_restarts(
        20, 5, DENSITIES, importance, restarts=10, recipe=AUTHORS, init_scale=scale
    )
    start = time.perf_counter()
    best = minimise(20, 5, DENSITIES, importance, restarts=48)
    ours = time.perf_counter() - start
    plain = plain_seconds(20, 5, 70)
    excess = best.loss / authors.loss.min(1).values - 1
    print(f"\nn=20 m=5: {ours:.0f} s, ten plain runs {plain:.0f} s; excess over their best in % "
          f"{[round(100 * v, 3) for v in excess.tolist()]}, converged {best.converged.tolist()}, "
          f"gradients {[f'{g:.0e}' for g in best.gradient.tolist()]}")  # fmt: skip
    assert best.converged.all() and (excess < 0.005).all()
    assert plain / ours >= 5


def test_eighty_features():
    """n = 80, m = 20, seven trained instances: exact loss and gradient, in plain training steps."""
    importance = importance_decay(80, 0.9)
    model = ToyModel(80, 20, 7, generator=torch.Generator().manual_seed(0))
    data = SparseFeatures(80, DENSITIES, skip_empty=True)
    train(model, data, importance, recipe=Recipe(300, 256, 2e-2, 0.0, True, True))
    W = model.W.detach().double().requires_grad_()
    b = model.b.detach().double().requires_grad_()

    def exact():
        population_loss(W, b, DENSITIES, importance).sum().backward()

    exact()
    ours = min(seconds(exact) for _ in range(5))
    plain_training(PAPERS, 80, 20, 5)
    plain = min(seconds(plain_training, PAPERS, 80, 20, 20) / 20 for _ in range(5))
    print(f"\nn=80 m=20: exact loss and gradient {1000 * ours:.0f} ms, a plain step "
          f"{1000 * plain:.1f} ms; ratio {ours / plain:.0f}")  # fmt: skip
    assert ours / plain < 14
