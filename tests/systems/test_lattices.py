"""Every graph with a rule: counts, degrees and distances in closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems import lattices

small = st.integers(1, 6)


@settings(deadline=None, max_examples=25)
@given(small, small)
def test_a_grid_has_its_edges_and_neighbours_lie_one_apart(rows, columns):
    if rows * columns < 2:
        return
    g = lattices.grid(rows, columns)
    assert g.num_edges == 2 * rows * columns - rows - columns
    for i, j in g.edges:
        assert np.abs(g.layout[i] - g.layout[j]).sum() == 1


@pytest.mark.parametrize(
    ("graph", "nodes", "edges", "degrees", "bipartite"),
    [
        (lattices.ring(10), 10, 10, {2}, True),
        (lattices.circulant(7, 3), 7, 7, {2}, False),
        (lattices.torus(4, 5), 20, 40, {4}, False),
        (lattices.cylinder(3, 4), 12, 20, {3, 4}, True),
        (lattices.path(2), 2, 1, {1}, True),
        (lattices.star(6), 6, 5, {1, 5}, True),
        (lattices.complete_bipartite(3, 4), 7, 12, {3, 4}, True),
        (lattices.balanced_tree(2, 3), 15, 14, {1, 2, 3}, True),
        (lattices.hypercube(4), 16, 32, {4}, True),
        (lattices.honeycomb(1, 1), 6, 6, {2}, True),
        (lattices.honeycomb(2, 2), 16, 19, {2, 3}, True),
        (lattices.honeycomb(3, 3), 30, 38, {2, 3}, True),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_counts(graph, nodes, edges, degrees, bipartite):
    assert (graph.num_nodes, graph.num_edges, graph.bipartite) == (nodes, edges, bipartite)
    assert set(graph.degrees.tolist()) == degrees
    assert len({tuple(np.round(place, 5)) for place in graph.layout}) == nodes, "two nodes are drawn at one place"


def test_days_of_step_three_join_no_neighbours_in_the_calendar():
    a = lattices.circulant(7, 3).adjacency
    assert not any(a[i, (i + 1) % 7] for i in range(7))


def test_all_edges_of_a_honeycomb_are_equally_long():
    g = lattices.honeycomb(3, 3)
    lengths = np.linalg.norm(g.layout[g.edges[:, 0]] - g.layout[g.edges[:, 1]], axis=1)
    np.testing.assert_allclose(lengths, 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (lattices.grid, (1, 1)),
        (lattices.grid, (0, 3)),
        (lattices.ring, (2,)),
        (lattices.torus, (2, 4)),
        (lattices.cylinder, (2, 2)),
        (lattices.circulant, (6, 6)),
        (lattices.circulant, (6, 2)),  # two triangles
        (lattices.path, (1,)),
        (lattices.star, (2,)),
        (lattices.complete_bipartite, (1, 1)),
        (lattices.balanced_tree, (2, 0)),
        (lattices.hypercube, (0,)),
        (lattices.honeycomb, (0, 2)),
    ],
)
def test_sizes_that_make_no_graph_are_refused(make, arguments):
    with pytest.raises(ValueError, match=r"Got .* Expected"):
        make(*arguments)
