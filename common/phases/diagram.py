"""The phase diagram in numbers: its window, the phase of every cell, boundaries and agreement.

The models have n = m + 1 features of importance 1 but for the last, the "extra" one, which has the
relative importance r. A map has R densities (descending from 1, so that row 0 is the dense end)
by C relative importances (ascending); column by column and row by row they are equal steps of the
logarithm (paper, "Superposition as a Phase Change").
"""

import torch

from common import geometry
from common.exact import minimise
from common.exact.checks import check_count
from common.theory import (
    DEDICATED,
    DROPPED,
    OTHERS_PAIRED,
    PAIRED,
    candidate_losses,
    linear_optimum,
)

# What a cell can be called; a map of phases holds positions in this list. All but the last are
# named by the direction that W ignores: the extra feature; another one; the extra and another,
# opposite each other; two others; all features alike (for n = 3 three at 120 degrees).
JOINT, OTHER = "joint", "other"
PHASES = (DROPPED, DEDICATED, PAIRED, OTHERS_PAIRED, JOINT, OTHER)
LEAST_RANGE = 0.05  # W^T W must have rank m: below this eigenvalue the ignored direction is moot
LINEAR_TOLERANCE = 1e-6  # a loss this little below the linear optimum is still the linear optimum


def window(rows, columns, *, lowest_density=0.01, widest_ratio=10.0):
    """Density [rows] from 1 down and relative importance [columns] from 1/ratio up to ratio."""
    check_count(rows, "rows")
    check_count(columns, "columns")
    density = lowest_density ** torch.linspace(0, 1, rows, dtype=torch.float64)
    exponent = torch.linspace(-1, 1, columns, dtype=torch.float64)
    return density, widest_ratio**exponent


def importances(relative_importance, n_features):
    """Importances [..., n] = 1, ..., 1, r for relative importances [...]."""
    r = torch.as_tensor(relative_importance, dtype=torch.float64)
    return torch.cat([torch.ones(*r.shape, n_features - 1, dtype=r.dtype), r[..., None]], -1)


def exact_map(
    n_features, n_hidden, density, relative_importance, *, restarts, seed=0, output="relu"
):
    """The exact optimum (an Optimum of [R, C] cells) of density [R] by relative importance [C]."""
    grid = importances(relative_importance, n_features).expand(len(density), -1, -1)
    return minimise(
        n_features, n_hidden, density[:, None].expand(grid.shape[:2]), grid,
        restarts=restarts, seed=seed, output=output,
    )  # fmt: skip


def improvement(optimum, density, relative_importance, *, cells, restarts, seed=0):
    """Largest share of the loss that a second search, from `restarts` new starts, saves in any of
    `cells` random cells of an exact map over density [R] and relative importance [C].

    0, up to rounding, where the map is right.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = optimum.loss.shape
    row, column = (torch.randint(size, (cells,), generator=generator) for size in sizes)
    n, m = optimum.W.shape[-1], optimum.W.shape[-2]
    again = minimise(
        n, m, density[row], importances(relative_importance[column], n),
        restarts=restarts, seed=seed + 1,
    )  # fmt: skip
    return (1 - again.loss / optimum.loss[row, column]).max().item()


def extra_feature(W):
    """Norm and superposition [...] of the last feature of W [..., m, n]: the map's two channels."""
    return geometry.feature_norms(W)[..., -1], geometry.superposition(W)[..., -1]


def ignored_direction(W):
    """Unit vector [..., n] of the input direction that W [..., m, n], m = n - 1, does not see.

    Its largest entry in size is positive.
    """
    vector = torch.linalg.eigh(geometry.gram(W)).eigenvectors[..., 0]
    largest = vector.gather(-1, vector.abs().argmax(-1, keepdim=True))
    return vector * torch.where(largest < 0, -1.0, 1.0)


