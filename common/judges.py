"""What one trained run must be to satisfy a claim, by the criteria of the claim's own notebook.

A run is one model, or, where a claim speaks of several densities, one model at each of them: what
somebody has who repeats the experiment once. Functions take W [..., m, n], or, where they compare
densities, W [D, ..., m, n] from dense to sparse, and return booleans [...].
"""

import torch

from common import geometry, phases
from common.theory import linear_optimum

# Claim -> when a run satisfies it.
CRITERIA = {
    "intro-dense": "p = 1: features 1 and 2 represented and orthogonal, no other represented",
    "intro-antipodal": "p = 0.2: features 1 to 4 are two antipodal pairs, the fifth is dropped",
    "intro-pentagon": "p = 0.1: five represented, angles 72° ± 8°, positive interference",
    "intro-linear": "linear model: features 1 and 2 represented and no other, at six densities",
    "dynamics-relu": "from two features to five over six densities, never fewer; linear: two",
    "experiments-packing": "hidden ReLU: no two features the same way, loss < 0.9 linear",
    "experiments-dense": "hidden ReLU: keeps features 1 and 2, importances equal or not",
    "basic-linear": "linear model: W^T W within 0.05, loss within 0.1 %, at seven densities",
    "basic-dense": "p = 1: features 1 to 5 represented and orthogonal, no other represented",
    "basic-order": "orthogonal features are the most important ones and never increase in number",
    "basic-order-counts": "orthogonal features number 5, 3, 1, 0, 0, 0, 0, up to one",
    "basic-pairs": "at the first two densities with superposition it is all antipodal pairs",
    "basic-count": "represented features number 5, 7, 9, 10, 11, 12, 12, up to one",
    "basic-sparse": "p ≤ 0.01: all in superposition, positive interference > 1, biases < 0",
    "variants-conditions": "more than five stored by ReLU at p = 0.01; not at p = 1, nor linear",
    "variants-conditions-untied": "the same with two weight matrices",
    "phase-agree-linear": "n = 2, above the boundary: the phase of the exact optimum",
    "phase-agree-paired": "n = 2, below the boundary: the phase of the exact optimum",
    "phase-agree-n3-linear": "n = 3, above the boundary: the phase of the exact optimum",
    "phase-agree-n3-paired": "n = 3, below the boundary: the phase of the exact optimum",
    "phase-joint": "n = 3, r = 1, p = 0.8: three features at 120°, the exact optimum",
}

