"""The relative deviance and its minimum over decays with non-negative levels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from analyses.decays import fit_decay, fit_levels, relative_deviance

NODES = np.geomspace(0.05, 4, 65)
X = np.linspace(0, np.log(100), 20)


@jax.jit
def fit(loss, floor):
    return fit_decay(jnp.asarray(X), loss, floor, jnp.asarray(NODES))


def noisy(seed: int, rate: float, level: float, noise: float = 0.15) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (np.exp(-rate * X) + level) * random.gamma(noise**-2, noise**2, X.size)


def deviance(loss: np.ndarray, law: np.ndarray) -> float:
    return float(np.mean(loss / law - 1 - np.log(loss / law)))


def test_the_level_of_a_constant_is_the_mean_whatever_the_noise():
    """Weights 1/L² would give the harmonic Σ(1/L)/Σ(1/L²), far too low."""
    loss = jnp.asarray([0.2, 1.0, 1.4, 3.0])
    level, _, law = fit_levels(jnp.ones(4), loss, jnp.full(4, 0.1), constant=False, reweightings=60)
    assert float(level) == pytest.approx(float(jnp.mean(loss)) - 0.1, rel=1e-5)
    np.testing.assert_allclose(law, jnp.mean(loss), rtol=1e-5)
    assert float(jnp.sum(1 / loss) / jnp.sum(1 / loss**2)) < 0.3 * float(jnp.mean(loss))


def test_the_deviance_is_half_the_squared_relative_residual_and_least_at_the_mean():
    law = jnp.asarray([0.5, 2.0])
    assert float(relative_deviance(1.01 * law, law)) == pytest.approx(0.5 * 0.01**2, rel=0.02)
    loss = np.random.default_rng(1).gamma(0.5, size=1000)  # far from normal
    levels = np.linspace(0.2, 2, 181) * loss.mean()
    scores = [deviance(loss, np.full_like(loss, level)) for level in levels]
    assert levels[np.argmin(scores)] == pytest.approx(loss.mean(), rel=0.006)


@pytest.mark.slow
@settings(deadline=None, max_examples=5, derandomize=True)
@given(st.integers(0, 10_000), st.floats(0.3, 2), st.sampled_from([0.0, 0.02, 0.2]), st.sampled_from([0.0, 0.01]))
def test_no_search_from_many_starts_does_better(seed, rate, level, floor):
    with jax.enable_x64(True):
        loss = noisy(seed, rate, level) + floor
        got = jax.tree.map(np.asarray, fit(jnp.asarray(loss), jnp.full(X.size, floor)))

    def objective(p):
        return deviance(loss, floor + np.exp(p[1] - np.exp(p[0]) * X) + p[2])

    bounds = [(np.log(0.05), np.log(4)), (-9, 9), (0, 9)]
    options = {"ftol": 1e-15, "gtol": 1e-10}
    found = [minimize(objective, (np.log(r), 0.0, 0.03), bounds=bounds, options=options) for r in (0.3, 0.8, 2.0)]
    best = min(found, key=lambda f: f.fun)
    assert float(got.deviance) <= best.fun + 1e-9
    if got.inside and 0.06 < np.exp(best.x[0]) < 3.7:
        assert float(got.deviance) == pytest.approx(best.fun, abs=1e-7)
        assert float(got.rate) == pytest.approx(np.exp(best.x[0]), abs=2e-3)
    assert got.amplitude >= 0
    assert got.constant >= 0


@jax.jit
@jax.grad
def pull(arguments):
    found = fit(*arguments)
    return found.rate + 0.7 * found.amplitude - 1.3 * found.constant


@pytest.mark.slow
def test_the_minimum_is_good_to_rounding_and_its_derivative_exact():
    loss, floor = noisy(3, 0.8, 0.1), np.full(X.size, 0.02)
    random = np.random.default_rng(8)

    def minimum(loss, floor):
        found = fit(jnp.asarray(loss), jnp.asarray(floor))
        return np.array([found.rate, found.amplitude, found.constant])

    with jax.enable_x64(True):
        rate, amplitude, level = minimum(loss, floor)
        assert level > 0
        shape = np.exp(-rate * X)
        law = floor + amplitude * shape + level
        first = (law - loss) / law**2
        np.testing.assert_allclose([first @ (X * shape), first @ shape, first.sum()], 0, atol=1e-11)
        by_loss, by_floor = pull((jnp.asarray(loss), jnp.asarray(floor)))
        for _ in range(3):
            step = 1e-6 * random.normal(size=(2, X.size))
            change = minimum(loss + step[0], floor + step[1]) - minimum(loss - step[0], floor - step[1])
            expected = 2 * (step[0] @ np.asarray(by_loss) + step[1] @ np.asarray(by_floor))
            assert change @ [1, 0.7, -1.3] == pytest.approx(expected, rel=1e-4)


def test_a_missing_point_makes_no_fit():
    with jax.enable_x64(True):
        loss = jnp.asarray(noisy(0, 1.0, 0.1)).at[4].set(jnp.nan)
        assert not np.isfinite(fit(loss, jnp.zeros(X.size)).deviance)
