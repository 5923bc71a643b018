"""Do distances between node representations follow distances on the graph? Several ways to ask.

Pairs with a node that was not ``seen`` are left out everywhere; NaN where nothing is left.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

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


def path_lengths(adjacency: Adjacency) -> Adjacency:
    """Fewest edges between every two nodes (Floyd-Warshall); inf where there is no path."""
    number = adjacency.shape[0]
    start = jnp.where(adjacency > 0, 1.0, jnp.inf).astype(adjacency.dtype)
    start = start.at[jnp.arange(number), jnp.arange(number)].set(0)
    return jax.lax.fori_loop(0, number, lambda k, d: jnp.minimum(d, d[:, k, None] + d[k]), start)


def resistance_distances(adjacency: Adjacency) -> Adjacency:
    """Effective resistance between nodes when every edge is one unit: L⁺_ii + L⁺_jj - 2 L⁺_ij."""
    number = adjacency.shape[0]
    # L + 11ᵀ/n is invertible, and its inverse is the pseudo-inverse of L but for a constant, which cancels.
    inverse = jnp.linalg.inv(laplacian(adjacency) + 1 / number)
    diagonal = jnp.diagonal(inverse)
    return diagonal[:, None] + diagonal[None] - 2 * inverse


def _chosen(number: int, seen: Seen) -> Bool[Array, "node node"]:
    upper = jnp.triu(jnp.ones((number, number), bool), 1)
    return upper if seen is None else upper & seen[:, None] & seen[None]


def _correlation(a: Array, b: Array, chosen: Array) -> Scalar:
    weight = chosen / jnp.sum(chosen)

    def centred(x: Array) -> Array:
        kept = jnp.where(chosen, x, 0)
        return jnp.where(chosen, kept - jnp.sum(weight * kept), 0)

    a, b = centred(a), centred(b)
    return jnp.sum(a * b) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b))


def _ranks(x: Array, chosen: Array) -> Array:
    """Mean ranks among the chosen entries; ties share theirs."""
    flat, kept = x.ravel(), chosen.ravel()
    below = (flat[None] < flat[:, None]) & kept[None]
    equal = (flat[None] == flat[:, None]) & kept[None]
    return (below.sum(axis=1) + 0.5 * (equal.sum(axis=1) - 1)).reshape(x.shape)


def _distances(rows: Rows, seen: Seen) -> Adjacency:
    squares = squared_distances(kept_rows(rows, seen))
    return jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)


def distance_correlations(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> DistanceCorrelations:
    """How pairwise Euclidean distances go with distances on the graph."""
    chosen = _chosen(rows.shape[0], seen)
    distance, path = _distances(rows, seen), path_lengths(adjacency)
    return DistanceCorrelations(
        _correlation(distance, path, chosen),
        _correlation(_ranks(distance, chosen), _ranks(path, chosen), chosen),
        _correlation(distance, resistance_distances(adjacency), chosen),
    )


def distance_dependence(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """Distance correlation of Szekely, Rizzo and Bakirov (2007) between Euclidean and path distances, 0 to 1.

    It grows with chance for few nodes: compare with a control, not with 0.
    """
    known = jnp.ones(rows.shape[0], bool) if seen is None else seen
    weight = known / jnp.sum(known)

    def doubly_centred(d: Array) -> Array:
        by_row = d @ weight
        return (d - by_row[:, None] - by_row[None] + weight @ by_row) * known[:, None] * known[None]

    a, b = doubly_centred(_distances(rows, seen)), doubly_centred(path_lengths(adjacency))
    return jnp.sqrt(jnp.maximum(jnp.sum(a * b), 0) / jnp.sqrt(jnp.sum(a * a) * jnp.sum(b * b)))


def edge_auc(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """P(an edge is shorter than a pair without one), ties one half: 1 edges all shorter, 1/2 chance."""
    chosen = _chosen(rows.shape[0], seen)
    distance = squared_distances(kept_rows(rows, seen)).ravel()
    edge, other = (chosen & (adjacency > 0)).ravel(), (chosen & (adjacency == 0)).ravel()
    shorter = (distance[:, None] < distance[None]) + 0.5 * (distance[:, None] == distance[None])
    pairs = edge[:, None] & other[None]
    return jnp.sum(shorter * pairs) / jnp.sum(pairs)


def reconstruction_precision(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """Share of edges among the closest pairs, as many as there are edges; chance is the density of edges."""
    chosen = _chosen(rows.shape[0], seen).ravel()
    edge = (adjacency > 0).ravel() & chosen
    order = jnp.argsort(jnp.where(chosen, squared_distances(kept_rows(rows, seen)).ravel(), jnp.inf), stable=True)
    among = jnp.arange(order.size) < jnp.sum(edge)
    return jnp.sum(edge[order] & among) / jnp.sum(edge)
