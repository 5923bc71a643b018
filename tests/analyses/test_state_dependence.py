import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import analyses

spread_slope = jax.jit(analyses.spread_slope)
vee_fit = jax.jit(analyses.vee_fit)
binned_statistic = jax.jit(analyses.binned_statistic)


@jax.jit
def fits(x, y, weight=None):
    through = analyses.proportion(x, y, weight)
    return analyses.straight_line(x, y, weight), analyses.theil_sen(x, y, weight), through


small_numbers = st.lists(st.integers(0, 6), min_size=12, max_size=12)


def single(x):
    return jnp.asarray(x, jnp.float32)


@settings(deadline=None, max_examples=20)
@given(small_numbers, small_numbers)
def test_line_and_ranks_are_scipys_ties_and_all(first, second):
    x, y = np.array(first, float), np.array(second, float)
    line, middle, _ = fits(single(x), single(y))
    if np.ptp(x) == 0:
        assert np.isnan(line.slope)
        assert np.isnan(middle)
        return
    slope, intercept = np.polyfit(x, y, 1)
    residual = y - intercept - slope * x
    error = np.sqrt(np.sum(residual**2) / 10 / np.sum((x - x.mean()) ** 2))
    np.testing.assert_allclose([line.slope, line.intercept, line.slope_error], [slope, intercept, error], atol=1e-3)
    assert float(middle) == pytest.approx(stats.theilslopes(y, x).slope, abs=1e-5)
    if np.ptp(y) > 0:
        assert float(line.r_squared) == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, abs=1e-4)
        assert float(line.rank_correlation) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-5)


def test_weights_are_repetitions_and_zero_leaves_out():
    rng = np.random.default_rng(0)
    x, y, repeats = rng.normal(size=12), rng.normal(size=12), rng.integers(0, 4, 12)
    many_x, many_y = np.repeat(x, repeats), np.repeat(y, repeats)
    line, middle, through = fits(single(x), single(y), single(repeats))
    np.testing.assert_allclose([line.slope, line.intercept], np.polyfit(many_x, many_y, 1), rtol=1e-4)
    assert float(through.slope) == pytest.approx(np.sum(many_x * many_y) / np.sum(many_x**2), rel=1e-4)
    assert float(through.correlation) == pytest.approx(np.corrcoef(many_x, many_y)[0, 1], rel=1e-4)
    assert float(middle) == pytest.approx(stats.theilslopes(many_y, many_x).slope, rel=1e-4)
    left_out = fits(single(x), single(y), single([1] * 5 + [0] * 7))[0]
    alone = stats.linregress(x[:5], y[:5])
    np.testing.assert_allclose(left_out[:3], [alone.slope, alone.intercept, alone.stderr], rtol=1e-4)


def test_the_exponent_of_the_spread_is_recovered_and_outliers_move_one_estimator():
    rng = np.random.default_rng(1)
    state = np.exp(rng.normal(2, 0.5, 200))
    clean = spread_slope(single(state), single(0.12 * state**1.0))
    np.testing.assert_allclose([clean.line.slope, clean.theil_sen, clean.line.r_squared], 1, rtol=1e-4)
    assert float(jnp.exp(clean.line.intercept)) == pytest.approx(0.12, rel=1e-3)
    sd = 0.12 * state * np.exp(rng.normal(0, 0.05, 200))
    wild = (state < np.quantile(state, 0.2)).nonzero()[0][::2]
    sd[wild] *= 100
    hit = spread_slope(single(state), single(sd))
    assert float(hit.theil_sen) == pytest.approx(1, abs=0.15)
    assert abs(float(hit.line.slope) - 1) > 0.5
    constant = spread_slope(single(state), single(np.full(200, 0.3)))
    np.testing.assert_allclose([constant.line.slope, constant.theil_sen], 0, atol=1e-5)


