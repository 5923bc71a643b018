r"""Causal attention by the libraries' fused kernels, behind one seam; ``attention.causal_attention`` is the reference.

Only the forward pass is theirs. Gradients are those of the reference, recomputed: the residuals that the libraries
return have wrong gradients (``jax.nn`` stops them, cuDNN drops their cotangent). So reverse mode works, nested too;
forward mode (``jvp``, ``jacfwd``, ``linearize``) raises JAX's TypeError about ``custom_vjp``.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import InputError
from .storage import Precision

TILE = 128  # lanes of a TPU's vector registers: splash attention's lengths are multiples of it
WIDE_TILES = (512, 256)  # faster on long sequences, as long as padding to them costs little


class Options(NamedTuple):
    """What is fixed when a call is compiled."""

    precision: Precision
    window: int | None  # shorter than the keys, or None
    softcap: float | None
    interpret: bool


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A library's attention, adapted (arrays laid out as for ``causal_attention``), and the calls that it serves."""

    attend: Callable[[Array, Array, Array, Options], Array]
    platforms: tuple[str, ...]  # as ``jax.default_backend()`` names them; empty: every one
    dtypes: tuple[str, ...]
    softcap: bool
    head_dim_step: int = 1
    head_dim_most: int | None = None


def default_kernel(platform: str, dtype: Any) -> str:
    """Name of the attention to use where nobody chose: a fused kernel where one takes ``dtype``.

    Args:
        platform: as ``jax.default_backend()`` names it.
        dtype: of queries, keys and values.
    """
    fused = {"gpu": "cudnn", "cuda": "cudnn", "tpu": "splash"}.get(platform)
    return fused if fused is not None and jnp.dtype(dtype).name in KERNELS[fused].dtypes else "reference"


def unsupported(
    name: str,
    *,
    rows: int,
    keys: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    dtype: Any,
    window: int | Array | None = None,
    softcap: float | None = None,
    platform: str | None,
) -> str | None:
    """Why the kernel cannot serve a call; None if it can. What a device's generation may lack is not known here.

    Args:
        platform: as ``jax.default_backend()`` names it; None: not asked.

    Raises:
        InputError: there is no such kernel.
    """
    if name not in KERNELS:
        known = ", ".join(["reference", *KERNELS])
        raise InputError(f"the attention kernel {name!r}", f"one of {known}", "Choose one of these")
    kernel = KERNELS[name]
    step, most, kind = kernel.head_dim_step, kernel.head_dim_most, jnp.dtype(dtype).name
    if platform is not None and kernel.platforms and platform not in kernel.platforms:
        return f"it runs on {kernel.platforms[0]}, not on {platform}"
    if kind not in kernel.dtypes:
        return f"it takes {' or '.join(kernel.dtypes)}, not {kind}"
    if head_dim % step or (most is not None and head_dim > most):
        return f"it takes head dimensions that are multiples of {step} up to {most}, not {head_dim}"
    if softcap is not None and not kernel.softcap:
        return "it has no soft cap"
    if window is not None and not isinstance(window, int):
        return "it takes a window known at compile time, not a traced one"
    if window is not None and window < 1:
        return f"a window of {window} leaves nothing to see"
    if not 1 <= rows <= keys:
        return f"{rows} queries cannot be the last of {keys} positions"
    return f"{heads} query heads cannot share {kv_heads} key heads evenly" if heads % kv_heads else None


def fused_attention(
    name: str,
    q: Float[Array, "rows head head_dim"],
    k: Float[Array, "kv_head keys head_dim"],
    v: Float[Array, "kv_head keys head_dim"],
    precision: Precision,
    *,
    window: int | Array | None = None,
    softcap: float | None = None,
    interpret: bool = False,
) -> Float[Array, "rows width"]:
    """``causal_attention`` with the kernel's forward pass and the reference's gradient.

    Args:
        precision: of products of float32; those of half precision are exact, and summed in float32, anyway.
        window: a query sees so many keys, itself included; None: all before it.
        softcap: scores become ``softcap * tanh(score / softcap)``.
        interpret: run a Pallas kernel without its device, slowly; for tests.

    Raises:
        InputError: there is no such kernel, or it cannot serve this call. The platform is not checked (what is
            traced here may be compiled for another): ask ``unsupported``.
    """
    (rows, heads, head_dim), (kv_heads, keys, _) = q.shape, k.shape
    reason = unsupported(
        name, rows=rows, keys=keys, heads=heads, kv_heads=kv_heads, head_dim=head_dim, dtype=q.dtype,
        window=window, softcap=softcap, platform=None,
    )  # fmt: skip
    if reason is not None:
        raise InputError(
            f"a call that the attention kernel {name!r} cannot serve ({reason})",
            "one that it serves",
            "Choose the attention 'reference', which serves every call",
        )
    static = window if isinstance(window, int) and window < keys else None
    return _fused(name, Options(precision, static, softcap, interpret), q, k, v)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _fused(name: str, options: Options, q: Array, k: Array, v: Array) -> Array:
    return KERNELS[name].attend(q, k, v, options)


