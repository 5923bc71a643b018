"""What the model says next: does it follow the edges, and could a counter of what was read do as well?"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from analyses import graphs
from systems.graphs import Graph

from .results import Behaviour, Counters, Reading
from .study import Sequences

EXPOSED_FROM = 25
CLASSES = ("edge walked before", "edge never walked", "no edge")
RESAMPLES = 400
TIMES = (1, 2)
COUNTERS: dict[str, Callable[..., jax.Array]] = {
    "directed counts, α = 0.1": functools.partial(graphs.bigram_laws, smoothing=0.1, directed=True),
    "undirected counts, α = 1": functools.partial(graphs.bigram_laws, smoothing=1.0),
    "undirected counts, α = 0.1": functools.partial(graphs.bigram_laws, smoothing=0.1),
    "undirected, old counts fade (1/100)": functools.partial(graphs.bigram_laws, smoothing=1.0, decay=0.01),
    "second order, backs off": functools.partial(graphs.bigram_laws, smoothing=0.1, second_order=True, back_off=1.0),
}


def draws(seed: int, walks: int, count: int = RESAMPLES) -> np.ndarray:
    """``[resample, walk]``: how often each walk is taken when as many are drawn with replacement."""
    random = np.random.default_rng(seed)
    return random.multinomial(walks, np.full(walks, 1 / walks), size=count).astype(np.float32)


def behaviour_of(reading: Reading, sequences: Sequences, graph: Graph, seed: int) -> Behaviour:
    """``Behaviour`` of one reading; items after which nothing is lawful are NaN."""
    adjacency, walks = jnp.asarray(graph.adjacency), jnp.asarray(sequences.walks)
    probability = jnp.exp(jnp.asarray(reading.log_probability))
    followed, split = _followed(probability, walks, adjacency, jnp.asarray(reading.largest_other))
    scored = sequences.scored

    def kept(values: jax.Array) -> np.ndarray:
        return np.where(scored, np.asarray(values), np.nan)

    return Behaviour(
        **{name: kept(value) for name, value in followed._asdict().items()},
        exposure=_exposure(split, scored, seed),
        chance=float(np.mean([graphs.chance(adjacency, walk) for walk in walks])),
    )


@jax.jit
def _followed(probability: jax.Array, walks: jax.Array, adjacency: jax.Array, other: jax.Array):
    followed = jax.vmap(graphs.rule_following, in_axes=(0, 0, None, 0))(probability, walks, adjacency, other)
    return followed, jax.vmap(graphs.exposure_split, in_axes=(0, 0, None))(probability, walks, adjacency)


def _exposure(split, scored: np.ndarray, seed: int) -> np.ndarray:
    """Renormalised probability a node ``[class, (pooled, low, high)]``, from t = 25 on, walks drawn anew.

    Nodes without an edge are compared at those times at which an edge never walked leaves the same node.
    """
    late = scored & (np.arange(len(scored)) >= EXPOSED_FROM)
    pairs = (
        (split.seen_edge, split.seen_edges),
        (split.unseen_edge, split.unseen_edges),
        (split.non_neighbour_then, split.non_neighbours_then),
    )
    weights = draws(seed, split.seen_edge.shape[0])
    rows = []
    for value, count in pairs:
        number = np.where(late, np.asarray(count), 0)
        total = np.where(number > 0, np.asarray(value) * number, 0).sum(axis=1)
        number = number.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            anew = (weights @ total) / (weights @ number)
            pooled = total.sum() / number.sum()
        known = anew[np.isfinite(anew)]
        rows.append((pooled, *(np.quantile(known, (0.025, 0.975)) if known.size else (np.nan, np.nan))))
    return np.array(rows)


def counters_of(reading: Reading, sequences: Sequences, graph: Graph) -> Counters:
    """Every counter of ``COUNTERS`` on the same walks, with what has been seen of nodes and edges."""
    walks, adjacency = jnp.asarray(sequences.walks), jnp.asarray(graph.adjacency)
    accuracy, divergence = (np.asarray(x) for x in _counted(jnp.asarray(reading.log_probability), walks, adjacency))
    seen, coverage, largest = (np.asarray(x) for x in _exposed(walks, adjacency))
    steps = jnp.arange(walks.shape[1])
    formula = np.stack([np.asarray(graphs.memorisation_curve(graph.num_nodes, steps, times)) for times in TIMES])
    blank = ~sequences.scored
    return Counters(
        tuple(COUNTERS), np.where(blank, np.nan, accuracy), np.where(blank, np.nan, divergence), seen, formula,
        coverage, largest,
    )  # fmt: skip


@jax.jit
def _counted(log_probability: jax.Array, walks: jax.Array, adjacency: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Accuracy and divergence of every counter, ``[counter, time]``, means over walks."""
    laws = jax.nn.softmax(log_probability, axis=-1)

    def one(law: jax.Array, walk: jax.Array) -> tuple[jax.Array, jax.Array]:
        counted = jnp.stack([counter(walk, adjacency.shape[0]) for counter in COUNTERS.values()])
        legal = jnp.sum(counted * adjacency[walk], axis=-1)
        return legal, jax.vmap(graphs.law_divergence, in_axes=(None, 0))(law, counted)

    accuracy, divergence = jax.vmap(one)(laws, walks)
    return accuracy.mean(axis=0), divergence.mean(axis=0)


@jax.jit
def _exposed(walks: jax.Array, adjacency: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Nodes and edges that occurred, and the largest part they join, ``[times, time]``, means over walks."""

    def one(walk: jax.Array) -> tuple[jax.Array, ...]:
        return (
            jnp.stack([graphs.seen_before(walk, adjacency.shape[0], k) for k in TIMES]).astype(jnp.float32),
            jnp.stack([graphs.edge_coverage(walk, adjacency, k) for k in TIMES]),
            jnp.stack([graphs.largest_component(walk, adjacency, k) for k in TIMES]),
        )

    seen, coverage, largest = jax.vmap(one)(walks)
    return seen.mean(axis=0), coverage.mean(axis=0), largest.mean(axis=0)
