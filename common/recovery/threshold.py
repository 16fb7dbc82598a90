"""The phase transition of sparse recovery: exact or not, over m / n and active features / m.

The theory is Donoho and Tanner's: in the limit of large random dictionaries, the non-negative x of
least sum with W x = h IS the x behind h for almost every pattern of k active features if
k / m < rho(m / n), and for almost none above.
"""

import numpy as np
from scipy.optimize import linprog, minimize_scalar
from scipy.special import ndtr

from common.parallel import in_processes
from common.recovery.methods import alive, greedy

EXACT = 1e-5  # largest error, relative to the largest entry of x, that still counts as exact


def donoho_tanner(delta):
    """rho(delta): largest k / m with exact non-negative recovery at m / n = delta, weak threshold.

    rho = max over z >= 0 of (1 - Q(z) / delta) / (1 + z^2 - Q(z)),
    Q(z) = (1 + z^2) Phi(-z) - z phi(z). (Donoho and Tanner, PNAS 2005, in the form of
    Donoho, Maleki and Montanari, PNAS 2009; phi and Phi are the normal density and distribution.)

    Takes delta [...] and returns rho [...]. Raises ValueError for a delta outside (0, 1].
    """
    delta = np.asarray(delta, dtype=float)
    wrong = ~((delta > 0) & (delta <= 1))  # also true for NaN
    if wrong.any():
        raise ValueError(f"delta = m / n must lie in (0, 1], got {delta[wrong][0]:g}")

    def height(z, d):
        density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
        Q = (1 + z**2) * ndtr(-z) - z * density
        return (1 - Q / d) / (1 + z**2 - Q)

    def best(d):
        grid = np.linspace(0, 8, 801)
        near = grid[np.argmax(height(grid, d))]
        bounds = (max(near - 0.02, 0), near + 0.02)
        found = minimize_scalar(lambda z: -height(z, d), bounds=bounds, method="bounded",
                                options={"xatol": 1e-10})  # fmt: skip
        return max(-found.fun, height(bounds[0], d), 0.0)

    return np.vectorize(best)(delta)


def least_sum(h, W):
    """The non-negative x of least sum with W x = h, for one h [m] (basis pursuit, exactly)."""
    found = linprog(np.ones(W.shape[1]), A_eq=W, b_eq=h, bounds=(0, None), method="highs-ds")
    return np.zeros(W.shape[1]) if found.x is None else found.x


def planted(n_features, active, trials, rng):
    """Signals x [trials, n] with exactly `active` entries, uniform on [0.1, 1]."""
    x = np.zeros((trials, n_features))
    for row in x:
        row[rng.permutation(n_features)[:active]] = rng.uniform(0.1, 1, active)
    return x


def exact_share(W, active, trials, seed, method="l1"):
    """Share of `trials` planted signals with `active` features that come back exactly.

    W [m, n], or a function seed -> W for a new dictionary every trial; features whose column is
    dead take no part. method: "l1" (least sum) or "OMP" (non-negative, given the number active).

    Raises ValueError for an unknown method.
    """
    if method not in ("l1", "OMP"):
        raise ValueError(f'method must be "l1" or "OMP", got {method!r}')
    rng, hits = np.random.default_rng([seed, active]), 0
    for _ in range(trials):
        chosen = W(int(rng.integers(2**31))) if callable(W) else np.asarray(W, dtype=float)
        chosen = chosen[:, alive(chosen)]
        if active > chosen.shape[1]:
            continue
        x = planted(chosen.shape[1], active, 1, rng)
        h = x @ chosen.T
        found = least_sum(h[0], chosen) if method == "l1" else greedy(h, chosen, active)[0]
        hits += np.abs(found - x[0]).max() <= EXACT * x.max()
    return hits / trials


def transition(dictionaries, rho, trials, seed, method="l1"):
    """Shares [len(dictionaries), len(rho)] over k / m = rho, k >= 1, for each (m, W) given.

    Along a line, cells beyond two empty ones are taken as empty: recovery only gets harder.
    """

    def line(m, W):
        row = np.zeros(len(rho))
        for column, r in enumerate(rho):
            if column >= 2 and row[column - 2 : column].max() == 0:
                break
            row[column] = exact_share(W, max(1, round(r * m)), trials, seed + m, method)
        return row

    return np.stack(in_processes(line, *zip(*dictionaries, strict=True)))


def halfway(rho, shares):
    """Where each line of shares [lines, rho] crosses one half, by linear interpolation.

    The first crossing; 0 for a line that starts below one half, the last rho for one that never
    falls below.
    """
    rho, ends = np.asarray(rho, dtype=float), []
    for row in np.atleast_2d(shares):
        below = np.flatnonzero(row < 0.5)
        if not len(below):
            ends.append(rho[-1])
        elif below[0] == 0:
            ends.append(0.0)
        else:
            b, a = below[0], below[0] - 1
            ends.append(rho[a] + (row[a] - 0.5) / (row[a] - row[b]) * (rho[b] - rho[a]))
    return np.array(ends)


def capacity(n_hidden, density, largest):
    """The most features N <= largest for which p N active of them lie below Donoho and Tanner's
    curve: p N / m <= rho(m / N), and at least m, which need no sparsity at all."""
    N = np.arange(n_hidden, largest + 1)
    curve = donoho_tanner(n_hidden / N)
    return np.array([N[p * N / n_hidden <= curve].max(initial=n_hidden) for p in np.ravel(density)])
