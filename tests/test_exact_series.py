"""The exact loss of many features: the series with its atoms taken out, against a plain series with
very many harmonics, the recursion over active sets, Monte Carlo, and central differences."""

import hashlib
from unittest import mock

import numpy as np
import pytest
import torch
from oracles import rational_loss, series_loss
from processors import on_the_plainest

from common.data import SparseFeatures, importance_decay
from common.exact import cube, harmonics, population_loss, series
from common.model import ToyModel
from common.training import Recipe, estimate_loss, train


def arrangement(n, m, noise, generator):
    """W [m, n], b [n] like a trained model: m axes, antipodal partners, the rest (nearly) dead."""
    W = torch.zeros(m, n, dtype=torch.float64)
    for i in range(min(n, 2 * m)):
        W[i % m, i] = 1 if i < m else -1
    W += noise * torch.randn(m, n, generator=generator, dtype=torch.float64)
    b = 0.05 * torch.randn(n, generator=generator, dtype=torch.float64)
    b[2 * m :] += 0.2
    return W, b


@pytest.mark.slow
@pytest.mark.parametrize("p", [1.0, 0.3, 0.03, 0.001])
@pytest.mark.parametrize("noise", [0.0, 1e-6, 0.01, 0.2])
def test_twelve_features(noise, p, generator):
    """The accuracy asked for, from 1e-4 to 1e-8, with zero, tiny and ordinary entries of A."""
    W, b = arrangement(12, 3, noise, generator)
    importance = importance_decay(12, 0.8)
    expected = series_loss(W, b, p, importance, harmonics=20_000)
    for accuracy in (1e-4, 1e-6, 1e-8):
        found = population_loss(W, b, p, importance, accuracy=accuracy)
        assert found.item() == pytest.approx(expected, rel=accuracy)


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.3, 0.01, 1e-3, 1e-4])
@pytest.mark.parametrize("size", [1e-6, 1e-5, 8e-5])
def test_a_bias_within_reach_of_negligible_entries(p, size, generator):
    """Antipodal pairs whose outputs hardly see the other pairs: the loss itself is small, and the
    kink lies among entries of A too small for features to be live. Against rational arithmetic."""
    W = torch.eye(3).double().repeat_interleave(2, 1) * torch.tensor([1.0, -1.0]).repeat(3)
    for _ in range(5):
        tiny = size * torch.randn(3, 6, generator=generator, dtype=torch.float64)
        b = size * torch.randn(6, generator=generator, dtype=torch.float64)
        density, importance = torch.full((6,), p).double(), torch.ones(6).double()
        expected = float(rational_loss(W + tiny, b, density, importance))
        found = population_loss(W + tiny, b, p, accuracy=1e-6)
        assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m"), [(20, 5), (80, 20)])
def test_trained_models(n, m):
    """Default accuracy 1e-6 on models as training leaves them."""
    density = torch.tensor([1.0, 0.1, 0.01, 0.001], dtype=torch.float64)
    importance = importance_decay(n, 0.9)
    model = ToyModel(n, m, 4, generator=torch.Generator().manual_seed(1))
    recipe = Recipe(300, 256, 2e-2, 0.0, True, True)
    train(model, SparseFeatures(n, density, skip_empty=True), importance, recipe=recipe)
    W, b = model.W.detach().double(), model.b.detach().double()
    found = population_loss(W, b, density, importance)
    for k in (0, 1, 3) if n == 20 else (2,):
        expected = series_loss(W[k], b[k], density[k].item(), importance, harmonics=4_000)
        assert found[k].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(20, 5), (80, 20)])
def test_monte_carlo(n, m, generator):
    """2^17 inputs that are not empty, within 4 standard errors: five comparisons a case, each of
    which would fail by chance with probability 6e-5 were the seed not fixed."""
    density = torch.tensor([1.0, 0.3, 0.1, 0.01, 0.001], dtype=torch.float64)
    importance = importance_decay(n, 0.9)
    model = ToyModel(n, m, 5, generator=generator)
    with torch.no_grad():
        model.b.normal_(0, 0.2, generator=generator)
    data = SparseFeatures(n, density, skip_empty=True)
    mean, error = estimate_loss(model, data, importance, samples=2**17)
    exact = population_loss(model.W.detach(), model.b.detach(), density, importance)
    assert ((mean - exact).abs() < 4 * error).all()