def phase(W):
    """Phase [...] of each model W [..., m, n], n = m + 1 <= 3, as a position in PHASES.

    It is that of the candidate whose ignored direction is nearest in angle. OTHER: features on the
    same side (their difference is ignored), or a W of lower rank.

    Raises ValueError for other shapes.
    """
    W = torch.as_tensor(W, dtype=torch.float64)
    if W.shape[-1] not in (2, 3) or W.shape[-2] != W.shape[-1] - 1:
        raise ValueError(f"phases are of W [..., 1, 2] or [..., 2, 3], got {list(W.shape)}")
    directions, codes = _candidates(W.shape[-1])
    nearest = (ignored_direction(W) @ directions.T).abs().argmax(-1)
    full_rank = torch.linalg.eigvalsh(geometry.gram(W))[..., 1] >= LEAST_RANGE
    return torch.where(full_rank, codes[nearest], PHASES.index(OTHER))


def _candidates(n):
    """Directions [K, n] (unit length) of every candidate, and the phase [K] of each."""
    found = []
    for signs in torch.cartesian_prod(*[torch.tensor([-1.0, 0.0, 1.0])] * n).double():
        support = signs.nonzero()[:, 0].tolist()
        if support and signs[support[0]] > 0:  # a direction and its opposite are one
            found.append((signs / signs.norm(), _name(signs, support, n)))
    directions, names = zip(*found, strict=True)
    return torch.stack(directions), torch.tensor([PHASES.index(name) for name in names])


def _name(signs, support, n):
    extra = n - 1 in support
    if (signs < 0).any():
        return OTHER
    if len(support) == 1:
        return DROPPED if extra else DEDICATED
    if len(support) == 3:
        return JOINT
    return PAIRED if extra else OTHERS_PAIRED


def theory_phase(density, relative_importance, n_hidden):
    """Phase [R, C] with the least loss among the paper's candidates, as a position in PHASES."""
    losses = candidate_losses(density[:, None], relative_importance[None], n_hidden)
    codes = torch.tensor([PHASES.index(name) for name in losses])
    return codes[torch.stack(list(losses.values())).argmin(0)]


def linear_loss(density, relative_importance):
    """Loss [R, C] of the best linear model at density [R] by relative importance [C]: the least
    important feature is left out.

    A third feature, of importance 1, would be kept and change nothing.
    """
    return linear_optimum(density[:, None], importances(relative_importance, 2), 1)


def beats_linear(loss, density, relative_importance):
    """Whether each loss [R, C] lies below that of the best linear model: superposition pays."""
    return loss < (1 - LINEAR_TOLERANCE) * linear_loss(density, relative_importance)


def shares(codes):
    """Share of the map in each phase that occurs, {name: share}."""
    return {
        name: (codes == k).double().mean().item()
        for k, name in enumerate(PHASES)
        if (codes == k).any()
    }


def upper_edge(inside, density):
    """Density [C] at which a region `inside` [R, C] begins on the way down each column.

    Between the first row inside and the one before it, in the middle of the logarithms; 1 when the
    first row is inside, NaN when no row is.
    """
    first = inside.to(torch.uint8).argmax(0)
    edge = (density[first] * density[(first - 1).clamp(min=0)]).sqrt()
    return torch.where(inside.any(0), edge, torch.nan)


def near_boundary(codes, cells):
    """Cells [R, C] from which another phase is at most `cells` rows or columns away."""
    padded = torch.nn.functional.pad(codes[None, None].double(), [cells] * 4, mode="replicate")[0]
    size = 2 * cells + 1
    highest = torch.nn.functional.max_pool2d(padded, size, stride=1)[0]
    lowest = -torch.nn.functional.max_pool2d(-padded, size, stride=1)[0]
    return highest != lowest


def agreements(maps, band):
    """How far maps of phases {"theory", "exact", "trained"} agree: {pair of names: (share of all
    cells, share outside the `band` [R, C])}; NaN where there are no cells."""
    pairs = ("trained", "exact"), ("theory", "exact"), ("theory", "trained")
    return {
        pair: tuple(agreement(*(maps[name] for name in pair), where) for where in (None, ~band))
        for pair in pairs
    }


def agreement(one, other, where=None):
    """Share of cells on which two maps of phases agree, of all or of the cells `where`; or NaN."""
    same = one == other
    return (same if where is None else same[where]).double().mean().item()


def same_sign(W):
    """Whether the two features of W [..., 1, 2] lie on the same side: not an antipodal pair."""
    return W[..., 0, :].prod(-1) > 0
