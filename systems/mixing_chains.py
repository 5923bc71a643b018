r"""The reversible chain on a graph's edges that forgets its start soonest.

Weights w on edges give :math:`P_{ij} = w_{ij}/\sum_k w_{ik}`, and how fast a start is forgotten is set by the second
largest eigenvalue :math:`\lambda_2` of P (bipartite graphs always have -1, which only alternates the colours, so it is
not counted). Boyd, Diaconis and Xiao (SIAM Review 46, 2004) solve the convex problem of symmetric P, which may stay
where it is; here a repeat would be no walk, so the chain has no loops and any stationary law, and the weights are found
by descent from the uniform walk's, with the best kept.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .walks import Adjacency


class Chain(NamedTuple):
    """``transition[from, to]``, its stationary law, and its second largest eigenvalue."""

    transition: Float[Array, "node node"]
    stationary: Float[Array, " node"]
    second_eigenvalue: Float[Array, ""]


def reversible_chain(weights: Float[Array, "node node"]) -> Chain:
    """The chain of symmetric edge weights."""
    strength = weights.sum(axis=1)
    scale = jnp.sqrt(strength)
    values = jnp.linalg.eigvalsh(weights / scale[:, None] / scale[None])
    return Chain(weights / strength[:, None], strength / strength.sum(), values[-2])


@functools.partial(jax.jit, static_argnames="steps")
def fastest_mixing_chain(adjacency: Adjacency, *, steps: int = 2000) -> Chain:
    """``Chain`` of least second eigenvalue among those with these edges and no loops, by subgradient descent in ln w.

    At an optimum eigenvalues meet and the subgradient of one of them zigzags, so steps shrink as 1/sqrt and the best
    weights are returned.
    """
    edges = jnp.asarray(adjacency, jnp.float32)

    def weights(logits: Array) -> Array:
        return edges * jnp.exp((logits + logits.T) / 2)

    def second(logits: Array) -> Array:
        return reversible_chain(weights(logits)).second_eigenvalue

    def step(carry: tuple[Array, Array, Array], k: Array) -> tuple[tuple[Array, Array, Array], None]:
        logits, best, least = carry
        value, slope = jax.value_and_grad(second)(logits)
        better = value < least
        best, least = jnp.where(better, logits, best), jnp.minimum(value, least)
        length = jnp.maximum(jnp.linalg.norm(slope), 1e-12)
        return (logits - 0.3 / jnp.sqrt(1.0 + k) * slope / length, best, least), None

    start = jnp.zeros_like(edges)
    begin = (start, start, jnp.asarray(jnp.inf, edges.dtype))
    (_, best, _), _ = jax.lax.scan(step, begin, jnp.arange(steps, dtype=edges.dtype))
    return reversible_chain(weights(best))
