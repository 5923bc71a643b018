"""The logistic maps: closed forms, the exact noisy law, and the published series where they are at hand."""

from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from systems import LogisticMap, NoisyLogisticMap, Trajectory, bounded

PUBLISHED = Path(__file__).resolve().parents[2].parent / "shared/reference/llama2_13b"


def published(name):
    path = PUBLISHED / f"{name}.npz"
    if not path.exists():
        pytest.skip("the published series are not at hand")
    with np.load(path, allow_pickle=False) as arrays:
        return {key: arrays[key] for key in ("time_series", "true_mean", "true_sigma")}


def display_units(series, values):
    """The published affine map: the series' own minimum and maximum land on 1.5 and 8.5."""
    low, high = series.min(axis=1, keepdims=True), series.max(axis=1, keepdims=True)
    return 10 * (0.15 + 0.7 * (values - low) / (high - low))


def over_series(law, states):
    return np.asarray(jax.vmap(jax.vmap(law))(jnp.asarray(states)[..., None]))


def test_at_r_four_the_map_doubles_an_angle():
    angle = 0.3
    with jax.enable_x64(True):
        path = LogisticMap(r=4.0, start=np.sin(angle) ** 2).sample(jax.random.key(0), 20).observed
    np.testing.assert_allclose(path, np.sin(angle * 2.0 ** np.arange(1, 21)) ** 2, atol=1e-8)


def test_start_is_not_recorded_and_drawn_below_seven_tenths():
    path = LogisticMap(r=2.0, start=0.25).sample(jax.random.key(0), 1)
    assert path.observed[0] == 0.375
    assert path.times[0] == 1
    # r x (1 - x) with r = 1 and x < 0.7 inverts on the branch x < 1/2; the draw is uniform, so 5/7 lie there.
    keys = jax.random.split(jax.random.key(1), 4000)
    first = np.asarray(jax.jit(jax.vmap(lambda key: LogisticMap(r=1.0).sample(key, 1).observed[0]))(keys))
    low, high = 0.5 - np.sqrt(0.25 - first), 0.5 + np.sqrt(0.25 - first)
    law = np.minimum(low, 0.7) / 0.7 + np.clip(0.7 - high, 0, None) / 0.7
    assert stats.kstest(law, "uniform").pvalue > 0.01


@settings(deadline=None, max_examples=30)
@given(x=st.floats(-0.1, 1.1), r=st.floats(0.5, 4.0), sigma=st.floats(1e-3, 0.3), y=st.floats(-0.3, 1.3))
def test_exact_law_counts_both_preimages(x, r, sigma, y):
    """P(x' <= f(y)) = P(the noisy x lies outside the interval between the two preimages y and 1 - y)."""
    with jax.enable_x64(True):
        cdf = NoisyLogisticMap(r=r, sigma=sigma).transition_cdf(jnp.array([x]), r * y * (1 - y))
    inside = stats.norm(x, sigma).cdf([min(y, 1 - y), max(y, 1 - y)])
    np.testing.assert_allclose(cdf, 1 - (inside[1] - inside[0]), atol=1e-6)


@settings(deadline=None, max_examples=30)
@given(x=st.floats(0.0, 0.4), z=st.floats(-3.0, 3.0))
def test_exact_law_tends_to_the_gaussian_as_the_noise_vanishes(x, z):
    with jax.enable_x64(True):
        exact, gaussian = (NoisyLogisticMap(sigma=1e-6, law=law) for law in ("exact", "gaussian"))
        state = jnp.array([x])
        q = gaussian.transition_mean(state) + z * gaussian.transition_sd(state)
        np.testing.assert_allclose(exact.transition_cdf(state, q), gaussian.transition_cdf(state, q), atol=1e-4)
        np.testing.assert_allclose(exact.transition_sd(state), gaussian.transition_sd(state), rtol=1e-4)


