"""Every curriculum gives a legal walk; the fastest mixing one keeps the uniform walk's visits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems.covering_walks import chain_walk
from systems.curricula import CURRICULA
from systems.graph_names import parse_graph
from systems.mixing_chains import fastest_degree_chain

KEY = jax.random.key(0)
GRID = parse_graph("grid:3x4")
A = jnp.asarray(GRID.adjacency)


@pytest.mark.parametrize("name", CURRICULA)
def test_legal_of_the_length_asked_and_told_by_the_key(name):
    make = CURRICULA[name]
    for graph in (GRID, parse_graph("tree:2x2")):
        adjacency = jnp.asarray(graph.adjacency)
        walk = np.asarray(make(KEY, adjacency, 120))
        assert (walk.shape, walk.dtype) == ((120,), np.int32)
        assert graph.adjacency[walk[:-1], walk[1:]].all()
        np.testing.assert_array_equal(make(KEY, adjacency, 120), walk)
        assert not np.array_equal(make(jax.random.key(1), adjacency, 120), walk)
    assert np.asarray(make(KEY, A, 1)).shape == (1,)


@pytest.mark.parametrize("name", sorted(set(CURRICULA) - {"postman", "sweep"}))
def test_a_batch_is_a_loop(name):
    keys = jax.random.split(KEY, 3)
    batch = jax.vmap(lambda key: CURRICULA[name](key, A, 11))(keys)
    np.testing.assert_array_equal(batch, np.stack([CURRICULA[name](key, A, 11) for key in keys]))


@pytest.mark.parametrize("name", ["postman", "sweep"])
def test_what_covers_leaves_no_node_out_and_takes_no_longer_than_it_may(name):
    """A sweep goes along each tree edge twice at most; a circuit goes along each edge twice at most."""
    most = 2 * (GRID.num_nodes - 1) if name == "sweep" else 2 * GRID.num_edges
    for seed in range(5):
        walk = np.asarray(CURRICULA[name](jax.random.key(seed), A, most + 1))
        assert len(np.unique(walk)) == GRID.num_nodes


def test_the_fastest_mixing_walk_visits_as_the_uniform_walk_does_and_forgets_sooner():
    walk = np.asarray(CURRICULA["fastest-mixing"](KEY, A, 40_000))
    law = GRID.degrees / GRID.degrees.sum()
    np.testing.assert_allclose(np.bincount(walk, minlength=12) / len(walk), law, atol=0.01)
    np.testing.assert_array_equal(walk, chain_walk(KEY, fastest_degree_chain(A).transition, 40_000))
