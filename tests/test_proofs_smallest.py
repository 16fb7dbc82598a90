"""The proofs of the smallest model: what they enclose, and that they notice what is wrong."""

import re
import types
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import own_moment, relu_moment

from common.exact import minimise, population_loss
from common.phases.diagram import PHASES as NAMES, phase as phase_of
from common.proofs import candidates, moments, one_axis, outputs, rounding, smallest, weights

PARTS = rounding, moments, outputs, weights, candidates, smallest  # each after those it imports
SOURCE = "\n".join(Path(part.__file__).read_text() for part in PARTS)
IMPORTS = re.compile(r"^from common\.proofs\.\w+ import (\([^)]*\)|.*)$", re.MULTILINE)

pytestmark = pytest.mark.slow


def uncompiled():
    """All modules as one, in plain Python, whose parts can be exchanged."""
    source = IMPORTS.sub("", SOURCE)
    assert "from common" not in source and source.count("compiled = njit(") == 1
    module = types.ModuleType("common.proofs.smallest")
    exec(source.replace("compiled = njit(", "compiled = (lambda **_: lambda f: f)("), vars(module))
    return module


def exact_moments(a, g, t, p):
    """q = E [(x, y, 1) relu(a x + g y + t)] in rational arithmetic."""
    a, g, t, p = (Fraction(float(v)) for v in (a, g, t, p))
    found = [Fraction(0)] * 3
    for x in (0, 1):
        for y in (0, 1):
            chance = (p if x else 1 - p) * (p if y else 1 - p)
            c = {j: v for j, v, on in ((0, a, x), (1, g, y)) if on}
            mean = relu_moment(list(c.values()), t, 1)
            for j in range(2):
                if j in c:
                    found[j] += chance * (own_moment(c, j, t) if c[j] else mean / 2)
            found[2] += chance * mean
    return found


def rows(generator, count):
    """Rows (a, g, t) [count, 3] with weights of all sizes, some with the kink at a corner."""
    sizes = generator.choice([0, 1e-300, 1e-12, 1e-3, 1, 1, 30], (count, 3))
    a, g, t = (generator.uniform(-1, 1, (count, 3)) * sizes).T
    a = np.abs(a)
    corner = -(a * generator.integers(0, 2, count) + g * generator.integers(0, 2, count))
    t = np.where(generator.random(count) < 0.4, corner, t)
    return np.stack([a, g, np.where(generator.random(count) < 0.1, 0, t)], 1)


def enclosed(module, count):
    """Whether all moments of random rows lie in the module's intervals; their greatest width."""
    generator, inside, widest = np.random.default_rng(3), True, 0.0
    for a, g, t in rows(generator, count):
        p = generator.choice([1e-4, 0.1, 0.3, 1.0])
        for (low, high), exact in zip(
            module.moments(a, g, t, p), exact_moments(a, g, t, p), strict=True
        ):
            inside &= low <= exact <= high
            widest = max(widest, (high - low) / (1 + abs(a) + abs(g) + abs(t)))
    return inside, widest


def test_moments_are_enclosed_tightly():
    inside, widest = enclosed(moments, 500)
    assert inside and widest < 1e-13


def test_inward_rounding_is_noticed():
    module = uncompiled()
    assert enclosed(module, 100)[0]
    module.down, module.up = rounding.up, rounding.down
    assert not enclosed(module, 100)[0]


def test_arithmetic_encloses_the_exact_result():
    generator = np.random.default_rng(4)
    for _ in range(300):
        x, y = generator.uniform(-1, 1, 2) * 10.0 ** generator.integers(-12, 12, 2)
        exact = {
            rounding.add: Fraction(x) + Fraction(y),
            rounding.sub: Fraction(x) - Fraction(y),
            rounding.mul: Fraction(x) * Fraction(y),
            rounding.div: Fraction(x) / Fraction(y),
        }
        for operation, value in exact.items():
            low, high = operation((x, x), (y, y))
            assert low < value < high
    for x, y in ((1e-310, 3.3), (1e-200, 1e-200), (5e-324, 0.3), (-1e-320, 0.7)):
        low, high = rounding.mul((x, x), (y, y))
        assert low < Fraction(x) * Fraction(y) < high
    assert rounding.mul((-1.0, 2.0), (-3.0, 5.0)) == pytest.approx((-6, 10))
    for w, (least, most) in (
        ((-2, 1), (0, 4)),
        ((0.1, 0.3), (0.01, 0.09)),
        ((-3, -0.7), (0.49, 9)),
    ):
        low, high = rounding.square(w)
        assert low <= Fraction(min(map(abs, w))) ** 2 and Fraction(max(map(abs, w))) ** 2 <= high
        assert (low, high) == pytest.approx((least, most))


