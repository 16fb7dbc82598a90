"""Judges on planted models: made by hand to satisfy a claim, or to miss it in one way, by a little
less and a little more than each threshold. And the notebooks that own the claims ask the same
judges."""

import ast
import json
import math
import re
from dataclasses import replace

import pytest
import torch

from common import geometry
from common.artifacts import ROOT
from common.exact import minimise
from common.phases import diagram
from common.robustness import criteria
from common.robustness.runs import Runs

PENTAGON = geometry.regular_polygon(5, 1.1)
PAIRS = torch.tensor([[1.0, -1, 0, 0, 0], [0, 0, 1, -1, 0]], dtype=torch.float64)
TWO = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, 0, 0, 0]], dtype=torch.float64)


def turned(W, degrees=33.0):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64) @ W


def changed(W, column, values):
    W = W.clone()
    W[:, column] = torch.as_tensor(values, dtype=W.dtype)
    return W


def test_dedicated_orthogonal_dimensions():
    """W^T W within 0.05 of the identity on the first two features and of 0 elsewhere."""
    assert criteria.dedicated(turned(TWO))
    for norm, own in ((1.024, True), (1.026, False), (0.976, True), (0.974, False)):
        assert criteria.dedicated(changed(TWO, 0, [norm, 0])) == own  # squares: 1.05 and 0.95
    for short, none in ((0.049, True), (0.051, False)):  # of a feature that is not embedded
        assert criteria.dedicated(changed(TWO, 4, [short, 0])) == none
    for degrees, orthogonal in ((2.8, True), (2.9, False)):  # cosines of 0.049 and 0.051
        slanted = changed(TWO, 1, turned(TWO, degrees)[:, 1])
        assert criteria.dedicated(slanted) == orthogonal
    assert not criteria.dedicated(TWO[:, [0, 2, 1, 3, 4]])  # the third instead of the second
    stack = torch.stack([TWO, PENTAGON, PAIRS, TWO])
    assert criteria.dedicated(stack).tolist() == [True, False, False, True]


def test_favourites_may_be_any_two():
    for order in ([0, 1, 2, 3, 4], [2, 0, 3, 4, 1]):
        assert criteria.picks_favourites(turned(TWO)[:, order])
        assert not criteria.picks_favourites(changed(TWO, 4, [0.06, 0])[:, order])
    assert not criteria.picks_favourites(0.97 * TWO)  # squares: 0.94
    one = changed(TWO, 1, [0, 0])
    assert criteria.picks_favourites(torch.stack([TWO, one, PAIRS])).tolist() == [
        True,
        False,
        False,
    ]


def test_two_antipodal_pairs_of_the_first_four():
    for partners in ([0, 1, 2, 3, 4], [0, 2, 1, 3, 4], [2, 0, 3, 1, 4]):
        assert criteria.in_pairs(turned(PAIRS[:, partners]))
    assert not criteria.in_pairs(PAIRS[:, [0, 1, 2, 4, 3]])  # the fifth instead of the fourth
    assert not criteria.in_pairs(PENTAGON)
    assert not criteria.in_pairs(TWO)
    for short, none in ((0.049, True), (0.051, False)):  # the fifth is not embedded
        assert criteria.in_pairs(changed(PAIRS, 4, [short, 0])) == none
    for degrees, opposite in ((25, True), (26, False)):  # cosines of -0.906 and -0.899
        bent = changed(PAIRS, 1, turned(PAIRS, degrees)[:, 1])
        assert criteria.in_pairs(bent) == opposite
    same_way = torch.tensor([[1.0, 1, -1, -1, 0], [0, 0, 0, 0, 0]], dtype=torch.float64)
    assert not criteria.in_pairs(same_way)


def test_pentagon_in_any_order_and_position():
    assert criteria.polygon(turned(PENTAGON[:, [3, 0, 4, 2, 1]]))
    assert criteria.polygon(turned(PENTAGON, -359.9))
    for degrees, regular in ((7.9, True), (8.1, False)):
        bent = torch.cat([turned(PENTAGON[:, :1], degrees), PENTAGON[:, 1:]], 1)
        assert criteria.polygon(bent) == regular
    for norm, stored in ((0.51, True), (0.49, False)):
        assert criteria.polygon(geometry.regular_polygon(5, norm)) == stored
    assert not criteria.polygon(changed(PENTAGON, 4, [0, 0]))
    square = torch.cat([geometry.regular_polygon(4), torch.zeros(2, 1)], 1)
    assert not criteria.polygon(square)
    assert not criteria.polygon(PAIRS)
    for degrees, positive in ((7.5, True), (0, False)):  # a square has no positive interference
        whole = geometry.regular_polygon(4)
        bent = changed(whole, 0, turned(whole, degrees)[:, 0])
        assert criteria.polygon(bent) == positive


