"""Finding the feature directions from hidden vectors h alone, with the dictionary unknown.

`find_dictionaries(method, h, count, setting)` takes a list of S arrays h [N, m], independent
problems, and returns unit directions [S, m, K]. Methods are told the number of features;
independent component analysis cannot use it: it finds m axes, and both ends of each are offered
(K = 2 m).
"""

import warnings
from itertools import repeat

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import DictionaryLearning, FastICA, MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from common.exact.checks import check_count
from common.geometry import REPRESENTED_NORM
from common.parallel import in_processes
from common.recovery.methods import METHODS, recover
from common.recovery.networks import train_autoencoder
from common.recovery.study import draw, scores

FITTED, INPUTS, TEST = 30_000, 40_000, 50_000  # first seeds of the splits, far from each other
FOUND = 0.95  # cosine from which on a feature counts as found
BATCH_ROWS = 300  # inputs of batch dictionary learning, which looks at all of them every round
BATCH_ROUNDS = 15  # its rounds
MINI_ROUNDS = 2  # passes of mini-batch dictionary learning over all inputs


def hidden_vectors(W, x, empty=False):
    """h [N', m] of the inputs x [N, n], scaled to norm 1 in the root mean square.

    empty : keep inputs without an active feature. They tell nothing about directions, but without
            them features are no longer independent, and independent component analysis fails.
    """
    h = np.asarray(x) @ np.asarray(W).T
    h = h if empty else h[np.linalg.norm(h, axis=1) > 1e-9]
    return h / np.sqrt(max((h**2).sum(1).mean(), 1e-300)) if len(h) else h


def find_dictionaries(method, h, count, setting, *, seed=0, steps=1500):
    """Directions [S, m, K] of norm 1 for a list of S arrays h [N, m]; see BLIND for the methods.

    N may differ (empty inputs are left out, see `hidden_vectors`): all problems get as many inputs
    as the shortest has, its first ones, so that they can be stacked and none knows more.

    Raises ValueError for an unknown method or fewer inputs than directions asked for.
    """
    if method not in BLIND:
        raise ValueError(f"unknown method {method!r}; there are {', '.join(BLIND)}")
    count = check_count(count, "count")
    rows = min(len(part) for part in h)
    if rows < count:
        raise ValueError(f"{count} directions asked for from only {rows} inputs")
    stack = np.stack([part[:rows] for part in h])
    return _unit(BLIND[method][0](stack, count, setting, seed, steps))


def match(W, found):
    """Best one-to-one matching of found directions [m, K] to the features W [m, n].

    Returns cosines [n] (0 for a feature left without a direction) and the matched directions
    [m, n] (0 likewise). The sign counts: features are non-negative, so a direction has one.
    """
    W, found = np.asarray(W, dtype=float), np.asarray(found, dtype=float)
    if W.ndim != 2 or found.ndim != 2 or len(W) != len(found):
        raise ValueError(f"W and directions do not fit: {list(W.shape)}, {list(found.shape)}")
    unit = _unit(found)
    cosine = _unit(W).T @ unit
    feature, direction = linear_sum_assignment(-cosine)
    cosines, matched = np.zeros(W.shape[1]), np.zeros_like(W)
    cosines[feature] = np.maximum(cosine[feature, direction], 0)
    matched[:, feature] = unit[:, direction]
    return cosines, matched


def _unit(columns):
    """Columns [..., m, K] of norm 1; a column of zeros stays one."""
    norms = np.linalg.norm(columns, axis=-2, keepdims=True)
    return np.where(norms > 1e-12, columns / np.maximum(norms, 1e-12), 0)


def score_blind(method, tuning, W, density, *, inputs, test, seed, steps):
    """{"cosine", "found", "relative": [S], "setting"} of a blind method on W [S, m, n].

    The setting is the one with the highest mean cosine on other dictionaries, `tuning` [T, m, n].
    Only represented features are matched; "found" is the share with a cosine of FOUND or more.
    "relative" is the error of recovering x with the directions found, see `_recovery_error`.
    """
    settings = BLIND[method][1]
    chosen = settings[0]
    if len(settings) > 1:
        options = {"inputs": inputs, "seed": seed + 500, "steps": steps}
        goodness = [
            np.mean([c.mean() for c, _, _ in _matched(method, value, tuning, density, **options)])
            for value in settings
        ]
        chosen = settings[int(np.argmax(goodness))]
    options = {"inputs": inputs, "seed": seed, "steps": steps}
    result = {"cosine": [], "found": [], "relative": []}
    for k, found in enumerate(_matched(method, chosen, W, density, **options)):
        cosines, directions, features = found
        result["cosine"].append(cosines.mean())
        result["found"].append((cosines >= FOUND).mean())
        error = _recovery_error(W[k], directions, features, density, test, seed + k)
        result["relative"].append(error)
    return {**{key: np.array(value) for key, value in result.items()}, "setting": chosen}


