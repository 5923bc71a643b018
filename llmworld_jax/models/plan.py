r"""What a run will need, before any weight is read: parameters, bytes on each device, floating-point operations.

A forward pass costs about :math:`2N` operations per token for :math:`N` parameters (Kaplan et al.,
2001.08361). The law of a number of :math:`P` digits in base :math:`B` reads :math:`\sum_{p=1}^{P-1} B^p` tree
nodes besides the series itself.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..errors import InputError
from .checkpoint import tensor_shapes
from .config import ModelConfig
from .llama import Llama
from .sharding import DATA, MODEL, named_leaves, partition_spec, path_name
from .storage import INT8, pack, quantise


class Plan(NamedTuple):
    """Memory in bytes; ``flops`` in total.

    Attributes:
        parameters: number of them.
        weight_bytes: of the parameters on each device.
        cache_bytes: keys and values of ``context`` tokens on each device.
        tree_nodes: tokens read besides the series.
        flops: of one pass over the series and the tree.
        temporary_bytes: what the compiled pass allocates on each device besides weights and results, by the
            compiler's own figure on this backend; ``None`` if it was not compiled.
    """

    parameters: int
    weight_bytes: int
    cache_bytes: int
    tree_nodes: int
    flops: int
    temporary_bytes: int | None


ALONE: Mapping[str, int] = {DATA: 1, MODEL: 1}


def plan(
    config: ModelConfig,
    *,
    context: int,
    states: int = 0,
    precision: int = 1,
    base: int = 10,
    dtype: Any = jnp.float32,
    axes: Mapping[str, int] = ALONE,
    compiled_on: Mesh | None = None,
) -> Plan:
    """Requirements of reading ``context`` tokens and the laws at ``states`` positions.

    Args:
        context: tokens of the series.
        states: positions whose law is read.
        precision: digits of a number, each a token of its own; ``base`` values each.
        dtype: of weights and activations; or ``"int8"``, as ``catalogue.load`` takes it.
        axes: devices along ``data`` and ``model``; parameters lie on them as ``sharding.RULES`` say.
        compiled_on: a mesh of these axes, of any devices, to compile a pass for and ask what it allocates.

    Raises:
        InputError: a count below its least value, or a context longer than the model was made for.
    """
    least = {"context": (context, 1), "states": (states, 0), "precision": (precision, 1), "base": (base, 2)}
    least |= {axis: (axes[axis], 1) for axis in ALONE}
    if wrong := [f"{name} = {value}" for name, (value, low) in least.items() if value < low]:
        raise InputError("; ".join(wrong), "positive counts", "Correct them")
    if context > config.max_positions:
        raise InputError(
            f"{context} tokens of context",
            f"at most the model's {config.max_positions}",
            "Shorten the series",
        )
    itemsize, devices = jnp.dtype(jnp.bfloat16 if dtype == INT8 else dtype).itemsize, axes[MODEL]
    parameters = parameter_count(config)
    shared = 1 if config.num_kv_heads % devices else devices
    per_token = 2 * config.num_layers * config.num_kv_heads * config.head_dim // shared
    nodes = states * sum(base**p for p in range(1, precision))
    return Plan(
        parameters=parameters,
        weight_bytes=weight_bytes(config, dtype, devices),
        cache_bytes=per_token * context * itemsize,
        tree_nodes=nodes,
        flops=2 * parameters * (context + nodes),
        temporary_bytes=None if compiled_on is None else _temporary(config, context, dtype, compiled_on),
    )


def parameter_count(config: ModelConfig) -> int:
    """How many numbers a model of this config is made of."""
    return sum(math.prod(shape) for shape in tensor_shapes(config).values())


def weight_bytes(config: ModelConfig, dtype: Any, devices: int) -> int:
    """Bytes of the parameters that each of ``devices`` on the model axis holds."""
    return sum(
        leaf.size * leaf.dtype.itemsize // (devices if MODEL in partition_spec(path, config, devices) else 1)
        for path, leaf in named_leaves(_shapes(config, dtype, packed=False)).items()
    )


def abstract_model(config: ModelConfig, dtype: Any, mesh: Mesh) -> Llama:
    """A model of shapes that lie on ``mesh`` as real weights would: programs compile for it, nothing is allocated.

    On a CPU bfloat16 is kept as bits, which no version of jax widens as a whole.
    """

    def laid_out(path: tuple, leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        spec = partition_spec(path_name(path), config, mesh.shape[MODEL])
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=NamedSharding(mesh, spec))

    shapes = _shapes(config, dtype, packed=mesh.devices.flat[0].platform == "cpu")
    return jax.tree_util.tree_map_with_path(laid_out, shapes)


def _shapes(config: ModelConfig, dtype: Any, *, packed: bool) -> Llama:
    floats = jnp.dtype(jnp.bfloat16 if dtype == INT8 else dtype)

    def make() -> Llama:
        model = Llama(config, key=jax.random.key(0), dtype=floats)
        if dtype == INT8:
            return quantise(model)
        return pack(model) if packed and floats == jnp.bfloat16 else model

    return jax.eval_shape(make)


def compiled_pass(config: ModelConfig, context: int, dtype: Any, mesh: Mesh) -> Any:
    """The plain forward pass over one sequence for each device of the data axis, compiled for ``mesh``."""
    from .forward import forward

    def run(model: Llama, tokens: jax.Array) -> Any:
        return jax.vmap(lambda row: forward(model, row)[:2])(tokens)

    rows = NamedSharding(mesh, PartitionSpec(DATA))
    tokens = jax.ShapeDtypeStruct((mesh.shape[DATA], context), jnp.int32, sharding=rows)
    run_typed: Callable = jax.jit(run)
    return run_typed.lower(abstract_model(config, dtype, mesh), tokens).compile()  # type: ignore[attr-defined]


def _temporary(config: ModelConfig, context: int, dtype: Any, mesh: Mesh) -> int | None:
    analysis = compiled_pass(config, context, dtype, mesh).memory_analysis()
    return None if analysis is None else int(analysis.temp_size_in_bytes)
