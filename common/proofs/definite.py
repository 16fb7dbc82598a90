"""Which matrices of intervals hold positive definite matrices only."""

import numpy as np

from common.proofs.intervals import Interval, enclose, where


def positive_definite(matrices, valid):
    """Which intervals of symmetric matrices (boxes, k, k) hold positive definite matrices only.

    S' H S is diagonally dominant with a positive diagonal, for some matrix S: then H is positive
    definite. S makes the middle about the identity, and need not be exact.
    """
    valid = valid & np.isfinite(matrices.lo).all((1, 2)) & np.isfinite(matrices.hi).all((1, 2))
    S = whitening(np.where(valid[:, None, None], matrices.middle(), np.eye(matrices.lo.shape[-1])))
    scaled = product(product(Interval(np.swapaxes(S, 1, 2)), matrices), Interval(S))
    return dominant(scaled, valid)


def congruent(K, J, E, valid):
    """Which J' K J + E, for all members of the intervals (boxes, k, k), are positive definite.

    As above, with J S formed first: a direction that J S makes small stays small.
    """
    parts = [where(valid[:, None, None], x, np.eye(x.lo.shape[-1])) for x in (K, J, E)]
    K, J, E = parts
    middle = J.middle()
    S = whitening(np.swapaxes(middle, 1, 2) @ K.middle() @ middle + E.middle())
    moved = product(J, Interval(S))
    scaled = product(product(transposed(moved), K), moved)
    scaled = scaled + product(product(Interval(np.swapaxes(S, 1, 2)), E), Interval(S))
    return dominant(scaled, valid)


def transposed(x):
    """The transposes of matrices (boxes, k, k)."""
    return Interval(np.swapaxes(x.lo, 1, 2), np.swapaxes(x.hi, 1, 2))


def dominant(scaled, valid):
    """Which symmetric matrices have a diagonal larger than the sum of what stands beside it."""
    beside = ~np.eye(scaled.lo.shape[-1], dtype=bool)
    size = np.where(beside, np.maximum(-scaled.lo, scaled.hi), 0.0)
    total = enclose(0.0)
    for j in range(size.shape[-1]):
        total = total + size[:, :, j]
    diagonal = np.diagonal(scaled.lo, axis1=1, axis2=2)
    return valid & (diagonal > total.hi).all(1)


def whitening(matrices):
    """S with S' M S about 1: the inverse of Cholesky's factor, transposed.

    Written out, so that every machine makes the same. Where M is not positive definite, S is of
    no use, but does no harm.
    """
    k = matrices.shape[-1]
    factor, inverse = np.zeros_like(matrices), np.zeros_like(matrices)
    for i in range(k):
        for j in range(i + 1):
            rest = matrices[:, i, j]
            for n in range(j):
                rest = rest - factor[:, i, n] * factor[:, j, n]
            small = np.maximum(rest, 1e-6)
            factor[:, i, j] = np.sqrt(small) if i == j else rest / factor[:, j, j]
    for j in range(k):
        inverse[:, j, j] = 1 / factor[:, j, j]
        for i in range(j + 1, k):
            rest = 0.0
            for n in range(j, i):
                rest = rest - factor[:, i, n] * inverse[:, n, j]
            inverse[:, i, j] = rest / factor[:, i, i]
    return np.swapaxes(inverse, 1, 2)


def product(x, y):
    """Products of matrices (boxes, k, k)."""
    total = enclose(0.0)
    for k in range(x.lo.shape[-1]):
        column = Interval(x.lo[:, :, k, None], x.hi[:, :, k, None])
        total = total + column * Interval(y.lo[:, None, k], y.hi[:, None, k])
    return total