def _matched(method, setting, W, density, *, inputs, seed, steps):
    """(cosines, matched directions, indices) of the represented features of each W [S, m, n]."""
    W = np.asarray(W)
    n = W.shape[2]
    x = [draw(n, density, inputs, INPUTS + seed + k) for k in range(len(W))]
    h = [hidden_vectors(*pair, empty=method == "ICA") for pair in zip(W, x, strict=True)]
    found = find_dictionaries(method, h, n, setting, seed=seed, steps=steps)
    results = []
    for w, directions in zip(W, found, strict=True):
        features = np.flatnonzero(np.linalg.norm(w, axis=0) >= REPRESENTED_NORM)
        results.append((*match(w[:, features], directions), features))
    return results


def _recovery_error(W, directions, features, density, test, seed):
    """Relative error of x recovered by non-negative OMP along the directions found.

    The number of active features and each feature's scale are fitted on inputs of their own; the
    labels of the matching are given, everything else is blind.
    """
    n = W.shape[1]
    fitted, x = (draw(n, density, test, first + seed) for first in (FITTED, TEST))
    best = None
    for count in METHODS["OMP, x ≥ 0"].settings:
        estimates = []
        for part in (fitted, x):
            estimate = np.zeros_like(part)
            estimate[:, features] = recover("OMP, x ≥ 0", part @ W.T, directions, count)
            estimates.append(estimate)
        power = (estimates[0] ** 2).sum(0)
        gain = (estimates[0] * fitted).sum(0) / np.where(power > 0, power, 1)
        errors = [
            scores(part, gain * estimate, density)["relative"]
            for part, estimate in zip((fitted, x), estimates, strict=True)
        ]
        best = min(best or (np.inf, np.inf), errors, key=lambda pair: pair[0])
    return best[1]


# --- Methods: function(h [S, N, m], count, setting, seed, steps) -> [S, m, K] --------------------


def _each(fit):
    """A method that fits one problem at a time, fit(h [N, m], count, setting, seed) -> [m, K]."""

    def quietly(h, count, setting, seed):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of rounds is meant
            warnings.simplefilter("ignore", RuntimeWarning)
            return fit(h, count, setting, seed)

    def function(h, count, setting, seed, steps):
        same = repeat(count), repeat(setting)
        return np.stack(in_processes(quietly, h, *same, range(seed, seed + len(h))))

    return function


def _random(h, count, setting, seed):
    # A stream of its own: not the one a random dictionary of the same seed is drawn from.
    return np.random.default_rng([seed, 1]).standard_normal((h.shape[1], count))


def _inputs(h, count, setting, seed):
    return _start(h, count, seed).T


def _ica(h, count, setting, seed):
    ica = FastICA(whiten="unit-variance", fun=setting, max_iter=400, random_state=seed)
    axes = ica.fit(h).mixing_
    return np.concatenate([axes, -axes], 1)


def _dictionary(h, count, setting, seed):
    h = h[:BATCH_ROWS]
    learner = DictionaryLearning(
        count, alpha=setting, max_iter=BATCH_ROUNDS, fit_algorithm="cd", positive_code=True,
        dict_init=_start(h, count, seed), code_init=np.zeros((len(h), count)), random_state=seed,
    )  # fmt: skip
    return learner.fit(h).components_.T


def _mini_dictionary(h, count, setting, seed):
    learner = MiniBatchDictionaryLearning(
        count, alpha=setting, max_iter=MINI_ROUNDS, batch_size=64, fit_algorithm="cd",
        positive_code=True, dict_init=_start(h, count, seed), random_state=seed,
        max_no_improvement=None,
    )  # fmt: skip
    return learner.fit(h).components_.T


def _start(h, count, seed):
    """`count` inputs drawn at random, as unit rows [count, m]."""
    chosen = np.random.default_rng(seed).permutation(len(h))[:count]
    return _unit(h[chosen].T).T


def _autoencoder(kind):
    def function(h, count, setting, seed, steps):
        return train_autoencoder(h, count, steps=steps, seed=seed, **{kind: setting})

    return function


BLIND = {  # name: (function, settings to choose from)
    "ICA": (_each(_ica), ("logcosh", "cube")),
    "dictionary learning": (_each(_dictionary), (0.1, 0.4)),
    "dictionary learning, mini-batch": (_each(_mini_dictionary), (0.1, 0.4)),
    "autoencoder, L1": (_autoencoder("penalty"), (0.1, 0.2, 0.4)),
    "autoencoder, top k": (_autoencoder("top"), (1, 2, 4)),
    "inputs at random": (_each(_inputs), (None,)),
    "random directions": (_each(_random), (None,)),
}
