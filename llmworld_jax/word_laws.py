"""What a model says comes next, as probabilities of the nodes' words over the whole vocabulary."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .models.llama import Llama
from .models.readout import logits
from .models.storage import Precision

ROWS = 128
"""Positions whose whole vocabulary is held at once."""


class NodeLaws(NamedTuple):
    """Row t is the law of item t + 1 given items 0 to t; ``largest_other`` of any token that names no node."""

    log_probability: Float[Array, "*batch time node"]
    largest_other: Float[Array, "*batch time"]


def node_laws(
    model: Llama,
    hidden: Float[Array, "time d_model"],
    word_ids: Int[Array, " node"],
    *,
    rows: int = ROWS,
    precision: Precision = "highest",
) -> NodeLaws:
    """Laws at the rows of ``hidden`` (final hidden states, normalised), in float32.

    ``rows`` of them at a time: the scores of the whole vocabulary are never held for all.
    """

    def one(h: Array) -> tuple[Array, Array]:
        scores = logits(model, h, precision=precision)
        whole = jax.nn.logsumexp(scores, axis=-1)
        other = jnp.max(scores.at[word_ids].set(-jnp.inf), axis=-1)
        return scores[word_ids] - whole, jnp.exp(other - whole)

    return NodeLaws(*jax.lax.map(one, hidden, batch_size=min(rows, hidden.shape[0])))
