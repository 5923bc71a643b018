"""Names of graphs: every example is made, a name names itself, and a slip is told with an example."""

import numpy as np
import pytest

from systems import GRAPHS, graph_examples, parse_graph


@pytest.mark.parametrize("text", graph_examples())
def test_a_graph_is_called_what_makes_it_again(text):
    graph = parse_graph(text)
    again = parse_graph(graph.name)
    assert again.name == graph.name
    assert graph.name.startswith(text)
    np.testing.assert_array_equal(again.adjacency, graph.adjacency)


def test_there_is_an_example_of_every_kind():
    assert [text.split(":")[0] for text in graph_examples()] == list(GRAPHS)


@pytest.mark.parametrize(
    ("text", "name", "nodes", "edges"),
    [
        ("hex", "hex:3x3", 30, 38),
        ("days", "days:3", 7, 7),
        (" grid:03x5 ", "grid:3x5", 15, 22),
        ("tree:2x3", "tree:2x3", 15, 14),
        ("regular:16x3", "regular:16x3:0", 16, 24),
        ("regular:16x3:7", "regular:16x3:7", 16, 24),
        ("hypercube:4", "hypercube:4", 16, 32),
        ("circulant:11x4", "circulant:11x4", 11, 11),
    ],
)
def test_the_canonical_name(text, name, nodes, edges):
    graph = parse_graph(text)
    assert (graph.name, graph.num_nodes, graph.num_edges) == (name, nodes, edges)


def test_a_probability_keeps_all_its_digits():
    assert parse_graph("erdos_renyi:12x0.512345678").name == "erdos_renyi:12x0.512345678:0"
    assert parse_graph("block:3x4x5:2").name == "block:3x4x5:2"


def test_days_join_those_that_are_three_apart():
    graph = parse_graph("days")
    apart = (graph.edges[:, 1] - graph.edges[:, 0]) % 7
    assert set(apart) == {3, 4}


@pytest.mark.parametrize("text", ["lattice:4x4", "", ":4", "Grid:4x4"])
def test_an_unknown_kind_is_answered_with_all_known_ones(text):
    with pytest.raises(ValueError) as caught:
        parse_graph(text)
    assert all(example in str(caught.value) for example in graph_examples())


@pytest.mark.parametrize(
    "text",
    [
        "grid", "grid:", "grid:4", "grid:4x4x4", "grid:4xfour", "grid:4x4:1", "grid:4.5x4", "ring:ten", "hex:",
        "regular:16x3:", "regular:16x3:a", "regular:16x3:1:2", "erdos_renyi:16", "block:8", "days:1x2",
    ],
)  # fmt: skip
def test_numbers_that_do_not_fit_are_answered_with_an_example(text):
    example = GRAPHS[text.split(":")[0]].example
    with pytest.raises(ValueError, match=f"Expected one like {example}. Correct"):
        parse_graph(text)


@pytest.mark.parametrize("text", ["grid:0x4", "ring:2", "regular:5x3", "erdos_renyi:9x1.5", "days:7", "regular:8x3:-1"])
def test_a_graph_that_cannot_be_says_why(text):
    with pytest.raises(ValueError, match=r"Got .*\. Expected .*\. Choose"):
        parse_graph(text)
