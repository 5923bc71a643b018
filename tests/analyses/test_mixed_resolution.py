from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.stats import norm

import analyses
from analyses import bhattacharyya_distance, bin_masses, group_mass
from analyses.mixed_resolution import mixed_grid_size

gaussian_log_masses = jax.jit(analyses.gaussian_log_masses)
group_log_mass = jax.jit(analyses.group_log_mass)
mixed_grid = jax.jit(analyses.mixed_grid, static_argnames=("depth", "mode", "base"))
moments = jax.jit(analyses.moments, static_argnames="within_bin")

SETTINGS = [
    (2, "all", 0, 19),
    (2, "all", 1, 100),
    (3, "neighbor", 1, 46),
    (3, "neighbor", 2, 307),
    (3, "all", 2, 1000),
]


def edges_of(precision, base=10):
    return jnp.linspace(0.0, 10.0, base**precision + 1)


def refined_leaves(digits, depth, mode, base):
    """Leaf prefixes by growing the tree as the published recursion does: an independent second writing."""
    precision, leaves = len(digits), set()

    def expand(prefix):
        if len(prefix) == depth + 1:
            leaves.add(prefix)
        else:
            for digit in range(base):
                expand((*prefix, digit))

    for level in range(precision):
        for sibling in range(base):
            prefix = (*digits[:level], sibling)
            if sibling == digits[level]:
                continue
            skipped = mode == "neighbor" and level == 0 and abs(sibling - digits[0]) > 1
            if level < depth and not skipped:
                expand(prefix)
            else:
                leaves.add(prefix)
    leaves.add(tuple(digits))
    return leaves


@pytest.mark.parametrize(("precision", "mode", "depth", "count"), SETTINGS)
def test_cell_counts_are_the_published_ones(precision, mode, depth, count):
    assert mixed_grid_size(precision, depth=depth, mode=mode) == count
    digits = jnp.array([4, 0, 9][:precision])
    grid = mixed_grid(digits, edges_of(precision), depth=depth, mode=mode)
    assert grid.valid.shape == (count,)
    assert bool(jnp.all(grid.valid))


@pytest.mark.parametrize(("base", "precision"), [(4, 3), (2, 2)])
@pytest.mark.parametrize("mode", ["all", "neighbor"])
def test_cells_are_the_leaves_of_the_refined_tree_for_every_true_value(base, precision, mode):
    num_bins = base**precision
    edges = jnp.arange(num_bins + 1, dtype=jnp.float32)
    places = base ** np.arange(precision - 1, -1, -1)
    every = np.arange(num_bins)[:, None] // places % base
    for depth in range(precision):
        build = partial(mixed_grid, depth=depth, mode=mode, base=base)
        grids = jax.jit(jax.vmap(build, in_axes=(0, None)))(jnp.asarray(every), edges)
        for digits, segment, group_edges, valid in zip(every, *(np.asarray(a) for a in grids), strict=True):
            leaves = refined_leaves(tuple(digits), depth, mode, base)
            starts = np.array(sorted(int(np.dot(leaf, places[: len(leaf)])) for leaf in leaves))
            np.testing.assert_array_equal(group_edges[: len(starts)], starts)
            np.testing.assert_array_equal(group_edges[len(starts) :], num_bins)
            np.testing.assert_array_equal(valid, np.arange(len(valid)) < len(starts))
            np.testing.assert_array_equal(segment, np.searchsorted(starts, np.arange(num_bins), side="right") - 1)


def test_a_first_digit_at_the_end_has_one_neighbour_fewer():
    edges = edges_of(3)
    for first in (0, 9):
        grid = mixed_grid(jnp.array([first, 5, 5]), edges, depth=2, mode="neighbor")
        assert int(jnp.sum(grid.valid)) == 2 * 100 + 8
        log_mass = gaussian_log_masses(5.0, 2.0, edges)
        assert float(jnp.sum(jnp.exp(group_log_mass(log_mass, grid)))) == pytest.approx(1, abs=1e-5)
        assert np.all(np.isfinite(moments(group_log_mass(log_mass, grid), grid.edges)))


def test_grids_of_a_whole_series_in_one_jitted_call():
    edges = edges_of(3)
    codes = np.array([4, 159, 500, 999])
    digits = jnp.asarray(codes[:, None] // np.array([100, 10, 1]) % 10)

    @jax.jit
    def distances(digits):
        def one(digits, mean):
            grid = mixed_grid(digits, edges, depth=2, mode="neighbor")
            truth = bin_masses(lambda x: norm.cdf(x, mean, 0.3), edges).mass
            log_mass = gaussian_log_masses(mean + 0.3, 0.5, edges)
            return (
                bhattacharyya_distance(group_log_mass(log_mass, grid), group_mass(truth, grid)),
                bhattacharyya_distance(log_mass, truth),
            )

        return jax.vmap(one)(digits, jnp.array([1.0, 2.0, 5.0, 9.0]))

    mixed, complete = distances(digits)
    assert np.all(mixed <= complete + 1e-6)
    assert np.all(mixed > 0)
    gradient = jax.grad(lambda x: group_log_mass(x, mixed_grid(digits[0], edges, depth=2, mode="neighbor"))[3])(
        gaussian_log_masses(1.0, 0.3, edges)
    )
    assert np.all(np.isfinite(gradient))


def test_depth_of_all_digits_is_the_complete_law():
    log_mass = gaussian_log_masses(4.0, 1.0, edges_of(2))
    grid = mixed_grid(jnp.array([3, 3]), edges_of(2), depth=1, mode="all")
    np.testing.assert_array_equal(grid.edges, edges_of(2))
    np.testing.assert_allclose(group_log_mass(log_mass, grid), log_mass, rtol=1e-5)


@pytest.mark.parametrize(
    ("precision", "depth", "mode", "bins"),
    [(2, 2, "all", 100), (2, -1, "all", 100), (2, 1, "both", 100), (2, 1, "all", 1000)],
)
def test_impossible_grids_are_refused(precision, depth, mode, bins):
    with pytest.raises(Exception, match=r"got .*expected|violates type hint|did not match|Type-check"):
        mixed_grid(jnp.zeros(precision, jnp.int32), jnp.linspace(0.0, 10.0, bins + 1), depth=depth, mode=mode)
