"""When a claim holds for a trained model: one function a claim, whoever asks.

The notebook that owns a claim calls its function on the model it draws, the robustness study calls
the same function on every single run; STATEMENTS says which function decides which claim. A claim
is judged as it is worded, see `common.artifacts.verdict`.

Functions take W [..., m, n], or, where a claim is about several densities, W [D, ..., m, n] from
dense to sparse, and return booleans [...].

What counts as represented, orthogonal or an antipodal pair is defined in `common.geometry`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from common import geometry
from common.phases import diagram
from common.theory import linear_optimum

# "Dedicated orthogonal dimensions", "not embedded", "negative biases": an entry of W^T W or a bias
# counts as 0 or 1 when it is less than a twentieth of the scale away on which it is drawn.
ENTRY_TOLERANCE = 0.05
# The bias of a dropped feature is its mean p/2 within a fifth of it: the best bias moves with the
# sum of a row's small entries, and a row has up to eighty.
MEAN_TOLERANCE = 0.2
POLYGON_TOLERANCE = 8  # degrees; a regular polygon bends where importances differ
LEAST_INTERFERENCE = 0.1  # of a pentagon; 1.5 when regular, 0 for antipodal pairs
SPARSE_INTERFERENCE = 1  # of twenty features in five dimensions
SAME_DIRECTION = 0.95  # cosine from which two features point the same way
GAIN = 0.9  # a loss below this part of the best linear model's gains something
MOST = 0.95  # share of a map's cells that have to satisfy what is said of the map
COUNT_TOLERANCE = 1  # features; published counts are read off a figure and good to about one

PUBLISHED = (5, 7, 9, 10, 11, 12, 12)  # represented features at TWENTY_DENSITIES, off the figure
PUBLISHED_ORTHOGONAL = (5, 3, 1, 0, 0, 0, 0)

# What the robustness study trains, as the claims' own notebooks do.
FIVE_DENSITIES = (1, 0.75, 0.5, 0.2, 0.1, 0.05)  # five features in two dimensions
LINEAR_DENSITIES = tuple(20 ** (-k / 9) for k in range(10))  # and linear models of them
HIDDEN_DENSITIES = (0.05, 0.99)  # the same with a hidden ReLU, equally important features
TWENTY_DENSITIES = (1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)  # twenty features in five dimensions
UNTIED_DENSITIES = (1, 0.001)
# Cells (r, p) of the phase diagrams for n = 2 and 3: at least a factor of 1.2 in r and in p from
# any boundary, but for the last one.
LINEAR_CELLS = {2: ((0.2, 0.8), (0.4, 0.8), (2.5, 0.8), (5, 0.8)), 3: ((0.2, 0.8), (0.4, 0.8))}
PAIRED_CELLS = {
    2: ((0.2, 0.1), (0.4, 0.1), (1, 0.1), (2.5, 0.1), (5, 0.1), (0.2, 0.02), (1, 0.02), (5, 0.02)),
    3: ((0.2, 0.1), (0.4, 0.1), (2.5, 0.1), (5, 0.1), (0.2, 0.02), (2, 0.02), (5, 0.02)),
}
JOINT_CELL = (1, 0.8)


def cells(n):
    """Relative importance [K] and density [K] of the cells for n = 2 or 3 features."""
    places = [*LINEAR_CELLS[n], *PAIRED_CELLS[n], *([JOINT_CELL] if n == 3 else [])]
    return torch.tensor(places, dtype=torch.float64).unbind(1)


# --- one model -----------------------------------------------------------------------------------


def dedicated(W):
    """The m most important features have orthogonal dimensions of their own, no other is embedded.

    W^T W is the identity on the first m features and 0 elsewhere.
    """
    m, n = W.shape[-2:]
    wanted = torch.diag((torch.arange(n) < m).to(W.dtype))
    return ((geometry.gram(W) - wanted).abs() < ENTRY_TOLERANCE).all(-1).all(-1)


def picks_favourites(W):
    """Some m features have orthogonal dimensions of their own, and no other is embedded."""
    longest_first = geometry.feature_norms(W).argsort(-1, descending=True)
    return dedicated(W.gather(-1, longest_first[..., None, :].expand(W.shape)))


def not_embedded(W):
    """Features [..., n] whose entries of W^T W are all 0."""
    return (geometry.gram(W).abs() < ENTRY_TOLERANCE).all(-1)


def in_pairs(W):
    """The 2m most important features are m antipodal pairs, and no other is embedded."""
    k = 2 * W.shape[-2]
    partners = geometry.antipodal_pairs(W).sum(-1)
    return (partners[..., :k] == 1).all(-1) & not_embedded(W)[..., k:].all(-1)


def polygon(W):
    """All features of W [..., 2, n] stand nearly as a regular polygon and interfere positively."""
    directions = geometry.angles(W).sort(-1).values
    gaps = torch.diff(directions, append=directions[..., :1] + 360)
    regular = (gaps - 360 / W.shape[-1]).abs().amax(-1) < POLYGON_TOLERANCE
    positive = geometry.positive_interference(W) > LEAST_INTERFERENCE
    return regular & positive & geometry.represented(W).all(-1)


def packs(W, loss, linear):
    """No two features point the same way, and the loss is well below the best linear model's."""
    same = torch.triu(geometry.interference(W) > SAME_DIRECTION, 1)
    return ~same.any(-1).any(-1) & (loss < GAIN * linear)