def _fused_forward(name: str, options: Options, *qkv: Array) -> tuple[Array, tuple[Array, ...]]:
    return _fused(name, options, *qkv), qkv  # not the kernel itself, so that gradients of gradients have the rule too


def _fused_backward(name: str, options: Options, qkv: tuple[Array, ...], cotangent: Array) -> tuple[Array, ...]:
    from .attention import Sight, causal_attention

    sight = Sight(options.window, options.softcap)

    def reference(q: Array, k: Array, v: Array) -> Array:
        return causal_attention(q, k, v, options.precision, sight=sight)

    return jax.vjp(reference, *qkv)[1](cotangent)


_fused.defvjp(_fused_forward, _fused_backward)


def _dot_product(q: Array, k: Array, v: Array, options: Options, *, implementation: Literal["xla", "cudnn"]) -> Array:
    """``jax.nn.dot_product_attention``. It counts queries from the first key, so that later ones need a mask."""
    rows, keys, window = q.shape[0], k.shape[1], options.window

    def attend(q: Array, k: Array, v: Array) -> Array:
        limits: dict[str, Any] = {"is_causal": True, "local_window_size": None if window is None else (window - 1, 0)}
        if rows < keys:
            age = jnp.arange(keys - rows, keys)[:, None] - jnp.arange(keys)[None, :]
            limits = {"mask": ((age >= 0) & (age < (keys if window is None else window)))[None, None]}
        return jax.nn.dot_product_attention(q, k, v, scale=1.0, implementation=implementation, **limits)

    with _products(q.dtype, options.precision):
        return _over_batches(attend, q, k.swapaxes(0, 1), v.swapaxes(0, 1)).reshape(rows, -1)


def _over_batches(attend: Callable[[Array, Array, Array], Array], *operands: Array) -> Array:
    """Let ``vmap`` lengthen the library's own batch axis: cuDNN's rule wants all operands batched, along axis 0.

    ``attend`` may close over no traced array.
    """

    @jax.custom_batching.custom_vmap
    def call(*operands: Array) -> Array:
        return attend(*operands)

    @call.def_vmap
    def _(size: int, batched: Any, *operands: Array) -> tuple[Array, bool]:
        every = [x if b else jnp.broadcast_to(x, (size, *x.shape)) for x, b in zip(operands, batched)]
        out = call(*(x.reshape(-1, *x.shape[2:]) for x in every))
        return out.reshape(size, -1, *out.shape[1:]), True

    return call(*(x[None] for x in operands))[0]


def _splash(q: Array, k: Array, v: Array, options: Options) -> Array:
    """Splash attention, padded to whole tiles at the end: what is added there no query sees, but added ones."""
    from jax.experimental.pallas.ops.tpu import splash_attention as splash

    (rows, heads, _), keys, window = q.shape, k.shape[1], options.window
    tile_q, tile_k = _tile(rows), _tile(keys)
    more_q = -rows % tile_q
    more_k = more_q + -(keys + more_q) % tile_k  # an added query sees itself: no softmax of nothing
    shape, past = (rows + more_q, keys + more_k), keys - rows
    mask = splash.CausalMask(shape, past) if window is None else splash.LocalMask(shape, (window - 1, 0), past)
    attend = splash.make_splash_mha(
        splash.MultiHeadMask([mask] * heads),
        block_sizes=splash.BlockSizes(block_q=tile_q, block_kv=tile_k),
        attn_logits_soft_cap=options.softcap,
        head_shards=1,
        q_seq_shards=1,
        interpret=options.interpret,
    )
    q = jnp.pad(q.swapaxes(0, 1), ((0, 0), (0, more_q), (0, 0)))
    k, v = (jnp.pad(x, ((0, 0), (0, more_k), (0, 0))) for x in (k, v))
    with _products(q.dtype, options.precision), jax.enable_x64(False):  # its index arithmetic is in int32
        return attend(q, k, v)[:, :rows].swapaxes(0, 1).reshape(rows, -1)


def _tile(length: int) -> int:
    return next((tile for tile in WIDE_TILES if -length % tile <= length // 8), TILE)


def _products(dtype: Any, precision: Precision) -> contextlib.AbstractContextManager[Any]:
    """The precision that a library does not let us pass. TPU kernels know two, and refuse the higher to bfloat16."""
    if precision is None and dtype == jnp.float32:
        return contextlib.nullcontext()
    lowest = dtype != jnp.float32 or jax.lax.Precision(precision) == jax.lax.Precision.DEFAULT
    return jax.default_matmul_precision("default" if lowest else "highest")


KERNELS: dict[str, Kernel] = {
    "cudnn": Kernel(
        functools.partial(_dot_product, implementation="cudnn"),
        platforms=("gpu", "cuda"),
        dtypes=("bfloat16", "float16"),
        softcap=False,
        head_dim_step=8,
        head_dim_most=128,
    ),
    "xla": Kernel(
        functools.partial(_dot_product, implementation="xla"),
        platforms=(),
        dtypes=("float32", "bfloat16"),  # float64 it would round, and float16 it has none of on CPU and TPU
        softcap=False,
    ),
    "splash": Kernel(_splash, platforms=("tpu",), dtypes=("float32", "bfloat16"), softcap=True),
}
