"""Student's law on cells against scipy, closed forms, and integrals where scipy underflows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from analyses import student_masses
from analyses.student_masses import StudentT

log_tail = jax.jit(student_masses.log_student_tail)
log_masses = jax.jit(student_masses.student_log_masses)

EDGES = np.linspace(-3.0, 5.0, 41)


def tail(t, dof, dtype=np.float64):
    with jax.enable_x64(True):
        t = np.asarray(t, dtype)
        return np.asarray(log_tail(jnp.asarray(t), jnp.full(t.shape, dof, dtype)))


def masses(location, scale, dof, edges=EDGES):
    with jax.enable_x64(True):
        return np.asarray(log_masses(StudentT(*map(jnp.float64, (location, scale, dof))), jnp.asarray(edges)))


@pytest.mark.parametrize(("dtype", "accuracy"), [(np.float64, 1e-12), (np.float32, 5e-5)])
def test_tails_are_those_of_scipy(dtype, accuracy):
    t = np.array([0, 1e-3, 0.1, 0.7, 0.999, 1.0, 2, 5, 12, 30])
    for dof in (1.0, 2.0, 7.0, 401.0):
        np.testing.assert_allclose(tail(t, dof, dtype), stats.t.logsf(t, dof), atol=accuracy, rtol=accuracy)


def test_far_tails_have_their_closed_forms():
    """One degree of freedom: arctan(1/t)/π. Two: 1/[(2 + t²) + t√(2 + t²)]."""
    t = np.geomspace(1, 1e18, 10)
    root = np.sqrt(2 + t**2)
    np.testing.assert_allclose(tail(t, 1.0), np.log(np.arctan(1 / t) / np.pi), rtol=1e-13)
    np.testing.assert_allclose(tail(t, 2.0), -np.log(root) - np.log(root + t), rtol=1e-13)


@pytest.mark.parametrize(("dof", "t"), [(400.0, 130.0), (400.0, 3000.0), (5000.0, 60.0)])
def test_a_tail_that_underflows_is_the_integral_of_its_density(dof, t):
    density, unit = stats.t.logpdf(t, dof), (dof + t**2) / ((dof + 1) * t)
    rest, _ = integrate.quad(lambda u: np.exp(stats.t.logpdf(t + u * unit, dof) - density), 0, np.inf)
    assert stats.t.sf(t, dof) < 1e-300
    np.testing.assert_allclose(tail(np.full(10, t), dof)[0], density + np.log(rest * unit), rtol=1e-9)


def test_masses_are_differences_of_the_distribution_function():
    for location, scale, dof in ((0.3, 0.5, 1.0), (2.0, 0.05, 9.0), (1.0, 40.0, 3.0)):
        expected = np.diff(stats.t.cdf(EDGES, dof, location, scale))
        np.testing.assert_allclose(np.exp(masses(location, scale, dof)), expected / expected.sum(), atol=1e-14)


def test_far_cells_keep_their_ratio():
    """A Gaussian difference would be 0/0 here; the cells nearest to the law dominate as (d/(d + w))^ν."""
    log_mass = masses(-1000.0, 0.1, 50.0)
    survival = tail((EDGES + 1000) / 0.1, 50.0)
    expected = survival[:-1] + np.log1p(-np.exp(np.diff(survival)))
    np.testing.assert_allclose(np.diff(log_mass), np.diff(expected), atol=1e-10)
    np.testing.assert_allclose(masses(1000.0, 0.1, 50.0)[::-1], masses(2 - 1000.0, 0.1, 50.0), rtol=1e-10)


@settings(deadline=None, max_examples=50)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.floats(1, 3000))
def test_a_law_of_any_place_and_width_has_finite_masses_that_sum_to_one(location, scale, dof):
    law = StudentT(*map(jnp.float32, (location, scale, dof)))
    log_mass = log_masses(law, jnp.asarray(EDGES, jnp.float32))
    assert np.all(np.isfinite(log_mass))
    np.testing.assert_allclose(np.sum(np.exp(np.asarray(log_mass, np.float64))), 1, rtol=0.02)  # ln m may be −80 000


def test_cells_below_minus_infinity_are_empty():
    edges = np.concatenate([[-np.inf, -np.inf], EDGES[2:]])
    log_mass = masses(0.3, 0.5, 4.0, edges)
    assert log_mass[0] == -np.inf
    expected = np.diff(stats.t.cdf(edges[1:], 4.0, 0.3, 0.5))
    np.testing.assert_allclose(np.exp(log_mass[1:]), expected / expected.sum(), atol=1e-14)
