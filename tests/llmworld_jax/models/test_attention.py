"""Causal attention in blocks and cascade attention, against a dense softmax."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from llmworld_jax.models.attention import KEY_BUCKET, cascade_attention, causal_attention

PREFIX = 600  # two full buckets and a part
HEAD_DIM = 4


@pytest.fixture(autouse=True)
def double():
    """Identities are checked in float64, where a wrong one cannot pass for rounding."""
    with jax.enable_x64(True):
        yield


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def dense(q, k, v, seen) -> Array:
    """Textbook attention. ``q`` [row, head, d], ``k``, ``v`` [row, key, kv_head, d], ``seen`` [row, key]."""
    xp = jnp if isinstance(q, jax.Array) else np  # jnp where gradients are wanted, numpy to compile nothing
    group = q.shape[1] // k.shape[2]
    heads = []
    for head in range(q.shape[1]):
        scores = xp.where(seen, xp.einsum("rd,rkd->rk", q[:, head], k[:, :, head // group]), -xp.inf)
        weights = xp.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        heads.append(xp.einsum("rk,rkd->rd", weights, v[:, :, head // group]))
    return xp.stack(heads, axis=1).reshape(q.shape[0], -1)


def for_every_row(x, rows: int):
    """``[kv_head, key, d]`` as ``[row, key, kv_head, d]``."""
    return x.swapaxes(0, 1)[None] + 0 * x.sum() * np.ones((rows, 1, 1, 1))


def dense_causal(q, k, v):
    rows, keys = q.shape[0], k.shape[1]
    seen = np.arange(keys)[None] <= np.arange(keys - rows, keys)[:, None]
    return dense(q, for_every_row(k, rows), for_every_row(v, rows), seen)


def causal_case(rows: int, keys: int, heads: int, kv_heads: int) -> tuple:
    shapes = (rows, heads, HEAD_DIM), (kv_heads, keys, HEAD_DIM), (kv_heads, keys, HEAD_DIM)
    return tuple(normal(seed, *shape) * (2 - seed / 2) for seed, shape in enumerate(shapes))


causal = jax.jit(causal_attention, static_argnames=("precision", "block"))

CAUSAL_SHAPES = [  # rows, keys, heads, kv_heads, block
    (1, 1, 1, 1, 8),
    (8, 8, 4, 2, 8),
    (9, 9, 4, 1, 4),
    (17, 30, 6, 3, 5),
    (1, 30, 3, 3, 5),
    (130, 131, 2, 1, 128),
]


@pytest.mark.parametrize(("rows", "keys", "heads", "kv_heads", "block"), CAUSAL_SHAPES)
def test_causal_equals_dense(rows: int, keys: int, heads: int, kv_heads: int, block: int) -> None:
    case = causal_case(rows, keys, heads, kv_heads)
    np.testing.assert_allclose(causal(*case, precision="highest", block=block), dense_causal(*case), atol=1e-12)


def test_causal_gradients_equal_dense() -> None:
    case, weight = causal_case(7, 10, 4, 2), normal(3, 7, 16)

    def gradient(attention):
        return jax.jit(jax.grad(lambda *c: jnp.sum(weight * attention(*c)), (0, 1, 2)))(*case)

    ours = gradient(lambda *c: causal_attention(*c, "highest", block=4))
    for a, b in zip(ours, gradient(dense_causal), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("size", [1e3, 1e-30])
def test_causal_survives_extreme_scores(size: float) -> None:
    q, k, v = causal_case(9, 9, 4, 1)
    ours = causal(size * q, k, v, precision="highest", block=4)
    np.testing.assert_allclose(ours, dense_causal(size * q, k, v), atol=1e-9)


def cascade_case(visible, slots: int = 3, heads: int = 4, kv_heads: int = 2, prefix: int = PREFIX) -> tuple:
    """Random nodes, every one seeing itself (last slot) and some ancestors."""
    rows = len(visible)
    seen = normal(9, rows, slots) > 0
    seen[:, -1] = True
    own = rows, slots, kv_heads, HEAD_DIM
    prefix_k, prefix_v = normal(1, kv_heads, prefix, HEAD_DIM), normal(2, kv_heads, prefix, HEAD_DIM)
    q, visible = 2 * normal(0, rows, heads, HEAD_DIM), np.asarray(visible, np.int32)
    return q, prefix_k, prefix_v, visible, normal(3, *own), normal(4, *own), seen


def dense_cascade(q, prefix_k, prefix_v, visible, branch_k, branch_v, seen):
    """One dense softmax over the keys of both kinds laid end to end."""
    rows, keys = q.shape[0], prefix_k.shape[1]
    xp = jnp if isinstance(q, jax.Array) else np
    k = xp.concatenate((for_every_row(prefix_k, rows), branch_k), axis=1)
    v = xp.concatenate((for_every_row(prefix_v, rows), branch_v), axis=1)
    return dense(q, k, v, xp.concatenate((np.arange(keys)[None] < visible[:, None], seen), axis=1))


@jax.jit
def cascade(case: tuple, extent=None) -> Array:
    extent = jnp.max(case[3]) if extent is None else jnp.asarray(extent, jnp.int32)
    return cascade_attention(*case, extent, "highest")


EDGES = [0, 1, 2, 200, KEY_BUCKET - 1, KEY_BUCKET, KEY_BUCKET + 1, 2 * KEY_BUCKET, PREFIX - 1, PREFIX]


@pytest.mark.parametrize(("slots", "heads", "kv_heads"), [(1, 1, 1), (3, 6, 2), (2, 3, 3)])
def test_cascade_equals_dense(slots: int, heads: int, kv_heads: int) -> None:
    case = cascade_case(EDGES, slots, heads, kv_heads)
    np.testing.assert_allclose(cascade(case), dense_cascade(*case), atol=1e-12)


@pytest.mark.parametrize("extent", EDGES)
def test_cascade_reads_enough_of_the_prefix(extent: int) -> None:
    case = cascade_case([extent, 0, extent // 2, max(extent - 1, 0)])
    np.testing.assert_allclose(cascade(case), dense_cascade(*case), atol=1e-12)


@pytest.mark.parametrize("prefix", [1, 256, 257])
def test_cascade_serves_every_length_of_prefix(prefix: int) -> None:
    case = cascade_case([0, prefix // 2, prefix - 1, prefix], prefix=prefix)
    np.testing.assert_allclose(cascade(case), dense_cascade(*case), atol=1e-12)


def test_what_is_not_visible_has_no_influence() -> None:
    q, prefix_k, prefix_v, visible, branch_k, branch_v, seen = cascade_case([5, 0, 250, 250])
    other_k = np.where(np.arange(PREFIX)[:, None] < 250, prefix_k, 50.0)
    other_own = np.where(seen[..., None, None], branch_k, 50.0)
    before = cascade((q, prefix_k, prefix_v, visible, branch_k, branch_v, seen))
    after = cascade((q, other_k, prefix_v, visible, other_own, branch_v, seen))
    np.testing.assert_array_equal(before, after)
    nothing = cascade((q, 7 * prefix_k, 7 * prefix_v, 0 * visible, branch_k, branch_v, seen))
    np.testing.assert_allclose(nothing[1], before[1], atol=1e-14)


def test_a_generous_extent_changes_nothing() -> None:
    case = cascade_case([3, 40, 255, 0])
    for extent in (255, 256, 300, 512, PREFIX):
        np.testing.assert_allclose(cascade(case, extent), dense_cascade(*case), atol=1e-12)


def test_cascade_under_vmap_equals_a_loop() -> None:
    """``extent`` batched (every branch of the switch is computed and one selected) and not."""
    cases = [cascade_case(visible) for visible in ([3, 0, 255], [400, 257, 9], [600, 1, 512])]
    batch = tuple(np.stack(x) for x in zip(*cases, strict=True))
    reference = np.stack([dense_cascade(*case) for case in cases])
    np.testing.assert_allclose(jax.vmap(cascade)(batch), reference, atol=1e-12)
    shared = jax.vmap(cascade, in_axes=(0, None))(batch, np.int32(PREFIX))
    np.testing.assert_allclose(shared, reference, atol=1e-12)


CASCADE_WEIGHT = normal(7, 4, 16)
cascade_gradient, dense_gradient = (
    jax.jit(
        jax.grad(
            lambda q, pk, pv, bk, bv, visible, seen, f=f: jnp.sum(CASCADE_WEIGHT * f(q, pk, pv, visible, bk, bv, seen)),
            (0, 1, 2, 3, 4),
        )
    )
    for f in (lambda *case: cascade(case), dense_cascade)
)


@pytest.mark.parametrize("visible", [[0, 0, 0, 0], [0, 3, 256, 257], [600, 0, 511, 40]])
def test_cascade_gradients_equal_dense(visible: list[int]) -> None:
    q, prefix_k, prefix_v, limit, branch_k, branch_v, seen = cascade_case(visible)
    inputs = q, prefix_k, prefix_v, branch_k, branch_v, limit, seen
    for a, b in zip(cascade_gradient(*inputs), dense_gradient(*inputs), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_dtypes_are_kept_and_low_precision_is_close(dtype) -> None:
    """Under x64 too, where an unpinned constant would promote."""

    def lowered(case):
        low = [x.astype(dtype) if x.dtype == np.float64 else x for x in case]
        return low, [x.astype(np.float64) if x.dtype == dtype else x for x in low]

    low, same = lowered(cascade_case([0, 3, 300, 7]))
    low_causal, same_causal = lowered(causal_case(9, 9, 4, 1))
    outputs = cascade(tuple(low)), causal(*low_causal, precision="highest", block=4)
    for ours, reference in zip(outputs, (dense_cascade(*same), dense_causal(*same_causal)), strict=True):
        assert ours.dtype == dtype
        scale = np.abs(reference).max()
        np.testing.assert_allclose(
            np.asarray(ours, np.float64), reference, atol=10 * scale * float(jnp.finfo(dtype).eps)
        )
