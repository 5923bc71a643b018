r"""What a run will need, before any weight is read: parameters, bytes, floating-point operations.

A forward pass costs about :math:`2N` operations per token for :math:`N` parameters (Kaplan et al.,
2001.08361). The law of a number of :math:`P` digits in base :math:`B` reads :math:`\sum_{p=1}^{P-1} B^p` tree
nodes besides the series itself.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..errors import InputError
from .checkpoint import tensor_shapes
from .config import ModelConfig, RopeScaling
from .llama import Llama


class Plan(NamedTuple):
    """Memory in bytes; ``flops`` in total.

    Attributes:
        parameters: number of them.
        weight_bytes: of the parameters on each device.
        cache_bytes: keys and values of ``context`` tokens.
        tree_nodes: tokens read besides the series.
        flops: of one pass over the series and the tree.
        temporary_bytes: what the compiled forward pass allocates besides weights and results, on this
            backend; ``None`` if it was not compiled.
    """

    parameters: int
    weight_bytes: int
    cache_bytes: int
    tree_nodes: int
    flops: int
    temporary_bytes: int | None


def plan(
    config: ModelConfig,
    *,
    context: int,
    states: int = 0,
    precision: int = 1,
    base: int = 10,
    dtype: Any = jnp.float32,
    num_devices: int = 1,
    run: Callable[[Llama, jax.Array], Any] | None = None,
) -> Plan:
    """Requirements of reading ``context`` tokens and the laws at ``states`` positions.

    Args:
        context: tokens of the series.
        states: positions whose law is read.
        precision: digits of a number, each a token of its own; ``base`` values each.
        num_devices: parameters are divided over them, rounded up.
        run: compiled (not run) as ``run(model, tokens)`` for ``temporary_bytes``; ``forward_only`` is one.

    Raises:
        InputError: a count below its least value, or a context longer than the model was made for.
    """
    least = {"context": (context, 1), "states": (states, 0), "precision": (precision, 1), "base": (base, 2)}
    least["num_devices"] = (num_devices, 1)
    if wrong := [f"{name} = {value}" for name, (value, low) in least.items() if value < low]:
        raise InputError("; ".join(wrong), "positive counts", "Correct them")
    if context > config.max_positions:
        raise InputError(
            f"{context} tokens of context",
            f"at most the model's {config.max_positions}",
            "Shorten the series",
        )
    itemsize = jnp.dtype(dtype).itemsize
    parameters = sum(math.prod(shape) for shape in tensor_shapes(config).values())
    per_token = 2 * config.num_layers * config.num_kv_heads * config.head_dim
    nodes = states * sum(base**p for p in range(1, precision))
    return Plan(
        parameters=parameters,
        weight_bytes=-(-parameters * itemsize // num_devices),
        cache_bytes=per_token * context * itemsize,
        tree_nodes=nodes,
        flops=2 * parameters * (context + nodes),
        temporary_bytes=None if run is None else _temporary(run, config, context, dtype),
    )


def forward_only(model: Llama, tokens: jax.Array) -> Any:
    """The plain forward pass, for ``plan(..., run=forward_only)``."""
    from .forward import forward

    return forward(model, tokens)


def _temporary(run: Callable[[Llama, jax.Array], Any], config: ModelConfig, context: int, dtype: Any) -> int | None:
    """From XLA's own accounting of the compiled program; no weight is allocated."""
    model = jax.eval_shape(lambda: Llama(config, key=jax.random.key(0), dtype=jnp.dtype(dtype)))
    tokens = jax.ShapeDtypeStruct((context,), jnp.int32)
    analysis = jax.jit(run).lower(model, tokens).compile().memory_analysis()
    return None if analysis is None else int(analysis.temp_size_in_bytes)


def _llama(
    shape: tuple[int, ...], *, vocab: int, theta: float, positions: int, tied: bool,
    scaled: float | None = None, bos: int = 1, eos: int = 2,
) -> ModelConfig:  # fmt: skip
    layers, width, heads, kv_heads, head_dim, mlp = shape
    return ModelConfig(
        family="llama",
        vocab_size=vocab,
        d_model=width,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        d_mlp=mlp,
        norm_eps=1e-5,
        rope_theta=theta,
        rope_scaling=None if scaled is None else RopeScaling(scaled, 1.0, 4.0, 8192),
        tied=tied,
        max_positions=positions,
        bos_token=bos,
        eos_token=eos,
    )


def _llama2(*shape: int) -> ModelConfig:
    return _llama(shape, vocab=32000, theta=1e4, positions=4096, tied=False)


def _llama3(*shape: int, scaled: float, tied: bool) -> ModelConfig:
    return _llama(shape, vocab=128256, theta=5e5, positions=131072, tied=tied, scaled=scaled, bos=128000, eos=128001)


def _smollm2(*shape: int, theta: float, bos: int = 0, eos: int = 0) -> ModelConfig:
    return _llama(shape, vocab=49152, theta=theta, positions=8192, tied=True, bos=bos, eos=eos)


PUBLIC_CONFIGS: dict[str, ModelConfig] = {
    # layers, width, heads, key/value heads, head width, mlp width
    "smollm2-135m-instruct": _smollm2(30, 576, 9, 3, 64, 1536, theta=1e5, bos=1, eos=2),
    "smollm2-135m": _smollm2(30, 576, 9, 3, 64, 1536, theta=1e5),
    "smollm2-360m": _smollm2(32, 960, 15, 5, 64, 2560, theta=1e5),
    "smollm2-1.7b": _smollm2(24, 2048, 32, 32, 64, 8192, theta=1.3e5),
    "llama-2-7b": _llama2(32, 4096, 32, 32, 128, 11008),
    "llama-2-13b": _llama2(40, 5120, 40, 40, 128, 13824),
    "llama-2-70b": _llama2(80, 8192, 64, 8, 128, 28672),
    "llama-3.1-8b": _llama3(32, 4096, 32, 8, 128, 14336, scaled=8.0, tied=False),
    "llama-3.1-70b": _llama3(80, 8192, 64, 8, 128, 28672, scaled=8.0, tied=False),
    "llama-3.2-1b": _llama3(16, 2048, 32, 8, 64, 8192, scaled=32.0, tied=True),
    "llama-3.2-3b": _llama3(28, 3072, 24, 8, 128, 8192, scaled=32.0, tied=True),
}
"""Published hyperparameters, for planning without the files."""
