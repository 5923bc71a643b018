"""Inverting an observer's loss curve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses import effective_samples as public
from analyses.effective_samples import effective_samples

invert = jax.jit(effective_samples, static_argnames="first_context")


def curve(amplitude, exponent, first=1, num=200):
    return amplitude * jnp.arange(first, first + num, dtype=jnp.float32) ** -exponent


@settings(deadline=None, max_examples=30)
@given(st.floats(0.1, 3.0), st.floats(0.2, 2.0), st.floats(1.01, 199.0))
def test_a_power_law_is_inverted_exactly(amplitude, exponent, context):
    found = float(invert(curve(amplitude, exponent), jnp.asarray(amplitude * context**-exponent)))
    assert found == pytest.approx(context, rel=1e-3)


def test_contexts_may_start_later():
    found = invert(curve(2.0, 0.5, first=10), jnp.asarray(2.0 * 37.0**-0.5), first_context=10)
    assert float(found) == pytest.approx(37, rel=1e-4)


def test_the_order_of_a_noisy_curve_does_not_matter_and_its_noise_averages_out():
    rng = np.random.default_rng(0)
    noisy = curve(1.0, 1.0) * jnp.asarray(np.exp(0.1 * rng.normal(size=200)), jnp.float32)
    levels = jnp.asarray([0.2, 0.05, 0.01])
    found = jax.vmap(lambda level: invert(noisy, level))(levels)
    shuffled = jnp.asarray(rng.permutation(np.asarray(noisy)))
    np.testing.assert_allclose(jax.vmap(lambda level: invert(shuffled, level))(levels), found)
    np.testing.assert_allclose(found, 1 / levels, rtol=0.15)


def test_a_better_predictor_has_used_more():
    levels = jnp.geomspace(0.9, 0.006, 40)
    found = jax.vmap(lambda level: invert(curve(1.0, 1.0), level))(levels)
    assert np.all(np.diff(found) > 0)


def test_beyond_the_curve_there_is_no_number():
    losses = jnp.array([1.0, 0.5, 0.5, 0.25, 0.25])
    assert np.isnan(invert(losses, jnp.asarray(1.1)))
    assert float(invert(losses, jnp.asarray(0.2))) == np.inf
    for level, first_there in ((1.0, 1), (0.5, 2), (0.25, 4)):
        assert float(invert(losses, jnp.asarray(level))) == pytest.approx(first_there)
    assert np.isnan(invert(losses.at[2].set(jnp.nan), jnp.asarray(0.5)))
    assert np.isnan(invert(losses, jnp.asarray(jnp.nan)))


def test_a_loss_of_zero_is_reached():
    assert float(invert(jnp.array([1.0, 0.1, 0.0]), jnp.asarray(0.0))) == 3


def test_bad_arguments_are_refused():
    assert public is effective_samples
    for losses, first in ((jnp.ones(1), 1), (jnp.ones(3), 0)):
        with pytest.raises(ValueError, match=r"effective_samples: got .*; expected .*; ?leave"):
            effective_samples(losses, 0.5, first_context=first)