def same_phase(W, codes):
    """The phase of a model of the phase diagrams is `codes` [...], positions in diagram.PHASES."""
    return diagram.phase(W) == codes


def mostly(hits):
    """Most cells of a map do; `hits` are booleans, or the share of those that do."""
    return torch.as_tensor(hits).double().mean() >= MOST


def joint(W):
    """Three features share the plane, none opposite another."""
    return same_phase(W, diagram.PHASES.index(diagram.JOINT))


# --- a series of densities, from dense to sparse -------------------------------------------------


def as_linear(W, b, density):
    """At every density [D] W and b [D, ..., n] are the best linear model's.

    The first m features are `dedicated`, with biases of 0; the biases of the others are p/2.
    """
    m, n = W.shape[-2:]
    mean = density.reshape(-1, *[1] * (b.dim() - 1)) / 2
    off = (b - mean * (torch.arange(n) >= m)).abs()
    return (dedicated(W) & (off < MEAN_TOLERANCE * mean).all(-1)).all(0)


def never_more(W):
    """At no density are there more features than dimensions."""
    return (geometry.represented(W).sum(-1) <= W.shape[-2]).all(0)


def stores_more(W, linear):
    """The sparser the features the more of them are stored; never more than m by W [D, ...] of
    linear models."""
    counts = geometry.represented(W).sum(-1)
    return (counts.diff(dim=0) >= 0).all(0) & (counts[-1] > counts[0]) & never_more(linear)


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


def orthogonal_as_published(W):
    """As many features of the small model are orthogonal as in the paper's figure."""
    return counts_agree(geometry.orthogonal(W).sum(-1), PUBLISHED_ORTHOGONAL)


def stored_as_published(W):
    """As many features of the small model are represented as in the paper's figure."""
    return counts_agree(geometry.represented(W).sum(-1), PUBLISHED)


def pairs_first(W):
    """There is superposition, and at the first two densities with it all of it is in pairs."""
    sharing = geometry.represented(W) & ~geometry.orthogonal(W)
    unpaired = (sharing & ~geometry.antipodal_pairs(W).any(-1)).any(-1)
    some = sharing.any(-1)
    early = some & (some.int().cumsum(0) <= 2)
    return some.any(0) & ~(early & unpaired).any(0)


def not_negative(W, b):
    """Represented features [..., n] whose bias [..., n] is 0 or positive."""
    return geometry.represented(W) & (b > -ENTRY_TOLERANCE)


def sparse_parts(W, b):
    """The parts of `all_shared`: {part: [...]}."""
    return {
        "superposition": ~geometry.orthogonal(W).any(-1).any(0),
        "interference": (geometry.positive_interference(W) > SPARSE_INTERFERENCE).all(0),
        "biases": ~not_negative(W, b).any(-1).any(0),
    }


