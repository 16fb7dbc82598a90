"""The exact population loss against rational arithmetic, Monte Carlo, autograd's own check and
invariances. The rational oracle is exact: differences are this project's rounding alone."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings, strategies as st
from oracles import rational_loss, rational_terms

from common import exact
from common.data import SparseFeatures, importance_decay
from common.exact import loss_by_active_features, population_loss
from common.model import ToyModel
from common.theory import linear_optimum
from common.training import estimate_loss

DENSITIES = [1.0, 0.9, 0.3, 0.03, 0.003, 0.001]
SIZES = [(1, 1), (2, 1), (3, 2), (4, 2), (4, 3)]


def weights(n, m, generator):
    """W, b with entries up to 2 in size."""
    W = 4 * torch.rand(m, n, generator=generator, dtype=torch.float64) - 2
    b = 4 * torch.rand(n, generator=generator, dtype=torch.float64) - 2
    return W, b


def check(W, b, p, W_out=None, rel=1e-12, per_feature=False):
    importance = importance_decay(len(b), 0.7)
    expected = rational_loss(W, b, p, importance, W_out)
    found = population_loss(W, b, p, importance, W_out=W_out, per_feature=per_feature)
    assert found.item() == pytest.approx(expected, rel=rel)


@pytest.mark.parametrize("p", DENSITIES)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_random_weights(n, m, p, generator):
    for _ in range(5):
        check(*weights(n, m, generator), p)


@pytest.mark.parametrize("p", DENSITIES)
def test_zero_and_tiny_entries(p, generator):
    """Entries of A that are exactly zero or between 1e-12 and 1e-3, where formulas that divide by
    them lose their digits; A_ii = 1; dead features; biases of either sign."""
    for tiny in (0.0, 1e-12, 1e-9, 1e-6, 1e-3):
        for sign in (1, -1):
            W = torch.eye(4, dtype=torch.float64)
            W[0, 1], W[1, 2] = sign * tiny, 0.7
            W[3, 3] = tiny  # (nearly) dead
            for bias in (-0.4, 0.0, 0.3):
                check(W, torch.full((4,), bias, dtype=torch.float64), p)


@pytest.mark.parametrize("p", DENSITIES)
def test_all_entries_tiny(p, generator):
    W, b = weights(3, 2, generator)
    for scale in (1e-12, 1e-6, 1e-3):
        check(scale * W, scale * b, p)
        check(scale * W, b, p)


def test_an_untied_decoder_and_a_density_per_feature(generator):
    for _ in range(5):
        W, b = weights(3, 2, generator)
        W_out = 2 * torch.rand(3, 2, generator=generator, dtype=torch.float64) - 1
        check(W, b, torch.tensor([0.9, 0.1, 0.01]).double(), W_out, per_feature=True)


def test_five_features(generator):
    W, b = weights(5, 2, generator)
    for p in (1.0, 0.2, 0.01):
        check(W, b, p)


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_terms_by_active_features(n, m, generator):
    """Each term of the paper's expansion, whether all are asked for or only the first ones."""
    importance = importance_decay(n, 0.7)
    for p in (1.0, 0.3, 0.01):
        W, b = weights(n, m, generator)
        expected = [float(term) for term in rational_terms(W, b, p, importance)]
        for most in (None, *range(n + 1)):
            found = loss_by_active_features(W, b, p, importance, most=most)
            assert found.tolist() == pytest.approx(expected[: len(found)], rel=1e-11, abs=1e-15)
            assert len(found) == (n if most is None else most) + 1


def test_more_active_features_than_there_are_are_refused():
    with pytest.raises(ValueError, match="most must lie between 0 and 3, got 4"):
        loss_by_active_features(torch.zeros(2, 3), torch.zeros(3), 0.1, most=4)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["relu", "linear"])
