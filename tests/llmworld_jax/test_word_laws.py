"""Laws over the whole vocabulary, some rows at a time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import logits
from llmworld_jax.word_laws import node_laws

IDS = jnp.array([3, 17, 30], jnp.int32)


@pytest.mark.parametrize("rows", [1, 3, 7, 128])
@pytest.mark.parametrize("tied", [True, False])
def test_they_are_the_softmax_over_everything_whatever_the_rows_at_once(tiny_llama, rows, tied):
    model = tiny_llama(tied=tied)
    hidden = forward(model, jnp.arange(11)).hidden
    found = node_laws(model, hidden, IDS, rows=rows)
    p = np.asarray(jax.nn.softmax(logits(model, hidden), axis=-1))
    np.testing.assert_allclose(np.exp(found.log_probability), p[:, np.asarray(IDS)], rtol=2e-4)
    others = np.delete(p, np.asarray(IDS), axis=1)
    np.testing.assert_allclose(found.largest_other, others.max(axis=1), rtol=2e-4)


def test_laws_of_sixteen_bit_models_are_float32(tiny_llama):
    model = tiny_llama(dtype=jnp.bfloat16)
    found = node_laws(model, forward(model, jnp.arange(5)).hidden, IDS)
    assert found.log_probability.dtype == jnp.float32
    assert found.largest_other.dtype == jnp.float32
