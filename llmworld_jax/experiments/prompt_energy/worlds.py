"""Graphs and words that prompts are trained and tested on, as arrays that a compiled step can draw from.

Training draws a new placement of words at every walk, from a pool that half of the paper's sixteen words are kept out
of; tests use the paper's words, so that a prompt which only knows its words is found out.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from systems import graph_names, walks
from systems.graphs import Graph

from ...errors import InputError
from ...models.catalogue import LoadedModel
from ...optimise.seen import WalkTask
from ...words import GRID_WORDS, POOL, placed_words, word_ids
from ..graph_tracing.study import LEAST_NODES
from .config import EnergyConfig

TRAINED_ON = 22
"""Words of the training pool, or more where a graph has more nodes."""
KEPT_OUT = GRID_WORDS[::2]
LONGEST_SEARCH = 360
"""Words that a late prompt's walk has in all."""


class Training(NamedTuple):
    """Stacked graphs, filled up to one size, and the pool of words."""

    adjacency: Float[Array, "graph node node"]
    real: Bool[Array, "graph node"]
    pool: Int[Array, " word"]


class TestSet(NamedTuple):
    """Walks over one placement. ``tasks`` has a leading axis of walks; ``words`` in the order of the nodes."""

    name: str
    graph: Graph
    words: tuple[str, ...]
    tasks: WalkTask


class Worlds(NamedTuple):
    """``tests`` by name: the trained graphs with words of the pool, with the paper's words, and graphs held out."""

    graphs: tuple[Graph, ...]
    training: Training
    tests: tuple[TestSet, ...]


def prepare(config: EnergyConfig, loaded: LoadedModel) -> Worlds:
    """Everything that a run reads.

    Raises:
        InputError: a graph that cannot be, more nodes than words, walks longer than the model's context.
    """
    trained = tuple(_graph(name) for name in config.graph)
    held_out = tuple(_graph(name) for name in config.held_out)
    words = _pool(max(graph.num_nodes for graph in trained))
    searched = LONGEST_SEARCH if "tokens" in config.study else 0
    before = max(*config.vectors, 4 * max(g.num_nodes for g in trained))
    longest = before + max(config.length, config.test_length, searched)
    if longest > loaded.config.max_positions:
        raise InputError(
            f"walks and prompts of up to {longest:,} tokens",
            f"at most {loaded.config.max_positions:,}, the model's context",
            "Shorten --length or --test-length",
        )
    tests = [_test(f"{g.name}, words of the pool", g, words, k, config, loaded) for k, g in enumerate(trained)]
    tests += [_test(f"{g.name}, new words", g, _testing(g), 100 + k, config, loaded) for k, g in enumerate(trained)]
    tests += [_test(f"{g.name}, held out", g, _testing(g), 200 + k, config, loaded) for k, g in enumerate(held_out)]
    pool = jnp.asarray(word_ids(loaded.tokenizer, words))
    return Worlds(trained, Training(*_stacked(trained), pool), tuple(tests))


def draw_task(key: Key[Array, ""], training: Training, graph: Int[Array, ""], length: int) -> WalkTask:
    """A walk of ``length`` words on one of the graphs, over a placement of its own. Pure."""
    words, start, steps = jax.random.split(key, 3)
    adjacency, real = training.adjacency[graph], training.real[graph]
    ids = jax.random.permutation(words, training.pool)[: adjacency.shape[0]]
    first = jax.random.categorical(start, jnp.where(real, 0.0, -jnp.inf))
    return WalkTask(walks.random_walk(steps, adjacency, length, start=first), ids, adjacency, real)


def _graph(name: str) -> Graph:
    try:
        graph = graph_names.parse_graph(name)
    except ValueError as error:
        raise InputError(f"the graph {name!r}", "one that can be walked", str(error).rstrip(".")) from None
    if graph.num_nodes < LEAST_NODES:
        raise InputError(f"the graph {name!r}, {graph.num_nodes} nodes", f"{LEAST_NODES} or more", "Choose a larger")
    return graph


def _pool(nodes: int) -> tuple[str, ...]:
    words = tuple(word for word in POOL if word not in KEPT_OUT)
    if nodes > len(words):
        raise InputError(f"a graph of {nodes} nodes", f"at most {len(words)}, the words to train on", "Take a smaller")
    return words if nodes > TRAINED_ON else words[:TRAINED_ON]


def _testing(graph: Graph) -> tuple[str, ...]:
    return GRID_WORDS if graph.num_nodes <= len(GRID_WORDS) else POOL


def _stacked(graphs: tuple[Graph, ...]) -> tuple[Array, Array]:
    size = max(graph.num_nodes for graph in graphs)
    adjacency = np.zeros((len(graphs), size, size), np.float32)
    for k, graph in enumerate(graphs):
        adjacency[k, : graph.num_nodes, : graph.num_nodes] = np.asarray(graph.adjacency)
    return jnp.asarray(adjacency), jnp.asarray(adjacency.sum(axis=1) > 0)


def _test(
    name: str, graph: Graph, words: tuple[str, ...], number: int, config: EnergyConfig, loaded: LoadedModel
) -> TestSet:
    placed = placed_words(config.seed + 1000 + number, graph.num_nodes, words)
    ids = jnp.asarray(word_ids(loaded.tokenizer, placed))
    adjacency = jnp.asarray(graph.adjacency, jnp.float32)
    key = jax.random.fold_in(jax.random.key(config.seed + 1), number)
    starts = jnp.arange(config.test_walks) % graph.num_nodes

    def one(key: Array, start: Array) -> WalkTask:
        nodes = walks.random_walk(key, adjacency, config.test_length, start=start)
        return WalkTask(nodes, ids, adjacency, jnp.ones(graph.num_nodes, bool))

    return TestSet(name, graph, placed, jax.vmap(one)(jax.random.split(key, config.test_walks), starts))
