"""Hugging Face checkpoints streamed into a ``Llama``, strictly in both directions."""

import functools
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding

from ..errors import InputError
from .config import ModelConfig
from .llama import Llama, checkpoint_names
from .safetensors_files import FLOATS, Checkpoint, listed
from .sharding import MODEL, named_leaves, partition_spec

_IGNORED = re.compile(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$")
_DTYPES = ("float32", "bfloat16", "float16", "float64")

Progress = Callable[[int, int], None]
"""Called with the bytes that this process has read, and how many it will."""


def load_parameters(
    folder: str | Path,
    config: ModelConfig,
    dtype: Any = jnp.float32,
    *,
    mesh: Mesh | None = None,
    progress: Progress | None = None,
) -> Llama:
    """Read a checkpoint folder into a ``Llama``, strictly in both directions.

    Tensors go slice by slice into their layer's place in the stacked parameter, transposed from ``[out, in]``. Without
    a mesh a CPU takes that block for the parameter itself. On a mesh every process reads what its own devices hold
    and no more: its host memory peaks at that and one stacked parameter.

    Args:
        folder: holds ``model.safetensors``, or ``model.safetensors.index.json`` and its shards.
        dtype: of the parameters: float32, bfloat16, float16 (float64 under ``jax.enable_x64``).
        mesh: devices in axes ``data`` and ``model`` (``mesh.make_mesh``); parameters lie as ``sharding.RULES`` say.
            By default the default device.

    Raises:
        InputError: lists *all* missing, unknown, misshaped and non-float tensors; damaged or pickled files.
    """
    dtype = _checked_dtype(dtype)
    checkpoint = Checkpoint(Path(folder))
    _check(checkpoint, config)
    leaves, tree = _leaves(config, dtype)
    shardings = {path: _sharding(path, config, mesh) for path in leaves}
    total = sum(_bytes_here(leaf, shardings[path]) for path, leaf in leaves.items())
    filled, done = [], 0
    for path, leaf in leaves.items():
        read = functools.partial(_block, checkpoint, path, config, leaf)
        sharding = shardings[path]
        if sharding is None:
            filled.append(jax.device_put(read((slice(None),) * len(leaf.shape))))
        else:
            # Devices that hold the same part are given the same block.
            filled.append(jax.make_array_from_callback(leaf.shape, sharding, _once_each(read)))
        done += _bytes_here(leaf, sharding)
        if progress is not None:
            progress(done, total)
    return jax.tree.unflatten(tree, filled)


def require_finite(folder: str | Path, config: ModelConfig) -> None:
    """Read every tensor of a checkpoint, one at a time, and keep nothing.

    Raises:
        InputError: as ``load_parameters``; or tensors with numbers that are not finite, all of them listed.
    """
    checkpoint = Checkpoint(Path(folder))
    _check(checkpoint, config)
    wrong = [name for name in tensor_shapes(config) if not np.isfinite(checkpoint.read(name)).all()]
    if wrong:
        raise InputError(
            f"weights in {folder} that are not finite: {listed(wrong)}", "finite numbers", "Download them again"
        )


Index = tuple[slice, ...]


def _sharding(path: str, config: ModelConfig, mesh: Mesh | None) -> NamedSharding | None:
    return None if mesh is None else NamedSharding(mesh, partition_spec(path, config, mesh.shape[MODEL]))


def _bytes_here(leaf: jax.ShapeDtypeStruct, sharding: NamedSharding | None) -> int:
    """Bytes of the different parts of one parameter that this process's devices hold."""
    if sharding is None:
        return leaf.size * leaf.dtype.itemsize
    indices = sharding.addressable_devices_indices_map(leaf.shape).values()
    parts = {_key(index) for index in indices if index is not None}
    return len(parts) * math.prod(sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize


def _key(index: Index) -> tuple:
    return tuple((part.start, part.stop) for part in index)


def _once_each(read: Callable[[Index], np.ndarray]) -> Callable[[Index | None], np.ndarray]:
    kept: dict[tuple, np.ndarray] = {}

    def part(index: Index | None) -> np.ndarray:
        assert index is not None
        if _key(index) not in kept:
            kept[_key(index)] = read(index)
        return kept[_key(index)]

    return part


def _block(
    checkpoint: Checkpoint, path: str, config: ModelConfig, leaf: jax.ShapeDtypeStruct, index: Index
) -> np.ndarray:
    """The part ``index`` of one of our parameters, from as much of the files as that is."""
    shape = tuple(len(range(size)[part]) for size, part in zip(leaf.shape, index, strict=True))
    block, transposed = _aligned(shape, leaf.dtype), checkpoint_names(config)[path][1]
    stacked = path.startswith("layers.")
    names = _sources(path, config)
    for k, name in enumerate(names[index[0]] if stacked else names):
        tensor = checkpoint.read(name)
        wanted = (tensor.T if transposed else tensor)[index[1:] if stacked else index]
        (block[k] if stacked else block)[...] = wanted
    return block


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a Hugging Face checkpoint of this model."""
    shapes = {}
    for path, leaf in _leaves(config, jnp.dtype(jnp.float32))[0].items():
        shape = leaf.shape[1:] if path.startswith("layers.") else leaf.shape
        for name in _sources(path, config):
            shapes[name] = shape[::-1] if checkpoint_names(config)[path][1] else shape
    return shapes


def _leaves(config: ModelConfig, dtype: np.dtype) -> tuple[dict[str, jax.ShapeDtypeStruct], Any]:
    """Our path -> abstract parameter, and the tree they unflatten into."""
    abstract = jax.eval_shape(lambda: Llama(config, key=jax.random.key(0), dtype=dtype))
    return named_leaves(abstract), jax.tree.structure(abstract)


def _sources(path: str, config: ModelConfig) -> list[str]:
    """Names in the checkpoint of one of our parameters, one per layer if stacked."""
    name = checkpoint_names(config)[path][0]
    return [name.format(layer=i) for i in range(config.num_layers)] if path.startswith("layers.") else [name]


def _check(checkpoint: Checkpoint, config: ModelConfig) -> None:
    """Compare names, shapes and dtypes with what ``config`` implies; report every difference."""
    wanted = tensor_shapes(config)
    problems = [f"missing {name}" for name in wanted if name not in checkpoint.tensors]
    names = checkpoint_names(config)
    head, embed = names["head"][0], names["embed"][0]
    for name, tensor in checkpoint.tensors.items():
        if config.tied and name == head:
            if embed in checkpoint.tensors and not checkpoint.equal(head, embed):
                problems.append(f"{head} that differs from {embed} though the config ties them")
        elif name not in wanted:
            if not _IGNORED.match(name):
                problems.append(f"unknown {name} {list(tensor.shape)}")
        elif tensor.shape != wanted[name]:
            problems.append(f"{name} of shape {list(tensor.shape)} instead of {list(wanted[name])}")
        elif tensor.dtype not in FLOATS:
            problems.append(f"{name} of dtype {tensor.dtype}")
    if problems:
        raise InputError(
            f"weights in {checkpoint.files[0].parent} that do not fit their config: {listed(problems, 40)}",
            f"exactly the {len(wanted)} tensors of a {config.num_layers}-layer {config.family}, in {', '.join(FLOATS)}",
            "Check that config.json and the weights belong together, or download them again",
        )


def _checked_dtype(dtype: Any) -> np.dtype:
    try:
        dtype = jnp.dtype(dtype)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.name not in _DTYPES or (dtype.name == "float64" and jnp.result_type(float) != dtype):
        raise InputError(
            f"dtype {dtype.name}",
            f"one of {', '.join(_DTYPES)}",
            "For float64 load inside `with jax.enable_x64(True):`",
        )
    return dtype


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Uninitialised block on a 64-byte boundary: XLA's CPU client then adopts it instead of copying it."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    raw = np.empty(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)
