"""One graph made ready: words on its nodes, sequences over them, what the model is to read; checked before any work.

Every placement of the words has sequences of the kind that was asked for; the first has the controls as well:
``independent`` words (each node as often as a walk visits it, no edges), ``shuffled`` edges (the walk's transitions
as pairs in random order: who follows whom is kept, the path is not), and for the days of the week another graph.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from systems import edge_lists, graph_names, walks
from systems.graphs import Graph

from ...errors import InputError
from ...models.catalogue import LoadedModel
from ...start import parse_start
from ...walk_prompts import GraphPrompts, graph_prompts
from ...words import DAYS, POOL, placed_words, word_ids
from .config import GraphConfig

LEAST_NODES = 4  # fewer have no shape beyond one plane
INDEPENDENT, SHUFFLED, OTHER, MIXTURE = "independent words", "shuffled edges", "other graph", "mixture"


class Sequences(NamedTuple):
    """Sequences of one kind over one placement.

    ``walks`` ``[walk, time]`` are node indices. ``scored`` ``[time]`` says after which items the next one is lawful:
    in sequences of independent pairs only after the first of a pair.
    """

    walks: np.ndarray
    prompts: GraphPrompts
    scored: np.ndarray


class Placement(NamedTuple):
    """Words on the nodes, and the sequences over them by kind; the first kind is what was asked for."""

    words: tuple[str, ...]
    ids: np.ndarray
    sequences: dict[str, Sequences]


class Study(NamedTuple):
    """What is asked of one graph. ``other`` is a second one on the same nodes: of the days' control or the mixture."""

    key: str
    graph: Graph
    labels: tuple[str, ...]
    placements: tuple[Placement, ...]
    contexts: tuple[int, ...]
    main: str
    other: Graph | None


def prepare(config: GraphConfig, loaded: LoadedModel) -> tuple[Study, ...]:
    """Every graph of ``config``.

    Raises:
        InputError: a graph, edge list, word or length that cannot be used.
    """
    studies = tuple(_study(name, config, loaded) for name in config.graph)
    keys = [study.key for study in studies]
    if len(set(keys)) < len(keys):
        raise InputError(f"graphs named {', '.join(keys)}", "a name each", "Rename one of the files")
    return studies


def _study(name: str, config: GraphConfig, loaded: LoadedModel) -> Study:
    graph, labels = _graph(name)
    if graph.num_nodes < LEAST_NODES:
        raise InputError(
            f"--graph {name} with {graph.num_nodes} nodes", f"{LEAST_NODES} or more", "Choose a larger graph"
        )
    days = graph.name.startswith("days")
    other = None
    if config.mixture is not None:
        other = _graph(config.mixture)[0]
        if other.num_nodes != graph.num_nodes:
            raise InputError(
                f"--mixture {config.mixture} with {other.num_nodes} nodes",
                f"as many as {name} has, {graph.num_nodes}",
                "Choose another graph",
            )
    elif days and config.controls:
        other = _graph("days:2" if graph.name != "days:2" else "days:3")[0]
    placements = tuple(_placement(k, graph, labels, other, config, loaded) for k in range(config.placements))
    return Study(graph.name, graph, labels, placements, config.looked_at(), config.sequence, other)


def _graph(name: str) -> tuple[Graph, tuple[str, ...]]:
    is_file = name.lower().endswith(".csv") or Path(name).is_file()
    try:
        if is_file:
            return edge_lists.read_edge_list(Path(name))
        graph = graph_names.parse_graph(name)
    except ValueError as error:
        raise InputError(f"--graph {name}", "a graph that can be walked", str(error).rstrip(".")) from None
    return graph, tuple(str(node) for node in range(graph.num_nodes))


def _words(k: int, graph: Graph, labels: tuple[str, ...], config: GraphConfig) -> tuple[str, ...]:
    """The words of placement ``k``, one a node; those that a user gives are dealt out anew at each placement."""
    seed, number = config.seed + k, graph.num_nodes
    if config.words == ("auto",) and graph.name.startswith("days"):
        return DAYS
    if config.words == ("labels",):
        return labels
    if config.words == ("auto",):
        return placed_words(seed, number, POOL[:16] if number <= 16 else POOL)
    if len(config.words) < number:
        raise InputError(f"{len(config.words)} words for {number} nodes", "a word for each node", "Name more words")
    return placed_words(seed, number, config.words)