def test_packing():
    """Shared directions spoil it, and so does a loss that is not below 0.9 of the linear one."""
    loss, linear = torch.tensor([0.89, 0.91], dtype=torch.float64), torch.tensor(1.0)
    for W in (PENTAGON, PAIRS):  # opposite is not the same way, nor is a dead feature
        assert criteria.packs(torch.stack([W, W]), loss, linear).tolist() == [True, False]
    for degrees, apart in ((19, True), (18, False)):  # cosines of 0.946 and 0.951
        near = changed(PENTAGON, 3, turned(PENTAGON, degrees)[:, 1])
        assert criteria.packs(near, loss[0], linear) == apart


def test_phases_of_models():
    pair, dropped = torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 0.1]])
    codes = torch.tensor([diagram.PHASES.index(diagram.PAIRED)] * 2)
    assert criteria.same_phase(torch.stack([pair, dropped]), codes).tolist() == [True, False]
    for degrees, shared in ((0, True), (25, True), (55, False)):  # from 120° towards 180°
        triangle = geometry.regular_polygon(3)
        bent = changed(triangle, 1, turned(triangle, degrees)[:, 1])
        assert criteria.joint(bent) == shared


def test_the_linear_solution():
    """Also the biases: 0 within 0.2 of p/2 for what is kept, p/2 within a fifth for the rest."""
    density = torch.tensor([1.0, 0.1], dtype=torch.float64)
    W = torch.stack([TWO, turned(TWO)])
    b = density[:, None] / 2 * torch.tensor([0.0, 0, 1, 1, 1])
    assert criteria.as_linear(W, b, density)
    assert not criteria.as_linear(torch.stack([TWO, PAIRS]), b, density)
    for feature in (0, 3):
        for part, good in ((0.19, True), (-0.19, True), (0.21, False), (-0.21, False)):
            moved = b.clone()
            moved[1, feature] += part * 0.05
            assert criteria.as_linear(W, moved, density) == good


def test_counts_over_densities():
    linear = torch.stack([TWO] * 3)
    assert criteria.stores_more(torch.stack([TWO, PAIRS, PENTAGON]), linear)
    assert criteria.stores_more(torch.stack([TWO, PAIRS, PAIRS]), linear)
    assert not criteria.stores_more(torch.stack([TWO, PENTAGON, PAIRS]), linear)  # fewer again
    assert not criteria.stores_more(torch.stack([PAIRS] * 3), linear)  # no more than at the start
    assert not criteria.stores_more(torch.stack([TWO, PAIRS, PENTAGON]), torch.stack([TWO, PAIRS]))
    for norm, two in ((0.49, True), (0.51, False)):
        assert criteria.never_more(torch.stack([TWO, changed(TWO, 3, [norm, 0])])) == two
    counts = torch.tensor([[2, 2, 2], [2, 4, 3], [4, 4, 2], [5, 5, 5]])
    assert criteria.counts_agree(counts, (2, 3, 4, 5)).tolist() == [True, True, False]
    assert criteria.counts_agree(counts[:, 0], (3, 3, 3, 4))


def row(*models):
    """Models of n = 5 and any m as W [D, 4, 5], with rows of zeros below."""
    filled = [torch.cat([W, torch.zeros(4 - len(W), 5)]) for W in models]
    return torch.stack(filled).double()


FOUR = torch.eye(4, 5)  # four orthogonal features
ONE_PAIR = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, -1, 0], [0, 0, 0, 0, 1]])
TWO_PAIRS = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, -1, 0, 0], [0, 0, 0, 1, -1], [0, 0, 0, 0, 0]])


def test_order_of_orthogonal_features():
    assert criteria.falls_in_order(row(FOUR, TWO_PAIRS, PENTAGON))
    assert not criteria.falls_in_order(row(FOUR, ONE_PAIR, PENTAGON))  # the fifth stays orthogonal
    assert not criteria.falls_in_order(row(TWO_PAIRS, FOUR, PENTAGON))  # more of them when sparser


