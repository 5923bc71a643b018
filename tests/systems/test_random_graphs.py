"""Random graphs: connected, the same for the same seed, and with the law they are named after."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from systems import block_model, erdos_renyi, random_graphs, random_regular

SEED = st.integers(0, 10_000)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 14), st.integers(2, 6), SEED)
def test_every_node_of_a_regular_graph_has_the_degree(number, degree, seed):
    if degree >= number or number * degree % 2:
        with pytest.raises(ValueError, match=f"{number} nodes of degree {degree}"):
            random_regular(number, degree, seed)
        return
    graph = random_regular(number, degree, seed)
    assert (graph.degrees == degree).all()


@pytest.mark.parametrize(
    "make",
    [lambda s: random_regular(16, 3, s), lambda s: erdos_renyi(16, 0.3, s), lambda s: block_model((6, 6), seed=s)],
)
def test_the_seed_says_which(make):
    first, again, other = make(5), make(5), make(6)
    np.testing.assert_array_equal(first.adjacency, again.adjacency)
    np.testing.assert_array_equal(first.layout, again.layout)
    assert (first.adjacency != other.adjacency).any()
    assert first.name.endswith(":5")
    with pytest.raises(ValueError, match="seed -1"):
        make(-1)


def test_pairs_of_nodes_are_edges_as_often_as_was_asked():
    """Connectedness hardly conditions graphs as dense as these."""
    seeds = range(150)
    dense = np.mean([erdos_renyi(12, 0.7, s).adjacency for s in seeds], axis=0)
    off = ~np.eye(12, dtype=bool)
    assert dense[off].mean() == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / (66 * 150)))
    blocks = np.mean([block_model((5, 7), 0.9, 0.3, s).adjacency for s in seeds], axis=0)
    block = np.repeat([0, 1], (5, 7))
    same = (block[:, None] == block) & off
    assert blocks[same].mean() == pytest.approx(0.9, abs=0.02)
    assert blocks[~same & off].mean() == pytest.approx(0.3, abs=0.04)


def test_all_cubic_graphs_of_six_nodes_occur():
    """Two kinds: the prism (triangles) in 60 of 70 labelled ones, the complete bipartite one in 10."""
    bipartite = np.mean([random_regular(6, 3, s).bipartite for s in range(400)])
    assert bipartite == pytest.approx(1 / 7, abs=0.06)


def test_what_can_hardly_be_connected_says_what_to_change(monkeypatch):
    monkeypatch.setattr(random_graphs, "TRIES", 5)
    with pytest.raises(ValueError, match=r"no connected erdos_renyi:40x0.01:0 in 5 draws.*larger probability"):
        erdos_renyi(40, 0.01)
    with pytest.raises(ValueError, match=r"block:9x9:0.*larger probabilities"):
        block_model((9, 9), 0.05, 0.001)


@pytest.mark.parametrize("probability", [0.0, -1.0, 1.5, float("nan")])
def test_a_probability_is_one(probability):
    with pytest.raises(ValueError, match="Expected 2 or more and one in"):
        erdos_renyi(5, probability)
    with pytest.raises(ValueError, match="two blocks or more"):
        block_model((3, 3), probability)


def test_blocks_are_two_or_more():
    for sizes in [(4,), (0, 3)]:
        with pytest.raises(ValueError, match="two blocks or more"):
            block_model(sizes)
