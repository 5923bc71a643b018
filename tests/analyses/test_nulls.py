from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analyses
from analyses import bhattacharyya_distance, bigram, bin_masses, unigram
from analyses.kernel_conditional import kernel_conditional
from analyses.parroting import parroting
from analyses.polynomial import polynomial_autoregression

autoregression = jax.jit(analyses.autoregression)
moments = jax.jit(analyses.moments, static_argnames="within_bin")

EDGES = jnp.linspace(0.0, 10.0, 101)
sequences = st.lists(st.integers(0, 3), min_size=20, max_size=20)


@settings(deadline=None, max_examples=40)
@given(sequences)
@pytest.mark.parametrize("smoothing", [0.05, 1.0])
def test_rows_are_the_smoothed_frequencies_of_the_past(smoothing, symbols):
    uni, bi = np.exp(count_rows(jnp.array(symbols), smoothing))
    for t in range(len(symbols)):
        past = symbols[:t]
        counts = np.array([past.count(j) for j in range(4)]) + smoothing
        np.testing.assert_allclose(uni[t], counts / counts.sum(), rtol=1e-5)
        pairs = list(pairwise(past))
        counts = np.array([pairs.count((symbols[t - 1], j)) if t else 0 for j in range(4)]) + smoothing
        np.testing.assert_allclose(bi[t], counts / counts.sum(), rtol=1e-5)


@partial(jax.jit, static_argnums=1)
def count_rows(symbols, smoothing):
    return jnp.stack([predictor(symbols, 4, smoothing=smoothing) for predictor in (unigram, bigram)])


PREDICTORS = [
    jax.jit(lambda codes: unigram(codes, 100, smoothing=0.05)),
    jax.jit(lambda codes: bigram(codes, 100, smoothing=0.05)),
    jax.jit(lambda codes: autoregression(EDGES[codes] + 0.05, EDGES)),
]
SMOOTHERS = [
    jax.jit(lambda codes: polynomial_autoregression(EDGES[codes] + 0.05, EDGES, 2)),
    jax.jit(lambda codes: kernel_conditional(codes, EDGES)),
    jax.jit(lambda codes: parroting(codes, EDGES, depth=2)),
]


