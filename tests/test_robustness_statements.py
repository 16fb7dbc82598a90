"""The statements of the robustness study: the notebooks that own the claims ask the same judges and
train at the same densities, the write-up has the same rows, and a planted study comes out as it was
planted."""

import ast
import json
import re
from dataclasses import replace
from functools import cache

import pytest
import torch
from planted import PAIRS, PENTAGON, TWO

from common.artifacts import ROOT
from common.exact import minimise
from common.phases import diagram
from common.robustness import statements
from common.robustness.runs import Runs


@cache
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


@pytest.mark.parametrize("name", statements.STATEMENTS)
def test_a_claim_is_decided_by_the_same_function_in_its_notebook(name):
    """And by nothing else: no comparison of numbers stands beside it."""
    statement = statements.STATEMENTS[name]
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
    for kind, title in statements.KINDS.items():
        of_kind = [name for name, s in statements.STATEMENTS.items() if s.kind == kind]
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
    assert pytest.approx(sweep) == statements.LINEAR_DENSITIES
    assert {round(1 - S, 9) for S in intro["SPARSITIES"]} <= set(statements.FIVE_DENSITIES)
    dynamics = parameters("01_introduction/training_dynamics")["SPARSITIES"]
    assert pytest.approx([1 - S for S in dynamics]) == statements.FIVE_DENSITIES
    first = parameters("01_introduction/first_experiments")
    assert (first["SPARSE"], first["DENSE"]) == statements.HIDDEN_DENSITIES
    basic = parameters("02_demonstrating_superposition/basic_results")["DENSITIES"]
    assert tuple(basic) == statements.TWENTY_DENSITIES
    variants = parameters("02_demonstrating_superposition/model_variants")["DENSITIES"]
    assert (variants[0], variants[-1]) == statements.UNTIED_DENSITIES


# --- the whole study, planted ---


def runs(models, density, biases=-0.1, loss=1.0, repeats=2, **options):
    """Runs of 1 setting that all are the models W [D, m, n] with one bias, or biases [D, n]; their
    loss is the optimum's."""
    W = torch.stack(list(models)).double()[:, None, None].expand(-1, 1, repeats, -1, -1)
    biases = torch.as_tensor(biases, dtype=torch.float64).expand(len(W), W.shape[-1])
    b = biases[:, None, None].expand(*W.shape[:3], -1)
    losses = torch.full(W.shape[:3], loss, dtype=torch.float64)
    options = {"reference": losses[:, 0, 0], **options}
    density = torch.as_tensor(
        density, dtype=torch.float64
    )  # 0.01 itself, not what float32 has of it
    return Runs(density, W, b, losses, W.mT @ W, **options)


def twenty(*blocks):
    """W [5, 20] from blocks [k, j] on the diagonal: the first features first."""
    W = torch.block_diag(*blocks)
    return torch.nn.functional.pad(W, (0, 20 - W.shape[1], 0, 5 - W.shape[0]))


def cells(n):
    """Ideal models of the cells, and the exact optima that they are."""
    r, p = statements.cells(n)
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
        "five": runs([TWO, TWO, PAIRS, PAIRS, PENTAGON, PENTAGON], statements.FIVE_DENSITIES),
        "five linear": runs([TWO] * 10, statements.LINEAR_DENSITIES),
        "hidden": runs([PENTAGON, TWO], statements.HIDDEN_DENSITIES, loss=0.001),
        "hidden unequal": runs([TWO], [0.99]),
        "twenty": runs(rows, statements.TWENTY_DENSITIES, biases),
        "twenty linear": runs(
            kept, statements.TWENTY_DENSITIES, linear_biases(statements.TWENTY_DENSITIES)
        ),
        "untied": runs([rows[0], sparse], statements.UNTIED_DENSITIES),
        "untied linear": runs(kept[:2], statements.UNTIED_DENSITIES),
        "two": two,
        "three": three,
    }


def test_a_study_that_satisfies_every_claim(study):
    hits = statements.outcomes(study)
    assert list(hits) == list(statements.STATEMENTS)
    assert [claim for claim, hit in hits.items() if not hit.all()] == []
    assert {hit.shape[-2:] for hit in hits.values()} == {(1, 2)}
    best = statements.outcomes({name: r.best() for name, r in study.items()})
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
    hits = statements.outcomes(spoilt)
    assert all(hit[..., 0].all() for hit in hits.values())
    assert {claim for claim, hit in hits.items() if not hit[..., 1].all()} == missed


@pytest.mark.parametrize("density", statements.TWENTY_DENSITIES)
def test_sparse_is_a_density_of_a_hundredth_or_less(study, density):
    """Biases that are not negative at one density count when that is sparse."""
    b = study["twenty"].b.clone()
    b[statements.TWENTY_DENSITIES.index(density)] = 0.1
    hits = statements.outcomes(study | {"twenty": replace(study["twenty"], b=b)})
    assert hits["basic-sparse"].all() == (density > 0.011)


def test_statements_about_cells_are_about_their_own(study):
    """As many cells as are listed, those of each statement and no other."""
    hits = statements.outcomes(study)
    for n, claim in ((2, "phase-agree"), (3, "phase-agree-n3")):
        assert len(hits[f"{claim}-linear"]) == len(statements.LINEAR_CELLS[n])
        assert len(hits[f"{claim}-paired"]) == len(statements.PAIRED_CELLS[n])


def test_phases_of_the_wrong_sign_are_missed(study):
    """Two weights of the same sign: not a pair, and no other claim depends on it."""
    W = study["two"].W.clone()
    W[len(statements.LINEAR_CELLS[2]) :, :, 1] = 0.7
    hits = statements.outcomes(study | {"two": replace(study["two"], W=W)})
    assert not hits["phase-agree-paired"][:, :, 1].any()
    assert hits["phase-agree-paired"][:, :, 0].all() and hits["phase-agree-linear"].all()


def test_near_the_optimum(study):
    near = statements.near_optimum(study)
    assert set(near) < set(statements.STATEMENTS)
    assert all(v.all() for v in near.values())
    loss = study["five"].loss.clone()
    loss[statements.FIVE_DENSITIES.index(0.1), 0, 1] *= 1.02
    near = statements.near_optimum(study | {"five": replace(study["five"], loss=loss)})
    missed = {claim for claim, v in near.items() if not v.all()}
    assert missed == {"intro-pentagon", "dynamics-relu"}


@pytest.mark.parametrize("n", [2, 3])
def test_cells_lie_away_from_every_boundary(n):
    """The exact optimum has the same phase a factor of 1.2 away in r and in p."""
    places = torch.tensor(
        [*statements.LINEAR_CELLS[n], *statements.PAIRED_CELLS[n]], dtype=torch.float64
    )
    factors = torch.tensor([1 / 1.2, 1, 1.2], dtype=torch.float64)
    r = places[:, :1, None] * factors[:, None]
    p = (places[:, 1:, None] * factors).clamp(max=1)
    r, p = (v.reshape(-1) for v in torch.broadcast_tensors(r, p))
    optimum = minimise(n, n - 1, p, diagram.importances(r, n), restarts=16)
    codes = diagram.phase(optimum.W).reshape(len(places), 9)
    assert (codes == codes[:, :1]).all()
    names = [diagram.PHASES[k] for k in codes[:, 0]]
    linear = len(statements.LINEAR_CELLS[n])
    assert set(names[:linear]) <= {diagram.DROPPED, diagram.DEDICATED}
    assert set(names[linear:]) <= {diagram.PAIRED, diagram.OTHERS_PAIRED}
