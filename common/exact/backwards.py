"""Steps of the compiled loss taken backwards: derivatives of larger pairs passed on to smaller.

Every function takes all lanes, the last axis of all arrays, through one step without a branch. What
the arrays hold is said in `compiled`.
"""

from common.exact.jit import lanes


@lanes
def weigh(weight, slope, by_F, theta, q, k):
    """Write the derivatives by the sums of pair q, 0 without a kink, and begin that by theta."""
    share1, share2 = 1 / (k + 1), 1 / (k + 2)
    weight[2] = 0.0
    slope[:] = 0.0
    for lane in range(theta.shape[1]):
        where, by_1 = theta[q, lane], by_F[0, q, lane] * share1
        weight[0, lane] = by_1 if (where >= 0) & (where <= 1) else 0.0
    for lane in range(theta.shape[1]):
        where, by_2 = theta[q, lane], by_F[1, q, lane] * share2
        weight[1, lane] = by_2 if (where >= 0) & (where <= 1) else 0.0


@lanes
def weigh_own(weight, slope, by_F, F, theta, side, q, k):
    """The same where H passes its derivative on to F^1 of the pair itself."""
    share1, share2 = 1 / (k + 1), 1 / (k + 2)
    for lane in range(theta.shape[1]):
        where, by_H = theta[q, lane], by_F[2, q, lane] * share2
        s = side[0, 0, lane] + side[1, 0, lane] * where
        by_sum = by_H if (where >= 0) & (where <= 1) else 0.0
        weight[0, lane] += by_sum * s * share1
        weight[2, lane] = by_sum
        slope[lane] = side[1, 0, lane] * by_sum * (F[0, q, lane] - F[0, q - 1, lane])


@lanes
def own_down(by_F, gradient, weight, theta, side, q):
    """Pass the derivative by H on to F^1 of (C - 0, V + 0), or to c_0 where the ReLU is linear."""
    for lane in range(theta.shape[1]):
        s = side[0, 0, lane] + side[1, 0, lane] * theta[q, lane]
        by_F[0, q - 1, lane] += weight[2, lane] * (1 - s)
    for lane in range(theta.shape[1]):
        direct = by_F[2, q, lane] * (1 / 12)
        gradient[0, lane] += direct if theta[q, lane] > 1 else 0.0


@lanes
def steepen(slope, weight, F, side, j, u, v):
    """Add what the member j contributes to the derivative by theta."""
    for lane in range(len(slope)):
        by_s = weight[0, lane] * (F[0, v, lane] - F[0, u, lane])
        by_s += weight[1, lane] * (F[1, v, lane] - F[1, u, lane])
        slope[lane] += side[1, j, lane] * by_s


@lanes
def steepen_own(slope, weight, F, side, j, u, v):
    """The same for H."""
    for lane in range(len(slope)):
        slope[lane] += side[1, j, lane] * weight[2, lane] * (F[2, v, lane] - F[2, u, lane])


@lanes
def down(by_F, weight, theta, side, q, j, to, base, sign):
    """Pass the derivatives of pair q on to pair `to`, with the weight base + sign s_j."""
    for lane in range(theta.shape[1]):
        s = base + sign * (side[0, j, lane] + side[1, j, lane] * theta[q, lane])
        by_F[0, to, lane] += weight[0, lane] * s
        by_F[1, to, lane] += weight[1, lane] * s


@lanes
def down_own(by_F, weight, theta, side, q, j, u, v):
    """The same for H, to both pairs."""
    for lane in range(theta.shape[1]):
        s = side[0, j, lane] + side[1, j, lane] * theta[q, lane]
        by_F[2, u, lane] += weight[2, lane] * (1 - s)
        by_F[2, v, lane] += weight[2, lane] * s


@lanes
def settle(cube, by_F, slope, theta, q, own):
    """Write the derivatives by what stands in `cube` in its place."""
    share = 0.5 if own else 0.0
    for lane in range(theta.shape[1]):
        where, width = theta[q, lane], cube[1, q, lane]
        mean = cube[0, q, lane] + 0.5 * width
        whole = by_F[0, q, lane] + 2 * mean * by_F[1, q, lane] + share * by_F[2, q, lane]
        kink, by_square = -slope[lane] / width, by_F[1, q, lane]
        edge, by_width = kink * where, 0.5 * whole
        cube[0, q, lane] = whole if where > 1 else (kink if where >= 0 else 0.0)
        cube[1, q, lane] = by_width if where > 1 else (edge if where >= 0 else 0.0)
        cube[2, q, lane] = by_square if where > 1 else 0.0


@lanes
def gather(gradient, total, cube, c, side):
    """Add the derivatives by all cubes to those by c and t."""
    n, R = c.shape
    power = 3**n
    for j in range(n - 1, -1, -1):
        power //= 3
        total[:] = 0.0
        for q in range(power):
            in_V, in_C = power + q, 2 * power + q
            for lane in range(R):
                total[0, lane] += cube[0, in_C, lane]
                total[1, lane] += cube[1, in_C, lane]
                total[2, lane] += cube[2, in_C, lane]
            for lane in range(R):
                gradient[j, lane] += cube[0, in_V, lane]
            for i in range(3):
                for lane in range(R):
                    cube[i, q, lane] += cube[i, in_V, lane] + cube[i, in_C, lane]
        for lane in range(R):
            by_low, by_width = total[0, lane], total[1, lane]
            edge = by_width if side[1, j, lane] > 0 else by_low - by_width
            gradient[j, lane] += edge + total[2, lane] * c[j, lane] * (1 / 6)
    for lane in range(R):
        gradient[n, lane] = cube[0, 0, lane]