def boxes(generator, count):
    for _ in range(count):
        p = generator.choice([1e-3, 0.03, 0.3, 0.8, 1.0])
        x, y = generator.uniform(0, 1.6), generator.uniform(-1.6, 1.6)
        x, y = x * generator.choice([0, 1, 1, 8]), generator.choice([0, -1, y, y, 8 * y])
        h, k = 10 ** generator.uniform(-4, -0.4, 2)
        yield p, (max(0, x - h), x + h), (y - k, y + k)


def models(generator, first, second, count):
    """Models [count, 2] in a box, some on its edges."""
    share = generator.choice([0, 1, 0.5, generator.random()], (count, 2))
    low, high = np.array([first[0], second[0]]), np.array([first[1], second[1]])
    return low + (high - low) * share


def test_bounds_lie_below_sampled_losses():
    """Losses of the exact loss, with the best biases that are found."""
    generator = np.random.default_rng(5)
    for p, first, second in boxes(generator, 100):
        g = rounding.mul(first, second)
        upper = outputs.row_bound(rounding.square(first), g, p)
        lower = outputs.row_bound(rounding.square(second), g, p)
        r, penalty = 10 ** generator.uniform(-1, 1), generator.choice([0, 0.01, 0.3])
        bound = weights.form_bound(first, second, upper, lower, r, penalty)
        quick = weights.quick_bound(first, second, r, penalty, p)
        for x, y in models(generator, first, second, 6):
            b = [outputs.best_bias(w * w, x * y, p)[0] for w in (x, y)]
            W, b = torch.tensor([[x, y]]), torch.tensor(b)
            task = population_loss(W, b, p, torch.tensor([1, r], dtype=torch.float64)).item()
            slack = 1e-12 * p * (1 + abs(x) + abs(y)) ** 4
            assert max(bound, quick) <= task + 2 * penalty * (x * y) ** 2 + slack
            row = population_loss(W, b, p, torch.tensor([1.0, 0])).item()
            assert upper[0] + upper[1] * x * x + upper[2] * x * y <= row + slack


def test_boxes_reach_into_the_phases_of_their_models():
    """Phases as the phase diagram names them; boxes around the lines between them too."""
    generator = np.random.default_rng(10)
    codes = {"dropped": weights.DROPPED, "dedicated": weights.DEDICATED, "paired": weights.PAIR}
    for _ in range(200):
        angle = generator.choice([np.pi / 8, 3 * np.pi / 8, generator.uniform(0, np.pi / 2)])
        size = generator.choice([0.05**0.5, generator.uniform(0, 2)])
        x, y = size * np.cos(angle), size * np.sin(angle) * generator.choice([-1, 1])
        h, k = 10 ** generator.uniform(-5, -0.5, 2)
        first, second = (max(0, x - h), x + h), (y - k, y + k)
        W = torch.tensor(models(generator, first, second, 12))
        found = {codes.get(NAMES[code], weights.OTHER) for code in phase_of(W[:, None])}
        assert all(weights.reach(first, second) & code for code in found)
    assert [weights.reach((1.0, 1.0), (w, w)) for w in (-0.4, -0.5, 0.5)] == [1, 4, 8]
    assert weights.reach((0.4, 0.4), (-1.0, -1.0)) == 2


def test_the_quadratic_form_is_bounded():
    """Slopes of all signs, also such that the gradient at the centre vanishes."""
    generator = np.random.default_rng(8)
    for _, first, second in boxes(generator, 300):
        r, penalty = 10 ** generator.uniform(-1, 1), generator.choice([0, 0.1])
        upper, lower = generator.normal(size=(2, 3))
        x, y = sum(first) / 2, sum(second) / 2
        if generator.random() < 0.5 and min(abs(x), abs(y)) > 1e-3:
            cross = upper[2] + r * lower[2] + 4 * penalty * x * y
            upper[1], lower[1] = -cross * y / (2 * x), -cross * x / (2 * y * r)
        bound = weights.form_bound(first, second, upper, lower, r, penalty)
        for x, y in [(v, w) for v in first for w in second] + list(
            models(generator, first, second, 4)
        ):
            rows = (row[0] + row[1] * w * w + row[2] * x * y for row, w in ((upper, x), (lower, y)))
            loss = next(rows) + r * next(rows) + 2 * penalty * (x * y) ** 2
            size = (1 + abs(x) + abs(y)) ** 4 * (1 + np.abs(upper).sum() + r * np.abs(lower).sum())
            assert bound <= loss + 1e-13 * size


