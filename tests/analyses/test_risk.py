import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import analyses
from analyses import bigram, safe_log
from analyses.risk import (
    counting_risk,
    counting_risk_limit,
    counting_rows,
    empirical_rows,
    transition_counts,
)

CHAIN = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.4, 0.4, 0.2]])
markov_risk = jax.jit(analyses.markov_risk)
stationary_law = jax.jit(analyses.stationary_law)
spectral_gap = jax.jit(analyses.spectral_gap)
mixing_time = jax.jit(analyses.mixing_time, static_argnames="threshold")
seeds = st.integers(0, 10_000)


def single(x):
    return jnp.asarray(x, jnp.float32)


def walk(transition, num_steps, seed):
    """One path, by inverse transform in numpy."""
    cumulative, uniform = np.cumsum(transition, axis=1), np.random.default_rng(seed).uniform(size=num_steps)
    path = [0]
    for u in uniform[1:]:
        path.append(int(np.sum(u >= cumulative[path[-1], :-1])))
    return np.array(path)


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_the_stationary_law_is_left_alone_by_the_chain(seed):
    transition = np.random.default_rng(seed).dirichlet(np.full(4, 0.5), size=4)
    law = np.asarray(stationary_law(single(transition)), np.float64)
    np.testing.assert_allclose(law @ transition, law, atol=1e-5)
    assert law.sum() == pytest.approx(1, abs=1e-5)
    assert law.min() >= 0


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_the_gap_is_that_of_the_eigenvalues_and_the_mixing_time_that_of_the_powers(seed):
    transition = np.random.default_rng(seed).dirichlet(np.full(4, 0.5), size=4) * 0.95 + 0.05 / 4
    moduli = np.sort(np.abs(np.linalg.eigvals(transition)))
    assert float(spectral_gap(single(transition))) == pytest.approx(1 - moduli[-2], abs=1e-4)
    law = np.linalg.matrix_power(transition, 10_000)[0]
    steps = int(mixing_time(single(transition), threshold=0.25))

    def far(t):
        return np.max(0.5 * np.abs(np.linalg.matrix_power(transition, t) - law).sum(1))

    assert far(steps) <= 0.25 + 1e-5
    assert steps == 1 or far(steps - 1) > 0.25 - 1e-5


def test_chains_at_the_extremes():
    rows_alike = single(np.tile([0.2, 0.3, 0.5], (3, 1)))
    assert float(spectral_gap(rows_alike)) == pytest.approx(1, abs=1e-5)
    assert float(mixing_time(rows_alike)) == 1
    cycle = single(np.roll(np.eye(3), 1, axis=1))
    np.testing.assert_allclose(stationary_law(cycle), 1 / 3, rtol=1e-5)
    assert float(spectral_gap(cycle)) == pytest.approx(0, abs=1e-5)
    assert float(mixing_time(cycle)) == np.inf
    np.testing.assert_allclose(
        stationary_law(single([[1.0, 0, 0], [0.5, 0, 0.5], [0.2, 0.8, 0]])), [1, 0, 0], atol=1e-6
    )
    two_classes = single(np.eye(3))
    assert np.all(np.isnan(stationary_law(two_classes)))
    assert np.isnan(mixing_time(two_classes))
    slow = single([[0.999, 0.001, 0.0], [0.0, 0.999, 0.001], [0.001, 0.0, 0.999]])
    assert 500 < float(mixing_time(slow)) < 2000


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_the_risk_is_a_distance_between_matrices(seed):
    rng = np.random.default_rng(seed)
    first, second, third = (single(rng.dirichlet(np.full(3, 0.5), size=3)) for _ in range(3))
    weight = single(rng.dirichlet(np.ones(3)))

    def distance(a, b):
        return float(markov_risk(safe_log(a), b, weight))

    assert distance(first, first) == pytest.approx(0, abs=1e-6)
    assert 0 < distance(first, second) <= 1
    assert distance(first, second) == pytest.approx(distance(second, first), abs=1e-6)
    assert distance(first, third) <= distance(first, second) + distance(second, third) + 1e-6
    apart = safe_log(jnp.eye(3)), single(np.roll(np.eye(3), 1, axis=1))
    assert float(markov_risk(*apart, weight)) == pytest.approx(1, abs=1e-6)


@settings(deadline=None, max_examples=15)
@given(st.lists(st.integers(0, 2), min_size=15, max_size=15), st.integers(0, 15))
def test_counts_are_of_the_pairs_before_the_item(symbols, length):
    expected = np.zeros((3, 3))
    for i in range(1, length):
        expected[symbols[i - 1], symbols[i]] += 1
    counts = count(jnp.asarray(symbols), length)
    np.testing.assert_array_equal(counts, expected)
    changed = [*symbols[:length], *[(s + 1) % 3 for s in symbols[length:]]]
    np.testing.assert_array_equal(counts, count(jnp.asarray(changed), length))
    if length:
        row = counting_rows(counts, smoothing=0.5)[symbols[length - 1]]
        law_of_item = bigrams(jnp.asarray([*symbols[:length], 0] + [0] * (15 - length)))[length]
        np.testing.assert_allclose(row, law_of_item, atol=1e-5)


@jax.jit
def count(symbols, length):
    return transition_counts(symbols, 3, length)


@jax.jit
def bigrams(symbols):
    return bigram(symbols, 3, smoothing=0.5)


