"""Two straight pieces: planted ones are found, with the coverage promised; a straight line has no transition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses.graphs import transition
from analyses.graphs.transition import bootstrap_transition, pre_saturation, two_segments

CONTEXT = jnp.geomspace(5.0, 500.0, 30)


def planted(break_at, before, after, intercept=0.1, context=CONTEXT):
    u = np.log(np.asarray(context, float))
    return intercept + before * u + (after - before) * np.maximum(0, u - np.log(break_at))


@settings(max_examples=30, deadline=None)
@given(st.floats(15, 150), st.floats(-0.2, 0.2), st.floats(0.2, 0.6), st.booleans())
def test_planted_pieces_are_found(break_at, slope, bend, down):
    after = slope - bend if down else slope + bend
    fit = two_segments(CONTEXT, jnp.asarray(planted(break_at, slope, after), jnp.float32))
    # Breaks are tried in steps of 1.9 %.
    assert float(fit.break_at) == pytest.approx(break_at, rel=0.02)
    np.testing.assert_allclose([fit.before, fit.after], [slope, after], atol=0.01)
    assert float(fit.intercept) == pytest.approx(0.1, abs=0.05)
    assert bool(fit.is_transition) == (not down)
    assert fit.gain > 0.99
    assert fit.residual < 2e-3


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 10), st.floats(-3, 3), st.integers(0, 5))
def test_units_of_the_curve_and_of_the_context_do_not_matter(scale, shift, seed):
    noise = 0.05 * np.random.default_rng(seed).normal(size=30)
    curve = jnp.asarray(planted(40, 0.05, 0.3) + noise, jnp.float32)
    fit, other = two_segments(CONTEXT, curve), two_segments(3 * CONTEXT, scale * curve + shift)
    np.testing.assert_allclose(other.break_at, 3 * fit.break_at, rtol=0.04)
    np.testing.assert_allclose(other.gain, fit.gain, atol=1e-3)
    np.testing.assert_allclose(
        [other.before, other.after], scale * jnp.stack((fit.before, fit.after)), atol=0.02 * scale
    )
    assert bool(other.is_transition) == bool(fit.is_transition)


def test_the_residual_is_that_of_numpy_at_the_best_break():
    curve = jnp.asarray(planted(40, 0.1, 0.3) + 0.1 * np.random.default_rng(0).normal(size=30), jnp.float32)
    fit = two_segments(CONTEXT, curve, 50)
    u = np.log(np.asarray(CONTEXT, float))
    left = []
    for u0 in np.linspace(u[2], u[-3], 50):
        basis = np.stack((np.ones(30), u, np.maximum(0, u - u0)), axis=1)
        weights, squares, _, _ = np.linalg.lstsq(basis, np.asarray(curve, float))
        left.append((squares[0], u0, *weights))
    squares, u0, a, b, c = min(left)
    np.testing.assert_allclose(fit.residual, np.sqrt(squares / 30), rtol=1e-4)
    np.testing.assert_allclose(
        [np.log(fit.break_at), fit.intercept, fit.before, fit.after], [u0, a, b, b + c], rtol=1e-3
    )
    straight = np.linalg.lstsq(np.stack((np.ones(30), u), axis=1), np.asarray(curve, float))[1][0]
    np.testing.assert_allclose(fit.gain, 1 - squares / straight, rtol=1e-3)


def test_a_straight_line_is_no_transition():
    """With errors it is one 5 times in a hundred; without, never, though rounding bends it."""
    noise = jax.random.normal(jax.random.key(0), (1000, 30))
    fits = jax.vmap(two_segments, in_axes=(None, 0, None))(CONTEXT, 0.2 * jnp.log(CONTEXT) + noise, 60)
    assert float(jnp.mean(fits.is_transition)) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 1000))
    assert 0.4 < float(jnp.mean(fits.after > fits.before)) < 0.6
    for slope, level in ((0.2, 0.0), (-1.3, 40.0), (0.0, 0.1)):
        assert not two_segments(CONTEXT, level + slope * jnp.log(CONTEXT)).is_transition


def curves_with_a_break(key, walks, noise=0.04):
    """Each walk has its own break, about 40, beside its errors."""
    one, two = jax.random.split(key)
    own = jnp.log(40.0) + 0.2 * jax.random.normal(one, (walks, 1))
    u = jnp.log(CONTEXT)
    curves = 0.05 * u + 0.3 * jnp.maximum(0, u - own)
    return curves + noise * jax.random.normal(two, curves.shape)


@pytest.mark.slow
@pytest.mark.parametrize("walks", [4, 12])
def test_the_interval_covers_a_planted_break_as_often_as_it_says(walks):
    trials = 200

    @jax.jit
    def trial(key):
        data, draw = jax.random.split(key)
        found = bootstrap_transition(draw, CONTEXT, curves_with_a_break(data, walks), 100, 60)
        return found.low, found.high

    low, high = jax.lax.map(trial, jax.random.split(jax.random.key(0), trials))
    # A break of the mean curve is rounded by the spread of breaks; its place stays within one step of 40.
    covered = float(np.mean((low <= 40 * 1.03) & (high >= 40 / 1.03)))
    assert 0.95 - 4 * np.sqrt(0.95 * 0.05 / trials) <= covered
    assert float(jnp.median(high / low)) < (4 if walks == 4 else 1.8)


def test_the_interval_holds_the_estimate_and_is_the_same_for_the_same_key():
    curves = curves_with_a_break(jax.random.key(1), 8)
    found = bootstrap_transition(jax.random.key(0), CONTEXT, curves, 50, 40)
    assert CONTEXT[0] <= found.low <= found.estimate.break_at <= found.high <= CONTEXT[-1]
    assert found.share_rising == 1
    programs = transition._interval._cache_size()
    again = bootstrap_transition(jax.random.key(0), CONTEXT, curves, 50, 40)
    assert transition._interval._cache_size() == programs
    jax.tree.map(np.testing.assert_array_equal, found, again)
    falling = bootstrap_transition(jax.random.key(0), CONTEXT, -curves, 50, 40)
    assert falling.share_rising == 0
    assert not falling.estimate.is_transition


def test_the_window_ends_where_the_curve_first_reaches_its_level():
    curve = jnp.array([0.5, 0.1, 0.1, 0.3, 0.6, 0.85, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert int(pre_saturation(curve).sum()) == 8  # up to the first 1.0 > 0.1 + 0.9 * 0.9 = 0.91
    assert int(pre_saturation(curve, 0.5).sum()) == 5
    assert int(pre_saturation(curve, 0.9, 1).sum()) == 8
    kept = pre_saturation(curve)
    assert (np.diff(np.asarray(kept).astype(int)) <= 0).all()
    assert bool(pre_saturation(jnp.linspace(1, 0, 10))[-1])
    np.testing.assert_array_equal(pre_saturation(2 * curve + 3), kept)


def test_a_knee_of_saturation_is_not_taken_for_the_transition():
    """Fitted to the end the knee wins; within the window the transition does."""
    u = np.log(np.asarray(CONTEXT, float))
    curve = 0.05 * u + 0.3 * np.maximum(0, u - np.log(20)) - 0.33 * np.maximum(0, u - np.log(80))
    curve = jnp.asarray(curve, jnp.float32)
    assert float(two_segments(CONTEXT, curve).break_at) > 50
    inside = np.asarray(pre_saturation(curve))
    fit = two_segments(CONTEXT[inside], curve[inside])
    assert float(fit.break_at) == pytest.approx(20, rel=0.1)
    assert fit.is_transition


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match=r"Got 5 points\. Expected 6"):
        two_segments(CONTEXT[:5], CONTEXT[:5])
    for context in (CONTEXT[::-1], CONTEXT - 5):
        with pytest.raises(ValueError, match="do not ascend from above 0"):
            two_segments(context, CONTEXT)
    with pytest.raises(ValueError, match="Got 1 walk"):
        bootstrap_transition(jax.random.key(0), CONTEXT, CONTEXT[None])
    for bad in (dict(share=0.0), dict(share=1.1), dict(final=0), dict(final=31)):
        with pytest.raises(ValueError, match="Expected a share in"):
            pre_saturation(CONTEXT, **bad)
