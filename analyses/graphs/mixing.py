r"""The word before, as an explanation: vectors that are mixed with neighbours, and token vectors taken apart.

Neighbours on a graph share predecessors, so a representation that holds the previous word draws the graph without
knowing it.
"""

import functools
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


@functools.partial(jax.jit, static_argnames=("width", "rounds"))
def neighbour_mixing(
    key: Key[Array, ""],
    adjacency: Float[Array, "node node"],
    width: int,
    *,
    rounds: int = 1,
    weight: float | Float[Array, ""] = 1.0,
) -> Float[Array, "node width"]:
    r"""Independent Gaussian rows, each of which ``rounds`` times takes in ``weight`` times its neighbours' mean.

    .. math:: e_i \leftarrow e_i + w \frac{1}{d_i} \sum_j A_{ij} e_j

    One round draws the graph: what an attention head that looks one item back would do (A. Arditi, ICLR 2026 blog).

    Raises:
        ValueError: ``width`` below 1 or ``rounds`` below 0.
    """
    if width < 1 or rounds < 0:
        raise ValueError(f"Got width {width} and {rounds} rounds. Expected 1 and 0 or more. Choose others.")
    rows = jax.random.normal(key, (adjacency.shape[0], width))
    mean = adjacency / adjacency.sum(axis=1, keepdims=True)
    for _ in range(rounds):
        rows = rows + weight * jnp.matmul(mean, rows, precision="highest")
    return rows


@functools.partial(jax.jit, static_argnames=("num_nodes",))
def additive_bigram(
    rows: Float[Array, "token width"],
    current: Int[Array, " token"],
    previous: Int[Array, " token"],
    num_nodes: int,
) -> AdditiveBigram:
    r"""Least squares of token vectors on who stands there and who stood before.

    .. math:: h_t \approx a[\text{current}_t] + b[\text{previous}_t]

    Only the sum is determined; b is centred over tokens, so that a holds the mean. On a bipartite graph who stands
    there tells the colour of who stood before: the contrast of the two colours belongs to neither, and least norm parts
    it evenly, so compare a's (and b's) rows within a colour. ``explained`` is NaN where all rows are alike.

    Raises:
        ValueError: not as many ``current`` and ``previous`` as rows.
    """
    if not rows.shape[0] == current.shape[0] == previous.shape[0]:
        raise ValueError(
            f"Got {rows.shape[0]} rows, {current.shape[0]} current and {previous.shape[0]} previous nodes. Expected as "
            "many. Leave the first item of a walk out."
        )
    product = functools.partial(jnp.matmul, precision="highest")
    now, then = (jax.nn.one_hot(who, num_nodes, dtype=rows.dtype) for who in (current, previous))
    centred = rows - rows.mean(axis=0)
    total = jnp.sum(centred**2)
    design = jnp.concatenate((now, then), axis=1)
    gram, moments = product(design.T, design), product(design.T, centred)
    weights = product(jnp.linalg.pinv(gram, rtol=1e-5, hermitian=True), moments)
    a, b = weights[:num_nodes], weights[num_nodes:]
    counts, earlier = now.sum(axis=0), then.sum(axis=0)
    shift = product(earlier, b) / jnp.sum(earlier)  # moved from b to a: only their sum is determined
    b, a = b - shift, a + shift + rows.mean(axis=0)
    left = rows - product(now, a) - product(then, b)
    alone = moments[:num_nodes] / jnp.maximum(counts, 1)[:, None]
    by_current = jnp.sum((centred - product(now, alone)) ** 2)
    seen, seen_before = counts > 0, earlier > 0
    return AdditiveBigram(
        jnp.where(seen[:, None], a, 0),
        jnp.where(seen_before[:, None], b, 0),
        seen,
        seen_before,
        1 - jnp.sum(left**2) / total,
        1 - by_current / total,
    )
