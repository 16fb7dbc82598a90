"""Many restarts of a model at each of several densities, and the choice between them.

A model is chosen by its lowest EXACT loss, never by its last training loss or a finite test set:
at low density the inputs that tell two solutions apart are too rare for that.
"""

from dataclasses import dataclass

import torch

from common.checks import check_count, check_density
from common.data import SparseFeatures
from common.exact import population_loss
from common.model import ToyModel
from common.training import FAST, estimate_loss, train


@dataclass
class Restarts:
    """Trained models, R restarts at each of D densities.

    density   [D];  W [D, R, m, n];  b [D, R, n]
    loss      [D, R] : exact loss (for a hidden ReLU: on 2^20 fresh inputs)
    snapshots {step: (W, b)} of the same shapes, at the steps asked for
    """

    density: torch.Tensor
    W: torch.Tensor
    b: torch.Tensor
    loss: torch.Tensor
    snapshots: dict

    def best(self):
        """W [D, m, n] and b [D, n] of the restart with the lowest loss at each density."""
        return self.pick(self.W, self.b)

    def pick(self, *stacks):
        """The chosen restart's slice of each array [D, R, ...]: [D, ...]."""
        index = self.loss.argmin(1)
        chosen = tuple(stack[torch.arange(len(index)), index] for stack in stacks)
        return chosen if len(chosen) > 1 else chosen[0]

    def excess(self, reference=None):
        """Relative excess [D, R] of each loss over `reference` [D], by default the lowest here."""
        reference = self.loss.min(1).values if reference is None else reference
        return self.loss / reference[:, None] - 1

    def agreement(self, tolerance=0.01):
        """Share [D] of restarts whose loss is within `tolerance` of the lowest."""
        return (self.excess() <= tolerance).double().mean(1)


def train_restarts(
    n_features,
    n_hidden,
    density,
    importance,
    *,
    restarts,
    recipe=FAST,
    seed=0,
    hidden="linear",
    output="relu",
    bias=True,
    init_scale=None,
    snapshot_steps=(),
    progress=None,
):
    """Train `restarts` models at every density [D] in one stack; return them as `Restarts`.

    Other arguments as for ToyModel and train.
    """
    density = check_density(density).reshape(-1)
    restarts = check_count(restarts, "restarts")
    stacked = density.repeat_interleave(restarts)
    model = ToyModel(
        n_features, n_hidden, len(stacked), hidden=hidden, output=output,
        bias=bias, init_scale=init_scale, generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    data = SparseFeatures(n_features, stacked, skip_empty=recipe.skip_empty)
    history = train(
        model, data, importance, recipe=recipe, seed=seed + 1,
        snapshot_steps=snapshot_steps, progress=progress,
    )  # fmt: skip
    loss = _loss(model, stacked, importance, seed + 2)

    def shaped(value):
        return value.detach().double().reshape(len(density), restarts, *value.shape[1:])

    snapshots = {
        step: (shaped(saved["W"]), shaped(saved["b"])) for step, saved in history.snapshots.items()
    }
    return Restarts(density, shaped(model.W), shaped(model.b), shaped(loss), snapshots)


def _loss(model, density, importance, seed):
    if model.hidden == "relu":
        data = SparseFeatures(model.n_features, density, skip_empty=True)
        return estimate_loss(model, data, importance, seed=seed)[0]
    return population_loss(
        model.W.detach(), model.b.detach(), density, importance, output=model.output
    )
