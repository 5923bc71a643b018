import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import analyses
from analyses import bootstrap, bootstrap_band, fit_power_law, quantile_band, resampled_interval
from analyses.resampling import centre_and_resamples, student_quantile

log_log_slope = jax.jit(analyses.log_log_slope, static_argnames="num_bins")


def mean(curves):
    return jnp.mean(curves, axis=0)


def test_a_resample_is_made_of_whole_trajectories_with_their_companions():
    curves = jnp.arange(12.0).reshape(4, 3)
    tree = {"curve": curves, "label": 10 * curves[:, 0]}
    drawn = bootstrap(jax.random.key(0), lambda t: t, tree, num_resamples=50, batch_size=25)
    assert drawn["curve"].shape == (50, 4, 3)
    np.testing.assert_array_equal(drawn["curve"][..., 0] * 10, drawn["label"])
    np.testing.assert_array_equal(drawn["curve"][..., 1], drawn["curve"][..., 0] + 1)
    assert set(np.unique(drawn["label"])) == {0, 30, 60, 90}
    assert len({tuple(row) for row in np.asarray(drawn["label"])}) > 30


def test_the_same_key_gives_the_same_resamples_whatever_the_batch():
    curves = jax.random.normal(jax.random.key(1), (6, 2))
    first = bootstrap(jax.random.key(5), mean, curves, num_resamples=30, batch_size=30)
    np.testing.assert_allclose(first, bootstrap(jax.random.key(5), mean, curves, num_resamples=30, batch_size=10))
    assert np.any(first != bootstrap(jax.random.key(6), mean, curves, num_resamples=30))


@pytest.mark.parametrize(("num_resamples", "batch_size"), [(30, 10), (30, 7), (5, 50)])
def test_the_centre_comes_with_the_same_resamples(num_resamples, batch_size):
    curves = jax.random.normal(jax.random.key(1), (6, 2))
    key = jax.random.key(5)
    centre, drawn = centre_and_resamples(key, mean, curves, num_resamples=num_resamples, batch_size=batch_size)
    np.testing.assert_allclose(centre, mean(curves), rtol=1e-6)
    np.testing.assert_allclose(drawn, bootstrap(key, mean, curves, num_resamples=num_resamples), rtol=1e-5)


def test_the_bootstrap_spread_is_the_standard_error():
    values = jax.random.normal(jax.random.key(2), (40,))
    means = bootstrap(jax.random.key(3), mean, values, num_resamples=4000, batch_size=4000)
    assert float(jnp.std(means)) == pytest.approx(float(jnp.std(values)) / np.sqrt(40), rel=0.06)


@pytest.mark.slow
def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    def covered(key):
        sample_key, resample_key = jax.random.split(key)
        band = bootstrap_band(
            resample_key, mean, 1 + jax.random.normal(sample_key, (40,)), coverage=0.9, num_resamples=400
        )
        return (band.low <= 1) & (band.high >= 1)

    hits = jax.jit(jax.vmap(covered))(jax.random.split(jax.random.key(4), 400))
    assert 0.84 <= float(jnp.mean(hits)) <= 0.94


@pytest.mark.slow
@pytest.mark.parametrize("fit", [fit_power_law, log_log_slope])
def test_the_interval_of_an_exponent_covers_the_planted_one(fit):
    context = jnp.arange(5.0, 45.0)

    def exponent(curves):
        return fit(context, mean(curves)).exponent

    def covered(key):
        keys = jax.random.split(key, 3)
        amplitude = jnp.exp(0.4 * jax.random.normal(keys[0], (20, 1)))
        noise = 1 + 0.3 * jax.random.normal(keys[1], (20, 40))
        band = bootstrap_band(keys[2], exponent, amplitude * noise * context**-0.6, coverage=0.9, num_resamples=100)
        return (band.low <= -0.6) & (band.high >= -0.6)

    hits = jax.jit(jax.vmap(covered))(jax.random.split(jax.random.key(8), 50))
    assert 0.75 <= float(jnp.mean(hits)) <= 0.98


@pytest.mark.parametrize("dof", [1, 2, 3, 4, 9, 30, 101])
def teststudent_quantiles_are_those_of_the_law(dof):
    for probability in (1e-4, 0.05, 0.5, 0.9, 0.975, 0.9995):
        expected = stats.t.ppf(probability, dof)
        assert student_quantile(probability, dof) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_intervals_are_what_they_say():
    values = np.random.default_rng(4).normal(size=10_001).astype(np.float32)
    for n, coverage in ((5, 0.9), (8, 0.95)):
        t, widening = stats.t.ppf((1 + coverage) / 2, n - 1), np.sqrt(n / (n - 1))
        tail = stats.norm.cdf(-widening * t)
        spread = t * widening * values.std()
        expected = {
            "percentile": np.quantile(values, [(1 - coverage) / 2, (1 + coverage) / 2]),
            "expanded": np.quantile(values, [tail, 1 - tail]),
            "student": [0.25 - spread, 0.25 + spread],
        }
        both = np.stack((expected["expanded"], expected["student"]))
        expected["outer"] = [both[:, 0].min(), both[:, 1].max()]
        for method, ends in expected.items():
            band = resampled_interval(jnp.asarray(0.25), jnp.asarray(values), n, coverage=coverage, method=method)
            np.testing.assert_allclose([band.low, band.high], ends, rtol=1e-3)
            tree = resampled_interval(
                {"a": jnp.asarray(0.25)}, {"a": jnp.asarray(values)}, n, coverage=coverage, method=method
            )
            np.testing.assert_array_equal([tree.low["a"], tree.high["a"]], [band.low, band.high])
        assert expected["expanded"][1] > expected["percentile"][1] + 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("size", "covers"), [(5, (0.79, 0.88, 0.90)), (10, (0.85, 0.90, 0.90))])
def test_few_trajectories_need_more_than_percentiles(size, covers):
    """Coverage of the mean of ``size`` normal numbers, nominal 90 %, by percentile, expanded and Student's interval."""

    def covered(key):
        sample_key, resample_key = jax.random.split(key)
        sample = jax.random.normal(sample_key, (size,))
        means = bootstrap(resample_key, mean, sample, num_resamples=500, batch_size=500)
        bands = [
            resampled_interval(mean(sample), means, size, coverage=0.9, method=method)
            for method in ("percentile", "expanded", "student")
        ]
        return jnp.stack([(band.low <= 0) & (band.high >= 0) for band in bands])

    hits = jax.jit(jax.vmap(covered))(jax.random.split(jax.random.key(11), 2000))
    np.testing.assert_allclose(hits.mean(axis=0), covers, atol=0.02)


def test_the_quantile_band_holds_its_share_of_trajectories():
    curves = jnp.tile(jnp.arange(101.0)[:, None], (1, 2))
    band = quantile_band(curves, coverage=0.9)
    np.testing.assert_allclose(band.centre, [50, 50])
    np.testing.assert_allclose(band.low, [5, 5], rtol=1e-5)
    np.testing.assert_allclose(band.high, [95, 95], rtol=1e-5)


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match=r"got .*expected .*; stack"):
        bootstrap(jax.random.key(0), lambda t: t, (jnp.zeros((3, 2)), jnp.zeros((4, 2))))
    with pytest.raises(ValueError, match=r"got .*expected .*; stack"):
        bootstrap(jax.random.key(0), mean, jnp.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"got coverage .*expected"):
        quantile_band(jnp.zeros((3, 2)), coverage=90.0)
    with pytest.raises(ValueError, match=r"got 1 trajectories; expected at least 2; use"):
        resampled_interval(jnp.zeros(2), jnp.zeros((9, 2)), 1)