def test_a_piece_of_the_bias_is_bounded():
    """Any slopes; losses at the corners, on edges and inside."""
    generator, above = np.random.default_rng(9), np.empty(8)
    for p, first, second in boxes(generator, 300):
        a, g = rounding.square(first), rounding.mul(first, second)
        t = generator.uniform(-1.5, 0.5)
        t = t, t + 10 ** generator.uniform(-4, 0)
        slopes = tuple(generator.normal(size=2))
        outputs.tops(a, g, t[0], p, above[:4])
        outputs.tops(a, g, t[1], p, above[4:])
        bound = outputs.piece_bound(a, g, t, above, slopes, p)
        corners = [(x, y, z) for x in a for y in g for z in t]
        low, high = np.array([a, g, t]).T
        inside = low + (high - low) * generator.choice([0, 1, generator.random()], (4, 3))
        for x, y, z in (*corners, *inside):
            loss = moments.row_loss(x, y, z, p)[1] - slopes[0] * x - slopes[1] * y
            assert bound <= loss + 1e-13 * (1 + x + abs(y))


def test_bounds_become_exact_with_the_square_of_the_box():
    """At a pair's minimum: half the box, a quarter of the error."""
    proof = smallest.prove(0.3, [1.3], [0.003])
    (x, y), value = proof.W[0, 0], proof.value[0, 0]
    errors = []
    for h in (0.02, 0.01, 0.005):
        first, second = (x - h, x + h), (y - h, y + h)
        rows = (rounding.square(w) for w in (first, second))
        g = rounding.mul(first, second)
        bounds = (outputs.row_bound(row, g, 0.3) for row in rows)
        errors.append(value - weights.form_bound(first, second, *bounds, 1.3, 0.003))
    assert errors[1] < errors[0] / 2.5 and errors[2] < errors[1] / 2.5 and errors[2] < 0.01 * value


def test_a_row_alone():
    """H against a fine search over the bias, and below every row with interference."""
    t = np.linspace(-4, 1, 4001)
    for p, a in ((0.3, 0.0), (0.3, 0.6), (0.05, 1.0), (1.0, 1.7), (0.3, 3.0)):
        least = min(moments.row_loss(a, 0.0, one, p)[0] for one in t)
        assert outputs.alone(a, a, p) == pytest.approx(least, abs=3e-6)
        assert outputs.alone(a, a, p) <= outputs.best_bias(a, -0.4, p)[1] + 1e-12
    for p in (1e-4, 0.3, 1.0):
        W = outputs.widest(p)
        assert outputs.alone(W * W, np.inf, p) > p / 3 - p**2 / 4


def test_the_best_bias_is_in_its_range():
    generator = np.random.default_rng(6)
    for p, first, second in boxes(generator, 30):
        a, g = rounding.square(first), rounding.mul(first, second)
        low, high = outputs.bias_range(a, g, p)
        for x, y in models(generator, first, second, 2):
            loss = [moments.row_loss(x * x, x * y, low - s, p)[1] for s in (0, 0.1, 1, 5)]
            assert loss == pytest.approx(len(loss) * [p / 3])
            beyond = [moments.row_loss(x * x, x * y, high + s, p)[0] for s in (0, 0.1, 1, 5)]
            assert (np.diff(beyond) >= -1e-12).all()


@pytest.fixture(scope="module")
def proof():
    return smallest.prove(0.3, 10 ** np.linspace(-1, 1, 8), [0, 0.01])


def test_a_density_is_proved(proof):
    """All values, all phases; without a penalty they are those of the exact optimum."""
    assert (proof.ratio >= 1 - smallest.TOLERANCE).all() and (proof.ratio <= 1).all()
    assert proof.proven.all()
    importance = torch.tensor(proof.relative_importance)
    importance = torch.stack([torch.ones_like(importance), importance], 1)
    best = minimise(2, 1, 0.3, importance, restarts=16)
    assert proof.value[0] == pytest.approx(best.loss.numpy(), rel=1e-6)
    names = [weights.PHASES[code] for code in proof.phase[0]]
    assert [NAMES[code] for code in phase_of(best.W)] == names
    assert set(names) == {"dropped", "paired", "dedicated"}
    assert (proof.value[1] >= proof.value[0] * (1 - 1e-9)).all()


def test_a_weak_pair_beside_the_minimum_of_one_feature_is_found():
    """It costs 1.4e-5 less than that one feature; the value of that could not be proved."""
    p, r, penalty = 0.01 ** (6 / 39), 0.7443803013251689, 0.01
    proof = smallest.prove(p, [r], [penalty])
    assert proof.ratio >= 1 - smallest.TOLERANCE and proof.W[0, 0, 1] == pytest.approx(
        -0.055, abs=2e-3
    )
    assert proof.value < (1 - 1e-5) * candidates.exact_value(1.0, 0.0, r, penalty, p)


