"""One axis: certificates by another route, the loss of six features, branches, limit and splits."""

from fractions import Fraction
from functools import lru_cache
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from oracles import rational_loss
from scipy.optimize import minimize as descend

from common.exact import feature_variance, minimise, population_loss
from common.phases import one_axis, one_axis_plots
from common.proofs.one_axis import CERTIFICATES


def by_pieces(W, b, p):
    """The loss on one axis in fractions: integrated one feature after another, piece by piece
    between kinks, each a polynomial, by a rule of equidistant points that is exact for those."""

    def integral(f, kinks, degree):
        ends = sorted({Fraction(0), Fraction(1), *(x for x in kinks if 0 < x < 1)})
        return sum(
            (high - low) * sum(weight * f(low + (high - low) * Fraction(j, degree))
                               for j, weight in enumerate(rule(degree)))
            for low, high in pairwise(ends)
        )  # fmt: skip

    def mean(t, c, power):
        """E relu(t + c.x)^power"""
        if not c:
            return max(t, Fraction(0)) ** power
        sums = [sum(part, t) for k in range(len(c)) for part in combinations(c[1:], k)]
        kinks = [-s / c[0] for s in sums]
        return integral(lambda x: mean(t + c[0] * x, c[1:], power), kinks, power + len(c))

    def error(i, active):
        c = [W[i] * W[j] for j in active if j != i]
        if i not in active:
            return mean(b[i], c, 2)
        own, sums = W[i] ** 2, [sum(s, b[i]) for k in range(len(c) + 1) for s in combinations(c, k)]

        def squared(x):
            t = b[i] + own * x
            return x**2 - 2 * x * mean(t, c, 1) + mean(t, c, 2)

        return integral(squared, [-s / own for s in sums], 3 + len(c))

    n = len(W)
    sets = [active for k in range(n + 1) for active in combinations(range(n), k)]
    return sum(
        p ** len(active) * (1 - p) ** (n - len(active)) * error(i, active)
        for active in sets
        for i in range(n)
    )


@lru_cache
def rule(degree):
    """Weights on 0, 1/degree, ..., 1 that integrate polynomials up to `degree` exactly."""
    rows = [[Fraction(j, degree) ** k for j in range(degree + 1)] for k in range(degree + 1)]
    rows = [[*row, Fraction(1, k + 1)] for k, row in enumerate(rows)]
    for k in range(degree + 1):
        rows[k:] = sorted(rows[k:], key=lambda row: row[k] == 0)
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for j in (j for j in range(degree + 1) if j != k):
            rows[j] = [x - rows[j][k] * y for x, y in zip(rows[j], rows[k], strict=True)]
    return [row[-1] for row in rows]


@pytest.mark.parametrize(
    "k, cost, conjectured",
    [
        (0, "19079/248832", "1/12"),
        (1, "174445541833/5120000000000", "41/1200"),
        (2, "45946163392783/9095374933327872", "257/49152"),
    ],
)
def test_certificates_from_the_text_alone(k, cost, conjectured):
    W, b, p = CERTIFICATES[k].W, CERTIFICATES[k].b, CERTIFICATES[k].p
    found, n = by_pieces(W, b, p), len(W)
    bound = min((n - 1) * (p / 3 - p**2 / 4), p**2 / 3 + (n - 2) * (p / 3 - p**2 / 4))
    assert found == Fraction(cost) < bound == Fraction(conjectured)


def random_models(k, count, seed):
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(count, 1, k, generator=generator, dtype=torch.float64)
    return W, 0.3 * torch.randn(count, k, generator=generator, dtype=torch.float64)


def test_loss_of_six_features_in_rational_arithmetic_and_by_sampling():
    """Sampling: four standard errors, a false alarm in 16,000."""
    W, b = random_models(6, 2, seed=1)
    p = torch.tensor([0.6, 0.2], dtype=torch.float64)
    found = one_axis.Axis(6).loss(W, b, p)
    assert rational_loss(W[1], b[1], 0.2, [1] * 6) == pytest.approx(found[1].item(), rel=1e-10)
    generator = np.random.default_rng(0)
    x = generator.random((200_000, 6)) * (generator.random((200_000, 6)) < 0.6)
    w = W[0, 0].numpy()
    errors = ((x - np.maximum(np.outer(x @ w, w) + b[0].numpy(), 0)) ** 2).sum(1)
    assert abs(errors.mean() - found[0].item()) < 4 * errors.std() / len(x) ** 0.5


@pytest.mark.parametrize("k", [2, 3, 5])
def test_it_is_the_exact_loss_and_its_minima(k):
    W, b = random_models(k, 3, seed=k)
    p = torch.tensor([0.9, 0.3, 0.01], dtype=torch.float64)
    axis = one_axis.Axis(k)
    torch.testing.assert_close(axis.loss(W, b, p), population_loss(W, b, p))
    W, b, loss = axis.lowest(p)
    torch.testing.assert_close(loss, population_loss(W, b, p))
    torch.testing.assert_close(loss, minimise(k, 1, p, restarts=64).loss, rtol=1e-6, atol=0)
    for model in zip(W[:, None], b[:, None], p.tolist(), strict=True):
        assert axis.polished(*model)[2] <= population_loss(*model) + 1e-15


