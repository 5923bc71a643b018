r"""Which attention heads look one token back, and which at what followed the same token last time.

A block of random tokens is read several times in a row. The previous-token score of a head is its mean attention to the
token before; its induction score, over repeats, that to the token after the last occurrence of the current one, which
lies ``block - 1`` back. Both are shares of attention, 0 to 1. Source: Olsson et al., arXiv 2209.11895.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .models.capture import capture
from .models.llama import Llama
from .models.mesh import jit_on_mesh
from .models.storage import Precision


class HeadScores(NamedTuple):
    """Mean over sequences."""

    previous: Float[Array, "layer head"]
    induction: Float[Array, "layer head"]


def pattern_scores(pattern: Float[Array, "head query key"], block: int) -> HeadScores:
    """Scores ``[head]`` of one attention pattern over a repeated block."""
    length = pattern.shape[-1]
    here = jnp.arange(1, length)
    again = jnp.arange(block, length)
    return HeadScores(pattern[:, here, here - 1].mean(axis=-1), pattern[:, again, again - block + 1].mean(axis=-1))


@functools.partial(jit_on_mesh, static_argnames=("block", "repeats", "count", "precision"))
def head_scores(
    model: Llama,
    key: Key[Array, ""],
    *,
    block: int = 32,
    repeats: int = 2,
    count: int = 8,
    precision: Precision = "highest",
) -> HeadScores:
    """Scores of all heads over ``count`` sequences of ``repeats`` times ``block`` random tokens.

    The patterns are reduced where they are made; one sequence's pattern of one block is the most that is held.
    """

    def one(key: Array) -> HeadScores:
        tokens = jnp.tile(jax.random.randint(key, (block,), 0, model.config.vocab_size), repeats)

        def reduced(sites: dict[str, Array]) -> HeadScores:
            return pattern_scores(sites["pattern"], block)

        return capture(model, tokens, sites=("pattern",), reduce=reduced, precision=precision)

    scores = jax.lax.map(one, jax.random.split(key, count))
    return HeadScores(*(score.mean(axis=0) for score in scores))