def all_shared(W, b):
    """Of sparse W [D, ..., m, n], b [D, ..., n] every represented feature is in superposition, with
    positive interference and a negative bias."""
    return torch.stack(list(sparse_parts(W, b).values())).all(0)


def both_needed(relu, linear, m):
    """More features are stored than there are m dimensions only with sparse features AND the ReLU.

    relu, linear : numbers of features [D, ...] that a ReLU and a linear model store.
    """
    return (linear <= m).all(0) & (relu[0] <= m) & (relu[-1] > m)


# --- the statements of the robustness study -------------------------------------------------------

# What a statement is about. Rates of different kinds are never added up.
KINDS = {
    "linear": "one model, where the optimum is linear",
    "superposed": "one model, where the optimum is superposition",
    "series": "a series of densities, all its models together",
    "unmet": "statements that the best models do not satisfy either",
}


class Statement(NamedTuple):
    """A row of the study: its kind, its claim in the ledger, what decides it there and here, and in
    short when it holds for a run."""

    kind: str
    claim: str
    judge: Callable
    when: str


STATEMENTS = {
    "intro-dense": Statement(
        "linear", "intro-dense", dedicated,
        "p = 1: features 1 and 2 orthogonal, no other embedded",
    ),
    "basic-dense": Statement(
        "linear", "basic-dense", as_linear,
        "p = 1: features 1 to 5 orthogonal, no other embedded, biases 0 and p/2",
    ),
    "phase-agree-linear": Statement(
        "linear", "phase-agree", same_phase,
        "n = 2, above the boundary: phase of the exact optimum",
    ),
    "phase-agree-n3-linear": Statement(
        "linear", "phase-agree-n3", same_phase, "n = 3, above the boundary: the same"
    ),
    "intro-antipodal": Statement(
        "superposed", "intro-antipodal", in_pairs,
        "p = 0.2: features 1 to 4 are two antipodal pairs, the fifth is not embedded",
    ),
    "intro-pentagon": Statement(
        "superposed", "intro-pentagon", polygon,
        "p = 0.1: five at 72° ± 8°, positive interference",
    ),
    "phase-agree-paired": Statement(
        "superposed", "phase-agree", same_phase,
        "n = 2, below the boundary: phase of the exact optimum",
    ),
    "phase-agree-n3-paired": Statement(
        "superposed", "phase-agree-n3", same_phase, "n = 3, below the boundary: the same"
    ),
    "phase-joint": Statement(
        "superposed", "phase-joint", joint, "n = 3, r = 1, p = 0.8: the triangle"
    ),
    "intro-linear": Statement(
        "series", "intro-linear", never_more,
        "linear model: two features at most, at ten densities",
    ),
    "dynamics-relu": Statement(
        "series", "dynamics-relu", stores_more,
        "six densities: never fewer when sparser, in the end more; linear: two at most",
    ),
    "basic-linear": Statement(
        "series", "basic-linear", as_linear,
        "linear model: W^T W within 0.05, b within a fifth of p/2, at seven densities",
    ),
    "basic-order": Statement(
        "series", "basic-order", falls_in_order,
        "orthogonal features are the most important and never increase in number",
    ),
    "basic-order-counts": Statement(
        "series", "basic-order", orthogonal_as_published,
        "orthogonal features number 5, 3, 1, 0, 0, 0, 0, up to one",
    ),
    "basic-pairs": Statement(
        "series", "basic-pairs", pairs_first,
        "at the first two densities with superposition it is all antipodal pairs",
    ),
    "basic-count": Statement(
        "series", "basic-count", stored_as_published,
        "represented features number 5, 7, 9, 10, 11, 12, 12, up to one",
    ),
    "variants-conditions": Statement(
        "series", "variants-conditions", both_needed,
        "more than five stored by ReLU at p = 0.001; not at p = 1, nor linear",
    ),
    "variants-conditions-untied": Statement(
        "series", "variants-conditions", both_needed, "the same with two weight matrices"
    ),
    "basic-sparse": Statement(
        "unmet", "basic-sparse", all_shared,
        "p ≤ 0.01: all in superposition, positive interference > 1, biases < -0.05",
    ),
    "experiments-packing": Statement(
        "unmet", "experiments-packing", packs,
        "hidden ReLU: no two features the same way, loss < 0.9 linear",
    ),
    "experiments-dense": Statement(
        "unmet", "experiments-dense", picks_favourites,
        "hidden ReLU, p = 0.99: two orthogonal features and no other",
    ),
}  # fmt: skip


