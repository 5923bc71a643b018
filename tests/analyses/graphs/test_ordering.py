"""When the energy is down, which comes first, and how a break moves with size."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analyses.graphs import ordering
from analyses.graphs.ordering import energy_time, lead, size_power_law

CONTEXTS = jnp.geomspace(10.0, 1000.0, 21)


def falling(at, depth=0.3, contexts=CONTEXTS):
    """1 at the first context, straight in ln(context) down to 1 - depth at ``at``, then level."""
    way = np.log(np.asarray(contexts, float) / 10) / np.log(at / 10)
    return jnp.asarray(1 - depth * np.minimum(way, 1), jnp.float32)


@settings(max_examples=30, deadline=None)
@given(st.floats(20, 900), st.floats(0.05, 0.9), st.sampled_from([0.0, 0.05, 0.3]))
def test_the_time_is_read_off_the_fall(at, depth, share):
    """Only the context at which the fall ends may lie between two of the contexts."""
    expected = 10 * (at / 10) ** (1 - share)
    step = (1000 / 10) ** (1 / 20)
    found = float(energy_time(CONTEXTS, falling(at, depth), share))
    assert expected / step < found < expected * step
    whole = float(CONTEXTS[13])
    found = energy_time(CONTEXTS, falling(whole, depth), share)
    assert float(found) == pytest.approx(10 * (whole / 10) ** (1 - share), rel=1e-3)


def test_the_first_time_counts_though_it_rises_again():
    ratio = jnp.ones(21).at[5].set(0.5).at[6:].set(0.8)
    assert CONTEXTS[4] < energy_time(CONTEXTS, ratio) <= CONTEXTS[5]


def test_units_of_the_ratio_do_not_matter_and_batches_are_loops():
    ratios = jnp.stack([falling(at) for at in (30, 100, 500)])
    times = energy_time(CONTEXTS, ratios)
    np.testing.assert_allclose(times, [energy_time(CONTEXTS, ratio) for ratio in ratios], rtol=1e-6)
    np.testing.assert_allclose(energy_time(CONTEXTS, 5 * ratios + 2), times, rtol=1e-4)
    np.testing.assert_allclose(energy_time(CONTEXTS, ratios[None])[0], times, rtol=1e-6)


def test_what_does_not_fall_has_no_time():
    for ratio in (jnp.ones(21), 1 + falling(100)[::-1], falling(100, depth=0.01)):
        assert np.isnan(energy_time(CONTEXTS, ratio))
    assert np.isfinite(energy_time(CONTEXTS, falling(100, depth=0.01), least=0.005))


def placements(key, number, gap, noise=0.05):
    """Breaks about 100, the energy's time ``gap`` later; two layers, the second ten later still."""
    breaks = 100 * jnp.exp(noise * jax.random.normal(key, (number,)))
    u = jnp.log(CONTEXTS / 10)
    ends = jnp.stack((breaks + gap, breaks + gap + 10), axis=1)[..., None]
    return 1 - 0.3 * jnp.minimum(u / jnp.log(ends / 10), 1), breaks


def test_a_planted_order_is_found_at_each_layer():
    ratios, breaks = placements(jax.random.key(0), 6, gap=-60.0)
    found = lead(jax.random.key(1), CONTEXTS, ratios, breaks, 100)
    expected = energy_time(CONTEXTS, ratios.mean(axis=0)) - breaks.mean()
    np.testing.assert_allclose(found.estimate, expected, rtol=1e-5)
    assert (found.low <= found.estimate).all()
    assert (found.estimate <= found.high).all()
    assert (found.high < 0).all()
    late = lead(jax.random.key(1), CONTEXTS, *placements(jax.random.key(0), 6, gap=80.0), 100)
    assert (late.low > 0).all()
    programs = ordering._lead._cache_size()
    lead(jax.random.key(2), CONTEXTS, ratios, breaks, 100)
    assert ordering._lead._cache_size() == programs


