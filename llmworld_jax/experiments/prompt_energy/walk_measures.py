"""The energy of a walk, hard or relaxed, as a loss; and walks read on placements of the words to be compared."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from analyses import graphs

from ...models.forward import forward
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...models.readout import embed
from ...optimise.seen import Reader, Seen, WalkTask, seen_walk

FOUND_ON = 2
"""Placements that walks are found on: the first of a stage's."""
CONTEXTS = (25, 50, 75, 100, 150)


class Stage(NamedTuple):
    """What every walk is read with: prompt, one placement a row, the graph."""

    prompt: Float[Array, "row d_model"]
    word_ids: Int[Array, "placement node"]
    adjacency: Float[Array, "node node"]


def walk_loss(
    model: Llama, stage: Stage, layer: int, window: int, remat: bool, choice: Float[Array, "time node"]
) -> Float[Array, ""]:
    """Mean over placements of R at ``layer`` over the last ``window`` items, plus the share of nodes they do not hold.

    Rows of ``choice`` are one-hot, or laws over nodes: then embeddings, means and counts are expectations.
    """
    last = choice[-window:]
    counts = last.sum(axis=0)

    def one(ids: Array) -> Array:
        words = jnp.matmul(choice, embed(model, ids), precision="highest")

        def summed(sites: dict[str, Array]) -> Array:
            rows = sites["resid_post"][-last.shape[0] :]
            sized = rows / (jnp.linalg.norm(rows, axis=1, keepdims=True) / rows.shape[1] ** 0.5)
            return jnp.matmul(last.T, sized, precision="highest")

        inputs = jnp.concatenate((stage.prompt, words))
        sums = forward(model, inputs, taps=("resid_post",), reduce=summed, blocks=layer, remat=remat).taps[-1]
        held = counts > 1e-3
        means = sums / jnp.where(held, counts, 1)[:, None]
        return graphs.dirichlet_ratio(means, stage.adjacency, held)

    return jnp.mean(jax.lax.map(one, stage.word_ids)) + jnp.mean(jax.nn.relu(1 - counts))


def contexts_of(length: int) -> tuple[int, ...]:
    """Context lengths that are looked at; the last is the whole walk."""
    return (*(c for c in CONTEXTS if c < length), length)


@functools.partial(jit_on_mesh, static_argnames=("reader",))
def _read(model: Llama, prompt: Array, tasks: WalkTask, reader: Reader) -> Seen:
    return jax.lax.map(lambda task: seen_walk(model, prompt, prompt.shape[0], task, reader), tasks)


def tested_walks(model: Llama, stage: Stage, drawn: np.ndarray, layer: int, window: int) -> tuple[np.ndarray, ...]:
    """R, AUC, unseen nodes ``[placement, context]`` and the legal share ``[placement]`` of walks, one a placement."""
    count = len(drawn)
    tasks = WalkTask(
        jnp.asarray(drawn), stage.word_ids[FOUND_ON:], jnp.tile(stage.adjacency, (count, 1, 1)),
        jnp.ones((count, stage.adjacency.shape[0]), bool),
    )  # fmt: skip
    seen = _read(model, stage.prompt, tasks, Reader(window, contexts_of(drawn.shape[1]), 50))
    assert seen.laws is not None
    counts = seen.sums.counts[:, layer]
    rows, held = seen.sums.sums[:, layer] / jnp.maximum(counts, 1)[..., None], counts > 0

    def measured(measure: Callable[..., Array]) -> np.ndarray:
        return np.asarray(jax.vmap(jax.vmap(lambda r, h: measure(r, stage.adjacency, h)))(rows, held))

    law = jax.nn.softmax(seen.laws.log_probability, axis=-1)
    legal = stage.adjacency[tasks.nodes[:, -law.shape[1] :]]
    said = jnp.mean(jnp.sum(law * legal, axis=-1), axis=1)
    return (
        measured(graphs.dirichlet_ratio), measured(graphs.edge_auc), np.asarray((~held).sum(axis=-1)), np.asarray(said)
    )  # fmt: skip
