"""Single training runs over a grid of settings: training them, and rates with their intervals.

The other notebooks keep the best of many restarts. Here every run counts for itself, whatever its
seed, batch size, learning rate and initial scale; `judges` says when a run satisfies a claim.

Arrays of runs are [D, S, R, ...]: densities (or cells of a phase diagram), settings, runs.
"""

from dataclasses import dataclass, replace
from itertools import product
from statistics import NormalDist

import torch

from common.checks import check_count
from common.exact import Optimum, minimise
from common.geometry import REPRESENTED_NORM
from common.model import authors_scale
from common.restarts import train_restarts
from common.theory import linear_optimum

STACK, MODEL = "stack", "model"  # Xavier's rule on the stacked tensor (authors) or on one model
NEAR = 0.01  # a model is near the optimum up to this relative excess of its exact loss


@dataclass(frozen=True)
class Setting:
    """One way to train: inputs a step, first learning rate, initial scale (STACK or MODEL)."""

    batch: int
    learning_rate: float
    start: str

    def __str__(self):
        return f"batch {self.batch}, rate {self.learning_rate:g}, {self.start}"


def grid(batches, learning_rates, starts=(STACK, MODEL)):
    """All settings of a grid, the last factor fastest."""
    return [Setting(*values) for values in product(batches, learning_rates, starts)]


@dataclass
class Runs:
    """Trained models, and what they are held against.

    density [D];  W [D, S, R, m, n];  b [D, S, R, n]
    loss [D, S, R]            : exact; an estimate for hidden ReLUs
    effective [D, S, R, n, n] : W_out W, for a tied model W^T W
    optimum                   : exact optima of the D problems, or None
    reference [D]             : their losses, or None
    """

    density: torch.Tensor
    W: torch.Tensor
    b: torch.Tensor
    loss: torch.Tensor
    effective: torch.Tensor
    optimum: Optimum | None = None
    reference: torch.Tensor | None = None

    def near(self):
        """Whether the loss of each run is within NEAR of the optimum's [D, S, R]."""
        return self.loss <= (1 + NEAR) * self.reference[:, None, None]

    def stored(self):
        """Number of features [D, S, R] that come back from the model when alone."""
        own = torch.diagonal(self.effective, dim1=-2, dim2=-1)
        return (own >= REPRESENTED_NORM**2).sum(-1)

    def at(self, index):
        """Only the densities `index`, without their optima."""
        parts = (v[index] for v in (self.density, self.W, self.b, self.loss, self.effective))
        return Runs(*parts)

    def best(self):
        """Of every density and setting only the run with the lowest loss: R = 1."""
        index = self.loss.argmin(2, keepdim=True)
        parts = {}
        for name in ("W", "b", "loss", "effective"):
            value = getattr(self, name)
            at = index.reshape(*index.shape, *[1] * (value.dim() - 3))
            parts[name] = value.gather(2, at.expand(*index.shape, *value.shape[3:]))
        return replace(self, **parts)


def train(
    settings, recipe, size, density, importance, *, runs, stacked, starts=None, seed=0, **options
):
    """Train `runs` models [n, m] = size at every density [D] with every setting; return Runs.

    recipe     : what the settings leave open (steps, ...).
    importance : [n] or [D, n].
    stacked    : models in the authors' stack, on which the scale of STACK depends.
    starts     : starts of the exact minimisation; None for none (a linear model needs none).
    options    : as for train_restarts. Every setting draws from a seed of its own.
    """
    runs = check_count(runs, "runs")
    density = torch.as_tensor(density, dtype=torch.float64)
    importance = torch.as_tensor(importance, dtype=torch.float64)
    rows = importance if importance.dim() == 1 else importance.repeat_interleave(runs, 0)
    parts = [
        train_restarts(
            *size, density, rows, restarts=runs, seed=seed + 100 * k,
            recipe=replace(recipe, batch=s.batch, learning_rate=s.learning_rate),
            init_scale=authors_scale(*size, stacked) if s.start == STACK else None, **options,
        )
        for k, s in enumerate(settings)
    ]  # fmt: skip
    W, b, loss = (torch.stack([getattr(r, v) for r in parts], 1) for v in ("W", "b", "loss"))
    effective = torch.stack([r.effective() for r in parts], 1)
    optimum = reference = None
    if starts is not None:
        optimum = minimise(*size, density, importance, restarts=starts, seed=seed)
        reference = optimum.loss
    elif options.get("output") == "linear" and options.get("hidden", "linear") == "linear":
        reference = linear_optimum(density, importance, size[1])
    return Runs(density, W, b, loss, effective, optimum, reference)


