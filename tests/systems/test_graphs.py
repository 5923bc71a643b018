"""Graphs: what they count, how they are drawn, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems import Graph, from_adjacency
from systems.graphs import components, spectral_layout, two_coloured


def joined(number, *edges):
    adjacency = np.zeros((number, number))
    for a, b in edges:
        adjacency[a, b] = adjacency[b, a] = 1
    return adjacency


@st.composite
def connected(draw):
    """A random tree with further edges."""
    number = draw(st.integers(2, 9))
    edges = [(node, draw(st.integers(0, node - 1))) for node in range(1, number)]
    more = draw(st.lists(st.tuples(st.integers(0, number - 1), st.integers(0, number - 1)), max_size=8))
    return joined(number, *edges, *[(a, b) for a, b in more if a != b])


@settings(max_examples=40, deadline=None)
@given(connected())
def test_what_a_graph_counts_agrees_with_itself(adjacency):
    graph = from_adjacency(adjacency)
    assert graph.adjacency.dtype == graph.layout.dtype == np.float32
    assert graph.num_nodes == len(adjacency)
    assert graph.degrees.sum() == 2 * graph.num_edges == 2 * len(graph.edges)
    assert (graph.edges[:, 0] < graph.edges[:, 1]).all()
    np.testing.assert_array_equal(joined(graph.num_nodes, *graph.edges), adjacency)


@settings(max_examples=40, deadline=None)
@given(connected())
def test_two_colours_suffice_where_the_spectrum_is_symmetric(adjacency):
    values = np.linalg.eigvalsh(adjacency)
    assert two_coloured(adjacency) == np.allclose(values, -values[::-1], atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=9))
def test_the_parts_are_as_many_as_the_laplacian_has_zeros(edges):
    adjacency = joined(8, *[(a, b) for a, b in edges if a != b])
    parts = components(adjacency)
    zeros = np.linalg.eigvalsh(np.diag(adjacency.sum(1)) - adjacency) < 1e-9
    assert len(parts) == zeros.sum()
    assert sorted(np.concatenate(parts)) == list(range(8))
    for part in parts:
        others = np.setdiff1d(np.arange(8), part)
        assert not adjacency[np.ix_(part, others)].any()
        assert (np.diff(part) > 0).all()


def test_the_default_layout_is_of_the_smoothest_modes():
    line = joined(6, *[(i, i + 1) for i in range(5)])
    layout = from_adjacency(line).layout
    for mode, column in enumerate(layout.T, 1):
        expected = np.cos(mode * np.pi * (np.arange(6) + 0.5) / 6)
        assert abs(column @ expected) == pytest.approx(np.linalg.norm(expected), rel=1e-5)
        assert column[0] > 0  # its largest entries are at both ends, or in both halves
    np.testing.assert_array_equal(spectral_layout(joined(2, (0, 1)))[:, 1], 0)


def test_a_layout_that_is_given_is_kept():
    places = np.array([[0, 1], [2, 3]])
    graph = from_adjacency(joined(2, (0, 1)), places, "pair")
    np.testing.assert_array_equal(graph.layout, places)
    assert graph.name == "pair"
    assert isinstance(graph, Graph)
    with pytest.raises(AttributeError):
        graph.name = "other"


ONE_WAY = joined(3, (0, 1), (1, 2))
ONE_WAY[0, 2] = 1


@pytest.mark.parametrize(
    ("adjacency", "said"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\)"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((0, 0)), r"shape \(0, 0\)"),
        (np.zeros((1, 1)), "two nodes or more"),
        (2 * joined(2, (0, 1)), "Expected 0 and 1"),
        (np.full((2, 2), np.nan), "Expected 0 and 1"),
        (joined(3, (0, 1), (1, 2)) + np.diag([0, 1, 1]), "self-loops at the nodes 1, 2"),
        (ONE_WAY, r"one way, as \(0, 2\)"),
        (joined(4, (0, 1)), "without an edge: 2, 3"),
        (joined(20, *[(i, i + 1) for i in range(19) if i != 11]), "2 parts: 0, 1, 2, 3, 4, …; 12, 13, 14, 15, 16, …"),
    ],
)
def test_what_is_no_connected_graph_is_refused(adjacency, said):
    with pytest.raises(ValueError, match=said):
        from_adjacency(adjacency)


@pytest.mark.parametrize(("layout", "said"), [(np.zeros((3, 2)), r"shape \(3, 2\)"), (np.full((2, 2), np.inf), "NaN")])
def test_a_layout_has_a_finite_place_for_each_node(layout, said):
    with pytest.raises(ValueError, match=said):
        from_adjacency(joined(2, (0, 1)), layout)
