"""Steps of the compiled loss from pair to pair: moments of larger pairs from those of smaller ones.

Every function takes all lanes, the last axis of all arrays, through one step without a branch. What
the arrays hold is said in `compiled`.
"""

from common.exact.jit import lanes

ZERO, LINEAR = -1.0, 2.0  # values of theta where the ReLU has no kink inside the cube of a pair


@lanes
def begin(c, t, p, side, chance, cube, loss):
    """Write the sides of the c_j, the chance of every active set, and the cubes of all pairs.

    s_j = side[0, j] + side[1, j] theta: theta where c_j > 0, else 1 - theta.
    """
    R, power = len(t), 1
    for lane in range(R):
        loss[lane], chance[0, lane] = 0.0, 1.0
        cube[0, 0, lane], cube[1, 0, lane], cube[2, 0, lane] = t[lane], 0.0, 0.0
    for j in range(len(c)):
        for lane in range(R):
            side[0, j, lane] = 0.0 if c[j, lane] > 0 else 1.0
            side[1, j, lane] = 1.0 if c[j, lane] > 0 else -1.0
        for without in range(1 << j):
            for lane in range(R):
                chance[(1 << j) + without, lane] = chance[without, lane] * p[j, lane]
            for lane in range(R):
                chance[without, lane] *= 1 - p[j, lane]
        for q in range(power):
            in_V, in_C = power + q, 2 * power + q
            for lane in range(R):
                cube[0, in_V, lane] = cube[0, q, lane] + c[j, lane]
                cube[0, in_C, lane] = cube[0, q, lane] + min(c[j, lane], 0.0)
            for lane in range(R):
                cube[1, in_V, lane] = cube[1, q, lane]
                cube[1, in_C, lane] = cube[1, q, lane] + abs(c[j, lane])
            for lane in range(R):
                cube[2, in_V, lane] = cube[2, q, lane]
                cube[2, in_C, lane] = cube[2, q, lane] + c[j, lane] ** 2 * (1 / 12)
        power *= 3


@lanes
def place(theta, cube, q, k):
    """Where the kink of pair q lies in the range of z: theta in [0, 1], or LINEAR or ZERO."""
    for lane in range(theta.shape[1]):
        low, width = cube[0, q, lane], cube[1, q, lane]
        inside = -low / width
        place = inside if low + width > 0 else ZERO
        theta[q, lane] = LINEAR if (low > 0) | ((low == 0) & (k > 0)) else place


@lanes
def mix(total, F, theta, side, q, j, u, v):
    """Add (1 - s) F_u + s F_v of the member j to the sums of pair q."""
    for lane in range(theta.shape[1]):
        s = side[0, j, lane] + side[1, j, lane] * theta[q, lane]
        total[0, lane] += F[0, u, lane] + s * (F[0, v, lane] - F[0, u, lane])
        total[1, lane] += F[1, u, lane] + s * (F[1, v, lane] - F[1, u, lane])


@lanes
def mix_own(total, F, theta, side, q, j, u, v):
    """The same for H."""
    for lane in range(theta.shape[1]):
        s = side[0, j, lane] + side[1, j, lane] * theta[q, lane]
        total[2, lane] += F[2, u, lane] + s * (F[2, v, lane] - F[2, u, lane])


@lanes
def finish(F, total, theta, cube, q, k):
    """Write F^1 and F^2 of pair q."""
    share1, share2 = 1 / (k + 1), 1 / (k + 2)
    for lane in range(theta.shape[1]):
        where, mean = theta[q, lane], cube[0, q, lane] + 0.5 * cube[1, q, lane]
        kink = total[0, lane] * share1
        F[0, q, lane] = mean if where > 1 else (kink if where >= 0 else 0.0)
    for lane in range(theta.shape[1]):
        where, mean = theta[q, lane], cube[0, q, lane] + 0.5 * cube[1, q, lane]
        kink, square = total[1, lane] * share2, mean * mean + cube[2, q, lane]
        F[1, q, lane] = square if where > 1 else (kink if where >= 0 else 0.0)


@lanes
def finish_own(F, total, theta, cube, side, c, q, k):
    """Write H of pair q."""
    share = 1 / (k + 2)
    for lane in range(theta.shape[1]):
        where, mean = theta[q, lane], cube[0, q, lane] + 0.5 * cube[1, q, lane]
        s = side[0, 0, lane] + side[1, 0, lane] * where
        own = F[0, q - 1, lane] + s * (F[0, q, lane] - F[0, q - 1, lane])
        kink, whole = (total[2, lane] + own) * share, 0.5 * mean + c[0, lane] * (1 / 12)
        F[2, q, lane] = whole if where > 1 else (kink if where >= 0 else 0.0)


@lanes
def count(loss, by_F, F, chance, q, subset, own):
    """Add pair q to the loss if it is an active set; write the derivatives by its moments."""
    share = 1.0 if own else 0.0
    if subset < 0:
        for lane in range(len(loss)):
            by_F[0, q, lane], by_F[1, q, lane], by_F[2, q, lane] = 0.0, 0.0, 0.0
        return
    for lane in range(len(loss)):
        by_F[0, q, lane] = 0.0
        by_F[1, q, lane] = chance[subset, lane]
        by_F[2, q, lane] = -2 * share * chance[subset, lane]
    for lane in range(len(loss)):
        loss[lane] += chance[subset, lane] * F[1, q, lane]
    if own:
        for lane in range(len(loss)):
            loss[lane] += chance[subset, lane] * (1 / 3 - 2 * F[2, q, lane])
