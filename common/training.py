"""Training stacks of toy models by sampling, as the paper does.

The loss of one instance is L = E sum_i I_i (x_i - x'_i)^2; losses are SUMMED over instances, so
that an instance's gradient, and with it everything Adam does, is the same however many are stacked.
Gradients are written out by hand (two lines of algebra, checked against autograd in the tests) and
the next inputs are drawn in a second thread while the current ones are used.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from tqdm import tqdm

from common.checks import check_count, check_importance

CHUNK = 2**19  # numbers drawn ahead at a time: enough to hide the hand-over between threads


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


# The authors' public notebook (constant rate, AdamW's default weight decay).
AUTHORS = Recipe(
    steps=10_000, batch=1024, learning_rate=1e-3, weight_decay=0.01, cosine=False, skip_empty=False
)
# Reaches lower exact losses with about a twelfth of the inputs.
FAST = Recipe(
    steps=3_000, batch=256, learning_rate=2e-2, weight_decay=0.0, cosine=True, skip_empty=True
)


@dataclass
class History:
    """What training leaves behind besides the trained model.

    steps  [T]            : steps at which losses were recorded.
    losses [T, instances] : loss of the batch of that step, estimated without bias.
    snapshots             : {step: {"W": [instances, m, n], "b": [instances, n], ...}}, the
                            parameters after that many steps (0: as initialised).
    """

    steps: list = field(default_factory=list)
    losses: torch.Tensor | None = None
    snapshots: dict = field(default_factory=dict)


def train(
    model,
    data,
    importance=None,
    *,
    recipe=FAST,
    seed=0,
    snapshot_steps=(),
    record_every=100,
    progress=None,
):
    """Train `model` in place on inputs from `data`; return its History.

    importance : I_i, [n] or [instances, n]; all 1 when None.
    seed       : of the inputs drawn; the same seed and stack give the same result.
    progress   : label of a progress bar, or None for none.

    Raises ValueError when data, importance or snapshot steps do not fit the model or recipe.
    """
    data = _fit_data(model, data)
    importance = check_importance(importance, (model.instances,), model.n_features).to(model.W)
    wanted = _check_snapshots(snapshot_steps, recipe.steps)
    step_of = _Stepper(model, data, importance, recipe.batch)
    optimiser = _optimiser(model.parameters(), recipe)
    history = History()
    losses = []
    with torch.no_grad(), _one_thread(), _batches(data, recipe, seed) as batches:
        for step in tqdm(range(recipe.steps), desc=progress, disable=progress is None):
            if step in wanted:
                history.snapshots[step] = _copy(model)
            loss = step_of(next(batches))
            if step % record_every == 0 or step == recipe.steps - 1:
                history.steps.append(step)
                losses.append(loss.cpu())
            _step(optimiser, recipe.rate(step))
    if recipe.steps in wanted:
        history.snapshots[recipe.steps] = _copy(model)
    history.losses = torch.stack(losses)
    model.zero_grad(set_to_none=True)
    return history


def descend(parameters, losses, recipe, *, seed=0, progress=None):
    """Minimise the sum of losses(generator) [...] by autograd; return the last of them.

    For other models than those `train` has gradients of. `losses` draws its own inputs from the
    generator; of the recipe the steps, the learning rate and the weight decay count here.
    """
    optimiser = _optimiser(parameters, recipe)
    generator = torch.Generator().manual_seed(seed)
    for step in tqdm(range(recipe.steps), desc=progress, disable=progress is None):
        loss = losses(generator)
        optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()
        _step(optimiser, recipe.rate(step))
    return loss.detach()


def _optimiser(parameters, recipe):
    free = [parameter for parameter in parameters if parameter.requires_grad]
    options = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay}
    return torch.optim.AdamW(free, fused=True, **options)


def _step(optimiser, rate):
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()


@torch.no_grad()
def estimate_loss(model, data, importance=None, *, samples=2**20, seed=0, shared=False):
    """Loss of each instance on fresh inputs: (mean, standard error), both [instances], float64.

    For models whose loss has no closed form here (hidden ReLU). Inputs are drawn in batches; with
    data that skip the empty inputs, those are added exactly as in training.

    shared : show all instances the same inputs; the data then have one density.
    """
    if not (shared and data.instances == 1):
        data = _fit_data(model, data)
    importance = check_importance(importance, (model.instances,), model.n_features).to(
        model.W.device
    )
    generator = torch.Generator(device=data.device).manual_seed(seed)
    batch = min(
        check_count(samples, "samples"), max(1, 2**22 // (model.instances * model.n_features))
    )
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
    at_zero = model(torch.zeros(1, 1, model.n_features, device=model.W.device))[:, 0]
    empty = (importance * at_zero.double() ** 2).sum(1)
    share = data.sampled_share
    return share * mean + (1 - share) * empty, share * error


class _Stepper:
    """Loss per instance and gradients of one batch, with the empty inputs added exactly.

    With z = W_out h + b, x' = f(z) and g = dL/dz = 2 I f'(z) (x' - x) / batch:
    dL/db = sum g,  dL/dW_out = g h^T,  dL/dW = (W_out^T g, cut where a ReLU hid h) x^T,
    and a tied model adds the transpose of dL/dW_out to dL/dW.
    Everything is held feature-major, [instances, n or m, batch].
    """

    def __init__(self, model, data, importance, batch):
        self.model = model
        self.importance = importance
        self.share = data.sampled_share.to(model.W)[:, None]
        self.scale = (2 / batch * self.share * self.importance)[:, :, None]
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        # Reused every step: fresh megabytes a step cost more than the arithmetic on them.
        self.h, self.g_hidden = (model.W.new_empty(*model.W.shape[:2], batch) for _ in range(2))
        self.out, self.g = (model.b.new_empty(*model.b.shape, batch) for _ in range(2))
        # As numbers, not booleans: those would be converted anew in every product.
        self.mask, self.mask_hidden = torch.empty_like(self.out), torch.empty_like(self.h)

    def __call__(self, x):
        model, x = self.model, x.transpose(1, 2)
        W, b, decoder = model.W, model.b, model.decoder
        h = torch.bmm(W, x, out=self.h)
        if model.hidden == "relu":
            h.relu_()
        out = torch.baddbmm(b[:, :, None], decoder, h, out=self.out)
        if model.output == "relu":
            out.relu_()
        g = torch.sub(out, x, out=self.g)
        squared_error = torch.linalg.vector_norm(g, dim=2).square_() / x.shape[2]
        g.mul_(self.scale)
        if model.output == "relu":
            g.mul_(torch.gt(out, 0, out=self.mask))
        g_hidden = torch.bmm(decoder.transpose(1, 2), g, out=self.g_hidden)
        if model.hidden == "relu":
            g_hidden.mul_(torch.gt(h, 0, out=self.mask_hidden))
        torch.bmm(g_hidden, x.transpose(1, 2), out=W.grad)
        if model.tied:
            W.grad.baddbmm_(h, g.transpose(1, 2))
        else:
            torch.bmm(g, h.transpose(1, 2), out=model.W_out.grad)
        torch.sum(g, dim=2, out=b.grad)
        # Empty inputs: x = 0 gives x' = f(b), an error known without sampling.
        at_zero = b.relu() if model.output == "relu" else b
        b.grad.add_(2 * (1 - self.share) * self.importance * at_zero)
        squared_error = self.share * squared_error + (1 - self.share) * at_zero**2
        return (self.importance * squared_error).sum(1)


def _fit_data(model, data):
    """`data` with one density per instance of `model`."""
    if data.n_features != model.n_features:
        raise ValueError(
            f"the data have {data.n_features} features but the model has {model.n_features}"
        )
    if data.device != model.W.device:
        raise ValueError(f"the data are on {data.device} but the model is on {model.W.device}")
    return data.stacked(model.instances)


def _check_snapshots(snapshot_steps, steps):
    wanted = set(snapshot_steps)
    wrong = sorted(step for step in wanted if not 0 <= step <= steps)
    if wrong:
        raise ValueError(f"snapshot steps must lie between 0 and {steps}, got {wrong[0]}")
    return wanted


def _copy(model):
    return {name: value.detach().cpu().clone() for name, value in model.named_parameters()}


@contextmanager
def _one_thread():
    """One thread for the arithmetic: the other core draws inputs, and the result does not depend
    on how many cores a machine has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _batches(data, recipe, seed):
    """An iterator over batches of inputs, drawn ahead in one background thread."""
    generator = torch.Generator(device=data.device).manual_seed(seed)
    shape = (data.instances, data.n_features, recipe.batch)
    ahead = max(1, CHUNK // math.prod(shape))

    def empty():
        return [torch.empty(shape, device=data.device) for _ in range(ahead)]

    def draw(buffers):
        return [data.sample(recipe.batch, generator, out=buffer) for buffer in buffers]

    # A new thread starts with all cores again, so it has to be told as well.
    with ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,)) as pool:

        def stream():
            used, filling = empty(), empty()
            future = pool.submit(draw, filling)
            while True:
                batches, used, filling = future.result(), filling, used
                future = pool.submit(draw, filling)  # what the caller has finished with
                yield from batches

        yield stream()
