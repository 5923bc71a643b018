r"""Reversible chains on a graph's edges that forget their start soonest.

Symmetric weights w on edges give :math:`P_{ij} = w_{ij}/\sum_k w_{ik}`, and how fast a start is forgotten is set by the
second largest eigenvalue :math:`\lambda_2` of P (bipartite graphs always have -1, which only alternates the colours, so
it is not counted). What is least depends on what is held fixed:

- ``fastest_symmetric_chain``: P symmetric, loops allowed, the largest modulus counts; Boyd, Diaconis and Xiao, SIAM
  Review 46 (2004). Convex. A repeat is no walk, so this one is a reference and not a curriculum.
- ``fastest_degree_chain``: no loops, and every node as often as the uniform walk visits it. Convex.

Without loops and with any stationary law there is no fastest: where every node leads towards one edge and the chain
alternates there, :math:`\lambda_2 \to 0` on any graph, and all other nodes are given up.
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
def fastest_degree_chain(adjacency: Adjacency, *, steps: int = 2000) -> Chain:
    r"""``Chain`` of least second eigenvalue among those with these edges, no loops and the uniform walk's law.

    .. math:: \min_{w \ge 0} \lambda_2(D^{-1/2} w D^{-1/2}), \quad w = w^T, \quad \sum_j w_{ij} = d_i

    On a tree no weight is free and this is the uniform walk, as it is wherever all edges are alike.
    """
    edges = jnp.asarray(adjacency, jnp.float32)
    return _least(edges, edges.sum(axis=1), jnp.array([0.0, 1.0]), steps)


@functools.partial(jax.jit, static_argnames="steps")
def fastest_symmetric_chain(adjacency: Adjacency, *, steps: int = 2000) -> Chain:
    r"""``Chain`` of least second largest modulus among the symmetric ones with these edges and loops.

    .. math:: \min_{P \ge 0} \max(\lambda_2(P), -\lambda_n(P)), \quad P = P^T, \quad \sum_j P_{ij} = 1

    Source: Boyd, Diaconis and Xiao, SIAM Review 46 (2004): cos(π/n) on a path, 0 on a complete graph.
    """
    edges = jnp.asarray(adjacency, jnp.float32)
    loops = jnp.eye(edges.shape[0], dtype=edges.dtype)
    return _least(edges + loops, jnp.ones_like(edges[0]), jnp.array([-1.0, 1.0]), steps)


def _least(support: Array, sums: Array, ends: Array, steps: int) -> Chain:
    """Mirror descent in relative entropy: subgradient steps in ln w, then back to the row sums; the best is kept.

    ``ends`` weighs the least and the second largest eigenvalue, whose larger product is made small.
    """

    def step(carry: tuple[Array, Array, Array], k: Array) -> tuple[tuple[Array, Array, Array], None]:
        weights, best, least = carry
        value, slope = _slope(weights, ends)
        best, least = jnp.where(value < least, weights, best), jnp.minimum(value, least)
        length = jnp.maximum(jnp.abs(slope * support).max(), 1e-12)
        return (_with_sums(weights * jnp.exp(-slope / length / jnp.sqrt(1.0 + k)), sums, 30), best, least), None

    begin = _with_sums(support, sums, 300)
    counts = jnp.arange(steps, dtype=support.dtype)
    (_, best, _), _ = jax.lax.scan(step, (begin, begin, jnp.asarray(jnp.inf, support.dtype)), counts)
    return reversible_chain(_with_sums(best, sums, 300))


def _slope(weights: Array, ends: Array) -> tuple[Array, Array]:
    """The larger of the weighed eigenvalues, and its subgradient in the weights at fixed row sums, vvᵀ."""
    scale = jnp.sqrt(weights.sum(axis=1))
    values, vectors = jnp.linalg.eigh(weights / scale[:, None] / scale[None])
    weighed = ends * values[jnp.array([0, -2])]
    end = weighed.argmax()
    vector = jnp.where(end == 0, vectors[:, 0], vectors[:, -2]) / scale
    return weighed[end], ends[end] * jnp.outer(vector, vector)


def _with_sums(weights: Array, sums: Array, rounds: int) -> Array:
    """The nearest symmetric weights with these row sums in relative entropy, x_i w_ij x_j (Sinkhorn).

    The square root damps the two-cycle into which the plain iteration falls on bipartite graphs.
    """

    def step(x: Array, _: None) -> tuple[Array, None]:
        return jnp.sqrt(x * sums / jnp.matmul(weights, x, precision="highest")), None

    x, _ = jax.lax.scan(step, jnp.ones_like(sums), None, length=rounds)
    return x[:, None] * weights * x[None]
