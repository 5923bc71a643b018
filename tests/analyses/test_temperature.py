import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analyses
from analyses import safe_log

BRANCH = (3, 2, 4)
WIDTHS = np.array([1.0, 0.1, 0.1, 0.3, 2.0, 0.5])
LEDGES = np.concatenate([[0], np.cumsum(WIDTHS)])
digit_temperature = jax.jit(analyses.digit_temperature, static_argnums=1)
mass_temperature = jax.jit(analyses.mass_temperature)
density_temperature = jax.jit(analyses.density_temperature)
temperatures = st.sampled_from([0.3, 0.7, 1.0, 3.0])


def tree_law(seed, temperature):
    """Product of softmaxes of logits / T down a tree, written prefix by prefix."""
    rng = np.random.default_rng(seed)
    law = np.ones(1)
    for children in BRANCH:
        weight = np.exp(2 * rng.normal(size=(len(law), children)) / temperature)
        law = (law[:, None] * weight / weight.sum(1, keepdims=True)).ravel()
    return law


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), temperatures)
def test_the_digit_temperature_is_that_of_the_logits_before_the_softmax(seed, temperature):
    log_mass = jnp.asarray(np.log(tree_law(seed, 1.0)), jnp.float32)
    got = np.exp(np.asarray(digit_temperature(log_mass, BRANCH, temperature)))
    np.testing.assert_allclose(got, tree_law(seed, temperature), rtol=2e-4, atol=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000), temperatures)
def test_mass_and_density_are_powers_that_agree_on_equal_cells(seed, temperature):
    mass = np.random.default_rng(seed).dirichlet(np.ones(6))
    log_mass = jnp.asarray(np.log(mass), jnp.float32)
    power = mass ** (1 / temperature)
    by_mass = np.exp(np.asarray(mass_temperature(log_mass, temperature)))
    np.testing.assert_allclose(by_mass, power / power.sum(), rtol=2e-4, atol=1e-6)
    height = WIDTHS * (mass / WIDTHS) ** (1 / temperature)
    mixed = np.exp(np.asarray(density_temperature(log_mass, jnp.asarray(LEDGES, jnp.float32), temperature)))
    np.testing.assert_allclose(mixed, height / height.sum(), rtol=2e-4, atol=1e-6)
    even = np.exp(np.asarray(density_temperature(log_mass, jnp.linspace(0.0, 3.0, 7), temperature)))
    np.testing.assert_allclose(even, by_mass, rtol=2e-4, atol=1e-6)
    if temperature != 1:
        # By their ratios: where nearly all mass is in one cell, the differences are small.
        assert not np.allclose(mixed, by_mass, rtol=1e-2, atol=1e-12)


def test_all_three_are_the_identity_at_one_and_laws_with_empty_cells_stay_laws():
    log_mass = safe_log(jnp.array([0.0, 0.0, 0.1, 0.0, 0.6, 0.3]))
    edges = jnp.asarray(LEDGES, jnp.float32)
    for transform in (
        lambda t: digit_temperature(log_mass, (3, 2), t),
        lambda t: mass_temperature(log_mass, t),
        lambda t: density_temperature(log_mass, edges, t),
    ):
        np.testing.assert_allclose(np.exp(transform(1.0)), np.exp(log_mass), rtol=1e-5)
        for t in (0.01, 0.5, 100.0):
            law = np.exp(np.asarray(transform(t)))
            assert law.sum() == pytest.approx(1, abs=1e-5)
            np.testing.assert_array_equal(law > 0, (np.asarray(log_mass) > -np.inf) & (law > 0))
    one_level = digit_temperature(log_mass, (6,), 0.4)
    np.testing.assert_allclose(np.exp(one_level), np.exp(mass_temperature(log_mass, 0.4)), rtol=1e-5)
    padded = density_temperature(log_mass[::-1], jnp.minimum(jnp.arange(7.0), 3), 0.5)
    np.testing.assert_allclose(np.exp(padded), np.array([0.3, 0.6, 0, 0, 0, 0]) ** 2 / 0.45, atol=1e-6)


def test_near_zero_they_go_to_three_different_numbers():
    """Greedy digits 0, 0 (0.6 · 0.55); most probable cell 2 (0.35); highest density cell 5 (0.05 on a width 0.01)."""
    mass = np.array([0.33, 0.27, 0.35, 0.0, 0.0, 0.05])
    edges = jnp.asarray(np.concatenate([[0], np.cumsum([1, 1, 1, 1, 1, 0.01])]), jnp.float32)
    log_mass = safe_log(jnp.asarray(mass, jnp.float32))
    assert int(jnp.argmax(digit_temperature(log_mass, (3, 2), 0.01))) == 0
    assert float(np.exp(digit_temperature(log_mass, (3, 2), 0.01)[0])) > 0.999
    assert float(np.exp(mass_temperature(log_mass, 0.005)[2])) > 0.999
    assert float(np.exp(density_temperature(log_mass, edges, 0.01)[5])) > 0.999


