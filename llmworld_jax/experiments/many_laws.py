"""Many series read at once: those of one token layout share a compiled call, and every series is a unit of its own.

Layouts differ in the number of tokens and in the digit trie, so a run of many systems compiles two or three programs.
A run that is stopped loses at most the batch it was reading.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from ..content import content_hash
from ..laws import ROWS_PER_CHUNK, Levels, law_masses
from ..models.catalogue import LoadedModel
from ..models.llama import Llama
from ..models.mesh import data_devices_of, jit_on_mesh, vmap_over_data
from ..store import RunStore
from .simulation import Series

MATMUL_PRECISION = "highest"
Laws = dict[str, np.ndarray]
Progress = Callable[[str], None]


def read_many(
    series: Sequence[Series], loaded: LoadedModel, store: RunStore, progress: Progress, *, batch: int
) -> list[Laws]:
    """``log_mass [time, bin]`` and ``off_grid [time]`` of every series; finished ones come from ``store``."""
    keys = [unit_key(one, loaded) for one in series]
    done = store.completed(keys)
    if any(done):
        progress(f"{sum(done)} of {len(series)} series are already read")
    batch *= data_devices_of(loaded.model)
    missing = [group for group in _batches(series, batch) if not all(done[k] for k in group)]
    for number, group in enumerate(missing):
        names = ", ".join(dict.fromkeys(series[k].name for k in group))
        progress(f"reading batch {number + 1} of {len(missing)}: {len(group)} series ({names})")
        for k, laws in zip(group, _read([series[k] for k in group], loaded), strict=True):
            store.unit(keys[k], laws.copy)
    # A unit that is damaged is read again, alone.
    return [store.unit(key, functools.partial(_read_one, one, loaded)) for key, one in zip(keys, series, strict=True)]


def _read_one(one: Series, loaded: LoadedModel) -> Laws:
    return next(iter(_read([one], loaded)))


def _batches(series: Sequence[Series], batch: int) -> Iterable[list[int]]:
    """Series of one layout in groups of nearly equal size, at most ``batch``: few sizes, so few compilations.

    What is finished does not change the groups, so a run that goes on rounds as one that was never stopped.
    """
    layouts: dict[Any, list[int]] = {}
    for k, one in enumerate(series):
        layouts.setdefault((one.codec.levels, len(one.codes)), []).append(k)
    for members in layouts.values():
        for part in np.array_split(members, -(-len(members) // batch)):
            yield part.tolist()


def _read(series: Sequence[Series], loaded: LoadedModel) -> Iterable[Laws]:
    prompts = [one.codec.prompt(one.codes) for one in series]
    devices = data_devices_of(loaded.model)
    filled = len(prompts) if len(prompts) < devices else devices * -(-len(prompts) // devices)
    tokens = np.stack([prompts[min(k, len(prompts) - 1)].tokens for k in range(filled)])
    laws = _laws_of(loaded.model, tokens, np.asarray(prompts[0].item_at), series[0].codec.levels)
    for log_mass, off_grid in zip(*map(np.asarray, laws), strict=True):
        yield {"log_mass": log_mass, "off_grid": off_grid}


@functools.partial(jit_on_mesh, static_argnames=("levels",))
def _laws_of(model: Llama, tokens: ArrayLike, item_at: ArrayLike, levels: Levels) -> tuple[Array, Array]:
    """``log_mass [series, time, bin]`` and ``off_grid [series, time]`` of series of one layout.

    On a mesh whole series are dealt out when there are enough of them, and else the states of each.
    """

    def one(tokens: Array) -> tuple[Array, Array]:
        return law_masses(model, tokens, jnp.asarray(item_at), levels, "tree", ROWS_PER_CHUNK, False, MATMUL_PRECISION)

    return vmap_over_data(one)(jnp.asarray(tokens))


def unit_key(one: Series, loaded: LoadedModel, what: str = "laws", **more: Any) -> dict[str, Any]:
    """Everything that a reading of this series depends on."""
    prompt = one.codec.prompt(one.codes)
    return {
        "what": what,
        "model": {k: loaded.provenance[k] for k in ("id", "sha256", "fingerprint", "dtype")},
        "config": loaded.config,  # the same weights under another one (its rope_theta, say) are another model
        "levels": one.codec.levels,
        "tokens": content_hash({"tokens": prompt.tokens, "item_at": prompt.item_at}),
        "matmul_precision": MATMUL_PRECISION,
        **more,
    }
