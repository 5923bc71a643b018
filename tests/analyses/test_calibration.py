import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analyses import gaussian_log_masses
from analyses.calibration import (
    BETA_SHAPES,
    conditional_pit,
    coverage,
    event_reliability,
    kolmogorov_survival,
    log_e_value,
    pit_histogram,
    randomised_pit,
    reliability,
    sharpness,
    uniformity,
)
from analyses.temperature import mass_temperature

EDGES = np.linspace(0.0, 10.0, 51)
LEVELS = np.linspace(0.05, 0.95, 7).astype(np.float32)
weights = st.lists(st.floats(0.01, 1), min_size=5, max_size=5)
capital = jax.jit(jax.vmap(log_e_value))


@jax.jit
def of_cells(key, log_mass, codes):
    """PITs, their distribution inside the cell, and coverage, for one law and five codes."""

    def one(key, code):
        levels = jnp.asarray(LEVELS)
        pit = randomised_pit(key, log_mass, code)
        return pit, conditional_pit(log_mass, code, levels), coverage(log_mass, code, levels)

    return jax.vmap(one)(jax.random.split(key, 5), codes)


@jax.jit
@jax.vmap
def of_pits(pit):
    """Everything that is made of forty PITs; for events they are the predictions, and the large half happens."""
    events = event_reliability(pit, pit > 0.5)
    return pit_histogram(pit, 8), uniformity(pit), reliability(pit, jnp.asarray(LEVELS)), events


def law(values):
    with np.errstate(divide="ignore"):
        return jnp.asarray(np.log(np.asarray(values) / np.sum(values)), jnp.float32)


@settings(deadline=None, max_examples=15)
@given(weights, st.integers(0, 100))
def test_under_the_law_itself_reliability_and_coverage_are_exact_on_any_grid(values, seed):
    mass = np.asarray(values) / np.sum(values)
    pit, conditional, covered = of_cells(jax.random.key(seed), law(values), jnp.arange(5))
    np.testing.assert_allclose(mass @ np.asarray(conditional), LEVELS, atol=1e-6)
    np.testing.assert_allclose(mass @ np.asarray(covered), LEVELS, atol=1e-6)
    above = np.cumsum(mass)
    assert np.all((np.asarray(pit) >= above - mass - 1e-6) & (np.asarray(pit) <= above + 1e-6))
    inside = np.clip((LEVELS - (above - mass)[:, None]) / mass[:, None], 0, 1)
    np.testing.assert_allclose(conditional, inside, atol=1e-4)


def test_the_randomised_pit_is_uniform_in_its_own_cell():
    log_mass = law([1, 2, 3, 3, 1])
    many = jax.jit(jax.vmap(of_cells, in_axes=(0, None, None)))
    pit = np.asarray(many(jax.random.split(jax.random.key(0), 500), log_mass, jnp.arange(5))[0])
    for own, low, high in zip(pit.T, [0, 0.1, 0.3, 0.6, 0.9], [0.1, 0.3, 0.6, 0.9, 1]):
        assert stats.kstest(own, "uniform", args=(low, high - low)).pvalue > 1e-3


def test_what_has_no_law_or_no_cell_is_nan_and_an_impossible_cell_is_a_point():
    codes = jnp.array([-1, 0, 2, 4, 5])
    pit, conditional, covered = of_cells(jax.random.key(1), law([0.5, 0, 0, 0.2, 0.3]), codes)
    off = [True, False, False, False, True]
    for result in (pit, conditional[:, 0], covered[:, 0]):
        np.testing.assert_array_equal(np.isnan(result), off)
    assert float(pit[2]) == 0.5
    np.testing.assert_array_equal(conditional[2], LEVELS >= 0.5)
    assert all(np.all(np.isnan(result)) for result in of_cells(jax.random.key(1), jnp.full(5, jnp.nan), codes))


def autocorrelation(x):
    x = x - x.mean()
    return np.sum(x[1:] * x[:-1]) / np.sum(x**2)


def test_summaries_of_pits_are_scipys_and_numpys():
    pit = (np.random.default_rng(0).uniform(size=(6, 40)) ** (1 + 0.1 * np.arange(6))[:, None]).astype(np.float32)
    pit[0, :2] = 0, 1
    histogram, test, share, events = of_pits(jnp.asarray(pit))
    for i, u in enumerate(pit):
        exact = stats.kstest(u, "uniform")
        assert float(test.distance[i]) == pytest.approx(exact.statistic, abs=1e-6)
        assert float(test.p_value[i]) == pytest.approx(exact.pvalue, abs=0.015)
        assert float(test.autocorrelation[i]) == pytest.approx(autocorrelation(u), abs=1e-5)
        np.testing.assert_allclose(histogram.density[i], np.histogram(u, np.linspace(0, 1, 9))[0] / 5, rtol=1e-4)
        np.testing.assert_allclose(share[i], [np.mean(u <= level) for level in LEVELS], atol=1e-6)
        assert float(events.expected_error[i]) == pytest.approx(sure_of_the_half(u), abs=1e-5)
        assert float(jnp.sum(events.num_events[i])) == 40
        np.testing.assert_array_equal(np.isnan(events.predicted[i]), events.num_events[i] == 0)