def covered(proof, **changes):
    """The State of a density's first penalty covered again, with something changed."""
    value, phase, r = proof.value[0], proof.phase[0], proof.relative_importance
    cells = weights.Cells(r, np.zeros_like(r), value, phase)._replace(**changes)
    return weights.cover(proof.density, cells, 1e-3, 2.0**-9)[0]


def test_a_value_or_phase_that_is_wrong_is_noticed(proof):
    right = covered(proof)
    assert right.ratio.min() >= 1 - 1e-3 and right.proven.all()
    high = covered(proof, value=1.003 * proof.value[0])
    assert high.ratio.max() < 1 - 1e-3
    other = np.where(proof.phase[0] == weights.PAIR, weights.DROPPED, weights.PAIR)
    assert not covered(proof, phase=other).proven.any()


@pytest.mark.parametrize("order", [1, -1])
def test_one_box_that_may_be_of_another_phase_is_enough(order):
    """Whichever is looked at last, and only where the value is not exceeded there."""
    other, own = ((1.0, 1.0), (0.0, 0.0)), ((1.0, 1.0), (-1.0, -1.0))
    for value, proven in ((1.0, False), (1e-6, True)):
        one = np.ones(1)
        cells = weights.Cells(one, 0 * one, value * one, np.array([weights.PAIR]))
        state = weights.State(9 * one, one > 0)
        for first, second in (other, own)[::order]:
            open_ = one > 0
            assert weights.settle(first, second, 0.3, cells, 1e-5, open_, state, True) == 0
            assert not open_.any()
        assert state.proven[0] == proven


def test_three_features_on_one_axis_beat_every_pair_beside_a_dropped_feature():
    """A rational certificate against the proven minimum of two features."""
    (certificate,) = (c for c in one_axis.CERTIFICATES if c.p == Fraction(1, 64))
    proof = smallest.prove(1 / 64, [1.0], [0.0])
    pair = Fraction(proof.value[0, 0]) * Fraction(proof.ratio[0, 0]) * (1 - Fraction(1, 2**40))
    dropped = certificate.p / 3 - certificate.p**2 / 4
    assert one_axis.check(certificate)[0] < pair + dropped


def test_what_it_prints(capsys, monkeypatch):
    """One line a density; those asked for with a line for every penalty."""
    prove = partial(smallest.prove, relative_importance=[0.5, 2.0], penalty=[0.0])
    monkeypatch.setattr(smallest, "prove", prove)
    monkeypatch.setattr(smallest, "DENSITIES", (0.7, 0.6))
    monkeypatch.setattr("sys.argv", ["smallest"])
    smallest.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", ")[0] for line in lines] == [f"density {p}: 2 cells" for p in (0.7, 0.6)]
    assert "100.0 %" in lines[1]
    monkeypatch.setattr("sys.argv", ["smallest", "--density", "0.6"])
    smallest.main()
    again = capsys.readouterr().out.splitlines()
    assert again[0] == lines[1] and "dropped 1, dedicated 1, paired 0" in again[1]


def test_a_value_that_is_not_proved_is_an_error(capsys, monkeypatch):
    """A density whose boxes are left too large."""
    prove = partial(smallest.prove, relative_importance=[2.0], penalty=[0.0], finest=0.5)
    monkeypatch.setattr(smallest, "prove", prove)
    monkeypatch.setattr("sys.argv", ["smallest", "--density", "0.3"])
    with pytest.raises(SystemExit, match="not proved in 1 cells"):
        smallest.main()


def test_numbers_that_it_does_not_hold_for_are_refused():
    for arguments in ((0, [1.0], [0.0]), (0.3, [0.0], [0.0]), (0.3, [1.0], [-0.1])):
        with pytest.raises(ValueError):
            smallest.prove(*arguments)


def test_the_boxes_cover_every_model():
    """Those that are not divided have the area of the whole half-plane up to a weight of W, and
    random models, large ones too, each lie in one."""
    module, leaves = uncompiled(), []

    def settle(first, second, *_):
        if max(first[1] - first[0], second[1] - second[0]) > 1:
            return 1
        leaves.append((*first, *second))
        return 0

    module.settle, p = settle, 0.3
    cells = module.Cells(*np.ones((4, 1)))
    assert module.cover(p, cells, 1e-3, 1e-3)[1] == 2 * len(leaves) - 1
    x_low, x_high, y_low, y_high = np.array(leaves).T
    W = x_high.max()
    assert module.widest(p) < W and y_low.min() == -W and y_high.max() == W
    assert ((x_high - x_low) * (y_high - y_low)).sum() == 2 * W * W
    for x, y in np.random.default_rng(7).uniform((0, -W), (W, W), (200, 2)):
        assert ((x_low <= x) & (x <= x_high) & (y_low <= y) & (y <= y_high)).any()
