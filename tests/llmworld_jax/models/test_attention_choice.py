"""Which attention is taken, and that a model set to a kernel gives what the reference gives."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.models.attention_choice import kernel_for, with_attention
from llmworld_jax.models.forward import forward
from llmworld_jax.models.public_configs import PUBLIC_CONFIGS

LLAMA = PUBLIC_CONFIGS["llama-3.1-8b"]


def test_auto_takes_the_fused_kernel_of_the_platform_where_it_serves():
    assert kernel_for(LLAMA, "auto", jnp.bfloat16, "gpu") == "cudnn"
    assert kernel_for(LLAMA, "auto", jnp.float32, "gpu") == "reference"
    assert kernel_for(LLAMA, "auto", jnp.bfloat16, "tpu") == "splash"
    assert kernel_for(LLAMA, "auto", jnp.bfloat16, "tpu", devices=4) == "reference"
    assert kernel_for(LLAMA, "auto", jnp.bfloat16, "cpu") == "reference"


def test_auto_falls_back_for_soft_caps_and_changing_windows(tiny_llama):
    gemma = tiny_llama(attention_softcap=50.0).config
    assert kernel_for(gemma, "auto", jnp.bfloat16, "gpu") == "reference"
    mixed = tiny_llama(windows=(5, None)).config
    assert kernel_for(mixed, "auto", jnp.bfloat16, "tpu") == "reference"
    assert kernel_for(tiny_llama(windows=(5, 5)).config, "auto", jnp.bfloat16, "tpu") == "splash"


@pytest.mark.parametrize(
    ("name", "dtype", "platform", "devices", "said"),
    [
        ("cudnn", jnp.bfloat16, "cpu", 1, "runs on gpu, not on cpu"),
        ("cudnn", jnp.float32, "gpu", 1, "not float32"),
        ("splash", jnp.bfloat16, "tpu", 8, "one device"),
        ("magic", jnp.bfloat16, "gpu", 1, "'magic'"),
    ],
)
def test_what_cannot_serve_is_refused_before_weights_are_read(name, dtype, platform, devices, said):
    with pytest.raises(InputError, match=said):
        kernel_for(LLAMA, name, dtype, platform, devices)


def test_a_model_set_to_a_kernel_reads_the_same(tiny_llama):
    model = tiny_llama()
    fused = with_attention(model, "xla")
    assert (fused.config.attention, model.config.attention) == ("xla", "reference")
    tokens = jnp.asarray(np.random.default_rng(0).integers(0, 40, 19), jnp.int32)
    whole, other = forward(model, tokens), forward(fused, tokens)
    np.testing.assert_allclose(whole.hidden, other.hidden, atol=2e-5)
    behind = forward(fused, tokens[9:], cache=forward(fused, tokens[:9]).cache)
    np.testing.assert_allclose(behind.hidden, whole.hidden[9:], atol=2e-5)