def test_number_of_features_is_checked():
    for k in (1, 8):
        with pytest.raises(ValueError, match="between 2 and 7"):
            one_axis.Axis(k)


def test_every_arrangement_is_a_start():
    """Numbers of long and short features on either side; the others and all biases 0."""
    x = one_axis.arrangements(6)
    assert (x[:, 6:] == 0).all() and x.shape == (14, 12)
    kinds = {
        tuple(int(((w > least) & (w < most)).sum()) for least, most in SIZES) for w in x[:, :6]
    }
    one_long = {(1, 0, short, 0) for short in range(1, 6)}
    two_long = {(1, i, j, 1) for i in range(3) for j in range(i, 5 - i)}
    assert kinds == one_long | two_long and len(kinds) == 14


SIZES = (0.5, 2), (0.1, 0.5), (-0.5, -0.1), (-2, -0.5)  # long and short ones, + and -


@pytest.fixture(scope="module")
def three():
    return one_axis.Curve(one_axis.Axis(3), [0.95, 0.5, 0.2, 0.05])


@pytest.mark.slow
def test_where_a_third_feature_leaves_and_enters(three):
    """Densities found once by another search (200 starts of exact.minimise at 25 densities)."""
    found = [jump.density for jump in three.jumps]
    assert found == pytest.approx([0.712446, 0.706404, 0.120856], abs=1e-6)
    stored = [
        [int((one_axis.in_order(state.W) != 0).sum()) for state in (jump.above, jump.below)]
        for jump in three.jumps
    ]
    assert stored == [[3, 2], [2, 2], [2, 3]]
    ways = [(jump.above, jump.below) for jump in three.jumps]
    for jump, (above, below) in zip(three.jumps, ways, strict=True):
        for factor, lower, higher in ((1.001, above, below), (0.999, below, above)):
            p = factor * jump.density
            assert three.axis.settle(lower, p).loss < three.axis.settle(higher, p).loss


@pytest.mark.slow
def test_branches_that_meet_outside_are_no_jump(three):
    """From these starts a branch is found that meets the optimum's at density 1, where signs are
    free: no jump, but a sign that another one lies between."""
    curve = one_axis.Curve(one_axis.Axis(3, restarts=18), [0.95, 0.4625, 0.2252])
    found = [jump.density for jump in curve.jumps]
    assert found == pytest.approx([jump.density for jump in three.jumps[:2]], rel=1e-8)


@pytest.mark.slow
def test_a_curve_is_the_optimum_between_the_densities_searched(three):
    p = [0.8, 0.71, 0.6, 0.3, 0.125, 0.118, 0.07]
    found = [three.at(x).loss for x in p]
    expected = minimise(3, 1, torch.tensor(p, dtype=torch.float64), restarts=64).loss
    assert found == pytest.approx(expected.tolist(), rel=1e-9)
    assert [three.at(x).density for x in p] == p
    for piece, states in three.known.items():  # each on its own branch, and none on two
        assert {three._piece(s.density) for s in states} <= {piece - 1, piece}
        stored = {int((one_axis.in_order(s.W) != 0).sum()) for s in states}
        assert len(stored) == 1
    with pytest.raises(ValueError, match=r"between 0.95 and 0.05|between 0.05 and 0.95"):
        three.at(0.97)


def test_in_order():
    for W, expected in (
        ([0.3, -1.1, 0.2, 0.01, -0.4, 0.9], [0.9, 0.3, 0.2, -1.1, -0.4, 0]),
        ([0.3, 1.1, 0.2, -0.04, -0.4], [1.1, 0.3, 0.2, -0.4, 0]),
        ([1.0, -0.2, -0.3], [0.3, 0.2, -1.0]),
        ([0.5, 0, -0.9], [0.9, -0.5, 0]),
    ):
        torch.testing.assert_close(one_axis.in_order(torch.tensor([W])), torch.tensor(expected))


def test_a_side_costs_what_quadrature_says():
    """One active feature at a time, output by output, by the midpoint rule."""
    w, t, v, short = 1.05, -0.17, 0.4, 3
    x = (np.arange(40_000) + 0.5) / 40_000
    weights, biases = np.array([w] + [v] * short), np.array([t] + [0.0] * short)
    total = 0.0
    for j, active in enumerate(weights):
        outputs = np.maximum(np.outer(x, active * weights) + biases, 0)
        outputs[:, j] -= x
        total += (outputs**2).sum(1).mean()
    assert one_axis.side_cost(w, t, v, short) == pytest.approx(total, abs=1e-8)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_best_side_is_best_with_all_weights_and_biases_free(count):
    """Biases t <= 0 and weights of every feature its own, from random starts."""

    def cost(x):
        weights, biases = x[:count], -(x[count:] ** 2)
        a = weights[:, None] * weights
        t = biases[:, None].expand(count, count)
        own, others = a.diagonal(), ~torch.eye(count, dtype=torch.bool)
        s = (1 + biases / own).clamp(min=0)
        alone = 1 / 3 - own * s**2 + (own + own**2) * s**3 / 3
        lifted = (a + t).clamp(min=0) ** 3 / (3 * a)
        return alone.sum() + lifted[others].sum()

    def with_gradient(x):
        x = torch.tensor(x, requires_grad=True)
        value = cost(x)
        return value.item(), torch.autograd.grad(value, x)[0].numpy()

    generator, ends = np.random.default_rng(count), []
    for _ in range(8):
        start = np.concatenate([generator.uniform(0.3, 1.1, count), np.full(count, 0.3)])
        ends.append(descend(with_gradient, start, jac=True, method="BFGS").fun)
    assert min(ends) == pytest.approx(one_axis.best_side(count)[0], abs=1e-6)


