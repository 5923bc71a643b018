"""Recursions of second order: the Hénon map's attractor and areas, and the covariances of an AR(2)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems import AutoRegressive2, Henon


def test_the_published_map_step_by_step_and_its_fixed_point():
    """(x, y) <- (1 - a x^2 + y, b x) with y = b x_{t-1}."""
    x, y = 0.1, 0.3 * 0.05
    expected = []
    for _ in range(12):
        x, y = 1 - 1.4 * x**2 + y, 0.3 * x
        expected.append(x)
    with jax.enable_x64(True):
        path = Henon(start=jnp.array([0.1, 0.05])).sample(jax.random.key(0), 12)
        fixed = (-0.7 + np.sqrt(0.49 + 4 * 1.4)) / 2.8
        again = Henon().transition_mean(jnp.array([fixed, fixed]))
    np.testing.assert_allclose(path.observed, expected, rtol=1e-12)
    np.testing.assert_array_equal(path.times, np.arange(1, 13))
    assert again == pytest.approx(fixed, rel=1e-12)


def test_drawn_starts_reach_the_attractor_and_stay():
    paths = jax.jit(jax.vmap(lambda key: Henon().sample(key, 2000).observed))(jax.random.split(jax.random.key(1), 64))
    paths = np.asarray(paths)
    assert paths.min() > -1.3
    assert paths.max() < 1.3
    # The mean logarithmic stretching of the map's tangent along the path is its exponent, 0.419 per step.
    tangent = np.ones((64, 2)) / np.sqrt(2)
    growth = []
    for x in paths.T:
        tangent = np.stack([-2.8 * x * tangent[:, 0] + 0.3 * tangent[:, 1], tangent[:, 0]], axis=1)
        length = np.linalg.norm(tangent, axis=1, keepdims=True)
        tangent, growth = tangent / length, [*growth, np.log(length)]
    assert np.mean(growth) == pytest.approx(0.419, abs=0.01)


def test_autocovariances_are_those_of_yule_and_walker():
    """gamma_k = phi_1 gamma_{k-1} + phi_2 gamma_{k-2}, with gamma_0 from the stationary variance's closed form."""
    phi_1, phi_2, sigma = 1.3, -0.9, 0.5
    variance = (1 - phi_2) * sigma**2 / ((1 + phi_2) * ((1 - phi_2) ** 2 - phi_1**2))
    gamma = [variance, variance * phi_1 / (1 - phi_2)]
    for _ in range(10):
        gamma.append(phi_1 * gamma[-1] + phi_2 * gamma[-2])
    path = np.asarray(jax.jit(lambda key: AutoRegressive2().sample(key, 2**17))(jax.random.key(2)).observed, np.float64)
    measured = [(path[: path.size - k] * path[k:]).mean() for k in range(12)]
    np.testing.assert_allclose(measured, gamma, atol=0.03 * variance)
    assert np.sqrt(variance) / sigma == pytest.approx(3.14, abs=0.01)
    spectrum = np.abs(np.fft.rfft(path.reshape(-1, 1024), axis=1)) ** 2
    peak = np.fft.rfftfreq(1024)[spectrum.mean(axis=0).argmax()]
    assert 1 / peak == pytest.approx(7.7, abs=0.2)


def test_constant_moves_the_mean():
    """The stationary mean is c / (1 - phi_1 - phi_2); started there, the noiseless recursion rests."""
    rest = 2.0 / (1 - 1.3 + 0.9)
    still = AutoRegressive2(constant=2.0, sigma=0.0, start=rest).sample(jax.random.key(0), 5).observed
    np.testing.assert_allclose(still, rest, rtol=1e-6)
