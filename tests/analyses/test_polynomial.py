from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import analyses
from analyses import bhattacharyya_distance, bin_masses
from analyses.polynomial import polynomial_autoregression

fitted = jax.jit(polynomial_autoregression, static_argnums=2)
moments = jax.jit(jax.vmap(partial(analyses.moments, within_bin=True), in_axes=(0, None)))
distances = jax.jit(jax.vmap(bhattacharyya_distance))

EDGES = jnp.linspace(0.0, 10.0, 101)
FINE = jnp.linspace(-5.0, 15.0, 1001)


@jax.jit
def normal_masses(mean, sd):
    return jax.vmap(lambda m, s: bin_masses(lambda u: jax.scipy.stats.norm.cdf(u, m, s), EDGES).mass)(mean, sd)


@pytest.mark.parametrize("degree", [2, 3])
def test_rows_are_least_squares_on_the_past(degree):
    values = 5 + np.cumsum(np.random.default_rng(1).normal(0, 0.3, 60))
    rows = fitted(jnp.asarray(values, jnp.float32), FINE, degree)
    np.testing.assert_allclose(rows[: degree + 3], -np.log(1000), rtol=3e-5)
    found = moments(rows, FINE)
    for t in (12, 20, 40, 59):
        x, y = values[: t - 1], values[1:t]
        line = np.polyfit(x, y, degree)
        variance = np.sum((y - np.polyval(line, x)) ** 2) / (t - 1 - degree - 1)
        assert float(found.mean[t]) == pytest.approx(np.polyval(line, values[t - 1]), abs=5e-3)
        if variance > (2 * 0.02) ** 2:  # below, a normal law on cells is not one with w²/12 more
            assert float(found.variance[t]) == pytest.approx(variance + 0.02**2 / 12, rel=0.02)


def test_the_unit_and_origin_of_the_series_do_not_matter():
    values = jnp.asarray(np.random.default_rng(2).integers(0, 100, 60) / 10 + 0.05, jnp.float32)
    plain = fitted(values, FINE, 2)
    np.testing.assert_allclose(fitted(4 * values - 7, 4 * FINE - 7, 2), plain, atol=2e-2, rtol=1e-3)


def test_a_noisy_quadratic_map_is_learned_and_no_line_can():
    """x' = 10 r u (1 − u) + 0.3 ε in tenths, u = x/10: regret to the truth falls to nothing for degree 2 alone."""
    rng = np.random.default_rng(3)
    mean, values = [5.0], [5.0]
    for _ in range(399):
        mean.append(36 * values[-1] / 10 * (1 - values[-1] / 10))
        values.append(np.clip(mean[-1] + 0.3 * rng.normal(), 0.05, 9.95))
    truth = normal_masses(jnp.asarray(mean, jnp.float32), jnp.full(400, 0.3))
    series = jnp.asarray(np.floor(np.array(values) * 10) / 10 + 0.05, jnp.float32)
    curve, line = (distances(fitted(series, EDGES, degree), truth)[250:] for degree in (2, 1))
    assert float(jnp.mean(curve)) < 0.02
    assert float(jnp.mean(line)) > 0.3


@pytest.mark.once
@pytest.mark.parametrize(
    "pattern", [[3.15], [3.15, 6.25], [8.35, 8.45, 8.55], [3.15] * 59 + [9.95], [8.05, 8.15] * 29 + [8.25, 0.05]]
)
def test_pasts_with_few_values_leave_the_powers_they_cannot_tell_apart(pattern):
    """The law stays a law however the next value lies, and gradients stay finite; a repeating past is foretold."""
    values = jnp.asarray(np.resize(pattern, 60), jnp.float32)
    rows, gradient = law_and_gradient(values)
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(jnp.sum(jnp.exp(rows), axis=1), 1, rtol=1e-4)
    assert np.isfinite(gradient).all()
    if len(pattern) < 4:
        cell = int(values[-1] * 10)
        assert float(jnp.exp(rows[-1, cell])) == pytest.approx(0.9167, abs=0.01)  # within w/√12 of its centre


@jax.jit
def law_and_gradient(values):
    def law(v):
        rows = polynomial_autoregression(v, EDGES, 2)
        return rows[-1, 40], rows

    gradient, rows = jax.grad(law, has_aux=True)(values)
    return rows, gradient


def test_there_is_no_polynomial_of_degree_zero():
    with pytest.raises(ValueError, match=r"got .*expected .*; use"):
        polynomial_autoregression(jnp.ones(5), EDGES, 0)


def test_published_maps_are_within_the_reach_of_a_parabola(reference):
    """The specification's table, contexts near 985: distance 0.128 (noisy logistic), deviation 0.056 (logistic)."""
    noisy, clean = reference("noisy_logistic_map"), reference("logistic_map")
    late = slice(970, 1000)

    @jax.jit
    @jax.vmap
    def law_of(codes):
        return polynomial_autoregression(EDGES[codes] + 0.05, EDGES, 2)[late]

    mean, sd = (jnp.asarray(noisy[name][:, late], jnp.float32) for name in ("true_mean", "true_sigma"))
    truth = jax.jit(jax.vmap(normal_masses))(mean, sd)
    laws = law_of(jnp.asarray(noisy["digits"], jnp.int32))
    assert float(jnp.mean(jax.jit(jax.vmap(distances))(laws, truth))) == pytest.approx(0.128, abs=2e-3)
    kept = clean["keep_index"]
    laws = law_of(jnp.asarray(clean["digits"][kept], jnp.int32))
    found = jax.jit(jax.vmap(moments, in_axes=(0, None)))(laws, EDGES).mean
    deviation = np.abs(found - clean["true_mean"][kept][:, late])
    assert float(deviation.mean()) == pytest.approx(0.056, abs=2e-3)
