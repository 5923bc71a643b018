import jax
import jax.numpy as jnp
import numpy as np
import pytest

import analyses
from analyses import bootstrap, bootstrap_band, fit_power_law, quantile_band

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