def test_derivatives_in_law_and_temperature_are_right_and_finite_next_to_empty_cells():
    edges, log_mass = jnp.asarray(LEDGES, jnp.float32), safe_log(jnp.array([0.0, 0.0, 0.1, 0.0, 0.6, 0.3]))

    def mean(log_mass, t):
        by_digit = analyses.digit_temperature(log_mass, (3, 2), t)
        by_mass = analyses.mass_temperature(log_mass, t)
        by_density = analyses.density_temperature(log_mass, edges, t)
        return (jnp.exp(by_digit) + 2 * jnp.exp(by_mass) + 3 * jnp.exp(by_density)) @ jnp.arange(6.0)

    both = jax.jit(jax.value_and_grad(mean, argnums=(0, 1)))
    of_law, of_t = both(log_mass, 0.8)[1]
    numeric = float(both(log_mass, 0.81)[0] - both(log_mass, 0.79)[0]) / 0.02
    assert abs(numeric) > 1e-2
    assert float(of_t) == pytest.approx(numeric, rel=1e-2)
    assert np.all(np.isfinite(of_law))
    moved = log_mass.at[4].add(0.01), log_mass.at[4].add(-0.01)
    numeric = float(both(moved[0], 0.8)[0] - both(moved[1], 0.8)[0]) / 0.02
    assert float(of_law[4]) == pytest.approx(numeric, rel=1e-2)


def by_digit(log_mass, temperature):
    return analyses.digit_temperature(log_mass, (2, 4), temperature)


BEST = jax.jit(jax.vmap(analyses.best_temperature, in_axes=(0, 0, None)), static_argnums=2)


@pytest.mark.parametrize("transform", [analyses.mass_temperature, by_digit])
def test_planted_temperatures_are_undone(transform):
    """Codes come in exactly the proportions of the law; the predictor's law is that law at temperature T₀."""
    counts = np.array([7, 1, 4, 2, 2, 1, 2, 5])
    codes = jnp.tile(jnp.asarray(np.repeat(np.arange(8), counts)), (4, 1))
    truth = np.log(counts / counts.sum())
    planted = jnp.array([0.5, 0.7, 1.0, 1.7])
    laws = jax.jit(jax.vmap(transform, in_axes=(None, 0)))(jnp.asarray(truth, jnp.float32), planted)
    got = BEST(jnp.tile(laws[:, None], (1, 24, 1)), codes, transform)
    np.testing.assert_allclose(got.temperature, 1 / planted, rtol=1e-3)
    np.testing.assert_allclose(got.nll, -np.sum(counts / counts.sum() * truth), atol=1e-5)
    np.testing.assert_allclose(got.nll_at_one, -np.asarray(laws) @ (counts / counts.sum()), atol=1e-5)


def test_the_best_temperature_of_varying_laws_is_the_minimum_and_has_the_right_derivative():
    with jax.enable_x64(True):
        rng = np.random.default_rng(0)
        logits, codes = rng.normal(size=(60, 5)), rng.integers(0, 5, 60)
        logits[np.arange(60), codes] += 1

        @jax.jit
        @jax.value_and_grad
        def log_best(scale):
            rows = jax.nn.log_softmax(scale * jnp.asarray(logits), axis=1)
            return jnp.log(analyses.best_temperature(rows, jnp.asarray(codes), analyses.mass_temperature).temperature)

        value, slope = log_best(1.5)
        assert float(slope) == pytest.approx(1 / 1.5, rel=1e-6)  # rescaled logits rescale the temperature

        def loss(t):
            rows = 1.5 * logits / t
            return np.mean(np.log(np.exp(rows).sum(1)) - rows[np.arange(60), codes])

        t = float(np.exp(value))
        assert loss(t) < min(loss(t * 1.001), loss(t / 1.001))


def test_there_is_no_best_temperature_where_none_matters_or_none_helps():
    laws = np.full((4, 24, 8), 1 / 8)
    laws[1] = laws[3] = [0.01] * 3 + [0.93] + [0.01] * 4  # right every time: the sharper the better
    laws[2] = np.eye(8)[3]
    codes = np.full((4, 24), 3)
    codes[2], codes[3] = 4, 11  # impossible, and off the grid
    got = BEST(safe_log(jnp.asarray(laws, jnp.float32)), jnp.asarray(codes), analyses.mass_temperature)
    assert np.all(np.isnan(got.temperature))


def test_bad_arguments_are_named():
    log_mass, edges = jnp.log(jnp.full(6, 1 / 6)), jnp.asarray(LEDGES, jnp.float32)
    for branch in ((3, 3), (), (-3, -2)):
        with pytest.raises(ValueError, match=r"got branch .*expected .*; use"):
            analyses.digit_temperature(log_mass, branch, 1.0)
    for eager, jitted, arguments in (
        (analyses.digit_temperature, digit_temperature, (log_mass, (3, 2))),
        (analyses.mass_temperature, mass_temperature, (log_mass,)),
        (analyses.density_temperature, density_temperature, (log_mass, edges)),
    ):
        for temperature in (0.0, -1.0, float("nan")):
            with pytest.raises(ValueError, match=r"temperature: got .*; expected .*; use"):
                eager(*arguments, temperature)
        assert np.all(np.isnan(jitted(*arguments, -1.0)))
