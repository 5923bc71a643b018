"""Hugging Face checkpoints streamed into a ``Llama``, strictly in both directions."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from .config import ModelConfig
from .llama import CHECKPOINT_NAMES, Llama
from .safetensors_files import FLOATS, Checkpoint, listed

_IGNORED = re.compile(r"model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$")
_DTYPES = ("float32", "bfloat16", "float16", "float64")

Place = Callable[[str, np.ndarray], jax.Array]


def load_parameters(
    folder: str | Path, config: ModelConfig, dtype: Any = jnp.float32, *, place: Place | None = None
) -> Llama:
    """Read a checkpoint folder into a ``Llama``, strictly in both directions.

    Tensors go one by one into their layer's place in the stacked parameter, transposed from ``[out, in]``. On
    a CPU that block becomes the parameter itself; elsewhere host memory peaks at one stacked block.

    Args:
        folder: holds ``model.safetensors``, or ``model.safetensors.index.json`` and its shards.
        dtype: of the parameters: float32, bfloat16, float16 (float64 under ``jax.enable_x64``).
        place: called with ``(path, block)``, e.g. ``("layers.q", [layer, in, out])``, to put each parameter
            on devices; by default the default device.

    Raises:
        InputError: lists *all* missing, unknown, misshaped and non-float tensors; damaged or pickled files.
    """
    dtype = _checked_dtype(dtype)
    checkpoint = Checkpoint(Path(folder))
    _check(checkpoint, config)
    leaves, tree = _leaves(config, dtype)
    place = place or (lambda path, block: jax.device_put(block))
    filled = []
    for path, leaf in leaves.items():
        block = _aligned(leaf.shape, leaf.dtype)
        for layer, name in enumerate(_sources(path, config)):
            tensor = checkpoint.read(name)
            part = block[layer] if path.startswith("layers.") else block
            part[...] = tensor.T if CHECKPOINT_NAMES[path][1] else tensor
        filled.append(place(path, block))
    return jax.tree.unflatten(tree, filled)


def tensor_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a Hugging Face checkpoint of this model."""
    shapes = {}
    for path, leaf in _leaves(config, jnp.dtype(jnp.float32))[0].items():
        shape = leaf.shape[1:] if path.startswith("layers.") else leaf.shape
        for name in _sources(path, config):
            shapes[name] = shape[::-1] if CHECKPOINT_NAMES[path][1] else shape
    return shapes


def _leaves(config: ModelConfig, dtype: np.dtype) -> tuple[dict[str, jax.ShapeDtypeStruct], Any]:
    """Our path -> abstract parameter, and the tree they unflatten into."""
    abstract = jax.eval_shape(lambda: Llama(config, key=jax.random.key(0), dtype=dtype))
    leaves, tree = jax.tree_util.tree_flatten_with_path(abstract)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in leaves]
    return {name.removesuffix(".value"): leaf for name, (_, leaf) in zip(names, leaves)}, tree


def _sources(path: str, config: ModelConfig) -> list[str]:
    """Names in the checkpoint of one of our parameters, one per layer if stacked."""
    name = CHECKPOINT_NAMES[path][0]
    return [name.format(layer=i) for i in range(config.num_layers)] if path.startswith("layers.") else [name]


def _check(checkpoint: Checkpoint, config: ModelConfig) -> None:
    """Compare names, shapes and dtypes with what ``config`` implies; report every difference."""
    wanted = tensor_shapes(config)
    problems = [f"missing {name}" for name in wanted if name not in checkpoint.tensors]
    head, embed = CHECKPOINT_NAMES["head"][0], CHECKPOINT_NAMES["embed"][0]
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
            f"exactly the {len(wanted)} tensors of a {config.num_layers}-layer Llama, in {', '.join(FLOATS)}",
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
