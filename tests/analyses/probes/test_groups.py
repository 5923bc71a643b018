import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses.probes import groups, scores

pytestmark = pytest.mark.slow  # one interpreter is enough: compiling them is dear

group_means = jax.jit(groups.group_means, static_argnums=2)
group_mean_oracle = jax.jit(groups.group_mean_oracle, static_argnums=2)
eta_squared = jax.jit(groups.eta_squared, static_argnums=2)
within_group_correlation = jax.jit(groups.within_group_correlation, static_argnums=3)
remove_group_means = jax.jit(groups.remove_group_means, static_argnums=2)
r_squared = jax.jit(scores.r_squared)

GROUP = np.array([0, 0, 1, 1, 1, 3, 3, 3, 3, 4])  # 2 has no row, 4 has one
NUM = 5


def columns(seed=0, width=2):
    return jnp.asarray(1900 + 30 * np.random.default_rng(seed).normal(size=(10, width)), jnp.float32)


def test_means_of_groups_and_of_those_without_rows():
    y = columns()
    found = np.asarray(group_means(y, jnp.asarray(GROUP), NUM))
    for g in (0, 1, 3, 4):
        np.testing.assert_allclose(found[g], np.asarray(y, float)[g == GROUP].mean(0), rtol=1e-6)
    np.testing.assert_allclose(found[2], np.asarray(y, float).mean(0), rtol=1e-6)


@pytest.mark.parametrize("x64", [False, True])
def test_an_oracle_learns_from_training_rows_alone(x64):
    """It is the least-squares fit on one-hot codes; a group unseen in training gets the training mean."""
    with jax.enable_x64(x64):
        y = jnp.asarray(columns(1), float)
        train = jnp.asarray(GROUP != 4).at[0].set(False)
        found = group_mean_oracle(y.at[0].set(jnp.nan), jnp.asarray(GROUP), NUM, train)
        assert found.dtype == y.dtype
    chosen = np.asarray(train)
    one_hot = np.eye(NUM)[GROUP]
    fit = np.linalg.lstsq(one_hot[chosen], np.asarray(y, float)[chosen], rcond=None)[0]
    np.testing.assert_allclose(found[:9], (one_hot @ fit)[:9], rtol=1e-6)
    np.testing.assert_allclose(found[9], np.asarray(y, float)[chosen].mean(0), rtol=1e-6)


def test_eta_squared_is_the_oracles_r_squared():
    y, group = columns(2), jnp.asarray(GROUP)
    weight = jnp.ones(10).at[3].set(0)
    expected = r_squared(y, group_mean_oracle(y, group, NUM, weight), weight)
    np.testing.assert_allclose(eta_squared(y.at[3].set(jnp.nan), group, NUM, weight), expected, rtol=1e-5)
    np.testing.assert_allclose(eta_squared(group_means(y, group, NUM)[group], group, NUM), 1, rtol=1e-5)
    np.testing.assert_allclose(eta_squared(y, jnp.zeros_like(group), NUM), 0, atol=1e-5)
    assert np.isnan(eta_squared(jnp.full((10, 1), 0.1), group, NUM)).all()


def test_correlation_within_groups_ignores_where_the_groups_are():
    rng = np.random.default_rng(3)
    true, predicted = columns(3), columns(3) + jnp.asarray(20 * rng.normal(size=(10, 2)), jnp.float32)
    group = jnp.asarray(GROUP)
    t, p = (np.asarray(x, float).copy() for x in (true, predicted))
    for g in set(GROUP):
        for side in (t, p):
            side[g == GROUP] -= side[g == GROUP].mean(0)
    expected = [np.corrcoef(t[:9, k], p[:9, k])[0, 1] for k in range(2)]  # the tenth is alone in its group
    np.testing.assert_allclose(within_group_correlation(true, predicted, group, NUM), expected, rtol=1e-4)
    moved = predicted + 100.0 * group[:, None]
    np.testing.assert_allclose(within_group_correlation(true, moved, group, NUM), expected, rtol=1e-3)


def test_an_oracle_has_no_correlation_within_groups():
    """Thirds and sevenths: the residuals of the oracle's own predictions, as computed, are not 0."""
    rng = np.random.default_rng(4)
    group = jnp.asarray(rng.integers(0, 7, 200))
    y = jnp.asarray(rng.normal(size=(200, 2)) + 1 / 3, jnp.float32)
    oracle = group_mean_oracle(y, group, 7)
    assert np.isnan(within_group_correlation(y, oracle, group, 7)).all()
    assert np.isnan(within_group_correlation(oracle, y, group, 7)).all()
    assert np.isnan(within_group_correlation(y, y, jnp.arange(200), 200)).all()
    assert np.isnan(within_group_correlation(y, y, group, 7, jnp.zeros(200))).all()


def test_what_is_removed_and_what_replaces_make_the_whole():
    x, group = columns(5, 3), jnp.asarray(GROUP)
    train = jnp.arange(10) % 4 != 1
    rest = remove_group_means(x, group, NUM, train)
    np.testing.assert_allclose(rest + groups.replace_by_group_means(x, group, NUM, train), x, rtol=1e-6)
    np.testing.assert_allclose(group_means(rest, group, NUM, train), 0, atol=1e-3)
    both = jax.vmap(lambda some: remove_group_means(x, group, NUM, some))(jnp.stack((train, ~train)))
    np.testing.assert_allclose(both[0], rest, rtol=1e-5, atol=1e-3)


def test_the_control_task_moves_groups_whole_and_uniformly():
    y, group = columns(6), jnp.asarray(GROUP)
    keys = jax.random.split(jax.random.key(0), 2400)
    moved = jax.jit(jax.vmap(lambda key: groups.permuted_centroids(key, y, group, NUM)))(keys)
    centres = np.asarray(jax.vmap(lambda some: group_means(some, group, NUM))(moved))
    before = np.asarray(group_means(y, group, NUM))
    inside = np.broadcast_to(y - before[GROUP], moved.shape)
    np.testing.assert_allclose(np.asarray(moved) - centres[:, GROUP], inside, atol=2e-3)
    occupied = [0, 1, 3, 4]
    apart = np.abs(centres[:, occupied][:, :, None] - before[occupied]).max(-1)
    assert apart.min(-1).max() < 1e-2
    images, counts = np.unique(apart.argmin(-1), axis=0, return_counts=True)
    assert {tuple(row) for row in images} == set(itertools.permutations(range(4)))
    assert np.abs(counts - 100).max() < 5 * np.sqrt(100)
