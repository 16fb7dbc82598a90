"""When a claim holds: the verdict of every claim on planted facts, which satisfy it or miss it by a
little. A new claim needs facts here.

The expression of the verdict is taken from the notebook, with what its cell assigns, and given the
facts in place of what the run found.
"""

import ast
import builtins
import json
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch

from common.artifacts import ROOT, verdict
from common.phases.diagram import DEDICATED, DROPPED, PAIRED
from common.robustness import criteria

PHASES = {"DEDICATED": DEDICATED, "DROPPED": DROPPED, "PAIRED": PAIRED}
HOLDS, PART, NOT = "holds", "holds in part", "does not hold"


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def by(judge):
    """Of a claim that one judge of `criteria` decides."""
    return [(HOLDS, {f"criteria.{judge}": torch.tensor(True)}),
            (NOT, {f"criteria.{judge}": torch.tensor(False)})]  # fmt: skip


YES, NO = torch.tensor(True), torch.tensor(False)
# Claim -> pairs (verdict, facts); facts that are not named are those of the first pair. The answers
# of judges are facts too: the judges have tests of their own.
PLANTED = {
    "experiments-packing": by("packs"),
    "intro-dense": by("dedicated"),
    "intro-antipodal": by("in_pairs"),
    "intro-pentagon": by("polygon"),
    "intro-linear": by("never_more"),
    "dynamics-relu": by("stores_more"),
    "basic-count": by("stored_as_published"),
    "basic-pairs": by("pairs_first"),
    "experiments-dense": [
        (HOLDS, {"criteria.picks_favourites": torch.tensor([True, True]), "hidden": None}),
        (PART, {"criteria.picks_favourites": torch.tensor([True, False])}),
        (NOT, {"criteria.picks_favourites": torch.tensor([False, False])}),
    ],
    "basic-linear": [
        (HOLDS, {"criteria.as_linear": YES, "criteria.dedicated": YES,
                 "polished_linear": {"small": (0, 0, 0)}}),
        (PART, {"criteria.as_linear": NO}),
        (NOT, {"criteria.as_linear": NO, "criteria.dedicated": NO}),
    ],
    "basic-dense": [
        (HOLDS, {"criteria.as_linear": YES, "criteria.dedicated": YES, "at_dense": (0, 0, 0)}),
        (PART, {"criteria.as_linear": NO}),
        (NOT, {"criteria.as_linear": NO, "criteria.dedicated": NO}),
    ],
    "basic-order": [
        (HOLDS, {"criteria.falls_in_order": YES, "criteria.orthogonal_as_published": YES}),
        (PART, {"criteria.falls_in_order": NO}),
        (PART, {"criteria.orthogonal_as_published": NO}),
        (NOT, {"criteria.falls_in_order": NO, "criteria.orthogonal_as_published": NO}),
    ],
    "basic-sparse": [
        (HOLDS, {"criteria.all_shared": YES, "criteria.sparse_parts": {"a": YES, "b": YES},
                 "sparse_models": (0, 0)}),
        (PART, {"criteria.all_shared": NO, "criteria.sparse_parts": {"a": NO, "b": YES}}),
        (NOT, {"criteria.all_shared": NO, "criteria.sparse_parts": {"a": NO, "b": NO}}),
    ],
    "variants-conditions": [
        (HOLDS, {"BOTH": ["one", "two"], "counts": {"linear": [5, 5], "one": [5, 9],
                 "two": [5, 6]}, "N_HIDDEN": 5, "one": tensor(5, 9), "last": 1,
                 "criteria.both_needed": YES}),
        (PART, {"criteria.both_needed": NO}),
        (NOT, {"criteria.both_needed": NO, "one": tensor(5, 5)}),
    ],
    "phase-joint": [
        (HOLDS, {"criteria.joint": tensor(*[1] * 96, *[0] * 4)}),
        (NOT, {"criteria.joint": tensor(*[1] * 94, *[0] * 6)}),
    ],
    "experiments-importance": [
        (HOLDS, {"lengths": {"hidden ReLU": tensor(3, 2, 1)},
                 "errors": {"hidden ReLU": tensor(0.1, 0.085, 0.3)}}),
        (PART, {"lengths": {"hidden ReLU": tensor(3, 3.1, 1)}}),
        (PART, {"errors": {"hidden ReLU": tensor(0.1, 0.075, 0.3)}}),
        (NOT, {"lengths": {"hidden ReLU": tensor(1, 1, 1)},
               "errors": {"hidden ReLU": tensor(0.3, 0.2, 0.1)}}),
    ],
    "dynamics-start": [(HOLDS, {"deviation": 3.1}), (NOT, {"deviation": 2.9}),
                       (NOT, {"deviation": -4})],
    "dynamics-order": [
        (HOLDS, {"rate": 0.91, "small_rate": 0.92}),
        (PART, {"rate": 0.89}), (PART, {"small_rate": 0.89}),
        (NOT, {"rate": 0.89, "small_rate": 0.89}),
    ],
    "basic-scale": [
        (HOLDS, {"difference": tensor(0.09, 0.0), "down_to_001": 0.05, "exact_part": [0, 1],
                 "large_represented": tensor(19, 27, 70), "known": tensor(20, 26, 50)}),
        (PART, {"difference": tensor(0.11, 0.0)}),
        (PART, {"large_represented": tensor(18, 27, 70)}),
        (PART, {"large_represented": tensor(20, 28, 70)}),
        (PART, {"large_represented": tensor(20, 26, 48)}),
        (NOT, {"difference": tensor(0.11, 0.0), "down_to_001": 0.11}),
    ],
    "rec-sparse": [
        (HOLDS, {"falling": {"a": True, "b": True}, "ends": [(0.6, 0.04), (0.6, 0.049)]}),
        (PART, {"falling": {"a": True, "b": False}}),
        (PART, {"ends": [(0.6, 0.04), (0.6, 0.051)]}),
        (NOT, {"falling": {"a": True, "b": False}, "ends": [(0.6, 0.04), (0.6, 0.051)]}),
    ],
    "rec-capacity": [
        (HOLDS, {"helped": [True, True], "few": 14, "small": (20, 5)}),
        (PART, {"few": 15}), (PART, {"few": None}), (PART, {"helped": [True, False]}),
        (NOT, {"helped": [True, False], "few": None}),
    ],
    "rec-learned": [
        (HOLDS, {"better": 3, "gains": [1, 2, 3]}), (PART, {"better": 1}), (NOT, {"better": 0}),
    ],
    "rec-blind": [
        (HOLDS, {"tops": [("", 0.91, 0.1), ("", 0.9, 0.1)]}),
        (PART, {"tops": [("", 0.91, 0.1), ("", 0.89, 0.1)]}),
        (PART, {"tops": [("", 0.31, 0.1), ("", 0.41, 0.2)]}),
        (NOT, {"tops": [("", 0.91, 0.1), ("", 0.39, 0.2)]}),
    ],
    "hidden-monosemantic": [
        (HOLDS, {"best_mono": [5, 5, 2, 0], "N_HIDDEN": 5}),
        (PART, {"best_mono": [4, 3, 2, 0]}), (PART, {"best_mono": [5, 3, 2, 1]}),
        (PART, {"best_mono": [5, 2, 3, 0]}), (NOT, {"best_mono": [4, 3, 2, 1]}),
    ],
    "hidden-basis": [
        (HOLDS, {"DENSITIES": [1, 0.1], "beaten": [0.95, 1.0], "least": tensor(1.01, 1.2),
                 "rise": tensor(1.1, 9)}),
        (PART, {"beaten": [0.94, 1.0]}), (PART, {"least": tensor(0.99, 1.2)}),
        (NOT, {"least": tensor(0.99, 1.2), "rise": tensor(0.99, 9)}),
    ],
    "math-linear": [
        (HOLDS, {"identity_error": 9e-13, "deviation": -3.9}),
        (NOT, {"identity_error": 2e-12}), (NOT, {"deviation": -4.1}), (NOT, {"deviation": 4.1}),
    ],
    "math-expansion": [
        (HOLDS, {"expansion_error": 9e-10, "sparse_share": 0.951}),
        (PART, {"sparse_share": 0.949}), (NOT, {"expansion_error": 2e-9}),
    ],
    "math-free": [
        (HOLDS, {"free": 9e-13, "one": 9e-13, "freed": 9e-13}),
        (NOT, {"free": 2e-12}), (NOT, {"one": 2e-12}), (NOT, {"freed": 2e-12}),
    ],
    "variants-entangled": [
        (HOLDS, {"disturbed": 1.0, "still": 0.09}), (PART, {"still": 0.11}),
        (NOT, {"disturbed": 0.9, "still": 0.01}),
    ],
    "variants-windmill": [
        (HOLDS, {"ks": [3, 5, 8], "edges": {5: 0.3, 8: 0.1},
                 "is_lowest": {(5, 0): True, (8, 0): False, (8, 1): True}}),
        (PART, {"is_lowest": {(5, 0): True, (8, 0): False}}), (PART, {"edges": {8: 0.1}}),
        (PART, {"edges": {5: 0.3}, "is_lowest": {(5, 0): True, (8, 0): False}}),
        (NOT, {"edges": {3: 0.1}}),
    ],
    "variants-width": [
        (HOLDS, {"sup": tensor(1, 0.5, 0.509, 0.04)[:, None]}),
        (PART, {"sup": tensor(1, 0.5, 0.52, 0.04)[:, None]}),
        (NOT, {"sup": tensor(1, 0.5, 0.4, 0.06)[:, None]}),
    ],
    "real-superposition": [
        (HOLDS, {"facts": {"words": {"represented": 11, "negative biases": 31, "orthogonal": 0,
                                     "antipodal pairs": 1}, "shuffled": {}},
                 "N_HIDDEN": 10, "N_WORDS": 60, "share": {"words": 0.3},
                 "linear_share": {"words": 0.4}}),
        (PART, {"biased": False}), (PART, {"packed": False}), (NOT, {"share": {"words": 0.5}}),
        (NOT, {"N_HIDDEN": 11}), (PART, {"N_WORDS": 62}),
        *((PART, {"real": {"represented": 11, "negative biases": 31, "orthogonal": alone,
                           "antipodal pairs": pairs}}) for alone, pairs in ((1, 1), (0, 0))),
    ],
    "deep-superposition": [
        (HOLDS, {"deep_count": [3, 4], "TOY_HIDDEN": 2}), (PART, {"deep_count": [2, 3]}),
        (NOT, {"deep_count": [1, 2]}),
    ],
    "robust-claims": [
        (HOLDS, {"everywhere": ["a", "b", "c"], "TRIED": ["a", "b", "c"]}),
        (PART, {"everywhere": ["a", "b"]}), (NOT, {"everywhere": ["a"]}),
    ],
    "rec-transition": [
        (HOLDS, {"agrees": True, "stop": True, "beside": tensor(-0.09, 0.05).numpy()}),
        (PART, {"stop": False}), (PART, {"beside": tensor(-0.11, 0.05).numpy()}),
        (NOT, {"agrees": False}),
    ],
    "compression-phases": [
        (HOLDS, {"dense": [True, True], "everything_from": [0.3, 0.5], "thresholds": [0.3, 0.5]}),
        (PART, {"dense": [True, False]}), (PART, {"everything_from": [0.3]}),
        (NOT, {"dense": [True, False], "everything_from": [0.3]}),
    ],
    "compression-onset": [
        (HOLDS, {"begins": [1, 2], "exact_hidden": [1, 2], "seen": [True, True],
                 "other_jump": True, "largest_apart": 9e-7}),
        (PART, {"begins": [1]}), (PART, {"seen": [True, False]}), (PART, {"other_jump": False}),
        (PART, {"largest_apart": 2e-6}), (NOT, {"begins": [1], "other_jump": False}),
    ],
    "phase-n3": [
        (HOLDS, {"by_direction": 0.96, "by_extra": 0.99, "jointly": torch.tensor([False, False])}),
        (PART, {"by_direction": 0.94}), (PART, {"jointly": torch.tensor([True, False])}),
        (NOT, {"by_direction": 0.94, "by_extra": 0.89}),
    ],
    "phase-agree-n3": [
        (HOLDS, {"criteria.same_phase": tensor(1, 0.91), "best_W": 0, "names": {"exact": 0},
                 "extra_theory": 0.96, "clear": 0.97}),
        (PART, {"extra_theory": 0.94}), (PART, {"criteria.same_phase": tensor(1, 0.89)}),
        (NOT, {"extra_theory": 0.94, "clear": 0.94}),
    ],
    "phase-agree": [
        (HOLDS, {"criteria.same_phase": tensor(1, 0.91), "best_W": 0, "names": {"exact": 0},
                 "agree": {("theory", "trained"): (0.96, 0.5)}, "clear": 0.97}),
        (PART, {"agree": {("theory", "trained"): (0.94, 1)}}),
        (PART, {"criteria.same_phase": tensor(1, 0.89)}),
        (NOT, {"criteria.same_phase": tensor(1, 0.89), "clear": 0.94}),
    ],
    "pentagon-proved": [
        (HOLDS, {"proved_live": True, "proved_log": True}),
        (NOT, {"proved_live": False}), (NOT, {"proved_log": False}),
    ],
    "pentagon-seven": [
        (HOLDS, {"best_k": {5: 5, 7: 7, 8: 7, 9: 7},
                 "rivals": dict.fromkeys((5, 7, 8, 9), [0.5] * 10),
                 "searched": {n: (0, 0, tensor(0.5 - 9e-10, 0.6)) for n in (5, 7, 8, 9)}}),
        (NOT, {"searched": {7: (0, 0, tensor(0.5 - 1.1e-9, 0.6))}}),
        (NOT, {"best_k": {5: 5, 7: 7, 8: 8, 9: 7}}), (NOT, {"best_k": {5: 5, 7: 6, 8: 7, 9: 7}}),
    ],
    "pentagon-range": [
        (HOLDS, {"below": [True, True], "is_pentagon": bool, "takeover": MagicMock(below=True)}),
        (NOT, {"below": [True, False]}), (NOT, {"below": []}),
        (NOT, {"takeover": MagicMock(below=False)}),
    ],
    "pentagon-penalty": [
        (HOLDS, {"followed": {(5, 0.1): (tensor(5, 3), tensor(0.8, 0.798), 0)},
                 "triangle": tensor(0, 1) > 0}),
        (PART, {"followed": {(5, 0.1): (tensor(5, 3), tensor(0.8, 0.7995), 0)}}),
        (PART, {"followed": {(5, 0.1): (tensor(5, 2), tensor(0.8, 0.5), 0)}}),
        (PART, {"followed": {(3, 0.1): (tensor(3, 3), tensor(1, 0.5), 0)}}),
        (NOT, {"triangle": tensor(0, 0) > 0}),
    ],
    "phase-onset": [
        (HOLDS, {"positive": tensor(0, 1, 1, 0) > 0, "span": tensor(0.1, 0.2, 0.3, 0.4),
                 "lower_p": 0.15, "upper_p": 0.35}),
        (NOT, {"lower_p": 0.05}), (NOT, {"upper_p": 0.45}), (NOT, {"upper_p": 0.25}),
        (NOT, {"positive": tensor(1, 0, 0, 1) > 0}),
    ],
    "phase-n2": [
        (HOLDS, {"share_of": {"exact": {DROPPED: 0.1, DEDICATED: 0.1, PAIRED: 0.06}},
                 "meet": 4 / 7}),
        (PART, {"meet": 0.571}),
        (NOT, {"share_of": {"exact": {DROPPED: 0.1, PAIRED: 0.06}}}),
        (NOT, {"share_of": {"exact": {DROPPED: 0.1, DEDICATED: 0.1, PAIRED: 0.04}}}),
    ],
    "phase-sharp": [
        (HOLDS, {"jump": tensor(0.11, 0.5), "line_r": tensor(1, 3), "upper_r": 1.1,
                 "lower_r": 1.7}),
        (PART, {"jump": tensor(0.09, 0.5)}), (PART, {"line_r": tensor(1, 1.5)}),
        (NOT, {"jump": tensor(0.05, 0.09)}),
    ],
    "phase-order": [(HOLDS, {"theory_jump": tensor(0.1, 0.2)}),
                    (NOT, {"theory_jump": tensor(-0.1, 0.2)})],
    "flow-basins": [
        (HOLDS, {"pair_share": tensor(0.41, 0.59), "start_share": 0.81}),
        (PART, {"pair_share": tensor(0.39, 0.5)}), (PART, {"pair_share": tensor(0.5, 0.61)}),
        (PART, {"start_share": 0.79}),
        (NOT, {"pair_share": tensor(0.39, 0.5), "start_share": 0.79}),
    ],
    "penalty-surface": [
        (HOLDS, {"factor": tensor(1.5, 2), "above": tensor(0, 1e-11), "critical": tensor(0, 0.03),
                 "top": (0.3, 0.03)}),
        (NOT, {"factor": tensor(1.49, 2)}), (NOT, {"above": tensor(0, 1e-9)}),
        (NOT, {"critical": tensor(0, 0.031)}),
    ],
    "certified-n2": [
        (HOLDS, {"sure": tensor(*[1] * 98, 0, 0), "agree": 1.0, "excess": tensor(0, 9e-4)}),
        (NOT, {"sure": tensor(*[1] * 97, 0, 0, 0)}), (NOT, {"agree": 0.999}),
        (NOT, {"excess": tensor(0, 1.1e-3)}), (NOT, {"excess": tensor(-1e-11, 9e-4)}),
    ],
    "one-axis": [
        (HOLDS, {"certificates": SimpleNamespace(check=tuple, CERTIFICATES=[(1, 2), (2, 3)]),
                 "q": {2: tensor(0.1, 0.1), 3: tensor(0.14, 0.16)}, "p": tensor(0.1, 0.5),
                 "third": 0.2, "feature_variance": lambda p: 0.05 + 0 * p, "MOST": 3}),
        (PART, {"certificates": SimpleNamespace(check=tuple, CERTIFICATES=[(1, 2), (3, 3)])}),
        (PART, {"third": 0.6}), (PART, {"q": {2: tensor(0.1, 0.1), 3: tensor(0.16, 0.16)}}),
        (NOT, {"certificates": SimpleNamespace(check=tuple, CERTIFICATES=[(3, 2)]), "third": 0.6}),
    ],
}  # fmt: skip


