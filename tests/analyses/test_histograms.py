import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.scipy.stats import norm
from jax.test_util import check_grads
from scipy import stats

import analyses
from analyses import bhattacharyya_distance, bin_masses, log_sum_exp, point_mass, safe_log, safe_sqrt

coarsen = jax.jit(analyses.coarsen, static_argnums=1)
gaussian_log_masses = jax.jit(analyses.gaussian_log_masses)

EDGES = jnp.linspace(0.0, 10.0, 101)


@jax.jit
def gaussian_bins(mean, sd, edges):
    return bin_masses(lambda x: norm.cdf(x, mean, sd), edges)


@settings(deadline=None, max_examples=30)
@given(st.floats(-1, 11), st.floats(0.3, 4))
def test_bin_masses_are_differences_of_the_cdf_given_the_grid(mean, sd):
    with jax.enable_x64(True):
        edges = jnp.linspace(0.0, 10.0, 101)
        masses = gaussian_bins(mean, sd, edges)
        inside = stats.norm.cdf(10, mean, sd) - stats.norm.cdf(0, mean, sd)
        np.testing.assert_allclose(jnp.sum(masses.mass), 1, rtol=1e-12)
        assert float(masses.outside) == pytest.approx(1 - inside, abs=1e-12)
        conditional = stats.norm.cdf(7, mean, sd) - stats.norm.cdf(2, mean, sd)
        np.testing.assert_allclose(jnp.sum(masses.mass[20:70]), conditional / inside, rtol=1e-8)


def test_a_law_off_the_grid_has_no_restriction_to_it():
    for masses in (
        bin_masses(lambda x: (x > 20).astype(x.dtype), EDGES),
        point_mass(jnp.asarray(10.0), EDGES),
    ):
        assert np.all(np.isnan(masses.mass))
        assert float(masses.outside) == 1


@settings(deadline=None)
@given(st.integers(0, 99), st.floats(0.001, 0.999))
def test_a_point_mass_lies_in_its_cell_and_equals_the_step_cdf(code, inside):
    value = jnp.asarray((code + inside) / 10, EDGES.dtype)
    masses = point_mass(value, EDGES)
    assert int(jnp.argmax(masses.mass)) == code
    assert float(jnp.sum(masses.mass)) == 1
    assert float(masses.outside) == 0
    np.testing.assert_array_equal(masses.mass, bin_masses(lambda x: (x > value).astype(x.dtype), EDGES).mass)


def test_a_cell_contains_its_left_edge_only():
    assert int(jnp.argmax(point_mass(EDGES[37], EDGES).mass)) == 37
    assert int(jnp.argmax(point_mass(EDGES[0], EDGES).mass)) == 0


@pytest.mark.parametrize("mean", [-60.0, 3.0, 5.0, 80.0])
@pytest.mark.parametrize("sd", [0.05, 0.4, 30.0])
def test_gaussian_log_masses_are_exact_in_both_tails(mean, sd):
    got = np.asarray(gaussian_log_masses(mean, sd, EDGES))
    a, b = (np.asarray(EDGES, np.float64)[:-1] - mean) / sd, (np.asarray(EDGES, np.float64)[1:] - mean) / sd
    flip = a > 0
    outer, inner = stats.norm.logcdf(np.where(flip, -b, a)), stats.norm.logcdf(np.where(flip, -a, b))
    expected = inner + np.log(-np.expm1(outer - inner))
    expected -= np.logaddexp.reduce(expected)
    assert np.all(np.isfinite(got))
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-3 if sd == 30 else 1e-4)
    assert np.logaddexp.reduce(got) == pytest.approx(0, abs=1e-5)


def test_the_law_is_differentiable_in_the_parameters():
    with jax.enable_x64(True):
        edges = jnp.linspace(0.0, 10.0, 21)
        truth = bin_masses(lambda x: norm.cdf(x, 4.0, 1.0), edges).mass

        def loss(mean, sd):
            return bhattacharyya_distance(gaussian_log_masses(mean, sd, edges), truth)

        def truth_loss(mean, sd):
            masses = bin_masses(lambda x: norm.cdf(x, mean, sd), edges).mass
            return bhattacharyya_distance(safe_log(truth), masses)

        for function in (loss, truth_loss):
            check_grads(
                jax.jit(function), (jnp.asarray(5.0), jnp.asarray(0.8)), order=1, modes=["rev"], atol=1e-5, rtol=1e-5
            )


@pytest.mark.parametrize("factor", [1, 10, 100])
def test_coarse_laws_are_marginals_and_coarsening_composes(factor):
    log_mass = jax.nn.log_softmax(3 * jax.random.normal(jax.random.key(factor), (1000,)))
    marginal = np.asarray(jnp.exp(log_mass), np.float64).reshape(-1, factor).sum(1)
    np.testing.assert_allclose(np.exp(coarsen(log_mass, factor)), marginal, rtol=2e-5)
    twice = coarsen(coarsen(log_mass, factor), 10)
    np.testing.assert_allclose(twice, coarsen(log_mass, 10 * factor), rtol=1e-5, atol=1e-5)


def test_coarsening_never_increases_a_distance():
    truth = bin_masses(lambda x: norm.cdf(x, 5.0, 0.2), EDGES).mass
    log_mass = gaussian_log_masses(5.4, 0.3, EDGES)
    coarse = bhattacharyya_distance(coarsen(log_mass, 10), jnp.exp(coarsen(safe_log(truth), 10)))
    assert float(coarse) < float(bhattacharyya_distance(log_mass, truth))


@pytest.mark.parametrize("factor", [0, -2, 3])
def test_coarsening_refuses_a_factor_that_does_not_divide(factor):
    with pytest.raises(ValueError, match=r"got .*expected .*; use"):
        coarsen(jnp.zeros(100), factor)


def test_log_space_functions_have_finite_gradients_at_zero_mass():
    dead = jnp.full(3, -jnp.inf)
    assert float(log_sum_exp(dead)) == -np.inf
    np.testing.assert_array_equal(jax.grad(log_sum_exp)(dead), np.zeros(3))
    np.testing.assert_array_equal(jax.grad(lambda x: coarsen(x, 3)[0])(dead), np.zeros(3))
    for function in (safe_log, safe_sqrt):
        assert float(jax.grad(function)(jnp.asarray(0.0))) == 0
    np.testing.assert_allclose(log_sum_exp(jnp.array([1000.0, 1000.0])), 1000 + np.log(2), rtol=1e-6)
