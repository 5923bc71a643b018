"""Every walk is legal and does what its name says; the postman repeats as little as can be."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from systems.covering_walks import chain_walk, non_backtracking_walk, postman_walk, sweep_walk
from systems.graph_names import parse_graph
from systems.mixing_chains import reversible_chain

NAMES = ("grid:4x4", "ring:5", "tree:2x3", "path:4", "bipartite:3x4", "star:5", "hex:2x2")
KEY = jax.random.key(0)


@pytest.fixture(params=NAMES)
def graph(request):
    return parse_graph(request.param)


@pytest.mark.parametrize("make", [non_backtracking_walk, postman_walk, sweep_walk])
def test_legal_and_of_the_length_asked(graph, make):
    walk = np.asarray(make(KEY, jnp.asarray(graph.adjacency), 150))
    assert walk.shape == (150,)
    assert walk.dtype == np.int32
    assert graph.adjacency[walk[:-1], walk[1:]].all()
    other = np.asarray(make(jax.random.key(5), jnp.asarray(graph.adjacency), 150))
    assert not np.array_equal(walk, other)


@pytest.mark.parametrize("make", [non_backtracking_walk, postman_walk, sweep_walk, chain_walk])
def test_no_items_are_refused(make):
    with pytest.raises(ValueError, match="length 0"):
        make(KEY, jnp.asarray(parse_graph("ring:5").adjacency) / 2, 0)


def test_turns_back_only_in_dead_ends(graph):
    walk = np.asarray(non_backtracking_walk(KEY, jnp.asarray(graph.adjacency), 300))
    back = walk[2:] == walk[:-2]
    assert (graph.degrees[walk[1:-1][back]] == 1).all()


def test_choices_without_turning_back_are_even():
    graph = parse_graph("grid:3x3")
    walk = np.asarray(non_backtracking_walk(KEY, jnp.asarray(graph.adjacency), 20_000))
    centre = np.flatnonzero(walk[1:-1] == 4) + 1
    onward = walk[centre + 1][walk[centre - 1] == 1]
    counts = np.bincount(onward, minlength=9)[[3, 5, 7]]
    assert counts.sum() == len(onward)
    assert (abs(counts / len(onward) - 1 / 3) < 4 * np.sqrt(2 / 9 / len(onward))).all()


def least_repeats(graph):
    """By brute force over pairings of odd nodes."""
    hops = np.where(graph.adjacency > 0, 1.0, np.inf)
    np.fill_diagonal(hops, 0)
    for k in range(len(hops)):
        hops = np.minimum(hops, hops[:, k, None] + hops[None, k])
    odd = np.flatnonzero(graph.degrees % 2)
    if not len(odd):
        return 0

    def cost(rest):
        if not rest:
            return 0.0
        return min(hops[rest[0], rest[k]] + cost(rest[1:k] + rest[k + 1 :]) for k in range(1, len(rest)))

    return int(cost(tuple(odd.tolist())))


@pytest.mark.parametrize("name", ["grid:3x3", "grid:3x4", "ring:5", "path:4", "tree:2x2", "bipartite:3x3"])
def test_postman_walks_every_edge_with_fewest_repeats(name):
    graph = parse_graph(name)
    period = graph.num_edges + least_repeats(graph)
    walk = postman_walk(KEY, jnp.asarray(graph.adjacency), period + 1)
    assert walk[-1] == walk[0]
    walked = {frozenset(pair) for pair in itertools.pairwise(walk.tolist())}
    assert len(walked) == graph.num_edges


def test_every_sweep_sees_every_node(graph):
    walk = sweep_walk(KEY, jnp.asarray(graph.adjacency), 200)
    first = next(k for k in range(200) if len(set(walk[: k + 1].tolist())) == graph.num_nodes)
    assert first <= 2 * (graph.num_nodes - 1)
    assert len(set(walk[first : first + 2 * graph.num_nodes].tolist())) == graph.num_nodes


def test_chain_walk_follows_its_transitions():
    transition = jnp.array([[0.0, 0.8, 0.2], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]])
    walk = np.asarray(chain_walk(KEY, transition, 20_000))
    for i in range(3):
        after = walk[1:][walk[:-1] == i]
        shares = np.bincount(after, minlength=3) / len(after)
        assert (abs(shares - np.asarray(transition[i])) < 4 * np.sqrt(0.25 / len(after))).all()


def test_eigenvalue_of_the_uniform_walk_is_that_of_its_matrix(graph):
    chain = reversible_chain(jnp.asarray(graph.adjacency))
    values = np.sort(np.linalg.eigvals(np.asarray(chain.transition, np.float64)).real)
    assert float(chain.second_eigenvalue) == pytest.approx(values[-2], abs=1e-5)
    np.testing.assert_allclose(chain.stationary, graph.degrees / graph.degrees.sum(), rtol=1e-5)