def test_rows_that_were_never_left_are_uniform_and_smoothing_is_checked():
    counts = single([[2, 2, 0], [0, 0, 0], [1, 0, 0]])
    rows = np.exp(np.asarray(counting_rows(counts)))
    np.testing.assert_allclose(rows, [[0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(np.exp(counting_rows(counts, smoothing=1.0))[2], [0.5, 0.25, 0.25], rtol=1e-6)
    with pytest.raises(ValueError, match=r"smoothing: got -1.0; expected .*; use"):
        counting_rows(counts, smoothing=-1.0)
    with pytest.raises(ValueError, match=r"got threshold 1.5; expected .*; 0.25 is usual"):
        analyses.mixing_time(counts, threshold=1.5)


learned = jax.jit(lambda laws, symbols, start: empirical_rows(laws, symbols, start=start))


def test_learned_rows_are_group_means_with_their_errors():
    path = walk(CHAIN, 200, 0)
    rng = np.random.default_rng(1)
    laws = rng.dirichlet(np.ones(3), size=200)
    laws[:2] = np.nan
    got = learned(single(np.log(laws)), jnp.asarray(path), 2)
    for symbol in range(3):
        group = laws[2:][path[1:-1] == symbol]
        assert float(got.num_laws[symbol]) == len(group)
        np.testing.assert_allclose(got.rows[symbol], group.mean(0), rtol=1e-4)
        expected = group.std(0, ddof=1) / np.sqrt(len(group))
        np.testing.assert_allclose(got.standard_error[symbol], expected, rtol=1e-3)
    path[195:] = 0, 0, 0, 1, 1
    few = learned(single(np.log(laws)), jnp.asarray(path), 197)
    np.testing.assert_array_equal(few.num_laws, [2, 1, 0])
    np.testing.assert_array_equal(np.isnan(few.rows[:, 0]), [False, False, True])
    np.testing.assert_array_equal(np.isnan(few.standard_error[:, 0]), [False, True, True])


def test_a_predictor_that_knows_the_chain_shows_it():
    path = walk(CHAIN, 200, 2)
    known = np.log(CHAIN)[np.roll(path, 1)]
    got = learned(single(known), jnp.asarray(path), 0)
    assert float(np.sum(got.num_laws)) == 199  # item 0 follows nothing
    np.testing.assert_allclose(got.rows, CHAIN, atol=1e-5)
    np.testing.assert_allclose(got.standard_error, 0, atol=1e-5)
    law = stationary_law(single(CHAIN))
    assert float(markov_risk(safe_log(got.rows), single(CHAIN), law)) < 1e-5


LENGTHS = (50, 100, 200, 400, 800, 1600)


@functools.cache
def simulated_risks():
    """Risk of un-smoothed and add-one counting, [chain, length], over 96 paths of one chain."""
    cumulative = jnp.cumsum(single(CHAIN), axis=1)[:, :-1]

    def path(key):
        def step(state, u):
            following = jnp.sum(u >= cumulative[state]).astype(jnp.int32)
            return following, following

        return jax.lax.scan(step, jnp.zeros((), jnp.int32), jax.random.uniform(key, (LENGTHS[-1],)))[1]

    @jax.jit
    def risks(key):
        symbols, lengths = path(key), jnp.asarray(LENGTHS)
        return jnp.stack([counting_risk(symbols, single(CHAIN), lengths, smoothing=s) for s in (0.0, 1.0)])

    return jnp.moveaxis(jax.jit(jax.vmap(risks))(jax.random.split(jax.random.key(0), 96)), 1, 0)


def test_the_risk_of_counting_approaches_its_limit():
    plain, smoothed = np.asarray(simulated_risks())
    limit = np.asarray(jax.jit(counting_risk_limit)(single(CHAIN), jnp.asarray(LENGTHS)))
    error = plain.std(axis=0) / np.sqrt(96)
    assert np.all(np.abs(plain.mean(axis=0) - limit)[2:] < 3 * error[2:] + 0.01 * limit[2:])
    # Late, one added count does not matter; early it pays for a chain without rare steps.
    assert smoothed.mean(axis=0)[-1] == pytest.approx(limit[-1], rel=0.15)
    assert smoothed.mean(axis=0)[0] < plain.mean(axis=0)[0]


def test_counting_learns_with_slope_minus_one_half():
    """The bootstrap interval over paths holds −½ and not −0.45 or −0.55."""
    plain, _ = simulated_risks()

    curves, rng = np.asarray(plain), np.random.default_rng(0)
    log_length = np.log(LENGTHS)
    drawn = curves[rng.integers(0, 96, (1000, 96))].mean(axis=1)
    slopes = np.polyfit(log_length, np.log(drawn).T, 1)[0]
    low, high = np.quantile(slopes, [0.025, 0.975])
    assert low < -0.5 < high
    assert -0.55 < low < high < -0.45


def test_stationary_law_and_gap_are_differentiable():
    with jax.enable_x64(True):
        chain, towards = jnp.asarray(CHAIN), jnp.asarray([[-0.1, 0.1, 0], [0, 0, 0], [0, 0.2, -0.2]])

        def summary(epsilon):
            moved = chain + epsilon * towards
            return jnp.stack([analyses.stationary_law(moved)[0], analyses.spectral_gap(moved)])

        both = jax.jit(lambda e: jax.jvp(summary, (e,), (jnp.ones_like(e),)))
        ahead, back = (np.asarray(both(jnp.asarray(e))[0]) for e in (1e-5, -1e-5))
        np.testing.assert_allclose(both(jnp.asarray(0.0))[1], (ahead - back) / 2e-5, rtol=1e-4)
