"""Recovery of sparse features: planted problems with known answers, conventions, bad input."""

import warnings

import numpy as np
import pytest
import torch

from common.recovery.blind import (
    BLIND,
    _recovery_error,
    find_dictionaries,
    hidden_vectors,
    match,
    score_blind,
)
from common.recovery.methods import METHODS, random_dictionary, recover, tight_frame
from common.recovery.networks import train_autoencoder, train_decoder
from common.recovery.study import (
    TEST,
    choose,
    dictionaries,
    draw,
    interval,
    saving,
    score,
    scores,
)
from common.recovery.threshold import (
    capacity,
    donoho_tanner,
    exact_share,
    least_sum,
    planted,
    transition,
)

N, M, P = 30, 20, 0.1
KNOWN = [name for name in METHODS if name not in ("ReLU decoder", "all supports", "best linear")]


def setting_of(method):
    """A setting at which every method recovers easy problems well."""
    if method.startswith("OMP"):
        return 2
    if method.startswith("Lasso"):
        return 0.003
    return {"matched filter": (1.0, 0.1), "least squares, cut": 0.1, "best linear": P}[method]


@pytest.fixture
def W():
    return random_dictionary(N, M, 3)


@pytest.fixture
def x():
    """Two active features in every input."""
    return planted(N, 2, 40, np.random.default_rng(5))


# --- Known dictionaries ------------------------------------------------------------------------


def test_random_dictionary_has_unit_columns_and_a_seed():
    W = random_dictionary(7, 3, 0)
    assert W.shape == (3, 7)
    np.testing.assert_allclose(np.linalg.norm(W, axis=0), 1)
    np.testing.assert_array_equal(W, random_dictionary(7, 3, 0))
    assert not np.allclose(W, random_dictionary(7, 3, 1))


def test_tight_frame_is_tight_with_unit_columns():
    W = tight_frame(20, 5, 0)
    np.testing.assert_allclose(np.linalg.norm(W, axis=0), 1)
    np.testing.assert_allclose(W @ W.T, 4 * np.eye(5), atol=1e-6)


def test_tight_frame_needs_enough_vectors():
    with pytest.raises(ValueError, match="no tight frame of 3 vectors in 5"):
        tight_frame(3, 5, 0)


@pytest.mark.parametrize("method", ["OMP, x ≥ 0", "all supports"])
def test_planted_features_come_back_exactly(method, W, x):
    np.testing.assert_allclose(recover(method, x @ W.T, W, 2), x, atol=1e-8)


@pytest.mark.parametrize("method", [name for name in METHODS if name.startswith("Lasso")])
def test_lasso_recovers_up_to_its_shrinkage(method, W, x):
    assert np.abs(recover(method, x @ W.T, W, 1e-3) - x).max() < 0.02


@pytest.mark.parametrize("sign", ["", ", x ≥ 0"])
def test_both_lasso_algorithms_solve_the_same_problem(sign, W, x):
    cd, lars = (recover(f"Lasso ({name}){sign}", x @ W.T, W, 0.03) for name in ("cd", "LARS"))
    np.testing.assert_allclose(cd, lars, atol=2e-3)


@pytest.mark.parametrize(
    ("method", "setting"),
    [
        ("matched filter", (1.0, 0.0)), ("least squares, cut", 0.01), ("OMP", 3),
        ("OMP, x ≥ 0", 3), ("all supports", 3), ("Lasso (cd), x ≥ 0", 1e-6),
    ],
)  # fmt: skip
def test_estimates_are_of_the_features_whatever_the_norms_of_their_columns(method, setting):
    """Orthogonal columns, from a fifth of the longest up."""
    Q = np.linalg.qr(np.random.default_rng(4).standard_normal((4, 3)))[0]
    W, x = Q * [0.3, 1.0, 1.5], np.array([[0.9, 0.0, 0.5], [0.0, 0.4, 0.0], [0.2, 0.7, 0.6]])
    np.testing.assert_allclose(recover(method, x @ W.T, W, setting), x, atol=1e-3)