def claims():
    """Claim -> (assignments of its cell from top to bottom, the call of `verdict`)."""
    found = {}
    for path in sorted(ROOT.glob("0*_*/*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and "output.claim(" in source:
                tree = ast.parse(source)
                assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
                for node in ast.walk(tree):
                    if isinstance(node, ast.Call) and ast.unparse(node.func) == "output.claim":
                        (given,) = [k.value for k in node.keywords if k.arg == "verdict"]
                        found[node.args[0].value] = assigned, given
    return found


CLAIMS = claims()


def names(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def judged(claim, facts):
    """The verdict by the notebook's expression, with `facts` in place of what the run found."""
    assigned, given = CLAIMS[claim]
    needed, steps = names(given) - set(facts), []
    for node in reversed(assigned):  # what the expression needs, and what that needs
        targets = names(node.targets[0])
        if targets & needed:
            needed |= names(node.value) - set(facts)
            steps.insert(0, node)
    space = {name: MagicMock() for name in needed - set(dir(builtins))}  # what judges are asked
    space |= {"verdict": verdict, "torch": torch, "np": np, "criteria": Judges(facts), **PHASES}
    space |= facts
    for step in steps:
        exec(compile(ast.Module([step], []), claim, "exec"), space)
        space |= facts  # also those that the cell assigns together with others
    return eval(compile(ast.Expression(given), claim, "eval"), space)


class Judges:
    """`criteria`, with planted answers of some judges whatever they are asked about."""

    def __init__(self, facts):
        self.facts = facts

    def __getattr__(self, name):
        if f"criteria.{name}" in self.facts:
            return lambda *models, **options: self.facts[f"criteria.{name}"]
        return getattr(criteria, name)


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_verdict_follows_from_the_facts(claim):
    (_, first), *_ = PLANTED[claim]
    for expected, facts in PLANTED[claim]:
        assert judged(claim, first | facts) == expected, facts


def test_every_verdict_is_given_for_some_facts():
    """Both ends of every claim; and no facts of a claim that is gone."""
    assert set(PLANTED) == set(CLAIMS)
    for claim, planted in PLANTED.items():
        assert {HOLDS, NOT} <= {expected for expected, _ in planted}, claim
        (_, given) = CLAIMS[claim]
        partly = len(given.args) + len(given.keywords) == 2
        assert (PART in {expected for expected, _ in planted}) == partly, claim
