r"""Best-first growth of digit trees by probability mass. No model in here.

Every round expands, at each state, the heaviest prefixes that are known and not yet expanded; their children become
known with

.. math:: m(d_1 \dots d_{k+1}) = m(d_1 \dots d_k) \, P(d_{k+1} \mid d_1 \dots d_k).

Mass that is never expanded is spread evenly over the numbers below its prefix, so the total-variation distance to the
complete law is at most the mass left unexpanded.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from .digit_tree import Tree, leaf_log_mass, level_sizes


class Growth(NamedTuple):
    """Trees of several states while they grow; ``node`` as in ``digit_tree.complete_tree``."""

    frontier: Float[Array, "state node"]
    """Log mass of the prefixes that are known and not expanded; -inf for all others."""
    law: Float[Array, "state node child"]
    """Next-digit log-probabilities of the expanded prefixes; even ones for all others."""
    used: Int[Array, " state"]
    """How many prefixes were expanded."""
    memory: Any
    """What ``evaluate`` hands on from round to round."""


Evaluate = Callable[[Array, Array, Any], tuple[Array, Any]]
"""``(node [state, row], real [state, row], memory) -> (law [state, row, child], memory)``, child padded by -inf."""


def grow(
    evaluate: Evaluate,
    memory: Any,
    root: Float[Array, "state child"],
    tree: Tree,
    *,
    epsilon: Float[Array, ""] | float,
    max_nodes: int,
    batch: int,
    remat: bool = False,
) -> Growth:
    """Expand until each state has at most ``epsilon`` unexpanded or has used ``max_nodes`` prefixes.

    ``root`` holds the log-probabilities of the first digit; a state that begins with -inf everywhere expands nothing.
    What a state expands depends on that state alone. Rounds are skipped as soon as no state needs one.

    A round expands ``batch`` prefixes or all that are known. The latter moves the whole frontier a level down, so it
    happens at most once a level: ``ceil(max_nodes / batch)`` rounds and one more a level are always enough.
    """
    batch = min(batch, max_nodes)

    def going(growth: Growth) -> Bool[Array, " state"]:
        return (jax.lax.stop_gradient(unexpanded(growth)) > epsilon) & (growth.used < max_nodes)

    def expand(growth: Growth) -> Growth:
        allowed = jnp.where(going(growth), max_nodes - growth.used, 0)
        return _round(evaluate, tree, batch, allowed, growth)

    step = jax.checkpoint(expand) if remat else expand

    def body(growth: Growth, _: None) -> tuple[Growth, None]:
        return jax.lax.cond(_anywhere(going(growth)), step, lambda same: same, growth), None

    rounds = -(-max_nodes // batch) + len(tree.branch) - 1
    return jax.lax.scan(body, _start(root, tree, memory), length=rounds)[0]


def unexpanded(growth: Growth) -> Float[Array, " state"]:
    """Mass below prefixes that are not expanded."""
    return jnp.sum(jnp.exp(growth.frontier), axis=-1)


def log_mass(growth: Growth, root: Float[Array, "state child"], tree: Tree) -> Float[Array, "state bin"]:
    """Log mass of every number."""
    bounds = np.cumsum((0, *level_sizes(tree.branch)))
    by_level = zip(bounds[:-1], bounds[1:], tree.branch[1:])
    return jax.vmap(leaf_log_mass)(root, tuple(growth.law[:, a:b, :width] for a, b, width in by_level))


def _start(root: Float[Array, "state child"], tree: Tree, memory: Any) -> Growth:
    """Only the prefixes of one digit are known."""
    states, nodes = root.shape[0], tree.level.size
    frontier = jnp.full((states, nodes), -jnp.inf, root.dtype).at[:, : root.shape[1]].set(root)
    even = -np.log(np.array(tree.branch)[tree.level])[:, None]
    law = jnp.broadcast_to(jnp.asarray(even, root.dtype), (states, nodes, max(tree.branch[1:])))
    return Growth(frontier, law, jnp.zeros(states, jnp.int32), memory)


def _round(evaluate: Evaluate, tree: Tree, batch: int, allowed: Int[Array, " state"], growth: Growth) -> Growth:
    """Expand the heaviest prefixes of every state, ``allowed`` of them at most."""
    states, nodes = growth.frontier.shape
    each = jnp.arange(states, dtype=jnp.int32)[:, None]
    mass, node = jax.lax.top_k(growth.frontier, batch)
    real = (jnp.arange(batch, dtype=jnp.int32) < allowed[:, None]) & (mass > -jnp.inf)
    law, memory = evaluate(node, real, growth.memory)
    own = jnp.where(real, node, nodes)
    children = jnp.where(real[..., None], jnp.asarray(_children(tree))[node], nodes)
    frontier = growth.frontier.at[each, own].set(-jnp.inf, mode="drop")
    return Growth(
        frontier.at[each[..., None], children].set(mass[..., None] + law, mode="drop"),
        growth.law.at[each, own].set(law, mode="drop"),
        growth.used + jnp.sum(real, axis=1, dtype=jnp.int32),
        memory,
    )


def _children(tree: Tree) -> np.ndarray:
    """``[node, child]``: every child that is a node; where there is none, the number of nodes."""
    nodes = tree.level.size
    table = np.full((nodes, max(tree.branch[1:])), nodes, np.int32)
    bounds = np.cumsum((0, *level_sizes(tree.branch)))
    for a, b, end, width in zip(bounds, bounds[1:], bounds[2:], tree.branch[1:]):
        table[a:b, :width] = np.arange(b, end).reshape(b - a, width)
    return table


@jax.custom_batching.custom_vmap
def _anywhere(going: Bool[Array, "*state"]) -> Bool[Array, ""]:
    return jnp.any(going)


@_anywhere.def_vmap
def _anywhere_in_batch(_size, _batched, going):
    """One answer for the whole batch. An answer per series would turn the ``cond`` into a ``select`` that computes
    every round, with the weights copied for every series. States that have stopped stay as they are either way."""
    return _anywhere(jnp.any(going, axis=0)), False