def test_what_is_negative_is_no_feature():
    """A pursuit begins with the feature that correlates positively, least squares keeps none."""
    h = np.array([[-1.0, 0.3]])
    for method, setting in (
        ("OMP, x ≥ 0", 1),
        ("least squares, cut", 0.1),
        ("matched filter", (1.0, 0.0)),
    ):
        np.testing.assert_allclose(recover(method, h, np.eye(2), setting), [[0, 0.3]], atol=1e-6)


def test_all_supports_explain_by_values_of_features():
    """One that would have to be 1.2, or negative, is none; two that need not be are."""
    W = np.array([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8]])
    for x in ([0.72, 0.96, 0.0], [0.0, 0.0, 0.9]):
        np.testing.assert_allclose(recover("all supports", [W @ x], W, 2), [x], atol=1e-8)


def test_lasso_shrinks_a_single_feature_by_its_penalty():
    # min (a - x)^2 / 2 + penalty x  has the solution  x = a - penalty.
    estimate = recover("Lasso (cd), x ≥ 0", np.array([[0.5, 0.0]]), np.eye(2), 0.1)
    np.testing.assert_allclose(estimate, [[0.4, 0.0]], atol=1e-6)


def test_orthogonal_features_are_no_problem_for_anyone():
    x = draw(6, 0.5, 50, 0)
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    for method, setting in {
        "matched filter": (1.0, 0.0), "OMP": 6, "OMP, x ≥ 0": 6, "least squares, cut": 0.0,
    }.items():  # fmt: skip
        np.testing.assert_allclose(recover(method, x @ Q.T, Q, setting), x, atol=1e-6)


def test_best_linear_is_the_linear_estimate_of_least_error():
    W, x = random_dictionary(6, 3, 0), draw(6, 0.3, 400_000, 0)
    h = x @ W.T
    ours = np.mean((recover("best linear", h, W, 0.3) - x) ** 2)
    design = np.column_stack([h, np.ones(len(h))])
    fitted = design @ np.linalg.lstsq(design, x, rcond=None)[0]
    assert ours == pytest.approx(np.mean((fitted - x) ** 2), rel=1e-3)


def test_relu_decoder_is_the_model_itself():
    from common.model import ToyModel

    model = ToyModel(6, 3, generator=torch.Generator().manual_seed(0))
    x = draw(6, 0.3, 20, 0)
    W, b = model.W.detach()[0].numpy(), np.linspace(-0.2, 0.1, 6)
    with torch.no_grad():
        model.b[0] = torch.as_tensor(b)
        expected = model(torch.as_tensor(x, dtype=torch.float32)[None])[0].numpy()
    np.testing.assert_allclose(recover("ReLU decoder", x @ W.T, W, b), expected, atol=1e-6)


@pytest.mark.parametrize("method", KNOWN)
def test_no_unit_of_length_and_no_axes_matter(method, W, x):
    setting = setting_of(method)
    base = recover(method, x @ W.T, W, setting)
    Q = np.linalg.qr(np.random.default_rng(1).standard_normal((M, M)))[0]
    other = recover(method, 7 * x @ W.T @ Q.T, 7 * Q @ W, setting)
    np.testing.assert_allclose(base, other, atol=5e-3)  # coordinate descent stops at 1e-4


@pytest.mark.parametrize("method", KNOWN)
def test_order_of_features_does_not_matter(method, W, x):
    order = np.random.default_rng(2).permutation(N)
    setting = setting_of(method)
    base = recover(method, x @ W.T, W, setting)
    np.testing.assert_allclose(
        recover(method, x @ W.T, W[:, order], setting), base[:, order], atol=5e-3
    )


