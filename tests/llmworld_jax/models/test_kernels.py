"""Fused attention kernels, as far as a CPU goes, against a dense softmax; Pallas kernels are interpreted."""

import functools
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.models.attention import causal_attention
from llmworld_jax.models.kernels import KERNELS, default_kernel, fused_attention, unsupported

CALL = dict(rows=100, keys=200, heads=4, kv_heads=2, head_dim=64, dtype=jnp.bfloat16)
DEVICES = {"cudnn": "gpu", "xla": "cpu", "splash": "tpu"}


def dense(q, k, v, precision=None, *, window=None, softcap=None):
    """Textbook attention, in the widest type there is."""
    rows, keys, group = q.shape[0], k.shape[1], q.shape[1] // k.shape[0]
    scores = jnp.einsum("rhd,hkd->hrk", q, jnp.repeat(k, group, axis=0), precision="highest")
    if softcap is not None:
        scores = softcap * jnp.tanh(scores / softcap)
    age = np.arange(keys - rows, keys)[:, None] - np.arange(keys)[None]
    seen = (age >= 0) & (age < (keys if window is None else window))
    weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=-1)
    return jnp.einsum("hrk,hkd->rhd", weights, jnp.repeat(v, group, axis=0), precision="highest").reshape(rows, -1)


def case(rows, keys, heads, kv_heads, head_dim=16, batch=(), dtype=np.float32):
    rng = np.random.default_rng(rows * keys + heads)
    shapes = (rows, heads, head_dim), (kv_heads, keys, head_dim), (kv_heads, keys, head_dim)
    scales = head_dim**-0.5 * 3, 1, 1
    return tuple(jnp.asarray(rng.normal(size=(*batch, *s)) * a, dtype) for s, a in zip(shapes, scales))


@functools.partial(jax.jit, static_argnames=("name", "window", "softcap", "precision"))
def fused(name, q, k, v, window=None, softcap=None, precision="highest"):
    return fused_attention(name, q, k, v, precision, window=window, softcap=softcap, interpret=name == "splash")


def agree(got, expected, tolerance=2e-6):
    """Up to rounding in float32, in units of the largest."""
    got, expected = (np.asarray(x, np.float32) for x in (got, expected))
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max())


SHAPES = [  # rows, keys, heads, kv_heads, window
    (1, 1, 1, 1, None),
    (1, 37, 2, 2, 5),
    (128, 128, 2, 2, None),
    (33, 33, 4, 2, None),
    (33, 33, 4, 2, 7),
    (33, 33, 2, 1, 1),
    (33, 33, 2, 2, 33),
    (31, 150, 4, 2, None),
    (31, 150, 6, 2, 40),
    (129, 131, 2, 1, 3),
]


@pytest.mark.parametrize(("rows", "keys", "heads", "kv_heads", "window"), SHAPES)
@pytest.mark.parametrize("name", ["xla", "splash"])
def test_kernel_is_dense_attention(name, rows, keys, heads, kv_heads, window):
    q, k, v = case(rows, keys, heads, kv_heads)
    agree(fused(name, q, k, v, window), dense(q, k, v, window=window))


@pytest.mark.parametrize(("rows", "keys", "window"), [(33, 33, None), (31, 150, 40)])
def test_soft_cap_comes_before_the_mask(rows, keys, window):
    q, k, v = case(rows, keys, 4, 2)
    got = fused("splash", q, k, v, window, 1.5)
    agree(got, dense(q, k, v, window=window, softcap=1.5))
    assert np.abs(got - dense(q, k, v, window=window)).max() > 0.01


def test_splash_takes_wider_tiles_where_little_is_added():
    q, k, v = case(250, 500, 1, 1)  # one tile of 256 on one of 512 keys
    agree(fused("splash", q, k, v, 100), dense(q, k, v, window=100))


@pytest.mark.parametrize("name", ["xla", "splash"])
def test_kernel_in_a_program_with_64_bit_types(name):
    with jax.enable_x64(True):
        q, k, v = case(12, 20, 4, 2)
        got = jax.vmap(functools.partial(fused, name, window=6))(q[None], k[None], v[None])[0]
        assert got.dtype == jnp.float32
        agree(got, dense(q, k, v, window=6))


@pytest.mark.parametrize("precision", [None, "high", "highest", "default", jax.lax.Precision.HIGH])
@pytest.mark.parametrize("name", ["xla", "splash"])
def test_every_precision_is_taken(name, precision):
    q, k, v = case(9, 9, 2, 1)
    agree(fused(name, q, k, v, precision=precision), dense(q, k, v))