FIVE_DENSITIES = (1, 0.75, 0.5, 0.2, 0.1, 0.05)  # five features in two dimensions
HIDDEN_DENSITIES = (0.05, 0.99)  # the same with a hidden ReLU, equally important features
TWENTY_DENSITIES = (1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # twenty features in five dimensions
UNTIED_DENSITIES = (1, 0.01)
PUBLISHED = (5, 7, 9, 10, 11, 12, 12)  # read off the paper's figure, as in basic_results
PUBLISHED_ORTHOGONAL = (5, 3, 1, 0, 0, 0, 0)
# Cells (r, p) of the phase diagrams for n = 2 and 3: at least a factor of 1.2 in r and in p from
# any boundary, but for the last one.
LINEAR_CELLS = {2: ((0.2, 0.8), (0.4, 0.8), (2.5, 0.8), (5, 0.8)), 3: ((0.2, 0.8), (0.4, 0.8))}
PAIRED_CELLS = {
    2: ((0.2, 0.1), (0.4, 0.1), (1, 0.1), (2.5, 0.1), (5, 0.1), (0.2, 0.02), (1, 0.02), (5, 0.02)),
    3: ((0.2, 0.1), (0.4, 0.1), (2.5, 0.1), (5, 0.1), (0.2, 0.02), (2, 0.02), (5, 0.02)),
}
JOINT_CELL = (1, 0.8)

POLYGON_TOLERANCE = 8  # degrees between an angle and the regular polygon's
LEAST_INTERFERENCE = 0.1  # positive interference of a pentagon from here on
SPARSE_INTERFERENCE = 1  # and of twenty features in five dimensions
SAME_DIRECTION = 0.95  # cosine from which two features point the same way
ENTRY_TOLERANCE = 0.05  # of W^T W of a linear model
COUNT_TOLERANCE = 1  # features; published counts are good to about one


def cells(n):
    """Relative importance [K] and density [K] of the cells for n = 2 or 3 features."""
    places = [*LINEAR_CELLS[n], *PAIRED_CELLS[n], *([JOINT_CELL] if n == 3 else [])]
    return torch.tensor(places, dtype=torch.float64).unbind(1)


def stores_first(W):
    """Exactly the m most important features are represented."""
    stored, m = geometry.represented(W), W.shape[-2]
    return stored[..., :m].all(-1) & ~stored[..., m:].any(-1)


def keeps_first(W):
    """Exactly the m most important features are represented, and they are orthogonal."""
    return stores_first(W) & geometry.orthogonal(W)[..., : W.shape[-2]].all(-1)


def all_in_pairs(W):
    """The 2m most important features are m antipodal pairs, and no other is represented."""
    k = 2 * W.shape[-2]
    partners = geometry.antipodal_pairs(W).sum(-1)
    return (partners[..., :k] == 1).all(-1) & ~geometry.represented(W)[..., k:].any(-1)


def polygon(W):
    """All features of W [..., 2, n] stand nearly as a regular polygon and interfere positively."""
    directions = geometry.angles(W).sort(-1).values
    gaps = torch.diff(directions, append=directions[..., :1] + 360)
    regular = (gaps - 360 / W.shape[-1]).abs().amax(-1) < POLYGON_TOLERANCE
    positive = geometry.positive_interference(W) > LEAST_INTERFERENCE
    return regular & positive & geometry.represented(W).all(-1)


def no_shared_direction(W):
    """No two features point the same way."""
    same = geometry.interference(W) > SAME_DIRECTION
    return ~torch.triu(same, 1).any(-1).any(-1)


def picks_two(W):
    """The first two features are stored at nearly full length and nothing else is."""
    norms = geometry.feature_norms(W)
    return (norms[..., :2] > 0.9).all(-1) & (norms[..., 2:] < 0.1).all(-1)


def is_projection(W):
    """W^T W is nearly the identity on the m most important features and 0 elsewhere."""
    m, n = W.shape[-2:]
    wanted = torch.diag((torch.arange(n) < m).to(W.dtype))
    return ((geometry.gram(W) - wanted).abs() < ENTRY_TOLERANCE).all(-1).all(-1)


def grows(counts, first, last):
    """Counts [D, ...] never fall from dense to sparse, and go from `first` to `last`."""
    return (counts.diff(dim=0) >= 0).all(0) & (counts[0] == first) & (counts[-1] == last)


def falls_in_order(W):
    """Orthogonal features are the most important ones at every density and never increase."""
    orthogonal = geometry.orthogonal(W).int()
    counts = orthogonal.sum(-1)
    first = orthogonal.cumprod(-1).sum(-1) == counts
    return first.all(0) & (counts.diff(dim=0) <= 0).all(0)


def counts_agree(counts, published):
    """Counts [D, ...] are within COUNT_TOLERANCE of the published ones [D] at every density."""
    published = torch.as_tensor(published).reshape(-1, *[1] * (counts.dim() - 1))
    return ((counts - published).abs() <= COUNT_TOLERANCE).all(0)


def pairs_first(W):
    """There is superposition, and at the first two densities with it all of it is in pairs."""
    sharing = geometry.represented(W) & ~geometry.orthogonal(W)
    unpaired = (sharing & ~geometry.antipodal_pairs(W).any(-1)).any(-1)
    some = sharing.any(-1)
    early = some & (some.int().cumsum(0) <= 2)
    return some.any(0) & ~(early & unpaired).any(0)


def sparse_parts(W, b):
    """The parts of basic-sparse, for sparse W [D, ..., m, n] and b [D, ..., n]: {part: [...]}."""
    stored = geometry.represented(W)
    return {
        "superposition": ~(geometry.orthogonal(W)).any(-1).any(0),
        "interference": (geometry.positive_interference(W) > SPARSE_INTERFERENCE).all(0),
        "biases": ~(stored & (b >= 0)).any(-1).any(0),
    }


def both_needed(relu, linear):
    """More features come back than there are hidden dimensions only from sparse ReLU models.

    relu : Runs of ReLU models, dense first and sparse last; linear : of linear models.
    """
    m = relu.W.shape[-2]
    limited = (linear.stored() <= m).all(0) & (relu.stored()[0] <= m)
    return limited & (relu.stored()[-1] > m)


def judge(study):
    """Every claim on every run: {claim: hits}, hits [S, R] or [cells, S, R].

    study : {name: Runs} as the robustness notebook trains them.
    """
    five, five_linear, hidden = (study[name] for name in ("five", "five linear", "hidden"))
    two_stored = picks_two(hidden.W[1]) & picks_two(study["hidden unequal"].W[0])
    dense, antipodal, pentagon = (FIVE_DENSITIES.index(p) for p in (1, 0.2, 0.1))
    m, n = five.W.shape[-2:]
    linear_two = (geometry.represented(five_linear.W).sum(-1) == m).all(0)
    packed = linear_optimum(hidden.density[0], torch.ones(n), m)
    found = {
        "intro-dense": keeps_first(five.W[dense]),
        "intro-antipodal": all_in_pairs(five.W[antipodal]),
        "intro-pentagon": polygon(five.W[pentagon]),
        "intro-linear": stores_first(five_linear.W).all(0),
        "dynamics-relu": grows(geometry.represented(five.W).sum(-1), m, n) & linear_two,
        "experiments-packing": no_shared_direction(hidden.W[0]) & (hidden.loss[0] < 0.9 * packed),
        "experiments-dense": two_stored,
    }
    return found | _judge_twenty(study) | _judge_phases(study["two"], study["three"])


def _judge_twenty(study):
    twenty, linear = study["twenty"], study["twenty linear"]
    sparse = twenty.density <= 0.01
    close = linear.loss <= 1.001 * linear.reference[:, None, None]
    ends = twenty.at([TWENTY_DENSITIES.index(p) for p in UNTIED_DENSITIES])
    return {
        "basic-linear": (is_projection(linear.W) & close).all(0),
        "basic-dense": keeps_first(twenty.W[0]),
        "basic-order": falls_in_order(twenty.W),
        "basic-order-counts": counts_agree(
            geometry.orthogonal(twenty.W).sum(-1), PUBLISHED_ORTHOGONAL
        ),
        "basic-pairs": pairs_first(twenty.W),
        "basic-count": counts_agree(geometry.represented(twenty.W).sum(-1), PUBLISHED),
        "basic-sparse": torch.stack(
            list(sparse_parts(twenty.W[sparse], twenty.b[sparse]).values())
        ).all(0),
        "variants-conditions": both_needed(ends, linear),
        "variants-conditions-untied": both_needed(study["untied"], study["untied linear"]),
    }


def _judge_phases(two, three):
    agree = (phases.phase(r.W) == phases.phase(r.optimum.W)[:, None, None] for r in (two, three))
    return _by_phase(*agree)


def _by_phase(two, three):
    """Claim -> its part of what holds for every cell of the phase diagrams, [cells, S, R]."""
    cut, cut_3 = (len(LINEAR_CELLS[n]) for n in (2, 3))
    return {
        "phase-agree-linear": two[:cut],
        "phase-agree-paired": two[cut:],
        "phase-agree-n3-linear": three[:cut_3],
        "phase-agree-n3-paired": three[cut_3:-1],
        "phase-joint": three[-1],
    }


def near_optimum(study):
    """Of claims with a known optimum: {claim: whether every model of the run is near it}, as
    `judge` for the shapes."""
    five = study["five"].near()
    return {
        "intro-dense": five[FIVE_DENSITIES.index(1)],
        "intro-antipodal": five[FIVE_DENSITIES.index(0.2)],
        "intro-pentagon": five[FIVE_DENSITIES.index(0.1)],
        "intro-linear": study["five linear"].near().all(0),
        "dynamics-relu": five.all(0),
        "basic-linear": study["twenty linear"].near().all(0),
    } | _by_phase(study["two"].near(), study["three"].near())