def test_alike_placements_have_no_spread_and_few_have_much():
    ratios, breaks = placements(jax.random.key(0), 3, gap=-60.0)
    same = jnp.broadcast_to(ratios[:1], ratios.shape)
    alike = lead(jax.random.key(0), CONTEXTS, same, jnp.full(3, 100.0), 300)
    np.testing.assert_allclose(alike.low, alike.high, rtol=1e-3)
    wide = lead(jax.random.key(0), CONTEXTS, same, breaks, 300)
    textbook = 2 * stats.t.ppf(0.975, 2) * np.std(breaks, ddof=1) / np.sqrt(3)
    np.testing.assert_allclose(wide.high - wide.low, textbook, rtol=0.15)
    flat = lead(jax.random.key(0), CONTEXTS, ratios.at[:, 1].set(1.0), breaks, 300)
    assert np.isfinite(flat.low[0])
    assert np.isnan(flat.estimate[1])


def test_one_placement_has_no_lead():
    ratios, breaks = placements(jax.random.key(0), 1, gap=0.0)
    with pytest.raises(ValueError, match="Got ratios of 1 placements"):
        lead(jax.random.key(0), CONTEXTS, ratios, breaks)


SIZES = jnp.array([9.0, 16.0, 25.0, 36.0, 49.0])


@settings(max_examples=20, deadline=None)
@given(st.floats(-1, 3), st.floats(0.1, 10), st.booleans())
def test_an_exact_power_law_is_recovered(exponent, prefactor, weighted):
    breaks = prefactor * SIZES**exponent
    found = size_power_law(SIZES, breaks, 0.1 * breaks * jnp.arange(1.0, 6.0) if weighted else None)
    np.testing.assert_allclose([found.exponent, found.prefactor], [exponent, prefactor], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose([found.low, found.high], exponent, atol=2e-3)


def test_the_interval_is_the_textbook_one():
    breaks = SIZES**0.8 * np.exp(0.2 * np.random.default_rng(0).normal(size=5)).astype(np.float32)
    found = size_power_law(SIZES, breaks)
    line = stats.linregress(np.log(SIZES), np.log(breaks))
    reach = stats.t.ppf(0.975, 3) * line.stderr
    np.testing.assert_allclose(
        [found.exponent, found.low, found.high, found.prefactor],
        [line.slope, line.slope - reach, line.slope + reach, np.exp(line.intercept)],
        rtol=1e-4,
    )


def test_equal_relative_errors_weigh_nothing_and_a_poor_point_hardly_counts():
    breaks = (2 * SIZES**0.5).at[4].multiply(3)
    plain, alike = size_power_law(SIZES, breaks), size_power_law(SIZES, breaks, 0.2 * breaks)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), plain, alike)
    sure = size_power_law(SIZES, breaks, breaks * jnp.array([0.01, 0.01, 0.01, 0.01, 10.0]))
    assert abs(float(sure.exponent) - 0.5) < 0.01 < float(plain.exponent) - 0.5


def test_exponents_are_covered_as_promised():
    noise = 0.3 * jax.random.normal(jax.random.key(0), (2000, 5))
    found = jax.jit(jax.vmap(size_power_law, in_axes=(None, 0)))(SIZES, SIZES**0.7 * jnp.exp(noise))
    covered = float(jnp.mean((found.low < 0.7) & (found.high > 0.7)))
    assert covered == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 2000))


def test_two_graphs_have_an_exponent_without_an_interval_and_one_has_none():
    found = size_power_law(SIZES[:2], SIZES[:2] ** 2)
    assert float(found.exponent) == pytest.approx(2, rel=1e-4)
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    with pytest.raises(ValueError, match="Got 1 graph"):
        size_power_law(SIZES[:1], SIZES[:1])


def test_a_share_is_less_than_all():
    for share in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"Got share {share}"):
            energy_time(CONTEXTS, jnp.ones(21), share)
