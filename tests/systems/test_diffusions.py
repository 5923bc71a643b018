"""Diffusions: the stated laws against textbook distributions and an independent solver."""

import functools

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from systems import BrownianMotion, GeometricBrownianMotion, PublishedGeometricBrownianMotion
from systems.integrate import euler_maruyama


def test_brownian_increments_add_up():
    system = BrownianMotion(drift=0.3, sigma=0.8, interval=0.2, start=-1.0)
    path = np.asarray(jax.jit(lambda key: system.sample(key, 40_001))(jax.random.key(3)).observed, np.float64)
    assert path[0] == -1
    for stride in (1, 4, 16):
        increments = np.diff(path[::stride])
        variance, mean = 0.64 * 0.2 * stride, 0.3 * 0.2 * stride
        standard_errors = np.sqrt(2 / len(increments)), np.sqrt(variance / len(increments))
        assert abs(increments.var() / variance - 1) < 4 * standard_errors[0]
        assert abs(increments.mean() - mean) < 4 * standard_errors[1]


@settings(deadline=None, max_examples=30)
@given(
    drift=st.floats(-0.5, 0.5),
    sigma=st.floats(0.05, 1.0),
    interval=st.floats(0.01, 1.0),
    x=st.floats(0.1, 50.0),
    quantile=st.floats(0.01, 0.99),
)
def test_geometric_law_is_log_normal(drift, sigma, interval, x, quantile):
    system = GeometricBrownianMotion(drift=drift, sigma=sigma, interval=interval)
    law = stats.lognorm(s=sigma * interval**0.5, scale=x * np.exp((drift - sigma**2 / 2) * interval))
    with jax.enable_x64(True):
        state = jnp.array([x])
        np.testing.assert_allclose(system.transition_cdf(state, float(law.ppf(quantile))), quantile, rtol=1e-9)
        np.testing.assert_allclose(system.transition_mean(state), law.mean(), rtol=1e-10)
        np.testing.assert_allclose(system.transition_sd(state), law.std(), rtol=1e-7)
        assert system.transition_cdf(state, 0.0) == system.transition_cdf(state, -1.0) == 0


@pytest.mark.slow
def test_geometric_law_is_that_of_the_ito_equation():
    """The equation as written, dX = a X dt + sigma X dW, by a scheme that converges to Ito solutions."""
    a, sigma, interval, x = 0.4, 0.9, 0.5, 3.0
    system = GeometricBrownianMotion(drift=a, sigma=sigma, interval=interval)

    def solve(key):
        brownian = diffrax.UnsafeBrownianPath(shape=(), key=key)
        terms = diffrax.MultiTerm(
            diffrax.ODETerm(lambda t, y, args: a * y),
            diffrax.ControlTerm(lambda t, y, args: sigma * y, brownian),
        )
        solver, adjoint = diffrax.ItoMilstein(), diffrax.DirectAdjoint()
        return diffrax.diffeqsolve(
            terms, solver, 0.0, interval, interval / 64, jnp.array([x]), adjoint=adjoint, max_steps=80
        ).ys[0, 0]

    following = jax.jit(jax.vmap(solve))(jax.random.split(jax.random.key(5), 8192))
    u = jax.vmap(lambda q: system.transition_cdf(jnp.array([x]), q))(following)
    assert stats.kstest(np.asarray(u), "uniform").pvalue > 0.01


def test_drift_is_multiplied_in_the_textbook_and_added_in_the_published_system():
    for x in (2.0, 10.0, 30.0):
        state = jnp.array([x])
        textbook = GeometricBrownianMotion().transition_mean(state)
        np.testing.assert_allclose(textbook / x, np.exp(0.036), rtol=1e-6)
        published = PublishedGeometricBrownianMotion()
        np.testing.assert_allclose(published.transition_mean(state) - x, 0.036, rtol=1e-4)
        np.testing.assert_allclose(published.transition_sd(state), 0.26833 * x, rtol=1e-4)


def test_published_law_at_zero_is_the_point_it_tends_to():
    system, origin = PublishedGeometricBrownianMotion(), jnp.array([0.0])
    assert system.transition_cdf(origin, 0.0359) == 0
    assert system.transition_cdf(origin, 0.0361) == 1
    gradient = jax.grad(lambda x: system.transition_cdf(jnp.array([0.0]), x))(0.1)
    assert gradient == 0
    below = system.transition_cdf(jnp.array([-1.0]), -1.0 + 0.036)
    assert below == pytest.approx(0.5, abs=1e-5)


def test_substeps_of_constant_coefficients_add_up_to_one_step():
    """...in law, from noises that are fresh: W over five substeps is W over one."""

    @jax.jit
    @jax.vmap
    def moved(key):
        x = jnp.array([1.0])
        return euler_maruyama(lambda x: 0.3 + 0 * x, lambda x: 0.8 + 0 * x, key, x, 0.5, num_substeps=5)[0]

    law = stats.norm(1 + 0.3 * 0.5, 0.8 * np.sqrt(0.5))
    assert stats.kstest(np.asarray(moved(jax.random.split(jax.random.key(4), 4096))), law.cdf).pvalue > 0.01


def test_without_noise_substeps_are_those_of_euler():
    x = jnp.array([1.0])
    step = functools.partial(euler_maruyama, lambda x: -x, lambda x: 0 * x, jax.random.key(0), x, 0.6)
    assert jax.jit(lambda: step(num_substeps=3)[0])() == pytest.approx(0.8**3, rel=1e-6)
