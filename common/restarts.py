"""Many restarts of a model at each of several densities, and the choice between them.

A model is chosen by its lowest EXACT loss, never by its last training loss or a finite test set:
at low density the inputs that tell two solutions apart are too rare for that.
"""

from dataclasses import dataclass

import torch

from common.data import SparseFeatures
from common.exact import population_loss
from common.exact.checks import check_count, check_density
from common.model import ToyModel
from common.training import FAST, estimate_loss, train

# Where the loss has no closed form: inputs on which the best models of a density are compared, and
# how many those are. All others are compared on a sixteenth of the inputs.
SAMPLES, FINALISTS = 2**19, 4


def lowest(loss, *stacks):
    """Of each array [..., R, ...] the slice [..., ...] that belongs to the lowest loss [..., R]."""
    index = loss.argmin(-1)
    places = torch.meshgrid(*map(torch.arange, index.shape), indexing="ij")
    chosen = tuple(stack[*places, index] for stack in stacks)
    return chosen if len(chosen) > 1 else chosen[0]


@dataclass
class Restarts:
    """Trained models, R restarts at each of D densities.

    density   [D], or [D, n] of each feature;  W [D, R, m, n];  b [D, R, n]
    loss      [D, R] : exact loss; for a hidden ReLU an estimate, see `shared_loss`
    snapshots {step: (W, b)} of the same shapes, at the steps asked for
    W_out     [D, R, n, m] of untied models, otherwise None
    """

    density: torch.Tensor
    W: torch.Tensor
    b: torch.Tensor
    loss: torch.Tensor
    snapshots: dict
    W_out: torch.Tensor | None = None

    def best(self):
        """W [D, m, n] and b [D, n] of the restart with the lowest loss at each density."""
        return self.pick(self.W, self.b)

    def effective(self):
        """Effective matrices [D, R, n, n]: W^T W, or W_out W of untied models."""
        decoder = self.W.transpose(-1, -2) if self.W_out is None else self.W_out
        return decoder @ self.W

    def pick(self, *stacks):
        """The chosen restart's slice of each array [D, R, ...]: [D, ...]."""
        return lowest(self.loss, *stacks)

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
    tied=True,
    bias=True,
    init_scale=None,
    snapshot_steps=(),
    per_feature=False,
):
    """Train `restarts` models at every density [D] in one stack; return them as `Restarts`.

    per_feature : the last axis of density is the features' own, [n] or [D, n]. Other arguments as
    for ToyModel and train.
    """
    density = check_density(density)
    density = density.reshape(-1, *density.shape[-1:]) if per_feature else density.reshape(-1)
    restarts = check_count(restarts, "restarts")
    stacked = density.repeat_interleave(restarts, 0)
    model = ToyModel(
        n_features, n_hidden, len(stacked), hidden=hidden, output=output,
        tied=tied, bias=bias, init_scale=init_scale, generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    data = SparseFeatures(
        n_features, stacked, per_feature=per_feature, skip_empty=recipe.skip_empty
    )
    snapshots = train(
        model, data, importance, recipe=recipe, seed=seed + 1,
        snapshot_steps=snapshot_steps,
    )  # fmt: skip
    if hidden == "relu":
        loss = shared_loss(model, density, importance, seed=seed + 2, per_feature=per_feature)
    else:
        weights = (model.W.detach(), model.b.detach(), stacked, importance)
        decoder = None if tied else model.W_out.detach()
        loss = population_loss(*weights, W_out=decoder, output=output, per_feature=per_feature)

    def shaped(value):
        return value.detach().double().reshape(len(density), restarts, *value.shape[1:])

    snapshots = {step: (shaped(kept["W"]), shaped(kept["b"])) for step, kept in snapshots.items()}
    decoder = None if tied else shaped(model.W_out)
    return Restarts(density, shaped(model.W), shaped(model.b), shaped(loss), snapshots, decoder)


def shared_loss(model, density, importance=None, *, seed=0, per_feature=False):
    """Estimated loss [D * R] of a stack of R restarts at each density [D] or [D, n], float64.

    For models without an exact loss here. All restarts of a density are compared on the SAME
    inputs, so that most of the noise cancels between them: all on SAMPLES / 16, and the lowest
    FINALISTS of each density on SAMPLES fresh ones.
    """
    density = check_density(density)
    density = density if per_feature else density.reshape(-1)
    numbers = torch.arange(model.instances).reshape(len(density), -1)
    loss = torch.zeros(numbers.shape, dtype=torch.float64)
    rounds = (numbers.shape[1], SAMPLES // 16), (FINALISTS, SAMPLES)
    for d, p in enumerate(density):
        data = SparseFeatures(model.n_features, p, per_feature=per_feature, skip_empty=True)
        for k, (count, samples) in enumerate(rounds):
            some = loss[d].argsort(stable=True)[:count]
            options = {"samples": samples, "seed": seed + 2 * d + k, "shared": True}
            part = _part(model, numbers[d, some])
            loss[d, some] = estimate_loss(part, data, importance, **options)[0]
    return loss.reshape(-1)


def _part(model, index):
    """The instances `index` of a stack as a stack of their own."""
    weights = {name: value[index] for name, value in model.state_dict().items()}
    return ToyModel.from_weights(**weights, hidden=model.hidden, output=model.output)
