"""Trees are hyperbolic and do not fit in the plane; grids are the other way round."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyses import graphs
from analyses.graphs.hyperbolicity import _hyperbolic

from .shapes import grid, path, ring, rows_of, tree


def four_points(d):
    worst = 0.0
    for x, y, z, w in itertools.combinations(range(len(d)), 4):
        sums = sorted((d[x, y] + d[z, w], d[x, z] + d[y, w], d[x, w] + d[y, z]))
        worst = max(worst, (sums[2] - sums[1]) / 2)
    return worst


def test_trees_have_none_and_rings_much():
    assert float(graphs.delta_hyperbolicity(graphs.path_lengths(tree()))) == 0
    assert float(graphs.delta_hyperbolicity(graphs.path_lengths(path(6)))) == 0
    assert float(graphs.delta_hyperbolicity(graphs.path_lengths(ring(8)))) == pytest.approx(0.5)


def test_it_is_the_four_point_condition():
    points = np.asarray(rows_of(0, 9, 3))
    d = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert float(graphs.delta_hyperbolicity(jnp.asarray(d), relative=False)) == pytest.approx(four_points(d), rel=1e-4)
    assert float(graphs.delta_hyperbolicity(jnp.asarray(d))) == pytest.approx(four_points(d) / d.max(), rel=1e-4)


def test_stress_is_zero_in_the_plane_whatever_the_scale():
    points = rows_of(1, 12, 2)
    d = jnp.sqrt(jnp.sum((points[:, None] - points[None]) ** 2, axis=-1))
    assert float(graphs.plane_stress(d)) < 1e-3
    assert float(graphs.stress(d, 7 * d)) < 1e-3
    assert float(graphs.plane_stress(graphs.path_lengths(tree()))) > float(
        graphs.plane_stress(graphs.path_lengths(grid(4)))
    )


def test_a_tree_fits_the_hyperbolic_plane_and_a_grid_does_not_mind():
    both = jax.jit(
        lambda d: (graphs.euclidean_stress(jax.random.key(0), d), graphs.poincare_stress(jax.random.key(0), d))
    )
    flat, curved = both(graphs.path_lengths(tree()))
    assert float(curved) < 0.5 * float(flat)
    assert float(flat) <= float(graphs.plane_stress(graphs.path_lengths(tree()))) + 1e-3
    points = rows_of(2, 15, 2)
    flat, curved = both(jnp.sqrt(jnp.sum((points[:, None] - points[None]) ** 2, axis=-1)))
    assert float(flat) < 0.01
    assert float(curved) < 0.03


def test_hyperbolic_distances_are_those_of_the_disc():
    """Of three points in the disc all distances are known: d(0, u) = 2 artanh |u|; the law of cosines has the rest."""
    u, v = np.array([0.6, 0.0]), np.array([0.0, 0.8])
    gap = np.arccosh(1 + 2 * np.sum((u - v) ** 2) / ((1 - 0.36) * (1 - 0.64)))
    d = np.array([[0, 2 * np.arctanh(0.6), 2 * np.arctanh(0.8)], [0, 0, gap], [0, 0, 0]])
    free = [2 * np.arctanh(0.6) * np.array([1.0, 0.0]), 2 * np.arctanh(0.8) * np.array([0.0, 1.0])]
    found = _hyperbolic(jnp.asarray(np.stack((np.zeros(2), *free)), jnp.float32))
    np.testing.assert_allclose(found, d + d.T, rtol=1e-5, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 14))
def test_neighbour_joining_gives_back_any_tree(seed, leaves):
    """A tree grown leaf by leaf at random places, with random branches."""
    random = np.random.default_rng(seed)
    d = np.zeros((1, 1))
    for _ in range(leaves - 1):
        # A point on the way between two leaves: its distances follow from theirs, whichever tree it is.
        i, j = random.integers(len(d)), random.integers(len(d))
        along = random.uniform(0, d[i, j])
        to = np.maximum(d[i] - along, d[j] - (d[i, j] - along)) + random.uniform(0.1, 1)
        d = np.block([[d, to[:, None]], [to, 0]])
    np.testing.assert_allclose(graphs.neighbour_joining(d), d, atol=1e-9)
    assert graphs.tree_distortion(d) < 1e-6


def test_nodes_inside_a_tree_are_leaves_at_no_distance():
    assert graphs.tree_distortion(graphs.path_lengths(tree())) < 1e-6
    assert graphs.tree_distortion(graphs.path_lengths(grid(4))) > 0.2


def test_a_search_needs_steps_and_starts():
    for of in (graphs.euclidean_stress, graphs.poincare_stress):
        with pytest.raises(ValueError, match="Got 0 steps and 8 starts"):
            of(jax.random.key(0), jnp.ones((3, 3)), steps=0)