@pytest.mark.parametrize("name", ["xla", "splash"])
def test_half_precision_is_returned_as_it_came(name):
    q, k, v = case(40, 50, 2, 1, dtype=jnp.bfloat16)
    got = fused(name, q, k, v)
    assert got.dtype == jnp.bfloat16
    agree(got, dense(*(x.astype(np.float32) for x in (q, k, v))), tolerance=0.01)


@pytest.mark.parametrize(("rows", "keys"), [(20, 20), (12, 20)])
@pytest.mark.parametrize("name", ["xla", "splash"])
def test_vmap_inside_a_scan(name, rows, keys):
    q, k, v = case(rows, keys, 2, 1, batch=(2, 3))
    over = jax.vmap(functools.partial(fused, name, window=6))
    _, got = jax.jit(lambda *xs: jax.lax.scan(lambda c, x: (c, over(*x)), 0, xs))(q, k, v)
    expected = jax.vmap(jax.vmap(functools.partial(dense, window=6)))(q, k, v)
    agree(got, expected)


@pytest.mark.parametrize("in_axes", [(0, None, 0), (None, 2, None), (3, 1, 2)])
@pytest.mark.parametrize("name", ["xla", "splash"])
def test_vmap_over_some_operands_and_other_axes(name, in_axes):
    q, k, v = (
        x if axis is None else jnp.stack([x, x[::-1]], axis) for x, axis in zip(case(12, 20, 2, 2), in_axes)
    )  # fmt: skip
    got = jax.vmap(functools.partial(fused, name), in_axes)(q, k, v)
    agree(got, jax.vmap(dense, in_axes)(q, k, v))
    twice = jax.vmap(jax.vmap(functools.partial(fused, name), in_axes), (None, 0, None))
    pair = jnp.stack([k, 2 * k])
    agree(twice(q, pair, v), jax.vmap(jax.vmap(dense, in_axes), (None, 0, None))(q, pair, v))


def energy(attend, q, k, v, **options):
    return jnp.sum(jnp.sin(3 * attend(q, k, v, **options)))


@pytest.mark.parametrize(
    ("name", "options"),
    [("xla", {}), ("xla", {"window": 6}), ("splash", {}), ("splash", {"window": 6, "softcap": 2.0})],
)
def test_gradient_is_the_reference_s(name, options):
    q, k, v = case(12, 20, 4, 2, batch=(2,))
    grads = [
        jax.vmap(jax.grad(functools.partial(energy, attend, **options), (0, 1, 2)))(q, k, v)
        for attend in (functools.partial(fused, name), dense)
    ]
    for got, expected in zip(*grads):
        agree(got, expected, tolerance=1e-5)


@pytest.mark.parametrize("name", ["xla", "splash"])
def test_pull_back_is_the_reference_s_to_the_last_bit(name):
    q, k, v = case(12, 20, 4, 2)
    cotangent = jnp.cos(jnp.arange(12 * 64.0)).reshape(12, 64)
    pulled = [
        jax.jit(lambda *x, attend=attend: jax.vjp(attend, *x)[1](cotangent))(q, k, v)
        for attend in (functools.partial(fused, name), lambda q, k, v: causal_attention(q, k, v, "highest"))
    ]
    for got, expected in zip(*pulled):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", ["xla", "splash"])
def test_gradients_nest_and_forward_mode_raises(name):
    q, k, v = case(6, 9, 2, 1)

    def curvature(attend, q):
        return jax.grad(lambda q: jnp.sum(jax.grad(functools.partial(energy, attend))(q, k, v) ** 2))(q)

    agree(curvature(functools.partial(fused, name), q), curvature(dense, q), tolerance=1e-5)
    with pytest.raises(TypeError, match="custom_vjp"):
        jax.jvp(lambda q: fused(name, q, k, v), (q,), (q,))


@pytest.mark.parametrize(("rows", "keys", "window"), [(33, 33, None), (33, 33, 7), (20, 33, 7), (20, 33, None)])
def test_cudnn_is_asked_for_what_xla_is(monkeypatch, rows, keys, window):
    """The same arguments, run by XLA: what cuDNN does with them only a GPU can tell."""
    real = jax.nn.dot_product_attention

    def by_xla(*args, implementation, **options):
        assert implementation == "cudnn"
        assert options.get("is_causal", False) == (rows == keys)  # it skips blocks; a mask is read in full
        return real(*args, implementation="xla", **options)

    monkeypatch.setattr(jax.nn, "dot_product_attention", by_xla)
    q, k, v = case(rows, keys, 4, 2, dtype=jnp.bfloat16)
    got = fused_attention("cudnn", q, k, v, "highest", window=window)
    agree(got, dense(*(x.astype(np.float32) for x in (q, k, v)), window=window), tolerance=0.01)


