"""What a walk has seen, by a loop with sets."""

import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

from .shapes import grid, joined, ring, walk_on


def parts(edges, number):
    parent = list(range(number))
    for i, j in edges:
        a, b = parent[i], parent[j]
        parent = [a if p == b else p for p in parent]
    return sorted(np.bincount(parent, minlength=number), reverse=True)


@pytest.mark.parametrize("times", [1, 2])
def test_coverage_and_parts_by_a_loop(times):
    a, walk = grid(4), walk_on(grid(4), 70, 5)
    coverage = graphs.edge_coverage(walk, a, times)
    largest, others = graphs.largest_component(walk, a, times), graphs.susceptibility(walk, a, times)
    counts: dict[tuple[int, int], int] = {}
    nodes = np.asarray(walk).tolist()
    for t, here in enumerate(nodes):
        if t:
            edge = tuple(sorted((nodes[t - 1], here)))
            counts[edge] = counts.get(edge, 0) + 1
        known = [edge for edge, n in counts.items() if n >= times]
        sizes = [s for s in parts(known, 16) if s]
        assert float(coverage[t]) == pytest.approx(len(known) / 24)
        assert float(largest[t]) == pytest.approx(sizes[0] / 16)
        rest = np.array(sizes[1:])
        assert float(others[t]) == pytest.approx((rest**2).sum() / rest.sum() if rest.size else 0)


def test_moves_that_are_no_edges_do_not_count():
    walk = jnp.array([0, 5, 0, 5], jnp.int32)
    assert float(graphs.edge_coverage(walk, ring(10))[-1]) == 0


def test_sizes_of_parts():
    found = graphs.component_sizes(joined(7, [(6, 2), (2, 4), (1, 3)]) > 0)
    np.testing.assert_array_equal(found, [1, 2, 3, 0, 0, 1, 0])


def test_the_first_time():
    curve = jnp.array([0.0, 0.2, 0.6, 0.5])
    assert float(graphs.first_time(curve, 0.5)) == 3
    assert np.isnan(graphs.first_time(curve, 0.7))


def test_half_of_the_grids_edges_are_seen_at_about_27():
    walks = [walk_on(grid(4), 120, seed) for seed in range(40)]
    times = [float(graphs.first_time(graphs.edge_coverage(w, grid(4)), 0.5)) for w in walks]
    assert abs(np.mean(times) - 27) < 4