@pytest.mark.parametrize("method", KNOWN)
def test_a_dead_feature_gets_nothing_and_disturbs_nobody(method, W, x):
    setting = setting_of(method)
    W_dead = np.column_stack([W, 1e-4 * W[:, :1]])
    estimate = recover(method, x @ W.T, W_dead, setting)
    assert (estimate[:, -1] == 0).all()
    np.testing.assert_allclose(estimate[:, :-1], recover(method, x @ W.T, W, setting), atol=1e-9)


@pytest.mark.parametrize("method", [k for k in KNOWN if "≥" in k] + ["matched filter"])
def test_non_negative_methods_are(method, W):
    h = np.random.default_rng(0).standard_normal((30, M))
    assert recover(method, h, W, setting_of(method)).min() >= 0


@pytest.mark.parametrize("method", KNOWN)
def test_nothing_in_nothing_out(method, W):
    assert np.abs(recover(method, np.zeros((3, M)), W, setting_of(method))).max() < 1e-12


def test_all_dead_gives_zero():
    assert (recover("OMP, x ≥ 0", np.ones((2, 3)), np.zeros((3, 4)), 1) == 0).all()


def test_antipodal_features_that_cancel_cannot_be_told():
    W = np.array([[1.0, -1.0]])
    np.testing.assert_allclose(recover("all supports", [[0.3]], W, 2), [[0.3, 0.0]])
    np.testing.assert_allclose(recover("all supports", [[-0.3]], W, 2), [[0.0, 0.3]])


def test_all_supports_takes_fewer_features_than_it_may_use():
    W, x = random_dictionary(3, 2, 0), np.array([[0.0, 0.7, 0.0]])
    np.testing.assert_allclose(recover("all supports", x @ W.T, W, 4), x, atol=1e-8)
    # What no support explains, not even the largest, gets an answer too.
    assert np.isfinite(recover("all supports", np.ones((1, 2)), W, 4)).all()


@pytest.mark.parametrize(
    ("method", "needs"), [("best linear", "density"), ("ReLU decoder", "bias")]
)
def test_what_is_known_cannot_be_chosen(method, needs, W, x):
    with pytest.raises(ValueError, match=f"{method} needs a {needs}, there is nothing to choose"):
        choose(method, x, W)


def test_bad_input_is_refused():
    W = np.eye(3)
    with pytest.raises(ValueError, match="unknown method 'magic'"):
        recover("magic", np.zeros((1, 3)), W, 1)
    with pytest.raises(ValueError, match=r"do not fit: \[1, 4\], \[3, 3\]"):
        recover("OMP", np.zeros((1, 4)), W, 1)
    with pytest.raises(ValueError, match="do not fit"):
        recover("OMP", np.zeros(3), W, 1)
    with pytest.raises(ValueError, match="finite"):
        recover("OMP", np.full((1, 3), np.nan), W, 1)


# --- Judging -----------------------------------------------------------------------------------


def test_scores_of_a_perfect_and_of_a_mean_estimate():
    x = draw(5, 0.3, 20_000, 0)
    perfect = scores(x, x, 0.3)
    assert perfect["mse"] == perfect["relative"] == perfect["active"] == 0
    assert perfect["precision"] == perfect["recall"] == perfect["f1"] == 1
    np.testing.assert_array_equal(perfect["r2"], 1)
    mean = scores(x, np.full_like(x, 0.15), 0.3)
    assert mean["relative"] == pytest.approx(1)
    np.testing.assert_allclose(mean["r2"], 0, atol=1e-12)


def test_scores_refuse_shapes_that_differ():
    with pytest.raises(ValueError, match="shapes differ"):
        scores(np.zeros((2, 3)), np.zeros((3, 2)), 0.1)


def test_choose_takes_the_setting_of_least_validation_error(W, x):
    assert choose("OMP, x ≥ 0", x, W) == 2
    assert choose("Lasso (cd), x ≥ 0", x, W) == 0.003


