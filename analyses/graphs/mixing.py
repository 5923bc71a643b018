r"""The word before, as an explanation: vectors that are mixed with neighbours, and token vectors taken apart.

Neighbours on a graph share predecessors, so a representation that holds the previous word draws the graph without
knowing it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key


class AdditiveBigram(NamedTuple):
    """h_t ≈ a[current] + b[previous], b centred over tokens; shares of the variance that both, and a alone, explain.

    Rows of words that never stood there are 0 and not ``seen``.
    """

    current: Float[Array, "node width"]
    previous: Float[Array, "node width"]
    current_seen: Bool[Array, " node"]
    previous_seen: Bool[Array, " node"]
    explained: Float[Array, ""]
    explained_by_current: Float[Array, ""]


def neighbour_mixing(
    key: Key[Array, ""],
    adjacency: Float[Array, "node node"],
    width: int,
    *,
    rounds: int = 1,
    weight: float = 1.0,
) -> Float[Array, "node width"]:
    """Independent Gaussian rows e_i; each round e_i + ``weight`` times the mean of the neighbours' rows."""
    rows = jax.random.normal(key, (adjacency.shape[0], width))
    mean = adjacency / adjacency.sum(axis=1, keepdims=True)
    for _ in range(rounds):
        rows = rows + weight * jnp.matmul(mean, rows, precision="highest")
    return rows


def additive_bigram(
    rows: Float[Array, "token width"],
    current: Int[Array, " token"],
    previous: Int[Array, " token"],
    num_nodes: int,
) -> AdditiveBigram:
    """Least squares of token vectors on who stands there and who stood before; least norm where that is not unique."""
    now, then = (jax.nn.one_hot(who, num_nodes, dtype=rows.dtype) for who in (current, previous))
    centred = rows - rows.mean(axis=0)
    total = jnp.sum(centred**2)
    design = jnp.concatenate((now, then), axis=1)
    gram, moments = design.T @ design, jnp.matmul(design.T, centred, precision="highest")
    weights = jnp.matmul(jnp.linalg.pinv(gram, rtol=1e-5, hermitian=True), moments, precision="highest")
    a, b = weights[:num_nodes], weights[num_nodes:]
    counts, earlier = now.sum(axis=0), then.sum(axis=0)
    shift = earlier @ b / jnp.sum(earlier)  # moved from b to a: only their sum is determined
    b, a = b - shift, a + shift + rows.mean(axis=0)
    left = rows - now @ a - then @ b
    alone = moments[:num_nodes] / jnp.maximum(counts, 1)[:, None]
    by_current = jnp.sum((centred - now @ alone) ** 2)
    seen, seen_before = counts > 0, earlier > 0
    return AdditiveBigram(
        jnp.where(seen[:, None], a, 0),
        jnp.where(seen_before[:, None], b, 0),
        seen,
        seen_before,
        1 - jnp.sum(left**2) / total,
        1 - by_current / total,
    )
