"""Training stacks of toy models by sampling, as the paper does.

The loss of one instance is L = E sum_i I_i (x_i - x'_i)^2; losses are SUMMED over instances, so
that an instance's gradient, and with it everything Adam does, is the same however many are stacked.
Each draws inputs of its own, too: an instance ends the same whatever is stacked behind it, and
however the stack is shared out over the cores.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from threading import Event

import numpy as np
import torch

from common.data import draws_itself
from common.exact.checks import check_count, check_importance
from common.model import ToyModel
from common.parallel import on_all_cores, one_thread, progress
from common.steps.block import Block
from common.steps.compiled import BETA1, BETA2, random_states

PARTS = 64  # at most so many parts of a stack are trained one after another on the cores
OWN_PARTS = 2  # of a stack with a sampler of its own, which is fast for many instances at once
CHECK = 50  # steps from one look at interrupts, and report of progress, to the next


@dataclass(frozen=True)
class Recipe:
    """How to train: AdamW with a constant or a cosine learning rate.

    steps         : optimiser steps.
    batch         : inputs a step and instance.
    learning_rate : the first learning rate.
    weight_decay  : AdamW's decoupled weight decay. 0 unless copying the authors: it bends norms
                    at low density.
    cosine        : let the learning rate fall to 0 along half a cosine.
    skip_empty    : draw only inputs with an active feature, see SparseFeatures.
    """

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    cosine: bool
    skip_empty: bool

    def __post_init__(self):
        check_count(self.steps, "steps")
        check_count(self.batch, "batch")
        for name, least in (("learning_rate", 1e-12), ("weight_decay", 0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ValueError(f"{name} must be finite and at least {least:g}, got {value!r}")

    def rate(self, step):
        """Learning rate of step 0, 1, ..., steps - 1."""
        if not self.cosine:
            return self.learning_rate
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def schedule(self):
        """What `steps.train_steps` needs of every step [steps, 3]: rates and bias corrections."""
        rates = np.array([self.rate(step) for step in range(self.steps)])
        count = np.arange(1, self.steps + 1)
        return np.stack([rates, rates / (1 - BETA1**count), np.sqrt(1 - BETA2**count)], 1)


# The authors' public notebook (constant rate, AdamW's default weight decay).
AUTHORS = Recipe(
    steps=10_000, batch=1024, learning_rate=1e-3, weight_decay=0.01, cosine=False, skip_empty=False
)
# Reaches lower exact losses with about a twelfth of the inputs.
FAST = Recipe(
    steps=3_000, batch=256, learning_rate=2e-2, weight_decay=0.0, cosine=True, skip_empty=True
)


def train(model, data, importance=None, *, recipe=FAST, seed=0, snapshot_steps=()):
    """Train `model` in place on inputs from `data`; return its snapshots.

    importance     : I_i, [n] or [instances, n]; all 1 when None.
    seed           : of the inputs drawn; an instance ends the same whatever stands behind it in the
                     stack.
    snapshot_steps : numbers of steps (0: as initialised) after which weights are kept: they come
                     back as {step: {"W": [instances, m, n], "b": [instances, n], ...}}.

    A model that is not a ToyModel, or has a `forward` of its own, is trained by autograd, which is
    slower. Raises ValueError when data, importance or snapshot steps do not fit.
    """
    data = _fit_data(model, data)
    importance = check_importance(importance, (model.instances,), model.n_features).to(model.W)
    wanted = set(snapshot_steps)
    if wrong := sorted(step for step in wanted if not 0 <= step <= recipe.steps):
        raise ValueError(f"snapshot steps must lie between 0 and {recipe.steps}, got {wrong[0]}")
    if type(model).forward is not ToyModel.forward:
        return _train_by_autograd(model, data, importance, recipe, wanted, seed)
    drawn = draws_itself(data)  # in the compiled steps
    count = min(PARTS if drawn else OWN_PARTS, model.instances)
    parts = [slice(int(k[0]), int(k[-1]) + 1) for k in torch.arange(model.instances).chunk(count)]
    thinned = drawn and not data.skip_empty
    share = data.active_share if thinned else data.sampled_share
    packed = (data, data.law(True) if drawn else None, importance, share, thinned, recipe)
    states = random_states(model.instances, seed)
    marks = sorted(wanted | {*range(0, recipe.steps, CHECK), recipe.steps})
    schedule, stop = recipe.schedule(), Event()

    def run(part):
        block = Block(model, part, *packed, states)
        weights = {0: block.weights()}
        for first, last in pairwise(marks):
            if stop.is_set():
                break
            block.train(schedule[first:last])
            if last in wanted or last == recipe.steps:
                weights[last] = block.weights()
            report(last - first)
        return weights

    with progress("training", len(parts) * recipe.steps) as report:
        try:
            blocks = list(on_all_cores(run, parts))
        except BaseException:
            stop.set()  # an interrupt must not leave blocks running
            raise
    model.load_state_dict(_joined([block[recipe.steps] for block in blocks]))
    return {step: _joined([block[step] for block in blocks]) for step in sorted(wanted)}


def _train_by_autograd(model, data, importance, recipe, wanted, seed):
    """`train` for any model with a `forward`: x [instances, batch, n] to outputs of that shape."""
    share = data.sampled_share.to(model.W)[:, None]
    empty = torch.zeros(1, 1, model.n_features)
    weights = {}

    def losses(generator):
        x = data.sample(recipe.batch, generator)
        seen, unseen = ((model(x) - x) ** 2).mean(1), (model(empty) ** 2)[:, 0]
        return (importance * (share * seen + (1 - share) * unseen)).sum(-1)

    def keep(step):
        report(step > 0)
        if step in wanted:
            weights[step] = {k: v.clone() for k, v in model.state_dict().items()}

    with progress("training", recipe.steps) as report:
        descend(model.parameters(), losses, recipe, seed=seed, keep=keep)
    return weights


def descend(parameters, losses, recipe, *, seed=0, keep=lambda step: None):
    """Minimise the sum of losses(generator) [...] by autograd; return the last of them.

    For what `train` has no loss of. `losses` draws its own inputs from the generator; of the recipe
    the steps, the learning rate and the weight decay count here. keep(step) is called before step
    0, 1, ... and at the end.
    """
    free = [parameter for parameter in parameters if parameter.requires_grad]
    options = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    optimiser = torch.optim.AdamW(free, fused=True, **options)
    generator = torch.Generator().manual_seed(seed)
    with one_thread():
        for step in range(recipe.steps):
            keep(step)
            loss = losses(generator)
            optimiser.zero_grad(set_to_none=True)
            loss.sum().backward()
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(step)
            optimiser.step()
    keep(recipe.steps)
    return loss.detach()


@torch.no_grad()
def estimate_loss(model, data, importance=None, *, samples=2**20, seed=0, shared=False):
    """Loss of each instance on fresh inputs: (mean, standard error), both [instances], float64.

    For models whose loss has no closed form here (hidden ReLU). Inputs are drawn in batches; with
    data that skip the empty inputs, those are added exactly as in training.

    shared : show all instances the same inputs; the data then have one density.
    """
    if shared and data.instances != 1:
        raise ValueError(f"shared inputs need data of one density, got {data.instances} densities")
    if not shared:
        data = _fit_data(model, data)
    importance = check_importance(importance, (model.instances,), model.n_features)
    generator = torch.Generator().manual_seed(seed)
    most = max(1, 2**22 // (model.instances * model.n_features))
    batch = min(check_count(samples, "samples"), most)
    batches = math.ceil(samples / batch)
    total = total_squared = 0
    for _ in range(batches):
        x = data.sample(batch, generator)
        loss = (importance[:, None] * (model(x) - x).double() ** 2).sum(-1)
        total = total + loss.sum(1)
        total_squared = total_squared + (loss**2).sum(1)
    count = batches * batch
    mean = total / count
    error = ((total_squared / count - mean**2).clamp(min=0) / count).sqrt()
    at_zero = model(torch.zeros(1, 1, model.n_features))[:, 0]
    empty = (importance * at_zero.double() ** 2).sum(1)
    share = data.sampled_share
    return share * mean + (1 - share) * empty, share * error


def _joined(weights):
    """Weights of blocks, dictionaries of the same names, as those of the stack."""
    return {name: torch.cat([block[name] for block in weights]) for name in weights[0]}


def _fit_data(model, data):
    """`data` with one density per instance of `model`."""
    if data.n_features != model.n_features:
        raise ValueError(
            f"the data have {data.n_features} features but the model has {model.n_features}"
        )
    return data.stacked(model.instances)
