"""Logarithms, square roots and log-sums whose gradients stay finite where probability is exactly zero.

The true derivatives of ``log`` and ``sqrt`` at 0 are infinite, and an infinity times the zero that
multiplies it in a distance is NaN. Every function here takes the derivative *at* such a point to be 0: a
cell that carries no mass does not pull. NaN inputs stay NaN, so a law that was never predicted cannot look
like a good one.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def safe_log(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """ln x for x ≥ 0, with ln 0 = −∞ and derivative 0 there."""
    occupied = x != 0
    return jnp.where(occupied, jnp.log(jnp.where(occupied, x, 1)), -jnp.inf)


def safe_sqrt(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """√x for x ≥ 0, with derivative 0 at x = 0."""
    occupied = x != 0
    return jnp.where(occupied, jnp.sqrt(jnp.where(occupied, x, 1)), 0)


def log_sum_exp(x: Float[Array, "*rest n"]) -> Float[Array, "*rest"]:
    """ln Σ exp x over the last axis; −∞ (derivative 0) where every term is −∞."""
    top = jax.lax.stop_gradient(jnp.max(x, axis=-1))
    shift = jnp.where(jnp.isneginf(top), 0, top)
    return safe_log(jnp.sum(jnp.exp(x - shift[..., None]), axis=-1)) + shift


def segment_log_sum_exp(x: Float[Array, " n"], segment: Int[Array, " n"], num_segments: int) -> Float[Array, " m"]:
    """ln Σ exp x over the members of each of ``num_segments`` groups; −∞ for an empty group."""
    top = jax.lax.stop_gradient(jax.ops.segment_max(x, segment, num_segments))
    shift = jnp.where(jnp.isneginf(top), 0, top)
    return safe_log(jax.ops.segment_sum(jnp.exp(x - shift[segment]), segment, num_segments)) + shift
