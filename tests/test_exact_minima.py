"""Minima of the exact loss: against closed forms, against scipy, against many more starts."""

import pytest
import scipy.optimize
import torch
from oracles import rational_loss

from common import geometry
from common.data import SparseFeatures, importance_decay
from common.exact import interference_penalty, minimise, polish, population_loss, problem
from common.exact.bfgs import Minima, _State, _update, minimise_batch
from common.model import ToyModel
from common.theory import candidate_losses, linear_optimum
from common.training import estimate_loss


def grid(n, m, cells, seed):
    """Random cells of the phase window: density [cells], importance [cells, n]."""
    generator = torch.Generator().manual_seed(seed)
    u = torch.rand(2, cells, generator=generator, dtype=torch.float64)
    importance = torch.ones(cells, n, dtype=torch.float64)
    importance[:, -1] = 10 ** (2 * u[1] - 1)
    return 10 ** (-2 * u[0]), importance


@pytest.mark.parametrize(("n", "m"), [(2, 1), (5, 2), (8, 3), (20, 5)])
def test_a_linear_output_reaches_the_linear_optimum(n, m):
    density = torch.tensor([1.0, 0.3, 0.01], dtype=torch.float64)
    importance = importance_decay(n, 0.8)
    best = minimise(n, m, density, importance, restarts=4, output="linear")
    assert best.converged.all()
    assert torch.allclose(best.loss, linear_optimum(density, importance, m), rtol=1e-8)


@pytest.mark.parametrize("m", [1, 2])
def test_never_above_the_papers_candidates(m):
    density, importance = grid(m + 1, m, 100, seed=1)
    best = minimise(m + 1, m, density, importance, restarts=16)
    candidates = torch.stack(list(candidate_losses(density, importance[:, -1], m).values()))
    assert (best.loss <= candidates.min(0).values * (1 + 1e-9)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "cells", "restarts"), [(2, 1, 300, 16), (3, 2, 100, 32)])
def test_three_hundred_more_starts_find_nothing_lower(n, m, cells, restarts):
    """At random cells of the maps: no further start ends more than 0.1 % lower."""
    density, importance = grid(n, m, cells, seed=2)
    best = minimise(n, m, density, importance, restarts=restarts)
    more = minimise(n, m, density, importance, restarts=300, seed=1)
    assert best.converged.all()
    lower = more.restart_losses.min(1).values < best.loss * 0.999
    assert lower.sum() == 0


