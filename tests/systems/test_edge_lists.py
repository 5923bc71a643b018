"""Edge lists: what is read, what is passed over, and lines named by their numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems import parse_graph, read_edge_list


@pytest.fixture
def file(tmp_path):
    def write(content, name="friends.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    "head", ["", "source,target\n", "From, To\n", "a,b\n", "# friends\n\n", "\ufeffsource,target\r\n"]
)
def test_a_triangle_is_read_under_any_head(file, head):
    graph, labels = read_edge_list(file(head + 'Zoe,Ann\n\n# a comment, with "a mark\nAnn , Bob\nBob,Zoe\n'))
    assert labels == ("Zoe", "Ann", "Bob")
    assert graph.name == "friends"
    np.testing.assert_array_equal(graph.adjacency, 1 - np.eye(3))


def test_nodes_a_and_b_are_no_header_where_they_occur_again(file):
    graph, labels = read_edge_list(file("a,b\nb,c\n"))
    assert labels == ("a", "b", "c")
    assert graph.num_edges == 2


def test_labels_may_hold_commas_and_any_letters(file):
    _, labels = read_edge_list(file('"Paris, Texas",Zürich\nZürich,東京\n'))
    assert labels == ("Paris, Texas", "Zürich", "東京")


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["grid:3x3", "tree:2x2", "regular:8x3"]), st.randoms(use_true_random=False))
def test_a_graph_that_is_written_is_read_again(tmp_path_factory, name, random):
    graph = parse_graph(name)
    edges = [list(edge) for edge in graph.edges.tolist()]
    random.shuffle(edges)
    for edge in edges:
        random.shuffle(edge)
    path = tmp_path_factory.mktemp("edges") / "graph.csv"
    path.write_text("\n".join(f"n{a},n{b}" for a, b in edges))
    read, labels = read_edge_list(str(path))
    order = [int(label[1:]) for label in labels]
    np.testing.assert_array_equal(read.adjacency, graph.adjacency[np.ix_(order, order)])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "without an edge"),
        ("source,target\n", "without an edge"),
        ("# nothing\n\n", "without an edge"),
        ("a,b,c\nx,y\nz\n", r"line 1: 'a,b,c'; line 3: 'z'"),
        ("x,y\n\ny,\n", "line 3: 'y,'"),
        ("x,y\n# no\ny,y\n", "line 3: y. Expected no edge from a node to itself"),
        ("x,y\ny,z\ny,x\nx,y\n", "line 3: y,x; line 4: x,y. Expected each edge once"),
        (b"x,y\ny,\xff\n", "byte 6 is not UTF-8"),
        ("x,y\ny,z\np,q\n", "with x y z; p q. Expected one connected graph, not 2 parts"),
        ("x," + "y" * 140_000, "no CSV"),
        ("\n".join(f"x{i}" for i in range(13)), "and 3 more"),
    ],
)
def test_what_is_wrong_is_told_with_its_lines(file, content, said):
    with pytest.raises(ValueError, match=said) as caught:
        read_edge_list(file(content))
    assert "friends.csv" in str(caught.value)


def test_a_file_that_is_not_there_or_a_folder_is_told(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ValueError, match="Expected a CSV file of edges"):
            read_edge_list(path)