def sure_of_the_half(u):
    """Σ over tenths of count/total · |mean prediction − frequency|, when what happens is u > ½."""
    tenth = np.minimum((u * 10).astype(int), 9)
    return sum(abs(np.sum(u[tenth == k]) - np.sum(u[tenth == k] > 0.5)) for k in range(10)) / len(u)


def test_a_missing_pit_is_not_counted_as_anything():
    histogram, test, share, events = of_pits(jnp.full((6, 40), 0.5).at[:, 7].set(jnp.nan))
    for result in (histogram.density, test.distance, test.p_value, share, events.expected_error):
        assert np.all(np.isnan(result))


def test_the_spread_of_the_histogram_is_as_stated():
    rows = np.random.default_rng(1).uniform(size=(1500, 40))
    heights = of_pits(jnp.asarray(rows, jnp.float32))[0]
    assert float(np.std(heights.density)) == pytest.approx(float(heights.null_sd[0]), rel=0.05)
    for function in (pit_histogram, lambda u, bins: event_reliability(u, u > 0, num_bins=bins)):
        with pytest.raises(ValueError, match=r"got num_bins 1; expected .*; use"):
            function(jnp.zeros(40), 1)


def test_the_kolmogorov_law_is_scipys():
    x = np.concatenate([np.linspace(0.0, 3, 61), [0.9999, 1.0001, 1.3581, 6.0]]).astype(np.float32)
    got = jax.jit(kolmogorov_survival)(jnp.asarray(x))
    np.testing.assert_allclose(got, stats.kstwobign.sf(x), atol=2e-6)


def test_event_reliability_finds_the_planted_exaggeration():
    """Events happen with probability p; the forecast exaggerates its odds: mean |forecast − p| is the error."""
    rng = np.random.default_rng(2)
    p = rng.uniform(size=(200, 100))
    said = p**2 / (p**2 + (1 - p) ** 2)
    happened = jnp.asarray(rng.uniform(size=p.shape) < p)
    curve = jax.jit(event_reliability)
    honest, boasting = (curve(jnp.asarray(forecast, jnp.float32), happened) for forecast in (p, said))
    assert float(honest.expected_error) < 0.015
    assert float(boasting.expected_error) == pytest.approx(np.mean(np.abs(said - p)), abs=0.01)
    np.testing.assert_allclose(honest.predicted, np.arange(10) / 10 + 0.05, atol=0.005)
    np.testing.assert_allclose(honest.frequency, honest.predicted, atol=0.05)


def test_sharpness_of_a_fine_gaussian_and_of_padded_cells():
    edges = np.append(np.linspace(-6.0, 10.0, 801), [10.0, 10.0])
    fine = np.diff(stats.norm.cdf(edges, 2.0, 0.7))
    summary = jax.jit(sharpness)
    got = summary(law(fine), jnp.asarray(edges, jnp.float32), jnp.asarray([0.5, 0.9]))
    np.testing.assert_allclose(got.width, 2 * 0.7 * stats.norm.ppf([0.75, 0.95]), rtol=1e-3)
    assert float(got.differential_entropy) == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 0.49), abs=1e-3)
    assert float(got.entropy) == pytest.approx(float(got.differential_entropy) - math.log(0.02), abs=1e-3)
    two = np.zeros(802)
    two[[0, 1]] = 0.5
    edges[0] = edges[1] - 3  # widths 3 and 0.02
    coarse = summary(law(two), jnp.asarray(edges, jnp.float32), jnp.asarray([0.5, 1.0]))
    np.testing.assert_allclose(coarse.width, [1.5 + 0.01, 3.02], rtol=1e-4)
    assert float(coarse.entropy) == pytest.approx(math.log(2), rel=1e-5)
    assert float(coarse.differential_entropy) == pytest.approx(math.log(2) + math.log(3 * 0.02) / 2, rel=1e-3)


