"""Devices in a mesh of two axes: sequences and states lie along ``data``, a model's heads and neurons along ``model``.

A model that was placed on a mesh takes its computations with it: a function made with ``jit_on_mesh`` runs where its
first argument lies, and what it returns is whole on every device, so that every process of a run can read it. Without
a mesh nothing here does anything.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from ..errors import InputError
from .config import ModelConfig
from .sharding import DATA, MODEL, held_whole

AXES = (DATA, MODEL)
_NO_MESH = AbstractMesh((), ())


def parse_mesh(text: str) -> dict[str, int]:
    """``{"data": 4, "model": 2}`` from ``data=4,model=2``; an axis that is left out has one device.

    Raises:
        InputError: anything else.
    """
    sizes = dict.fromkeys(AXES, 1)
    seen = set()
    for part in text.split(","):
        axis, _, size = (piece.strip() for piece in part.partition("="))
        if axis not in sizes or axis in seen or not size.isdecimal() or int(size) < 1:
            raise InputError(
                f"the mesh {text!r}", "data=N,model=M with whole numbers of at least 1", "For example data=4,model=2"
            )
        seen.add(axis)
        sizes[axis] = int(size)
    return sizes


def make_mesh(sizes: dict[str, int], devices: list[Any] | None = None) -> Mesh:
    """A mesh over the first devices of all processes.

    Raises:
        InputError: more devices than there are; or fewer than all in a run of several processes, each of which must
            have its part.
    """
    there = jax.devices() if devices is None else devices
    count = math.prod(sizes.values())
    shape = ",".join(f"{axis}={size}" for axis, size in sizes.items())
    if count > len(there) or (jax.process_count() > 1 and count != len(there)):
        raise InputError(
            f"the mesh {shape}, which has {count} devices",
            f"{'all of' if jax.process_count() > 1 else 'at most'} the {len(there)} {there[0].platform} devices here",
            "Change --mesh so that data times model is their number",
        )
    return jax.make_mesh(
        tuple(sizes[axis] for axis in AXES), AXES, devices=there[:count], axis_types=(AxisType.Auto,) * len(AXES)
    )


def described_mesh(mesh: Mesh, config: ModelConfig) -> dict[str, Any]:
    """For the record of a run: axes, devices, processes, and what every device holds whole for want of a divisor."""
    return {
        "axes": dict(mesh.shape),
        "devices": f"{mesh.size} {mesh.devices.flat[0].device_kind}",
        "processes": jax.process_count(),
        "held_whole": held_whole(config, mesh.shape[MODEL]),
    }


def mesh_of(tree: Any) -> Mesh | None:
    """The mesh that an array, or the first array of a tree, is laid out on; ``None`` inside a trace."""
    leaf = next(iter(jax.tree.leaves(tree)), None)
    if not isinstance(leaf, jax.Array) or isinstance(leaf, jax.core.Tracer):
        return None
    mesh = leaf.sharding.mesh if isinstance(leaf.sharding, NamedSharding) else None
    return mesh if isinstance(mesh, Mesh) and mesh.size > 1 else None


def data_devices_of(model: Any) -> int:
    """How many devices the ``data`` axis of the model's mesh has; 1 without a mesh."""
    mesh = mesh_of(model)
    return 1 if mesh is None else mesh.shape.get(DATA, 1)


def jit_on_mesh(function: Callable, **options: Any) -> Callable:
    """``jax.jit`` of a function of a model (its first argument), run on the mesh of that model.

    Every array it returns is whole on every device. ``options`` are those of ``jax.jit``.
    """

    @functools.wraps(function)
    def gathered(*args: Any, **kwargs: Any) -> Any:
        return jax.tree.map(whole_everywhere, function(*args, **kwargs))

    compiled = jax.jit(gathered, **options)

    @functools.wraps(function)
    def run(model: Any, *args: Any, **kwargs: Any) -> Any:
        mesh = mesh_of(model)
        if mesh is None:
            return compiled(model, *args, **kwargs)
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return compiled(model, *args, **kwargs)

    run.lower = compiled.lower  # type: ignore[attr-defined]
    run._cache_size = compiled._cache_size  # type: ignore[attr-defined]
    return run


def data_devices() -> int:
    """How many devices the ``data`` axis of the mesh has under which this is traced; 1 without a mesh."""
    return jax.sharding.get_abstract_mesh().shape[DATA] if _on_ours() else 1


def _on_ours() -> bool:
    """Whether this is traced for a mesh of our axes; what a caller does on a mesh of his own is left alone."""
    return jax.sharding.get_abstract_mesh().axis_names == AXES


def over_data(tree: Any, axis: int = 0) -> Any:
    """Deal the arrays of ``tree`` out over the ``data`` axis along ``axis``, where that divides evenly."""
    count = data_devices()
    if count == 1:
        return tree

    def constrained(x: jax.Array) -> jax.Array:
        if x.shape[axis] % count:
            return x
        return jax.lax.with_sharding_constraint(x, PartitionSpec(*[None] * axis, DATA))

    return jax.tree.map(constrained, tree)


def whole_everywhere(x: jax.Array) -> jax.Array:
    """The array on every device of the mesh under which this is traced."""
    if not _on_ours() or not isinstance(x, jax.Array):
        return x
    if jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec())


def vmap_over_data(function: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
    """``jax.vmap`` over sequences that are dealt out over the ``data`` axis.

    When their number does not divide evenly, each is read by all devices instead, which then share out its states
    (``over_data`` inside ``function``).
    """

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        axes = (in_axes,) * len(args) if isinstance(in_axes, int) else in_axes
        sizes = {jax.tree.leaves(arg)[0].shape[axis] for arg, axis in zip(args, axes, strict=True) if axis is not None}
        if data_devices() == 1 or any(size % data_devices() for size in sizes):
            return jax.vmap(function, in_axes, out_axes)(*args)
        args = tuple(arg if axis is None else over_data(arg, axis) for arg, axis in zip(args, axes, strict=True))
        with jax.sharding.use_abstract_mesh(_NO_MESH):
            return jax.vmap(function, in_axes, out_axes)(*args)

    return run


def on_host(x: Any) -> np.ndarray:
    """The whole of an array, in the memory of every process; each must ask for it."""
    if isinstance(x, jax.Array) and not (x.is_fully_addressable or x.is_fully_replicated):
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(x, tiled=True))
    return np.asarray(x)


def from_every_process(x: Any, mesh: Mesh | None, spec: PartitionSpec = PartitionSpec()) -> jax.Array:  # noqa: B008
    """A host array that every process has, as one array on the mesh."""
    x = np.asarray(x)
    if mesh is None:
        return jax.numpy.asarray(x)
    return jax.make_array_from_callback(x.shape, NamedSharding(mesh, spec), lambda index: x[index])
