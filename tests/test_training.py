"""Training: packing and blocks, recipes, interrupts, errors."""

import threading
from dataclasses import replace

import pytest
import torch

from common import training
from common.data import SparseFeatures, importance_decay
from common.exact import population_loss
from common.model import ToyModel
from common.steps.block import Block
from common.theory import linear_optimum
from common.training import AUTHORS, FAST, Recipe, descend, estimate_loss, train

SHORT = Recipe(
    steps=40, batch=64, learning_rate=1e-2, weight_decay=0.01, cosine=True, skip_empty=False
)


class Fixed:
    """Data that return the same batch again and again, for one stack or a slice of it."""

    def __init__(self, x):
        self.x, self.n_features, self.instances = x, x.shape[2], x.shape[0]
        self.density = self.sampled_share = torch.ones(x.shape[0], dtype=torch.float64)

    def sample(self, batch, generator=None):
        return self.x

    def stacked(self, instances):
        return self

    def part(self, index):
        return Fixed(self.x[index])


class Same(ToyModel):
    """The same model with a `forward` of its own."""

    def forward(self, x):
        return torch.relu(x @ self.W.transpose(1, 2) @ self.W + self.b[:, None])


class Gelu(ToyModel):
    """Another activation."""

    def forward(self, x):
        return torch.nn.functional.gelu(x @ self.W.transpose(1, 2) @ self.W + self.b[:, None])


