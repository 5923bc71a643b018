"""The interval of a mean against scipy, and its coverage."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from analyses import mean_interval


def test_the_interval_is_the_textbook_one():
    values = np.array([1.0, 2.5, 0.3, 4.0])
    with jax.enable_x64(True):
        got = mean_interval(jnp.asarray(values), coverage=0.9)
    expected = stats.t.interval(0.9, 3, values.mean(), stats.sem(values))
    np.testing.assert_allclose([got.low, got.high], expected, rtol=1e-6)


def test_three_values_are_covered_as_promised():
    """At n = 3 a Gaussian 1.96 would cover 82 % and the percentile bootstrap less."""
    draws = jnp.asarray(np.random.default_rng(0).normal(2.0, 1.5, (4000, 3)), jnp.float32)
    band = jax.jit(jax.vmap(mean_interval))(draws)
    covered = float(np.mean((np.asarray(band.low) < 2) & (np.asarray(band.high) > 2)))
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 4000)


def test_one_value_has_no_interval_and_bad_coverage_is_refused():
    alone = mean_interval(jnp.ones(1))
    assert float(alone.centre) == 1
    assert np.isnan(alone.low)
    assert np.isnan(alone.high)
    with pytest.raises(ValueError, match=r"got coverage 1.5; expected .*"):
        mean_interval(jnp.ones(3), coverage=1.5)
