"""The filter against chains whose law given cells is known, against dense integration, and against entropy."""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import ndtr
from scipy import stats

import analyses
from analyses import uniform_cdf
from analyses.cell_filter import averaged_cdf, cell_filter


def doubling(theta, left, right, y):
    """x → 2x mod 1 on [0, 1]; pieces are dyadic, so none straddles ½."""
    shift = jnp.floor(left + right)
    return uniform_cdf(2 * left - shift, 2 * right - shift, y)


def autoregressive(theta, x, y):
    return ndtr((y - theta["slope"] * x) / theta["sd"])


@partial(jax.jit, static_argnames=("cdf", "num_pieces", "leak"))
def run(cdf, hypotheses, log_prior, codes, edges, num_pieces=8, leak=1e-6):
    return cell_filter(cdf, hypotheses, log_prior, codes, edges, num_pieces=num_pieces, leak=leak)


def test_the_doubling_map_tosses_a_fair_coin_between_two_cells():
    edges, leak = jnp.linspace(0.0, 1.0, 9), 1e-3
    codes = np.array([3, 6, 5, 2, 4, 1, 3, 7])
    log_mass = run(doubling, jnp.zeros(1), jnp.zeros(1), jnp.asarray(codes), edges, 2, leak).log_mass
    for t in range(1, 8):
        expected = np.full(8, leak / 8)
        expected[[2 * codes[t - 1] % 8, 2 * codes[t - 1] % 8 + 1]] += (1 - leak) / 2
        np.testing.assert_allclose(np.exp(log_mass[t]), expected, rtol=1e-5)
    np.testing.assert_allclose(np.exp(log_mass[0]), 1 / 8, rtol=1e-6)


AVERAGED = averaged_cdf(autoregressive, 2)
KNOWN = {"slope": jnp.array([0.8]), "sd": jnp.array([0.5])}
COARSE = np.linspace(-4.0, 4.0, 7)


def dense_predictive(codes, edges, points):
    """The same posterior by summing over a dense lattice of values, in numpy."""
    width = edges[1] - edges[0]
    x = edges[0] + (np.arange(points * (len(edges) - 1)) + 0.5) * width / points
    kernel = stats.norm.pdf(x[None], 0.8 * x[:, None], 0.5) * width / points
    to_cells = np.diff(stats.norm.cdf(edges[None], 0.8 * x[:, None], 0.5), axis=1)
    cell, rows = np.arange(len(x)) // points, []
    belief = (cell == codes[0]) / points
    for code in codes[1:]:
        rows.append(belief @ to_cells / (belief @ to_cells).sum())
        belief = (belief @ kernel) * (cell == code)
        belief /= belief.sum()
    return np.array(rows)


@pytest.mark.slow
def test_a_known_chain_in_coarse_cells_is_filtered_exactly_as_pieces_grow():
    codes = np.array([2, 3, 3, 4, 3, 2, 2, 1, 2, 3, 4, 4])
    expected = dense_predictive(codes, COARSE, 300)
    errors = []
    for num_pieces in (8, 16):
        found = run(AVERAGED, KNOWN, jnp.zeros(1), jnp.asarray(codes), jnp.asarray(COARSE, jnp.float32), num_pieces)
        errors.append(np.abs(np.exp(found.log_mass[1:]) - expected).max())
    assert errors[1] < 2e-3
    assert 3.5 < errors[0] / errors[1] < 4.5  # second order in the width of a piece


def test_weights_of_laws_without_memory_are_products_of_likelihoods():
    masses = np.array([[0.5, 0.25, 0.25], [0.1, 0.3, 0.6]])
    edges, leak = jnp.array([0.0, 1.0, 2.0, 3.0]), 1e-2
    levels = jnp.asarray(np.concatenate([np.zeros((2, 1)), masses.cumsum(1)], axis=1), jnp.float32)
    cdf = lambda level, left, right, y: jnp.interp(y, edges, level)  # noqa: E731
    codes, prior = np.array([0, 2, 2, 1, 2, 0]), np.array([0.7, 0.3])
    found = run(cdf, levels, jnp.log(prior), jnp.asarray(codes), edges, 3, leak)
    leaked = (1 - leak) * masses + leak / 3
    for t in range(1, 6):
        weight = prior * leaked[:, codes[1:t]].prod(axis=1)
        weight /= weight.sum()
        np.testing.assert_allclose(np.exp(found.log_weight[t]), weight, rtol=1e-4)
        np.testing.assert_allclose(np.exp(found.log_mass[t]), weight @ leaked, rtol=1e-4)


def test_no_row_sees_its_own_item_or_the_future_and_every_row_is_a_law():
    grid = {"slope": jnp.linspace(0.0, 1.0, 3), "sd": jnp.full(3, 0.5)}
    edges = jnp.asarray(COARSE, jnp.float32)
    codes = np.random.default_rng(0).integers(0, 6, 12)
    before = run(AVERAGED, grid, jnp.zeros(3), jnp.asarray(codes), edges)
    np.testing.assert_allclose(np.exp(before.log_mass).sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(before.log_weight).sum(axis=1), 1, rtol=1e-5)
    for t in (1, 5, 11):
        changed = codes.copy()
        changed[t:] = (codes[t:] + 1) % 6
        after = run(AVERAGED, grid, jnp.zeros(3), jnp.asarray(changed), edges)
        np.testing.assert_array_equal(before.log_mass[: t + 1], after.log_mass[: t + 1])
        np.testing.assert_array_equal(before.log_weight[: t + 1], after.log_weight[: t + 1])