def test_the_two_methods_agree(generator):
    """Row by row, with a density of its own for every feature, 1 among them."""
    n = 5
    c = torch.randn(40, n, n, generator=generator, dtype=torch.float64)
    c[:10, :, 2] = 0
    c[10:20] *= 1e-3
    t = 0.5 * torch.randn(40, n, generator=generator, dtype=torch.float64)
    p = torch.rand(40, n, n, generator=generator, dtype=torch.float64) ** 2
    p[20:30, :, 1] = 1
    p[25:30, :, 3] = 1
    by_series = series.row_loss(c, t, p, torch.ones_like(t), 1e-9)
    by_sets = cube.row_loss(c.reshape(-1, n), t.reshape(-1), p.reshape(-1, n)).sum(0)
    assert torch.allclose(by_series.reshape(-1), by_sets, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("p", [1.0, 0.3, 0.01])
def test_gradients_are_those_of_the_recursion(p, generator):
    """Both methods' derivatives at n = 5, zero entries and dead features among the points."""
    W = torch.randn(6, 2, 5, generator=generator, dtype=torch.float64)
    W[0, :, 1] = 0
    W[1] = torch.tensor([[1.0, 0, -1, 0, 0], [0, 1, 0, -1, 0]])
    W[2] *= 1e-4
    b = 0.3 * torch.randn(6, 5, generator=generator, dtype=torch.float64) + 0.01
    W.requires_grad_()
    b.requires_grad_()
    order = torch.tensor([[i, *(j for j in range(5) if j != i)] for i in range(5)])
    A = W.transpose(1, 2) @ W
    c = A.gather(-1, order.expand(A.shape))
    loss = series.row_loss(c, b, torch.full_like(c, p), torch.ones_like(b), 1e-10).sum()
    by_series = torch.autograd.grad(loss, (W, b))
    recursion = torch.autograd.grad(population_loss(W, b, p).sum(), (W, b))
    for found, expected in zip(by_series, recursion, strict=True):
        assert torch.allclose(found, expected, rtol=1e-6, atol=1e-7 * p)


def test_gradients_of_many_features(generator):
    """Central differences of the loss itself, n = 12."""
    W, b = arrangement(12, 3, 0.2, generator)

    def loss(W):
        return population_loss(W, b, 0.2, accuracy=1e-10)

    W.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(W), W)
    for i, j in ((0, 0), (1, 4), (2, 11)):
        step = torch.zeros_like(W)
        step[i, j] = 1e-4
        with torch.no_grad():
            difference = (loss(W + step) - loss(W - step)) / 2e-4
        assert gradient[i, j].item() == pytest.approx(difference.item(), rel=1e-5, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("angle", [1e-300, 1e-9, 1e-4, -0.003, 0.0101, 0.7, -1.9, 3.1])
def test_transforms_of_many_harmonics_take_no_sine(angle):
    """Products alone, over 2,048 harmonics, against Gauss-Legendre quadrature of e^{ihu} and
    u e^{ihu}: to 1e-13 and k times the rounding of one product, or of the angle if that is more."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    power = turn = np.array([np.cos(angle), np.sin(angle)])
    power, z, phi, psi = power.copy(), *np.empty((3, 2, harmonics.LANES))
    for first in range(0, 2048, harmonics.LANES):
        k = 2.0 * np.arange(first, first + harmonics.LANES) + 1
        harmonics._spread(turn, power, z)
        harmonics._transforms(z, angle, k, phi, psi)
        allowed = 1e-13 + 2**-52 * k * max(1, abs(angle))
        assert (np.abs(z[0] + 1j * z[1] - np.exp(1j * k * angle)) <= allowed).all()
        h = 2 * k * angle
        pieces = int(np.abs(h).max() / 4) + 1
        u = ((nodes + 1) / 2 + np.arange(pieces)[:, None]).reshape(-1) / pieces
        waves = np.exp(1j * h[:, None] * u) * np.tile(weights / 2 / pieces, pieces)
        assert (np.abs(phi[0] + 1j * phi[1] - waves.sum(1)) <= allowed).all()
        assert (np.abs(psi[0] + 1j * psi[1] - waves @ u) <= allowed).all()


def test_splitting_a_batch_changes_nothing(generator):
    W = torch.randn(5, 3, 9, generator=generator, dtype=torch.float64)
    b = 0.1 * torch.randn(5, 9, generator=generator, dtype=torch.float64)
    together = population_loss(W, b, 0.1)
    apart = torch.stack([population_loss(W[k], b[k], 0.1) for k in range(5)])
    assert torch.allclose(together, apart, rtol=1e-12)


def digest():
    """Of what the harmonics add to losses and derivatives, entries of 0 and p = 1 among them."""
    found, add = hashlib.sha256(), harmonics.add_harmonics

    def noted(*arrays):
        add(*arrays)
        for array in arrays[-3:]:
            found.update(array.tobytes())

    generator = torch.Generator().manual_seed(0)
    W = torch.randn(3, 4, 12, generator=generator, dtype=torch.float64)
    W[0, :, 5] = 0
    b = torch.randn(3, 12, generator=generator, dtype=torch.float64)
    with mock.patch.object(harmonics, "add_harmonics", noted):
        for p in (1.0, 0.3, 0.01):
            population_loss(W, b, p)
    return found.hexdigest()


@pytest.mark.slow
def test_every_processor_gets_the_same_harmonics(tmp_path):
    """Their bits, compiled for this processor and for the plainest of its kind."""
    printed = on_the_plainest("from test_exact_series import digest; print(digest())", tmp_path)
    assert printed.strip() == digest() != hashlib.sha256().hexdigest()