@pytest.mark.parametrize(("n", "m"), [(5, 2), (8, 3)])
def test_monte_carlo(n, m, output, generator):
    """2^20 samples, within 4 standard errors: six comparisons a case, each of which would fail by
    chance with probability 6e-5 were the seed not fixed."""
    density = torch.tensor([1.0, 0.7, 0.3, 0.1, 0.03, 0.01], dtype=torch.float64)
    importance = importance_decay(n, 0.9)
    model = ToyModel(n, m, 6, output=output, generator=generator)
    with torch.no_grad():
        model.b.normal_(0, 0.2, generator=generator)
    data = SparseFeatures(n, density)
    mean, error = estimate_loss(model, data, importance, samples=2**20)
    exact = population_loss(model.W.detach(), model.b.detach(), density, importance, output=output)
    assert ((mean - exact).abs() < 4 * error).all()


def test_gradients():
    """Central differences, with entries of A exactly zero (dead features) among the points."""
    generator = torch.Generator().manual_seed(2)
    W = torch.randn(3, 2, 4, generator=generator, dtype=torch.float64)
    W[0, :, 1] = 0  # a dead feature: a whole row and column of A is zero
    W[1, 0, 2] = 0
    W[2] = torch.tensor([[1.0, 0, -1, 0], [0, 1, 0, -1]])  # antipodal pairs: zeros and ones
    b = 0.3 * torch.randn(3, 4, generator=generator, dtype=torch.float64)
    p = torch.tensor([0.3, 0.9, 0.01], dtype=torch.float64)
    W.requires_grad_()
    b.requires_grad_()
    assert torch.autograd.gradcheck(lambda W, b: population_loss(W, b, p), (W, b))


def test_gradient_of_the_decoder(generator):
    W, b = weights(3, 2, generator)
    W_out = torch.rand(3, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda V: population_loss(W, b, 0.3, W_out=V), (W_out,))


def test_smooth_through_zero():
    """Loss and gradient are continuous where an entry of A passes through zero."""
    values = torch.tensor([-1e-9, 0.0, 1e-9], dtype=torch.float64)
    W = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64).repeat(3, 1, 1)
    W[:, 0, 1] = values
    W.requires_grad_()
    loss = population_loss(W, torch.tensor([-0.1, 0.1]), 0.3)
    (gradient,) = torch.autograd.grad(loss.sum(), W)
    assert (loss - loss[1]).abs().max() < 1e-9
    assert (gradient - gradient[1]).abs().max() < 1e-7


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(1, 5), p=st.sampled_from(DENSITIES))
def test_invariances(seed, n, p):
    """Permuting features, rotating the hidden space, scaling importances, splitting a batch."""
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(2, 3, n, generator=generator, dtype=torch.float64)
    b = torch.randn(2, n, generator=generator, dtype=torch.float64)
    importance = torch.rand(n, generator=generator, dtype=torch.float64)
    loss = population_loss(W, b, p, importance)

    order = torch.randperm(n, generator=generator)
    permuted = population_loss(W[..., order], b[..., order], p, importance[order])
    Q = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    rotated = population_loss(Q @ W, b, p, importance)
    scaled = population_loss(W, b, p, 7 * importance) / 7
    split = torch.stack([population_loss(W[k], b[k], p, importance) for k in range(2)])
    for same in (permuted, rotated, scaled, split):
        assert torch.allclose(same, loss, rtol=1e-11)


def test_linear_optimum_is_the_loss_of_the_top_features():
    importance = importance_decay(6, 0.8)
    p = torch.tensor([1.0, 0.2], dtype=torch.float64)
    W = torch.eye(6, dtype=torch.float64)[:2].expand(2, 2, 6)
    b = (p / 2)[:, None] * (torch.arange(6) >= 2)
    for output in ("linear", "relu"):  # the ReLU never acts here
        loss = population_loss(W, b, p, importance, output=output)
        assert torch.allclose(loss, linear_optimum(p, importance, 2), rtol=1e-14)


