"""Recovery methods compared: dictionaries, splits of the data, scores, intervals over seeds."""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from scipy.stats import t

from common.data import SparseFeatures
from common.exact.checks import check_count, check_density
from common.parallel import in_processes
from common.recovery.methods import METHODS, random_dictionary, recover, tight_frame
from common.recovery.networks import train_decoder
from common.restarts import train_restarts
from common.training import FAST

ACTIVE = 0.05  # an entry counts as active above this value
LEARNED = "learned decoder"
TUNING, TEST = 10_000, 20_000  # first seeds of the splits, far from each other


def dictionaries(n_features, n_hidden, density, *, seeds, steps, seed, importance=None):
    """{family: (W [seeds, m, n], b [seeds, n] or None)}: random, tight frames, learned models.

    Learned models are independent trainings (steps of the fast recipe) at this density, none
    discarded; importances are equal unless given.
    """
    size = (n_features, n_hidden)
    family = {
        name: (np.stack([make(*size, seed + k) for k in range(seeds)]), None)
        for name, make in (("random", random_dictionary), ("tight frame", tight_frame))
    }
    importance = torch.ones(n_features) if importance is None else importance
    recipe = replace(FAST, steps=steps)
    runs = train_restarts(*size, [density], importance, restarts=seeds, recipe=recipe, seed=seed)
    family["learned"] = (runs.W[0].numpy(), runs.b[0].numpy())
    return family


def draw(n_features, density, count, seed):
    """`count` inputs x [count, n], float64."""
    generator = torch.Generator().manual_seed(seed)
    data = SparseFeatures(n_features, check_density(density))
    return data.sample(check_count(count, "count"), generator)[0].double().numpy()


def choose(method, x, W):
    """The setting with the lowest squared error on a validation split x [N, n].

    Raises ValueError for a method whose setting is no choice but the density or a bias.
    """
    settings = METHODS[method].settings
    if not settings:
        raise ValueError(f"{method} needs a {METHODS[method].needs}, there is nothing to choose")
    if len(settings) == 1:
        return settings[0]
    h = x @ np.asarray(W).T
    errors = [np.mean((recover(method, h, W, setting) - x) ** 2) for setting in settings]
    return settings[int(np.argmin(errors))]


def scores(x, estimate, density):
    """How good estimates [N, n] of x [N, n] are, as a dictionary of numbers (and r2 [n]).

    relative : squared error relative to always predicting the mean p/2 of every feature.
    active   : mean squared error on the entries that are active.
    precision, recall, f1 : of the support, entries above ACTIVE on both sides (0 where undefined).
    r2       : 1 - relative error, of each feature.

    Raises ValueError for shapes that differ.
    """
    x, estimate = np.asarray(x), np.asarray(estimate)
    if x.shape != estimate.shape:
        raise ValueError(f"shapes differ: {list(x.shape)} and {list(estimate.shape)}")
    error = (x - estimate) ** 2
    true, said = x > ACTIVE, estimate > ACTIVE
    both = (true & said).sum()
    precision, recall = both / max(said.sum(), 1), both / max(true.sum(), 1)
    return {
        "mse": error.mean(),
        "relative": error.mean() / np.mean((x - density / 2) ** 2),
        "active": error[true].mean() if true.any() else 0.0,
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / max(precision + recall, 1e-300),
        "r2": 1 - error.mean(0) / np.mean((x - density / 2) ** 2, 0),
    }


def score(family, density, methods, *, validation, test, seed, width=0, steps=0):
    """{method: {score: [S] or [S, n]}} for a family (W [S, m, n], b [S, n] or None).

    Settings are chosen on `validation` inputs, scores are those on `test` others; "validation" is
    the relative error on the former, by which methods may be compared without looking at the test.
    width > 0 adds the learned decoder of that width, trained for `steps`. The ReLU decoder needs b.
    """
    W, b = family
    n = W.shape[2]
    splits = [
        [draw(n, density, count, first + seed + k) for k in range(len(W))]
        for count, first in ((validation, TUNING), (test, TEST))
    ]
    methods = [m for m in methods if b is not None or METHODS[m].needs != "bias"]
    biases = [None] * len(W) if b is None else b
    rows = in_processes(partial(_score_one, methods, density), W, biases, *splits)
    results = {method: _collected([row[method] for row in rows]) for method in methods}
    if width:
        decode = train_decoder(W, density, width=width, steps=steps, seed=seed)
        results[LEARNED] = _collected(_score_stack(decode, density, W, *splits))
    return results


def _score_one(methods, density, W, bias, *splits):
    """{method: scores on each split} for one dictionary W [m, n], settings from the first split."""
    known, rows = {"density": density, "bias": bias}, {}
    for method in methods:
        needs = METHODS[method].needs
        setting = known[needs] if needs in known else choose(method, splits[0], W)
        rows[method] = [scores(x, recover(method, x @ W.T, W, setting), density) for x in splits]
    return rows


def _score_stack(decode, density, W, *splits):
    """Scores on each split for every dictionary of W [S, m, n], decoded by a stack of networks."""
    answers = [decode(np.stack(x) @ W.transpose(0, 2, 1)) for x in splits]
    columns = [
        [scores(x, estimate, density) for x, estimate in zip(split, answer, strict=True)]
        for split, answer in zip(splits, answers, strict=True)
    ]
    return zip(*columns, strict=True)


def _collected(rows):
    """Scores of the test split, and the error on the validation split, from those of both."""
    validation, test = zip(*rows, strict=True)
    result = {key: np.array([row[key] for row in test]) for key in test[0]}
    return {**result, "validation": np.array([row["relative"] for row in validation])}


def best_method(results):
    """The method with the lowest mean error on the validation splits."""
    return min(results, key=lambda name: results[name]["validation"].mean())


def interval(values):
    """Mean and half-width of the 95 % confidence interval over the first axis (Student's t)."""
    values = np.asarray(values, dtype=float)
    count = len(values)
    if count < 2:
        return values.mean(0), np.zeros(values.shape[1:])
    return values.mean(0), t.ppf(0.975, count - 1) * values.std(0, ddof=1) / np.sqrt(count)


def saving(base, other):
    """Share of the mean of `base` [S] that `other` [S] saves, and its 95 % half-width."""
    (middle, half), (reference, spread) = interval(other), interval(base)
    ratio = middle / reference
    return 1 - ratio, ratio * float(np.hypot(half / max(middle, 1e-300), spread / reference))
