r"""Floating-point operations that the answers need, counted by hand.

A token that sees :math:`k` keys costs, in a model of :math:`L` layers with :math:`H` query heads of width :math:`h`
and :math:`M` parameters in the matrices of its blocks,

.. math:: 2 M + 4\,L\,H\,h\,k,

two per multiplied parameter, two for each of its scores and its weighted values. A causal pass over :math:`T` tokens
sees :math:`(T + 1)/2` keys in the mean. A row that is scored against :math:`V` tokens costs :math:`2\,d\,V` more. The
embedding table is looked up, not multiplied; norms, rotation, softmax and biases are left out, and a window that sees
less than all is counted as if it saw all. Masked products that a kernel computes all the same are no use, so they do
not count: utilisation is useful operations over time and peak.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ...digit_tree import complete_tree
from ...models.config import ModelConfig

_STACKED_MATRIX = 3  # layer, in, out


def matrix_parameters(model: Any) -> int:
    """Parameters of all blocks' matrices, of a model or of its shapes."""
    return sum(leaf.size for leaf in jax.tree.leaves(model.layers) if len(leaf.shape) == _STACKED_MATRIX)


def token_flops(config: ModelConfig, matrices: int, keys: float | int) -> float:
    """One token that sees ``keys`` keys, without the head."""
    return 2.0 * matrices + 4.0 * config.num_layers * config.num_heads * config.head_dim * keys


def head_flops(config: ModelConfig, rows: float | int, choices: int) -> float:
    """``rows`` hidden states scored against ``choices`` tokens."""
    return 2.0 * rows * config.d_model * choices


def pass_flops(config: ModelConfig, matrices: int, tokens: int) -> float:
    """One causal pass, without the head."""
    return tokens * token_flops(config, matrices, (tokens + 1) / 2)


def tree_nodes(branch: tuple[int, ...], states: int) -> int:
    """Prefixes of one digit or more that are read, of ``states`` complete trees."""
    return states * complete_tree(branch).level.size


def tree_flops(
    config: ModelConfig, matrices: int, branch: tuple[int, ...], item_at: Sequence[int] | np.ndarray, whole: bool
) -> float:
    """All nodes of the trees at ``item_at``, and the scores of every digit, the first one's among them.

    ``whole``: every row is scored against the whole vocabulary besides its next digits (mass off the grid).
    """
    level, states = complete_tree(branch).level, len(item_at)
    keys = float(np.mean(item_at)) + float(np.mean(level))  # the prefix, then one for each digit of the node
    nodes = tree_nodes(branch, states) * token_flops(config, matrices, keys)
    choices = states * branch[0] + states * sum(branch[lv] for lv in level)
    scored = head_flops(config, 1, choices)
    vocabulary = head_flops(config, states * (1 + (level.size if whole else 0)), config.vocab_size)
    return nodes + scored + vocabulary
