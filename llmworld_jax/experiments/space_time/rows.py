"""Activations of a dataset's names, read once and kept while they are needed."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from ...activations import collect, stream
from ...entities.prompts import EntityPrompts
from ...models.llama import Llama

MATMUL_PRECISION = "highest"
Progress = Callable[[str], None]


def residual_rows(model: Llama, prompts: EntityPrompts, progress: Progress, what: str) -> np.ndarray:
    """Residual stream at the last token of every name, ``[layer, entity, width]`` in float32.

    Layer 0 is the token embedding, layer l the stream after block l, before the final norm.
    """
    last = np.array([tokens[at] for tokens, at in zip(prompts.tokens, prompts.last, strict=True)])
    config = model.config
    rows = np.empty((config.num_layers + 1, len(last), config.d_model), np.float32)
    rows[0] = np.asarray(model.embed[...][jnp.asarray(last)], np.float32)
    batches = stream(
        model, prompts.tokens, prompts.last, sites=("resid_post",), precision=MATMUL_PRECISION,
        progress=every_fifth(progress, what),
    )  # fmt: skip
    for batch, taps in batches:
        rows[1:, batch.which[: batch.real]] = np.asarray(taps["resid_post"])[:, : batch.real]
    return rows


def neuron_rows(model: Llama, prompts: EntityPrompts, progress: Progress, what: str) -> np.ndarray:
    """Gated activation of every neuron at the last token of every name, ``[block, entity, neuron]`` in float32."""
    found = collect(
        model, prompts.tokens, prompts.last, sites=("mlp_act",), precision=MATMUL_PRECISION,
        progress=every_fifth(progress, what),
    )  # fmt: skip
    return np.asarray(found["mlp_act"], np.float32)


def mean_embedding(model: Llama, prompts: EntityPrompts) -> np.ndarray:
    """Mean of the input embeddings of the name's own tokens, ``[entity, width]``: no context, no order."""
    table = np.asarray(model.embed[...], np.float32)
    spans = zip(prompts.tokens, prompts.first, prompts.last, strict=True)
    return np.stack([table[tokens[first : last + 1]].mean(axis=0) for tokens, first, last in spans])


def every_fifth(progress: Progress, what: str) -> Callable[[int, int], None]:
    """Progress at every fifth of the way."""
    said = [0]

    def report(done: int, total: int) -> None:
        if done * 5 // total > said[0]:
            said[0] = done * 5 // total
            progress(f"{what}: {done:,} of {total:,} names read")

    return report
