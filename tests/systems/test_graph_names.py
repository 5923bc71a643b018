"""Graphs as a user types them."""

import numpy as np
import pytest

from systems.graph_names import GRAPHS, graph_examples, parse_graph


@pytest.mark.parametrize("text", graph_examples())
def test_every_example_is_a_graph_whose_name_makes_it_again(text):
    graph = parse_graph(text)
    again = parse_graph(graph.name)
    np.testing.assert_array_equal(graph.adjacency, again.adjacency)
    assert again.name == graph.name
    assert graph.name.startswith(text)


def test_what_may_be_left_out():
    assert parse_graph("hex").num_nodes == 30
    assert parse_graph("days").name == "days:3"
    assert parse_graph("regular:16x3:5").name == "regular:16x3:5"


@pytest.mark.parametrize(
    "text",
    ["", "moon:4", "grid", "grid:4", "grid:4x4x4", "grid:axb", "ring:ten", "ring:10:3", "regular:16x3:x", "hex:1.5x2"],
)
def test_what_is_not_understood_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"Got the graph .* Expected one like") as caught:
        parse_graph(text)
    kind = text.split(":")[0]
    assert (GRAPHS[kind].example if kind in GRAPHS else "grid:4x4") in str(caught.value)


def test_sizes_that_make_no_graph_say_so():
    with pytest.raises(ValueError, match="rows"):
        parse_graph("torus:2x2")
