import itertools

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.subsets import chosen_mean, permutation_among, ratio, varies


def test_rows_that_are_not_chosen_are_not_read():
    rows = jnp.array([[1.0, 2.0], [jnp.nan, jnp.inf], [3.0, 6.0]])
    weight = jnp.array([1.0, 0.0, 3.0])
    np.testing.assert_allclose(chosen_mean(rows, weight), [2.5, 5.0])
    assert np.isnan(chosen_mean(rows, jnp.zeros(3))).all()
    np.testing.assert_array_equal(varies(rows, weight), [True, True])
    np.testing.assert_array_equal(varies(rows, jnp.array([0.0, 0.0, 1.0])), [False, False])
    assert bool(varies(rows[:, 0], jnp.ones(3)))  # NaN is not a constant


def test_a_quotient_by_nothing_is_nan():
    np.testing.assert_allclose(ratio(jnp.array([1.0, 1.0, 1.0]), jnp.array([2.0, 0.0, -1.0])), [0.5, np.nan, np.nan])


def test_permutations_among_the_chosen_are_uniform_and_leave_the_rest():
    chosen = jnp.array([True, False, True, True, False])
    drawn = jax.jit(jax.vmap(permutation_among, in_axes=(0, None)))(jax.random.split(jax.random.key(0), 3000), chosen)
    np.testing.assert_array_equal(drawn[:, [1, 4]], np.broadcast_to([1, 4], (3000, 2)))
    rows, counts = np.unique(np.asarray(drawn[:, [0, 2, 3]]), axis=0, return_counts=True)
    assert {tuple(row) for row in rows} == set(itertools.permutations((0, 2, 3)))
    assert np.abs(counts - 500).max() < 5 * np.sqrt(500)
