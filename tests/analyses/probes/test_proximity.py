import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses.probes.geography import great_circle_km
from analyses.probes.proximity import proximity_error, proximity_error_line

pytestmark = pytest.mark.slow  # one interpreter is enough: compiling them is dear


def between(a, b):
    return jnp.abs(a - b)[0]


in_blocks = jax.jit(proximity_error, static_argnames=("distance", "block", "strict"))
on_a_line = jax.jit(proximity_error_line, static_argnames="strict")
of_years = functools.partial(in_blocks, distance=between, block=4)
of_places = functools.partial(in_blocks, distance=great_circle_km, block=64)


def by_hand(true, predicted, chosen, strict):
    """The definition, one pair at a time."""
    found = []
    for i in range(len(true)):
        others = [j for j in np.flatnonzero(chosen) if j != i]
        own = abs(true[i] - predicted[i])
        credit = [(abs(true[i] - predicted[j]) < own) for j in others]
        if strict:
            found.append(sum(credit) / max(chosen.sum(), 1) if chosen.any() else np.nan)
            continue
        ties = [(abs(true[i] - predicted[j]) == own) for j in others]
        found.append((sum(credit) + 0.5 * sum(ties)) / len(others) if others else np.nan)
    return found


numbers = st.lists(st.integers(-6, 6), min_size=9, max_size=9)


@settings(max_examples=30, deadline=None)
@given(numbers, numbers, st.lists(st.booleans(), min_size=9, max_size=9), st.booleans())
def test_both_ways_count_as_the_definition_does(true, predicted, chosen, strict):
    """Whole numbers have many ties, among them those across the mirror."""
    t, p, w = np.array(true, np.float32), np.array(predicted, np.float32), np.array(chosen)
    expected = by_hand(t, p, w, strict)
    t, p, w = jnp.asarray(t), jnp.asarray(p), jnp.asarray(w)
    np.testing.assert_allclose(on_a_line(t, p, w, strict=strict), expected)
    np.testing.assert_allclose(of_years(t[:, None], p[:, None], w, strict=strict), expected)


def test_perfect_is_zero_constant_is_half_and_the_published_count_calls_both_perfect():
    """301 is not a multiple of the block, nor of a vector register: ties must hold to the last digit."""
    place = jax.random.uniform(jax.random.key(0), (301, 2), minval=-80, maxval=80)
    same = jnp.broadcast_to(jnp.array([12.3, 45.6]), place.shape)
    np.testing.assert_array_equal(of_places(place, place), 0)
    np.testing.assert_array_equal(of_places(place, same), 0.5)
    np.testing.assert_array_equal(on_a_line(place[:, 0], same[:, 0]), 0.5)
    np.testing.assert_array_equal(of_places(place, same, strict=True), 0)
    np.testing.assert_array_equal(on_a_line(place[:, 0], same[:, 0], strict=True), 0)


def test_independent_predictions_have_half_on_average():
    true, predicted = jax.random.normal(jax.random.key(1), (2, 4000))
    assert float(jnp.mean(on_a_line(true, predicted))) == pytest.approx(0.5, abs=0.02)
    place, guess = jax.random.uniform(jax.random.key(2), (2, 400, 2), minval=-80, maxval=80)
    assert float(jnp.mean(of_places(place, guess))) == pytest.approx(0.5, abs=0.05)


def test_the_order_of_the_distance_is_all_that_counts():
    place, guess = jax.random.uniform(jax.random.key(3), (2, 100, 2), minval=-80, maxval=80)
    squared = functools.partial(in_blocks, distance=lambda a, b: great_circle_km(a, b) ** 2)
    np.testing.assert_allclose(of_places(place, guess), squared(place, guess), atol=0.011)


def test_groups_are_compared_among_themselves():
    true, predicted = jax.random.normal(jax.random.key(4), (2, 30))
    predicted = predicted.at[20:].set(jnp.nan)
    weight = jnp.stack((jnp.arange(30) < 10, (jnp.arange(30) >= 10) & (jnp.arange(30) < 20)))
    found = jax.vmap(on_a_line, in_axes=(None, None, 0))(true, predicted, weight)
    same = jax.vmap(lambda some: of_years(true[:, None], predicted[:, None], some))(weight)
    np.testing.assert_allclose(found, same)
    np.testing.assert_allclose(found[0, :10], on_a_line(true[:10], predicted[:10]))
    np.testing.assert_allclose(found[1, 10:20], on_a_line(true[10:20], predicted[10:20]))
    assert np.isnan(found[:, 20:]).all()


def test_a_row_that_counts_twice_ties_with_its_double():
    true, predicted = jax.random.normal(jax.random.key(5), (2, 8))
    times = jnp.array([1.0, 2.0, 1.0, 3.0, 1.0, 1.0, 2.0, 1.0])
    rows = np.repeat(np.arange(8), np.asarray(times, int))
    expected = np.asarray(on_a_line(true[rows], predicted[rows]))
    np.testing.assert_allclose(np.asarray(on_a_line(true, predicted, times))[rows], expected)


def test_a_row_alone_has_no_error_and_a_block_needs_a_row():
    one = jnp.ones((1, 1))
    assert np.isnan(of_years(one, one)).all()
    assert np.isnan(on_a_line(one[0], one[0])).all()
    with pytest.raises(ValueError, match="got block 0"):
        proximity_error(one, one, distance=between, block=0)
