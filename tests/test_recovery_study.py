"""The recovery study: nothing that is fitted or chosen sees what is tested; scores are right."""

import warnings

import numpy as np
import pytest
import torch
from scipy.stats import t

from common.data import SparseFeatures
from common.recovery import blind, networks, study, threshold
from common.recovery.blind import BLIND, _recovery_error, score_blind
from common.recovery.methods import METHODS, random_dictionary, recover
from common.recovery.networks import train_decoder
from common.recovery.study import (
    TEST,
    TUNING,
    best_method,
    draw,
    interval,
    saving,
    score,
    scores,
)


def active(count, rows, seed, n=8):
    """Inputs [rows, n] with exactly `count` active features each."""
    return threshold.planted(n, count, rows, np.random.default_rng(seed))


@pytest.fixture
def splits(monkeypatch):
    """Splits of different sparsity, one active feature to choose by and three in the test; also
    (first seed, number of inputs) of everything drawn."""
    drawn = []

    def unlike(n, density, count, seed):
        drawn.append((seed, count))
        for_test = seed >= min(TEST, blind.TEST) and seed not in range(blind.FITTED, blind.TEST)
        return active(3 if for_test else 1, count, seed, n)

    for module in (study, blind):
        monkeypatch.setattr(module, "draw", unlike)
        monkeypatch.setattr(module, "in_processes", lambda *given: list(map(*given)))
    return drawn


def test_settings_are_chosen_on_the_validation_split(splits):
    """One pursuit step is best there, and three where the scores are taken."""
    method, W = "OMP, x ≥ 0", random_dictionary(8, 6, 0)
    found = score((W[None], None), 0.1, [method], validation=50, test=60, seed=4)[method]
    x, seen = active(3, 60, TEST + 4), active(1, 50, TUNING + 4)
    by_setting = [scores(x, recover(method, x @ W.T, W, k), 0.1) for k in (1, 3)]
    assert by_setting[1]["mse"] < 0.9 * by_setting[0]["mse"]
    for key, value in by_setting[0].items():
        assert found[key][0] == pytest.approx(value)
    one_step = scores(seen, recover(method, seen @ W.T, W, 1), 0.1)
    assert found["validation"][0] == pytest.approx(one_step["relative"], abs=1e-12)


def test_no_input_is_drawn_twice(splits):
    """Splits of all dictionaries of a study, and of all its seeds, begin at seeds of their own."""
    W = np.stack([random_dictionary(8, 6, k) for k in range(3)])
    options = {"inputs": 100, "test": 60, "steps": 1}
    for seed in (0, 100, 5_000, 9_000):
        score((W, None), 0.1, ["best linear"], validation=50, test=60, seed=seed)
        score_blind("inputs at random", W, W, 0.1, seed=seed, **options)
    assert len(splits) == len(set(splits)) == 4 * (2 * 3 + 3 * 3)
    firsts = {(seed - seed % 10_000) for seed, _ in splits}
    assert firsts == {10_000, 20_000, 30_000, 40_000, 50_000}


def test_dictionaries_to_choose_by_have_inputs_of_their_own(splits, monkeypatch):
    def answer(h, count, setting, seed, steps):
        return np.stack([np.eye(8)] * len(h))

    monkeypatch.setitem(BLIND, "an answer", (answer, (1, 2)))
    W = np.eye(8)[None]
    score_blind("an answer", W, W, 0.1, inputs=100, test=60, seed=0, steps=1)
    drawn = [seed for seed, _ in splits if seed in range(blind.INPUTS, blind.TEST)]
    assert sorted(drawn) == [blind.INPUTS, blind.INPUTS + 500, blind.INPUTS + 500]


def test_the_best_method_is_the_one_of_least_validation_error():
    def row(validation, relative):
        return {"validation": np.array(validation), "relative": np.array(relative)}

    results = {"a": row([0.2, 0.4], [0.1, 0.1]), "b": row([0.1, 0.3], [0.9, 0.9])}
    assert best_method(results) == "b"
    results["c"] = row([0.0, 0.9], [0.0, 0.0])  # the mean counts, not the best seed
    assert best_method(results) == "b"


def fitted_only(*, on, of, W, directions, count):
    """Relative error on `of` of non-negative OMP with so many steps, each gain fitted on `on`."""
    estimates = [recover("OMP, x ≥ 0", x @ W.T, directions, count) for x in (on, of)]
    gain = [
        np.linalg.lstsq(estimates[0][:, [i]], on[:, i], rcond=None)[0][0] for i in range(W.shape[1])
    ]
    return [
        scores(x, np.array(gain) * e, 0.1)["relative"]
        for x, e in zip((on, of), estimates, strict=True)
    ]


