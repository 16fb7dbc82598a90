"""One dimension holds more than a pair of rare features: checked with code of its own.

The reference here is the textbook formula for E relu(c.u + t)^q, differences over the corners of
the cube divided by the product of the c, and scipy's minimiser with numerical gradients.
"""

from itertools import combinations, product
from math import factorial

import numpy as np
import pytest
from scipy.optimize import minimize

from common.data import importance_decay
from common.exact import minimise
from common.variants import polygons


def moment(c, t, q):
    """E relu(t + c.u)^q for u uniform on the cube, no c equal to 0."""
    k = len(c)
    corners = np.array(list(product((0, 1), repeat=k))).reshape(2**k, k)
    signs = (-1.0) ** (k - corners.sum(1))
    total = (signs * np.maximum(corners @ c + t, 0) ** (q + k)).sum()
    return factorial(q) / factorial(q + k) * total / np.prod(c)


def loss(w, b, p, importance):
    """E sum_i I_i (x_i - relu(w_i h + b_i))^2 with h = w.x in one dimension, all w not 0."""
    n, total = len(w), 0.0
    sets = [list(s) for k in range(n + 1) for s in combinations(range(n), k)]
    for active in sets:
        chance = p ** len(active) * (1 - p) ** (n - len(active))
        for i in range(n):
            c, t = w[i] * w[active], b[i]
            error = moment(c, t, 2)
            if i in active:
                rest = np.delete(c, active.index(i))
                own = moment(rest, t + w[i] ** 2, 2) - moment(c, t, 2)
                error += 1 / 3 - own / w[i] ** 2
            total += chance * importance[i] * error
    return total


def lowest(n, p, importance, starts, seed):
    """w, b and loss of the lowest minimum from random starts."""
    generator = np.random.default_rng(seed)
    scale = p / 3 * importance.sum()

    def value(x):
        return loss(x[:n], p * x[n:], p, importance) / scale

    ends = []
    for _ in range(starts):
        x = np.r_[generator.normal(size=n), generator.uniform(0, 0.5, n)]
        ends.append(minimize(value, x, method="BFGS", options={"gtol": 1e-6}))
    best = min(ends, key=lambda end: end.fun)
    return best.x[:n], p * best.x[n:], best.fun * scale


def test_the_reference_agrees_with_a_sample():
    generator = np.random.default_rng(0)
    w, b, importance = (
        np.array([1.1, -0.6, 0.4]),
        np.array([-0.1, 0.05, 0.2]),
        np.array([1, 0.7, 2]),
    )
    x = generator.uniform(size=(2**20, 3)) * (generator.uniform(size=(2**20, 3)) < 0.3)
    errors = (importance * (x - np.maximum((x @ w)[:, None] * w + b, 0)) ** 2).sum(1)
    standard_error = errors.std() / 2**10
    assert loss(w, b, 0.3, importance) == pytest.approx(errors.mean(), abs=4 * standard_error)


@pytest.mark.slow
def test_three_equal_rare_features_share_one_dimension():
    """At density 0.01 the third is short, and the loss lower than with a pair and a dropped one."""
    p = 0.01
    w, _, reference = lowest(3, p, np.ones(3), starts=8, seed=0)
    found = minimise(3, 1, p, restarts=16)
    assert reference == pytest.approx(0.003202, abs=5e-7)
    assert found.loss.item() == pytest.approx(reference, rel=1e-6)
    norms = found.W[0].abs().sort().values.numpy()
    assert norms == pytest.approx([0.424, 1.002, 1.055], abs=5e-4)
    assert norms == pytest.approx(np.sort(np.abs(w)), abs=1e-3)
    short, middle, longest = found.W[0][found.W[0].abs().argsort()].sign().tolist()
    assert short == longest == -middle

    pair_and_dropped = polygons.best_polygon(2, [p])[2].item() + p / 3 - p**2 / 4
    assert pair_and_dropped == pytest.approx(0.003342, abs=5e-7)
    assert lowest(2, p, np.ones(2), starts=4, seed=0)[2] + p / 3 - p**2 / 4 == pytest.approx(
        pair_and_dropped, rel=1e-5
    )


def test_five_features_of_decaying_importance_keep_their_weights():
    """At density 0.03 the weights found are a minimum of the reference too, and none is 0."""
    p, importance = 0.03, importance_decay(5, 0.9)
    found = minimise(5, 1, p, importance, restarts=32)
    w, b = found.W[0].numpy(), found.b.numpy()
    assert np.abs(w).max() == pytest.approx(1.05, abs=0.005)
    assert np.abs(w).min() == pytest.approx(0.254, abs=0.005)
    weights = importance.numpy()
    reference = loss(w, b, p, weights)
    assert found.loss.item() == pytest.approx(reference, rel=1e-9)
    # Whatever is set to 0, with its mean as output, makes it worse.
    for i in range(5):
        rest = np.arange(5) != i
        without = loss(w[rest], b[rest], p, weights[rest]) + weights[i] * (p / 3 - p**2 / 4)
        assert without > 1.001 * reference
    end = minimize(
        lambda x: loss(x[:5], p * x[5:], p, weights) / reference, np.r_[w, b / p], method="BFGS",
        options={"maxiter": 5},
    )  # fmt: skip
    assert end.fun == pytest.approx(1, abs=1e-8)