@pytest.mark.slow
def test_score_reports_every_method_and_seed():
    family = dictionaries(8, 4, 0.1, seeds=2, steps=20, seed=0)
    assert set(family) == {"random", "tight frame", "learned"}
    assert family["learned"][0].shape == (2, 4, 8) and family["learned"][1].shape == (2, 8)
    splits = {"validation": 20, "test": 30, "seed": 0}
    methods = ("best linear", "ReLU decoder", "OMP, x ≥ 0")
    learned = score(family["learned"], 0.1, methods, width=4, steps=5, **splits)
    assert set(learned) == {*methods, "learned decoder"}
    assert learned["OMP, x ≥ 0"]["relative"].shape == (2,)
    assert learned["OMP, x ≥ 0"]["r2"].shape == (2, 8)
    assert "ReLU decoder" not in score(family["random"], 0.1, methods, **splits)
    again = score(family["learned"], 0.1, methods, **splits)
    assert (again["best linear"]["mse"] == learned["best linear"]["mse"]).all()


def test_score_tells_methods_the_density_and_the_bias():
    W, b = random_dictionary(8, 4, 0), np.linspace(-0.2, 0.1, 8)
    settings = {"best linear": 0.1, "ReLU decoder": b}
    scored = score((W[None], b[None]), 0.1, list(settings), validation=20, test=30, seed=0)
    x = draw(8, 0.1, 30, TEST)
    for method, setting in settings.items():
        expected = np.mean((recover(method, x @ W.T, W, setting) - x) ** 2)
        assert scored[method]["mse"][0] == pytest.approx(expected, rel=1e-9)


def test_interval_and_saving():
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2 and half == pytest.approx(4.303 / np.sqrt(3), rel=1e-3)
    assert saving(np.array([4.0, 4.0]), np.array([1.0, 1.0])) == (0.75, 0)


# --- Learned decoders and autoencoders -----------------------------------------------------------


@pytest.mark.slow
def test_learned_decoder_improves_with_training():
    W = np.stack([random_dictionary(8, 4, seed) for seed in range(2)])
    x = np.stack([draw(8, 0.1, 2_000, seed) for seed in range(2)])
    h = x @ W.transpose(0, 2, 1)
    errors = [
        np.mean((train_decoder(W, 0.1, width=16, steps=steps, seed=0)(h) - x) ** 2)
        for steps in (1, 400)
    ]
    assert errors[1] < 0.7 * errors[0]


def test_learned_decoder_wants_a_stack():
    with pytest.raises(ValueError, match=r"W must have shape \[S, m, n\]"):
        train_decoder(np.eye(3), 0.1, width=4, steps=1, seed=0)


def test_autoencoder_takes_one_kind_of_sparsity():
    h = np.random.default_rng(0).standard_normal((1, 50, 3))
    with pytest.raises(ValueError, match="either"):
        train_autoencoder(h, 4, steps=1, seed=0)
    with pytest.raises(ValueError, match="penalty must be positive"):
        train_autoencoder(h, 4, steps=1, seed=0, penalty=-1.0)
    D = train_autoencoder(h, 4, steps=2, seed=0, top=1)
    np.testing.assert_allclose(np.linalg.norm(D, axis=1), 1, rtol=1e-5)


# --- Dictionary unknown ------------------------------------------------------------------------


def test_match_finds_a_permutation_and_minds_the_sign():
    W = random_dictionary(5, 3, 0)
    order = np.array([3, 0, 4, 1, 2])
    cosines, matched = match(4 * W, 2 * W[:, order])
    np.testing.assert_allclose(cosines, 1)
    np.testing.assert_allclose(matched, W)
    assert match(np.eye(2), -np.eye(2))[0].max() == 0


def test_an_opposite_direction_is_no_match_even_where_it_is_nearest():
    found = np.array([[-1.0, 0.6], [0.0, 0.8]])
    cosines, matched = match(np.eye(2)[:, :1], found)
    np.testing.assert_allclose(cosines, [0.6])
    np.testing.assert_allclose(matched[:, 0], [0.6, 0.8])