def test_laws_differ_where_the_slope_vanishes():
    top, peak = jnp.array([0.5]), 3.9 / 4
    exact, gaussian = NoisyLogisticMap(), NoisyLogisticMap(law="gaussian")
    assert gaussian.transition_sd(top) == 0
    assert gaussian.transition_cdf(top, peak - 1e-4) == 0
    # At x = 1/2 the deficit (r/4 - x') / (r sigma^2) is chi-square with one degree of freedom.
    q = peak - 3.9 * 0.0136**2 * stats.chi2(1).ppf(0.3)
    np.testing.assert_allclose(exact.transition_cdf(top, float(q)), 0.7, atol=2e-3)
    assert exact.transition_cdf(top, peak + 1e-6) == 1
    for q in (0.0, 0.5, 0.97, 2.0):
        assert np.isfinite(jax.grad(lambda q: exact.transition_cdf(jnp.array([0.3]), q))(q))


def test_refuses_an_unknown_law():
    with pytest.raises(ValueError, match=r"Expected 'exact' or 'gaussian'"):
        NoisyLogisticMap.__check_init__(SimpleNamespace(law="laplace"))


def test_bounded_finds_paths_that_leave():
    def path(*values):
        observed = jnp.array(values)
        return Trajectory(jnp.arange(float(len(values))), observed[:, None], observed)

    assert bounded(path(0.1, -0.005, 1.0))
    assert not bounded(path(0.1, -1.01, 0.3))
    assert not bounded(path(0.1, -jnp.inf))
    assert not bounded(path(0.1, jnp.nan))
    noisy = NoisyLogisticMap()
    survived = jax.jit(jax.vmap(lambda key: bounded(noisy.sample(key, 1000))))(jax.random.split(jax.random.key(0), 128))
    assert 0.02 < survived.mean() < 0.4


def test_vmap_over_r_inside_the_constructor():
    rs = jnp.array([2.5, 3.5, 3.9])
    keys = jax.random.split(jax.random.key(0), 3)
    paths = jax.vmap(lambda r, key: LogisticMap(r=r, start=0.2).sample(key, 200).observed)(rs, keys)
    np.testing.assert_allclose(paths[0, -1], 1 - 1 / 2.5, rtol=1e-5)
    np.testing.assert_allclose(paths[1, -1], paths[1, -5], rtol=1e-4)
    assert abs(paths[2, -1] - paths[2, -5]) > 1e-3


def test_published_logistic_series_follow_the_map():
    arrays = published("logistic_map")
    series = arrays["time_series"]
    with jax.enable_x64(True):
        mean = over_series(LogisticMap().transition_mean, series)[:, :-1]
    np.testing.assert_allclose(mean, series[:, 1:], atol=1e-12)
    np.testing.assert_allclose(display_units(series, mean), arrays["true_mean"][:, 1:], atol=1e-9)


def test_published_noisy_series_follow_the_exact_law_and_are_scored_by_the_gaussian_one():
    arrays = published("noisy_logistic_map")
    series = arrays["time_series"]
    with jax.enable_x64(True):
        gaussian = NoisyLogisticMap(law="gaussian")
        mean = over_series(gaussian.transition_mean, series)[:, :-1]
        sd = over_series(gaussian.transition_sd, series)[:, :-1]
        law = jax.vmap(jax.vmap(NoisyLogisticMap().transition_cdf))
        u = np.asarray(law(jnp.asarray(series)[:, :-1, None], jnp.asarray(series)[:, 1:]))
    np.testing.assert_allclose(display_units(series, mean), arrays["true_mean"][:, 1:], atol=1e-9)
    span = series.max(axis=1, keepdims=True) - series.min(axis=1, keepdims=True)
    np.testing.assert_allclose(7 * sd / span, arrays["true_sigma"][:, 1:], atol=1e-9)
    # Whole paths were selected for staying bounded, which tilts the law a little: a wide significance level.
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
