"""Observers of linear systems against posteriors computed all at once in numpy and scipy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import analyses.linear_observers as module
from analyses.linear_observers import DRIFT_SPREAD, NOISE, SPREAD

EDGES = np.linspace(2.0, 12.0, 41)
OBSERVERS = {
    "iid": partial(module.linear_predictive, order=0),
    "ar1": partial(module.linear_predictive, order=1),
    "ar2": partial(module.linear_predictive, order=2),
    "walk": module.random_walk_predictive,
    "geometric": module.geometric_walk_predictive,
    "proportional": module.proportional_walk_predictive,
}
#: One regression and one walk; the others share most of their arithmetic, and each costs a compilation.
FAST = ("ar2", "geometric")
NAMES = [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in OBSERVERS]
COMPILED = {name: jax.jit(observer) for name, observer in OBSERVERS.items()}
NUM = 14
CODES = np.clip(np.round(20 + np.cumsum(np.random.default_rng(3).normal(0, 3, NUM))), 0, 39).astype(int)


def predict(name, codes=CODES, edges=EDGES):
    with jax.enable_x64(True):
        return np.asarray(COMPILED[name](jnp.asarray(codes), jnp.asarray(edges)))


def batch_masses(features, values, scales, spread, phi, scale, shift, edges):
    """Student masses of shift + φ·β + sσε on ``edges`` from the whole posterior of a weak prior."""
    precision = np.eye(features.shape[1]) / spread**2 + (features / scales[:, None] ** 2).T @ features
    mean = np.linalg.solve(precision, features.T @ (values / scales**2))
    rate = NOISE**2 / 2 + ((values / scales) ** 2).sum() / 2 - mean @ precision @ mean / 2
    shape = 0.5 + len(values) / 2
    width = np.sqrt(rate / shape * (scale**2 + phi @ np.linalg.solve(precision, phi)))
    mass = np.diff(stats.t.cdf(edges, 2 * shape, shift + phi @ mean, width))
    return mass / mass.sum()


def lagged(x, order, t):
    return np.array([1.0, *(x[t - lag] for lag in range(1, order + 1))])


@pytest.mark.parametrize("name", NAMES[:3])
def test_an_autoregression_predicts_with_the_posterior_of_all_pairs_before(name):
    order = {"iid": 0, "ar1": 1, "ar2": 2}[name]
    grid = (EDGES - 7) / 10
    x = (grid[CODES] + grid[CODES + 1]) / 2
    log_mass = predict(name)
    for t in (order, order + 1, 9, 13):
        features = np.array([lagged(x, order, i) for i in range(order, t)]).reshape(-1, order + 1)
        values, ones = x[order:t], np.ones(t - order)
        expected = batch_masses(features, values, ones, SPREAD, lagged(x, order, t), 1, 0, grid)
        np.testing.assert_allclose(np.exp(log_mass[t]), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", NAMES[3:])
def test_a_walk_predicts_with_the_posterior_of_all_steps_before(name):
    centres = (EDGES[1:] + EDGES[:-1]) / 2
    units = {"walk": lambda v: (v - 7) / 10, "geometric": np.log, "proportional": lambda v: v / 10}[name]
    x, grid, spread = units(centres[CODES]), units(EDGES), DRIFT_SPREAD
    scales = np.ones(NUM)
    if name == "proportional":
        spread, scales = DRIFT_SPREAD / 10, np.sqrt(x**2 + 0.025**2 / 12)
    log_mass = predict(name)
    for t in (1, 2, 8, 13):
        features, one = np.ones((t - 1, 1)), np.ones(1)
        steps = np.diff(x[:t])
        expected = batch_masses(features, steps, scales[: t - 1], spread, one, scales[t - 1], x[t - 1], grid)
        np.testing.assert_allclose(np.exp(log_mass[t]), expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_laws_of_the_past_alone(name):
    log_mass = predict(name)
    np.testing.assert_allclose(np.exp(log_mass).sum(axis=1), 1, rtol=1e-10)
    assert np.all(np.isfinite(log_mass))
    for t in (3, 7):
        changed = CODES.copy()
        changed[t:] = (changed[t:] + 7) % 40
        np.testing.assert_allclose(predict(name, changed)[: t + 1], log_mass[: t + 1], rtol=1e-10)
    first = {"ar2": 2, "iid": 0}.get(name, 1)
    np.testing.assert_allclose(np.exp(log_mass[:first]), 1 / 40, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_units_do_not_matter_where_zero_has_no_meaning(name):
    moved = 100 * EDGES + (0 if name in ("geometric", "proportional") else 333)
    np.testing.assert_allclose(predict(name, CODES, moved), predict(name), rtol=1e-7, atol=1e-9)


def test_a_geometric_walk_never_predicts_a_negative_number():
    edges = np.linspace(-1.2, 8.8, 41)  # cell 4 holds 0, its positive part is (0, 0.05)
    codes = np.array([5, 4, 4, 5, 7, 6, 5, 4, 4, 5, 5, 6, 8, 9])
    log_mass = predict("geometric", codes, edges)
    assert np.all(log_mass[1:, :4] == -np.inf)
    assert np.all(np.isfinite(log_mass[1:, 4:]))


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_series_is_expected_to_go_on(name):
    still = predict(name, np.full(NUM, 11))
    assert np.all(np.isfinite(still))
    assert still[-1].argmax() == 11


@pytest.mark.slow
def test_short_series_are_uniform_and_float32_is_enough():
    rows = COMPILED["ar2"](jnp.array([5]), jnp.asarray(EDGES, jnp.float32))
    np.testing.assert_allclose(np.exp(rows), np.full((1, 40), 1 / 40), rtol=1e-5)
    single = COMPILED["ar2"](jnp.asarray(CODES), jnp.asarray(EDGES, jnp.float32))
    np.testing.assert_allclose(np.exp(single), np.exp(predict("ar2")), atol=2e-4)


def test_an_order_is_not_negative():
    with pytest.raises(ValueError, match=r"got order -1; expected at least 0; use"):
        module.linear_predictive(jnp.array([1, 2]), jnp.asarray(EDGES, jnp.float32), -1)