def test_the_gain_of_blind_methods_is_fitted_on_inputs_of_its_own(splits):
    """And so is the number of active features: one where they are fitted, three in the test."""
    W = random_dictionary(8, 6, 1)
    directions = W + 0.15 * random_dictionary(8, 6, 2)  # not quite: more steps find what is not
    found = _recovery_error(W, directions, np.arange(8), 0.1, 200, 7)
    fitted, x = active(1, 200, blind.FITTED + 7), active(3, 200, blind.TEST + 7)
    given = {"on": fitted, "of": x, "W": W, "directions": directions}
    errors = [fitted_only(count=count, **given) for count in METHODS["OMP, x ≥ 0"].settings]
    assert found == pytest.approx(min(errors)[1], rel=1e-6)
    assert min(test for _, test in errors) < 0.9 * found  # what a look at the test would give
    leaked = fitted_only(on=x, of=x, W=W, directions=directions, count=1)[1]
    assert leaked < 0.99 * found


def test_a_gain_fitted_on_nothing_answers_nothing(monkeypatch):
    def empty_where_fitted(n, density, count, seed):
        return np.zeros((count, n)) if seed < blind.INPUTS else draw(n, density, count, seed)

    monkeypatch.setattr(blind, "draw", empty_where_fitted)
    x = draw(4, 0.1, 500, blind.TEST)
    found = _recovery_error(0.5 * np.eye(4), np.eye(4), np.arange(4), 0.1, 500, 0)
    assert found == pytest.approx(scores(x, 0 * x, 0.1)["relative"])


# --- Scores --------------------------------------------------------------------------------------


def test_scores_count_the_support():
    """Three features active, two said to be, one of them rightly; 0.05 is where activity begins."""
    x = np.array([[0.5, 0.5, 0.5, 0.04, 0.0]])
    found = scores(x, np.array([[0.5, 0.04, 0.0, 0.0, 0.2]]), 0.5)
    assert found["precision"] == 1 / 2 and found["recall"] == 1 / 3
    assert found["f1"] == pytest.approx(0.4)
    assert found["active"] == pytest.approx((0.46**2 + 0.5**2) / 3)
    assert scores(np.array([[0.06]]), np.array([[0.06]]), 0.5)["recall"] == 1
    assert scores(np.array([[0.04]]), np.array([[0.04]]), 0.5)["recall"] == 0
    nothing = scores(np.zeros((2, 3)), np.zeros((2, 3)), 0.5)
    assert nothing["f1"] == 0 and nothing["active"] == 0


def test_the_interval_of_a_saving_is_that_of_both_means():
    """Against the spread of savings over many studies (4 of its standard errors: a false alarm in
    16 thousand)."""
    rng, seeds = np.random.default_rng(0), 40
    for spreads in ((0.3, 0.0), (0.3, 0.2)):
        base = 2 + spreads[0] * rng.standard_normal((500, seeds))
        other = 0.5 + 0.5 * spreads[1] * rng.standard_normal((500, seeds))
        found = [saving(*pair) for pair in zip(base, other, strict=True)]
        shares, halves = np.array(found).T
        expected = t.ppf(0.975, seeds - 1) * shares.std()
        assert np.sqrt(np.mean(halves**2)) == pytest.approx(expected, rel=4 / np.sqrt(2 * 500))
        assert shares.mean() == pytest.approx(0.75, abs=0.01)


def test_an_interval_holds_the_mean_in_95_of_100_studies():
    """4000 studies of 4 seeds, within 4 standard errors (a false alarm in 16 thousand)."""
    x = np.random.default_rng(1).standard_normal((4, 4000))
    mean, half = interval(x)
    assert np.mean(np.abs(mean) <= half) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 4000))
    assert interval([[1.0, 5.0]])[1].tolist() == [0, 0]


# --- Learned decoders ----------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0.05, 0.5])
def test_decoders_are_trained_on_the_loss_of_all_inputs(density, monkeypatch):
    """The loss that is descended, empty inputs added exactly, against one sampled with them, at
    weights that do not answer 0 to nothing (4 standard errors)."""
    found = {}

    def keep(weights, loss, recipe, *, seed):
        found.update(weights=weights, loss=loss)

    monkeypatch.setattr(networks, "descend", keep)
    W = np.stack([random_dictionary(3, 2, k) for k in range(2)])
    decode = train_decoder(W, density, width=4, steps=1, seed=0)
    with torch.no_grad():
        found["weights"][1] += 0.4  # the last bias
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        ours = np.array([found["loss"](generator).item() for _ in range(400)])
    x = SparseFeatures(3, torch.full((2,), density)).sample(40_000, generator).double().numpy()
    errors = ((decode(x @ W.transpose(0, 2, 1)) - x) ** 2).sum((0, 2))
    spread = np.hypot(ours.std() / 20, errors.std() / 200)
    assert abs(ours.mean() - errors.mean()) < 4 * spread


