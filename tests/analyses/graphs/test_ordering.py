"""When the energy has fallen, and how a break moves with size."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from analyses import graphs

CONTEXTS = jnp.array([25.0, 50.0, 100.0, 200.0, 400.0])


def test_the_time_is_read_between_contexts_and_nan_where_nothing_falls():
    steps = jnp.array([[1.0, 1.0, 0.5, 0.5, 0.5], [1.0, 0.9, 0.8, 0.7, 0.6], [1.0, 1.0, 0.99, 1.0, 1.0]])
    found = np.asarray(graphs.energy_time(CONTEXTS, steps))
    assert 95 < found[0] < 100
    assert 350 < found[1] < 400
    assert np.isnan(found[2])


def test_it_does_not_depend_on_scale_or_shape_of_the_batch():
    curve = jnp.array([1.0, 0.9, 0.7, 0.55, 0.5])
    one = graphs.energy_time(CONTEXTS, curve)
    np.testing.assert_allclose(graphs.energy_time(CONTEXTS, jnp.stack((curve, 0.2 + 0.5 * curve))), one, rtol=1e-4)


def test_a_power_law_of_size_is_least_squares_of_logarithms():
    random = np.random.default_rng(0)
    sizes = np.array([9.0, 16, 25, 36, 49])
    breaks = 2.5 * sizes**1.3 * np.exp(0.1 * random.normal(size=5))
    found = graphs.size_power_law(jnp.asarray(sizes), jnp.asarray(breaks))
    line = stats.linregress(np.log(sizes), np.log(breaks))
    assert float(found.exponent) == pytest.approx(line.slope, rel=1e-3)
    reach = stats.t.ppf(0.975, 3) * line.stderr
    assert float(found.high - found.exponent) == pytest.approx(reach, rel=1e-2)
    assert float(found.prefactor) == pytest.approx(np.exp(line.intercept), rel=1e-2)


def test_two_sizes_have_a_slope_and_no_interval():
    found = graphs.size_power_law(jnp.array([9.0, 16.0]), jnp.array([20.0, 60.0]))
    assert float(found.exponent) == pytest.approx(np.log(3) / np.log(16 / 9), rel=1e-4)
    assert np.isnan(found.low)
