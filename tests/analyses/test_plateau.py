import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analyses.plateau
from analyses.plateau import DECAY_RANGE, plateau_law
from analyses.scaling import binned_log_log_slope

compiled = jax.jit(analyses.plateau.fit_plateau_law, static_argnames="plateau")
fit_plateau_law = functools.partial(compiled, clip=False)
CONTEXT = np.geomspace(10, 1000, 20)
FLOOR = 0.03 * (1 + 0.3 * np.sin(np.arange(20.0)))
on_context = functools.partial(jnp.asarray, CONTEXT)


@settings(deadline=None, max_examples=30)
@given(st.floats(-2, -0.2), st.floats(0.1, 50), st.sampled_from([0.0, 0.003, 0.05]))
def test_a_planted_law_is_recovered_above_a_known_floor(exponent, amplitude, plateau):
    with jax.enable_x64(True):
        loss = FLOOR + amplitude * CONTEXT**exponent + plateau * amplitude
        got = fit_plateau_law(on_context(), jnp.asarray(loss), jnp.asarray(FLOOR))
        assert bool(got.identified)
        assert float(got.exponent) == pytest.approx(exponent, abs=1e-6)
        assert float(got.amplitude) == pytest.approx(amplitude, rel=1e-5)
        assert float(got.plateau) == pytest.approx(plateau * amplitude, abs=1e-7 * amplitude)
        assert float(got.residual_rms) < 1e-7
        np.testing.assert_allclose(plateau_law(on_context(), got, jnp.asarray(FLOOR)), loss, rtol=1e-7)


def wiggly(exponent: float, plateau: float) -> np.ndarray:
    """A law with residuals of a few per cent; single precision, as the rest of these tests."""
    wiggle = 1 + 0.05 * np.random.default_rng(5).normal(size=CONTEXT.size)
    return ((3 * CONTEXT**exponent + plateau) * wiggle).astype(np.float32)


def test_a_floor_that_is_known_is_taken_out_of_the_plateau_and_of_nothing_else():
    loss, zero = jnp.asarray(wiggly(-0.8, 0.08)), jnp.zeros(20)
    bare, known = fit_plateau_law(on_context(), loss, zero), fit_plateau_law(on_context(), loss, zero + 0.03)
    assert float(bare.plateau) - float(known.plateau) == pytest.approx(0.03, abs=1e-5)
    assert float(known.exponent) == pytest.approx(float(bare.exponent), abs=1e-4)
    above = fit_plateau_law(on_context(), loss, zero + 0.2)  # more than the loss at the end
    assert float(above.plateau) == 0


def test_exponents_do_not_depend_on_units():
    loss, zero = jnp.asarray(wiggly(-0.6, 0.02)), jnp.zeros(20)
    one = fit_plateau_law(on_context(), loss, zero + 0.01)
    other = fit_plateau_law(7 * on_context(), 100 * loss, zero + 1)
    assert float(other.exponent) == pytest.approx(float(one.exponent), abs=1e-4)
    assert float(other.plateau) == pytest.approx(100 * float(one.plateau), rel=1e-3)
    assert float(other.amplitude) == pytest.approx(100 * float(one.amplitude) * 7 ** -float(one.exponent), rel=1e-3)
    assert one.exponent.dtype == loss.dtype


def test_the_slope_flattens_at_a_plateau_and_this_exponent_does_not():
    loss, zero = jnp.asarray(wiggly(-0.9, 0.04)), jnp.zeros(20)
    assert float(binned_log_log_slope(on_context(), loss).exponent) > -0.6
    assert float(fit_plateau_law(on_context(), loss, zero).exponent) == pytest.approx(-0.9, abs=0.1)


def test_a_plateau_is_never_negative_and_a_power_law_has_none():
    """ln L concave in ln t asks for a negative plateau; at zero the law is the one without."""
    loss = jnp.asarray((CONTEXT**-0.3 - 0.1).astype(np.float32))
    with_plateau = fit_plateau_law(on_context(), loss, jnp.zeros(20))
    without = fit_plateau_law(on_context(), loss, jnp.zeros(20), plateau=False)
    assert float(with_plateau.plateau) == float(without.plateau) == 0
    assert float(with_plateau.exponent) == pytest.approx(float(without.exponent), abs=1e-4)


def test_what_a_curve_does_not_say_is_nan_or_the_end_of_the_range():
    rising = jnp.asarray((CONTEXT**0.2).astype(np.float32))
    step = jnp.full(20, 0.1).at[0].set(3.0)
    for loss, end in ((rising, -DECAY_RANGE[0]), (step, -DECAY_RANGE[1])):
        got = fit_plateau_law(on_context(), loss, jnp.zeros(20))
        assert not got.identified
        assert np.isnan([got.exponent, got.amplitude, got.plateau]).all()
        assert np.isfinite(got.residual_rms)
        clipped = fit_plateau_law(on_context(), loss, jnp.zeros(20), clip=True)
        assert -DECAY_RANGE[1] <= float(clipped.exponent) <= -DECAY_RANGE[0]
        assert float(clipped.exponent) == pytest.approx(end, rel=0.1)
        np.testing.assert_allclose(clipped.residual_rms, got.residual_rms)
    up = fit_plateau_law(on_context(), rising, jnp.zeros(20), plateau=False)
    assert float(up.exponent) == pytest.approx(0.2, abs=1e-4)
