import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from analyses.probes.neurons import permutation_band, spearman_scan, top_neurons

pytestmark = pytest.mark.slow  # one interpreter is enough: compiling them is dear

scan = jax.jit(spearman_scan)
band = jax.jit(permutation_band, static_argnums=3)


def layer(seed=0, rows=50, neurons=7):
    """Rectified activations have many ties; neuron 2 orders the first target, neuron 5 is dead."""
    rng = np.random.default_rng(seed)
    targets = np.round(rng.normal(size=(rows, 2)), 1)
    x = np.maximum(rng.normal(size=(rows, neurons)), 0)
    x[:, 2], x[:, 5] = -np.exp(targets[:, 0]), 0.1
    return x, targets


@pytest.mark.parametrize("x64", [False, True])
def test_the_scan_is_scipys(x64):
    x, targets = layer()
    with jax.enable_x64(x64):
        found = scan(jnp.asarray(x, float), jnp.asarray(targets, float))
        assert found.dtype == (jnp.float64 if x64 else jnp.float32)
    alive = [0, 1, 2, 3, 4, 6]
    expected = stats.spearmanr(x[:, alive], targets)[0][:6, 6:]
    np.testing.assert_allclose(np.asarray(found)[alive], expected, atol=1e-12 if x64 else 1e-5)
    np.testing.assert_array_equal(found[5], 0)
    assert float(found[2, 0]) == pytest.approx(-1, abs=1e-5)


def test_more_neurons_than_entities_leave_none_unranked():
    """The published scan stops after as many columns as there are rows."""
    x = jax.random.normal(jax.random.key(0), (12, 40))
    found = scan(x, x[:, 37:39])
    assert np.isfinite(found).all()
    np.testing.assert_allclose([found[37, 0], found[38, 1]], 1, rtol=1e-5)


def test_only_chosen_entities_are_ranked():
    x, targets = (jnp.asarray(a, jnp.float32) for a in layer(1))
    weight = jnp.arange(50) < 30
    found = scan(x.at[30:].set(jnp.nan), targets.at[30:].set(jnp.nan), weight)
    alive = np.array([0, 1, 2, 3, 4, 6])
    expected = stats.spearmanr(x[:30, alive], targets[:30])[0][:6, 6:]
    np.testing.assert_allclose(found[alive], expected, atol=1e-5)
    assert np.isnan(scan(x, targets, weight & ~weight)).all()
    assert np.isnan(scan(x, jnp.ones((50, 2)), weight)).all()


def test_the_band_is_the_best_of_all_neurons_under_permutations():
    x, targets = (jnp.asarray(a, jnp.float32) for a in layer(2))
    null = band(jax.random.key(1), x, targets, 100)
    assert null.shape == (100, 2)
    seen = jnp.max(jnp.abs(scan(x, targets)), axis=0)
    assert float(seen[0]) > float(jnp.max(null[:, 0]))
    assert 0.02 < float(jnp.mean(null[:, 1] >= seen[1])) <= 1
    # The best of 5 useful independent neurons with sd 1/√49 each: between one and three of them.
    assert 1 / 7 < float(jnp.mean(null)) < 3 / 7
    one = band(jax.random.key(1), x.at[:, 3:].set(0.0), targets, 100)
    assert (np.asarray(one) <= np.asarray(null) + 1e-6).all(), "the permutations are the key's"


def test_a_perfect_neuron_under_permutation_has_the_law_of_independent_ranks():
    """Of a neuron alone with 3 entities: |ρ| is 1 in two of six permutations, else ½."""
    x = jnp.array([[1.0], [2.0], [4.0], [jnp.nan]])
    null = np.asarray(band(jax.random.key(2), x, x, 600, jnp.array([1.0, 1.0, 1.0, 0.0])))
    sizes, counts = np.unique(np.round(null, 4), return_counts=True)
    np.testing.assert_allclose(sizes, [0.5, 1], atol=1e-4)
    assert abs(counts[1] - 200) < 5 * np.sqrt(600 * 2 / 9)
    with pytest.raises(ValueError, match="got 0 repeats"):
        permutation_band(jax.random.key(0), x, x, 0)


def test_the_top_is_sorted_by_size_over_all_layers():
    rho = jax.random.uniform(jax.random.key(3), (3, 5, 2), minval=-1, maxval=1).at[1, 2, 0].set(jnp.nan)
    top = jax.jit(top_neurons, static_argnums=1)(rho, 15)
    for target in range(2):
        values = np.asarray(rho[..., target])[top.layer[target], top.neuron[target]]
        np.testing.assert_array_equal(top.correlation[target], values)
        size = np.abs(values[~np.isnan(values)])
        assert (np.diff(size) <= 0).all()
        assert len(set(zip(top.layer[target].tolist(), top.neuron[target].tolist(), strict=True))) == 15
    assert np.isnan(top.correlation[0, -1])
    assert (int(top.layer[0, -1]), int(top.neuron[0, -1])) == (1, 2)
    with pytest.raises(ValueError, match="got count 16"):
        top_neurons(rho, 16)
