"""Intervals against scipy and by simulation; rates and training by hand; the chart."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from common import robustness
from common.model import authors_scale, xavier_scale
from common.robustness import MODEL, STACK, Rate, Runs, Setting, wilson
from common.robustness_plots import success_chart
from common.training import FAST

SETTINGS = robustness.grid([64, 256], [0.005, 0.02])


@pytest.mark.parametrize("successes, trials", [(0, 20), (1, 20), (10, 20), (37, 50), (400, 400)])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_wilson_as_scipy_has_it(successes, trials, level):
    expected = stats.binomtest(successes, trials).proportion_ci(level, method="wilson")
    low, high = wilson(successes, trials, level)
    assert (low.item(), high.item()) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_at_its_ends():
    """No success: from 0 to z^2 / (n + z^2), in closed form; all successes mirror it."""
    z = stats.norm.ppf(0.975)
    low, high = wilson(torch.tensor([0, 30]), 30)
    assert low.tolist() == pytest.approx([0, 30 / (30 + z**2)], abs=1e-12)
    assert high.tolist() == pytest.approx([z**2 / (30 + z**2), 1], abs=1e-12)


def test_wilson_moves_with_successes_and_narrows_with_trials():
    low, high = wilson(torch.arange(41), 40)
    assert (low.diff() > 0).all() and (high.diff() > 0).all()
    trials = torch.tensor([10, 40, 160, 640])
    low, high = wilson(trials * 0.3, trials)
    assert ((high - low).diff() < 0).all()
    wide = wilson(12, 40, 0.99)
    assert wide[0] < wilson(12, 40)[0] < 0.3 < wilson(12, 40)[1] < wide[1]


@pytest.mark.parametrize("shares", [[0.05], [0.5], [0.9], [0.2, 0.9], [0.0, 0.5, 1.0, 1.0]])
def test_wilson_covers_the_mean(shares):
    """Also where trials of different probability are pooled evenly.

    The true coverage, summed over the exact law of the count, is 0.948 or more in all five cases;
    4,000 simulated intervals cover less than 0.93 with a probability below 1e-6.
    """
    rng = np.random.default_rng(20220914)
    trials, each = 60, 60 // len(shares)
    counts = sum(rng.binomial(each, q, size=4000) for q in shares)
    low, high = wilson(torch.as_tensor(counts), trials)
    covered = ((low <= np.mean(shares)) & (np.mean(shares) <= high)).double().mean().item()
    assert covered > 0.93


@pytest.mark.parametrize("arguments", [(-1, 10), (11, 10), (0, 0), (1, 10, 1.0)])
def test_wilson_refuses(arguments):
    with pytest.raises(ValueError, match="no interval"):
        wilson(*arguments)


def test_grid_names_its_settings():
    assert len(set(SETTINGS)) == len(SETTINGS) == 8
    assert SETTINGS[1] == Setting(64, 0.005, MODEL)
    assert str(SETTINGS[-2]) == "batch 256, rate 0.02, stack"


def test_rates_of_runs_and_of_cells():
    hits = torch.tensor([[True, True, False, False], [True, True, True, False]])
    rate = Rate.of(hits)
    assert rate.share().tolist() == [0.5, 0.75]
    share, low, high = rate.overall()
    assert share == 5 / 8
    assert (low, high) == tuple(v.item() for v in wilson(5, 8))
    pooled = Rate.of(torch.stack([hits, hits, ~hits]))
    assert pooled.trials == 12
    assert pooled.share().tolist() == [6 / 12, 7 / 12]


def test_effect_of_a_factor_that_decides_alone():
    """Success with the second learning rate and only then: 1 there, nothing for the others."""
    hits = torch.tensor([[s.learning_rate == 0.02] * 30 for s in SETTINGS])
    rate = Rate.of(hits)
    effects = [rate.effect((2, 2, 2), axis) for axis in range(3)]
    assert [change for change, _ in effects] == [0, 1, 0]
    assert all(0 < error < 0.05 for _, error in effects)


def test_effects_are_within_their_errors_where_there_is_none():
    """Twelve effects of 8 settings with one probability: beyond 3.5 standard errors with a
    probability of 0.6 % in all."""
    generator = torch.Generator().manual_seed(1)
    for q in (0.1, 0.5, 0.8, 0.95):
        rate = Rate.of(torch.rand(8, 50, generator=generator) < q)
        effects = [rate.effect((2, 2, 2), axis) for axis in range(3)]
        assert all(abs(change) < 3.5 * error for change, error in effects)


def test_summary_says_what_was_counted():
    hits = torch.ones(8, 10, dtype=torch.bool)
    hits[5, :4] = False
    found = robustness.summary(hits, hits[:, :1], ~hits, SETTINGS, (2, 2, 2))
    assert found["rate"] == pytest.approx(95)
    assert found["least"] == pytest.approx(60)
    assert found["worst"] == str(SETTINGS[5])
    assert (found["chosen"], found["near"]) == (7, "5")
    assert found["start"].startswith("-10")
    cells = torch.stack([hits, torch.ones_like(hits)])
    pooled = robustness.summary(cells, cells[..., :1], None, SETTINGS, (2, 2, 2))
    assert (pooled["least"], pooled["chosen"], pooled["near"]) == (pytest.approx(80), 7, "–")


def test_percent_of_some():
    hits = torch.tensor([[True, False], [False, False]])
    assert robustness.percent(hits) == "25"
    assert robustness.percent(hits, torch.tensor([[True, True], [False, False]])) == "50"
    assert robustness.percent(hits, torch.zeros(2, 2, dtype=torch.bool)) == "–"


@pytest.fixture(scope="module")
def barely_trained():
    """Two densities, three runs, one step that hardly moves anything: W is as it was started."""
    settings = robustness.grid([8], [1e-9])
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
    assert not runs.near().any()
    found = replace(runs, loss=1.009 * runs.reference[:, None, None].expand(runs.loss.shape))
    assert found.near().all()


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


def test_chart_draws_every_setting_once(drawing):
    hits = torch.rand(8, 20, generator=torch.Generator().manual_seed(0)) < 0.5
    rates = {"one": Rate.of(hits), "another": Rate.of(~hits)}
    fig = success_chart(rates, SETTINGS, {STACK: "a", MODEL: "b"})
    drawn = [
        line.get_xdata()[0] for ax in fig.axes for line in ax.lines if line.get_marker() == "o"
    ]
    order = [k for start in (STACK, MODEL) for k, s in enumerate(SETTINGS) if s.start == start]
    assert drawn == pytest.approx([rates["one"].share()[k].item() for k in order])
    (bars, *_) = fig.axes[0].collections
    ends = bars.get_segments()[0][:, 0]
    expected = wilson(rates["one"].successes[order[0]], 20)
    assert ends.tolist() == pytest.approx([v.item() for v in expected])
    names = [text.get_text() for text in fig.legends[0].get_texts()]
    assert len(set(names)) == 4
