"""Scores against scipy and numpy on the chosen rows alone; every one with rows that must not be read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analyses.probes import scores
from analyses.probes.scores import (
    calibration_slope,
    mean_absolute_error,
    pearson,
    r_squared,
    spearman,
)

SCORES = {
    r_squared: lambda t, p: 1 - np.sum((t - p) ** 2) / np.sum((t - t.mean()) ** 2),
    pearson: lambda t, p: stats.pearsonr(t, p)[0],
    spearman: lambda t, p: stats.spearmanr(t, p)[0],
    calibration_slope: lambda t, p: np.polyfit(p, t, 1)[0],
    mean_absolute_error: lambda t, p: np.mean(np.abs(t - p)),
}
rank, unit_columns = jax.jit(scores.rank), jax.jit(scores.unit_columns)
jitted = {score: jax.jit(score) for score in SCORES}
each_score = pytest.mark.parametrize("score", SCORES, ids=lambda score: score.__name__)


def data(seed=0, rows=40):
    """Two targets with ties, far from 0 as years are; predictions pulled towards the mean."""
    rng = np.random.default_rng(seed)
    true = np.round(1900 + 50 * rng.normal(size=(rows, 2)))
    predicted = np.round(1900 + 0.5 * (true - 1900) + 20 * rng.normal(size=(rows, 2)), 1)
    return true, predicted


@each_score
@pytest.mark.parametrize("x64", [False, True])
def test_a_score_of_all_rows_is_the_textbook_one(score, x64):
    true, predicted = data()
    with jax.enable_x64(x64):
        found = jitted[score](jnp.asarray(true, float), jnp.asarray(predicted, float))
        assert found.dtype == (jnp.float64 if x64 else jnp.float32)
    expected = [SCORES[score](true[:, k], predicted[:, k]) for k in range(2)]
    np.testing.assert_allclose(found, expected, rtol=1e-12 if x64 else 2e-5)


@each_score
def test_groups_share_a_program_and_score_their_own_rows(score):
    """Rows outside are NaN in both arguments. An empty group is NaN."""
    true, predicted = data(1)
    group = np.arange(40) % 3
    true[group == 2], predicted[group == 2] = np.nan, np.nan
    weight = jnp.asarray(np.stack([group == 0, group == 1, group == 3]))
    arrays = jnp.asarray(true, jnp.float32), jnp.asarray(predicted, jnp.float32)
    found = jax.vmap(jitted[score], in_axes=(None, None, 0))(*arrays, weight)
    for g in range(2):
        expected = [SCORES[score](true[group == g, k], predicted[group == g, k]) for k in range(2)]
        np.testing.assert_allclose(found[g], expected, rtol=2e-5)
    assert np.isnan(found[2]).all()
    assert np.isnan(jitted[score](*arrays)).all()  # chosen NaN are not passed over


@each_score
def test_a_weight_of_two_is_a_row_twice(score):
    true, predicted = (jnp.asarray(x, jnp.float32) for x in data(2, 12))
    times = np.array([0, 1, 2, 3] * 3)
    twice = np.repeat(np.arange(12), times)
    np.testing.assert_allclose(
        jitted[score](true, predicted, jnp.asarray(times, jnp.float32)),
        jitted[score](true[twice], predicted[twice]),
        rtol=1e-5,
    )


@each_score
def test_a_constant_truth_cannot_be_scored_but_by_its_error(score):
    """0.1 is no binary fraction: the variance of its copies, as computed, is not 0."""
    true, predicted = jnp.full((37, 1), 0.1), jax.random.normal(jax.random.key(0), (37, 1))
    assert np.isnan(jitted[score](true, predicted)).all() == (score is not mean_absolute_error)
    if score not in (mean_absolute_error, r_squared):
        assert np.isnan(jitted[score](predicted, true)).all()


def test_the_limits_of_the_scores():
    true, _ = (jnp.asarray(x, jnp.float32) for x in data(3))
    pulled = jnp.mean(true, axis=0) + 0.25 * (true - jnp.mean(true, axis=0))
    np.testing.assert_allclose(jitted[r_squared](true, true), 1)
    np.testing.assert_allclose(jitted[r_squared](true, jnp.mean(true, axis=0) + 0 * true), 0, atol=1e-6)
    np.testing.assert_allclose(jitted[pearson](true, pulled), 1, rtol=1e-5)
    np.testing.assert_allclose(jitted[spearman](true, jnp.exp(-true / 100)), -1, rtol=1e-5)
    np.testing.assert_allclose(jitted[calibration_slope](true, pulled), 4, rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=9, max_size=9), st.lists(st.booleans(), min_size=9, max_size=9))
def test_ranks_are_those_of_scipy_among_the_chosen(values, chosen):
    x, chosen = np.array(values, np.float32), np.array(chosen)
    np.testing.assert_array_equal(rank(jnp.asarray(x)), stats.rankdata(x))
    found = np.asarray(rank(jnp.asarray(x), jnp.asarray(chosen)))
    np.testing.assert_array_equal(found[chosen], stats.rankdata(x[chosen]))
    for i in np.flatnonzero(~chosen):
        below, alike = np.sum(x[chosen] < x[i]), np.sum(x[chosen] == x[i])
        assert found[i] == below + (alike + 1) / 2


def test_nan_has_no_rank_and_moves_no_other():
    np.testing.assert_array_equal(rank(jnp.array([3.0, jnp.nan, 1.0])), [2, np.nan, 1])
    np.testing.assert_array_equal(rank(jnp.array([0.0, -0.0, 1.0])), [1.5, 1.5, 3])


def test_dot_products_of_unit_columns_are_correlations():
    x = jax.random.normal(jax.random.key(4), (30, 4)).at[:, 3].set(0.1)
    weight = jnp.arange(30) % 2 * 1.0
    unit = unit_columns(x, weight)
    chosen = np.asarray(x[1::2, :3])
    np.testing.assert_allclose((unit.T @ unit)[:3, :3], np.corrcoef(chosen.T), atol=1e-5)
    assert not unit[:, 3].any()
    assert not unit[::2].any()
