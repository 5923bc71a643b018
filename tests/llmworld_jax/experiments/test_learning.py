"""From losses to curves and exponents."""

import numpy as np
import pytest

from llmworld_jax.experiments.learning import Curve, learning_curve, log_log_exponent, published_exponent

STEPS, SEEDS, WINDOW = 300, 3, 10
TIME = np.arange(STEPS)


def losses(one: np.ndarray, spread: float = 0.0, seeds: int = SEEDS) -> np.ndarray:
    """``[seed, time]``: the same curve for every seed but for a factor; nothing precedes item 0."""
    rows = one * (1 + spread * np.linspace(-1, 1, seeds)[:, None]) if seeds > 1 else one[None].copy()
    rows[:, 0] = np.nan
    return rows


def power(alpha: float, scale: float = 2.0) -> np.ndarray:
    return np.maximum(TIME, 1) ** alpha / scale


def test_curve_counts_context_and_averages_within_windows():
    curve = learning_curve(losses(TIME.astype(float), spread=0.1), WINDOW)
    points = STEPS - 1 - WINDOW + 1
    assert curve.each.shape == (SEEDS, points)
    assert all(row.shape == (points,) for row in (curve.context, curve.mean, curve.low, curve.high))
    # Loss t at context t: a straight line is its own moving average, on the true centres.
    np.testing.assert_allclose(curve.context, 1 + np.arange(points) + (WINDOW - 1) / 2)
    np.testing.assert_allclose(curve.mean, curve.context, rtol=1e-12)
    np.testing.assert_allclose(curve.high, 1.09 * curve.context, rtol=1e-12)  # 5 % and 95 % of (0.9, 1, 1.1)
    np.testing.assert_allclose(curve.low, 0.91 * curve.context, rtol=1e-12)


def test_curve_begins_where_every_seed_predicts():
    rows = losses(power(-0.5))
    rows[1, :4] = np.nan
    curve = learning_curve(rows, WINDOW)
    assert curve.context[0] == 4 + (WINDOW - 1) / 2
    assert np.isfinite(curve.each).all()


@pytest.mark.parametrize("alpha", [-0.9, -0.4, 0.2])
def test_both_exponents_find_a_planted_power_law(alpha):
    curve = Curve(*_curve_of(power(alpha)))
    # The published axis is half a step late: the law is planted there for the published estimator.
    early = curve._replace(context=curve.context - 0.5)
    for exponent in (published_exponent(early), log_log_exponent(curve)):
        assert exponent.value == pytest.approx(alpha, abs=2e-3)
        assert exponent.scale == pytest.approx(2.0, rel=0.02)
        # The seeds differ by a factor only, which moves no exponent.
        assert [exponent.low, exponent.high] == pytest.approx([alpha, alpha], abs=2e-3)
        assert exponent.residual_rms < 1e-2


def _curve_of(one: np.ndarray, spread: float = 0.1, seeds: int = SEEDS) -> tuple[np.ndarray, ...]:
    """Unsmoothed, from item 10 on, so that the power law is exact."""
    each = losses(one, spread, seeds)[:, 10:]
    return TIME[10:].astype(float), each, each.mean(axis=0), each.min(axis=0), each.max(axis=0)


def test_the_two_exponents_disagree_where_the_curve_ends_in_a_plateau():
    """The published fit looks at the large early losses, the log-log slope at every stretch alike."""
    curve = Curve(*_curve_of(power(-1.0) + 0.002))
    published, log_log = published_exponent(curve), log_log_exponent(curve)
    assert published.value < log_log.value - 0.03
    assert published.value > -1


def test_seeds_that_disagree_widen_the_interval_and_one_seed_has_none():
    context = TIME[10:].astype(float)
    each = np.stack([context**a for a in (-0.3, -0.5, -0.7)])
    exponent = log_log_exponent(Curve(context, each, each.mean(axis=0), each[0], each[1]))
    assert exponent.low < exponent.value < exponent.high
    assert exponent.high - exponent.low > 0.1
    alone = losses(power(-0.5), seeds=1)
    curve = learning_curve(alone, WINDOW)
    np.testing.assert_array_equal(curve.low, curve.high)
    exponent = log_log_exponent(curve)
    assert np.isfinite(exponent.value)
    assert np.isnan([exponent.low, exponent.high]).all()
