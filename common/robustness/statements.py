"""The robustness study: what it trains, its statements, and in which runs they hold.

A statement is a claim, or a part of one, about single runs. STATEMENTS names for each the judge of
its claim, a function of `common.robustness.criteria`.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from common.phases import diagram
from common.robustness import criteria
from common.theory import linear_optimum

# What is trained, as in the claims' own notebooks.
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

# What a statement is about. Rates of different kinds are never added up.
KINDS = {
    "linear": "one model, where the optimum is linear",
    "superposed": "one model, where the optimum is superposition",
    "series": "a series of densities, all its models together",
    "unmet": "statements that the best models do not satisfy either",
}


class Statement(NamedTuple):
    """A row of the study: its kind, its claim in the ledger, the judge of it there and here, a
    label for figures, and in short when it holds for a run."""

    kind: str
    claim: str
    judge: Callable
    label: str
    when: str


def _listed(counts):
    return ", ".join(str(count) for count in counts)


STATEMENTS = {
    "intro-dense": Statement(
        "linear", "intro-dense", criteria.dedicated, "5 features, dense: two orthogonal",
        "p = 1: features 1 and 2 orthogonal, no other embedded",
    ),
    "basic-dense": Statement(
        "linear", "basic-dense", criteria.as_linear, "20 features, dense: five orthogonal",
        "p = 1: features 1 to 5 orthogonal, no other embedded, biases 0 and p/2",
    ),
    "phase-agree-linear": Statement(
        "linear", "phase-agree", criteria.same_phase, "2 features, dense: the right one kept",
        "n = 2, above the boundary: phase of the exact optimum",
    ),
    "phase-agree-n3-linear": Statement(
        "linear", "phase-agree-n3", criteria.same_phase, "3 features, dense: the right two kept",
        "n = 3, above the boundary: the same",
    ),
    "intro-antipodal": Statement(
        "superposed", "intro-antipodal", criteria.in_pairs,
        "5 features, p = 0.2: two antipodal pairs",
        "p = 0.2: features 1 to 4 are two antipodal pairs, the fifth is not embedded",
    ),
    "intro-pentagon": Statement(
        "superposed", "intro-pentagon", criteria.polygon, "5 features, p = 0.1: the pentagon",
        "p = 0.1: five at 72° ± 8°, positive interference",
    ),
    "phase-agree-paired": Statement(
        "superposed", "phase-agree", criteria.same_phase, "2 features, sparse: antipodal pair",
        "n = 2, below the boundary: phase of the exact optimum",
    ),
    "phase-agree-n3-paired": Statement(
        "superposed", "phase-agree-n3", criteria.same_phase, "3 features, sparse: the right pair",
        "n = 3, below the boundary: the same",
    ),
    "phase-joint": Statement(
        "superposed", "phase-joint", criteria.joint, "3 equal features: the triangle",
        "n = 3, r = 1, p = 0.8: the triangle",
    ),
    "intro-linear": Statement(
        "series", "intro-linear", criteria.never_more, "linear: never more than two stored",
        "linear model: two features at most, at ten densities",
    ),
    "dynamics-relu": Statement(
        "series", "dynamics-relu", criteria.stores_more, "the sparser, the more are stored",
        "six densities: never fewer when sparser, in the end more; linear: two at most",
    ),
    "basic-linear": Statement(
        "series", "basic-linear", criteria.as_linear, "linear: as its closed form says",
        "linear model: W^T W within 0.05, b within a fifth of p/2, at seven densities",
    ),
    "basic-order": Statement(
        "series", "basic-order", criteria.falls_in_order, "the most important ones orthogonal",
        "orthogonal features are the most important and never increase in number",
    ),
    "basic-order-counts": Statement(
        "series", "basic-order", criteria.orthogonal_as_published,
        "as many orthogonal as published",
        f"orthogonal features number {_listed(criteria.PUBLISHED_ORTHOGONAL)}, up to one",
    ),
    "basic-pairs": Statement(
        "series", "basic-pairs", criteria.pairs_first, "antipodal pairs come first",
        "at the first two densities with superposition it is all antipodal pairs",
    ),
    "basic-count": Statement(
        "series", "basic-count", criteria.stored_as_published, "as many stored as published",
        f"represented features number {_listed(criteria.PUBLISHED)}, up to one",
    ),
    "variants-conditions": Statement(
        "series", "variants-conditions", criteria.both_needed, "sparsity and the ReLU both needed",
        "more than five stored by ReLU at p = 0.001; not at p = 1, nor linear",
    ),
    "variants-conditions-untied": Statement(
        "series", "variants-conditions", criteria.both_needed, "the same with two weights",
        "the same with two weight matrices",
    ),
    "basic-sparse": Statement(
        "unmet", "basic-sparse", criteria.all_shared, "sparse: all share, with negative biases",
        "p ≤ 0.01: all in superposition, positive interference > 1, biases < -0.05",
    ),
    "experiments-packing": Statement(
        "unmet", "experiments-packing", criteria.packs, "hidden ReLU: no two the same way",
        "hidden ReLU: no two features the same way, loss < 0.9 linear",
    ),
    "experiments-dense": Statement(
        "unmet", "experiments-dense", criteria.picks_favourites,
        "hidden ReLU, dense: two orthogonal",
        "hidden ReLU, p = 0.99: two orthogonal features and no other",
    ),
}  # fmt: skip


def cells(n):
    """Relative importance [K] and density [K] of the cells for n = 2 or 3 features."""
    places = [*LINEAR_CELLS[n], *PAIRED_CELLS[n], *([JOINT_CELL] if n == 3 else [])]
    return torch.tensor(places, dtype=torch.float64).unbind(1)


def outcomes(study):
    """Whether each statement holds for each run: {statement: [S, R] or [cells, S, R]}.

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
    of the shapes of `outcomes`."""
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