def test_match_leaves_features_without_a_direction():
    cosines, matched = match(np.eye(3), np.eye(3)[:, :2])
    np.testing.assert_allclose(cosines, [1, 1, 0])
    assert (matched[:, 2] == 0).all()
    with pytest.raises(ValueError, match="do not fit"):
        match(np.eye(3), np.eye(2))


@pytest.mark.slow
@pytest.mark.parametrize("method", [k for k in BLIND if "random" not in k and k != "ICA"])
def test_axes_that_are_never_active_together_are_found(method):
    rng = np.random.default_rng(0)
    x = np.zeros((600, 4))
    x[np.arange(600), rng.integers(4, size=600)] = rng.uniform(0.2, 1, 600)
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    setting = 1 if method == "autoencoder, top k" else 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = find_dictionaries(method, [hidden_vectors(Q, x)], 8, setting, steps=1500)
    assert match(Q, found)[0].min() > 0.97


def test_ica_finds_as_many_independent_features_as_there_are_dimensions():
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    h = [hidden_vectors(Q, draw(4, 0.3, 20_000, 0), empty=True)]
    (found,) = find_dictionaries("ICA", h, 4, "cube")
    assert found.shape == (4, 8)  # both ends of every axis
    assert match(Q, found)[0].min() > 0.97


def test_blind_methods_refuse_what_they_cannot_do():
    with pytest.raises(ValueError, match="unknown method"):
        find_dictionaries("magic", [np.zeros((9, 3))], 4, None)
    with pytest.raises(ValueError, match="9 inputs"):
        find_dictionaries("inputs at random", [np.zeros((9, 3))], 10, None)


def test_random_directions_are_not_the_random_dictionary_of_the_same_seed():
    W = random_dictionary(20, 5, 0)
    found = find_dictionaries("random directions", [np.ones((30, 5))], 20, None, seed=0)
    assert match(W, found[0])[0].mean() < 0.9


def test_problems_are_cut_to_as_many_inputs_as_the_shortest_has():
    h = np.random.default_rng(0).standard_normal((2, 30, 3))
    cut, whole = ([h[0], h[1, :20]], h[:, :20])
    found = [find_dictionaries("inputs at random", parts, 4, None) for parts in (cut, whole)]
    np.testing.assert_array_equal(*found)


def test_recovery_error_is_small_for_the_features_only():
    features = np.arange(4)

    def error(directions, features=features):
        return _recovery_error(0.5 * np.eye(4), directions, features, 0.1, 500, 0)

    assert error(np.eye(4)) < 1e-12  # the scale of the features is fitted
    # 1 is the error of always predicting the mean; both of these say next to nothing about x.
    assert error(-np.eye(4)) > 0.9
    assert error(np.eye(4), np.roll(features, 1)) > 0.9
    # Two of four features missing: about half of the error of answering 0.
    assert 0.3 < error(np.eye(4)[:, :2], features[:2]) < 0.8


def test_the_setting_is_chosen_on_the_tuning_dictionaries(monkeypatch):
    def answer(h, count, setting, seed, steps):
        return np.stack([setting * np.eye(4)] * len(h))

    monkeypatch.setitem(BLIND, "an answer", (answer, (-1, 1)))
    W, options = np.eye(4)[None], {"inputs": 300, "test": 300, "seed": 0, "steps": 1}
    right, wrong = (score_blind("an answer", sign * W, W, 0.1, **options) for sign in (1, -1))
    assert right["setting"] == right["cosine"][0] == right["found"][0] == 1
    assert right["relative"][0] < 1e-12
    assert wrong["setting"] == -1 and wrong["cosine"][0] == wrong["found"][0] == 0
    assert wrong["relative"][0] > 0.9


