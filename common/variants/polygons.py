"""Regular polygons as models: k equally important features at equal angles in two dimensions.

The reference that describes them calls them windmills, "like roots of unity". All losses are the
exact population loss. Among models with the polygon's symmetry only two numbers are free, the
norm of the features and their common bias; whether the best of them is a minimum among ALL
models is a matter of the curvature there.

By symmetry the Hessian splits into blocks of 3 x 3, one for each Fourier mode l = 0 ... k/2: with
a_j = 2 pi j / k the angle of feature j, a mode moves it outwards by u cos(l a_j) and sideways by
v sin(l a_j), and its bias by w cos(l a_j). (The same a quarter of a period on is a second mode of
the same curvature, for 0 < l < k/2.) All outputs are alike too, so that one row of the loss is
enough, and of that the recursion over active features gives the second derivatives by autograd,
free of any step size. In mode 0 moving sideways is the rotation of the plane, which changes nothing
and is left out.
"""

import math

import torch
from scipy.optimize import brentq

from common.exact import cube, polish, population_loss
from common.exact.bfgs import minimise_batch, with_gradient
from common.exact.checks import check_count, check_density
from common.exact.linear import feature_variance
from common.geometry import regular_polygon

ACCURACY = 1e-8  # of the loss beyond 5 features
RADII, BIASES = (0.6, 1.2), (-0.4, 0.1)  # starts of the search over norm and bias
MOST_CORNERS = 10  # of polygons whose curvature is computed, which takes 3^k terms
NEWTON_STEPS, NEWTON_TOLERANCE = 30, 1e-11  # steps to the best polygon at most; size of the last
ROUNDING = 1e-9  # curvatures below this in size count as 0; they are known to about 1e-11


def polygon(k, radius, bias):
    """W [..., 2, k] and b [..., k] of the regular k-gon with norm and bias [...]."""
    radius, bias = (torch.as_tensor(v, dtype=torch.float64) for v in (radius, bias))
    return radius[..., None, None] * regular_polygon(k), bias[..., None].expand(*bias.shape, k)


def best_polygon(k, density, start=None):
    """Norm, bias and loss, each [D], of the best regular k-gon at every density [D].

    Quasi-Newton from norms and biases `start` [S, 2], by default a small grid; the lowest end
    counts. By symmetry one output stands for all.
    """
    k, density = check_count(k, "k"), check_density(density).reshape(-1)
    if start is None:
        start = torch.cartesian_prod(torch.tensor(RADII), torch.tensor(BIASES)).double()
    p = density.repeat_interleave(len(start))
    first = torch.eye(k, dtype=torch.float64)[0]  # the importances: only the first output counts

    @with_gradient
    def function(x, index):
        loss = population_loss(*polygon(k, *x.T), p[index], first, accuracy=ACCURACY)
        return loss / (p[index] / 3)

    units = torch.stack([torch.ones_like(p), p], 1)
    ends = minimise_batch(
        function, start.repeat(len(density), 1), units, tolerance=1e-7, rounds=200
    )
    best = ends.at(ends.lowest_of(len(start)))
    return best.x[:, 0].abs(), best.x[:, 1], best.value * k * density / 3


