"""Recovering sparse non-negative features x from h = W x when the dictionary W is known.

One interface over scikit-learn's sparse coders and a few small methods of our own:
`recover(method, h, W, setting)` takes h [N, m] and W [m, n] (features as columns) and returns
estimates [N, n]. `METHODS` lists the methods, each with what it needs for a setting: one that a
validation split chooses (study.choose), the density or a bias. Scale conventions:

- scaling h and W by one number, or rotating both, changes no estimate (except of the ReLU decoder,
  whose bias has a scale);
- columns keep their own norms in the Lasso, where the penalty is on x itself; greedy methods and
  matched filters see columns of norm 1 and the estimates are scaled back;
- a column shorter than DEAD times the longest is no feature at all: its estimate is 0.
"""

import warnings
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from sklearn.decomposition import SparseCoder
from sklearn.exceptions import ConvergenceWarning

from common.exact.checks import check_count
from common.exact.linear import feature_variance

DEAD = 0.05  # columns shorter than this share of the longest are left out
ITERATIONS = 1000  # of coordinate descent and LARS
TIGHT_ROUNDS = 500  # of alternating projections to a tight frame


@dataclass(frozen=True)
class Method:
    """A way to recover features: function(h [N, m], W [m, n], setting) -> [N, n].

    settings : what a validation split chooses from; empty where nothing is to be chosen.
    needs    : what the setting is: "setting" (one of `settings`), "density" (p) or "bias" [n].
    """

    function: object
    settings: tuple = ()
    needs: str = "setting"


def random_dictionary(n_features, n_hidden, seed):
    """W [m, n]: Gaussian directions, every column of norm 1."""
    shape = (check_count(n_hidden, "n_hidden"), check_count(n_features, "n_features"))
    W = np.random.default_rng(seed).standard_normal(shape)
    return W / np.linalg.norm(W, axis=0)


def tight_frame(n_features, n_hidden, seed):
    """W [m, n] with columns of norm 1 and W W^T = n/m times the identity.

    Alternating projections from a random dictionary: nearest tight matrix, then norms back to 1.

    Raises ValueError for fewer features than dimensions, where there is none.
    """
    if n_features < n_hidden:
        raise ValueError(f"no tight frame of {n_features} vectors in {n_hidden} dimensions")
    W = random_dictionary(n_features, n_hidden, seed)
    for _ in range(TIGHT_ROUNDS):
        U, _, V = np.linalg.svd(W, full_matrices=False)
        W = U @ V
        W /= np.linalg.norm(W, axis=0)
    return W


def alive(W):
    """Which columns [n] of W [m, n] are not dead."""
    norms = np.linalg.norm(W, axis=0)
    return norms > DEAD * norms.max(initial=0)


def recover(method, h, W, setting):
    """Estimates [N, n] of the features behind h [N, m] in dictionary W [m, n].

    setting : what METHODS[method].needs says: a number or pair like those in its `settings`, the
              density p for the best linear estimate, the bias [n] for the ReLU decoder.

    Raises ValueError for an unknown method, shapes that do not fit or numbers that are not finite.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; there are {', '.join(METHODS)}")
    h, W = np.asarray(h, dtype=float), np.asarray(W, dtype=float)
    if W.ndim != 2 or h.ndim != 2 or h.shape[1] != W.shape[0]:
        raise ValueError(f"h [N, m] and W [m, n] do not fit: {list(h.shape)}, {list(W.shape)}")
    if not (np.isfinite(h).all() and np.isfinite(W).all()):
        raise ValueError("h and W must be finite")
    found = METHODS[method]
    if found.needs == "bias":
        return found.function(h, W, setting)
    kept = alive(W)
    estimate = np.zeros((len(h), W.shape[1]))
    if kept.any():
        scale = np.sqrt(np.mean(np.linalg.norm(W, axis=0)[kept] ** 2))
        estimate[:, kept] = found.function(h / scale, W[:, kept] / scale, setting)
    return estimate


# --- Methods -----------------------------------------------------------------------------------


def matched_filter(h, W, setting):
    """relu(gain * W_i . h / ||W_i||^2 - threshold): the paper's decoder with two free numbers."""
    gain, threshold = setting
    return np.maximum(gain * (h @ W) / (W**2).sum(0) - threshold, 0)


def best_linear(h, W, density):
    """The linear estimate of lowest error for independent features of this density."""
    mean, variance = density / 2, feature_variance(density)
    whitened = np.linalg.pinv(W @ W.T * variance) @ (h - mean * W.sum(1)).T
    return mean + variance * whitened.T @ W


def relu_decoder(h, W, bias):
    """relu(W^T h + b), the output of the toy model itself."""
    return np.maximum(h @ W + np.asarray(bias, dtype=float), 0)


def thresholded_least_squares(h, W, threshold):
    """Shortest x with W x = h; entries below the threshold go to 0 and the rest is refitted."""
    kept = h @ np.linalg.pinv(W).T > threshold
    normal = kept[:, :, None] * (W.T @ W) * kept[:, None, :]
    normal += np.where(kept, 1e-8, 1.0)[:, :, None] * np.eye(W.shape[1])
    return np.linalg.solve(normal, (kept * (h @ W))[..., None])[..., 0]


