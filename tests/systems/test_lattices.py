"""Lattices: counted by formula, recognised by their degrees and spectra, drawn without two nodes in one place."""

import numpy as np
import pytest

from systems import lattices

MADE = [
    (lattices.grid(4, 4), 16, 24, True),
    (lattices.grid(1, 5), 5, 4, True),
    (lattices.ring(10), 10, 10, True),
    (lattices.ring(7), 7, 7, False),
    (lattices.path(8), 8, 7, True),
    (lattices.torus(3, 4), 12, 24, False),
    (lattices.torus(4, 6), 24, 48, True),
    (lattices.cylinder(4, 6), 24, 42, True),
    (lattices.cylinder(2, 3), 6, 9, False),
    (lattices.honeycomb(1, 1), 6, 6, True),
    (lattices.honeycomb(2, 2), 16, 19, True),
    (lattices.honeycomb(3, 3), 30, 38, True),
    (lattices.star(8), 8, 7, True),
    (lattices.complete_bipartite(3, 4), 7, 12, True),
    (lattices.balanced_tree(2, 3), 15, 14, True),
    (lattices.balanced_tree(3, 2), 13, 12, True),
    (lattices.hypercube(4), 16, 32, True),
    (lattices.circulant(7, 3), 7, 7, False),
]


@pytest.mark.parametrize(("graph", "nodes", "edges", "bipartite"), MADE, ids=lambda x: getattr(x, "name", ""))
def test_nodes_edges_and_colours_are_those_of_the_formula(graph, nodes, edges, bipartite):
    assert (graph.num_nodes, graph.num_edges, graph.bipartite) == (nodes, edges, bipartite)


@pytest.mark.parametrize("graph", [row[0] for row in MADE], ids=lambda graph: graph.name)
def test_every_node_has_a_place_of_its_own(graph):
    between = np.linalg.norm(graph.layout[:, None] - graph.layout[None], axis=-1)
    np.fill_diagonal(between, np.inf)
    assert between.min() > 0.1


@pytest.mark.parametrize("graph", [lattices.grid(3, 5), lattices.honeycomb(3, 4), lattices.path(4)])
def test_edges_are_the_shortest_distances_of_a_flat_lattice(graph):
    between = np.linalg.norm(graph.layout[:, None] - graph.layout[None], axis=-1)
    np.fill_diagonal(between, np.inf)
    np.testing.assert_array_equal(graph.adjacency > 0, between < between.min() + 1e-3)


def laplacian_values(graph):
    return np.linalg.eigvalsh(np.diag(graph.degrees) - graph.adjacency)


def test_spectra_are_known():
    wave = lambda n: 2 - 2 * np.cos(2 * np.pi * np.arange(n) / n)  # noqa: E731
    line = lambda n: 2 - 2 * np.cos(np.pi * np.arange(n) / n)  # noqa: E731
    both = lambda a, b: np.sort((a[:, None] + b[None]).ravel())  # noqa: E731
    for graph, expected in [
        (lattices.ring(9), np.sort(wave(9))),
        (lattices.circulant(7, 3), np.sort(wave(7))),
        (lattices.path(6), line(6)),
        (lattices.grid(3, 4), both(line(3), line(4))),
        (lattices.cylinder(3, 5), both(line(3), wave(5))),
        (lattices.torus(3, 5), both(wave(3), wave(5))),
        (lattices.hypercube(3), np.sort([2 * bin(k).count("1") for k in range(8)])),
        (lattices.star(6), np.array([0, 1, 1, 1, 1, 6])),
        (lattices.complete_bipartite(2, 3), np.array([0, 2, 2, 3, 5])),
    ]:
        np.testing.assert_allclose(laplacian_values(graph), expected, atol=1e-5)


def test_a_honeycomb_is_made_of_hexagons_and_a_tree_of_generations():
    flakes = lattices.honeycomb(3, 3)
    assert set(flakes.degrees) == {2, 3}
    assert flakes.num_edges - flakes.num_nodes + 1 == 9  # independent cycles
    paths = np.linalg.matrix_power(flakes.adjacency.astype(int), 4)
    assert (np.diag(paths) == (flakes.adjacency @ flakes.degrees + flakes.degrees**2 - flakes.degrees)).all()
    tree = lattices.balanced_tree(3, 3)
    assert np.bincount(tree.degrees).tolist() == [0, 27, 0, 1, 12]
    assert lattices.balanced_tree(1, 4).num_edges == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: lattices.grid(0, 4),
        lambda: lattices.grid(1, 1),
        lambda: lattices.torus(2, 4),
        lambda: lattices.cylinder(4, 2),
        lambda: lattices.ring(2),
        lambda: lattices.path(1),
        lambda: lattices.star(2),
        lambda: lattices.complete_bipartite(0, 4),
        lambda: lattices.complete_bipartite(1, 1),
        lambda: lattices.balanced_tree(0, 2),
        lambda: lattices.balanced_tree(2, 0),
        lambda: lattices.hypercube(0),
        lambda: lattices.honeycomb(0, 2),
        lambda: lattices.circulant(7, 0),
        lambda: lattices.circulant(7, 7),
    ],
)
def test_what_is_too_small_is_refused(make):
    with pytest.raises(ValueError, match=r"Got .*\. Expected .*\. Choose"):
        make()


def test_a_step_that_divides_the_circle_leaves_it_in_parts():
    with pytest.raises(ValueError, match="in 3 parts: 0, 3; 1, 4; 2, 5"):
        lattices.circulant(6, 3)
