"""Activations of many prompts at one position each, or what a reduction on the device makes of them.

``collect`` keeps rows; ``accumulate`` keeps only a state that every batch is added to (Gram sums, means, extremes),
so that forty thousand prompts cost no more memory than forty. Both run ``models.capture.capture`` under ``vmap`` on
length-sorted, right-padded batches, and no layer after the last one asked for.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from .activation_store import ActivationStore
from .batches import Batch, batches, padded
from .errors import InputError
from .models.capture import capture
from .models.llama import Llama
from .models.mesh import data_devices_of, jit_on_mesh, vmap_over_data
from .models.storage import Precision

Progress = Callable[[int, int], None]
"""Called with the prompts that are read and how many there are."""
Update = Callable[[Any, dict[str, Array], Array, Array], Any]
"""``update(state, {site: [layer, row, width]}, index [row], weight [row]) -> state``; weight 0 marks padding rows."""


class Reading(TypedDict, total=False):
    """What is read of every prompt and how; the keyword arguments of ``stream`` and of all that stand on it."""

    sites: Required[tuple[str, ...]]
    layers: tuple[int, ...] | None
    first: np.ndarray | None
    precision: Precision
    tokens: int
    progress: Progress | None


def collect(
    model: Llama, prompts: Sequence[np.ndarray], at: np.ndarray, **reading: Unpack[Reading]
) -> dict[str, np.ndarray]:
    """``{site: [layer, prompt, width]}`` at ``at`` of every prompt, in host memory; arguments as ``stream``."""
    out: dict[str, np.ndarray] = {}
    for batch, taps in stream(model, prompts, at, **reading):
        for site, rows in taps.items():
            if site not in out:
                out[site] = np.empty((rows.shape[0], len(prompts), rows.shape[2]), rows.dtype)
            out[site][:, batch.which[: batch.real]] = np.asarray(rows)[:, : batch.real]
    return out


def accumulate(
    model: Llama, prompts: Sequence[np.ndarray], at: np.ndarray, update: Update, state: Any, **reading: Unpack[Reading]
) -> Any:
    """Add every batch to ``state`` on the device and give back the state: no row outlives its batch.

    ``update`` is traced once for each width of batch. The other arguments are those of ``stream``.
    """
    step = jax.jit(update, donate_argnums=0)
    # The caller's arrays must survive the donation.
    state = jax.tree.map(jnp.array, state)
    for batch, taps in stream(model, prompts, at, **reading):
        weight = jnp.arange(len(batch.which)) < batch.real
        state = step(state, taps, jnp.asarray(batch.which), weight)
    return state


def store_activations(
    model: Llama,
    prompts: Sequence[np.ndarray],
    at: np.ndarray,
    folder: str | Path,
    attributes: Mapping[str, Any],
    **reading: Unpack[Reading],
) -> Path:
    """Write the rows of ``collect`` into a zarr v3 folder, a chunk at a time; arguments as ``stream``.

    Of several processes each writes its share of the chunks.

    Raises:
        InputError: as ``stream``, or ``folder`` exists, or ``attributes`` are not JSON.
    """
    store = ActivationStore(folder, len(prompts), attributes)
    for batch, taps in stream(model, prompts, at, **reading):
        store.append(batch.which[: batch.real], {s: np.asarray(x)[:, : batch.real] for s, x in taps.items()})
    return store.close()


def stream(
    model: Llama,
    prompts: Sequence[np.ndarray],
    at: np.ndarray,
    *,
    sites: tuple[str, ...],
    layers: tuple[int, ...] | None = None,
    first: np.ndarray | None = None,
    precision: Precision = "highest",
    tokens: int = 1024,
    progress: Progress | None = None,
) -> Iterator[tuple[Batch, dict[str, Array]]]:
    """Batches as they are read, with ``{site: [layer, row, width]}`` still on the device.

    Args:
        prompts: token ids, each of its own length.
        at: ``[prompt]``, the position to read.
        sites, layers: see ``capture``.
        first: if given, the mean over positions ``first .. at`` is returned in the place of the last one.
        tokens: about how many one batch holds, on each device of a mesh's ``data`` axis.

    Raises:
        InputError: no prompts, an empty one or one longer than the model's context, a position outside its prompt.
    """
    lengths, at = _checked(model, prompts, at)
    first = at if first is None else np.asarray(first)
    done = 0
    for batch in batches(lengths, tokens=tokens, multiple=data_devices_of(model)):
        rows = jnp.asarray(padded(prompts, batch))
        where = jnp.asarray(np.stack((first[batch.which], at[batch.which]), axis=1).astype(np.int32))
        yield batch, _read(model, rows, where, sites, layers, precision)
        done += batch.real
        if progress is not None:
            progress(done, len(prompts))


@functools.partial(jit_on_mesh, static_argnames=("sites", "layers", "precision"))
def _read(
    model: Llama,
    tokens: Int[Array, "row position"],
    where: Int[Array, "row 2"],
    sites: tuple[str, ...],
    layers: tuple[int, ...] | None,
    precision: Precision,
) -> dict[str, Array]:
    def one(tokens: Array, where: Array) -> dict[str, Array]:
        inside = jnp.arange(tokens.shape[0])
        span = (inside >= where[0]) & (inside <= where[1])

        def mean(values: dict[str, Array]) -> dict[str, Array]:
            share = (span / jnp.sum(span)).astype(jnp.float32)

            # A select, not a product with zero: what stands in the padding may be anything.
            def weighed(x: Array) -> Array:
                return jnp.sum(jnp.where(span[:, None], x * share[:, None], 0), axis=0).astype(x.dtype)

            return {site: weighed(x) for site, x in values.items()}

        return capture(model, tokens, sites=sites, layers=layers, reduce=mean, precision=precision)

    return vmap_over_data(one, out_axes=1)(tokens, where)


def _checked(model: Llama, prompts: Sequence[np.ndarray], at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    lengths, at = np.array([len(p) for p in prompts], int), np.asarray(at, int)
    limit = model.config.max_positions
    wrong = [k for k, n in enumerate(lengths) if not 0 < n <= limit or not 0 <= at[k] < n]
    if wrong or not len(prompts):
        raise InputError(
            f"prompts {wrong[:10]} with {lengths[wrong[:10]].tolist()} tokens, read at {at[wrong[:10]].tolist()}",
            f"prompts of 1 to {limit} tokens, each read at one of them",
            "Shorten or remove them",
        )
    return lengths, at
