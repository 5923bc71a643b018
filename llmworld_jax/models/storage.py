r"""How the matrices of the blocks are kept, and products with them however they are kept.

Three ways besides plain arrays of floats, all of them leaves that ``jax.lax.scan``, ``vmap`` and ``tree.map`` slice:

* *packed*: the bits of bfloat16 as uint16. On CPUs, jax 0.10 widens a whole stack of bfloat16 weights to float32
  before the loop over layers, which triples its memory and loses the speed; bits it leaves alone. Elsewhere, and
  with jax 0.12, it has no use.
* ``Int8``: eight-bit integers with a scale per output channel, half the memory of bfloat16, at a rounding error.

The products take any of them (``dense``). Neither kind of integers has gradients with respect to weights: ``thaw``
gives floats back. Embedding, read-out and norms always stay floats.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from ..errors import InputError
from .llama import Llama

INT8 = "int8"
"""What a user asks for to have the matrices as ``Int8`` and the rest in bfloat16."""

MATRICES = ("q", "k", "v", "o", "gate", "up", "down")
"""The attributes of a ``Block`` that can be kept otherwise than as floats."""

OPENING = frozenset({"bitcast_convert_type", "convert_element_type"})
"""Primitives that open a weight: a checkpoint policy that saves them saves a copy of the weights as floats."""

Precision = jax.lax.Precision | str | None


class Int8(nnx.Module):
    """A matrix ``values * scale``, or a stack of them.

    Attributes:
        values: int8 ``[..., d_in, d_out]``, from -127 to 127.
        scale: float32 ``[..., d_out]``.
    """

    def __init__(self, values: Array, scale: Array) -> None:
        self.values = nnx.Param(values)
        self.scale = nnx.Param(scale)


Weight = Int8 | nnx.Param | jax.Array


def opened(weight: Weight, dtype: DTypeLike | None = None) -> Array:
    """The weight as floats, in ``dtype``: by default its own, float32 for ``Int8``."""
    if isinstance(weight, Int8):
        plain = weight.values[...].astype(jnp.float32) * weight.scale[...][..., None, :]
    else:
        array = _array(weight)
        plain = jax.lax.bitcast_convert_type(array, jnp.bfloat16) if _is_packed(array) else array
    return plain if dtype is None else plain.astype(dtype)


def dense(
    x: Float[Array, "*rows d_in"], weight: Weight, precision: Precision = "highest"
) -> Float[Array, "*rows d_out"]:
    """``x`` times a matrix, accumulated in at least float32, returned in the dtype of ``x``.

    The backward pass keeps the weight as it is stored and opens it again: what is opened inside a loop over layers
    would otherwise be kept for all of them.
    """
    if isinstance(weight, Int8):
        return _int8_product(x, weight.values[...], weight.scale[...], precision)
    array = _array(weight)
    if _is_packed(array):
        return _packed_product(x, array, precision)
    return _wide_product(x, array, precision).astype(x.dtype)


def as_bits(array: Array) -> nnx.Param:
    """A bfloat16 matrix, or a stack of them, packed; for a loader that converts each parameter as it comes."""
    return nnx.Param(_bits(array))


def as_int8(array: Array) -> Int8:
    """A matrix, or a stack of them, with each output channel rounded in 127ths of its largest entry."""
    return Int8(*_rounded(array))


def pack(model: Llama, *, donate: bool = False) -> Llama:
    """A bfloat16 model whose blocks' matrices are kept as bits, exactly; worth it on CPUs with jax 0.10 only.

    Args:
        donate: delete each matrix of ``model`` once its successor is made, so that memory peaks at one stacked
            matrix above the model. The arrays of ``model`` are then gone, even if another model holds them too.

    Raises:
        InputError: the matrices are of another dtype.
    """

    def packed(weight: Weight) -> Weight:
        if isinstance(weight, Int8) or _array(weight).dtype not in (jnp.bfloat16, jnp.uint16):
            raise InputError(f"a model in {storage_of(model)}", "one in bfloat16", "Load it in bfloat16 to pack it")
        return weight if _is_packed(_array(weight)) else as_bits(_array(weight))

    return _converted(model, packed, donate)


def quantise(model: Llama, *, donate: bool = False) -> Llama:
    """The blocks' matrices as ``Int8``: the nearest of 255 values, in steps of each output channel's own.

    Symmetric "absmax" rounding, as in Dettmers et al. (2208.07339), of weights only: activations stay floats.
    ``donate`` as in ``pack``.
    """

    def rounded(weight: Weight) -> Weight:
        return weight if isinstance(weight, Int8) else as_int8(_array(weight))

    return _converted(model, rounded, donate)


def thaw(model: Llama, dtype: DTypeLike | None = None, *, donate: bool = False) -> Llama:
    """A model whose matrices are plain floats, which have gradients.

    Args:
        dtype: of those that were packed or ``Int8``: by default that of the embedding.
        donate: as in ``pack``.
    """
    to = jnp.dtype(_array(model.embed).dtype if dtype is None else dtype)

    def plain(weight: Weight) -> Weight:
        kept = not isinstance(weight, Int8) and not _is_packed(_array(weight))
        return weight if kept else nnx.Param(_opened(weight, to))

    return _converted(model, plain, donate)


def storage_of(model: Llama) -> str:
    """``"float32"``, ``"bfloat16"``, ``"bfloat16 (packed)"``, ``"int8 + bfloat16"`` and the like."""
    weight, rest = model.layers.q, jnp.dtype(_array(model.embed).dtype).name
    if isinstance(weight, Int8):
        return f"int8 + {rest}"
    array = _array(weight)
    return "bfloat16 (packed)" if _is_packed(array) else jnp.dtype(array.dtype).name


def _converted(model: Llama, convert: Callable[[Weight], Weight], donate: bool) -> Llama:
    """A copy of the tree (not of its arrays) with every matrix of the blocks converted, one after the other."""
    copy = jax.tree.map(lambda x: x, model)
    for name in MATRICES:
        old = getattr(copy.layers, name)
        new = convert(old)
        setattr(copy.layers, name, new)
        if donate and new is not old:
            jax.block_until_ready(new)
            for array in jax.tree.leaves(old):
                if not isinstance(array, jax.core.Tracer):
                    array.delete()
    return copy


def _array(weight: nnx.Param | Array) -> Any:
    """What a parameter holds: an array, or its shape and dtype under ``eval_shape``."""
    return weight.get_value() if isinstance(weight, nnx.Variable) else weight


def _is_packed(array: Any) -> bool:
    return array.dtype == jnp.uint16


def _wide_product(x: Array, w: Array, precision: Precision) -> Array:
    wide = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.matmul(x, w, precision=precision, preferred_element_type=wide)


@functools.partial(jax.checkpoint, prevent_cse=False, static_argnums=2)
def _packed_product(x: Array, bits: Array, precision: Precision) -> Array:
    return _wide_product(x, jax.lax.bitcast_convert_type(bits, jnp.bfloat16), precision).astype(x.dtype)


@functools.partial(jax.checkpoint, prevent_cse=False, static_argnums=3)
def _int8_product(x: Array, values: Array, scale: Array, precision: Precision) -> Array:
    return (_wide_product(x, values.astype(x.dtype), precision) * scale).astype(x.dtype)


# Compiled, so that no float32 copy of a stack is ever made, and arrays of several processes can be converted.
_opened = jax.jit(opened, static_argnums=1)


@jax.jit
def _bits(array: Array) -> Array:
    return jax.lax.bitcast_convert_type(array, jnp.uint16)


@jax.jit
def _rounded(array: Array) -> tuple[Array, Array]:
    """int8 values and float32 scales; an infinite or undefined entry makes its column undefined, not an integer."""
    w = opened(array)
    top = jnp.max(jnp.abs(w), axis=-2).astype(jnp.float32)
    scale = jnp.maximum(top / 127, jnp.finfo(jnp.float32).tiny)  # a column of zeros stays one
    # Read twice behind a barrier: shared between the maximum and the quotient, the widened stack would be kept.
    w, scale = jax.lax.optimization_barrier((w, scale))
    steps = jnp.round(w.astype(jnp.float32) / scale[..., None, :])
    return jnp.clip(steps, -127, 127).astype(jnp.int8), scale
