"""Intervals in closed form and by simulation; rates and training by hand; the chart."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from common.exact import minimise, population_loss
from common.model import authors_scale, xavier_scale
from common.plots.style import AUTHORS_COLOR, FAST_COLOR
from common.robustness import runs as robustness
from common.robustness.plots import success_chart
from common.robustness.runs import (
    FACTORS,
    MODEL,
    STACK,
    Rate,
    Runs,
    Setting,
    bounds,
    out_of,
    wilson,
)
from common.training import FAST

SETTINGS = robustness.grid([64, 256], [0.005, 0.02], [0.0, 0.01])
OWN = torch.tensor([s.learning_rate == 0.02 for s in SETTINGS])


def test_wilson_solves_its_equation():
    """Its ends are where share - q = ±z sqrt(q (1 - q) / n); without a success the upper one is
    z^2 / (n + z^2)."""
    z = stats.norm.ppf(0.975)
    for k, n in ((1, 20), (10, 20), (37, 50), (300, 400)):
        low, high = wilson(k, n)
        assert low < k / n < high
        for q in (low, high):
            assert (k / n - q) ** 2 == pytest.approx(z**2 * q * (1 - q) / n, abs=1e-12)
    assert wilson(0, 30) == pytest.approx((0, z**2 / (30 + z**2)), abs=1e-12)
    assert wilson(30, 30) == pytest.approx((30 / (30 + z**2), 1), abs=1e-12)


def test_share_with_its_interval():
    assert out_of(torch.arange(32) < 15) == "15 of 32 (31 to 64 %)"
    assert out_of(torch.ones(4, 8, dtype=torch.bool)) == "32 of 32 (89 to 100 %)"
    assert out_of(torch.ones(0, dtype=torch.bool)) == "0 of 0"
    assert bounds(9_999, 10_000) == (99, 100)  # 99.94 to 100: not certain
    assert bounds(1, 10_000) == (0, 1)


@pytest.mark.parametrize("shares", [[0.05], [0.5], [0.9], [0.2, 0.9], [0.0, 0.5, 1.0, 1.0]])
def test_wilson_covers_the_mean(shares):
    """Also where trials of different probability are pooled evenly.

    The true coverage, summed over the exact law of the count, is 0.948 or more in all five cases;
    4,000 simulated intervals cover less than 0.93 with a probability below 1e-6.
    """
    rng = np.random.default_rng(20220914)
    trials, each = 60, 60 // len(shares)
    counts = sum(rng.binomial(each, q, size=4000) for q in shares)
    intervals = {count: wilson(count, trials) for count in set(counts.tolist())}
    covered = [intervals[k][0] <= np.mean(shares) <= intervals[k][1] for k in counts.tolist()]
    assert np.mean(covered) > 0.93


def test_grid_names_its_settings():
    assert len(set(SETTINGS)) == len(SETTINGS) == 16
    assert SETTINGS[1] == Setting(64, 0.005, 0.0, MODEL)
    assert str(SETTINGS[-2]) == "batch 256, decay 0.01, stack"
    assert SETTINGS[-2].recipe(FAST) == replace(FAST, batch=256, weight_decay=0.01)


def test_rates_of_runs_and_of_cells():
    hits = torch.tensor([[True, True, False, False], [True, True, True, False]])
    rate = Rate.of(hits)
    assert rate.share().tolist() == [0.5, 0.75]
    assert rate.overall() == (62.5, *bounds(5, 8)) == (62.5, 31, 86)
    assert rate.overall(torch.tensor([False, True])) == (75, *bounds(3, 4))
    pooled = Rate.of(torch.stack([hits, hits, ~hits]))
    assert pooled.trials == 12
    assert pooled.share().tolist() == [6 / 12, 7 / 12]


@pytest.mark.parametrize("factor", FACTORS)
def test_effect_of_a_factor_that_decides_alone(factor):
    """Success with the second level of one factor and only then: 1 there, nothing for the
    others."""
    second = getattr(SETTINGS[-1], factor)
    hits = torch.tensor([[getattr(s, factor) == second] * 30 for s in SETTINGS])
    rate = Rate.of(hits)
    effects = {name: rate.effect(SETTINGS, name) for name in FACTORS}
    assert {name: change for name, (change, _) in effects.items()} == {
        name: float(name == factor) for name in FACTORS
    }
    assert all(0 < error < 0.05 for _, error in effects.values())


def test_effects_are_within_their_errors_where_there_is_none():
    """Sixteen effects of 16 settings with one probability: beyond 3.5 standard errors with a
    probability of 0.8 % in all."""
    generator = torch.Generator().manual_seed(1)
    for q in (0.1, 0.5, 0.8, 0.95):
        rate = Rate.of(torch.rand(16, 50, generator=generator) < q)
        effects = [rate.effect(SETTINGS, factor) for factor in FACTORS]
        assert all(abs(change) < 3.5 * error for change, error in effects)


def test_an_effect_that_rounds_to_nothing_has_no_sign():
    hits = torch.ones(16, 400, dtype=torch.bool)
    hits[5, 0] = False
    found = robustness.summary(hits, hits[:, :1], None, SETTINGS, OWN)
    assert {found[name] for name in FACTORS.values()} == {"0"}


def test_summary_says_what_was_counted():
    """Of 8 settings at the recipe's own learning rate, one with 4 failures in 10 runs; at the other
    learning rate 1 failure in 80 runs."""
    hits = torch.ones(16, 10, dtype=torch.bool)
    hits[5, :4] = hits[0, 0] = False
    found = robustness.summary(hits, hits[:, :1], ~hits, SETTINGS, OWN)
    assert (found["rate"], found["slow"]) == (pytest.approx(95), pytest.approx(98.75))
    assert (found["low"], found["high"]) == bounds(76, 80)
    assert found["least"] == pytest.approx(60)
    assert found["worst"] == str(SETTINGS[5])
    assert (found["chosen"], found["near"]) == (7, "5")
    assert found["start"].startswith("-4") and found["learning-rate"].startswith("-4")
    assert (found["batch"], found["decay"]) == ("+6", "+6")  # 1.7 standard errors: no star
    failed = ~torch.tensor([s.batch == 256 for s in SETTINGS])[:, None].expand(16, 10)
    assert robustness.summary(failed, failed[:, :1], None, SETTINGS, OWN)["batch"] == "-100*"
    elsewhere = hits.clone()
    elsewhere[0] = False  # at the other learning rate: it is not the worst of those meant
    found = robustness.summary(elsewhere, hits[:, :1], None, SETTINGS, OWN)
    assert (found["least"], found["worst"]) == (pytest.approx(60), str(SETTINGS[5]))
    every = torch.ones_like(hits)
    assert robustness.summary(every, every[:, :1], None, SETTINGS, OWN)["worst"] == "all"
    cells = torch.stack([hits, every])
    pooled = robustness.summary(cells, cells[..., :1], None, SETTINGS, OWN)
    assert (pooled["least"], pooled["chosen"], pooled["near"]) == (pytest.approx(80), 7, "–")


def test_percent_of_some():
    hits = torch.tensor([[True, False], [False, False]])
    assert robustness.percent(hits) == "25"
    assert robustness.percent(hits, torch.tensor([[True, True], [False, False]])) == "50"
    assert robustness.percent(hits, torch.zeros(2, 2, dtype=torch.bool)) == "–"


@pytest.fixture(scope="module")
def barely_trained():
    """Two densities, three runs, one step that hardly moves anything: W is as it was started."""
    settings = robustness.grid([8], [1e-9], [0.0])
    recipe = replace(FAST, steps=1)
    importance = torch.tensor([[1.0, 1, 1], [1, 1, 0.1]])
    runs = robustness.train(
        settings, recipe, (3, 2), [0.5, 0.1], importance, runs=60, stacked=10, starts=4
    )
    return settings, runs


def test_training_starts_at_both_scales(barely_trained):
    """Means of 720 squared entries are within 22 % of the variance at 4.2 standard errors."""
    settings, runs = barely_trained
    assert runs.W.shape == (2, 2, 60, 2, 3)
    scales = {STACK: authors_scale(3, 2, 10), MODEL: xavier_scale(3, 2)}
    for k, setting in enumerate(settings):
        measured = runs.W[:, k].pow(2).mean().item()
        assert measured == pytest.approx(scales[setting.start] ** 2, rel=0.22)


def test_every_setting_has_seeds_of_its_own(barely_trained):
    _, runs = barely_trained
    flat = (runs.W / runs.W.flatten(3).norm(dim=-1)[..., None, None]).reshape(240, 6)
    assert len(torch.unique(flat.round(decimals=4), dim=0)) == len(flat)


def test_runs_are_held_against_their_own_optimum(barely_trained):
    _, runs = barely_trained
    assert torch.equal(runs.reference, runs.optimum.loss)
    assert (runs.loss > runs.reference[:, None, None]).all()
    importance = torch.tensor([[1.0, 1, 1], [1, 1, 0.1]])
    best = minimise(3, 2, runs.density, importance, restarts=8)
    torch.testing.assert_close(runs.reference, best.loss, rtol=1e-6, atol=0)
    assert not runs.near().any()
    for excess, near in ((0.009, True), (0.011, False)):
        loss = (1 + excess) * runs.reference[:, None, None].expand(runs.loss.shape)
        assert (replace(runs, loss=loss).near() == near).all()


def test_every_cell_trains_on_its_own_density_and_importance(barely_trained):
    """The losses of the runs are those of their cell; other importances give other losses."""
    _, runs = barely_trained
    for k, (p, importance) in enumerate(((0.5, [1.0, 1, 1]), (0.1, [1.0, 1, 0.1]))):
        expected = population_loss(runs.W[k], runs.b[k], p, torch.tensor(importance))
        torch.testing.assert_close(runs.loss[k], expected, check_dtype=False)


def test_features_come_back_from_the_square_of_a_half_on():
    """W^T W of a stored feature has its squared norm on the diagonal."""
    W = torch.tensor([[0.51, 0.49, 0.0], [0.0, 0.0, 0.9]]).expand(1, 1, 1, 2, 3)
    one = torch.ones(1, 1, 1)
    assert Runs(one[0, 0], W, W[..., 0, :], one, W.mT @ W).stored().item() == 2


def test_linear_models_are_held_against_the_closed_form():
    recipe = replace(FAST, steps=1)
    options = {"runs": 2, "stacked": 3, "output": "linear"}
    runs = robustness.train(SETTINGS[:1], recipe, (3, 1), [1.0], [1.0, 0.5, 0.25], **options)
    assert runs.reference.item() == pytest.approx((1 / 3 - 1 / 4) * 0.75)


def test_best_is_the_run_of_lowest_loss():
    W = torch.arange(24.0).reshape(1, 2, 3, 2, 2)
    loss = torch.tensor([[[3.0, 1, 2], [1, 2, 3]]])
    best = Runs(torch.ones(1), W, W[..., 0], loss, W.mT @ W).best()
    assert best.loss.tolist() == [[[1], [1]]]
    assert torch.equal(best.W[0, :, 0], torch.stack([W[0, 0, 1], W[0, 1, 0]]))
    assert torch.equal(best.effective, best.W.mT @ best.W)


def test_every_setting_trains_with_its_own_recipe(monkeypatch):
    given = []

    def note(*args, recipe, seed, **options):
        given.append((recipe, seed))
        raise InterruptedError

    monkeypatch.setattr(robustness, "train_restarts", note)
    for setting in SETTINGS:
        with pytest.raises(InterruptedError):
            robustness.train([setting], FAST, (3, 1), [1.0], torch.ones(3), runs=1, stacked=1)
    assert [recipe for recipe, _ in given] == [s.recipe(FAST) for s in SETTINGS]


def test_weight_decay_shrinks_what_is_trained():
    """One step of Adam at a rate of 0.1 moves a weight by about 0.1, decay of 5 halves it first."""
    recipe = replace(FAST, steps=1, cosine=False)
    settings = robustness.grid([8], [0.1], [0.0, 5.0], starts=[STACK])
    runs = robustness.train(settings, recipe, (3, 2), [0.5], torch.ones(3), runs=4, stacked=10)
    # Other seeds, but the scale of the start is known: 0.28 with 60 entries a setting.
    free, decayed = runs.W[0].square().mean((1, 2, 3)).sqrt().tolist()
    assert decayed < 0.8 * free


def test_chart_draws_every_setting_once(drawing):
    hits = torch.rand(16, 20, generator=torch.Generator().manual_seed(0)) < 0.5
    rates = {"one": Rate.of(hits), "another": Rate.of(~hits)}
    groups = {f"about {name}": {name: rate} for name, rate in rates.items()}
    fig = success_chart(groups, SETTINGS, {0.02: "a", 0.005: "b"})
    heights = {text.get_text(): text.xy[1] for text in fig.axes[0].texts}
    labels = [text.get_text() for text in fig.axes[0].get_yticklabels()]
    heights |= dict(zip(labels, fig.axes[0].get_yticks(), strict=True))
    assert sorted(heights, key=heights.get) == ["about one", "one", "about another", "another"]
    assert fig.axes[0].get_ylim() == (3.5, -0.5)  # the first at the top
    dots = fig.axes[0].lines[0].get_ydata()
    assert abs(dots - [heights["one"], heights["another"]]).max() < 0.5
    drawn = [
        line.get_xdata()[0]
        for ax in fig.axes
        for line in ax.lines
        if line.get_marker() in ("o", "D")
    ]
    order = [k for rate in (0.02, 0.005) for k, s in enumerate(SETTINGS) if s.learning_rate == rate]
    assert drawn == pytest.approx([rates["one"].share()[k].item() for k in order])
    (bars, *_) = fig.axes[0].collections
    ends = bars.get_segments()[0][:, 0]
    assert ends.tolist() == pytest.approx(wilson(rates["one"].successes[order[0]], 20))
    looks = [(line.get_color(), line.get_mfc(), line.get_marker()) for line in fig.axes[0].lines]
    assert len({look for look in looks if look[2] in ("o", "D")}) == 8
    names = [text.get_text() for text in fig.legends[0].get_texts()]
    assert len(set(names)) == 8
    for color, face, marker in {look for look in looks if look[2] in ("o", "D")}:
        (label,) = {
            line.get_label() for line in fig.axes[0].lines
            if (line.get_color(), line.get_mfc(), line.get_marker()) == (color, face, marker)
        }  # fmt: skip
        assert color == (AUTHORS_COLOR if "stack" in label else FAST_COLOR)
        assert (face == color) == ("batch 256" in label)
        assert (marker == "D") == ("decay 0.01" in label)
