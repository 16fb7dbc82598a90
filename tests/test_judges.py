"""Judges on planted models: made by hand to satisfy a claim, or to miss it in one way."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from common import geometry, judges, phases
from common.exact import minimise
from common.robustness import Runs

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


def test_only_the_first_features_orthogonal():
    assert judges.keeps_first(turned(TWO))
    assert judges.keeps_first(changed(TWO, 2, [0.1, 0.1]))  # short: not represented
    third = changed(TWO, 2, [0.6, 0])
    assert not judges.keeps_first(third) and not judges.stores_first(third)
    others = TWO[:, [0, 2, 1, 3, 4]]
    assert not judges.keeps_first(others) and not judges.stores_first(others)
    slanted = changed(TWO, 1, [0.6, 0.8])
    assert judges.stores_first(slanted) and not judges.keeps_first(slanted)
    stack = torch.stack([TWO, PENTAGON, PAIRS, TWO])
    assert judges.keeps_first(stack).tolist() == [True, False, False, True]


def test_two_antipodal_pairs_of_the_first_four():
    for partners in ([0, 1, 2, 3, 4], [0, 2, 1, 3, 4], [2, 0, 3, 1, 4]):
        assert judges.all_in_pairs(turned(PAIRS[:, partners]))
    assert not judges.all_in_pairs(PAIRS[:, [0, 1, 2, 4, 3]])  # the fifth instead of the fourth
    assert not judges.all_in_pairs(PENTAGON)
    assert not judges.all_in_pairs(TWO)
    assert not judges.all_in_pairs(changed(PAIRS, 4, [0.4, 0.4]))  # a fifth, of norm 0.57
    assert not judges.all_in_pairs(changed(PAIRS, 1, [-0.8, 0.6]))  # 37 degrees from opposite
    same_way = torch.tensor([[1.0, 1, -1, -1, 0], [0, 0, 0, 0, 0]], dtype=torch.float64)
    assert not judges.all_in_pairs(same_way)


def test_pentagon_in_any_order_and_position():
    assert judges.polygon(turned(PENTAGON[:, [3, 0, 4, 2, 1]]))
    assert judges.polygon(turned(PENTAGON, -359.9))
    for degrees, regular in ((7, True), (9, False)):
        bent = torch.cat([turned(PENTAGON[:, :1], degrees), PENTAGON[:, 1:]], 1)
        assert judges.polygon(bent) == regular
    assert not judges.polygon(0.4 * PENTAGON)  # not represented
    assert not judges.polygon(changed(PENTAGON, 4, [0, 0]))
    square = torch.cat([geometry.regular_polygon(4), torch.zeros(2, 1)], 1)
    assert not judges.polygon(square)
    assert not judges.polygon(PAIRS)
    assert not judges.polygon(geometry.regular_polygon(4))  # regular, but no positive interference


def test_shared_directions():
    assert judges.no_shared_direction(PENTAGON)
    assert judges.no_shared_direction(PAIRS)  # opposite is not the same way, nor is a dead feature
    assert not judges.no_shared_direction(changed(PENTAGON, 3, 0.2 * PENTAGON[:, 1]))


def test_picking_two():
    assert judges.picks_two(TWO)
    assert not judges.picks_two(changed(TWO, 4, [0.15, 0]))
    assert not judges.picks_two(0.85 * TWO)


def test_projection():
    assert judges.is_projection(turned(TWO))
    assert not judges.is_projection(1.05 * TWO)  # squares: 1.1
    assert not judges.is_projection(changed(TWO, 1, [0.1, 1]))
    assert not judges.is_projection(TWO[:, [1, 2, 0, 3, 4]])


def test_counts_over_densities():
    counts = torch.tensor([[2, 2, 2], [2, 4, 3], [4, 4, 2], [5, 5, 5]])
    assert judges.grows(counts, 2, 5).tolist() == [True, True, False]
    assert judges.grows(counts, 2, 4).tolist() == judges.grows(counts, 3, 5).tolist() == [False] * 3
    assert judges.counts_agree(counts, (2, 3, 4, 5)).tolist() == [True, True, False]
    assert judges.counts_agree(counts[:, 0], (3, 3, 3, 4))


def row(*models):
    """Models of n = 5 and any m as W [D, 4, 5], with rows of zeros below."""
    filled = [torch.cat([W, torch.zeros(4 - len(W), 5)]) for W in models]
    return torch.stack(filled).double()


FOUR = torch.eye(4, 5)  # four orthogonal features
ONE_PAIR = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, -1, 0], [0, 0, 0, 0, 1]])
TWO_PAIRS = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, -1, 0, 0], [0, 0, 0, 1, -1], [0, 0, 0, 0, 0]])


def test_order_of_orthogonal_features():
    assert judges.falls_in_order(row(FOUR, TWO_PAIRS, PENTAGON))
    assert not judges.falls_in_order(row(FOUR, ONE_PAIR, PENTAGON))  # the fifth stays orthogonal
    assert not judges.falls_in_order(row(TWO_PAIRS, FOUR, PENTAGON))  # more of them when sparser


def test_pairs_come_first():
    assert judges.pairs_first(row(FOUR, ONE_PAIR, TWO_PAIRS, PENTAGON))
    assert judges.pairs_first(row(ONE_PAIR))
    assert not judges.pairs_first(row(FOUR, ONE_PAIR, PENTAGON))
    assert not judges.pairs_first(row(PENTAGON, ONE_PAIR))
    assert not judges.pairs_first(row(FOUR, FOUR))  # no superposition at all


def test_parts_of_sparse_models():
    W = torch.stack([PENTAGON, PENTAGON])
    b = torch.full((2, 5), -0.2)
    assert [bool(v) for v in judges.sparse_parts(W, b).values()] == [True] * 3
    positive = b.clone()
    positive[1, 3] = 0.01
    assert [bool(v) for v in judges.sparse_parts(W, positive).values()] == [True, True, False]
    dead = torch.stack([PENTAGON, PAIRS])  # pairs: no positive interference; a dropped feature's
    positive[1] = torch.tensor([-0.1, -0.1, -0.1, -0.1, 0.3])  # bias may be what it wants
    assert [bool(v) for v in judges.sparse_parts(dead, positive).values()] == [True, False, True]
    alone = row(PENTAGON, TWO_PAIRS)
    assert not judges.sparse_parts(alone, b)["superposition"]


def test_both_conditions():
    def models(*Ws):
        W = torch.stack(Ws)
        return SimpleNamespace(W=W, stored=lambda: geometry.represented(W).sum(-1))

    assert judges.both_needed(models(TWO, PENTAGON), models(TWO, TWO))
    assert not judges.both_needed(models(TWO, TWO), models(TWO, TWO))
    assert not judges.both_needed(models(PAIRS, PENTAGON), models(TWO, TWO))
    assert not judges.both_needed(models(TWO, PENTAGON), models(TWO, PAIRS))


# --- the whole study, planted ---


def runs(models, density, biases=-0.1, loss=1.0, repeats=2, **options):
    """Runs of 1 setting that all are the models W [D, m, n]; their loss is the optimum's."""
    W = torch.stack(list(models)).double()[:, None, None].expand(-1, 1, repeats, -1, -1)
    b = torch.full((*W.shape[:3], W.shape[-1]), biases, dtype=torch.float64)
    losses = torch.full(W.shape[:3], loss, dtype=torch.float64)
    options = {"reference": losses[:, 0, 0], **options}
    return Runs(torch.as_tensor(density).double(), W, b, losses, W.mT @ W, **options)


