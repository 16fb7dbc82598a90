"""Compiled training steps, against autograd, torch's AdamW and the exact loss."""

import hashlib

import numpy as np
import pytest
import torch
from processors import on_the_plainest
from scipy.stats import binom, chi2, kstest

from common.data import SparseFeatures
from common.exact import population_loss
from common.model import ToyModel
from common.steps import compiled
from common.steps.block import Block
from common.steps.compiled import BETA1, TILE, random_states
from common.training import Recipe, train

INSTANCES, N, M = 4, 6, 3


class Fixed:
    """Data that return the same batch x [instances, batch, n] again and again."""

    def __init__(self, x):
        self.x, self.n_features, self.instances = x, x.shape[2], x.shape[0]

    def sample(self, batch, generator=None):
        return self.x

    def part(self, index):
        return Fixed(self.x[index])


@pytest.fixture
def importance(generator):
    return torch.rand(INSTANCES, N, generator=generator, dtype=torch.float64)


def model_of(generator, **options):
    """A stack with a bias that is not zero."""
    model = ToyModel(N, M, INSTANCES, generator=generator, **options)
    with torch.no_grad():
        model.b.normal_(0, 0.3, generator=generator)
        if not model.tied:
            model.W_out.add_(0.3 * torch.randn(INSTANCES, N, M, generator=generator))
    return model


def block_of(model, data, importance, share, batch, law=None, thinned=False, seed=0, part=None):
    recipe = Recipe(1, batch, 1e-3, 0.0, cosine=False, skip_empty=False)
    states = random_states(model.instances, seed)
    part = part or slice(0, model.instances)
    return Block(model, part, data, law, importance, share, thinned, recipe, states)


def gradients(block):
    """Gradients [instances, rows, n] of one step, without moving the weights."""
    mean = block.model[1][0]
    mean[:] = 0
    block.train(np.array([[0.0, 0.0, 1.0]]))
    return torch.tensor(mean).double() / (1 - BETA1)


def plain_loss(model, x, importance, share):
    """Loss [instances] of a batch, of whose kind only a share of all inputs is."""
    full = (importance[:, None] * (model(x) - x) ** 2).sum(-1).mean(1)
    empty = (importance * model(x[:, :1] * 0)[:, 0] ** 2).sum(-1)
    return share * full + (1 - share) * empty


# One tile that is not full, exactly one, and some with a rest.
@pytest.mark.parametrize("batch", [32, TILE, 2 * TILE + 37])
@pytest.mark.parametrize("hidden", ["linear", "relu"])
@pytest.mark.parametrize("output", ["linear", "relu"])
@pytest.mark.parametrize("tied", [True, False])
def test_gradients_equal_autograd(batch, hidden, output, tied, generator, importance):
    """Autograd in float64; what differs is the rounding of the compiled float32."""
    x = SparseFeatures(N, torch.full((INSTANCES,), 0.4)).sample(batch, generator)
    model = model_of(generator, hidden=hidden, output=output, tied=tied)
    share, part = torch.tensor([1.0, 0.7, 0.7, 0.1], dtype=torch.float64), slice(1, 4)
    block = block_of(model, Fixed(x), importance, share, batch, part=part)
    weights = model.state_dict()
    assert all(torch.equal(value, weights[name][part]) for name, value in block.weights().items())
    assert block.weights().keys() == weights.keys()
    for _ in range(2):  # buffers are used again and must not remember
        found = gradients(block)
    model.double()
    loss = plain_loss(model, x.double(), importance, share).sum()
    expected = dict(zip(weights, torch.autograd.grad(loss, list(model.parameters())), strict=True))
    ours = {"W": found[:, :M] if tied else found[:, M + 1 :], "b": found[:, M]}
    ours |= {} if tied else {"W_out": found[:, :M].mT}
    for name, value in ours.items():
        assert torch.allclose(value, expected[name][part], rtol=1e-5, atol=2e-6), name