def test_pairs_come_first():
    assert criteria.pairs_first(row(FOUR, ONE_PAIR, TWO_PAIRS, PENTAGON))
    assert criteria.pairs_first(row(ONE_PAIR))
    assert not criteria.pairs_first(row(FOUR, ONE_PAIR, PENTAGON))
    assert not criteria.pairs_first(row(PENTAGON, ONE_PAIR))
    assert not criteria.pairs_first(row(FOUR, FOUR))  # no superposition at all


def test_parts_of_sparse_models():
    W = torch.stack([PENTAGON, PENTAGON])
    b = torch.full((2, 5), -0.2)
    assert [bool(v) for v in criteria.sparse_parts(W, b).values()] == [True] * 3
    assert criteria.all_shared(W, b)
    for bias, negative in ((-0.051, True), (-0.049, False), (0.01, False)):
        b[1, 3] = bias
        found = [bool(v) for v in criteria.sparse_parts(W, b).values()]
        assert found == [True, True, negative] and criteria.all_shared(W, b) == negative
    dead = torch.stack([PENTAGON, PAIRS])  # pairs: no positive interference; a dropped feature's
    b[1] = torch.tensor([-0.1, -0.1, -0.1, -0.1, 0.3])  # bias may be what it wants
    assert [bool(v) for v in criteria.sparse_parts(dead, b).values()] == [True, False, True]
    for radius, enough in ((0.81, True), (0.80, False)):  # five times 0.309 radius^2
        one = geometry.regular_polygon(5, radius)[None]
        assert criteria.sparse_parts(one, b[:1])["interference"] == enough
    alone = row(PENTAGON, TWO_PAIRS)
    assert not criteria.sparse_parts(alone, b)["superposition"]


def test_both_conditions():
    def needed(relu, linear):
        return bool(criteria.both_needed(torch.tensor(relu), torch.tensor(linear), 2))

    assert needed([2, 5], [2, 1])
    assert not needed([2, 2], [2, 2])  # no more with both
    assert not needed([3, 5], [2, 2])  # more when dense
    assert not needed([2, 5], [2, 3])  # more without the ReLU


# --- the notebooks ask the same judges -----------------------------------------------------------