def test_hidden_vectors_have_a_root_mean_square_of_1_and_none_is_empty():
    W, x = random_dictionary(6, 3, 0), draw(6, 0.1, 400, 0)
    empty = ~x.any(1)
    assert 0.3 < empty.mean() < 0.7
    for kept, h in ((~empty, hidden_vectors(W, x)), (empty < 2, hidden_vectors(W, x, empty=True))):
        expected = x[kept] @ W.T
        np.testing.assert_allclose(h, expected / np.sqrt((expected**2).sum(1).mean()))
    assert hidden_vectors(W, np.zeros((5, 6))).shape == (0, 3)


@pytest.mark.parametrize(("cosine", "found"), [(0.94, 0), (0.96, 1)])
def test_a_feature_counts_as_found_from_a_cosine_of_95_hundredths_on(cosine, found, monkeypatch):
    def answer(h, count, setting, seed, steps):
        sine = np.sqrt(1 - cosine**2)
        return np.stack([np.array([[cosine, -sine], [sine, cosine]])] * len(h))

    monkeypatch.setitem(BLIND, "an answer", (answer, (None,)))
    W = np.array([[[1.0, 0, 0.1], [0, 1, 0]]])  # the third is not represented
    options = {"inputs": 300, "test": 300, "seed": 0, "steps": 1}
    result = score_blind("an answer", W, W, 0.1, **options)
    assert result["cosine"][0] == pytest.approx(cosine) and result["found"][0] == found


# --- The phase transition ------------------------------------------------------------------------


def test_donoho_tanner_at_known_points():
    # Half as many dimensions as features: 0.558 for non-negative signals (Donoho and Tanner).
    assert donoho_tanner(0.5) == pytest.approx(0.5581, abs=5e-4)
    assert donoho_tanner(1.0) == pytest.approx(1.0, abs=1e-6)
    curve = donoho_tanner(np.linspace(0.01, 1, 40))
    assert (np.diff(curve) > 0).all()


def test_donoho_tanner_at_low_delta_follows_its_asymptote():
    # rho ~ 1 / (2 log(1 / delta)), approached slowly from above.
    ratio = donoho_tanner([1e-4, 1e-8]) * 2 * np.log([1e4, 1e8])
    assert 1 < ratio[1] < ratio[0] < 1.6


@pytest.mark.parametrize("delta", [0.0, 1.1, np.nan])
def test_donoho_tanner_refuses_what_is_no_share(delta):
    for given in (delta, [0.5, delta]):
        with pytest.raises(ValueError, match=rf"must lie in \(0, 1\], got {delta:g}$"):
            donoho_tanner(given)


def test_least_sum_is_the_least_sum():
    W = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    np.testing.assert_allclose(least_sum(np.array([0.4, 0.4]), W), [0, 0, 0.4], atol=1e-9)


@pytest.mark.parametrize("method", ["l1", "OMP"])
def test_recovery_is_certain_far_below_and_impossible_far_above(method):
    W = random_dictionary(40, 20, 0)
    assert exact_share(W, 1, 10, 0, method) == 1
    assert exact_share(W, 18, 10, 0, method) == 0
    assert exact_share(W, 41, 3, 0, method) == 0
    with pytest.raises(ValueError, match="method must be"):
        exact_share(W, 1, 1, 0, "magic")


def test_transition_takes_fixed_and_fresh_dictionaries():
    fresh = (20, lambda seed: random_dictionary(40, 20, seed))
    shares = transition([fresh, (20, random_dictionary(40, 20, 0))], [0.1, 0.9], 4, 0)
    assert shares.shape == (2, 2)
    assert (shares[:, 0] == 1).all() and (shares[:, 1] == 0).all()


def test_capacity_grows_with_sparsity_and_is_at_least_the_dimensions():
    counts = capacity(20, [1.0, 0.3, 0.1, 0.01], 2_000)
    assert counts[0] == 20 and (np.diff(counts) > 0).all()
    most = counts[2]
    assert 0.1 * most / 20 <= donoho_tanner(20 / most)
    assert 0.1 * (most + 1) / 20 > donoho_tanner(20 / (most + 1))
