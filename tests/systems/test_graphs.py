"""What a graph must be, and what is said of one that is not."""

import numpy as np
import pytest

from systems import lattices
from systems.graphs import components, from_adjacency, spectral_layout, two_coloured


def joined(number, *edges):
    a = np.zeros((number, number))
    for i, j in edges:
        a[i, j] = a[j, i] = 1
    return a


@pytest.mark.parametrize(
    ("adjacency", "said"),
    [
        (np.zeros((2, 3)), "shape (2, 3)"),
        (np.zeros((0, 0)), "shape (0, 0)"),
        (np.zeros((1, 1)), "shape (1, 1)"),
        (2 * joined(2, (0, 1)), "entries"),
        (joined(3, (0, 1), (1, 2)) + np.diag([0, 1, 0]), "self-loops at the nodes 1"),
        (np.triu(joined(3, (0, 1), (1, 2))), "one way, as (0, 1)"),
        (joined(3, (0, 1)), "without an edge: 2"),
        (joined(4, (0, 1), (2, 3)), "2 parts: 0, 1; 2, 3"),
    ],
)
def test_what_is_no_connected_graph_is_refused_by_name(adjacency, said):
    with pytest.raises(ValueError, match="Got .* Expected .*") as caught:
        from_adjacency(adjacency)
    assert said in str(caught.value)


def test_a_layout_has_a_place_for_each_node():
    with pytest.raises(ValueError, match="layout"):
        from_adjacency(joined(2, (0, 1)), np.zeros((3, 2)))


def test_what_it_says_of_itself():
    g = from_adjacency(joined(4, (0, 1), (1, 2), (2, 3), (3, 0), (0, 2)))
    assert (g.num_nodes, g.num_edges, g.bipartite) == (4, 5, False)
    np.testing.assert_array_equal(g.degrees, [3, 2, 3, 2])
    np.testing.assert_array_equal(g.edges, [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3]])
    assert two_coloured(joined(4, (0, 1), (1, 2), (2, 3), (3, 0)))
    assert not two_coloured(joined(3, (0, 1), (1, 2), (2, 0)))


def test_parts_are_found_whatever_the_order():
    found = components(joined(6, (5, 0), (3, 1), (1, 4)))
    assert [part.tolist() for part in found] == [[0, 5], [1, 3, 4], [2]]


def test_the_spectral_layout_draws_a_path_as_a_line_in_order_and_a_ring_as_a_circle():
    line = spectral_layout(lattices.path(7).adjacency)[:, 0]
    assert (np.diff(line) > 0).all() or (np.diff(line) < 0).all()
    circle = spectral_layout(lattices.ring(9).adjacency)
    np.testing.assert_allclose(np.linalg.norm(circle, axis=1), np.linalg.norm(circle[0]), rtol=1e-4)
    assert spectral_layout(joined(2, (0, 1))).shape == (2, 2)