def judge(study):
    """Every statement on every run: {statement: hits}, hits [S, R] or [cells, S, R].

    study : {name: Runs} as the robustness notebook trains them.
    """
    given = _five(study) | _twenty(study) | _phases(study)
    return {name: STATEMENTS[name].judge(*given[name]) for name in STATEMENTS}


def _five(study):
    """What the judges of statements about five features are given: {statement: arguments}."""
    five, linear, hidden = (study[name] for name in ("five", "five linear", "hidden"))
    dropped = linear_optimum(hidden.density[0], torch.ones(five.W.shape[-1]), five.W.shape[-2])
    return {
        "intro-dense": (five.W[FIVE_DENSITIES.index(1)],),
        "intro-antipodal": (five.W[FIVE_DENSITIES.index(0.2)],),
        "intro-pentagon": (five.W[FIVE_DENSITIES.index(0.1)],),
        "intro-linear": (linear.W,),
        "dynamics-relu": (five.W, linear.W),
        "experiments-packing": (hidden.W[0], hidden.loss[0], dropped),
        "experiments-dense": (torch.stack([hidden.W[1], study["hidden unequal"].W[0]]),),
    }


def _twenty(study):
    twenty, linear = study["twenty"], study["twenty linear"]
    untied, untied_linear = study["untied"], study["untied linear"]
    sparse, m = twenty.density <= 0.01, twenty.W.shape[-2]
    return {
        "basic-linear": (linear.W, linear.b, linear.density),
        "basic-dense": (twenty.W[:1], twenty.b[:1], twenty.density[:1]),
        "basic-order": (twenty.W,),
        "basic-order-counts": (twenty.W,),
        "basic-pairs": (twenty.W,),
        "basic-count": (twenty.W,),
        "basic-sparse": (twenty.W[sparse], twenty.b[sparse]),
        "variants-conditions": (twenty.stored(), linear.stored(), m),
        "variants-conditions-untied": (untied.stored(), untied_linear.stored(), m),
    }


def _phases(study):
    given = {
        name: (runs.W[part], diagram.phase(runs.optimum.W)[part, None, None])
        for name, runs, part in _phase_cells(study)
    }
    return given | {"phase-joint": (study["three"].W[-1],)}


def _phase_cells(study):
    """Statements about the phase diagrams: name, Runs, and the part of the cells they are about."""
    for name, n, runs in (("phase-agree", 2, study["two"]), ("phase-agree-n3", 3, study["three"])):
        cut = len(LINEAR_CELLS[n])
        yield f"{name}-linear", runs, slice(cut)
        yield f"{name}-paired", runs, slice(cut, cut + len(PAIRED_CELLS[n]))


def near_optimum(study):
    """Of statements with a known optimum: {statement: whether every model of the run is near it},
    as `judge` for the shapes."""
    five = study["five"].near()
    return {
        "intro-dense": five[FIVE_DENSITIES.index(1)],
        "intro-antipodal": five[FIVE_DENSITIES.index(0.2)],
        "intro-pentagon": five[FIVE_DENSITIES.index(0.1)],
        "intro-linear": study["five linear"].near().all(0),
        "dynamics-relu": five.all(0),
        "basic-linear": study["twenty linear"].near().all(0),
        **{name: runs.near()[part] for name, runs, part in _phase_cells(study)},
        "phase-joint": study["three"].near()[-1],
    }