def test_the_interval_of_the_slope_covers_and_finds_a_dependence():
    """1000 simulations of 60 laws: 95 % intervals hold the planted slope 0.2, and nine in ten exclude 0."""
    rng = np.random.default_rng(2)
    x = np.exp(rng.normal(0, 0.5, (1000, 60)))
    y = x**0.2 * np.exp(rng.normal(0, 0.2, (1000, 60)))
    line = jax.jit(jax.vmap(analyses.straight_line))(single(np.log(x)), single(np.log(y)))
    half = stats.t.ppf(0.975, 58) * np.asarray(line.slope_error)
    slope = np.asarray(line.slope)
    assert np.mean(np.abs(slope - 0.2) < half) == pytest.approx(0.95, abs=0.025)
    assert np.mean(slope - half > 0) >= 0.9


def test_the_vee_of_the_noisy_logistic_map():
    """The spread of simulated next values against the first-order law; a constant spread has no correlation."""
    rng = np.random.default_rng(3)
    state = rng.uniform(0.05, 0.95, 300)
    noisy = state[:, None] + 0.0136 * rng.normal(size=(300, 2000))
    spread = (3.9 * noisy * (1 - noisy)).std(axis=1)
    got = vee_fit(single(state), single(spread), rate=3.9, noise_sd=0.0136)
    assert float(got.slope) == pytest.approx(1, abs=0.01)
    assert float(got.correlation) > 0.99
    assert float(got.rank_correlation) > 0.99
    constant = np.full(300, spread.mean()) * np.exp(0.05 * rng.normal(size=300))
    flat = vee_fit(single(state), single(constant), rate=3.9, noise_sd=0.0136)
    assert abs(float(flat.correlation)) < 0.2
    scaled = vee_fit(single(state), single(7 * spread), rate=3.9, noise_sd=0.0136)
    assert float(scaled.slope) == pytest.approx(7 * float(got.slope), rel=1e-4)


def test_binned_quartiles_are_numpys():
    rng = np.random.default_rng(4)
    x, y = rng.uniform(-0.1, 1, 200).astype(np.float32), rng.normal(size=200).astype(np.float32)
    edges = np.array([0, 0.1, 0.12, 0.5, 0.9, 3, 4], np.float32)
    got = binned_statistic(jnp.asarray(x), jnp.asarray(y), jnp.asarray(edges))
    for i in range(6):
        inside = y[(x >= edges[i]) & (x < edges[i + 1])]
        assert float(got.num_points[i]) == len(inside)
        if len(inside):
            expected = np.quantile(inside, [0.5, 0.25, 0.75])
            np.testing.assert_allclose([got.median[i], got.low[i], got.high[i]], expected, atol=1e-5)
    assert float(got.num_points[-1]) == 0
    assert np.isnan(got.median[-1])
    y[np.argmax((x >= 0.5) & (x < 0.9))] = np.nan
    missing = binned_statistic(jnp.asarray(x), jnp.asarray(y), jnp.asarray(edges))
    np.testing.assert_array_equal(np.isnan(missing.median), [False, False, False, True, False, True])


def test_a_missing_law_gives_nan():
    x = single(np.arange(12))
    line, middle, through = fits(x, x.at[3].set(jnp.nan))
    assert np.all(np.isnan([*line, middle, *through]))


def test_slopes_are_differentiable_in_the_spreads():
    rng = np.random.default_rng(5)
    state, sd, towards = np.exp(rng.normal(size=12)), np.exp(rng.normal(size=12)), rng.normal(size=12)

    def total(s):
        fit = analyses.spread_slope(single(state), s)
        return fit.line.slope + fit.theil_sen + analyses.vee_fit(single(state), s, rate=3.9, noise_sd=0.1).slope

    both = jax.jit(jax.value_and_grad(total))
    ahead, back = (float(both(single(sd + e * towards))[0]) for e in (1e-3, -1e-3))
    assert float(both(single(sd))[1] @ single(towards)) == pytest.approx((ahead - back) / 2e-3, rel=2e-2)