@pytest.mark.parametrize("n, m", [(1, 1), (80, 20), (200, 100)])
def test_gradients_of_other_sizes(n, m, generator):
    """All features on, so that no ReLU can hide one."""
    model = ToyModel(n, m, 1, generator=generator)
    x = torch.rand(1, 40, n, generator=generator)
    ones = torch.ones(1, n)
    found = gradients(block_of(model, Fixed(x), ones, torch.ones(1), 40))
    model.double()
    loss = plain_loss(model, x.double(), ones, 1).sum()
    W, b = torch.autograd.grad(loss, list(model.parameters()))
    assert torch.allclose(found[:, :m], W, rtol=1e-4, atol=1e-5 * W.abs().max().item())
    assert torch.allclose(found[:, m], b, rtol=1e-4, atol=1e-5 * b.abs().max().item())


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("bias", [True, False])
def test_steps_are_those_of_torchs_adamw(decay, bias, generator):
    """Fixed inputs, 60 steps of a cosine; a frozen bias is neither moved nor decayed."""
    x = torch.rand(2, 50, 5, generator=generator)
    recipe = Recipe(60, 50, 2e-2, decay, cosine=True, skip_empty=False)
    ours = ToyModel(5, 2, 2, bias=bias, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        ours.b += 0.2
    theirs = ToyModel(5, 2, 2, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    optimiser = torch.optim.AdamW(theirs.parameters(), lr=2e-2, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 60)
    for _ in range(60):
        optimiser.zero_grad()
        ((theirs(x) - x) ** 2).sum(-1).mean(1).sum().backward()
        optimiser.step()
        schedule.step()
    block = block_of(ours, Fixed(x), torch.ones(2, 5), torch.ones(2), 50)
    block.decay = decay
    block.train(recipe.schedule())
    for name, value in block.weights().items():
        assert torch.allclose(value, theirs.state_dict()[name], atol=2e-5), name


def test_uniform_numbers(generator):
    """Mean, equal bins, and no correlation between neighbours: along a row, down a column and one
    instance to the next. z-scores below 5 for 6 statistics: false alarm below 1e-5 over all seeds.
    """
    states = random_states(2, 1)
    rows = np.empty((2, 4000, TILE), np.float32)
    for state, out in zip(states, rows, strict=True):
        compiled.uniform(state, out)
    u, count = rows.astype(float), rows.size
    assert u.min() >= 0 and u.max() < 1
    assert (u * 2**24 % 1 == 0).all() and (u * 2**24 % 2 == 1).any()  # all 24 bits
    z = [(u.mean() - 0.5) * (12 * count) ** 0.5, ((u**2).mean() - 1 / 3) * (45 / 4 * count) ** 0.5]
    c = (u - 0.5) * 12**0.5
    pairs = (c[..., 1:] * c[..., :-1], c[:, 1:] * c[:, :-1], c[0] * c[1], c[:, 2:] * c[:, :-2])
    z += [product.mean() * product.size**0.5 for product in pairs]
    assert np.abs(z).max() < 5
    assert kstest(u.ravel()[::5], "uniform").pvalue > 1e-6
    again = random_states(3, 1)
    assert (again[:2] != states).any()  # moved on
    assert (random_states(2, 1) == again[:2]).all()  # the first are the same whatever the count
    assert (random_states(2, 2) != again[:2]).mean() > 0.99


@pytest.mark.parametrize("p", [0.02, 0.3, 1.0])
def test_batches_have_their_share_of_empty_inputs(p):
    """The number of inputs that are not empty is binomial: chi-squared over its values."""
    n, batch, count = 3, 300, 4000
    share = 1 - (1 - p) ** n
    state, work = random_states(1, 5)[0], np.empty((1, TILE), np.float32)
    found = [compiled._not_empty(state, share, batch, work) for _ in range(count)]
    if p == 1:
        assert set(found) == {batch}
        return
    edges = np.unique(binom.ppf(np.linspace(0, 1, 12)[1:-1], batch, share))
    chance = np.diff(np.concatenate([[0], binom.cdf(edges, batch, share), [1]]))
    seen = np.bincount(np.searchsorted(edges, found), minlength=len(chance))
    statistic = ((seen - count * chance) ** 2 / (count * chance)).sum()
    assert chi2.sf(statistic, len(chance) - 1) > 1e-6  # the rate of false alarms


@pytest.mark.parametrize("skip_empty", [False, True])
@pytest.mark.parametrize("per_feature", [False, True])
def test_gradients_of_batches_drawn_have_the_mean_and_spread_of_plain_ones(
    skip_empty, per_feature, generator
):
    """4000 batches of 40 inputs, nearly half of them empty. The mean is the gradient of the exact
    loss (no sampling); the covariance is that of torch's own batches of all kinds where empty ones
    are drawn, and smaller where they are not. z-scores below 5: false alarm below 1e-4 a case.
    """
    n, m, batch, count = 3, 2, 40, 4000
    p = torch.tensor([0.1, 0.3, 0.05]) if per_feature else torch.tensor(0.2)
    p = p.double()
    importance = torch.tensor([1.0, 0.5, 2.0])
    one = ToyModel(n, m, 1, generator=generator)
    with torch.no_grad():
        one.b += torch.tensor([0.2, 0.1, -0.1])  # empty inputs have a gradient
    model = ToyModel.from_weights(
        *(value.expand(count, *value.shape[1:]) for value in (one.W, one.b))
    )
    data = SparseFeatures(n, p, per_feature=per_feature, skip_empty=skip_empty).stacked(count)
    share = data.sampled_share if skip_empty else data.active_share
    block = block_of(
        model, data, importance.expand(count, n), share, batch, data.law(True), not skip_empty
    )
    found = gradients(block).flatten(1)

    W, b = (value.detach().double().requires_grad_() for value in (one.W[0], one.b[0]))
    exact = population_loss(W, b, p, importance, per_feature=per_feature)
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(exact, (W, b))])
    error = found.std(0) / count**0.5
    assert ((found.mean(0) - exact).abs() < 5 * error + 1e-6).all()

    x = SparseFeatures(n, p, per_feature=per_feature).stacked(count).sample(batch, generator)
    loss = plain_loss(model, x, importance.expand(count, n), 1)
    plain = torch.autograd.grad(loss.sum(), list(model.parameters()))
    plain = torch.cat([g.flatten(1) for g in plain], 1).double()
    products = [(g - g.mean(0))[:, :, None] * (g - g.mean(0))[:, None] for g in (found, plain)]
    means, variances = [v.mean(0) for v in products], [v.var(0) / count for v in products]
    z = (means[0] - means[1]) / (variances[0] + variances[1] + 1e-20).sqrt()
    if skip_empty:
        assert torch.trace(means[0]) < 0.8 * torch.trace(means[1])
    else:
        assert z.abs().max() < 5


