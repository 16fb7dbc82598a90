"""Speed of a training step against the authors' recipe written plainly: two random draws, two
einsums, autograd, torch.optim.AdamW. Both in one run, same batch; only their ratio is asserted.
"""

import statistics
import time

import pytest
import torch

from common.data import SparseFeatures
from common.model import ToyModel
from common.training import Recipe, train

BATCH, DENSITY, ROUNDS = 1024, 0.1, 5


def plain_training(instances, n, m, steps):
    """The authors' notebook, reduced to what a step needs."""
    W = torch.nn.Parameter(0.3 * torch.randn(instances, n, m))
    b = torch.nn.Parameter(torch.zeros(instances, n))
    density, importance = torch.full((instances, 1), DENSITY), torch.ones(n)
    optimiser = torch.optim.AdamW([W, b], lr=1e-3)
    for _ in range(steps):
        optimiser.zero_grad(set_to_none=True)
        values = torch.rand(BATCH, instances, n)
        mask = torch.rand(BATCH, instances, n) <= density
        x = torch.where(mask, values, torch.zeros(()))
        h = torch.einsum("bif,ifh->bih", x, W)
        out = torch.relu(torch.einsum("bih,ifh->bif", h, W) + b)
        loss = (importance * (x - out) ** 2).mean(dim=(0, 2)).sum()
        loss.backward()
        optimiser.step()


def our_training(instances, n, m, steps):
    """The same number of steps of the same recipe with common.training."""
    model = ToyModel(n, m, instances)
    data = SparseFeatures(n, torch.full((instances,), DENSITY))
    recipe = Recipe(steps, BATCH, 1e-3, weight_decay=0.01, cosine=False, skip_empty=False)
    train(model, data, recipe=recipe)


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("instances", "n", "m", "steps", "at_least"),
    [(10, 5, 2, 400, 3.0), (7, 20, 5, 150, 3.0), (7, 80, 20, 40, 2.5)],
)
def test_training_step(benchmark, instances, n, m, steps, at_least):
    """Median over rounds of the ratio within a round, so that a drift in speed cancels."""
    size = (instances, n, m, steps)
    for function in (plain_training, our_training):
        function(instances, n, m, 10)  # warm up
    ratios = [seconds(plain_training, *size) / seconds(our_training, *size) for _ in range(ROUNDS)]
    benchmark.extra_info["times faster than the plain reference"] = statistics.median(ratios)
    benchmark.pedantic(our_training, args=size, rounds=3)
    print(
        f"\nn={n} m={m}: {statistics.median(ratios):.2f} times faster ({min(ratios):.2f} at least)"
    )
    assert statistics.median(ratios) >= at_least
