"""Graphs from a user's table of edges."""

import numpy as np
import pytest

from systems.edge_lists import read_edge_list


@pytest.fixture
def made(tmp_path):
    def write(text, encoding="utf-8"):
        path = tmp_path / "roads.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


@pytest.mark.parametrize("head", ["", "source,target\n", "From, To\n", "# roads of 1900\n\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_table_of_labels(made, head, encoding):
    graph, labels = read_edge_list(made(head + "Köln,Bonn\nBonn , Trier\n\nTrier,Köln\nTrier,Metz\n", encoding))
    assert labels == ("Köln", "Bonn", "Trier", "Metz")
    assert graph.name == "roads"
    np.testing.assert_array_equal(graph.edges, [[0, 1], [0, 2], [1, 2], [2, 3]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "without an edge"),
        ("source,target\n", "without an edge"),
        ("a,b\nb,c,d\nc\n", "line 2: 'b,c,d'; line 3: 'c'"),
        ("x,y\ny,\n", "line 2"),
        ("x,y\ny,y\n", "line 2: y"),
        ("x,y\ny,z\ny,x\n", "line 3: y,x"),
        ("x,y\nu,v\n", "2 parts"),
    ],
)
def test_lines_that_cannot_be_used_are_named(made, text, said):
    with pytest.raises(ValueError, match=r"Got .* Expected") as caught:
        read_edge_list(made(text))
    assert said in str(caught.value)


def test_other_encodings_and_missing_files(made, tmp_path):
    with pytest.raises(ValueError, match="UTF-8"):
        read_edge_list(made("Köln,Bonn\n", "latin-1"))
    with pytest.raises(ValueError, match="No such file"):
        read_edge_list(tmp_path / "none.csv")