def test_a_frozen_bias_has_no_moments(generator, importance):
    """Everything else is trained as usual."""
    x = torch.rand(INSTANCES, 10, N, generator=generator)
    model = model_of(generator, bias=False)
    found = gradients(block_of(model, Fixed(x), importance, torch.ones(INSTANCES), 10))
    assert (found[:, M] == 0).all() and (found[:, :M] != 0).any()


def test_an_instance_ends_the_same_whatever_stands_behind_it():
    """Bit by bit, though other parts of the stack are trained together."""
    ends = []
    for count in (3, 200):
        model = ToyModel(5, 2, count, generator=torch.Generator().manual_seed(4))
        recipe = Recipe(7, 100, 1e-2, 0.0, cosine=True, skip_empty=False)
        train(model, SparseFeatures(5, 0.2), recipe=recipe, seed=3)
        ends.append(model.W.detach()[:3])
    assert torch.equal(*ends)


def digest():
    """Of the weights of some trained models: printed by processes whose code differs."""
    found = hashlib.sha256()
    for n, m, options in ((5, 2, {}), (20, 5, {"tied": False, "hidden": "relu"})):
        for skip_empty in (False, True):
            W = torch.linspace(-1, 1, 3 * m * n).sin().reshape(3, m, n)
            model = ToyModel(n, m, 3, **options)
            model.load_state_dict({name: 0.1 + 0 * v for name, v in model.state_dict().items()})
            with torch.no_grad():
                model.W.copy_(W)
            data = SparseFeatures(n, [1, 0.1, 0.01], skip_empty=skip_empty)
            train(model, data, recipe=Recipe(60, 300, 1e-2, 0.01, True, skip_empty))
            for value in model.state_dict().values():
                found.update(value.numpy().tobytes())
    return found.hexdigest()


@pytest.mark.slow
def test_every_processor_gets_the_same_bits(tmp_path):
    """Compiled for this processor and for the plainest of its kind, without wide instructions."""
    printed = on_the_plainest("from test_steps import digest; print(digest())", tmp_path)
    assert printed.strip() == digest()