@pytest.mark.slow
def test_scipy_agrees():
    """scipy's BFGS from random starts, one cell: the same least loss, to 1e-8."""
    importance = torch.tensor([1.0, 0.6], dtype=torch.float64)
    best = minimise(2, 1, 0.3, importance, restarts=16)

    def loss(v):
        x = torch.tensor(v, requires_grad=True)
        value = population_loss(x[:2].reshape(1, 2), x[2:], 0.3, importance)
        value.backward()
        return value.item(), x.grad.numpy()

    starts = torch.randn(20, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    ends = [scipy.optimize.minimize(loss, v.numpy(), jac=True, tol=1e-10).fun for v in starts]
    assert best.loss.item() == pytest.approx(min(ends), rel=1e-8)


def test_the_result_is_a_stationary_point_with_the_loss_it_states():
    density, importance = grid(3, 2, 20, seed=4)
    best = minimise(3, 2, density, importance, restarts=8)
    W, b = best.W.clone().requires_grad_(), best.b.clone().requires_grad_()
    loss = population_loss(W, b, density, importance)
    assert torch.allclose(loss, best.loss, rtol=1e-12)
    scale = density / 3 * importance.sum(-1)
    for gradient in torch.autograd.grad((loss / scale).sum(), (W, b)):
        assert gradient.abs().max() < 1e-7
    assert best.restart_losses.shape == (20, 8)
    assert (best.restart_losses.min(1).values >= best.loss - 1e-12).all()


def test_a_grid_has_the_shape_of_its_arguments():
    density = torch.tensor([[1.0], [0.1], [0.01]], dtype=torch.float64)
    importance = torch.ones(1, 4, 2, dtype=torch.float64)
    importance[..., -1] = torch.tensor([0.1, 0.5, 2.0, 10.0])
    best = minimise(2, 1, density, importance, restarts=6)
    assert best.W.shape == (3, 4, 1, 2) and best.b.shape == (3, 4, 2)
    assert best.loss.shape == best.converged.shape == (3, 4)
    alone = minimise(2, 1, 0.1, importance[0, 1], restarts=6)
    assert best.loss[1, 1].item() == pytest.approx(alone.loss.item(), rel=1e-9)


PER_FEATURE = {"density": [0.1, 0.1, 0.3, 0.3], "per_feature": True}
UNEQUAL = [1, 1, 0.5, 0.5]


def test_a_density_of_each_feature():
    """Features of different density pair up: a rare one opposite a frequent one costs least."""
    best = minimise(4, 2, importance=UNEQUAL, restarts=64, **PER_FEATURE)
    assert best.W.shape == (2, 4) and best.converged
    assert best.loss.item() == pytest.approx(0.014659, abs=5e-7)
    pairs = geometry.antipodal_pairs(best.W)
    assert pairs[:2, 2:].sum() == 2 and pairs.sum() == 4
    norms = geometry.feature_norms(best.W)
    assert norms.tolist() == pytest.approx([1.035, 1.035, 0.993, 0.993], abs=5e-4)
    numbers = (torch.tensor(v, dtype=torch.float64) for v in (PER_FEATURE["density"], UNEQUAL))
    assert best.loss.item() == pytest.approx(rational_loss(best.W, best.b, *numbers), rel=1e-12)

    alike = torch.tensor([[1, -1, 0, 0], [0, 0, 1, -1]]).double()  # the other way to pair them
    W, b, loss, _ = polish(alike, torch.zeros(4), importance=UNEQUAL, **PER_FEATURE)
    assert loss.item() == pytest.approx(0.017975, abs=5e-7)
    expected = population_loss(W, b, importance=UNEQUAL, **PER_FEATURE)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


def test_densities_are_cells_unless_they_are_said_to_be_features():
    cells = minimise(4, 2, [0.1, 0.1, 0.3, 0.3], UNEQUAL, restarts=8)
    assert cells.W.shape == (4, 2, 4) and cells.loss[0] == cells.loss[1] != cells.loss[2]
    both = minimise(2, 1, [[0.1, 0.3], [0.3, 0.1], [0.3, 0.3]], restarts=8, per_feature=True)
    assert both.loss.shape == (3,)
    exchanged, alike = both.loss[:2].tolist(), both.loss[2]
    assert exchanged[0] == pytest.approx(exchanged[1], rel=1e-9)
    assert alike == minimise(2, 1, 0.3, restarts=8).loss


@pytest.mark.slow
def test_many_features_of_different_densities():
    p = torch.linspace(0.02, 0.5, 7).double()
    best = minimise(7, 3, p, restarts=4, per_feature=True)
    W, b, loss, moved = polish(best.W, best.b, p, per_feature=True)
    assert loss <= best.loss * (1 + 1e-6) and moved < 0.05  # to the accuracy of the loss
    data = SparseFeatures(7, p, per_feature=True)
    mean, error = estimate_loss(ToyModel.from_weights(W[None], b[None]), data, samples=2**18)
    assert abs(mean - loss).item() < 5 * error.item()  # false alarm 6e-7 over all seeds


@pytest.mark.slow
def test_many_features_by_the_series():
    """n = 12: converged, and lower than the linear optimum where the ReLU helps."""
    importance = importance_decay(12, 0.8)
    best = minimise(12, 3, 0.1, importance, restarts=4)
    assert best.converged.all()
    assert best.loss < linear_optimum(0.1, importance, 3)


def test_many_features_cannot_be_exchanged_for_the_better():
    """n = 8, m = 3: from two starts only, no exchange of two features lowers the loss any more."""
    importance, density = importance_decay(8, 0.7), torch.tensor([0.03, 0.01], dtype=torch.float64)
    best = minimise(8, 3, density, importance, restarts=2)
    assert best.converged.all()
    assert (best.loss < best.restart_losses.min(1).values * 0.999).any()  # what it was good for
    for i, j in torch.combinations(torch.arange(8)).tolist():
        order = list(range(8))
        order[i], order[j] = j, i
        exchanged = population_loss(best.W[..., order], best.b[..., order], density, importance)
        assert (exchanged > best.loss - 1e-8 * density).all()


def test_cells_that_did_not_converge_are_named(monkeypatch):
    monkeypatch.setattr(problem, "ROUNDS", 2)
    best = minimise(2, 1, [0.5, 0.1], restarts=2)
    assert not best.converged.any() and (best.gradient > problem.TOLERANCE).all()


def test_polish_finds_the_minimum_next_to_a_model():
    importance = importance_decay(5, 0.9)
    best = minimise(5, 2, [0.2, 0.1], importance, restarts=16)
    generator = torch.Generator().manual_seed(0)
    noise = 0.01 * torch.randn(best.W.shape, generator=generator, dtype=torch.float64)
    W, b, loss, distance = polish(best.W + noise, best.b, [0.2, 0.1], importance)
    assert torch.allclose(loss, best.loss, rtol=1e-9)
    assert torch.allclose(W.transpose(1, 2) @ W, best.W.transpose(1, 2) @ best.W, atol=1e-4)
    assert ((distance > 1e-3) & (distance < 0.3)).all()
    assert (polish(W, b, [0.2, 0.1], importance)[3] < 1e-4).all()


def test_a_penalty_is_of_the_objective_and_not_of_the_loss():
    """One cell a penalty, against scipy's BFGS on w, b: the least L + lambda 2 (w_1 w_2)^2."""
    penalties, importance = [0.0, 0.003, 0.02], torch.tensor([1.0, 0.8]).double()
    best = minimise(2, 1, 0.2, importance, penalty=penalties)
    assert best.converged.all()
    R = 2 * (best.W[:, 0, 0] * best.W[:, 0, 1]) ** 2
    assert torch.allclose(interference_penalty(best.W), R, rtol=1e-12)
    loss = population_loss(best.W, best.b, 0.2, importance)
    assert torch.allclose(best.loss, loss, rtol=1e-12)
    assert torch.allclose(best.objective, loss + torch.tensor(penalties) * R, rtol=1e-12)

    def objective(v, penalty):
        x = torch.tensor(v, requires_grad=True)
        loss = population_loss(x[None, :2], x[2:], 0.2, importance)
        (loss + penalty * 2 * (x[0] * x[1]) ** 2).backward()
        return (loss + penalty * 2 * (x[0] * x[1]) ** 2).item(), x.grad.numpy()

    for penalty, found in zip(penalties, best.objective.tolist(), strict=True):
        ends = [
            scipy.optimize.minimize(objective, start, (penalty,), jac=True, tol=1e-10).fun
            for start in ([0.9, -0.8, -0.01, -0.01], [1, 0.1, 0.01, 0.1])
        ]
        assert found == pytest.approx(min(ends), rel=1e-8)


@pytest.mark.parametrize(("n", "m"), [(3, 1), (5, 2)])
def test_a_large_penalty_leaves_no_superposition(n, m):
    """Then the m most important features are dedicated, and the others have their mean."""
    importance = importance_decay(n, 0.8)
    best = minimise(n, m, [0.3, 0.03], importance, penalty=1.0, restarts=8)
    assert torch.allclose(best.loss, linear_optimum(best.loss.new([0.3, 0.03]), importance, m))
    assert torch.allclose(best.objective, best.loss, rtol=1e-6)


@pytest.mark.slow
def test_a_penalty_on_many_features(generator):
    """n = 6, by the series: dedicated features again, and polish stays where minimise ended."""
    importance = importance_decay(6, 0.7)
    best = minimise(6, 2, 0.2, importance, penalty=1.0, restarts=2)
    assert best.loss.item() == pytest.approx(linear_optimum(0.2, importance, 2).item(), rel=1e-4)
    W, _, loss, moved = polish(best.W, best.b, 0.2, importance, penalty=1.0)
    assert moved < 1e-2 and loss.item() == pytest.approx(best.loss.item(), rel=1e-5)
    noise = 0.01 * torch.randn(W.shape, generator=generator, dtype=torch.float64)
    _, _, free, moved = polish(W + noise, best.b, 0.2, importance)
    assert moved > 0.1 and free < loss


def test_polish_with_a_penalty_of_each_model():
    W, b = torch.tensor([[[0.9, -0.9]]] * 2).double(), torch.zeros(2, 2).double()
    ends, _, loss, _ = polish(W, b, 0.2, penalty=[0.0, 0.002])
    assert loss[0] < loss[1]  # the loss alone
    interference = interference_penalty(ends)
    assert interference[1] < interference[0]
    best = minimise(2, 1, 0.2, penalty=0.002)
    assert loss[1].item() == pytest.approx(best.loss.item(), rel=1e-6)


def test_batches_of_rosenbrock_and_quadratics():
    """The optimiser alone: known minima, every problem at its own pace."""
    centre = torch.linspace(-1, 1, 50, dtype=torch.float64)[:, None].expand(50, 2)

    def function(x, index):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            shifted = x - centre[index]
            a, b = shifted[:, 0], shifted[:, 1]
            rosenbrock = (1 - a) ** 2 + 10 * (b - a**2) ** 2
            quadratic = a**2 + 100 * b**2
            value = torch.where(index % 2 == 0, rosenbrock, quadratic)
            (gradient,) = torch.autograd.grad(value.sum(), x)
        return value.detach(), gradient

    start = torch.zeros(50, 2).double()
    found = minimise_batch(function, start, torch.ones(50, 2).double(), tolerance=1e-8, rounds=500)
    minimum = torch.where(torch.arange(50)[:, None] % 2 == 0, 1.0, 0.0)
    assert found.converged.all()
    assert torch.allclose(found.x - centre, minimum.double(), atol=1e-6)


def test_one_update_maps_the_change_of_the_gradient_to_the_step(generator):
    """What defines the BFGS update: H y = s, H stays symmetric and positive definite."""
    x, trial, gradient, new = torch.randn(4, 1, 5, generator=generator, dtype=torch.float64)
    s = trial - x
    new = new + (2 - (new - gradient) @ s.T) / (s @ s.T) * s  # so that s.y = 2
    value = torch.zeros(1, dtype=torch.float64)
    diagonal = torch.linspace(0.5, 2, 5, dtype=torch.float64)[None]
    state = _State.begin(*(v.numpy() for v in (x, value, gradient, diagonal)))
    _update(0, trial[0].numpy(), new[0].numpy(), state, torch.empty(5).double().numpy())
    H = torch.from_numpy(state.inverse[0])
    assert torch.allclose(H @ (new - gradient)[0], s[0], atol=1e-12)
    assert torch.allclose(H, H.T, atol=1e-12)
    assert torch.linalg.eigvalsh(H)[0] > 0


def test_the_lowest_of_the_starts_of_each_cell():
    values = torch.tensor([3.0, 1.0, 2.0, 0.5, 4.0, 5.0])
    found = Minima(torch.zeros(6, 1), values, torch.zeros(6), torch.ones(6).bool())
    assert found.lowest_of(3).tolist() == [1, 3]


def test_convergence_is_of_the_size_of_the_gradient():
    """A value that falls for ever has a gradient, a negative one."""
    found = minimise_batch(
        lambda x, index: (-x.sum(1), -torch.ones_like(x)),
        torch.zeros(1, 1).double(), torch.ones(1, 1).double(), tolerance=1e-8, rounds=3,
    )  # fmt: skip
    assert not found.converged[0] and found.gradient[0] == 1


def test_neighbours_are_all_next_cells_of_the_grid():
    """Of 3 x 4 cells, those that differ by one step along one axis."""
    steps = [(-1, 0), (1, 0), (0, -1), (0, 1)]
    found = [n.tolist() for n in problem.neighbours(torch.Size([3, 4]))]
    for cell in range(12):
        row, column = divmod(cell, 4)
        near = [(row + i, column + j) for i, j in steps]
        inside = {4 * i + j for i, j in near if 0 <= i < 3 and 0 <= j < 4}
        assert {index[cell] for index in found} - {cell} == inside


@pytest.mark.parametrize("far", [False, True])
def test_a_neighbours_optimum_is_tried(far, monkeypatch):
    """Starts that know only one cell's minimum, which is the other's as well: the search from its
    neighbour is what lowers the second cell; and it never raises any."""
    best = minimise(2, 1, [0.2, 0.19], restarts=16)
    minimised = problem.Problem.minimise
    calls = []

    def crippled(self, x, cell):
        found = minimised(self, x, cell)
        calls.append(len(x))
        if len(calls) == 1:  # the starts: the last cell gets a model that outputs 0
            found.x[cell == 1] = 0 if far else found.x[cell == 1]
            found.value[cell == 1] += 1.0 if far else 0.0
        return found

    monkeypatch.setattr(problem.Problem, "minimise", crippled)
    monkeypatch.setattr("common.exact.minima._rearrange", lambda problem, found: None)
    again = minimise(2, 1, [0.2, 0.19], restarts=16)
    assert torch.allclose(again.loss, best.loss, rtol=1e-9)
    assert again.improved == (0.5 if far else 0)


def test_polish_measures_how_far_gram_matrix_and_biases_moved():
    """From the minimum with its biases moved alone, and turned round, which is no distance."""
    best = minimise(2, 1, 0.2)
    W, b, _, moved = polish(-best.W, best.b + 0.01, 0.2)
    gram = torch.cat([(W.T @ W - best.W.T @ best.W).flatten(), b - best.b - 0.01])
    assert moved.item() == pytest.approx(gram.norm().item(), rel=1e-9)
    assert moved > 0.01


def test_biases_have_the_unit_of_their_side():
    """A bias above 0 is felt by all inputs, others and weights by a share p."""
    x = torch.tensor([[1.0, -1.0, 0.2, -0.2]]).double()
    density, importance = torch.tensor([[0.01, 0.01]]).double(), torch.ones(1, 2).double()
    units = problem.natural_units(x, density, importance, torch.zeros(1).double())
    assert units[0, 2] == pytest.approx(0.01 * units[0, 0].item())
    assert units[0, 3] == units[0, 0] == units[0, 1]


def test_a_problem_that_gains_nothing_is_given_up():
    """Problem 0 has a kink at its minimum, where no gradient gets small; 1 is smooth."""
    calls = torch.zeros(2)

    def function(x, index):
        calls[index] += 1
        value = torch.where(index == 0, x[:, 0].abs(), x[:, 0] ** 2)
        return value, torch.where(index == 0, x[:, 0].sign(), 2 * x[:, 0])[:, None]

    start = torch.full((2, 1), 0.7).double()
    limits = {"tolerance": 1e-8, "rounds": 10_000, "gain": 1e-9}
    found = minimise_batch(function, start, torch.ones(2, 1).double(), **limits)
    assert found.converged.tolist() == [False, True]
    assert found.value[0] < 1e-6
    assert calls[0] < 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"density": 0}, r"density must lie in \(0, 1\], got 0"),
        ({"density": [0.1, float("nan")]}, r"density must lie in \(0, 1\], got nan"),
        ({"importance": [1.0, 1, 1]}, r"importance must have shape \[2\], got \[3\]"),
        ({"importance": [0.0, 0.0]}, "positive for at least one feature of every cell"),
        (
            {"density": [0.1, 0.2, 0.3], "importance": torch.ones(4, 2)},
            r"do not fit: density \[3\], importance \[4\]",
        ),
        ({"penalty": -0.1}, "penalty must be finite and >= 0, got -0.1"),
        ({"penalty": [0.1, float("inf")]}, "penalty must be finite and >= 0, got inf"),
        ({"density": [0.1] * 3, "penalty": [0.1] * 2}, r"do not fit: .* penalty \[2\]"),
        ({"restarts": 4.0}, "restarts must be a whole number of at least 1, got 4.0"),
        ({"restarts": None}, "restarts must be a whole number of at least 1, got None"),
        ({"restarts": 0}, "restarts must be a whole number of at least 1, got 0"),
        ({"output": "tanh"}, "output must be one of"),
        ({"n_hidden": 0}, "n_hidden must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    arguments = {"n_features": 2, "n_hidden": 1, "density": 0.1} | arguments
    with pytest.raises(ValueError, match=message):
        minimise(**arguments)
