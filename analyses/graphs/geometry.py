"""Do distances between node representations follow distances on the graph? Several ways to ask.

Pairs with a node that was not ``seen`` are left out everywhere; NaN where nothing is left. Path lengths are those of
the whole graph, whether or not the nodes between were seen.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..log_space import safe_sqrt
from ..probes.scores import rank
from .energy import kept_rows, squared_distances
from .laplacian import laplacian

Rows = Float[Array, "node width"]
Adjacency = Float[Array, "node node"]
Seen = Bool[Array, " node"] | None
Scalar = Float[Array, ""]


class DistanceCorrelations(NamedTuple):
    """Over pairs: Pearson and Spearman with path lengths, Pearson with resistance distances."""

    pearson: Scalar
    spearman: Scalar
    resistance: Scalar


@jax.jit
def path_lengths(adjacency: Adjacency) -> Adjacency:
    """Fewest edges between every two nodes (Floyd-Warshall); inf where there is no path."""
    number = adjacency.shape[0]
    start = jnp.where(adjacency > 0, 1.0, jnp.inf).astype(adjacency.dtype)
    start = start.at[jnp.arange(number), jnp.arange(number)].set(0)
    return jax.lax.fori_loop(0, number, lambda k, d: jnp.minimum(d, d[:, k, None] + d[k]), start)


@jax.jit
def resistance_distances(adjacency: Adjacency) -> Adjacency:
    """Effective resistance between nodes when every edge is one unit: L⁺_ii + L⁺_jj - 2 L⁺_ij; inf without a path."""
    together = jnp.isfinite(path_lengths(adjacency))
    # L and the mean over each connected part is invertible, and its inverse is the pseudo-inverse of L but for a
    # constant of the part, which cancels.
    inverse = jnp.linalg.inv(laplacian(adjacency) + together / together.sum(axis=1))
    diagonal = jnp.diagonal(inverse)
    return jnp.where(together, diagonal[:, None] + diagonal[None] - 2 * inverse, jnp.inf)


def _pairs(matrix: Array) -> Array:
    """Entries above the diagonal, one a pair."""
    return matrix[np.triu_indices(matrix.shape[0], 1)]


def _chosen(number: int, seen: Seen) -> Bool[Array, " pair"]:
    known = jnp.ones(number, bool) if seen is None else seen
    return _pairs(known[:, None] & known)


def _correlation(a: Array, b: Array, chosen: Array) -> Scalar:
    weight = chosen / jnp.sum(chosen)

    def centred(x: Array) -> Array:
        kept = jnp.where(chosen, x, 0)
        return jnp.where(chosen, kept - jnp.sum(weight * kept), 0)

    a, b = centred(a), centred(b)
    return jnp.sum(a * b) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b))


def _distances(rows: Rows, seen: Seen) -> Adjacency:
    return safe_sqrt(squared_distances(kept_rows(rows, seen)))


@jax.jit
def distance_correlations(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> DistanceCorrelations:
    """How pairwise Euclidean distances go with distances on the graph.

    Between nodes without a path only ``spearman`` is defined, where they are the farthest; the others are NaN.
    """
    chosen = _chosen(rows.shape[0], seen)
    distance, path = _pairs(_distances(rows, seen)), _pairs(path_lengths(adjacency))
    weight = chosen.astype(rows.dtype)
    return DistanceCorrelations(
        _correlation(distance, path, chosen),
        _correlation(rank(distance, weight), rank(path, weight), chosen),
        _correlation(distance, _pairs(resistance_distances(adjacency)), chosen),
    )


@jax.jit
def distance_dependence(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """Distance correlation of Szekely, Rizzo and Bakirov (2007) between Euclidean and path distances, 0 to 1.

    It grows with chance for few nodes: compare with a control, not with 0. NaN on a graph in several parts.
    """
    known = jnp.ones(rows.shape[0], bool) if seen is None else seen
    weight = known / jnp.sum(known)

    def doubly_centred(d: Array) -> Array:
        by_row = jnp.matmul(d, weight, precision="highest")
        return (d - by_row[:, None] - by_row[None] + jnp.sum(weight * by_row)) * known[:, None] * known[None]

    a, b = doubly_centred(_distances(rows, seen)), doubly_centred(path_lengths(adjacency))
    return safe_sqrt(jnp.maximum(jnp.sum(a * b), 0) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b)))


@jax.jit
def edge_auc(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """P(an edge is shorter than a pair without one), ties one half: 1 edges all shorter, 1/2 chance.

    By the ranks of all pairs (Mann and Whitney 1947), in O(n² log n).
    """
    chosen, edge = _chosen(rows.shape[0], seen), _pairs(adjacency) > 0
    ranks = rank(_pairs(squared_distances(kept_rows(rows, seen))), chosen.astype(rows.dtype))
    edges, others = jnp.sum(chosen & edge), jnp.sum(chosen & ~edge)
    longer = jnp.sum(jnp.where(chosen & edge, ranks, 0)) - edges * (edges + 1) / 2
    return 1 - longer / (edges * others)


@jax.jit
def reconstruction_precision(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """Share of edges among the closest pairs, as many as there are edges; chance is the density of edges.

    Pairs as long as the last one that is taken count by the part of them that fits: collapsed rows have chance.
    """
    chosen, edge = _chosen(rows.shape[0], seen), _pairs(adjacency) > 0
    length = jnp.where(chosen, _pairs(squared_distances(kept_rows(rows, seen))), jnp.inf)
    edges = jnp.sum(chosen & edge)
    last = jnp.sort(length)[jnp.maximum(edges - 1, 0)]
    below, tied = chosen & (length < last), chosen & (length == last)
    part = (edges - jnp.sum(below)) / jnp.maximum(jnp.sum(tied), 1)
    return (jnp.sum(below & edge) + part * jnp.sum(tied & edge)) / edges
