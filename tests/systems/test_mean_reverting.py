"""Ornstein-Uhlenbeck: a semigroup, Brownian without reversion, stationary; and the published Euler chain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems import BrownianMotion, CorrelatedGaussian, OrnsteinUhlenbeck

PARAMETERS = st.tuples(st.floats(-0.8, 2), st.floats(0.1, 2), st.floats(-2, 2), st.floats(0.05, 1), st.floats(-3, 3))


def moments(system, x):
    state = jnp.array([x], jnp.float64)
    return float(system.transition_mean(state)), float(system.transition_sd(state))


@settings(deadline=None, max_examples=15)
@given(PARAMETERS)
def test_two_half_intervals_are_one(parameters):
    """The mean of means, and Var X'' = Var E[X'' | X'] + E Var[X'' | X'] with E[X'' | X'] affine in X'."""
    theta, sigma, mean, interval, x = parameters
    with jax.enable_x64(True):
        once, twice = (OrnsteinUhlenbeck(theta, sigma, mean, i) for i in (interval, interval / 2))
        middle, sd = moments(twice, x)
        end, _ = moments(twice, middle)
        slope = moments(twice, middle + 1)[0] - end
        np.testing.assert_allclose(moments(once, x), (end, np.hypot(slope * sd, sd)), rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=15)
@given(sigma=st.floats(0.1, 2), interval=st.floats(0.05, 1), x=st.floats(-3, 3))
def test_without_reversion_it_is_brownian(sigma, interval, x):
    with jax.enable_x64(True):
        brownian = moments(BrownianMotion(0.0, sigma, interval), x)
        for theta in (0.0, 1e-12):
            np.testing.assert_allclose(moments(OrnsteinUhlenbeck(theta, sigma, 0.7, interval), x), brownian, atol=1e-10)


def test_gradient_at_no_reversion_is_the_limit():
    """The variance is sigma^2 (interval - theta interval^2 + ...), whose slope is -sigma^2 interval^2."""

    @jax.jit
    @jax.vmap
    @jax.grad
    def slope(theta):
        return OrnsteinUhlenbeck(theta).transition_sd(jnp.array([1.0], jnp.float64)) ** 2

    with jax.enable_x64(True):
        at_zero, near = slope(jnp.array([0.0, 1e-6]))
    assert np.isfinite(at_zero)
    assert near == pytest.approx(-0.64 * 0.04, rel=1e-3)


def autocovariances(system, lags):
    """Of a path of 65 thousand steps; its memory of ten steps leaves standard errors of 2 % of the variance."""
    path = np.asarray(jax.jit(lambda key: system.sample(key, 2**16))(jax.random.key(5)).observed, np.float64)
    return np.array([(path[: path.size - lag] * path[lag:]).mean() for lag in lags])


@pytest.mark.slow
def test_the_path_is_stationary_with_exponential_memory():
    lags = np.array([0, 1, 5, 10])
    np.testing.assert_allclose(autocovariances(OrnsteinUhlenbeck(), lags), 0.64 * np.exp(-0.1 * lags), atol=0.04)
    # The Euler chain's stationary variance is sigma^2 interval / (1 - 0.9^2).
    np.testing.assert_allclose(autocovariances(CorrelatedGaussian(), lags), 0.128 / 0.19 * 0.9**lags, atol=0.04)


def test_the_published_chain_has_the_published_numbers():
    state = jnp.array([2.0])
    system = CorrelatedGaussian()
    assert system.transition_mean(state) == pytest.approx(1.8)
    assert system.transition_sd(state) == pytest.approx(0.35777, abs=1e-5)
    assert CorrelatedGaussian(drift=0.5).transition_mean(state) == pytest.approx(1.9)
    # The exact process loses a little less and gains a little less: 0.9048 and 0.3406 = sqrt(0.64 (1 - exp(-0.2))).
    exact = OrnsteinUhlenbeck()
    assert exact.transition_mean(state) == pytest.approx(2 * np.exp(-0.1))
    assert exact.transition_sd(state) == pytest.approx(np.sqrt(0.64 * (1 - np.exp(-0.2))))