@pytest.mark.parametrize("window", [None, 40])
@pytest.mark.parametrize(
    ("dtype", "precision"), [(jnp.float32, "high"), (jnp.float32, None), (jnp.bfloat16, "highest")]
)
@pytest.mark.parametrize("head_dim", [80, 128])
def test_splash_lowers_for_a_tpu(head_dim, dtype, precision, window):
    """Down to Mosaic, which needs no TPU; whether it compiles there is another matter."""

    def attend(q, k, v):
        one = functools.partial(fused_attention, "splash", precision=precision, window=window, softcap=50.0)
        return jax.vmap(lambda *x: one(*x))(q, k, v)

    q, k, v = case(31, 150, 4, 2, head_dim, batch=(2,), dtype=dtype)
    text = jax.export.export(jax.jit(attend), platforms=["tpu"])(q, k, v).mlir_module()
    assert "tpu_custom_call" in text


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("cudnn", {"dtype": jnp.float32}, "bfloat16 or float16, not float32"),
        ("cudnn", {"head_dim": 36}, "multiples of 8 up to 128, not 36"),
        ("cudnn", {"head_dim": 256}, "multiples of 8 up to 128, not 256"),
        ("cudnn", {"softcap": 50.0}, "no soft cap"),
        ("xla", {"softcap": 50.0}, "no soft cap"),
        ("xla", {"dtype": jnp.float64}, "not float64"),
        ("xla", {"dtype": jnp.float16}, "not float16"),
        ("cudnn", {"window": jnp.int32(4)}, "not a traced one"),
        ("splash", {"window": jnp.int32(4)}, "not a traced one"),
        ("splash", {"window": 0}, "window of 0"),
        ("splash", {"dtype": jnp.float16}, "float32 or bfloat16, not float16"),
        ("splash", {"rows": 201}, "201 queries cannot be the last of 200"),
        ("splash", {"kv_heads": 3}, "4 query heads cannot share 3"),
        ("splash", {"platform": "gpu"}, "runs on tpu, not on gpu"),
        ("cudnn", {"platform": "cpu"}, "runs on gpu, not on cpu"),
    ],
)
def test_unsupported_says_why(name, change, reason):
    assert reason in unsupported(name, **{**CALL, "platform": DEVICES[name], **change})


@pytest.mark.parametrize("name", KERNELS)
def test_supported_calls(name):
    every = [{}, {"window": 4}, {"rows": 200}, {"rows": 1}, {"kv_heads": 4}, {"kv_heads": 1}, {"platform": None}]
    if name == "splash":
        every += [{"softcap": 50.0, "head_dim": 256}, {"dtype": jnp.float32}, {"head_dim": 80}]
    for change in every:
        assert unsupported(name, **{**CALL, "platform": DEVICES[name], **change}) is None


def test_a_call_that_cannot_be_served_says_why():
    q, k, v = case(9, 9, 2, 1)
    with pytest.raises(InputError, match=r"'cudnn' cannot serve \(it takes bfloat16 or float16, not float32\)"):
        fused_attention("cudnn", q, k, v, "highest")
    with pytest.raises(InputError, match="not a traced one"):
        jax.jit(lambda w: fused_attention("splash", q, k, v, "highest", window=w))(4)
    for call in (
        lambda: fused_attention("triton", q, k, v, "highest"),
        lambda: unsupported("reference", **CALL, platform="cpu"),
    ):
        with pytest.raises(InputError, match=re.escape("Expected one of reference, cudnn, xla, splash")):
            call()


def test_default_kernel():
    assert default_kernel("gpu", jnp.bfloat16) == default_kernel("cuda", np.float16) == "cudnn"
    assert default_kernel("tpu", jnp.bfloat16) == default_kernel("tpu", "float32") == "splash"
    for platform, dtype in (("gpu", jnp.float32), ("tpu", jnp.float64), ("cpu", jnp.bfloat16)):
        assert default_kernel(platform, dtype) == "reference"


def test_import_touches_neither_pallas_nor_a_backend():
    code = (
        "import sys, llmworld_jax.models.kernels; from jax._src import xla_bridge;"
        "assert not any('splash' in name for name in sys.modules); assert not xla_bridge._backends"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
