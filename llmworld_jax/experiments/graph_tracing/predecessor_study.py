"""How much of the geometry is the word before: the sceptic's account, measured three ways.

A model that copies what it just read into the current token draws the graph without knowing it, since neighbours share
predecessors. So the token vectors are split into a part of the current and a part of the previous word; the nodes are
read once more after a filler, when all have the same predecessor; and random vectors are mixed with their neighbours.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analyses import graphs
from systems.graphs import Graph

from ...models.capture import capture
from ...models.forward import KVCache, forward
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...neutral_probe import probed_nodes
from .results import Predecessor
from .study import Study

FILLER = "."
MIXED_WIDTH = 4096
PRECISION = "highest"


class Part(NamedTuple):
    """One row of the table."""

    name: str
    ratio: float
    auc: float
    alignment: float


def predecessor_of(
    model: Llama, study: Study, filler: np.ndarray, layer: int, walks: int, length: int, window: int, seed: int
) -> Predecessor:
    """``Predecessor`` at ``layer`` (1 first): the last ``window`` of the first ``length`` words of ``walks`` sequences.

    Args:
        filler: token ids that are put between the context and the node's word.
    """
    sequences = study.placements[0].sequences[study.main]
    number, graph = study.graph.num_nodes, study.graph
    items = sequences.walks[:walks, :length]
    tokens = jnp.asarray(sequences.prompts.tokens[:walks, : sequences.prompts.item_at[length - 1] + 1])
    at = jnp.asarray(sequences.prompts.item_at[length - window : length])
    rows = np.concatenate([np.asarray(_rows(model, one, at, layer - 1)) for one in tokens])
    current = items[:, length - window :].ravel()
    previous = items[:, length - window - 1 : -1].ravel()
    split = graphs.additive_bigram(jnp.asarray(rows), jnp.asarray(current), jnp.asarray(previous), number)
    mean, seen = _means(rows, current, number)
    mixed = graphs.neighbour_mixing(jax.random.key(seed), jnp.asarray(graph.adjacency), MIXED_WIDTH)
    parts = (
        _part("mean of a node's tokens", mean, graph, seen),
        _part("current word alone, the previous one regressed out", split.current, graph, seen),
        _part("previous word alone", split.previous, graph, split.previous_seen),
        _part("random vectors mixed once with their neighbours", mixed, graph),
    )
    contexts = _probe_contexts(study, length)
    probes = _probed(model, study, jnp.asarray(filler), layer, tokens, contexts)
    measured = [_part("", rows, graph) for rows in probes]
    return Predecessor(
        names=tuple(part.name for part in parts),
        ratio=np.array([part.ratio for part in parts]),
        auc=np.array([part.auc for part in parts]),
        alignment=np.array([part.alignment for part in parts]),
        explained=float(split.explained),
        explained_by_current=float(split.explained_by_current),
        probe_contexts=np.array(contexts),
        probe_ratio=np.array([part.ratio for part in measured]),
        probe_auc=np.array([part.auc for part in measured]),
        probe_alignment=np.array([part.alignment for part in measured]),
    )


def _probe_contexts(study: Study, length: int) -> tuple[int, ...]:
    """At most three of the contexts that were looked at: each costs a program of its own."""
    known = [c for c in study.contexts if c <= length]
    chosen = {known[0], known[len(known) // 2], known[-1]} if known else {length}
    return tuple(sorted(chosen))


def _means(rows: np.ndarray, nodes: np.ndarray, number: int) -> tuple[jax.Array, jax.Array]:
    """Mean vector of every node, and whether it was seen."""
    counts = np.bincount(nodes, minlength=number)
    sums = np.zeros((number, rows.shape[1]), np.float32)
    np.add.at(sums, nodes, rows)
    return jnp.asarray(sums / np.maximum(counts, 1)[:, None]), jnp.asarray(counts > 0)


def _part(name: str, rows: jax.Array, graph: Graph, seen: jax.Array | None = None) -> Part:
    adjacency = jnp.asarray(graph.adjacency)
    values = (
        graphs.dirichlet_ratio(rows, adjacency, seen),
        graphs.edge_auc(rows, adjacency, seen),
        graphs.subspace_alignment(rows, adjacency, 2, seen),
    )
    return Part(name, *(float(value) for value in values))


@functools.partial(jit_on_mesh, static_argnames=("block",))
def _rows(model: Llama, tokens: jax.Array, at: jax.Array, block: int) -> jax.Array:
    """Residual stream after ``block`` at the positions ``at``, ``[row, width]``."""

    def gathered(sites: dict[str, jax.Array]) -> jax.Array:
        return sites["resid_post"][at]

    return capture(model, tokens, sites=("resid_post",), layers=(block,), reduce=gathered, precision=PRECISION)[0]


def _probed(
    model: Llama, study: Study, filler: jax.Array, layer: int, tokens: jax.Array, contexts: tuple[int, ...]
) -> list[jax.Array]:
    """Mean over walks of every node's vector after context and filler, ``[node, width]`` for each context."""
    placement = study.placements[0]
    ids = jnp.asarray(placement.ids)
    ends = [int(placement.sequences[study.main].prompts.item_at[c - 1]) + 1 for c in contexts]
    found: list[list[jax.Array]] = [[] for _ in contexts]
    for one in tokens:
        cache = _cache(model, one[: ends[-1]])
        for k, end in enumerate(ends):
            read = KVCache(cache.k[:, :, :end], cache.v[:, :, :end])
            found[k].append(_after(model, read, filler, ids, layer - 1))
    return [jnp.mean(jnp.stack(rows), axis=0) for rows in found]


@jit_on_mesh
def _cache(model: Llama, tokens: jax.Array) -> KVCache:
    return forward(model, tokens, precision=PRECISION).cache


@functools.partial(jit_on_mesh, static_argnames=("block",))
def _after(model: Llama, cache: KVCache, filler: jax.Array, ids: jax.Array, block: int) -> jax.Array:
    return probed_nodes(model, cache, filler, ids, precision=PRECISION)[block]