def _placement(
    k: int, graph: Graph, labels: tuple[str, ...], other: Graph | None, config: GraphConfig, loaded: LoadedModel
) -> Placement:
    words = _words(k, graph, labels, config)
    ids = word_ids(loaded.tokenizer, words)
    key = jax.random.fold_in(jax.random.key(config.seed), k)
    main = _main(key, graph, config)
    kinds: dict[str, tuple[np.ndarray, np.ndarray]] = {
        config.sequence: (main, _all_or_firsts(config.length, config.sequence == "pairs"))
    }
    if config.controls and k == 0:
        kinds |= _controls(jax.random.fold_in(key, 1), graph, main, config)
    if other is not None and k == 0:
        kinds |= _second(jax.random.fold_in(key, 2), graph, other, config)
    for kind, (made, _) in kinds.items():
        _check_window(kind, made, graph, config)
    listed = np.random.default_rng(config.seed + k).permutation(words).tolist()

    def read(made: np.ndarray) -> GraphPrompts:
        return graph_prompts(
            loaded.tokenizer, words, made, prefix=config.prefix, separator=config.separator,
            context=loaded.config.max_positions, listed=tuple(listed), start=parse_start(config.start_token),
        )  # fmt: skip

    return Placement(words, ids, {name: Sequences(w, read(w), scored) for name, (w, scored) in kinds.items()})


def _check_window(kind: str, made: np.ndarray, graph: Graph, config: GraphConfig) -> None:
    """Refuse sequences in whose last words no shape can be measured."""
    last = config.looked_at()[-1]
    held = np.unique(made[:, max(0, last - config.window) : last])
    edges = int(np.asarray(graph.adjacency)[np.ix_(held, held)].sum()) // 2
    if len(held) < LEAST_NODES or not edges:
        raise InputError(
            f"--window {config.window} and {len(made)} sequences, {kind}, whose last words hold {len(held)} nodes and "
            f"{edges} edges",
            f"{LEAST_NODES} nodes and an edge, to measure distances",
            "Raise --window or --walks",
        )


def _all_or_firsts(length: int, pairs: bool) -> np.ndarray:
    return np.arange(length) % 2 == 0 if pairs else np.ones(length, bool)


def _main(key: jax.Array, graph: Graph, config: GraphConfig) -> np.ndarray:
    adjacency = jnp.asarray(graph.adjacency)
    starts = jnp.arange(config.walks) % graph.num_nodes

    def one(key: jax.Array, start: jax.Array) -> jax.Array:
        if config.sequence == "pairs":
            return walks.neighbour_pairs(key, adjacency, config.length)
        if config.sequence == "balanced":
            return walks.balanced_walk(key, adjacency, config.length)
        return walks.random_walk(key, adjacency, config.length, start=start, restart=config.restart)

    return np.asarray(jax.vmap(one)(jax.random.split(key, config.walks), starts))


def _controls(
    key: jax.Array, graph: Graph, main: np.ndarray, config: GraphConfig
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    keys = jax.random.split(key, 2 * config.walks)
    adjacency = jnp.asarray(graph.adjacency)
    independent = jax.vmap(lambda k: walks.independent(k, adjacency, config.length))(keys[: config.walks])
    shuffled = jax.vmap(walks.edge_shuffled)(keys[config.walks :], jnp.asarray(main))
    found = {INDEPENDENT: (np.asarray(independent), _all_or_firsts(config.length, False))}
    if config.sequence != "pairs":  # such pairs are shuffled as they are
        found[SHUFFLED] = (np.asarray(shuffled), _all_or_firsts(config.length, True))
    return found


def _second(
    key: jax.Array, graph: Graph, other: Graph, config: GraphConfig
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    keys = jax.random.split(key, config.walks)
    first, second = jnp.asarray(graph.adjacency), jnp.asarray(other.adjacency)
    every = _all_or_firsts(config.length, False)
    if config.mixture is None:
        made = jax.vmap(lambda k: walks.random_walk(k, second, config.length))(keys)
        return {OTHER: (np.asarray(made), every)}
    made = jax.vmap(lambda k: walks.mixture_walk(k, first, second, config.share, config.length))(keys)
    return {MIXTURE: (np.asarray(made), every)}
