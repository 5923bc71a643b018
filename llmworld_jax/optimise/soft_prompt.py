"""Soft prompts: vectors in the place of token embeddings, kept where tokens live, and read out as tokens.

Source: Lester et al., arXiv 2104.08691.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..errors import InputError
from ..models.llama import Llama
from ..models.readout import embed, token_table

OUTER = 0.005
"""Share of the vocabulary beyond each end of the range of norms."""


class NormRange(NamedTuple):
    """Between which lengths token embeddings lie."""

    low: Float[Array, ""]
    high: Float[Array, ""]


class Nearest(NamedTuple):
    """The closest token of each vector, its Euclidean distance, and how far from it the next closest token lies."""

    tokens: Int[Array, "*rows"]
    distance: Float[Array, "*rows"]
    gap: Float[Array, "*rows"]


def norm_range(model: Llama) -> NormRange:
    """Quantiles 0.5 % and 99.5 % of the lengths of the vocabulary's embeddings."""
    norms = jnp.linalg.norm(token_table(model).astype(jnp.float32), axis=-1)
    return NormRange(*jnp.quantile(norms, jnp.array([OUTER, 1 - OUTER])))


def within_range(vectors: Float[Array, "*rows d_model"], allowed: NormRange) -> Float[Array, "*rows d_model"]:
    """Vectors shortened or lengthened to the range; their directions stay."""
    norms = jnp.maximum(jnp.linalg.norm(vectors, axis=-1, keepdims=True), jnp.finfo(vectors.dtype).tiny)
    return vectors * (jnp.clip(norms, allowed.low, allowed.high) / norms)


def prompt_of_tokens(model: Llama, tokens: np.ndarray, rows: int) -> Float[Array, "rows d_model"]:
    """Embeddings of ``tokens``, repeated from the front until there are ``rows``.

    Raises:
        InputError: no token or no row.
    """
    if not len(tokens) or rows < 1:
        raise InputError(f"{len(tokens)} tokens for {rows} vectors", "at least one of each", "Begin with some text")
    return embed(model, jnp.asarray(np.resize(np.asarray(tokens), rows)))


def nearest_tokens(model: Llama, vectors: Float[Array, "*rows d_model"]) -> Nearest:
    """``Nearest`` of every vector, by |v - e|, over the whole vocabulary."""
    table = token_table(model).astype(jnp.float32)
    products = jnp.matmul(vectors.astype(jnp.float32), table.T, precision="highest")
    squares = jnp.sum(table**2, axis=-1) - 2 * products + jnp.sum(vectors.astype(jnp.float32) ** 2, -1, keepdims=True)
    order = jnp.argsort(squares, axis=-1)[..., :2]
    closest = jnp.sqrt(jnp.maximum(jnp.take_along_axis(squares, order, axis=-1), 0))
    between = jnp.linalg.norm(table[order[..., 0]] - table[order[..., 1]], axis=-1)
    return Nearest(order[..., 0], closest[..., 0], between)
