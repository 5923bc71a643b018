"""How weights are kept: exactly what packing and quantisation promise, under every transformation they meet."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.errors import InputError
from llmworld_jax.models import storage
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.storage import (
    MATRICES,
    OPENING,
    Int8,
    as_bits,
    as_int8,
    dense,
    opened,
    pack,
    quantise,
    storage_of,
    thaw,
)

BF16, F32 = jnp.bfloat16, jnp.float32
KINDS = ("plain", "packed", "int8")
sizes = st.integers(1, 33)


def normal(shape: tuple[int, ...], seed: int = 0, dtype=F32) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def kept(array: jax.Array, kind: str):
    return {"plain": lambda w: w, "packed": as_bits, "int8": as_int8}[kind](array)


def bits(array) -> np.ndarray:
    array = np.asarray(array)
    return array.view({1: np.uint8, 2: np.uint16, 4: np.uint32}[array.dtype.itemsize])


def leaves(model: Llama) -> dict[str, jax.Array]:
    found = jax.tree_util.tree_flatten_with_path(model)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in found}


def same(a: Llama, b: Llama) -> None:
    a, b = leaves(a), leaves(b)
    assert a.keys() == b.keys()
    for name, leaf in a.items():
        assert leaf.dtype == b[name].dtype
        np.testing.assert_array_equal(bits(leaf), bits(b[name]), err_msg=name)


@pytest.fixture
def model(tiny_llama: Callable) -> Llama:
    return tiny_llama(dtype=BF16, tied=False)


def test_pack_and_thaw_are_exact(model):
    odd = jnp.array([-0.0, jnp.inf, -jnp.inf, jnp.nan, 1e-40, 3e38], BF16)  # and whatever else is not a number
    model.layers.q[...] = model.layers.q[...].at[0, 0, :6].set(odd)
    same(thaw(pack(model)), model)
    same(pack(thaw(pack(model))), pack(model))


@pytest.mark.parametrize("convert", [pack, quantise])
def test_only_the_matrices_change_and_the_model_given_does_not(model, convert):
    before = leaves(model)
    after = leaves(convert(model))
    changed = {name for name, leaf in before.items() if after.get(name) is not leaf}
    assert {name.split(".")[1] for name in changed} == set(MATRICES)
    assert before.keys() - changed == after.keys() & (before.keys() - changed)
    assert all(leaf is before[name] for name, leaf in leaves(model).items())


def test_names(model, tiny_llama):
    assert storage_of(tiny_llama()) == "float32"
    assert storage_of(model) == "bfloat16"
    assert storage_of(pack(model)) == "bfloat16 (packed)"
    assert storage_of(quantise(model)) == storage_of(quantise(pack(model))) == "int8 + bfloat16"
    assert storage_of(quantise(tiny_llama())) == "int8 + float32"
    assert storage_of(thaw(quantise(model))) == "bfloat16"
    assert storage_of(thaw(pack(model), F32)) == "float32"


def test_every_conversion_may_be_repeated(model):
    same(pack(pack(model)), pack(model))
    same(quantise(quantise(model)), quantise(model))
    same(quantise(pack(model)), quantise(model))
    same(thaw(model), model)


def test_packing_anything_but_bfloat16_is_refused(model, tiny_llama):
    for other, name in (
        (tiny_llama(), "float32"),
        (tiny_llama(dtype=jnp.float16), "float16"),
        (quantise(model), "int8"),
    ):
        with pytest.raises(InputError, match=name):
            pack(other)


@settings(deadline=None, max_examples=15)
@given(rows=sizes, d_in=sizes, d_out=sizes, seed=st.integers(0, 99), kind=st.sampled_from(KINDS))
def test_dense_is_the_product_with_the_opened_weight(rows, d_in, d_out, seed, kind):
    w = kept(normal((d_in, d_out), seed, BF16), kind)
    for dtype, tolerance in ((F32, 1e-5), (BF16, 2**-8)):
        x = normal((rows, d_in), seed + 1, dtype)
        y = dense(x, w)
        exact = np.asarray(x, np.float64) @ np.asarray(opened(w), np.float64)
        size = np.abs(np.asarray(x, np.float64)) @ np.abs(np.asarray(opened(w), np.float64))
        assert (y.dtype, y.shape) == (dtype, (rows, d_out))
        assert (np.abs(np.asarray(y, np.float64) - exact) <= tolerance * np.abs(exact) + 1e-5 * size).all()


def test_dense_takes_rows_of_any_shape():
    w = as_int8(normal((5, 4)))
    assert [dense(normal((*rows, 5)), w).shape for rows in ((), (3,), (2, 3))] == [(4,), (3, 4), (2, 3, 4)]


@settings(deadline=None, max_examples=30)
@given(
    shape=st.tuples(st.integers(1, 3), sizes, sizes),
    exponent=st.integers(-45, 37),
    seed=st.integers(0, 99),
    dtype=st.sampled_from((F32, BF16)),
)
def test_quantisation_errs_by_at_most_half_a_step(shape, exponent, seed, dtype):
    w = normal(shape, seed) * 10.0 ** np.random.default_rng(seed).integers(min(exponent, 0), max(exponent, 1))
    w = w.astype(dtype)
    q = as_int8(w)
    values, scale = np.asarray(q.values[...], np.float64), np.asarray(q.scale[...], np.float64)[:, None]
    w = np.asarray(w, np.float64)
    assert (np.abs(values) <= 127).all()
    assert (np.abs(values * scale - w) <= 0.5001 * scale).all()
    normal_range = np.abs(w).max(1, keepdims=True) > 127 * float(jnp.finfo(F32).tiny)
    assert (np.abs(values).max(1, keepdims=True)[normal_range] == 127).all()


def test_columns_of_zeros_stay_zero_and_undefined_ones_stay_undefined():
    w = normal((2, 4, 5)).at[:, :, 1].set(0).at[0, 2, 3].set(jnp.nan).at[1, 0, 4].set(jnp.inf)
    q = as_int8(w)
    broken = np.isnan(np.asarray(opened(q)))
    assert (np.asarray(opened(q))[:, :, 1] == 0).all()
    assert broken[0, :, 3].all()
    assert broken[1, :, 4].all()
    assert broken.sum() == 8
    y = np.asarray(jax.vmap(dense, (None, 0))(jnp.ones((3, 4)), q))
    assert np.isfinite(y)[:, :, :3].all()
    assert not np.isfinite(y[0, :, 3]).any()
    assert not np.isfinite(y[1, :, 4]).any()


@pytest.mark.parametrize("kind", KINDS)
def test_under_scan_vmap_and_indexing(kind):
    stack, x = kept(normal((3, 6, 6), dtype=BF16), kind), normal((4, 6))
    layers = [jax.tree.map(lambda a, i=i: a[i], stack) for i in range(3)]
    one_by_one = x
    for w in layers:
        one_by_one = dense(one_by_one, w)

    def indexed(x, i):
        return dense(x, jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), stack)), None

    scanned = jax.jit(lambda x, w: jax.lax.scan(lambda h, w: (dense(h, w), None), x, w)[0])(x, stack)
    np.testing.assert_allclose(scanned, one_by_one, rtol=1e-5)
    np.testing.assert_allclose(jax.lax.scan(indexed, x, jnp.arange(3))[0], one_by_one, rtol=1e-5)
    each = jax.vmap(dense, (None, 0))(x, stack)
    np.testing.assert_allclose(each, jnp.stack([dense(x, w) for w in layers]), rtol=1e-5, atol=1e-6)
    rows = jax.vmap(lambda row: dense(row, layers[0]))(x)
    np.testing.assert_allclose(rows, dense(x, layers[0]), rtol=1e-5, atol=1e-6)


def through(x: jax.Array, pairs) -> jax.Array:
    """A residual network of depth, whose matrices lead there and back."""

    def body(h, pair):
        return h + dense(jax.nn.silu(dense(h, pair[0])), pair[1]), None

    return jax.lax.scan(body, x, pairs)[0]


def slope(x: jax.Array, pairs) -> jax.Array:
    return jax.grad(lambda x: jnp.sum(through(x, pairs).astype(F32) ** 2))(x)


@pytest.mark.parametrize("dtype", [F32, BF16])
def test_gradients_of_packed_weights_are_the_same_to_the_bit(dtype):
    pairs = normal((3, 8, 16), dtype=BF16), normal((3, 16, 8), 1, BF16)
    x = normal((4, 8), 2, dtype)
    packed = jax.tree.map(as_bits, pairs)
    np.testing.assert_array_equal(bits(jax.jit(through)(x, packed)), bits(jax.jit(through)(x, pairs)))
    np.testing.assert_array_equal(bits(jax.jit(slope)(x, packed)), bits(jax.jit(slope)(x, pairs)))


def test_gradients_through_int8():
    pairs = tuple(as_int8(normal(shape, i)) for i, shape in enumerate([(3, 8, 16), (3, 16, 8)]))
    x, plain = normal((4, 8), 2), tuple(map(opened, pairs))
    np.testing.assert_allclose(slope(x, pairs), slope(x, plain), rtol=1e-3, atol=1e-3)


def test_thawed_weights_have_gradients(model):
    def loss(model):
        return jnp.sum(dense(jnp.ones((1, 32), BF16), model.layers.up[...][0]).astype(F32))

    assert jnp.all(jax.grad(loss)(thaw(pack(model))).layers.up[...][0] == 1)
    assert jnp.all(jax.grad(loss)(thaw(quantise(model))).layers.up[...][0] == 1)


def temporary(function: Callable, x: jax.Array, pairs) -> float:
    """Temporary memory of the compiled function, in stacks of float32."""
    stacks = sum(array.size * 4 for array in jax.tree.leaves(pairs) if array.ndim == 3)
    return jax.jit(function).lower(x, pairs).compile().memory_analysis().temp_size_in_bytes / stacks


@pytest.mark.parametrize("dtype", [F32, BF16])
def test_no_copy_of_the_stack_is_made(dtype):
    pairs = normal((24, 96, 192), dtype=BF16), normal((24, 192, 96), dtype=BF16)
    x = normal((16, 96), dtype=dtype)
    for keep in (as_bits, as_int8):
        new = jax.tree.map(keep, pairs)
        assert temporary(through, x, new) < 1 / 3
        assert temporary(slope, x, new) < 1 / 3
    if jax.default_backend() == "cpu" and jax.__version_info__ < (0, 11):  # why there is packing; not so in 0.12
        assert temporary(through, x, pairs) > 1


@pytest.mark.parametrize("keep", [as_bits, as_int8])
def test_a_policy_without_the_opening_keeps_no_copy_either(keep):
    pairs = jax.tree.map(keep, (normal((24, 96, 192), dtype=BF16), normal((24, 192, 96), dtype=BF16)))

    def policy(primitive, *_, **__):
        return primitive.name not in {"dynamic_slice", "squeeze", *OPENING}

    def indexed(x, pairs):
        def body(h, i):
            pair = jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), pairs)
            return h + dense(jax.nn.silu(dense(h, pair[0])), pair[1]), None

        return jax.lax.scan(jax.checkpoint(body, prevent_cse=False, policy=policy), x, jnp.arange(24))[0]

    x = normal((16, 96), dtype=BF16)
    assert temporary(jax.grad(lambda x, pairs: jnp.sum(indexed(x, pairs).astype(F32))), x, pairs) < 1 / 3


@pytest.mark.parametrize("dtype", [F32, BF16, jnp.uint16])
def test_conversion_takes_no_more_than_the_parameter(dtype):
    w = jnp.zeros((8, 128, 128), dtype)
    for function in (storage._rounded, storage._bits):
        if function is storage._rounded or dtype == BF16:
            temporary = function.lower(w).compile().memory_analysis().temp_size_in_bytes
            assert temporary <= w.nbytes * 1.1


def test_arrays_divided_over_devices(model):
    """On however many devices there are: the pieces stay where they are."""
    devices = jax.devices()
    mesh = jax.make_mesh((len(devices),), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    columns = jax.NamedSharding(mesh, jax.P(None, None, "x"))
    for m in MATRICES:
        weight = getattr(model.layers, m)
        weight.set_value(jax.device_put(weight.get_value(), columns))
    packed, quantised = pack(model), quantise(model)
    assert all(getattr(packed.layers, m).get_value().sharding.is_equivalent_to(columns, 3) for m in MATRICES)
    assert all(getattr(quantised.layers, m).values.get_value().sharding.is_equivalent_to(columns, 3) for m in MATRICES)
    same(thaw(packed), model)


def test_under_jit_and_eval_shape(model):
    for convert in (pack, quantise, lambda m: thaw(pack(m)), lambda m: thaw(quantise(m))):
        new = convert(model)
        same(jax.jit(convert)(model), new)
        shapes = leaves(jax.eval_shape(convert, jax.eval_shape(lambda: model)))
        assert {n: (x.shape, x.dtype) for n, x in shapes.items()} == {
            n: (x.shape, x.dtype) for n, x in leaves(new).items()
        }
    assert storage_of(jax.eval_shape(pack, model)) == "bfloat16 (packed)"


@pytest.mark.parametrize("convert", [pack, quantise])
def test_donated_matrices_are_given_up_and_nothing_else(model, convert):
    expected, old = convert(model), leaves(model)
    same(convert(model, donate=True), expected)
    assert {name.split(".")[1] for name, leaf in old.items() if leaf.is_deleted()} == set(MATRICES)


@pytest.mark.parametrize("convert", [pack, quantise])
def test_donating_twice_gives_up_nothing(model, convert):
    new = convert(model)
    assert not any(leaf.is_deleted() for leaf in leaves(convert(new, donate=True)).values())


def test_int8_is_an_attribute_like_any_other(model):
    q = quantise(model).layers.q
    assert isinstance(q, Int8)
    assert (q.values[...].dtype, q.scale[...].dtype) == (jnp.int8, F32)
    assert (q.values[...].shape, q.scale[...].shape) == ((2, 32, 32), (2, 32))
    assert [x.shape for x in jax.tree.leaves(jax.tree.map(lambda x: x[0], q))] == [(32,), (32, 32)]