def test_the_capital_is_a_martingale_and_starts_at_one():
    """The mean of E_t over the last PIT alone is E_{t−1}: nothing is won on average, whatever came before."""
    past = np.array([0.03, 0.98, 0.4])
    nodes, node_weights = np.polynomial.legendre.leggauss(200)
    angle = np.pi / 4 * (nodes + 1)  # u = sin² angle removes the square-root ends of the densities
    u, measure = np.sin(angle) ** 2, np.pi / 4 * node_weights * np.sin(2 * angle)
    first = np.concatenate([u[:, None], np.tile(past, (200, 1))], axis=1)
    last = np.roll(first, -1, axis=1)
    at_first, at_last = (np.exp(np.asarray(capital(jnp.asarray(x, jnp.float32)), np.float64)) for x in (first, last))
    assert np.sum(measure * at_first[:, 0]) == pytest.approx(1, rel=1e-3)
    assert np.sum(measure * at_last[:, -1]) == pytest.approx(at_last[0, -2], rel=1e-3)
    densities = np.array([stats.beta.pdf(past, a, b) for a, b in BETA_SHAPES])
    np.testing.assert_allclose(at_last[0, :3], np.mean(np.cumprod(densities, axis=1), axis=0), rtol=1e-4)
    ends = jnp.tile(jnp.array([0.0, 1.0, 0.0, jnp.nan]), (200, 1))
    np.testing.assert_array_equal(np.isfinite(capital(ends))[0], [True, True, True, False])


@functools.cache
def simulated_pits():
    """PITs [replicate, time] of the true laws and of three wrong ones, values drawn from the true ones."""
    replicates, time = 200, 2000
    edges = jnp.asarray(EDGES, jnp.float32)
    means = jax.random.uniform(jax.random.key(3), (time,), minval=3.0, maxval=7.0)
    masses = jax.jit(jax.vmap(gaussian_log_masses, in_axes=(0, None, None)))
    laws = {
        name: masses(means + shift, sd, edges)
        for name, shift, sd in (("true", 0.0, 0.6), ("biased", 0.09, 0.6), ("wide", 0.0, 0.6 * 1.2))
    }
    laws["sharp"] = jax.vmap(mass_temperature, in_axes=(0, None))(laws["true"], 0.7)

    @jax.jit
    def draw(key, law):
        codes = jax.random.categorical(jax.random.key(4), laws["true"], axis=-1, shape=(replicates, time))
        keys = jax.random.split(key, (replicates, time))
        return jax.vmap(jax.vmap(randomised_pit), in_axes=(0, None, 0))(keys, law, codes)

    return {name: draw(jax.random.key(5), law) for name, law in laws.items()}


@pytest.mark.slow
def test_both_tests_keep_their_level_and_have_power_at_least_nine_in_ten():
    """2000 laws of sd 0.6: sharpened to T = 0.7, shifted by 0.15 sd, widened by a fifth; level 5 %."""
    pits = simulated_pits()
    test = jax.jit(jax.vmap(uniformity))
    p_values = {name: np.asarray(test(u).p_value) for name, u in pits.items()}
    wealth = {name: np.asarray(capital(u)) for name, u in pits.items()}
    rejected = {name: np.mean(p < 0.05) for name, p in p_values.items()}
    ruined = {name: np.mean(w.max(axis=1) > math.log(20)) for name, w in wealth.items()}
    assert 0.02 < rejected.pop("true") < 0.09  # 200 replicates of 5 %: ± 1.5 %
    assert ruined.pop("true") < 0.05 + 0.03
    assert min(rejected.values()) >= 0.9, rejected
    assert min(ruined.values()) >= 0.9, ruined
    assert np.mean(wealth["sharp"][:, :500].max(axis=1) > math.log(20)) >= 0.9


@pytest.mark.slow
def test_coverage_shows_the_direction_of_a_miscalibration():
    pits = simulated_pits()
    inside = {name: float(jnp.mean((u > 0.05) & (u <= 0.95))) for name, u in pits.items()}
    assert inside["true"] == pytest.approx(0.9, abs=0.002)
    z = stats.norm.ppf(0.95)
    assert inside["sharp"] == pytest.approx(2 * stats.norm.cdf(z * math.sqrt(0.7)) - 1, abs=0.004)
    assert inside["wide"] == pytest.approx(2 * stats.norm.cdf(z * 1.2) - 1, abs=0.004)


@pytest.mark.slow
def test_dependent_pits_are_noticed_by_their_autocorrelation():
    """Uniform margins, correlation 0.5 between neighbours: the p-value is too small too often, as documented."""
    rng = np.random.default_rng(6)
    z = rng.normal(size=(400, 500))
    for t in range(1, 500):
        z[:, t] = 0.5 * z[:, t - 1] + math.sqrt(0.75) * z[:, t]
    got = jax.jit(jax.vmap(uniformity))(jnp.asarray(stats.norm.cdf(z), jnp.float32))
    assert np.mean(np.asarray(got.p_value) < 0.05) > 0.1
    assert np.mean(np.asarray(got.autocorrelation) > 2 / math.sqrt(500)) > 0.99
