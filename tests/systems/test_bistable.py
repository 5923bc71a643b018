"""The double well: its quadrature against a dense one in numpy, closed forms, and what its paths do."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params
from scipy import stats

from systems import DoubleWell

STATES = np.array([-1.8, -1.2, 0.0, 0.05, 1.0, 1.7])


@functools.partial(jax.jit, static_argnums=0)
def law(num_substeps, parameters, states, z):
    """Quantiles at ``z`` standard deviations from the mean, and the law there: [state, z]."""
    system = DoubleWell(*parameters, num_substeps=num_substeps)

    def one(x):
        state = x[None]
        q = system.transition_mean(state) + system.transition_sd(state) * z
        return q, jax.vmap(lambda q: system.transition_cdf(state, q))(q)

    return jax.vmap(one)(states)


def dense(num_substeps, a, sigma, interval, x, q, nodes=1501, reach=7.0):
    """Chapman-Kolmogorov on one grid for all substeps; no state, no step of which reaches its edge."""
    h = interval / num_substeps
    s = sigma * np.sqrt(h)

    def m(y):
        return y + h * a * (y - y**3)

    if num_substeps == 1:
        return stats.norm.cdf((q - m(x)) / s)
    y, width = np.linspace(-reach, reach, nodes, retstep=True)
    kernel = np.exp(-(((y[:, None] - m(y)) / s) ** 2) / 2) / (s * np.sqrt(2 * np.pi))
    density = stats.norm.pdf(y, m(x), s)
    for _ in range(num_substeps - 2):
        density = kernel @ density * width
    return stats.norm.cdf((q[:, None] - m(y)) / s) @ density * width


@pytest.mark.parametrize("num_substeps", [1, 2, 4, pytest.param(16, marks=pytest.mark.slow)])
def test_law_is_that_of_a_dense_quadrature(num_substeps):
    for parameters in ((1.0, 0.5, 0.5), (1.0, 0.3, 0.5), (0.5, 0.4, 1.0)):
        reach = np.sqrt((2 * num_substeps / (parameters[0] * parameters[2]) + 2) / 3)
        states = np.minimum(reach, 3) * np.linspace(-1, 1, 6)
        with jax.enable_x64(True):
            q, cdf = law(num_substeps, parameters, jnp.asarray(states), jnp.linspace(-5, 5, 9))
        expected = [dense(num_substeps, *parameters, x, at) for x, at in zip(states, np.asarray(q), strict=True)]
        np.testing.assert_allclose(cdf, expected, atol=1e-8)


def test_law_in_float32_is_symmetric_between_the_wells_and_close_to_float64():
    with jax.enable_x64(True):
        q, wide = law(4, (1.0, 0.5, 0.5), jnp.asarray(STATES), jnp.linspace(-5, 5, 9))
    mirrored, cdf = law(
        4, (1.0, 0.5, 0.5), jnp.asarray(np.append(STATES, -STATES), jnp.float32), jnp.linspace(-5, 5, 9)
    )
    np.testing.assert_allclose(mirrored[: STATES.size], q, atol=1e-4)
    np.testing.assert_allclose(cdf[: STATES.size], wide, atol=1e-4)
    np.testing.assert_allclose(cdf[: STATES.size], 1 - cdf[STATES.size :, ::-1], atol=1e-5)


def test_many_quantiles_carry_the_density_once():
    """No array of the vmapped law is as large as a kernel per quantile."""
    system, quantiles = DoubleWell(), jax.ShapeDtypeStruct((1000,), jnp.float32)
    many = jax.make_jaxpr(jax.vmap(lambda q: system.transition_cdf(jnp.ones(1), q)))(quantiles)

    def largest(jaxpr):
        inner = [largest(sub) for equation in jaxpr.eqns for sub in jaxprs_in_params(equation.params)]
        return max([v.aval.size for equation in jaxpr.eqns for v in equation.outvars] + inner, default=0)

    assert largest(many.jaxpr) < 1000 * 100


@pytest.mark.slow
def test_gradient_of_the_law_is_that_of_differences():
    def cdf(x, sigma):
        return DoubleWell(sigma=sigma).transition_cdf(jnp.stack([x]), 0.2)

    with jax.enable_x64(True):
        slopes = jax.jit(jax.grad(cdf, (0, 1)))(0.1, 0.5)
        both = jax.jit(jax.vmap(cdf))(0.1 + 1e-5 * jnp.array([1, -1, 0, 0]), 0.5 + 1e-5 * jnp.array([0, 0, 1, -1]))
        both = np.asarray(both)
    np.testing.assert_allclose(slopes, [(both[0] - both[1]) / 2e-5, (both[2] - both[3]) / 2e-5], rtol=1e-6)


@pytest.mark.slow
def test_paths_of_400_steps_visit_both_wells():
    """...nearly always: about one crossing in 75 steps, so that 1 in 200 paths stays."""
    paths = jax.jit(jax.vmap(lambda key: DoubleWell().sample(key, 400).observed))(
        jax.random.split(jax.random.key(0), 32)
    )
    well = np.sign(np.asarray(paths)) * (np.abs(paths) > 0.6)
    assert ((well.min(axis=1) == -1) & (well.max(axis=1) == 1)).mean() > 0.9
    crossings = [np.count_nonzero(np.diff(w[w != 0])) for w in well]
    assert 3 < np.mean(crossings) < 15
    # The wells hold it most of the time: it is not a walk.
    assert (well != 0).mean() > 0.6


def test_refuses_no_substep():
    with pytest.raises(ValueError, match=r"Got num_substeps=0\. Expected at least 1 Euler step"):
        DoubleWell.__check_init__(SimpleNamespace(num_substeps=0))
