"""Judges on planted models: made by hand to satisfy a claim, or to miss it in one way, by a little
less and a little more than each threshold."""

import math

import torch
from planted import PAIRS, PENTAGON, TWO

from common import geometry
from common.phases import diagram
from common.robustness import criteria


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
    for short, none in ((0.0, True), (0.3, False)):  # neither is the sixth
        six = torch.cat([PAIRS, torch.tensor([[short], [0.0]])], 1)
        assert criteria.in_pairs(six) == none
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
    # A square has no positive interference, and a bent one the sine of the angle: 0.113, 0.096.
    for degrees, positive in ((6.5, True), (5.5, False), (0, False)):
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