@pytest.mark.parametrize("k", [3, 4])
def test_rare_features_approach_the_limit(k):
    axis = one_axis.Axis(k)
    (state,) = axis.optima([1e-3])
    rarer = axis.follow(state, 1e-4)
    gaps = [s.loss / s.density - one_axis.rare_limit(k) for s in (state, rarer)]
    assert 0 < gaps[1] < gaps[0] < 3e-4 and gaps[0] / gaps[1] == pytest.approx(10, rel=0.02)
    sides = (
        (one_axis.in_order(state.W) > 0).sum().item(),
        (one_axis.in_order(state.W) < 0).sum().item(),
    )
    assert sides == ((k + 1) // 2, k // 2)


def test_splits_and_the_best_of_them():
    assert one_axis.splits(6, 2) == [[5, 1], [4, 2], [3, 3]]
    assert one_axis.splits(6, 3) == [[4, 1, 1], [3, 2, 1], [2, 2, 2]]
    assert len(one_axis.splits(12, 4)) == 15  # partitions of 12 into 4 parts
    q = {
        k: torch.tensor(v)
        for k, v in {1: [0, 0.0], 2: [1, 1.0], 3: [5, 1.5], 4: [5.5, 9], 5: [9, 9.0]}.items()
    }
    loss, which = one_axis.best_split(6, 2, q)
    assert loss.tolist() == [6.5, 3.0] and which.tolist() == [1, 2]


def test_the_conjectured_value_is_the_better_of_two_models():
    """For five features on two axes: from the closed forms of a feature dropped and of a pair."""
    p = torch.tensor([0.9, 0.2], dtype=torch.float64)
    single, pair = (
        population_loss(
            torch.tensor(W, dtype=torch.float64), torch.tensor(b, dtype=torch.float64), x
        )
        for W, b, x in (
            ([[1.0, 0, 0, 0, 0], [0, 1, 0, 0, 0]], [0, 0, 0.45, 0.45, 0.45], 0.9),
            ([[1.0, -1, 0, 0, 0], [0, 0, 1, -1, 0]], [0, 0, 0, 0, 0.1], 0.2),
        )
    )
    torch.testing.assert_close(one_axis.conjectured(5, 2, p), torch.stack([single, pair]))


def test_closest_triple():
    axis = torch.tensor([[1.0, 0, -1.0, 0.3, 0], [0, 1, 0, 0, 0.05]])
    assert one_axis.closest_triple(axis) == (1, [0, 2, 3])
    assert one_axis.closest_triple(axis, least=0.5)[0] == 0  # one of those left is orthogonal
    turn = torch.tensor([0.0, 20, 65, 150]).deg2rad()  # the last is 30 degrees off the first axis
    value, features = one_axis.closest_triple(torch.stack([turn.cos(), turn.sin()]))
    assert value == pytest.approx(np.cos(np.pi * 50 / 180), abs=1e-6) and features == [0, 1, 3]
    assert one_axis.closest_triple(torch.eye(2)) == (0, [])


@pytest.mark.slow
def test_numbers_stand_beside_weights_that_several_features_share(three):
    """Beside the two features of the dense arrangement alone, at a density of its piece."""
    fig, ax = plt.subplots()
    one_axis_plots.count_labels(three, ax)
    texts = [(text.get_text(), *text.xy) for text in ax.texts]
    plt.close(fig)
    assert len(texts) == 1 and texts[0][0] == "2"
    assert three.jumps[0].density <= texts[0][1] <= 0.95 and 0.3 < texts[0][2] < 0.38


def test_a_split_is_named():
    assert one_axis.named([3, 2, 1]) == "3 + 2 + 1"


def test_one_feature_more_costs_at_most_what_dropping_it_costs():
    """q_k <= q_(k-1) + s^2 at every density, also where two others have the
    same loss, between two changes that lie close together (0.75922)."""
    p = torch.tensor([0.95, 0.8, 0.7592210, 0.7582, 0.72, 0.3, 0.1209, 0.01], dtype=torch.float64)
    q = {k: one_axis.Axis(k, restarts=4).lowest(p)[2] for k in (2, 3, 4, 5)}
    for k in (3, 4, 5):
        assert (q[k] <= (1 + 1e-9) * (q[k - 1] + feature_variance(p))).all(), k
