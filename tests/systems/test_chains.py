"""Markov chains: transition counts, and the laws of random rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from systems import MarkovChain, dirichlet_rows, uniform_rows


def p_value_of_counts(counts, law):
    """Chi-square test of each row of counts against its law, pooling cells expected less than five times."""
    statistic = degrees = 0
    for observed, row in zip(counts, law, strict=True):
        expected = observed.sum() * row
        rare = expected < 5
        observed, expected = (np.append(c[~rare], c[rare].sum()) for c in (observed, expected))
        observed, expected = observed[expected > 0], expected[expected > 0]
        statistic += ((observed - expected) ** 2 / expected).sum()
        degrees += len(expected) - 1
    return stats.chi2.sf(statistic, degrees)


@pytest.mark.parametrize("rows", [uniform_rows, lambda key, n: dirichlet_rows(key, n, 0.3)])
def test_transitions_follow_the_rows_whatever_came_before(rows):
    chain = MarkovChain(rows(jax.random.key(2), 4))
    symbols = np.asarray(chain.sample(jax.random.key(0), 20_000).observed)
    law = np.asarray(jax.vmap(chain.transition_row)(jnp.arange(4)[:, None]), np.float64)
    pairs = np.zeros((4, 4))
    np.add.at(pairs, (symbols[:-1], symbols[1:]), 1)
    assert p_value_of_counts(pairs, law) > 0.01
    triples = np.zeros((4, 4, 4))
    np.add.at(triples, (symbols[:-2], symbols[1:-1], symbols[2:]), 1)
    assert p_value_of_counts(triples.reshape(16, 4), np.tile(law, (4, 1))) > 0.01


def test_long_run_frequencies_are_stationary_and_sure_steps_are_sure():
    cycle = MarkovChain(jnp.roll(jnp.eye(5), 1, axis=1), start=2)
    assert cycle.sample(jax.random.key(0), 7).observed.tolist() == [2, 3, 4, 0, 1, 2, 3]
    flip = MarkovChain(jnp.array([[0.9, 0.1], [0.3, 0.7]]))
    share = flip.sample(jax.random.key(1), 20_000).observed.mean()
    assert share == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 * 4 / 20_000))


def test_random_rows_have_their_moments():
    keys = jax.random.split(jax.random.key(0), 1000)
    n, concentration = 6, 0.3
    drawn, two = jax.jit(jax.vmap(lambda key: (dirichlet_rows(key, n, concentration), uniform_rows(key, 2)[0, 0])))(
        keys
    )
    drawn, two = np.asarray(drawn), np.asarray(two)
    assert (drawn >= 0).all()
    np.testing.assert_allclose(drawn.sum(-1), 1, atol=1e-5)
    variance = (1 / n) * (1 - 1 / n) / (n * concentration + 1)
    np.testing.assert_allclose(drawn.mean((0, 1)), 1 / n, atol=4 * np.sqrt(variance / (1000 * n)))
    np.testing.assert_allclose(drawn.var(), variance, rtol=0.1)
    # U / (U + V) has distribution function q / (2 (1 - q)) up to one half, and is symmetric about it.
    half = np.minimum(two, 1 - two)
    assert stats.kstest(half, lambda q: q / (1 - q)).pvalue > 0.01


def test_refuses_what_is_not_a_law():
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        MarkovChain(jnp.ones((2, 3)))
    for rows in ([[0.5, 0.4], [0.5, 0.5]], [[1.5, -0.5], [0.5, 0.5]]):
        with pytest.raises(ValueError, match="non-negative rows that sum to 1"):
            MarkovChain(jnp.array(rows))