@pytest.mark.parametrize("kind", [{"penalty": 0.3}, {"top": 2}])
def test_autoencoders_are_trained_on_half_the_squared_error(kind, monkeypatch):
    """And the penalty times the sum of the code, or with the largest entries of it alone; for one
    that answers with its own formula on every input."""
    found = {}

    def keep(weights, loss, recipe, *, seed):
        found.update(weights=[w.detach().double().numpy() for w in weights], loss=loss)

    monkeypatch.setattr(networks, "descend", keep)
    h = np.random.default_rng(0).standard_normal((1, 3, 4))
    networks.train_autoencoder(h, 3, steps=1, seed=0, **kind)
    D, E, e = (w[0] for w in found["weights"])
    D *= 1.5  # counts as of norm 1
    losses = []
    for row in h[0]:
        z = np.maximum(row @ E + e[0], 0)
        if "top" in kind:
            z[np.argsort(z)[: -kind["top"]]] = 0
        answer = z @ (D / np.linalg.norm(D, axis=1, keepdims=True))
        losses.append(((answer - row) ** 2).sum() / 2 + kind.get("penalty", 0) * z.sum())
    drawn = torch.randint(3, (1, networks.BATCH), generator=torch.Generator().manual_seed(5))
    loss = found["loss"](torch.Generator().manual_seed(5)).item()
    assert loss == pytest.approx(np.array(losses)[drawn[0]].mean(), rel=1e-5)


def test_a_decoder_begins_as_the_matched_filter(monkeypatch):
    monkeypatch.setattr(networks, "descend", lambda *given, **named: None)
    W = 0.7 * random_dictionary(5, 3, 0)[None]
    h = np.random.default_rng(0).standard_normal((1, 20, 3))
    found = train_decoder(W, 0.1, width=4, steps=1, seed=0)(h)
    expected = recover("matched filter", h[0], W[0], (1.0, 0.1))
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


# --- The phase transition ------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "share"), [(0.5e-5, 1), (2e-5, 0), (0.01, 0)])
def test_exact_is_a_hundred_thousandth_of_the_largest_entry(error, share, monkeypatch):
    """Whatever its size: signals reach from 0.1 to 1."""
    monkeypatch.setattr(threshold, "greedy", lambda h, W, active: h + error * h.max())
    assert threshold.exact_share(np.eye(8), 3, 40, 0, "OMP") == share


def test_half_of_all_signals_is_a_half():
    """A line from 1 to 0 crosses it in the middle, wherever its points lie."""
    rho = [0.1, 0.2, 0.6, 0.7]
    for lines, expected in (
        ([1, 0.9, 0.1, 0], 0.4),
        ([1, 0.6, 0.2, 0.1], 0.3),
        ([0.45, 0.3, 0, 0], 0),
    ):
        assert threshold.halfway(rho, [lines])[0] == pytest.approx(expected)


def test_a_line_goes_on_until_two_cells_are_empty(monkeypatch):
    """Each with as many active features as its share of the dimensions, one at least."""
    shares, counts = iter([1, 0.5, 0, 0.25, 0, 0, 0.9]), []

    def share(W, active, trials, seed, method):
        counts.append(active)
        return next(shares)

    monkeypatch.setattr(threshold, "exact_share", share)
    monkeypatch.setattr(threshold, "in_processes", lambda *given: list(map(*given)))
    rho = [0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    found = threshold.transition([(20, np.eye(20))], rho, 5, 0)
    assert found.tolist() == [[1, 0.5, 0, 0.25, 0, 0, 0]]
    assert counts == [1, 2, 4, 6, 8, 10]


def test_planted_signals_have_values_that_can_be_seen():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = threshold.planted(30, 5, 400, np.random.default_rng(0))
    assert ((x > 0).sum(1) == 5).all()
    values = x[x > 0]
    assert 0.1 <= values.min() < 0.11 and 0.99 < values.max() <= 1
    assert (x > 0).any(0).all()  # every feature's turn comes