def test_densities_per_instance_and_per_feature(generator):
    W = torch.randn(2, 2, 3, generator=generator)
    b = torch.zeros(3)
    one = population_loss(W, b, 0.3)
    assert torch.equal(population_loss(W, b, [0.3, 0.3]), one)
    assert torch.equal(population_loss(W, b, [[0.3] * 3] * 2, per_feature=True), one)
    mixed = population_loss(W, b, [0.3, 0.9])
    assert mixed[0] == one[0] and mixed[1] != one[1]


def test_a_density_is_an_instances_unless_it_is_said_to_be_a_features(generator):
    """As many instances as features: the shape [3] alone does not tell which is meant."""
    W, b = torch.randn(3, 2, 3, generator=generator), torch.zeros(3)
    p = [0.9, 0.3, 0.1]
    each = torch.stack([population_loss(W[i], b, p[i]) for i in range(3)])
    assert torch.equal(population_loss(W, b, p), each)
    check(W[1].double(), b.double(), torch.tensor(p).double(), per_feature=True)
    whole = population_loss(W, b, p, per_feature=True)
    assert whole[1] == population_loss(W[1], b, p, per_feature=True) != each[1]
    with pytest.raises(ValueError, match=r"per_feature=True, \[3\]\), got \[3\]"):
        population_loss(W[0], b, p)  # one model has one density
    with pytest.raises(ValueError, match=r"densities per feature must have shape .*, got \[2\]"):
        population_loss(W[0], b, [0.1, 0.2], per_feature=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"density": 0}, r"density must lie in \(0, 1\], got 0"),
        ({"density": 1.5}, r"density must lie in \(0, 1\], got 1.5"),
        ({"density": float("nan")}, r"density must lie in \(0, 1\], got nan"),
        ({"density": [0.1] * 3}, r"density must be a number or have shape \[2\] .*, got \[3\]"),
        ({"density": torch.full((3, 5), 0.1)}, r"density must be a number or .*, got \[3, 5\]"),
        ({"b": torch.zeros(4)}, r"do not fit: \[2, 3, 5\], \[4\]"),
        ({"b": torch.zeros(3, 5)}, r"do not fit: W \[2\], W_out \[2\], b \[3\]"),
        ({"W_out": torch.zeros(4, 5, 3)}, r"do not fit: W \[2\], W_out \[4\], b \[\]"),
        ({"W": torch.full((3, 5), torch.inf)}, "W must be finite, got inf"),
        ({"b": torch.full((5,), torch.nan)}, "b must be finite, got nan"),
        ({"output": "tanh"}, "output must be one of"),
        ({"importance": torch.ones(4)}, r"importance must have shape \[5\] or \[2, 5\], got \[4\]"),
        ({"W_out": torch.zeros(3, 5)}, r"W_out must have shape \[..., 5, 3\], got \[3, 5\]"),
        ({"accuracy": 0}, r"accuracy must lie between 1e-10 and 0.1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    arguments = {"W": torch.zeros(2, 3, 5), "b": torch.zeros(5), "density": 0.1} | arguments
    with pytest.raises(ValueError, match=message):
        population_loss(**arguments)


@pytest.mark.slow
def test_the_loss_of_few_features_needs_pytorch_alone(tmp_path):
    """And that of many numba besides, in a copy of the folder as well."""
    shutil.copytree(Path(exact.__file__).parent, tmp_path / "elsewhere")
    code = (
        "import sys; from elsewhere import population_loss\n"
        "print(float(population_loss([[1.0, 0.0]], [0.0, 0.5], 1.0)))\n"
        "print('common' in sys.modules, 'numba' in sys.modules, 'scipy' in sys.modules)\n"
        "print(float(population_loss([[1.0] + 6 * [0.0]], 7 * [0.5], 1.0)))\n"
        "print('common' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loss, others, of_seven, common = run.stdout.splitlines()
    assert float(loss) == pytest.approx(1 / 12, rel=1e-12)  # the variance of the dropped feature
    assert others == "False False False"
    # Six dropped features, and one to which 1/2 is added.
    assert float(of_seven) == pytest.approx(6 / 12 + 1 / 4, rel=1e-6)
    assert common == "False"