def twenty(*blocks):
    """W [5, 20] from blocks [k, j] on the diagonal: the first features first."""
    W = torch.block_diag(*blocks)
    return torch.nn.functional.pad(W, (0, 20 - W.shape[1], 0, 5 - W.shape[0]))


def cells(n):
    """Ideal models of the cells, and the exact optima that they are."""
    r, p = judges.cells(n)
    optimum = minimise(n, n - 1, p, phases.importances(r, n), restarts=32)
    return runs(optimum.W, p, optimum=optimum)


@pytest.fixture(scope="module")
def study():
    one, pair, five = torch.ones(1, 1), torch.tensor([[1.0, -1.0]]), PENTAGON
    sparse = twenty(five, five, pair)
    rows = [
        twenty(*[one] * 5), twenty(*[one] * 3, pair, pair), twenty(one, *[pair] * 4),
        twenty(*[pair] * 5), *[sparse] * 3,
    ]  # fmt: skip
    kept = [rows[0]] * 7
    two, three = cells(2), cells(3)
    return {
        "five": runs([TWO, TWO, PAIRS, PAIRS, PENTAGON, PENTAGON], judges.FIVE_DENSITIES),
        "five linear": runs([TWO] * 6, judges.FIVE_DENSITIES),
        "hidden": runs([PENTAGON, TWO], judges.HIDDEN_DENSITIES, loss=0.001),
        "hidden unequal": runs([TWO], [0.99]),
        "twenty": runs(rows, judges.TWENTY_DENSITIES),
        "twenty linear": runs(kept, judges.TWENTY_DENSITIES),
        "untied": runs([rows[0], sparse], judges.UNTIED_DENSITIES),
        "untied linear": runs(kept[:2], judges.UNTIED_DENSITIES),
        "two": two,
        "three": three,
    }


