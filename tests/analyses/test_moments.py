import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

import analyses
from analyses import safe_log

gaussian_log_masses = jax.jit(analyses.gaussian_log_masses)
moments = jax.jit(analyses.moments, static_argnames="within_bin")
negative_log_likelihood = jax.jit(analyses.negative_log_likelihood, static_argnames="density")
quantile = jax.jit(analyses.quantile)

RAGGED = jnp.array([0.0, 1.0, 1.1, 1.2, 2.0, 5.0])


def sampled(log_mass, edges, num=100_001):
    """The density's own quantile function on a fine grid of levels: an independent route to its moments."""
    levels = (np.arange(num) + 0.5) / num
    cumulative = np.concatenate([[0], np.cumsum(np.exp(np.asarray(log_mass, np.float64)))])
    return np.interp(levels, cumulative / cumulative[-1], np.asarray(edges, np.float64))


def test_moments_of_a_fine_gaussian():
    edges = jnp.linspace(-10.0, 14.0, 2401)
    got = moments(gaussian_log_masses(2.0, 0.7, edges), edges)
    np.testing.assert_allclose(got[:4], [2.0, 0.49, 0.0, 3.0], rtol=1e-4, atol=1e-4)
    assert float(got.mode) == pytest.approx(2.0, abs=0.011)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0.01, 1), min_size=5, max_size=5))
def test_moments_are_those_of_the_piecewise_constant_density(weights):
    log_mass = jnp.log(jnp.asarray(weights) / sum(weights))
    x = sampled(log_mass, RAGGED)
    z = (x - x.mean()) / x.std()
    expected = [x.mean(), x.var(), (z**3).mean(), (z**4).mean()]
    np.testing.assert_allclose(moments(log_mass, RAGGED)[:4], expected, rtol=1e-3, atol=1e-3)


def test_within_bin_variance_is_a_twelfth_of_the_squared_width():
    one_cell = safe_log(jnp.array([0.0, 0.0, 0.0, 0.0, 1.0]))
    full, centred = moments(one_cell, RAGGED), moments(one_cell, RAGGED, within_bin=False)
    np.testing.assert_allclose(full[:5], [3.5, 9 / 12, 0, 1.8, 3.5], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(centred[:2], [3.5, 0])
    assert np.isnan(centred.skewness)
    assert np.isnan(centred.kurtosis)


def test_the_mode_is_of_the_density_not_of_the_mass():
    log_mass = jnp.log(jnp.array([0.2, 0.1, 0.05, 0.05, 0.6]))
    assert float(moments(log_mass, RAGGED).mode) == pytest.approx(1.05)


def test_moments_ignore_padded_cells_and_keep_nan_rows_nan():
    log_mass = jnp.log(jnp.array([0.2, 0.1, 0.05, 0.05, 0.6]))
    padded = moments(jnp.append(log_mass, -jnp.inf), jnp.append(RAGGED, RAGGED[-1]))
    np.testing.assert_allclose(padded, moments(log_mass, RAGGED), rtol=1e-6)
    assert np.all(np.isnan(moments(jnp.full(5, jnp.nan), RAGGED)))


def test_moments_and_quantiles_have_the_right_gradients():
    with jax.enable_x64(True):
        edges = jnp.array([0.0, 1.0, 1.5, 3.0, 3.5])

        def summary(logits):
            log_mass = jax.nn.log_softmax(logits)
            return *moments(log_mass, edges)[:4], quantile(log_mass, edges, 0.37)

        check_grads(jax.jit(summary), (jnp.array([0.1, 0.5, -0.3, 0.2]),), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)
    one_cell = safe_log(jnp.array([0.0, 1.0, 0.0]))
    even = jnp.arange(4.0)
    gradient = jax.grad(lambda x: sum(moments(x, even, within_bin=False)[:2]))(one_cell)
    assert np.all(np.isfinite(gradient))


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=5, max_size=5), st.floats(0, 1))
def test_quantiles_invert_the_piecewise_linear_distribution(weights, level):
    with jax.enable_x64(True):
        edges = jnp.asarray(RAGGED, jnp.float64)
        mass = jnp.asarray(weights) / sum(weights)
        x = float(quantile(jnp.log(mass), edges, level))
        cumulative = np.concatenate([[0], np.cumsum(np.asarray(mass))])
        assert np.interp(x, np.asarray(edges), cumulative) == pytest.approx(level, abs=1e-12)


def test_quantiles_at_the_ends_and_across_empty_cells():
    log_mass = safe_log(jnp.array([0.0, 0.5, 0.0, 0.5, 0.0]))
    levels = jnp.array([0.0, 0.25, 0.5, 0.75, 1.0])
    got = jax.vmap(quantile, in_axes=(None, None, 0))(log_mass, jnp.arange(6.0), levels)
    np.testing.assert_allclose(got, [1, 1.5, 2, 3.5, 4])
    for illegal in (-0.1, 1.1):
        assert np.isnan(quantile(log_mass, jnp.arange(6.0), illegal))
    assert np.isnan(quantile(jnp.full(5, jnp.nan), jnp.arange(6.0), 0.5))


def test_the_likelihood_is_of_the_density_or_of_the_cell():
    log_mass = jnp.log(jnp.array([0.2, 0.1, 0.05, 0.05, 0.6]))
    cell = jnp.asarray(4)
    assert float(negative_log_likelihood(log_mass, RAGGED, cell)) == pytest.approx(-np.log(0.2), rel=1e-6)
    mass = negative_log_likelihood(log_mass, RAGGED, cell, density=False)
    assert float(mass) == pytest.approx(-np.log(0.6), rel=1e-6)
    for illegal in (-1, 5):
        assert np.isnan(negative_log_likelihood(log_mass, RAGGED, jnp.asarray(illegal)))


def test_published_moments_and_likelihoods_are_reproduced(reference):
    file = reference("noisy_logistic_map")
    width, centre = file["bin_width"], file["bin_center"]
    edges = jnp.asarray(np.append(centre - width / 2, centre[-1] + width[-1] / 2), jnp.float32)
    log_mass = jnp.log(jnp.asarray(file["bin_prob"][2], jnp.float32))
    got = jax.jit(jax.vmap(lambda row: moments(row, edges, within_bin=False)))(log_mass)
    np.testing.assert_allclose(got.mean, file["pred_mean"][2], rtol=1e-4)
    np.testing.assert_allclose(jnp.sqrt(got.variance), file["pred_sigma"][2], rtol=1e-3)
    np.testing.assert_allclose(got.kurtosis, file["pred_kurtosis"][2], rtol=5e-3)
    observed = jnp.asarray(file["digits"][2], jnp.int32)
    nll = jax.vmap(lambda row, cell: negative_log_likelihood(row, edges, cell, density=False))(log_mass, observed)
    np.testing.assert_allclose(nll, file["nll"][2], atol=1e-4)