def claim_cells():
    """Claim -> the parsed code cell of the notebook that gives its verdict."""
    cells = {}
    for path in ROOT.glob("0*_*/*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code" and "output.claim(" in source:
                tree = ast.parse(source)
                for node in calls(tree, "claim"):
                    cells[node.args[0].value] = tree, node
    return cells


def calls(tree, name):
    """Every call of something called `name` within a syntax tree."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    return [node for node in found if getattr(node.func, "attr", "") == name]


def condition(tree, claim):
    """What a claim's verdict holds by: the first argument of `verdict`, with the names that the
    same cell assigns in place of them."""
    (verdict,) = [k.value for k in claim.keywords if k.arg == "verdict"]
    parts, seen = [verdict.args[0]], set()
    assigned = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for part in parts:
        for node in ast.walk(part):
            if isinstance(node, ast.Name) and node.id in assigned and node.id not in seen:
                seen.add(node.id)
                parts.append(assigned[node.id])
    return parts


@pytest.mark.parametrize("name", criteria.STATEMENTS)
def test_a_claim_is_decided_by_the_same_function_in_its_notebook(name):
    """And by nothing else: no comparison of numbers stands beside it."""
    statement = criteria.STATEMENTS[name]
    parts = condition(*claim_cells()[statement.claim])
    asked = [
        node
        for part in parts
        for node in calls(part, statement.judge.__name__)
        if getattr(node.func.value, "id", "") == "criteria"
    ]
    assert asked, f"{statement.claim} does not ask criteria.{statement.judge.__name__}"
    assert not any(isinstance(node, ast.Compare) for part in parts for node in ast.walk(part))


def test_the_write_up_has_a_row_for_every_statement_under_its_kind():
    tex = (ROOT / "FINDINGS.tex").read_text(encoding="utf-8")
    rows = re.findall(r"^\\robust(kind|row)\{(.*?)\}", tex, re.MULTILINE)
    expected = []
    for kind, title in criteria.KINDS.items():
        of_kind = [name for name, s in criteria.STATEMENTS.items() if s.kind == kind]
        expected += [("kind", title), *(("row", name) for name in of_kind)]
    assert rows == expected


def parameters(notebook):
    """Name -> value of everything in a notebook's parameters cell."""
    cells = json.loads((ROOT / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    (cell,) = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    values = {}
    exec("".join(cell["source"]), values)
    return values


def test_the_study_trains_at_the_densities_of_the_claims_notebooks():
    intro = parameters("01_introduction/introduction")
    sweep = [20 ** (-k / (intro["SWEEP_POINTS"] - 1)) for k in range(intro["SWEEP_POINTS"])]
    assert pytest.approx(sweep) == criteria.LINEAR_DENSITIES
    assert {round(1 - S, 9) for S in intro["SPARSITIES"]} <= set(criteria.FIVE_DENSITIES)
    dynamics = parameters("01_introduction/training_dynamics")["SPARSITIES"]
    assert pytest.approx([1 - S for S in dynamics]) == criteria.FIVE_DENSITIES
    first = parameters("01_introduction/first_experiments")
    assert (first["SPARSE"], first["DENSE"]) == criteria.HIDDEN_DENSITIES
    basic = parameters("02_demonstrating_superposition/basic_results")["DENSITIES"]
    assert tuple(basic) == criteria.TWENTY_DENSITIES
    variants = parameters("02_demonstrating_superposition/model_variants")["DENSITIES"]
    assert (variants[0], variants[-1]) == criteria.UNTIED_DENSITIES


# --- the whole study, planted ---


def runs(models, density, biases=-0.1, loss=1.0, repeats=2, **options):
    """Runs of 1 setting that all are the models W [D, m, n] with one bias, or biases [D, n]; their
    loss is the optimum's."""
    W = torch.stack(list(models)).double()[:, None, None].expand(-1, 1, repeats, -1, -1)
    biases = torch.as_tensor(biases, dtype=torch.float64).expand(len(W), W.shape[-1])
    b = biases[:, None, None].expand(*W.shape[:3], -1)
    losses = torch.full(W.shape[:3], loss, dtype=torch.float64)
    options = {"reference": losses[:, 0, 0], **options}
    return Runs(torch.as_tensor(density).double(), W, b, losses, W.mT @ W, **options)


def twenty(*blocks):
    """W [5, 20] from blocks [k, j] on the diagonal: the first features first."""
    W = torch.block_diag(*blocks)
    return torch.nn.functional.pad(W, (0, 20 - W.shape[1], 0, 5 - W.shape[0]))


def cells(n):
    """Ideal models of the cells, and the exact optima that they are."""
    r, p = criteria.cells(n)
    optimum = minimise(n, n - 1, p, diagram.importances(r, n), restarts=32)
    return runs(optimum.W, p, optimum=optimum)


def linear_biases(density):
    """Of twenty features, five of which are kept: [D, 20]."""
    return torch.as_tensor(density)[:, None] / 2 * (torch.arange(20) >= 5)


@pytest.fixture(scope="module")
def study():
    one, pair, five = torch.ones(1, 1), torch.tensor([[1.0, -1.0]]), PENTAGON
    sparse = twenty(five, five, pair)
    rows = [
        twenty(*[one] * 5), twenty(*[one] * 3, pair, pair), twenty(one, *[pair] * 4),
        twenty(*[pair] * 5), *[sparse] * 3,
    ]  # fmt: skip
    kept = [rows[0]] * 7
    biases = torch.full((7, 20), -0.1)
    biases[0] = linear_biases([1])
    two, three = cells(2), cells(3)
    return {
        "five": runs([TWO, TWO, PAIRS, PAIRS, PENTAGON, PENTAGON], criteria.FIVE_DENSITIES),
        "five linear": runs([TWO] * 10, criteria.LINEAR_DENSITIES),
        "hidden": runs([PENTAGON, TWO], criteria.HIDDEN_DENSITIES, loss=0.001),
        "hidden unequal": runs([TWO], [0.99]),
        "twenty": runs(rows, criteria.TWENTY_DENSITIES, biases),
        "twenty linear": runs(
            kept, criteria.TWENTY_DENSITIES, linear_biases(criteria.TWENTY_DENSITIES)
        ),
        "untied": runs([rows[0], sparse], criteria.UNTIED_DENSITIES),
        "untied linear": runs(kept[:2], criteria.UNTIED_DENSITIES),
        "two": two,
        "three": three,
    }


def test_a_study_that_satisfies_every_claim(study):
    hits = criteria.judge(study)
    assert list(hits) == list(criteria.STATEMENTS)
    assert [claim for claim, hit in hits.items() if not hit.all()] == []
    assert {hit.shape[-2:] for hit in hits.values()} == {(1, 2)}
    best = criteria.judge({name: r.best() for name, r in study.items()})
    assert {hit.shape[-1] for hit in best.values()} == {1}


@pytest.mark.parametrize(
    "name, wrong, missed",
    [
        ("five", PENTAGON, {"intro-dense", "intro-antipodal", "dynamics-relu"}),
        ("five", PAIRS, {"intro-dense", "intro-pentagon", "dynamics-relu"}),
        ("five linear", PAIRS, {"intro-linear", "dynamics-relu"}),
        ("hidden", PAIRS[:, [0, 0, 2, 3, 4]], {"experiments-packing", "experiments-dense"}),
        ("hidden unequal", PENTAGON, {"experiments-dense"}),
        (
            "twenty",
            twenty(PENTAGON, PENTAGON),
            {"basic-dense", "basic-order-counts", "basic-pairs", "basic-count",
             "variants-conditions"},
        ),
        ("twenty linear", twenty(PENTAGON, PENTAGON), {"basic-linear", "variants-conditions"}),
        ("untied", twenty(PENTAGON, PENTAGON), {"variants-conditions-untied"}),
        ("untied linear", twenty(PENTAGON, PENTAGON), {"variants-conditions-untied"}),
    ],
)  # fmt: skip
def test_a_study_with_one_kind_of_wrong_model(study, name, wrong, missed):
    """The second run is wrong at all densities: it alone misses, and only these claims."""
    W = study[name].W.clone()
    W[:, :, 1] = wrong.to(W.dtype)
    spoilt = study | {name: replace(study[name], W=W, effective=W.mT @ W)}
    hits = criteria.judge(spoilt)
    assert all(hit[..., 0].all() for hit in hits.values())
    assert {claim for claim, hit in hits.items() if not hit[..., 1].all()} == missed


def test_phases_of_the_wrong_sign_are_missed(study):
    """Two weights of the same sign: not a pair, and no other claim depends on it."""
    W = study["two"].W.clone()
    W[len(criteria.LINEAR_CELLS[2]) :, :, 1] = 0.7
    hits = criteria.judge(study | {"two": replace(study["two"], W=W)})
    assert not hits["phase-agree-paired"][:, :, 1].any()
    assert hits["phase-agree-paired"][:, :, 0].all() and hits["phase-agree-linear"].all()


def test_near_the_optimum(study):
    near = criteria.near_optimum(study)
    assert set(near) < set(criteria.STATEMENTS)
    assert all(v.all() for v in near.values())
    loss = study["five"].loss.clone()
    loss[criteria.FIVE_DENSITIES.index(0.1), 0, 1] *= 1.02
    near = criteria.near_optimum(study | {"five": replace(study["five"], loss=loss)})
    missed = {claim for claim, v in near.items() if not v.all()}
    assert missed == {"intro-pentagon", "dynamics-relu"}


@pytest.mark.parametrize("n", [2, 3])
def test_cells_lie_away_from_every_boundary(n):
    """The exact optimum has the same phase a factor of 1.2 away in r and in p."""
    places = torch.tensor(
        [*criteria.LINEAR_CELLS[n], *criteria.PAIRED_CELLS[n]], dtype=torch.float64
    )
    factors = torch.tensor([1 / 1.2, 1, 1.2], dtype=torch.float64)
    r = places[:, :1, None] * factors[:, None]
    p = (places[:, 1:, None] * factors).clamp(max=1)
    r, p = (v.reshape(-1) for v in torch.broadcast_tensors(r, p))
    optimum = minimise(n, n - 1, p, diagram.importances(r, n), restarts=16)
    codes = diagram.phase(optimum.W).reshape(len(places), 9)
    assert (codes == codes[:, :1]).all()
    names = [diagram.PHASES[k] for k in codes[:, 0]]
    linear = len(criteria.LINEAR_CELLS[n])
    assert set(names[:linear]) <= {diagram.DROPPED, diagram.DEDICATED}
    assert set(names[linear:]) <= {diagram.PAIRED, diagram.OTHERS_PAIRED}