def test_a_forward_of_ones_own_is_trained(generator):
    """By autograd. The same model ends where the gradients written by hand lead, also with a part
    of the inputs, and another one goes its own way."""
    x = torch.rand(2, 64, 4, generator=generator)
    ends = {}
    for kind in (ToyModel, Same, Gelu):
        data = Fixed(x)
        data.sampled_share = torch.tensor([0.3, 0.8]).double()
        model = kind(4, 2, 2, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            model.b += 0.2  # empty inputs cost something
        kept = train(model, data, importance_decay(4, 0.7), recipe=SHORT, snapshot_steps=(0, 40))
        assert torch.equal(kept[40]["W"], model.W) and not torch.equal(kept[0]["W"], model.W)
        ends[kind] = torch.cat([model.W.detach().flatten(), model.b.detach().flatten()])
    assert torch.allclose(ends[ToyModel], ends[Same], atol=1e-5)
    assert (ends[ToyModel] - ends[Gelu]).abs().max() > 0.01


def test_another_activation_lowers_its_own_loss():
    data = SparseFeatures(5, 0.1)
    model = Gelu(5, 2, 3, generator=torch.Generator().manual_seed(1))
    before = estimate_loss(model, data, samples=2**14)[0]
    train(model, data, recipe=replace(FAST, steps=300))
    assert (estimate_loss(model, data, samples=2**14)[0] < 0.7 * before).all()


class Copies(SparseFeatures):
    """All features of an input are the same: one dimension is enough for them."""

    def sample(self, batch, generator=None):
        return super().sample(batch, generator)[..., :1].expand(-1, -1, self.n_features)


def test_a_distribution_of_ones_own_is_learned():
    model = ToyModel(4, 1, 2, generator=torch.Generator().manual_seed(1))
    data = Copies(4, 0.3)
    train(model, data, recipe=replace(FAST, steps=500))
    loss = estimate_loss(model, data, samples=2**14)[0]
    independent = estimate_loss(model, SparseFeatures(4, 0.3), samples=2**14)[0]
    assert (loss < 1e-3).all() and (independent > 0.1).all()


def test_packing_invariance(generator):
    """An instance trained alone or in a stack, on the same inputs, ends the same."""
    x = SparseFeatures(5, torch.tensor([1.0, 0.3, 0.05])).sample(64, generator)
    importance = torch.rand(3, 5, generator=generator)
    stack = ToyModel(5, 2, 3, generator=generator)
    start = stack.W.detach().clone()
    train(stack, Fixed(x), importance, recipe=SHORT)
    for k in range(3):
        alone = ToyModel(5, 2, 1)
        with torch.no_grad():
            alone.W.copy_(start[k : k + 1])
        train(alone, Fixed(x[k : k + 1]), importance[k : k + 1], recipe=SHORT)
        assert torch.allclose(alone.W[0], stack.W[k], atol=1e-6)
        assert torch.allclose(alone.b[0], stack.b[k], atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
def test_a_stack_comes_back_in_order(tied, generator, monkeypatch):
    """On the same inputs, in one part and in three that are not equal: weights and snapshots."""
    x = SparseFeatures(5, torch.linspace(0.1, 1, 10)).sample(SHORT.batch, generator)
    importance = torch.rand(10, 5, generator=generator)
    found = []
    for parts in (1, 3):
        monkeypatch.setattr(training, "OWN_PARTS", parts)
        model = ToyModel(5, 2, 10, tied=tied, generator=torch.Generator().manual_seed(3))
        kept = train(model, Fixed(x), importance, recipe=SHORT, snapshot_steps=[0, 20])
        found.append([*kept[0].values(), *kept[20].values(), *model.state_dict().values()])
    assert all(torch.equal(one, some) for one, some in zip(*found, strict=True))


def test_instances_draw_inputs_of_their_own_whatever_the_cores_and_parts(monkeypatch):
    """One core or three, one part or four: the same bits; equal instances do not stay equal."""

    def run(cores, parts):
        monkeypatch.setattr("common.parallel.cpu_count", lambda: cores)
        monkeypatch.setattr(training, "PARTS", parts)
        model = ToyModel(5, 2, 10)
        with torch.no_grad():
            model.W.copy_(torch.linspace(-1, 1, 10).reshape(1, 2, 5).expand(10, 2, 5))
        train(model, SparseFeatures(5, 0.3), recipe=SHORT)
        return model.W.detach()

    alone = run(1, 1)
    assert torch.equal(alone, run(3, 4))
    assert len(alone[:, 0, 0].unique()) == 10


def test_an_interrupt_ends_all_blocks(monkeypatch):
    """A block that fails or Ctrl-C: the others stop early, the model keeps its weights."""
    recipe = Recipe(200_000, 2**16, 1e-2, 0.0, cosine=False, skip_empty=False)  # minutes

    class Failing(Block):
        def __init__(self, model, part, *others):
            super().__init__(model, part, *others)
            self.fails = part.start == 0

        def train(self, schedule):
            if self.fails:
                raise KeyboardInterrupt
            super().train(schedule)

    monkeypatch.setattr(training, "Block", Failing)
    model = ToyModel(5, 2, 10)
    before = model.W.detach().clone()
    workers = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        train(model, SparseFeatures(5, 0.5), recipe=recipe)
    assert torch.equal(model.W, before)
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join(timeout=10)
    assert threading.active_count() <= workers


def test_training_is_reproducible_from_its_seed():
    def run(seed):
        model = ToyModel(5, 2, 2, generator=torch.Generator().manual_seed(0))
        train(model, SparseFeatures(5, 0.2), recipe=SHORT, seed=seed)
        return model.W.detach()

    W, again, other = run(1), run(1), run(2)
    assert torch.equal(W, again)
    assert not torch.equal(W, other)


@pytest.mark.parametrize("skip", [False, True])
def test_estimated_losses_and_their_errors(skip):
    """200 estimates of one loss: their mean is the exact loss, within 5 standard errors, and they
    spread as they say, within 25 % (5 standard deviations of a spread of 200 numbers). False alarm
    below 1e-5 a case."""
    model = ToyModel(4, 2, 200, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        model.W.copy_(model.W[:1].expand(200, 2, 4).clone())
        model.b.fill_(0.1)  # empty inputs cost something
    exact = population_loss(model.W[0].detach(), model.b[0].detach(), 0.1)
    mean, error = estimate_loss(model, SparseFeatures(4, 0.1, skip_empty=skip), samples=2**12)
    assert abs(mean.mean() - exact) < 5 * error.mean() / 200**0.5
    assert mean.std() == pytest.approx(error.mean(), rel=0.25)


def test_training_reaches_the_linear_optimum(generator):
    importance = importance_decay(5, 0.7)
    density = torch.tensor([1.0, 0.1, 0.01], dtype=torch.float64)
    model = ToyModel(5, 2, 3, output="linear", generator=generator)
    train(model, SparseFeatures(5, density, skip_empty=True), importance)
    W, b = model.W.detach(), model.b.detach()
    loss = population_loss(W, b, density, importance, output="linear")
    optimum = linear_optimum(density, importance, 2)
    assert ((loss / optimum - 1).abs() < 1e-3).all()


def test_descend_treats_a_problem_alike_alone_and_in_a_stack():
    """Also where gradients are as small as Adam's epsilon, so that their scale counts."""

    def end(count):
        w = torch.zeros(count, requires_grad=True)
        descend([w], lambda generator: 1e-8 * (w - 1) ** 2, replace(SHORT, weight_decay=0.0))
        return w.detach()

    assert torch.allclose(end(5), end(1).expand(5), rtol=1e-6)


@pytest.mark.parametrize("kind", [ToyModel, Same])
def test_snapshots(kind):
    """The weights after so many steps are those with which a run of so many steps ends."""
    constant, data = replace(SHORT, cosine=False, steps=130), SparseFeatures(3, 0.5)

    def start():
        return kind(3, 2, 2, generator=torch.Generator().manual_seed(3))

    def run(steps, wanted=()):
        model = start()
        recipe = replace(constant, steps=steps)
        return model, train(model, data, recipe=recipe, snapshot_steps=wanted)

    model, snapshots = run(130, [0, 7, 50, 130])
    assert sorted(snapshots) == [0, 7, 50, 130]
    assert torch.equal(
        snapshots[0]["W"], kind(3, 2, 2, generator=torch.Generator().manual_seed(3)).W
    )
    for step in (7, 50):
        other = run(step)[0]
        assert torch.equal(snapshots[step]["W"], other.W)
        assert torch.equal(snapshots[step]["b"], other.b)
    assert torch.equal(snapshots[130]["W"], model.W)


def test_without_bias_the_bias_stays_zero(generator):
    model = ToyModel(3, 2, 1, bias=False, generator=generator)
    train(model, SparseFeatures(3, 0.5), recipe=SHORT)
    assert (model.b == 0).all()


def test_recipes_are_as_published():
    assert Recipe(10_000, 1024, 1e-3, 0.01, False, False) == AUTHORS
    assert [AUTHORS.rate(step) for step in (0, 9_999)] == [1e-3, 1e-3]
    assert Recipe(3_000, 256, 2e-2, 0.0, True, True) == FAST
    assert FAST.rate(0) == FAST.learning_rate
    assert FAST.rate(FAST.steps) == pytest.approx(0, abs=1e-12)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    train(ToyModel(3, 2), SparseFeatures(3, 0.5), recipe=SHORT)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"importance": [1.0, 2.0]}, r"importance must have shape \[5\] or \[2, 5\], got \[2\]"),
        ({"importance": [1.0, -1, 1, 1, 1]}, "importance must be finite and >= 0, got -1"),
        ({"data": SparseFeatures(4, 0.5)}, "data have 4 features but the model has 5"),
        ({"data": SparseFeatures(5, [0.5] * 3)}, "3 densities do not fit 2 instances"),
        ({"snapshot_steps": [41]}, "snapshot steps must lie between 0 and 40, got 41"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    arguments = {"data": SparseFeatures(5, 0.5), "recipe": SHORT} | arguments
    with pytest.raises(ValueError, match=message):
        train(ToyModel(5, 2, 2), **arguments)


def test_shared_inputs_have_one_density():
    model, data = ToyModel(3, 2, 4), SparseFeatures(3, [0.5, 0.5, 0.1, 0.1])
    with pytest.raises(ValueError, match="need data of one density, got 4 densities"):
        estimate_loss(model, data, shared=True)


def test_bad_recipes_are_named():
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1, got 0"):
        Recipe(0, 1, 1e-3, 0, False, False)
    with pytest.raises(ValueError, match="learning_rate must be finite and at least 1e-12, got 0"):
        Recipe(1, 1, 0, 0, False, False)
    with pytest.raises(ValueError, match="weight_decay must be finite and at least 0, got -1"):
        Recipe(1, 1, 1e-3, -1, False, False)