def test_the_impossible_costs_the_leak_and_is_survived():
    codes = jnp.array([0, 0, 7, 6, 4])  # from cell 0 the doubling map reaches cells 0 and 1 only
    found = run(doubling, jnp.zeros(1), jnp.zeros(1), codes, jnp.linspace(0.0, 1.0, 9), 2, 1e-3)
    assert float(found.log_mass[2, 7]) == pytest.approx(np.log(1e-3 / 8), abs=1e-3)
    assert float(found.log_mass[3, 6]) == pytest.approx(np.log(0.5), abs=1e-2)


@pytest.mark.slow
def test_many_hypotheses_are_filtered_in_batches_as_all_at_once(monkeypatch):
    stretch = lambda factor, left, right, y: uniform_cdf(factor * left, factor * right, y)  # noqa: E731
    codes, edges = jnp.array([2, 3, 3, 4]), jnp.linspace(0.0, 4.0, 7)
    arguments = stretch, jnp.linspace(0.8, 1.2, 7), jnp.zeros(7), codes, edges
    whole = cell_filter(*arguments)
    monkeypatch.setattr(sys.modules[cell_filter.__module__], "TABLE_SIZE", 3 * 8 * 14)
    np.testing.assert_allclose(cell_filter(*arguments).log_mass, whole.log_mass, atol=1e-6)


def test_an_average_over_nodes_is_exact_for_polynomials_of_twice_their_number():
    quartic = averaged_cdf(lambda power, x, y: x**power, 2)
    for power in (0, 1, 3):
        exact = (3.0 ** (power + 1) - 1) / (power + 1) / 2
        assert float(quartic(power, jnp.asarray(1.0), jnp.asarray(3.0), jnp.asarray(0.0))) == pytest.approx(exact)
    with pytest.raises(ValueError, match=r"got num_nodes 0; expected at least 1; .*"):
        averaged_cdf(autoregressive, 0)


@pytest.mark.parametrize("changes", [{"num_pieces": 0}, {"leak": 0.0}, {"leak": 1.0}, {"log_prior": jnp.zeros(2)}])
def test_bad_arguments_are_refused(changes):
    arguments = dict(log_prior=jnp.zeros(1), codes=jnp.array([0, 1]), edges=jnp.linspace(0.0, 1.0, 3))
    with pytest.raises(ValueError, match=r"cell_filter: got .*; expected .*; ?use"):
        cell_filter(doubling, jnp.zeros(1), **arguments | changes)


def logistic(r, left, right, y):
    return uniform_cdf(r * left * (1 - left), r * right * (1 - right), y)


@pytest.mark.slow
def test_the_surprise_of_a_known_chaotic_map_is_its_lyapunov_exponent():
    """Pesin: the cells of the past pin x ever finer, so each digit read tells λ = ⟨ln|f′|⟩ nats, here about 0.5."""
    with jax.enable_x64(True):
        x = np.empty(1200)
        x[0] = 0.3
        for t in range(1199):
            x[t + 1] = 3.9 * x[t] * (1 - x[t])
        edges = jnp.linspace(0.0, 1.0, 101)
        codes = jnp.asarray(np.floor(100 * x).astype(int))
        surprise = {}
        for num_pieces in (16, 400):
            found = run(logistic, jnp.array([3.9]), jnp.zeros(1), codes, edges, num_pieces)
            surprise[num_pieces] = -np.asarray(found.log_mass)[np.arange(1200), codes][100:].mean()
    exponent = np.log(np.abs(3.9 * (1 - 2 * x[99:-1]))).mean()
    assert surprise[400] == pytest.approx(exponent, abs=0.015)
    assert surprise[16] > surprise[400] + 0.01


@pytest.mark.slow
def test_what_reading_cells_as_centres_costs_a_conjugate_observer():
    """A random walk of step σ in cells of width w: nothing for σ = 3w, 0.1 nats an item and more for σ = w/2."""
    sds, rng = np.geomspace(0.25, 6.0, 40), np.random.default_rng(0)
    cdf = averaged_cdf(lambda theta, x, y: ndtr((y - x - theta[0] * theta[1]) / theta[1]), 1)
    drifts, spreads = (a.ravel().astype(np.float32) for a in np.meshgrid(np.linspace(-0.4, 0.4, 7), sds))
    walk = jax.jit(analyses.random_walk_predictive)
    edges, costs = jnp.arange(101, dtype=jnp.float32), []
    for sd in (3.0, 0.5):
        each = []
        for _ in range(3):
            path = 50 + np.cumsum(sd * rng.normal(size=300))
            codes = jnp.asarray(np.floor(np.clip(path, 0, 99.9)).astype(int))
            laws = walk(codes, edges), run(cdf, (drifts, spreads), jnp.zeros(280), codes, edges, 4).log_mass
            centres, cells = (-np.asarray(law)[np.arange(300), codes][100:].mean() for law in laws)
            each.append(centres - cells)
        costs.append(np.mean(each))
    assert abs(costs[0]) < 0.01
    assert 0.05 < costs[1] < 0.35
