import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import analyses

RAGGED = np.array([0.0, 1.0, 1.1, 1.3, 2.0, 5.0])
crps = jax.jit(jax.vmap(analyses.crps, in_axes=(None, None, 0)))
weights = st.lists(st.floats(0, 1), min_size=5, max_size=5).filter(lambda w: sum(w) > 0.1)


@jax.jit
def of_codes(log_mass, edges, codes):
    def one(code):
        symbols = analyses.ranked_probability_score(log_mass, code), analyses.brier_score(log_mass, code)
        return analyses.crps_binned(log_mass, edges, code), *symbols

    return jax.vmap(one)(codes)


def normal(values):
    return np.asarray(values, np.float64) / np.sum(values)


def log_law(values):
    with np.errstate(divide="ignore"):
        return jnp.asarray(np.log(normal(values)), jnp.float32)


def single(x):
    return jnp.asarray(x, jnp.float32)


def at(values, y, edges=RAGGED):
    """Scores at up to a thousand points, always of one shape."""
    got = crps(log_law(values), single(edges), single(np.resize(y, 1000)))
    return np.asarray(got)[: np.size(y)]


@settings(deadline=None, max_examples=15)
@given(weights, st.floats(-1, 7))
@pytest.mark.parametrize("edges", [RAGGED, np.array([0.0, 1.0, 1.1, 2.0, 2.0, 2.0])])
def test_it_is_the_integral_of_the_squared_gap_between_distributions(edges, values, y):
    """Also with padded cells, that have neither width nor mass, and for values off the grid."""
    mass = np.asarray(values) * (np.diff(edges) > 0)
    if mass.sum() < 0.1:
        return
    x = np.linspace(-1, 7, 100_001)
    cdf = np.interp(x, edges, np.concatenate([[0], np.cumsum(normal(mass))]))
    cdf[x >= edges[-1]] = 1
    expected = np.sum((cdf - (x >= y)) ** 2) * (x[1] - x[0])
    assert at(mass, y, edges) == pytest.approx(expected, abs=3e-4)


def test_a_fine_gaussian_has_the_closed_form():
    edges, y = np.linspace(-8.0, 12.0, 2001), np.array([-3.0, 1.5, 2.0, 4.2])
    z = (y - 2) / 0.7
    expected = 0.7 * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi))
    np.testing.assert_allclose(at(np.diff(stats.norm.cdf(edges, 2.0, 0.7)), y, edges), expected, rtol=1e-3)


def test_it_is_the_energy_form_and_a_point_law_gives_the_distance():
    mass, y = [0.2, 0.3, 0.1, 0.0, 0.4], np.array([0.3, 1.05, 3.0, 6.0])
    levels = (np.arange(2000) + 0.5) / 2000
    x = np.interp(levels, np.concatenate([[0], np.cumsum(mass)]), RAGGED)
    spread = np.mean(np.abs(x[:, None] - x))
    np.testing.assert_allclose(at(mass, y), np.abs(x[:, None] - y).mean(0) - spread / 2, atol=1e-3)
    nearly_point = np.array([0.0, 0.999, 1.001, 2.0, 3.0, 4.0])
    assert at([0, 1, 0, 0, 0], 3.5, nearly_point) == pytest.approx(2.5, abs=2e-3)


@settings(deadline=None, max_examples=15)
@given(weights)
def test_the_score_of_a_cell_is_the_mean_over_the_cell(values):
    y = RAGGED[:-1, None] + np.diff(RAGGED)[:, None] * (np.arange(200) + 0.5) / 200
    got = of_codes(log_law(values), single(RAGGED), jnp.arange(5))[0]
    np.testing.assert_allclose(got, at(values, y.ravel()).reshape(y.shape).mean(1), atol=2e-4)


@settings(deadline=None, max_examples=15)
@given(weights, weights)
def test_the_truth_has_the_least_expected_score_by_exactly_the_gap(model, truth):
    """S(m, q) − S(q, q) is ∫(F_m − F_q)², Σ(F_m − F_q)² and Σ(m − q)²: 0 for equal laws only."""
    m, q = normal(model), normal(truth)
    of_model, of_truth = (of_codes(log_law(x), single(RAGGED), jnp.arange(5)) for x in (model, truth))
    gap = np.concatenate([[0], np.cumsum(m - q)])
    integral = np.sum(np.diff(RAGGED) * (gap[1:] ** 2 + gap[1:] * gap[:-1] + gap[:-1] ** 2) / 3)
    excess = [q @ (np.asarray(a, np.float64) - np.asarray(b, np.float64)) for a, b in zip(of_model, of_truth)]
    np.testing.assert_allclose(excess, [integral, np.sum(gap**2), np.sum((m - q) ** 2)], atol=2e-6)


def test_scores_of_symbols_by_hand_and_of_codes_that_do_not_exist():
    scores = of_codes(log_law([0.1, 0.2, 0.3, 0.4, 0.0]), single(RAGGED), jnp.array([0, 3, 5, -1, 0]))
    ranked = [0.9**2 + 0.7**2 + 0.4**2, 0.1**2 + 0.3**2 + 0.6**2]
    np.testing.assert_allclose(scores[1][:2], ranked, rtol=1e-5)
    np.testing.assert_allclose(scores[2][:2], [0.81 + 0.04 + 0.09 + 0.16, 0.01 + 0.04 + 0.09 + 0.36], rtol=1e-5)
    for score in scores:
        np.testing.assert_array_equal(np.isnan(score), [False, False, True, True, False])
    assert np.all(np.isnan(at(np.full(5, np.nan), [1.0])))


def test_gradients_are_right_in_the_law_the_grid_and_the_value_and_finite_at_empty_cells():
    with jax.enable_x64(True):

        def total(log_mass, edges, y):
            binned = analyses.crps_binned(log_mass, edges, jnp.asarray(2))
            symbols = analyses.ranked_probability_score(log_mass, jnp.asarray(2))
            return analyses.crps(log_mass, edges, y) + 2 * binned + 3 * symbols

        both = jax.jit(jax.value_and_grad(total, argnums=(0, 1, 2)))
        point = np.log(normal([2.0, 3, 1, 2, 4])), RAGGED, np.asarray(1.17)
        rng = np.random.default_rng(0)
        towards = [rng.normal(size=np.shape(x)) for x in point]
        ahead, back = (both(*(jnp.asarray(x + e * d) for x, d in zip(point, towards)))[0] for e in (1e-5, -1e-5))
        gradients = both(*map(jnp.asarray, point))[1]
        slope = sum(np.sum(np.asarray(g) * d) for g, d in zip(gradients, towards))
        assert slope == pytest.approx(float(ahead - back) / 2e-5, rel=1e-6)
        empty = jnp.log(jnp.asarray([0.0, 1.0, 0.0, 0.0, 0.0]))
        assert all(np.all(np.isfinite(g)) for g in both(empty, *map(jnp.asarray, point[1:]))[1])
