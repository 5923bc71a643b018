r"""Dirichlet energy of node representations, and its forms that scale and shift cannot change.

.. math:: E(H) = \sum_{ij} A_{ij} \|h_i - h_j\|^2 = 2\,\mathrm{tr}(H^\top L H), \qquad
   R(H) = \frac{\text{mean over edges of } \|h_i - h_j\|^2}{\text{mean over all pairs of } \|h_i - h_j\|^2}

R is 1 in expectation, exactly, when nodes are relabelled at random, and does not change with scale, shift or rotation.
It is at least λ₂(n-1)/(2|E|). Nodes that were not ``seen`` are left out of edges and pairs; with fewer than two nodes,
no edge or no distance R is NaN, and so is E without an edge, where 0 would read as a collapse. What stands in the rows
of nodes that were not seen is never read, NaN included. Everything differentiates in ``rows`` and vmaps. Source: Park
et al., arXiv 2501.00070, equation 3.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ..log_space import safe_sqrt
from .laplacian import check_count, laplacian_modes

Rows = Float[Array, "node width"]
Adjacency = Float[Array, "node node"]
Seen = Bool[Array, " node"] | None
Scalar = Float[Array, ""]


@jax.jit
def squared_distances(rows: Rows) -> Float[Array, "node node"]:
    """‖h_i - h_j‖² of every pair, from centred rows, so that a common offset costs no digits; NaN if either has NaN."""
    centred = rows - jnp.nanmean(rows, axis=0)
    gram = jnp.matmul(centred, centred.T, precision="highest")
    squares = jnp.diagonal(gram)
    off = 1 - jnp.eye(rows.shape[0], dtype=rows.dtype)
    return jnp.maximum(squares[:, None] + squares[None] - 2 * gram, 0) * off


def _pairs(number: int, seen: Seen, dtype: jnp.dtype) -> Float[Array, "node node"]:
    off = 1 - jnp.eye(number, dtype=dtype)
    return off if seen is None else off * seen[:, None] * seen[None]


def _divided(a: Scalar, b: Scalar) -> Scalar:
    """a / b, NaN where b is 0, with finite gradients."""
    return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), jnp.nan)


@jax.jit
def ratio_of_distances(distances: Float[Array, "node node"], adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """R from squared distances."""
    pairs = _pairs(distances.shape[0], seen, distances.dtype)
    edges, known = adjacency * pairs, jnp.where(pairs > 0, distances, 0)
    near = _divided(jnp.sum(edges * known), jnp.sum(edges))
    return _divided(near, _divided(jnp.sum(known), jnp.sum(pairs)))


@jax.jit
def dirichlet_energy(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """E over ordered pairs, in squared units of ``rows``; grows with scale and falls to 0 by collapse."""
    edges = adjacency * _pairs(rows.shape[0], seen, rows.dtype)
    energy = jnp.sum(edges * squared_distances(kept_rows(rows, seen)))
    return jnp.where(jnp.sum(edges) > 0, energy, jnp.nan)


@jax.jit
def energy_per_edge(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """E / (2 |E|), the mean squared length of an edge."""
    edges = adjacency * _pairs(rows.shape[0], seen, rows.dtype)
    return _divided(dirichlet_energy(rows, adjacency, seen), jnp.sum(edges))


@jax.jit
def dirichlet_ratio(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """R, see the module."""
    return ratio_of_distances(squared_distances(kept_rows(rows, seen)), adjacency, seen)


def kept_rows(rows: Rows, seen: Seen) -> Rows:
    """Rows of nodes that were not seen are put at the mean of the others, where they disturb nothing."""
    if seen is None:
        return rows
    weight = seen.astype(rows.dtype)
    total = jnp.matmul(weight, jnp.where(seen[:, None], rows, 0), precision="highest")
    mean = total / jnp.maximum(weight.sum(), 1)
    return jnp.where(seen[:, None], rows, mean)


@jax.jit
def standardised_ratio(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """R after each coordinate is divided by its standard deviation over nodes; constant coordinates are left out."""
    kept = kept_rows(rows, seen)
    number = rows.shape[0] if seen is None else jnp.maximum(jnp.sum(seen), 1)
    spread = safe_sqrt(jnp.sum((kept - kept.mean(axis=0)) ** 2, axis=0) / number)
    return dirichlet_ratio(jnp.where(spread > 0, kept / jnp.where(spread > 0, spread, 1), 0), adjacency, seen)


@jax.jit
def cosine_ratio(rows: Rows, adjacency: Adjacency, seen: Seen = None) -> Scalar:
    """R of rows of length 1: of angles alone. A row of zeros has none and stays 0, with gradient 0."""
    kept = kept_rows(rows, seen)
    length = safe_sqrt(jnp.sum(kept**2, axis=1, keepdims=True))
    return dirichlet_ratio(kept / jnp.where(length > 0, length, 1), adjacency, seen)


@functools.partial(jax.jit, static_argnames="rank")
def ratio_bound(adjacency: Adjacency, rank: int = 1) -> Scalar:
    """The least R of rows of ``rank`` (1 or more) with equal variances: mean(λ₂ ... λ_{rank+1}) (n-1) / (2|E|).

    With rank 1 it is the least of all.

    Raises:
        ValueError: ``rank`` outside 1 ... n - 1.
    """
    check_count(rank, adjacency.shape[0] - 1, "directions")
    values = laplacian_modes(adjacency).values[1 : rank + 1]
    return values.mean() * (adjacency.shape[0] - 1) / adjacency.sum()


def centred_rows(rows: Rows, seen: Seen) -> Rows:
    """Rows about the mean of the nodes that were seen; the others are 0."""
    kept = kept_rows(rows, seen)
    return kept - kept.mean(axis=0)


@functools.partial(jax.jit, static_argnames="k")
def component_ratio(rows: Rows, adjacency: Adjacency, k: int, seen: Seen = None) -> Scalar:
    """R of the first ``k`` principal components alone: what a picture of them shows.

    Raises:
        ValueError: ``k`` outside 1 ... min(n - 1, width).
    """
    check_count(k, min(rows.shape[0] - 1, rows.shape[1]), "components")
    return dirichlet_ratio(_leading(centred_rows(rows, seen), k), adjacency, seen)


@functools.partial(jax.jit, static_argnames="k")
def complement_ratio(rows: Rows, adjacency: Adjacency, k: int, seen: Seen = None) -> Scalar:
    """R of what is left without the first ``k`` principal components; NaN where that is nothing.

    Raises:
        ValueError: ``k`` outside 1 ... min(n - 1, width).
    """
    check_count(k, min(rows.shape[0] - 1, rows.shape[1]), "components")
    left, values, right = jnp.linalg.svd(centred_rows(rows, seen), full_matrices=False)
    rest = jnp.matmul(left[:, k:] * values[k:], right[k:], precision="highest")
    directions = jnp.minimum((rows.shape[0] if seen is None else jnp.sum(seen)) - 1, rows.shape[1])
    return jnp.where(k < directions, dirichlet_ratio(rest, adjacency, seen), jnp.nan)


def _leading(centred: Rows, k: int) -> Float[Array, "node k"]:
    left, values, _ = jnp.linalg.svd(centred, full_matrices=False)
    return left[:, :k] * values[:k]
