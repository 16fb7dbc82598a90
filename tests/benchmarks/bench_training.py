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

BATCH, ROUNDS = 1024, 5
PAPERS = [1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001]  # densities of the first figures of the paper


def plain_training(densities, n, m, steps):
    """The authors' notebook, reduced to what a step needs."""
    instances = len(densities)
    W = torch.nn.Parameter(0.3 * torch.randn(instances, n, m))
    b = torch.nn.Parameter(torch.zeros(instances, n))
    density, importance = torch.tensor(densities)[:, None], torch.ones(n)
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


def our_training(densities, n, m, steps):
    """The same number of steps of the same recipe with common.training."""
    model, data = ToyModel(n, m, len(densities)), SparseFeatures(n, densities)
    recipe = Recipe(steps, BATCH, 1e-3, weight_decay=0.01, cosine=False, skip_empty=False)
    train(model, data, recipe=recipe)


def seconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start


@pytest.mark.parametrize(
    ("densities", "n", "m", "steps", "at_least"),
    [
        ([0.1] * 10, 5, 2, 400, 15),
        ([0.1] * 7, 20, 5, 150, 8),
        ([0.1] * 7, 80, 20, 40, 4),
        (PAPERS, 20, 5, 150, 12),
        (PAPERS, 80, 20, 40, 5),
    ],
)
def test_training_step(benchmark, densities, n, m, steps, at_least):
    """Median over rounds of the ratio within a round, so that a drift in speed cancels."""
    size = (densities, n, m, steps)
    for function in (plain_training, our_training):
        function(densities, n, m, 10)  # warm up
    ratios = [seconds(plain_training, *size) / seconds(our_training, *size) for _ in range(ROUNDS)]
    benchmark.extra_info["times faster than the plain reference"] = statistics.median(ratios)
    benchmark.pedantic(our_training, args=size, rounds=3)
    print(
        f"\nn={n} m={m}: {statistics.median(ratios):.2f} times faster ({min(ratios):.2f} at least)"
    )
    assert statistics.median(ratios) >= at_least
