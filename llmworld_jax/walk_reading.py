"""Walks read by a model: node means and next-word laws of all of them, in one pass over each."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .errors import InputError
from .models.edits import Edit
from .models.llama import Llama
from .models.mesh import data_devices_of, jit_on_mesh, vmap_over_data
from .models.storage import Precision
from .walk_prompts import GraphPrompts
from .window_sums import NodeSums, forward_with_sums, summing, windows
from .word_laws import NodeLaws, node_laws


class WalkReading(NamedTuple):
    """Of one walk."""

    sums: NodeSums
    laws: NodeLaws


class WalkReadings(NamedTuple):
    """Of many walks, in host memory; sums and counts are pooled over walks, or have a leading axis of them.

    ``sums`` ``[(walk,) layer, context, node, width]``, ``counts`` ``[(walk,) layer, context, node]``,
    ``largest_over_median`` ``[walk, layer]``, ``log_probability`` ``[walk, time, node]``, ``largest_other``
    ``[walk, time]``.
    """

    sums: np.ndarray
    counts: np.ndarray
    largest_over_median: np.ndarray
    log_probability: np.ndarray
    largest_other: np.ndarray


def read_walk(
    model: Llama,
    tokens: Int[Array, " position"],
    nodes: Int[Array, " time"],
    item_at: Int[Array, " time"],
    read_at: Int[Array, " time"],
    word_ids: Int[Array, " node"],
    contexts: Int[Array, " context"],
    *,
    window: int = 50,
    normalise: bool = False,
    drop_sinks: float | None = None,
    edits: tuple[Edit, ...] = (),
    precision: Precision = "highest",
) -> WalkReading:
    """One walk; pure, so that ``jax.vmap`` goes over walks, placements (``word_ids`` too) and edits.

    Arguments as in ``window_sums.node_sums``; ``read_at`` is where the law of the next item is read.
    """
    chosen = windows(nodes, contexts, window, word_ids.shape[0])
    reduce = summing(chosen, item_at, normalise=normalise, drop_sinks=drop_sinks, precision=precision)
    read, sums = forward_with_sums(model, tokens, reduce, edits=edits, precision=precision)
    return WalkReading(sums, node_laws(model, read.hidden[read_at], word_ids, precision=precision))


@functools.partial(jit_on_mesh, static_argnames=("window", "normalise", "drop_sinks", "precision"))
def _read_batch(
    model, tokens, nodes, item_at, read_at, word_ids, contexts, edits, *, window, normalise, drop_sinks, precision
) -> WalkReading:
    def one(tokens: Array, nodes: Array) -> WalkReading:
        return read_walk(
            model, tokens, nodes, item_at, read_at, word_ids, contexts, window=window, normalise=normalise,
            drop_sinks=drop_sinks, edits=edits, precision=precision,
        )  # fmt: skip

    return vmap_over_data(one)(tokens, nodes)


def read_walks(
    model: Llama,
    prompts: GraphPrompts,
    walks: np.ndarray,
    word_ids: np.ndarray,
    contexts: Sequence[int],
    *,
    window: int = 50,
    normalise: bool = False,
    drop_sinks: float | None = None,
    edits: tuple[Edit, ...] = (),
    per_walk: bool = False,
    at_once: int = 1,
    precision: Precision = "highest",
    progress: Callable[[int, int], None] | None = None,
) -> WalkReadings:
    """Read ``walks [walk, time]`` as ``prompts`` spell them; one program, compiled once, for all of them.

    Args:
        word_ids: token id of each node's word.
        per_walk: keep the sums of each walk, to draw walks anew; by default they are pooled on the way.
        at_once: how many walks each device of a mesh's ``data`` axis reads together; more need more memory.
        progress: called with the walks that are read and how many there are.

    Raises:
        InputError: walks and prompts that do not belong together, or a context length that no walk has.
    """
    _check(prompts, walks, contexts)
    count = len(walks)
    at_once *= data_devices_of(model)
    fixed = tuple(jnp.asarray(x) for x in (prompts.item_at, prompts.read_at, word_ids, np.asarray(contexts)))
    sums: list[np.ndarray] = []
    counts: list[np.ndarray] = []
    rest: list[tuple[np.ndarray, ...]] = []
    for start in range(0, count, at_once):
        which = np.minimum(np.arange(start, start + at_once), count - 1)
        read = _read_batch(
            model, jnp.asarray(prompts.tokens[which]), jnp.asarray(walks[which]), *fixed, edits, window=window,
            normalise=normalise, drop_sinks=drop_sinks, precision=precision,
        )  # fmt: skip
        real = min(at_once, count - start)  # the last batch is filled with repeats
        new, number = np.asarray(read.sums.sums[:real]), np.asarray(read.sums.counts[:real])
        if per_walk:
            sums.append(new)
            counts.append(number)
        else:
            sums = [new.sum(axis=0) + (sums[0] if sums else 0)]
            counts = [number.sum(axis=0) + (counts[0] if counts else 0)]
        parts = (read.sums.largest_over_median, read.laws.log_probability, read.laws.largest_other)
        rest.append(tuple(np.asarray(part[:real]) for part in parts))
        if progress is not None:
            progress(min(start + at_once, count), count)
    joined = (np.concatenate(part) for part in zip(*rest))
    if per_walk:
        return WalkReadings(np.concatenate(sums), np.concatenate(counts), *joined)
    return WalkReadings(sums[0], counts[0], *joined)


def _check(prompts: GraphPrompts, walks: np.ndarray, contexts: Sequence[int]) -> None:
    count, steps = walks.shape
    if prompts.tokens.shape[0] != count or len(prompts.item_at) != steps:
        raise InputError(
            f"{count} walks of {steps} items and prompts of {prompts.tokens.shape[0]} of {len(prompts.item_at)}",
            "prompts made of these walks",
            "Make them with graph_prompts",
        )
    if not len(contexts) or min(contexts) < 1 or max(contexts) > steps:
        raise InputError(f"context lengths {tuple(contexts)}", f"some from 1 to {steps}", "Choose among these")
