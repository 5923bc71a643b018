"""From losses of several series to four words, with every null named on its side."""

import numpy as np
import pytest
from scipy import stats

from llmworld_jax.experiments.verdict import SparseLoss, compare, verdict

STEPS, SEEDS = 300, 4
TIME = np.arange(STEPS)
WIGGLE = 1 + 0.05 * np.array([-1.0, 0.3, 0.9, -0.2])[:, None]


def rows(one: np.ndarray | float, wiggle: np.ndarray = WIGGLE) -> np.ndarray:
    """``[seed, time]``; nothing precedes item 0."""
    losses = np.broadcast_to(one, STEPS) * wiggle
    losses[:, 0] = np.nan
    return losses


FALLING = rows(np.maximum(TIME, 1) ** -0.5)  # .26 early, .06 late
NO_FLOOR = rows(0.0)
OTHER = WIGGLE[::-1]


def test_a_loss_that_falls_below_every_null_is_learning():
    found = verdict(FALLING, {"unigram": rows(0.5), "AR(1)": rows(0.2)}, {}, NO_FLOOR)
    assert (found.label, found.kind) == ("learns", "good")
    assert found.text.startswith("Learns: the loss falls")
    assert "below every null (unigram and AR(1))" in found.text
    assert found.best_null == "AR(1)"


def test_a_better_null_is_named_and_decides():
    beaten = verdict(FALLING, {"unigram": rows(0.5), "AR(1)": rows(1e-3)}, {}, NO_FLOOR)
    assert (beaten.label, beaten.kind) == ("learns, null better", "neutral")
    assert "; below unigram; AR(1) predicts better." in beaten.text
    worse = verdict(FALLING, {"unigram": rows(0.01), "AR(1)": rows(1e-3)}, {}, NO_FLOOR)
    assert (worse.label, worse.kind) == ("does not learn", "negative")
    assert "unigram and AR(1) predict better" in worse.text


def test_where_the_past_does_not_matter_its_order_is_no_test():
    nulls = {"unigram": rows(0.01), "AR(1)": rows(1.0)}
    assert verdict(FALLING, nulls, {}, NO_FLOOR, memoryless=True).label == "learns, null better"


def test_a_null_that_cannot_be_told_apart_is_a_tie():
    late = float(np.nanmean(FALLING[:, 240:]))
    near = verdict(FALLING, {"unigram": rows(0.5), "AR(1)": rows(late, OTHER)}, {}, NO_FLOOR)
    assert near.label == "ties null"
    assert near.nulls["AR(1)"].low < 1 < near.nulls["AR(1)"].high
    assert "level with AR(1)" in near.text


def test_a_level_loss_is_no_learning_however_low():
    found = verdict(rows(0.3), {"unigram": rows(0.5)}, {}, NO_FLOOR)
    assert (found.label, found.kind) == ("does not learn", "negative")
    assert "no clear fall" in found.text


def test_one_series_that_does_not_fall_casts_doubt_on_the_rest():
    losses = rows(np.where(TIME < 30, 1.0, 0.3))
    losses[3] = 1.0
    assert verdict(losses, {"unigram": rows(5.0)}, {}, NO_FLOOR).label == "does not learn"


def test_early_against_late():
    one = np.where(TIME < 25, 1.0, 0.5)
    one[:5] = 7  # the first items are not counted
    one[-60:] = 0.25
    found = verdict(rows(one, np.ones((2, 1))), {"unigram": rows(0.9)[:2]}, {}, rows(0.125))
    assert (found.early, found.late, found.ratio) == pytest.approx((1, 0.25, 4))
    assert found.floor == pytest.approx(0.125, rel=0.02)
    assert (found.late_low, found.late_high) == pytest.approx((0.25, 0.25))
    assert "4.0×" in found.text


def test_a_sparse_null_is_compared_over_its_own_window():
    losses = FALLING.copy()
    losses[:, 290:] = 0.02 * WIGGLE
    sparse = SparseLoss(np.array([20, 290]), np.full((SEEDS, 2), 0.03) * OTHER, 10)
    found = verdict(losses, {"unigram": rows(0.5)}, {"neural AR(1)": sparse}, NO_FLOOR)
    assert found.nulls["neural AR(1)"].outcome == "beaten"
    assert found.nulls["neural AR(1)"].ratio == pytest.approx(2 / 3, rel=0.02)


def test_the_interval_is_student_s_on_the_logarithm_of_the_ratio():
    model, null = np.array([0.2, 0.5, 0.3]), np.array([0.4, 0.7, 0.9])
    found = compare(model, null)
    gap = np.log(model / null)
    low, high = stats.t.interval(0.95, 2, gap.mean(), stats.sem(gap))
    assert (found.ratio, found.low, found.high) == pytest.approx(tuple(np.exp([gap.mean(), low, high])))
    assert found.outcome == "tied"


def test_one_series_is_judged_by_signs_and_a_loss_of_zero_is_no_infinity():
    alone = compare(np.array([0.2]), np.array([0.4]))
    assert (alone.outcome, np.isnan(alone.low)) == ("beaten", True)
    assert compare(np.array([0.2, 0.3]), np.zeros(2)).outcome == "better"
    assert np.isfinite(compare(np.zeros(2), np.zeros(2)).ratio)
