"""Activations of a dataset's names, read once and kept while they are needed."""

import functools
from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from ...activations import stream
from ...entities.prompts import EntityPrompts
from ...models.llama import Llama
from ...models.readout import embed, token_table

MATMUL_PRECISION = "highest"
Progress = Callable[[str], None]


def residual_rows(model: Llama, prompts: EntityPrompts, progress: Progress, what: str) -> np.ndarray:
    """Residual stream at the last token of every name, ``[layer, entity, width]`` in float32.

    Layer 0 is the token embedding, layer l the stream after block l, before the final norm.
    """
    return _read(model, prompts, ("resid_post",), progress, what)["resid_post"]


class Reader:
    """The activations of one dataset, read when they are first asked for."""

    def __init__(self, model: Llama, prompts: EntityPrompts, progress: Progress, what: str) -> None:
        self._read = functools.partial(_read, model, prompts, progress=progress, what=what)
        self._residual: np.ndarray | None = None

    def residual(self) -> np.ndarray:
        """``residual_rows``, kept until ``forget``."""
        if self._residual is None:
            self._residual = self._read(("resid_post",))["resid_post"]
        return self._residual

    def neurons(self) -> np.ndarray:
        """The gated activation of every neuron, ``[block, entity, neuron]`` in float32.

        They are not kept, being the larger part; the residual stream of the same pass is.
        """
        found = self._read(("resid_post", "mlp_act"))
        self._residual = found["resid_post"]
        return found["mlp_act"]

    def forget(self) -> None:
        """Let the rows go."""
        self._residual = None


def _read(
    model: Llama, prompts: EntityPrompts, sites: tuple[str, ...], progress: Progress, what: str
) -> dict[str, np.ndarray]:
    last = np.array([tokens[at] for tokens, at in zip(prompts.tokens, prompts.last, strict=True)])
    config = model.config
    widths = {"resid_post": (config.num_layers + 1, config.d_model), "mlp_act": (config.num_layers, config.d_mlp)}
    found = {site: np.empty((widths[site][0], len(last), widths[site][1]), np.float32) for site in sites}
    found["resid_post"][0] = np.asarray(embed(model, jnp.asarray(last)), np.float32)
    batches = stream(
        model, prompts.tokens, prompts.last, sites=sites, precision=MATMUL_PRECISION,
        progress=every_fifth(progress, what),
    )  # fmt: skip
    for batch, taps in batches:
        for site, rows in taps.items():
            start = len(found[site]) - len(rows)  # the embedding is no block
            found[site][start:, batch.which[: batch.real]] = np.asarray(rows)[:, : batch.real]
    return found


def mean_embedding(model: Llama, prompts: EntityPrompts) -> np.ndarray:
    """Mean of the input embeddings of the name's own tokens, ``[entity, width]``: no context, no order."""
    table = np.asarray(token_table(model), np.float32)
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
