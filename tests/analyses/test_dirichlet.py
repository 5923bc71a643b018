"""The chain's observer against integrals over its unknown rows."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import gammaln

import analyses.dirichlet
from analyses.dirichlet import dirichlet_predictive


@partial(jax.jit, static_argnums=(1, 2))
def predictive(symbols, num_symbols, concentration):
    return dirichlet_predictive(symbols, num_symbols, concentration=concentration)


def log_evidence(symbols, num_symbols, concentration):
    """ln ∫ Π P[s_{i−1}, s_i] Dirichlet(dP), row by row in gamma functions."""
    counts = np.zeros((num_symbols, num_symbols))
    np.add.at(counts, (symbols[:-1], symbols[1:]), 1)
    a, total = concentration, num_symbols * concentration
    rows = gammaln(total) - gammaln(total + counts.sum(1)) + (gammaln(a + counts) - gammaln(a)).sum(1)
    return rows.sum()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 2), min_size=15, max_size=15))
@pytest.mark.parametrize("concentration", [0.3, 1.0])
def test_rows_are_ratios_of_evidence(concentration, symbols):
    rows = predictive(jnp.array(symbols), 3, concentration)
    for t in range(1, 15):
        for j in range(3):
            extended = np.array([*symbols[:t], j])
            ratio = log_evidence(extended, 3, concentration) - log_evidence(extended[:-1], 3, concentration)
            assert float(rows[t, j]) == pytest.approx(ratio, abs=1e-5)


def test_two_symbols_are_a_beta_integral():
    symbols, c = np.array([0, 1, 0, 0, 1, 1, 0, 0, 0]), 0.7
    row = np.exp(predictive(jnp.asarray(symbols), 2, c))[-1]  # after a 0; of the four pairs from 0, two went to 0

    def moment(power):
        return integrate.quad(lambda p: p ** (2 + power + c - 1) * (1 - p) ** (2 + c - 1), 0, 1)[0]

    assert row[0] == pytest.approx(moment(1) / moment(0), abs=1e-6)


def chains(rng, transition, time):
    """Paths of many chains at once; ``transition`` is [series, n, n]."""
    symbols = np.zeros((len(transition), time), int)
    for t in range(1, time):
        rows = transition[np.arange(len(transition)), symbols[:, t - 1]]
        symbols[:, t] = (rng.uniform(size=(len(rows), 1)) > rows.cumsum(1)[:, :-1]).sum(1)
    return symbols


def test_an_observer_of_its_own_prior_is_calibrated_and_another_is_not():
    """Randomised P(S < s) + U P(S = s) is uniform when rows are drawn with the observer's concentration."""
    rng, time = np.random.default_rng(0), 30
    symbols = chains(rng, rng.dirichlet(np.full(3, 0.3), (800, 3)), time)
    pits = []
    for concentration in (0.3, 5.0):
        mass = np.exp(jax.vmap(lambda row, c=concentration: predictive(row, 3, c))(jnp.asarray(symbols)))
        own = np.take_along_axis(mass, symbols[..., None], axis=2)[..., 0]
        below = (np.cumsum(mass, axis=2) - mass)[np.arange(800)[:, None], np.arange(time), symbols]
        pits.append((below + rng.uniform(size=own.shape) * own)[:, 1:])
    assert stats.kstest(pits[0].ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(pits[1].ravel(), "uniform").pvalue < 1e-6


@pytest.mark.slow
def test_every_free_probability_costs_half_a_logarithm():
    """Total regret of a known chain's observer grows as n(n − 1)/2 · ln T."""
    rng, num, ends = np.random.default_rng(1), 800, (200, 800)
    transition = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.3, 0.2, 0.5]])
    symbols = chains(rng, np.broadcast_to(transition, (num, 3, 3)), ends[1])
    laws = jax.jit(lambda s: jax.lax.map(lambda row: dirichlet_predictive(row, 3), s, batch_size=8))
    own = np.take_along_axis(np.asarray(laws(jnp.asarray(symbols))), symbols[..., None], axis=2)[:, 1:, 0]
    truth = np.log(transition[symbols[:, :-1], symbols[:, 1:]])
    total = (truth - own)[:, ends[0] - 1 :].sum(axis=1)
    error = 4 * total.std() / np.sqrt(num)
    assert total.mean() == pytest.approx(3 * np.log(ends[1] / ends[0]), abs=error + 0.1)
    assert error < 0.4


def test_a_prior_needs_weight():
    with pytest.raises(ValueError, match=r"got concentration 0.0; expected .*; use"):
        analyses.dirichlet.dirichlet_predictive(jnp.array([0, 1]), 2, concentration=0.0)