def softest_modes(k, radius, bias, density):
    """Least curvature of every mode at ONE density, at the best k-gon next to `radius` and `bias`.

    Relative to the loss p/3 of a feature that is output as 0, along a displacement of length 1.
    Returns (curvature [k//2 + 1]; its direction (u, v, w) [k//2 + 1, 3]; norm; bias). Raises
    RuntimeError if no stationary k-gon is found.
    """
    if not 2 <= check_count(k, "k") <= MOST_CORNERS:
        raise ValueError(f"curvatures are for 2 to {MOST_CORNERS} corners, got {k}")
    p = float(check_density(density))
    radius, bias = _settle(k, float(radius), float(bias), p)
    W, b = polygon(k, radius, bias)
    row = torch.cat([W[:, 0] @ W, b[:1]])
    _, gradient, hessian = _derivatives(lambda x: _first_output(x[:k], x[k], p), row)
    curvature, direction = [], []
    for mode in range(k // 2 + 1):
        block = sum(_curvature_along(_moves(k, mode, s), W, gradient, hessian) for s in (0, 1))
        free = [0, 2] if mode == 0 else [0, 1, 2]
        values, vectors = torch.linalg.eigh(block[free][:, free])
        curvature.append(values[0])
        direction.append(torch.zeros(3, dtype=torch.float64))
        direction[-1][free] = vectors[:, 0]
    return torch.stack(curvature), torch.stack(direction), radius, bias


def displaced(k, radius, bias, mode, direction, size):
    """W [2, k] and b [k] of a k-gon moved by `size` along `direction` (u, v, w) of one mode."""
    W, b = polygon(k, radius, bias)
    move_W, move_b = _moves(k, mode, 0)
    direction = torch.as_tensor(direction, dtype=torch.float64)
    move_W, move_b = (torch.tensordot(direction, move, 1) for move in (move_W, move_b))
    length = torch.cat([move_W, move_b[None]]).norm()
    return W + size * move_W / length, b + size * move_b / length


def _first_output(row, bias, p):
    """Exact loss of the first output, relative to p/3, from its row [k] of W^T W and its bias."""
    density = torch.full((1, len(row)), p, dtype=torch.float64)
    return cube.row_loss(row[None], bias[None], density).sum() / (p / 3)


def _derivatives(function, x):
    """Value, gradient [d] and Hessian [d, d] of a function of x [d]."""
    x = x.clone().requires_grad_()
    value = function(x)
    (gradient,) = torch.autograd.grad(value, x, create_graph=True)
    hessian = [torch.autograd.grad(g, x, retain_graph=True)[0] for g in gradient]
    return value.detach(), gradient.detach(), torch.stack(hessian)


def _settle(k, radius, bias, p):
    """Norm and bias at which the loss is stationary among k-gons: Newton's method."""
    cosines = regular_polygon(k)[0]
    x = torch.tensor([radius, bias], dtype=torch.float64)
    for _ in range(NEWTON_STEPS):
        _, slope, bend = _derivatives(lambda x: _first_output(x[0] ** 2 * cosines, x[1], p), x)
        step = torch.linalg.solve(bend, slope)
        x = x - step
        if step.abs().max() < NEWTON_TOLERANCE:
            return x[0].item(), x[1].item()
    raise RuntimeError(f"no stationary {k}-gon next to norm {radius:g} and bias {bias:g} at {p:g}")


def _moves(k, mode, sine):
    """Displacements W [3, 2, k] and b [3, k] of a mode: outwards, sideways, of the bias.

    sine : 0 for the one with cos(l a_j) outwards, 1 for the one a quarter of a period on.
    """
    outwards = regular_polygon(k)
    sideways = torch.stack([-outwards[1], outwards[0]])
    phase = 2 * math.pi * mode / k * torch.arange(k, dtype=torch.float64) - sine * math.pi / 2
    even, odd = torch.cos(phase), torch.sin(phase)
    W = torch.stack([even * outwards, odd * sideways, torch.zeros_like(outwards)])
    return W, torch.stack([torch.zeros(k).double(), torch.zeros(k).double(), even])


def _curvature_along(moves, W, gradient, hessian):
    """Second derivatives [3, 3] of the first output's loss along `moves`.

    gradient [k + 1], hessian [k + 1, k + 1] : by its row of W^T W and its bias.
    """
    move_W, move_b = moves
    first = move_W[:, :, 0]
    row = first @ W + torch.einsum("x,sxj->sj", W[:, 0], move_W)
    change = torch.cat([row, move_b[:, :1]], 1)
    # W_0 . W_j is bilinear: what two displacements do together.
    both = torch.einsum("sx,txj->stj", first, move_W) @ gradient[:-1]
    return change @ hessian @ change.T + both + both.T


def lowest_curvature(k, radius, bias, density):
    """Least curvature [D] of the best k-gons next to norms, biases [D], and its mode [D]."""
    models = zip(radius, bias, check_density(density), strict=True)
    curvature = torch.stack([softest_modes(k, *model)[0] for model in models])
    return curvature.amin(1), curvature.argmin(1)


def is_minimum(least_curvature):
    """Whether polygons of that least curvature [...] are minima, and not saddles or flat."""
    return least_curvature > ROUNDING


def fall(k, density, size=0.05):
    """W [2, k], b [k] and loss of the minimum that descent from the best k-gon leads to.

    The polygon is displaced by `size` along its softest mode, both ways; the lower end counts. It
    is the polygon itself where that is a minimum.
    """
    radius, bias, _ = best_polygon(k, [density])
    curvature, direction, radius, bias = softest_modes(k, radius, bias, density)
    mode = int(curvature.argmin())
    starts = [displaced(k, radius, bias, mode, direction[mode], s) for s in (size, -size)]
    ends = [polish(*start, density, accuracy=ACCURACY) for start in starts]
    return min((end[:3] for end in ends), key=lambda end: end[2].item())


def stability_edge(k, inside, outside):
    """Density between `inside` and `outside` at which the best k-gon stops being a minimum, or
    starts, and the mode whose curvature is 0 there. Raises ValueError if nothing changes."""

    def modes(log_density):
        p = math.exp(log_density)
        radius, bias, _ = best_polygon(k, [p])
        return softest_modes(k, radius, bias, p)[0]

    def excess(log_density):
        return modes(log_density).min().item() - ROUNDING

    edge = brentq(excess, math.log(inside), math.log(outside), xtol=1e-9)
    return math.exp(edge), int(modes(edge).argmin())


def turning_points(k, density, stable):
    """Every `stability_edge` of the k-gon and its mode, from high densities to low: list of pairs.

    stable : whether the best k-gon is a minimum, at each density [D] of a grid.
    """
    points = []
    for i in range(len(density) - 1):
        if stable[i] != stable[i + 1]:
            inside, outside = (i, i + 1) if stable[i] else (i + 1, i)
            points.append(stability_edge(k, density[inside].item(), density[outside].item()))
    return points


def stored_value(k, density, loss):
    """What k features in a polygon save [...], in variances of one feature.

    A dropped feature costs its variance s2 = p/3 - p^2/4. The k-gon saves k - loss / s2 of them,
    2 for a linear model whatever k; other features can be dropped beside it at s2 each.
    """
    density = check_density(density)
    return k - loss / feature_variance(density)


def best_with_dropped(n, losses, density):
    """Lowest loss [D] of n equal features over polygons of k <= n with n - k dropped, and its k.

    losses : {k: loss of the best k-gon [D]}, its keys the polygons to choose from. Exact: the
    outputs of dropped features are their means, and nothing they do reaches the others.
    """
    density = check_density(density).reshape(-1)
    variance = feature_variance(density)
    sizes = torch.tensor([k for k in losses if k <= n])
    rivals = torch.stack([losses[k] + (n - k) * variance for k in sizes.tolist()])
    lowest = rivals.min(0)
    return lowest.values, sizes[lowest.indices]
