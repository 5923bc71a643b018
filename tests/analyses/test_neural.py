import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import analyses
from analyses import autoregression, bhattacharyya_distance, bin_masses
from analyses.neural import neural_autoregression

EDGES = jnp.linspace(0.0, 10.0, 101)
CONTEXTS, WINDOW, LENGTH = (1, 2, 12, 160), 20, 180

predicted = jax.jit(neural_autoregression, static_argnums=(3, 4))
straight = jax.jit(autoregression)
moments = jax.jit(jax.vmap(analyses.moments, in_axes=(0, None)))


@functools.cache
def noisy_map():
    """Values in cells of x' = 36 u (1 − u) + 0.3 ε with u = x/10, and the means they were drawn around."""
    rng = np.random.default_rng(3)
    mean, values = [5.0], [5.0]
    for _ in range(LENGTH - 1):
        mean.append(36 * values[-1] / 10 * (1 - values[-1] / 10))
        values.append(np.clip(mean[-1] + 0.3 * rng.normal(), 0.05, 9.95))
    return jnp.asarray(np.floor(np.array(values) * 10) / 10 + 0.05, jnp.float32), jnp.asarray(mean, jnp.float32)


@functools.cache
def laws():
    return predicted(jax.random.key(0), noisy_map()[0], EDGES, CONTEXTS, WINDOW)


@jax.jit
def distances(log_mass, mean):
    truth = jax.vmap(lambda m: bin_masses(lambda u: jax.scipy.stats.norm.cdf(u, m, 0.3), EDGES).mass)(mean)
    return jax.vmap(bhattacharyya_distance)(log_mass, truth)


@pytest.mark.slow
def test_every_row_is_a_law_and_one_item_is_no_pair():
    assert laws().shape == (4, WINDOW, 100)
    assert np.isfinite(laws()).all()
    np.testing.assert_allclose(jnp.sum(jnp.exp(laws()), axis=-1), 1, rtol=1e-4)
    np.testing.assert_allclose(laws()[0], -np.log(100), rtol=1e-4)


@pytest.mark.once
def test_a_network_learns_the_map_that_no_line_can():
    values, mean = noisy_map()
    network = float(jnp.mean(distances(laws()[-1], mean[160:])))
    line = float(jnp.mean(distances(straight(values, EDGES)[160:], mean[160:])))
    early = float(jnp.mean(distances(laws()[2], mean[12:32])))
    assert network < 0.06
    assert network < 0.2 * min(line, early)


def test_no_network_sees_the_items_it_predicts():
    """Items from c on change: the law of item c stays, and those after change with their own predecessor alone."""
    values, _ = noisy_map()
    changed = predicted(jax.random.key(0), values.at[165:].set(3.05), EDGES, CONTEXTS, WINDOW)
    np.testing.assert_array_equal(changed[:-1], laws()[:-1])
    np.testing.assert_array_equal(changed[-1, :6], laws()[-1, :6])  # items 160..165
    assert not np.allclose(changed[-1, 6:], laws()[-1, 6:])
    np.testing.assert_array_equal(changed[-1, 6:], jnp.broadcast_to(changed[-1, 6], (14, 100)))


@pytest.mark.slow
def test_another_key_is_another_network_and_says_much_the_same():
    again = predicted(jax.random.key(1), noisy_map()[0], EDGES, CONTEXTS, WINDOW)
    assert not np.allclose(again[-1], laws()[-1])
    assert abs(float(jnp.mean(distances(again[-1], noisy_map()[1][160:])))) < 0.08


def test_the_fitted_curve_is_the_map_inside_its_past():
    """Items 160.. are replaced by steps through [2, 8]: the laws of 161.. show the curve, from training before 160."""
    x = jnp.linspace(2.0, 8.0, WINDOW - 1)
    shown = predicted(jax.random.key(0), noisy_map()[0].at[160:179].set(x), EDGES, CONTEXTS, WINDOW)[-1, 1:]
    curve = moments(shown, EDGES)
    np.testing.assert_allclose(curve.mean, 3.6 * x * (1 - x / 10), atol=0.4)
    assert 0.2 < float(jnp.mean(jnp.sqrt(curve.variance))) < 0.5


@pytest.mark.slow
def test_the_unit_does_not_matter_and_no_law_is_sharper_than_a_cell():
    """Powers of two scale without rounding, so training repeats to the last bit."""
    scaled = predicted(jax.random.key(0), 4 * noisy_map()[0], 4 * EDGES, CONTEXTS, WINDOW)
    np.testing.assert_allclose(scaled, laws(), rtol=1e-5, atol=1e-5)
    assert float(jnp.max(laws()[-1])) <= np.log(0.9168)  # a normal law of width w/√12 in its own cell


@pytest.mark.parametrize(("contexts", "window"), [((), 5), ((0, 10), 5), ((10, 256), 5), ((10,), 0)])
def test_windows_must_lie_in_the_series(contexts, window):
    with pytest.raises(ValueError, match=r"got .*expected .*; use"):
        neural_autoregression(jax.random.key(0), noisy_map()[0], EDGES, contexts, window)