def test_a_study_that_satisfies_every_claim(study):
    hits = judges.judge(study)
    assert list(hits) == list(judges.CRITERIA)
    assert [claim for claim, hit in hits.items() if not hit.all()] == []
    assert {hit.shape[-2:] for hit in hits.values()} == {(1, 2)}
    best = judges.judge({name: r.best() for name, r in study.items()})
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
    hits = judges.judge(spoilt)
    assert all(hit[..., 0].all() for hit in hits.values())
    assert {claim for claim, hit in hits.items() if not hit[..., 1].all()} == missed


def test_phases_of_the_wrong_sign_are_missed(study):
    """Two weights of the same sign: not a pair, and no other claim depends on it."""
    W = study["two"].W.clone()
    W[len(judges.LINEAR_CELLS[2]) :, :, 1] = 0.7
    hits = judges.judge(study | {"two": replace(study["two"], W=W)})
    assert not hits["phase-agree-paired"][:, :, 1].any()
    assert hits["phase-agree-paired"][:, :, 0].all() and hits["phase-agree-linear"].all()


def test_near_the_optimum(study):
    near = judges.near_optimum(study)
    assert set(near) < set(judges.CRITERIA)
    assert all(v.all() for v in near.values())
    loss = study["five"].loss.clone()
    loss[judges.FIVE_DENSITIES.index(0.1), 0, 1] *= 1.02
    near = judges.near_optimum(study | {"five": replace(study["five"], loss=loss)})
    missed = {claim for claim, v in near.items() if not v.all()}
    assert missed == {"intro-pentagon", "dynamics-relu"}


@pytest.mark.parametrize("n", [2, 3])
def test_cells_lie_away_from_every_boundary(n):
    """The exact optimum has the same phase a factor of 1.2 away in r and in p."""
    places = torch.tensor([*judges.LINEAR_CELLS[n], *judges.PAIRED_CELLS[n]], dtype=torch.float64)
    factors = torch.tensor([1 / 1.2, 1, 1.2], dtype=torch.float64)
    r = places[:, :1, None] * factors[:, None]
    p = (places[:, 1:, None] * factors).clamp(max=1)
    r, p = (v.reshape(-1) for v in torch.broadcast_tensors(r, p))
    optimum = minimise(n, n - 1, p, phases.importances(r, n), restarts=16)
    codes = phases.phase(optimum.W).reshape(len(places), 9)
    assert (codes == codes[:, :1]).all()
    names = [phases.PHASES[k] for k in codes[:, 0]]
    linear = len(judges.LINEAR_CELLS[n])
    assert set(names[:linear]) <= {phases.DROPPED, phases.DEDICATED}
    assert set(names[linear:]) <= {phases.PAIRED, phases.OTHERS_PAIRED}
