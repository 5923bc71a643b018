"""``plan``: published parameter counts, linear laws, and XLA's accounting without weights."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.models.catalogue import MODELS
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.plan import PUBLIC_CONFIGS, forward_only, plan

PUBLISHED = {
    "smollm2-135m-instruct": 134_515_008,
    "smollm2-135m": 134_515_008,
    "smollm2-360m": 361_821_120,
    "smollm2-1.7b": 1_711_376_384,
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
}
TINY = replace(PUBLIC_CONFIGS["smollm2-135m"], vocab_size=50, num_layers=3, d_model=24, d_mlp=40, head_dim=4)


def abstract(config, dtype):
    return jax.eval_shape(lambda: Llama(config, key=jax.random.key(0), dtype=jnp.dtype(dtype)))


def num_bytes(tree):
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("name", PUBLIC_CONFIGS)
def test_published_parameter_counts(name):
    assert plan(PUBLIC_CONFIGS[name], context=1).parameters == PUBLISHED[name]


def test_every_named_model_can_be_planned():
    assert PUBLIC_CONFIGS.keys() == MODELS.keys() == PUBLISHED.keys()


@pytest.mark.parametrize("tied", [True, False])
def test_bytes_are_those_of_a_real_model(tied):
    config = replace(TINY, tied=tied)
    real = num_bytes(abstract(config, "bfloat16"))
    assert plan(config, context=7, dtype="bfloat16").weight_bytes == real
    assert plan(config, context=7, dtype="bfloat16", num_devices=3).weight_bytes == -(-real // 3)


def test_cache_bytes_are_those_of_a_real_pass():
    output = jax.eval_shape(forward_only, abstract(TINY, "float32"), jax.ShapeDtypeStruct((7,), jnp.int32))
    assert plan(TINY, context=7).cache_bytes == num_bytes(output.cache)


def test_tree_of_thousand_three_digit_numbers():
    it = plan(TINY, context=1000, states=1000, precision=3)
    assert it.tree_nodes == 1000 * (10 + 100)
    assert it.flops == 2 * it.parameters * (1000 + it.tree_nodes)
    assert plan(TINY, context=1000, states=1000, precision=1).tree_nodes == 0


def test_temporary_memory_needs_no_weights_and_grows_with_context():
    one, two = (plan(PUBLIC_CONFIGS["llama-2-70b"], context=c, run=forward_only) for c in (64, 256))
    assert one.temporary_bytes is not None
    assert two.temporary_bytes is not None
    assert 0 < one.temporary_bytes < two.temporary_bytes
    assert plan(TINY, context=1).temporary_bytes is None


@pytest.mark.parametrize(
    "wrong",
    [{"context": 0}, {"states": -1}, {"precision": 0}, {"base": 1}, {"num_devices": 0}, {"context": 8193}],
)
def test_refuses(wrong):
    with pytest.raises(InputError):
        plan(TINY, **({"context": 5} | wrong))
