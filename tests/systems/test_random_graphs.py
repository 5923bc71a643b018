"""Random graphs: connected, the same for a seed, and of the law that they name."""

import numpy as np
import pytest

from systems.graphs import components
from systems.random_graphs import block_model, erdos_renyi, random_regular


@pytest.mark.parametrize("seed", range(4))
def test_a_regular_graph_is_regular(seed):
    g = random_regular(14, 3, seed)
    assert set(g.degrees.tolist()) == {3}
    assert len(components(g.adjacency)) == 1
    np.testing.assert_array_equal(g.adjacency, random_regular(14, 3, seed).adjacency)


def test_seeds_give_different_graphs():
    assert not np.array_equal(random_regular(14, 3, 0).adjacency, random_regular(14, 3, 1).adjacency)
    assert not np.array_equal(erdos_renyi(14, 0.4, 0).adjacency, erdos_renyi(14, 0.4, 1).adjacency)


def test_edges_come_as_often_as_said():
    density = np.mean([erdos_renyi(20, 0.4, seed).num_edges for seed in range(60)]) / 190
    assert abs(density - 0.4) < 4 * np.sqrt(0.24 / (190 * 60))
    blocks = [block_model((8, 8), 0.7, 0.2, seed).adjacency for seed in range(60)]
    assert abs(np.mean([a[:8, 8:].mean() for a in blocks]) - 0.2) < 4 * np.sqrt(0.16 / (64 * 60))
    assert abs(np.mean([np.triu(a[:8, :8], 1).sum() / 28 for a in blocks]) - 0.7) < 4 * np.sqrt(0.21 / (28 * 60))


@pytest.mark.parametrize(
    "make",
    [
        lambda: random_regular(5, 3),
        lambda: random_regular(4, 4),
        lambda: random_regular(6, 1),
        lambda: erdos_renyi(10, 0.0),
        lambda: erdos_renyi(1, 0.5),
        lambda: erdos_renyi(60, 0.001),
        lambda: block_model((5,)),
        lambda: block_model((5, 5), 0.5, 0.0),
        lambda: block_model((30, 30), 0.5, 1e-6),
    ],
)
def test_what_cannot_be_drawn_is_refused(make):
    with pytest.raises(ValueError, match=r"Got .* Expected"):
        make()
