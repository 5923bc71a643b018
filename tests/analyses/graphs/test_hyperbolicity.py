"""Trees are hyperbolic and do not fit in the plane; grids are the other way round."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

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
    assert float(graphs.delta_hyperbolicity(jnp.asarray(d))) == pytest.approx(four_points(d) / d.max(), rel=1e-4)


def test_stress_is_zero_in_the_plane_whatever_the_scale():
    points = rows_of(1, 12, 2)
    d = jnp.sqrt(jnp.sum((points[:, None] - points[None]) ** 2, axis=-1))
    assert float(graphs.plane_stress(d)) < 1e-3
    assert float(graphs.stress(d, 7 * d)) < 1e-3
    assert float(graphs.plane_stress(graphs.path_lengths(tree()))) > float(
        graphs.plane_stress(graphs.path_lengths(grid(4)))
    )
