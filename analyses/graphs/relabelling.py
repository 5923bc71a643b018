"""Is the geometry more than any other placement of the same points would have? Nodes relabelled at random."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from .energy import ratio_of_distances


class RelabellingNull(NamedTuple):
    """``p``: share of relabellings at least as low, the actual labels counted among them (1 / (count + 1) at least)."""

    value: Array
    mean: Array
    sd: Array
    z: Array
    p: Array


def relabellings(key: Key[Array, ""], seen: Bool[Array, " node"], count: int) -> Int[Array, "count node"]:
    """Random permutations of the seen nodes among themselves; the others stay where they are.

    Raises:
        ValueError: fewer than two relabellings, which have no spread.
    """
    if count < 2:
        raise ValueError(f"Got {count} relabellings. Expected 2 or more. Draw some hundreds.")
    order = jnp.argsort(~seen, stable=True)  # seen nodes first

    def one(key: Array) -> Array:
        drawn = jnp.argsort(jnp.where(seen[order], jax.random.uniform(key, seen.shape), jnp.inf), stable=True)
        return jnp.zeros_like(order).at[order].set(order[drawn])

    return jax.vmap(one)(jax.random.split(key, count))


def permutation_null(
    key: Key[Array, ""],
    rows: Float[Array, "node width"],
    adjacency: Float[Array, "node node"],
    statistic: Callable[[Array, Array, Array], Array],
    seen: Bool[Array, " node"] | None = None,
    count: int = 200,
) -> RelabellingNull:
    """``statistic(rows, adjacency, seen)``, a scalar, beside its values with the rows dealt to other nodes."""
    known = jnp.ones(rows.shape[0], bool) if seen is None else seen
    value = statistic(rows, adjacency, known)
    null = jax.lax.map(lambda to: statistic(rows[to], adjacency, known), relabellings(key, known, count))
    return _summed(value, null)


def ratio_null(
    key: Key[Array, ""],
    distances: Float[Array, "*batch node node"],
    adjacency: Float[Array, "node node"],
    seen: Bool[Array, "*batch node"] | None = None,
    count: int = 200,
) -> RelabellingNull:
    """R of many sets of squared distances beside relabelled nodes, the same draws for all, ``[*batch]`` each."""
    batch, number = distances.shape[:-2], distances.shape[-1]
    known = jnp.ones((*batch, number), bool) if seen is None else seen
    return RelabellingNull(
        *(part.reshape(batch) for part in _many(
            key, distances.reshape(-1, number, number), adjacency, known.reshape(-1, number), count
        ))
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames="count")
def _many(key: Array, distances: Array, adjacency: Array, seen: Array, count: int) -> RelabellingNull:
    def one(given: tuple[Array, Array]) -> RelabellingNull:
        distance, known = given
        moved = relabellings(key, known, count)
        value = ratio_of_distances(distance, adjacency, known)
        null = jax.vmap(lambda to: ratio_of_distances(distance[to][:, to], adjacency, known))(moved)
        return _summed(value, null)

    return jax.lax.map(one, (distances, seen), batch_size=16)


def _summed(value: Array, null: Array) -> RelabellingNull:
    mean, sd = jnp.mean(null), jnp.std(null, ddof=1)
    # A symmetry of the graph gives the same value, but for the order of its sum: that is a tie.
    rounding = 50 * jnp.finfo(null.dtype).eps * jnp.abs(value)
    p = (1 + jnp.sum(null <= value + rounding)) / (1 + null.shape[0])
    return RelabellingNull(value, mean, sd, (value - mean) / sd, jnp.where(jnp.isnan(value), jnp.nan, p))
