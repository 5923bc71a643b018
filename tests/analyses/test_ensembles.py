"""Scores of ensembles: against their definitions, closed forms, and a forecast that is right or is not."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from analyses.ensembles import energy_score, ensemble_crps, rollout_scores

numbers = st.floats(-10, 10, width=32)
crps = jax.jit(ensemble_crps, static_argnames="fair")


@pytest.fixture(scope="module")
def gaussian() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2000, 6))


def test_equals_the_integral_over_the_staircase() -> None:
    x, y = np.array([0.3, -1.0, 2.5, 0.3, 0.9]), 0.7
    grid = np.linspace(-3, 4, 700_001)
    stairs = np.searchsorted(np.sort(x), grid, side="right") / len(x)
    exact = integrate.trapezoid((stairs - (grid >= y)) ** 2, grid)
    np.testing.assert_allclose(ensemble_crps(jnp.asarray(x), y, fair=False), exact, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.lists(numbers, min_size=5, max_size=5), numbers)
def test_equals_its_formula_and_the_energy_score_in_one_dimension(members: list[float], truth: float) -> None:
    x = np.array(members)
    for fair, pairs in ((True, 20), (False, 25)):
        expected = np.abs(x - truth).mean() - np.abs(x[:, None] - x).sum() / (2 * pairs)
        found = crps(jnp.asarray(x, jnp.float32), jnp.float32(truth), fair=fair)
        np.testing.assert_allclose(found, expected, atol=2e-5)
        vector = energy_score(jnp.asarray(x, jnp.float32)[:, None], jnp.float32(truth)[None], fair=fair)
        np.testing.assert_allclose(vector, found, atol=2e-5)


def test_is_the_absolute_error_of_a_single_forecast() -> None:
    assert float(ensemble_crps(jnp.array([2.0]), 5.0, fair=False)) == 3.0
    assert float(energy_score(jnp.array([[0.0, 0.0]]), jnp.array([3.0, 4.0]), fair=False)) == 5.0
    for call in (lambda: ensemble_crps(jnp.array([2.0]), 5.0), lambda: energy_score(jnp.ones((1, 2)), jnp.ones(2))):
        with pytest.raises(ValueError, match="at least 2"):
            call()


def test_is_that_of_the_gaussian_that_the_members_are_drawn_from(gaussian: np.ndarray) -> None:
    """The fair score of 12 000 members in ensembles of 3, which the unfair one overstates by a third of the spread."""
    y = 0.4
    exact = y * (2 * stats.norm.cdf(y) - 1) + 2 * stats.norm.pdf(y) - np.pi**-0.5
    small = jnp.asarray(gaussian.reshape(-1, 3), jnp.float32)
    fair, own = (jax.vmap(lambda x, f=f: ensemble_crps(x, y, fair=f))(small) for f in (True, False))
    error = float(jnp.std(fair)) / len(small) ** 0.5
    assert abs(float(jnp.mean(fair)) - exact) < 3 * error
    np.testing.assert_allclose(jnp.mean(own) - jnp.mean(fair), np.pi**-0.5 / 3, atol=0.02)


def test_the_energy_score_sees_how_channels_go_together() -> None:
    """Right marginals, wrong correlation: CRPS cannot tell, the energy score can."""
    rng = np.random.default_rng(1)
    cov = np.array([[1, 0.95], [0.95, 1]])
    truths = rng.multivariate_normal([0, 0], cov, 400)
    right = jnp.asarray(rng.multivariate_normal([0, 0], cov, 300), jnp.float32)
    wrong = right * jnp.array([1, -1])
    score = jax.jit(jax.vmap(energy_score, in_axes=(None, 0)))
    gap = score(wrong, jnp.asarray(truths, jnp.float32)) - score(right, jnp.asarray(truths, jnp.float32))
    assert float(jnp.mean(gap)) > 4 * float(jnp.std(gap)) / 20


def test_gradients_stay_finite_where_members_coincide() -> None:
    x = jnp.array([[1.0, 2.0], [1.0, 2.0], [0.0, 0.0]])
    assert jnp.isfinite(jax.jit(jax.grad(energy_score))(x, x[0])).all()
    assert jnp.isfinite(jax.jit(jax.grad(ensemble_crps))(x[:, 0], 1.0)).all()


def test_bands_of_the_right_law_hold_what_they_say(gaussian: np.ndarray) -> None:
    truths = np.random.default_rng(3).normal(size=(300, 6))
    batch = jax.jit(jax.vmap(rollout_scores, in_axes=(None, 0)))
    right = batch(jnp.asarray(gaussian[:400], jnp.float32), jnp.asarray(truths, jnp.float32))
    narrow = batch(jnp.asarray(0.5 * gaussian[:400], jnp.float32), jnp.asarray(truths, jnp.float32))
    np.testing.assert_allclose(right.inside.mean((0, 2)), (0.5, 0.9), atol=0.04)
    assert (narrow.inside.mean((0, 2)) < jnp.array([0.35, 0.7])).all()
    assert (narrow.crps.mean(0) > right.crps.mean(0)).all()
    np.testing.assert_allclose(right.width[0, 1], 2 * stats.norm.ppf(0.95), atol=0.3)
    median = np.median(gaussian[:400], axis=0)
    np.testing.assert_allclose(right.absolute_error, np.abs(truths - median), atol=1e-5)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match="5 steps and a truth of 4"):
        inspect.unwrap(rollout_scores)(jnp.zeros((3, 5)), jnp.zeros(4))  # past the tests' own shape checks
    with pytest.raises(ValueError, match="coverages"):
        rollout_scores(jnp.zeros((3, 5)), jnp.zeros(5), coverages=(90.0,))
