import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from analyses import moments, unigram
from analyses.parroting import parrot_source, parroting

sources = jax.jit(parrot_source, static_argnums=1)
laws = jax.jit(parroting, static_argnames="depth")

EDGES = jnp.linspace(0.0, 10.0, 101)
LENGTH = 300


def losses(codes, depth=1):
    """−ln of the mass given to what came, nats per item."""
    codes = jnp.asarray(codes, jnp.int32)
    return -np.asarray(jnp.take_along_axis(laws(codes, EDGES, depth=depth), codes[:, None], axis=1))[:, 0]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 6), min_size=15, max_size=15), st.integers(1, 3))
def test_the_source_is_the_successor_of_the_nearest_latest_gram(codes, depth):
    found = sources(jnp.asarray(codes, jnp.int32), depth)
    for t in range(15):
        best, where = np.inf, -1
        for i in range(depth, t):
            far = sum((codes[t - k] - codes[i - k]) ** 2 for k in range(1, depth + 1))
            if far <= best:
                best, where = far, i
        assert found[t] == where


@pytest.mark.parametrize("depth", [1, 2])
def test_a_repeating_series_becomes_certain(depth):
    loss = losses(np.resize([20, 71, 44], LENGTH), depth)
    assert np.all(np.diff(loss[depth + 3 :]) <= 1e-6)
    assert loss[-1] < 0.03


def test_two_values_tell_apart_what_one_cannot():
    """x' = 2 cos(0.7) x − x_before: each value comes on the way up and on the way down."""
    codes = np.floor(50 + 35 * np.cos(0.7 * np.arange(LENGTH) + 0.3))
    assert losses(codes, 2)[150:].mean() < losses(codes, 1)[150:].mean() - 1


def test_the_spread_of_the_copies_is_learned():
    """Four levels with normal noise: a copy errs by √2 of it. Hardly worse than the best normal law in hindsight."""
    rng = np.random.default_rng(0)
    codes = np.round(np.resize([10, 35, 60, 85], LENGTH) + rng.normal(0, 2, LENGTH)).astype(int)
    copied = codes[np.asarray(sources(jnp.asarray(codes, jnp.int32), 1))]
    miss = (codes - copied)[100:]
    masses = [np.diff(norm.cdf([[-0.5], [0.5]], -miss, sd), axis=0) for sd in np.linspace(2, 10, 50)]
    best = min(-np.log(mass).mean() for mass in masses)
    assert losses(codes)[100:].mean() == pytest.approx(best, abs=0.08)


def test_errors_with_a_heavy_tail_get_a_law_with_one():
    """Mostly exact, one in ten anywhere: 0.1·ln(…) is lost to the tail and no normal law can say both."""
    rng = np.random.default_rng(1)
    strays = rng.random(LENGTH) < 0.1
    codes = np.where(strays, rng.integers(0, 100, LENGTH), np.resize([20, 71], LENGTH))
    # After a stray the copy is a stray's successor, so a fifth of the items is foretold badly.
    copied = codes[np.asarray(sources(jnp.asarray(codes, jnp.int32), 1))]
    right = (codes == copied)[100:].mean()
    ideal = -right * np.log(right) - (1 - right) * np.log((1 - right) / 99)
    assert losses(codes)[100:].mean() < ideal + 0.15


def test_where_there_is_nothing_to_copy_counting_is_better():
    """Independent items: the copy errs by √2 of their spread, and the law must know it."""
    codes = np.floor(np.clip(50 + 10 * np.random.default_rng(2).normal(size=LENGTH), 0, 99)).astype(int)
    counts = jax.jit(lambda symbols: unigram(symbols, 100, smoothing=0.5))(jnp.asarray(codes))
    of_counts = -np.asarray(jnp.take_along_axis(counts, jnp.asarray(codes)[:, None], axis=1))[:, 0]
    found = losses(codes)[150:].mean()
    assert of_counts[150:].mean() < found
    assert found < np.log(100)  # but the spread is learned: better than knowing nothing
    law = jax.jit(moments)(laws(jnp.asarray(codes, jnp.int32), EDGES)[-1], EDGES)
    assert 0.9 < float(jnp.sqrt(law.variance)) < 2.2  # √2, in units of ten cells


def test_a_gram_has_a_value():
    with pytest.raises(ValueError, match=r"got .*expected .*; use"):
        parroting(jnp.arange(5), EDGES, depth=0)


@pytest.mark.parametrize(("depth", "published"), [(1, (0.684, 0.084, 0.077)), (2, (1.36, 0.081, 0.064))])
def test_published_copies_of_the_logistic_map_are_reproduced(reference, depth, published):
    """The specification's table: mean deviation of the copied value near contexts 10, 200 and 985."""
    file = reference("logistic_map")
    kept = file["keep_index"]
    codes, truth = file["digits"][kept].astype(np.int32), file["true_mean"][kept]
    source = np.asarray(jax.jit(jax.vmap(lambda row: parrot_source(row, depth)))(codes))
    deviation = np.abs(np.take_along_axis(codes, source, axis=1) / 10 + 0.05 - truth)
    found = [deviation[:, rows].mean() for rows in (slice(5, 16), slice(170, 231), slice(970, 1000))]
    np.testing.assert_allclose(found, published, rtol=0.05)