def greedy(h, W, steps):
    """Non-negative orthogonal matching pursuit with at most `steps` active features.

    The atom most POSITIVELY correlated with what is left enters, all coefficients are refitted;
    it ends when nothing is left or nothing correlates. Negative coefficients are cut at the end.
    """
    norms = np.linalg.norm(W, axis=0)
    atoms = W / norms
    size = np.linalg.norm(h, axis=1)
    left, x = h.copy(), np.zeros((len(h), W.shape[1]))
    going, support = np.arange(len(h)), np.zeros((len(h), 0), dtype=int)
    for _ in range(min(steps, *W.shape)):
        correlation = left[going] @ atoms
        on = correlation.max(1) > 1e-9 * size[going]
        going = going[on]
        if not len(going):
            break
        support = np.concatenate([support[on], correlation[on].argmax(1)[:, None]], 1)
        used = atoms.T[support]  # [going, step, m]
        gram = used @ used.transpose(0, 2, 1) + 1e-12 * np.eye(support.shape[1])
        values = np.linalg.solve(gram, used @ h[going, :, None])
        left[going] = h[going] - (used.transpose(0, 2, 1) @ values)[..., 0]
        x[going] = 0
        np.put_along_axis(x, going[:, None], 0, 0)
        x[going[:, None], support] = values[..., 0]
    return np.maximum(x, 0) / norms


def exhaustive(h, W, largest):
    """The fewest active features (up to `largest`) that explain h exactly with values in [0, 1].

    Tries every support: for small problems only. What none explains gets the Lasso's answer.
    """
    x = sparse_coder("lasso_cd", True)(h, W, 0.01)
    x[np.linalg.norm(h, axis=1) < 1e-9] = 0
    open_ = np.flatnonzero(np.linalg.norm(h, axis=1) >= 1e-9)
    for count in range(1, min(largest, W.shape[1]) + 1):
        supports = np.array(list(combinations(range(W.shape[1]), count)))
        used = W.T[supports].transpose(0, 2, 1)  # [supports, m, count]
        inverse = np.linalg.pinv(used)
        closed = []
        for row in open_:
            values = inverse @ h[row]
            misfit = np.linalg.norm((used @ values[..., None])[..., 0] - h[row], axis=1)
            outside = np.maximum(-values, values - 1).max(1)
            best = np.argmin(misfit + np.maximum(outside, 0))
            if misfit[best] < 1e-7 and outside[best] < 1e-7:
                x[row] = 0
                x[row, supports[best]] = values[best]
                closed.append(row)
        open_ = np.setdiff1d(open_, closed)
    return x


def sparse_coder(algorithm, positive):
    """scikit-learn's SparseCoder as function(h, W, setting): penalty, or number of features."""

    def function(h, W, setting):
        norms = np.linalg.norm(W, axis=0) if algorithm == "omp" else np.ones(W.shape[1])
        key = "transform_n_nonzero_coefs" if algorithm == "omp" else "transform_alpha"
        value = min(setting, *W.shape) if algorithm == "omp" else setting
        coder = SparseCoder(
            (W / norms).T, transform_algorithm=algorithm, positive_code=positive,
            transform_max_iter=ITERATIONS, n_jobs=1, **{key: value},
        )  # fmt: skip
        with warnings.catch_warnings():
            # A pursuit that ends early because nothing is left; coordinate descent that stops after
            # ITERATIONS rounds. What the estimate is worth is measured by its error, not assumed.
            warnings.simplefilter("ignore", ConvergenceWarning)
            warnings.simplefilter("ignore", RuntimeWarning)
            return coder.transform(h) / norms

    return function


PENALTIES = (0.003, 0.01, 0.03)
COUNTS = (1, 2, 3, 5, 8, 12)
METHODS = {
    "best linear": Method(best_linear, needs="density"),
    "matched filter": Method(
        matched_filter, tuple(product((0.3, 0.5, 0.7, 0.85, 1.0), (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)))
    ),
    "ReLU decoder": Method(relu_decoder, needs="bias"),
    "least squares, cut": Method(thresholded_least_squares, (0.05, 0.1, 0.15, 0.2, 0.3)),
    "OMP": Method(sparse_coder("omp", False), COUNTS),
    "OMP, x ≥ 0": Method(greedy, COUNTS),
    "Lasso (cd)": Method(sparse_coder("lasso_cd", False), PENALTIES),
    "Lasso (LARS)": Method(sparse_coder("lasso_lars", False), PENALTIES),
    "Lasso (cd), x ≥ 0": Method(sparse_coder("lasso_cd", True), PENALTIES),
    "Lasso (LARS), x ≥ 0": Method(sparse_coder("lasso_lars", True), PENALTIES),
    "all supports": Method(exhaustive, (4,)),
}