@pytest.mark.parametrize("predictor", PREDICTORS + SMOOTHERS)
@settings(deadline=None, max_examples=20)
@given(st.data())
def test_no_row_sees_its_own_item_or_the_future(predictor, data):
    codes = np.array(data.draw(st.lists(st.integers(0, 99), min_size=12, max_size=12)))
    t = data.draw(st.integers(0, 11))
    changed = codes.copy()
    changed[t:] = data.draw(st.lists(st.integers(0, 99), min_size=12 - t, max_size=12 - t))
    before, after = predictor(jnp.array(codes)), predictor(jnp.array(changed))
    np.testing.assert_array_equal(before[: t + 1], after[: t + 1])


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("length", [1, 4, 5])
def test_every_row_is_a_law(predictor, length):
    codes = jax.random.randint(jax.random.key(length), (length,), 0, 100)
    rows = predictor(codes)
    assert rows.shape == (length, 100)
    np.testing.assert_allclose(jnp.sum(jnp.exp(rows), axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(jnp.exp(rows[0]), 0.01, rtol=1e-4)


@pytest.mark.parametrize("predictor", SMOOTHERS)
def test_the_shortest_series_have_a_row_an_item(predictor):
    for length in (1, 2, 3, 4, 5):
        assert jax.eval_shape(predictor, jax.ShapeDtypeStruct((length,), jnp.int32)).shape == (length, 100)


def test_counts_approach_the_truth_of_a_chain():
    transition = np.array([[0.8, 0.1, 0.1], [0.1, 0.2, 0.7], [0.4, 0.5, 0.1]])
    rng = np.random.default_rng(0)
    symbols = [0]
    for _ in range(1999):
        symbols.append(int(rng.choice(3, p=transition[symbols[-1]])))
    rows = bigram(jnp.array(symbols), 3)
    truth = jnp.asarray(transition[np.array(symbols)[:-1]], jnp.float32)
    distance = jax.vmap(bhattacharyya_distance)(rows[1:], truth)
    assert float(jnp.mean(distance[1500:])) < 1e-3
    blind = jax.vmap(bhattacharyya_distance)(unigram(jnp.array(symbols), 3)[1:], truth)
    assert float(jnp.mean(blind[1500:])) > 0.02


def test_autoregression_is_least_squares_on_the_past():
    values = 5 + np.cumsum(np.random.default_rng(1).normal(0, 0.3, 60))
    fine = jnp.linspace(-20.0, 30.0, 1001)
    rows = autoregression(jnp.asarray(values, jnp.float32), fine)
    for t in (4, 5, 20, 59):
        x, y = values[: t - 1], values[1:t]
        slope, intercept = np.polyfit(x, y, 1)
        variance = np.sum((y - intercept - slope * x) ** 2) / (t - 3)
        got = moments(rows[t], fine)
        assert float(got.mean) == pytest.approx(intercept + slope * values[t - 1], abs=2e-3)
        assert float(got.variance) == pytest.approx(max(variance, 0.05**2 / 12) + 0.05**2 / 12, rel=0.02)


def test_autoregression_is_never_sharper_than_the_grid_and_survives_a_constant_past():
    line = jnp.asarray(1.0 + 0.05 * np.arange(60), jnp.float32)
    for values in (line, jnp.full(60, 3.14)):
        rows = autoregression(values, EDGES)
        assert np.all(np.isfinite(rows))
        sharpest = moments(rows[-1], EDGES)
        assert float(sharpest.mean) == pytest.approx(float(values[-1]), abs=0.1)


@pytest.mark.once
def test_every_null_learns_its_own_model_class():
    """x_t = 5 + 0.9 (x − 5) + 0.36 ε: the line reaches its floor, the histogram only the stationary law."""
    rng = np.random.default_rng(2)
    values = [5.0]
    for _ in range(799):
        values.append(5 + 0.9 * (values[-1] - 5) + 0.36 * rng.normal())
    series = jnp.asarray(values, jnp.float32)

    def truth_of(x):
        return bin_masses(lambda u: jax.scipy.stats.norm.cdf(u, 5 + 0.9 * (x - 5), 0.36), EDGES).mass

    truth = jax.vmap(truth_of)(series[:-1])
    codes = jnp.floor(series * 10).astype(jnp.int32)
    line = jax.vmap(bhattacharyya_distance)(autoregression(series, EDGES)[1:], truth)
    histogram = jax.vmap(bhattacharyya_distance)(unigram(codes, 100, smoothing=0.05)[1:], truth)
    assert float(jnp.mean(line[500:])) < 0.01
    assert float(jnp.mean(histogram[500:])) > 0.1


@pytest.mark.parametrize("predictor", [unigram, bigram])
def test_smoothing_must_be_positive(predictor):
    with pytest.raises(ValueError, match=r"got .*expected .*; use"):
        predictor(jnp.array([0, 1]), 2, smoothing=0.0)


def test_published_counting_losses_are_reproduced(reference):
    """The files score the law of the next state at index t; here that law is row t + 1."""
    file = reference("markov_chain_n4_13b")
    states = jnp.asarray(file["states"][0], jnp.int32)
    truth = jnp.asarray(file["true_next_prob"][0], jnp.float32)[:-1]
    for predictor, name in ((unigram, "bt_unigram"), (bigram, "bt_bigram")):
        got = jax.vmap(bhattacharyya_distance)(predictor(states, 4)[1:], truth)
        np.testing.assert_allclose(got, file[name][0][:-1], atol=2e-6)


def test_nulls_on_the_published_noisy_logistic_map(reference):
    """The specification's table, contexts near 985: unigram .998, bigram .238, one line 1.09."""
    file = reference("noisy_logistic_map")
    codes = jnp.asarray(file["digits"], jnp.int32)
    edges = EDGES
    late = slice(970, 1000)

    def losses(codes, mean, sd):
        truth = jax.vmap(lambda m, s: bin_masses(lambda u: jax.scipy.stats.norm.cdf(u, m, s), edges).mass)(
            mean[late], sd[late]
        )
        laws = (
            unigram(codes, 100, smoothing=0.05),
            bigram(codes, 100, smoothing=0.05),
            autoregression(edges[codes] + 0.05, edges),
        )
        return [jnp.mean(jax.vmap(bhattacharyya_distance)(law[late], truth)) for law in laws]

    arrays = [jnp.asarray(file[name], jnp.float32) for name in ("true_mean", "true_sigma")]
    got = [float(jnp.mean(v)) for v in jax.jit(jax.vmap(losses))(codes, *arrays)]
    np.testing.assert_allclose(got, [0.998, 0.238, 1.09], atol=0.03)
