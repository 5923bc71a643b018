r"""The digit tree: from next-digit probabilities to the law of a whole number. No model in here.

A number is a path :math:`d_1 d_2 \dots d_D` in a product trie with ``branch = (b_1, .., b_D)`` children per level,
so bins are in numeric order. With :math:`P(d_k \mid d_1..d_{k-1})` the next-digit law at each prefix,

.. math:: m(d_1 \dots d_D) = \prod_k P(d_k \mid d_1 \dots d_{k-1}),

which is the Hierarchy-PDF of Liu et al. (arXiv 2402.00795) carried to its end. A prefix that is not expanded keeps
its mass, spread evenly over the numbers below it. *Nodes* are the prefixes of length ``1 .. D-1``, in order of
level, then value; the empty prefix (the root) is read from the plain forward pass and is not a node.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


class Tree(NamedTuple):
    """All nodes of a complete tree, as static tables."""

    branch: tuple[int, ...]
    level: np.ndarray
    """``[node]``: length of the prefix, 1 .. D-1."""
    digit: np.ndarray
    """``[node]``: last digit of the prefix (index into its level's children)."""
    ancestors: np.ndarray
    """``[node, D-1]``: nodes on the path from level 1 to the node itself; padded by the node itself."""
    seen: np.ndarray
    """``[node, D-1]``: which of ``ancestors`` are real."""


def complete_tree(branch: tuple[int, ...]) -> Tree:
    """Every prefix of length ``1 .. D-1`` of the product trie ``branch``."""
    depth = len(branch)
    sizes = level_sizes(branch)
    level = np.concatenate([np.full(n, i + 1) for i, n in enumerate(sizes)] or [np.zeros(0, int)])
    value = np.concatenate([np.arange(n) for n in sizes] or [np.zeros(0, int)])
    offset = np.concatenate(([0], np.cumsum(sizes))).astype(int)
    digit = np.array([v % branch[lv - 1] for v, lv in zip(value, level)], dtype=np.int32)
    ancestors = np.tile(np.arange(len(level), dtype=np.int32)[:, None], (1, max(depth - 1, 1)))
    seen = np.zeros_like(ancestors, dtype=bool)
    for slot in range(depth - 1):
        below = level > slot
        shrink = np.array([int(np.prod(branch[slot + 1 : lv])) for lv in level], dtype=int)
        ancestors[below, slot] = offset[slot] + value[below] // shrink[below]
        seen[below, slot] = True
    return Tree(branch, level.astype(np.int32), digit, ancestors, seen)


def level_sizes(branch: tuple[int, ...]) -> tuple[int, ...]:
    """Number of nodes of each level ``1 .. D-1``."""
    return tuple(int(n) for n in np.cumprod(branch[:-1]))


def leaf_log_mass(root: Float[Array, " child"], levels: tuple[Float[Array, "_ _"], ...]) -> Float[Array, " bin"]:
    """Chain rule down the tree: ``root [b_1]``, then ``levels[k] [b_1 .. b_{k+1}, b_{k+2}]``, all log-probabilities."""
    mass = root
    for conditional in levels:
        mass = (mass[:, None] + conditional).reshape(-1)
    return mass


def law_of(
    next_digit: Callable[[tuple[int, ...]], Float[Array, " child"]], branch: tuple[int, ...]
) -> Float[Array, " bin"]:
    """Log mass of every number from a function of the prefix: the definition, used to check the fast versions."""
    levels: list[Array] = []
    prefixes: list[tuple[int, ...]] = [()]
    for width in branch[:-1]:
        prefixes = [(*p, d) for p in prefixes for d in range(width)]
        levels.append(jnp.stack([next_digit(p) for p in prefixes]))
    return leaf_log_mass(next_digit(()), tuple(levels))


def coarse(log_mass: Float[Array, "*time bin"], bins: int) -> Float[Array, "*time coarse_bin"]:
    """Marginal law of the leading digits: log of the sum over every ``bin / bins`` neighbouring bins."""
    return jax.nn.logsumexp(log_mass.reshape(*log_mass.shape[:-1], bins, -1), axis=-1)
