"""Walks as one-hot rows: which are legal, the best of all for given scores, and what one change would do.

A loss of a walk is a pure function of ``choice [time, node]``, one-hot rows or a relaxation of them.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

WalkLoss = Callable[[Float[Array, "time node"]], Float[Array, ""]]


def is_legal(walk: Int[Array | np.ndarray, " time"], adjacency: Float[Array | np.ndarray, "node node"]) -> bool:
    """Whether every step follows an edge."""
    steps = np.asarray(walk)
    return bool((np.asarray(adjacency)[steps[:-1], steps[1:]] > 0).all())


@jax.jit
def best_walk(scores: Float[Array, "time node"], adjacency: Float[Array, "node node"]) -> Int[Array, " time"]:
    r"""The legal walk of largest :math:`\sum_t s_{t, x_t}`: Viterbi's recursion over the trellis."""
    edges = jnp.where(adjacency > 0, 0.0, -jnp.inf)

    def forward(best: Array, score: Array) -> tuple[Array, Array]:
        through = best[:, None] + edges
        return score + through.max(axis=0), jnp.argmax(through, axis=0)

    last, origins = jax.lax.scan(forward, scores[0], scores[1:])
    end = jnp.argmax(last)

    def back(node: Array, origin: Array) -> tuple[Array, Array]:
        return origin[node], node

    first, rest = jax.lax.scan(back, end, origins, reverse=True)
    return jnp.concatenate((first[None], rest)).astype(jnp.int32)


@functools.partial(jax.jit, static_argnames="num_nodes")
def one_hot(walk: Int[Array, "*batch time"], num_nodes: int) -> Float[Array, "*batch time node"]:
    """The rows of a walk."""
    return jax.nn.one_hot(walk, num_nodes, dtype=jnp.float32)


def swap_scores(loss: WalkLoss, walk: Int[Array, " time"], num_nodes: int) -> Float[Array, "time node"]:
    """Change of the loss to first order if item t were node y: one gradient for all of them."""
    slope = jax.grad(loss)(one_hot(walk, num_nodes))
    return slope - jnp.take_along_axis(slope, walk[:, None], axis=1)


@jax.jit
def legal_swaps(walk: Int[Array, " time"], adjacency: Float[Array, "node node"]) -> Bool[Array, "time node"]:
    """Which single items can be another node without breaking an edge; ends have one edge."""
    before = jnp.concatenate((jnp.ones((1, adjacency.shape[0])), adjacency[walk[:-1]]))
    after = jnp.concatenate((adjacency[walk[1:]], jnp.ones((1, adjacency.shape[0]))))
    other = jnp.arange(adjacency.shape[0]) != walk[:, None]
    return (before > 0) & (after > 0) & other