def wilson(successes, trials, level=0.95):
    """Wilson's interval for the probability of success: (low, high), each [...].

    Solves |share - q| = z sqrt(q (1 - q) / trials) for q (Wilson 1927). Where trials with
    different probabilities are pooled evenly it covers their mean at least as often.

    successes [...], trials: number or [...]. Raises ValueError for successes outside [0, trials],
    no trials or a level outside (0, 1).
    """
    k, n = (torch.as_tensor(v, dtype=torch.float64) for v in (successes, trials))
    if not 0 < level < 1 or (n < 1).any() or (k < 0).any() or (k > n).any():
        raise ValueError(f"no interval of level {level} for {successes} successes of {trials}")
    z = NormalDist().inv_cdf((1 + level) / 2)
    centre = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * (k * (n - k) / n + z**2 / 4).sqrt()
    return (centre - half).clamp(min=0), (centre + half).clamp(max=1)


@dataclass
class Rate:
    """Successes [S] of `trials` runs in every setting."""

    successes: torch.Tensor
    trials: int

    @classmethod
    def of(cls, hits):
        """Count booleans [S, R], or [cells, S, R] with the cells pooled."""
        successes = hits.sum(-1).reshape(-1, hits.shape[-2]).sum(0)
        return cls(successes, hits.numel() // len(successes))

    def share(self):
        """Rate of success [S]."""
        return self.successes.double() / self.trials

    def overall(self):
        """Rate over all settings and its 95 % interval: (share, low, high)."""
        total, trials = self.successes.sum().item(), self.trials * len(self.successes)
        return total / trials, *(v.item() for v in wilson(total, trials))

    def effect(self, shape, axis):
        """Mean change of the rate from the first to the second level of one factor of the grid,
        and its standard error. shape : levels of the grid's factors, with two of factor `axis`.

        Two successes and two failures are added for the error, which is never 0 then.
        """
        first, second = self.share().reshape(shape).unbind(axis)
        q = (self.successes + 2) / (self.trials + 4)
        cells = len(self.successes) // 2
        error = (q * (1 - q) / (self.trials + 4)).sum().sqrt() / cells
        return (second - first).mean().item(), error.item()


def percent(hits, among=None):
    """Share of true ones of `hits`, of those `among` (booleans of the same shape), as a text in
    per cent; a dash where there are none to count."""
    counted = hits.flatten() if among is None else hits[among]
    return f"{100 * counted.double().mean():.0f}" if len(counted) else "–"


def summary(hits, chosen, near, settings, shape):
    """What is reported of one claim, percentages and counts: {name: number or text}.

    hits, near : of every run, [S, R] or [cells, S, R]; near is None without a known optimum.
    chosen     : hits of the runs of lowest loss, R = 1.
    shape      : levels of the factors of the grid; the effect of each goes from the first to the
                 second level, with a star from 3 standard errors on.
    """
    rate = Rate.of(hits)
    share, low, high = rate.overall()
    worst = int(rate.share().argmin())
    found = {
        "rate": 100 * share,
        "low": 100 * low,
        "high": 100 * high,
        "least": 100 * rate.share()[worst].item(),
        "worst": str(settings[worst]),
        "chosen": int(chosen.reshape(-1, len(settings)).all(0).sum()),
        "near": "–" if near is None else percent(near),
    }
    for axis, factor in enumerate(("batch", "learning-rate", "start")):
        change, error = rate.effect(shape, axis)
        found[factor] = f"{100 * change:+.0f}{'*' if abs(change) > 3 * error else ''}"
    return found
