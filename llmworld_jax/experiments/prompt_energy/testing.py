"""What a prompt does on walks that it was not trained on: shape, behaviour, and every way in which a low R is empty."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from analyses import graphs

from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...optimise.seen import Reader, Seen, WalkTask, seen_walk
from .worlds import TestSet

BINS = (0, 25, 50, 100, 200, 400, 800, 1400)
RELABELLINGS = 20
CONTEXTS = (50, 100, 200, 400, 800, 1400)


class Scores(NamedTuple):
    """Of one prompt on one test set; layer 0 is the embedding. Laws and means are of all walks together.

    ``relabelled`` is R of the same means on twenty relabelled graphs; exposure classes as in ``graph_tracing``:
    probability a node among the nodes' words over an edge walked before, an edge never walked, no edge (at the same
    times as the second).
    """

    ratio: np.ndarray  # [layer, context]
    z: np.ndarray  # [layer, context]
    relabelled: np.ndarray  # [layer, relabelling], last context
    auc: np.ndarray  # [layer], last context, as all below
    alignment: np.ndarray  # [layer]
    effective_rank: np.ndarray  # [layer]
    spread: np.ndarray  # [layer]
    sink: np.ndarray  # [layer], largest token norm over the median
    probe_ratio: np.ndarray  # [layer], nodes read behind a filler; NaN at the embedding
    accuracy: np.ndarray  # [time]
    renormalised: np.ndarray  # [time]
    exposure: np.ndarray  # [3]
    surprise: np.ndarray  # [time], nats of the word that came next
    planes: np.ndarray  # [layer, node, 2], first principal plane turned onto the layout, last context


def contexts_of(length: int) -> tuple[int, ...]:
    """Context lengths that are looked at; the last is the whole walk."""
    return (*(c for c in CONTEXTS if c < length), length)


def reader_of(length: int, window: int, filler: tuple[int, ...]) -> Reader:
    """Everything is read: all blocks, laws after every item, the probe."""
    return Reader(window, contexts_of(length), length, filler=filler)


@functools.partial(jit_on_mesh, static_argnames=("reader",))
def read_behind(
    model: Llama,
    prompts: Float[Array, "walk row d_model"],
    lengths: Int[Array, " walk"],
    tasks: WalkTask,
    reader: Reader,
) -> Seen:
    """Every walk behind its own prompt, one after the other."""

    def one(given: tuple[Array, Array, WalkTask]) -> Seen:
        prompt, length, task = given
        return seen_walk(model, prompt, length, task, reader)

    return jax.lax.map(one, (prompts, lengths, tasks))


def scores_of(seen: Seen, test: TestSet) -> Scores:
    """``Scores`` of a reading of ``test``."""
    graph, nodes = test.graph, test.tasks.nodes
    adjacency = jnp.asarray(graph.adjacency, jnp.float32)
    means, known = seen.activations
    distances = jax.vmap(jax.vmap(graphs.squared_distances))(means)
    null = graphs.ratio_null(jax.random.key(0), distances, adjacency, known, 200)
    last, there = means[:, -1], known[:, -1]
    assert seen.laws is not None
    assert seen.probed is not None
    law = jnp.exp(seen.laws.log_probability)
    followed = jax.vmap(graphs.rule_following, in_axes=(0, 0, None, 0))(law, nodes, adjacency, seen.laws.largest_other)
    split = jax.vmap(graphs.exposure_split, in_axes=(0, 0, None))(law, nodes, adjacency)
    coming = jnp.take_along_axis(seen.laws.log_probability[:, :-1], nodes[:, 1:, None], axis=2)[..., 0]
    probe = jax.vmap(lambda rows: graphs.dirichlet_ratio(rows, adjacency))(_sized(seen.probed).mean(axis=0))
    flat = jax.vmap(graphs.collapse)(last, there)
    found = (
        null.value, null.z, _relabelled(distances[:, -1], adjacency, there),
        _each(graphs.edge_auc, last, adjacency, there), _each(_aligned, last, adjacency, there),
        flat.effective_rank, flat.spread, seen.sums.largest_over_median.max(axis=0),
        jnp.concatenate((jnp.full(1, jnp.nan), probe)), followed.accuracy.mean(axis=0),
        followed.renormalised.mean(axis=0), _exposure(split), -coming.mean(axis=0),
        _planes(last, there, jnp.asarray(graph.layout)),
    )  # fmt: skip
    return Scores(*(np.asarray(part, np.float32) for part in found))


def _sized(rows: Float[Array, "*batch width"]) -> Float[Array, "*batch width"]:
    return rows / (jnp.linalg.norm(rows, axis=-1, keepdims=True) / rows.shape[-1] ** 0.5)


def _aligned(rows: Array, adjacency: Array, seen: Array) -> Array:
    return graphs.subspace_alignment(rows, adjacency, 2, seen)


@functools.partial(jax.jit, static_argnames=("measure",))
def _each(measure, rows: Array, adjacency: Array, seen: Array) -> Array:
    """``measure`` at every layer."""
    return jax.lax.map(lambda given: measure(given[0], adjacency, given[1]), (rows, seen))


@jax.jit
def _relabelled(distances: Array, adjacency: Array, seen: Array) -> Array:
    def one(given: tuple[Array, Array]) -> Array:
        distance, known = given
        moved = graphs.relabellings(jax.random.key(1), known, RELABELLINGS)
        return jax.vmap(lambda to: graphs.ratio_of_distances(distance[to][:, to], adjacency, known))(moved)

    return jax.lax.map(one, (distances, seen))


@jax.jit
def _planes(rows: Array, seen: Array, layout: Array) -> Array:
    def one(given: tuple[Array, Array]) -> Array:
        scores = graphs.principal_components(given[0], 2, given[1]).scores
        return graphs.procrustes(scores, layout, given[1]).aligned

    return jax.lax.map(one, (rows, seen))


def _exposure(split: graphs.ExposureSplit) -> Array:
    """Pooled over walks and items from 25 on."""
    pairs = (
        (split.seen_edge, split.seen_edges),
        (split.unseen_edge, split.unseen_edges),
        (split.non_neighbour_then, split.non_neighbours_then),
    )
    return jnp.stack([graphs.pooled(value[:, 25:], count[:, 25:]) for value, count in pairs])


def behind(prompt: np.ndarray, length: int, rows: int, walks: int) -> tuple[np.ndarray, np.ndarray]:
    """One prompt before every walk, filled up to ``rows``."""
    filled = np.zeros((walks, rows, prompt.shape[-1]), np.float32)
    filled[:, :length] = prompt[:length]
    return filled, np.full(walks, length, np.int32)
