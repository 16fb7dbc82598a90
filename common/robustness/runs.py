"""Single training runs over a grid of settings: training them, and rates with their intervals.

The other notebooks keep the best of many restarts. Here every run counts for itself, whatever
its seed, batch size, learning rate, weight decay and initial scale; `criteria` says when a run
satisfies a claim.

Arrays of runs are [D, S, R, ...]: densities (or cells of a phase diagram), settings, runs.
"""

from dataclasses import dataclass, replace
from itertools import product

import torch
from scipy.stats import binomtest

from common.exact import Optimum, minimise
from common.exact.checks import check_count
from common.geometry import REPRESENTED_NORM
from common.model import authors_scale
from common.restarts import lowest, train_restarts
from common.theory import linear_optimum

STACK, MODEL = "stack", "model"  # Xavier's rule on the stacked tensor (authors) or on one model
# Fields of Setting, and what they are called in results.
FACTORS = {
    "batch": "batch",
    "learning_rate": "learning-rate",
    "weight_decay": "decay",
    "start": "start",
}
NEAR = 0.01  # a model is near the optimum up to this relative excess of its exact loss


@dataclass(frozen=True)
class Setting:
    """One way to train: inputs a step, first learning rate, weight decay, initial scale (STACK or
    MODEL)."""

    batch: int
    learning_rate: float
    weight_decay: float
    start: str

    def __str__(self):
        """All but the learning rate: rates are reported for one of them at a time."""
        return f"batch {self.batch}, decay {self.weight_decay:g}, {self.start}"

    def recipe(self, base):
        """`base` with this batch, learning rate and weight decay."""
        return replace(
            base,
            batch=self.batch,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )


def grid(batches, learning_rates, decays, starts=(STACK, MODEL)):
    """All settings of a grid, the last factor fastest."""
    return [Setting(*values) for values in product(batches, learning_rates, decays, starts)]


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
        names = ("W", "b", "loss", "effective")
        chosen = lowest(self.loss, *(getattr(self, name) for name in names))
        return replace(self, **{n: v.unsqueeze(2) for n, v in zip(names, chosen, strict=True)})


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
            recipe=s.recipe(recipe),
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


def wilson(successes, trials):
    """Wilson's 95 % interval for the probability of success: (low, high).

    Where trials with different probabilities are pooled evenly it covers their mean at least as
    often.
    """
    interval = binomtest(int(successes), int(trials)).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)


def bounds(successes, trials):
    """Wilson's interval in whole per cent (low, high), never 100 below nor 0 above."""
    low, high = wilson(successes, trials)
    return min(round(100 * low), 99), max(round(100 * high), 1)


def out_of(hits):
    """Share of true ones of `hits` as a text, with its interval: "15 of 32 (31 to 64 %)"."""
    if not hits.numel():
        return "0 of 0"
    successes = int(hits.sum())
    low, high = bounds(successes, hits.numel())
    return f"{successes} of {hits.numel()} ({low} to {high} %)"


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

    def overall(self, among=slice(None)):
        """Over all settings, or those `among` them: (rate, low, high) in per cent, with the 95 %
        interval of the rate."""
        counted = self.successes[among]
        total, trials = counted.sum().item(), self.trials * len(counted)
        return 100 * total / trials, *bounds(total, trials)

    def effect(self, settings, factor):
        """Mean change of the rate from the first to the second level of a `factor` of the grid
        (the name of a field of Setting), and its standard error.

        Two successes and two failures are added for the error, which is never 0 then.
        """
        levels = [getattr(setting, factor) for setting in settings]
        sign = torch.tensor([-1.0 if level == levels[0] else 1.0 for level in levels])
        q = (self.successes + 2) / (self.trials + 4)
        variance = (q * (1 - q) / (self.trials + 4)).sum().item()
        half = len(settings) / 2
        return (sign * self.share()).sum().item() / half, variance**0.5 / half


def percent(hits, among=None):
    """Share of true ones of `hits`, of those `among` (booleans of the same shape), as a text in
    per cent; a dash where there are none to count."""
    counted = hits.flatten() if among is None else hits[among]
    return f"{100 * counted.double().mean():.0f}" if len(counted) else "–"


def summary(hits, chosen, near, settings, own):
    """What is reported of one statement, percentages and counts: {name: number or text}.

    hits, near : of every run, [S, R] or [cells, S, R]; near is None without a known optimum.
    chosen     : hits of the runs of lowest loss, R = 1.
    own        : whether each setting [S] has the recipe's own learning rate. All but `slow`, the
                 rate of the other settings, and the effects are about these.

    The effect of each factor goes from its first to its second level, with a star from 3 standard
    errors on.
    """
    rate = Rate.of(hits)
    mean, low, high = rate.overall(own)
    shares = rate.share()
    worst = int(shares.masked_fill(~own, 2).argmin())
    alike = bool((shares[own] == shares[worst]).all())
    found = {
        "rate": mean,
        "low": low,
        "high": high,
        "slow": rate.overall(~own)[0],
        "least": 100 * shares[worst].item(),
        "worst": "all" if alike else str(settings[worst]),
        "chosen": int(chosen.reshape(-1, len(settings)).all(0)[own].sum()),
        "near": "–" if near is None else percent(near[..., own, :]),
    }
    for factor, name in FACTORS.items():
        change, error = rate.effect(settings, factor)
        points = round(100 * change)
        text = f"{points:+d}" if points else "0"
        found[name] = text + ("*" if abs(change) > 3 * error else "")
    return found
