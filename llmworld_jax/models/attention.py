r"""Causal attention in query blocks, and cascade attention of tree nodes on a shared prefix.

Both divide by the softmax sum after the product with the values, and both work head-major: keys and values are
``[kv_head, position, head_dim]`` and the queries that share a key/value head are rows of one matrix product.
Everything is plain ``jax.numpy``, so it differentiates and vmaps.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from .config import ModelConfig
from .layers import Precision, soft_cap

QUERY_BLOCK = 128
KEY_BUCKET = 256


class Sight(NamedTuple):
    """What limits attention besides causality.

    Attributes:
        window: a query sees so many positions back, itself among them; a traced number where blocks differ.
        softcap: scores are ``c tanh(score / c)``.
    """

    window: int | Array | None = None
    softcap: float | None = None


EVERYTHING = Sight()


def sight_of(config: ModelConfig, layer: ArrayLike) -> Sight:
    """The limits of one block; its number may be traced, and the window is then traced where blocks differ."""
    windows = config.windows
    if windows is None:
        return Sight(None, config.attention_softcap)
    if len(set(windows)) == 1:
        return Sight(windows[0], config.attention_softcap)
    far = jnp.iinfo(jnp.int32).max
    table = jnp.asarray([far if window is None else window for window in windows], jnp.int32)
    return Sight(table[layer], config.attention_softcap)


def _group_rows(q: Float[Array, "rows head head_dim"], num_kv_heads: int) -> Float[Array, "kv_head m head_dim"]:
    """Rows of one key/value head together: ``m = group * rows``, group-major."""
    rows, heads, head_dim = q.shape
    grouped = q.reshape(rows, num_kv_heads, heads // num_kv_heads, head_dim)
    return grouped.transpose(1, 2, 0, 3).reshape(num_kv_heads, -1, head_dim)


def _ungroup_rows(x: Float[Array, "kv_head m head_dim"], rows: int) -> Float[Array, "rows width"]:
    kv_heads, _, head_dim = x.shape
    return x.reshape(kv_heads, -1, rows, head_dim).transpose(2, 0, 1, 3).reshape(rows, -1)


def _scores(q: Array, k: Array, softcap: float | None, precision: Precision) -> Array:
    wide = jnp.promote_types(q.dtype, jnp.float32)
    scores = jnp.einsum("kmh,knh->kmn", q, k, precision=precision, preferred_element_type=wide)
    return soft_cap(scores, softcap)


def _weighted(p: Array, v: Array, precision: Precision) -> Array:
    wide = jnp.promote_types(v.dtype, jnp.float32)
    return jnp.einsum("kmn,knh->kmh", p.astype(v.dtype), v, precision=precision, preferred_element_type=wide)


def causal_attention(
    q: Float[Array, "rows head head_dim"],
    k: Float[Array, "kv_head keys head_dim"],
    v: Float[Array, "kv_head keys head_dim"],
    precision: Precision,
    *,
    block: int = QUERY_BLOCK,
    sight: Sight = EVERYTHING,
) -> Float[Array, "rows width"]:
    """Softmax attention of the *last* ``rows`` of ``keys`` positions on everything up to themselves.

    Query blocks read only the keys before their own end, so nothing above the diagonal block is computed, nor what
    lies before a window known in advance. ``q`` must already be scaled, by ``head_dim ** -0.5`` as a rule.
    """
    rows, past = q.shape[0], k.shape[1] - q.shape[0]
    out = [_causal_block(q[a : a + block], k, v, past + a, sight, precision) for a in range(0, rows, block)]
    return jnp.concatenate(out, axis=0) if len(out) > 1 else out[0]


def _causal_block(q: Array, k: Array, v: Array, first: int, sight: Sight, precision: Precision) -> Array:
    rows, end = q.shape[0], first + q.shape[0]
    start = max(0, first - sight.window + 1) if isinstance(sight.window, int) else 0
    grouped = _group_rows(q, k.shape[0])
    scores = _scores(grouped, k[:, start:end], sight.softcap, precision)
    row = jnp.tile(jnp.arange(first, end, dtype=jnp.int32), grouped.shape[1] // rows)
    seen = _seen(row, jnp.arange(start, end, dtype=jnp.int32), sight.window)
    scores = jnp.where(seen[None], scores, -jnp.inf)
    p = jnp.exp(scores - jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True)))
    o = _weighted(p, v[:, start:end], precision) / jnp.sum(p, axis=-1, keepdims=True)
    return _ungroup_rows(o.astype(q.dtype), rows)


def _seen(row: Int[Array, " m"], key: Int[Array, " n"], window: int | Array | None) -> Bool[Array, "m n"]:
    """Causality, and the window: position ``i`` sees ``i - window + 1 .. i``."""
    back = row[:, None] - key[None, :]
    return back >= 0 if window is None else (back >= 0) & (back < window)


def attention_pattern(
    q: Float[Array, "rows head head_dim"],
    k: Float[Array, "kv_head keys head_dim"],
    precision: Precision,
    *,
    sight: Sight = EVERYTHING,
) -> Float[Array, "head rows keys"]:
    """The weights that ``causal_attention`` averages with; the whole square, so to be reduced at once."""
    rows, heads, keys = q.shape[0], q.shape[1], k.shape[1]
    scores = _scores(_group_rows(q, k.shape[0]), k, sight.softcap, precision).reshape(heads, rows, keys)
    seen = _seen(jnp.arange(keys - rows, keys, dtype=jnp.int32), jnp.arange(keys, dtype=jnp.int32), sight.window)
    return jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)


def cascade_attention(
    q: Float[Array, "rows head head_dim"],
    prefix_k: Float[Array, "kv_head keys head_dim"],
    prefix_v: Float[Array, "kv_head keys head_dim"],
    visible: Int[Array, " rows"],
    branch_k: Float[Array, "rows slot kv_head head_dim"],
    branch_v: Float[Array, "rows slot kv_head head_dim"],
    branch_seen: Bool[Array, "rows slot"],
    extent: Int[Array, ""],
    precision: Precision,
    *,
    sight: Sight = EVERYTHING,
) -> Float[Array, "rows width"]:
    """One softmax over two sets of keys: a prefix shared by all rows, and each row's own ancestors.

    Row ``i`` sees prefix keys ``0 .. visible[i]-1`` and its ``slot`` keys where ``branch_seen``, in the order of the
    branch and itself last; of these as many as the window of ``sight`` reaches back.
    ``extent`` (at least ``max(visible)``) chooses how much of the prefix is read at all, in steps of
    ``KEY_BUCKET`` keys; as long as it is not batched, ``jax.lax.switch`` computes one branch only.
    ``q`` must already be scaled.
    """
    rows, kv_heads, keys = q.shape[0], prefix_k.shape[0], prefix_k.shape[1]
    grouped = _group_rows(q, kv_heads)
    group = grouped.shape[1] // rows
    own = jnp.einsum(
        "kgrh,rskh->kgrs",
        grouped.reshape(kv_heads, group, rows, -1),
        branch_k,
        precision=precision,
        preferred_element_type=jnp.promote_types(q.dtype, jnp.float32),
    )
    own_seen, first = branch_seen, jnp.zeros_like(visible)
    if sight.window is not None:
        after = jnp.cumsum(branch_seen[:, ::-1], axis=1)[:, ::-1]  # seen slots from here to the row itself
        own_seen = branch_seen & (after <= sight.window)
        first = visible + after[:, 0] - sight.window
    own = soft_cap(own, sight.softcap)
    own = jnp.where(own_seen[None, None], own, -jnp.inf).reshape(kv_heads, group * rows, -1)
    bounds = jnp.tile(first, group), jnp.tile(visible, group)
    lengths = [*range(KEY_BUCKET, keys, KEY_BUCKET), keys]
    bucket = jnp.searchsorted(jnp.asarray(lengths, jnp.int32), extent.astype(jnp.int32))
    part = functools.partial(_prefix_and_own, softcap=sight.softcap, precision=precision)
    branches = [functools.partial(part, length=n) for n in lengths]
    operands = (grouped, prefix_k, prefix_v, bounds, own)
    o, p_own, total = jax.lax.switch(bucket, branches, *operands)
    p_own = p_own.reshape(kv_heads, group, rows, -1)
    o_own = jnp.einsum("kgrs,rskh->kgrh", p_own, branch_v.astype(p_own.dtype), precision=precision)
    o = (o + o_own.reshape(o.shape)) / total
    return _ungroup_rows(o.astype(q.dtype), rows)


def _prefix_and_own(
    q: Array,
    k: Array,
    v: Array,
    bounds: tuple[Array, Array],
    own: Array,
    *,
    length: int,
    softcap: float | None,
    precision: Precision,
) -> tuple[Array, Array, Array]:
    """Unnormalised prefix output, unnormalised weights of the row's own keys, and the softmax sum."""
    scores = _scores(q, k[:, :length], softcap, precision)
    key = jnp.arange(length, dtype=jnp.int32)[None, :]
    seen = (bounds[0][:, None] <= key) & (key < bounds[1][:, None])
    scores = jnp.where(seen[None], scores, -jnp.inf)
    top = jnp.maximum(jnp.max(scores, axis=-1, keepdims=True), jnp.max(own, axis=-1, keepdims=True))
    top = jax.lax.stop_gradient(top)
    p, p_own = jnp.exp(scores - top), jnp.exp(own - top)
    total = jnp.sum(p, axis=-1, keepdims=True) + jnp.sum(p_own, axis=-1, keepdims=True)
    return _weighted(p, v[:, :length], precision), p_own, total
