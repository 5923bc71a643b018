"""Nodes behind a filler are what a pass over context, filler and word gives, for every word on its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.models.forward import forward
from llmworld_jax.neutral_probe import probed_nodes

CONTEXT = jnp.array([3, 9, 4, 7, 7, 21, 30])
WORDS = jnp.array([5, 6, 11])


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama()


def whole(model, context, filler):
    rows = []
    for word in WORDS:
        tokens = jnp.concatenate((context, filler, word[None]))
        rows.append(forward(model, tokens, taps=("resid_post",)).taps["resid_post"][:, -1])
    return np.stack(rows, axis=1)


@pytest.mark.parametrize("filler", [[17], [17, 2, 8], []])
def test_probe_is_one_pass_over_context_filler_and_word(model, filler):
    filler = jnp.array(filler, jnp.int32)
    cache = forward(model, CONTEXT).cache
    np.testing.assert_allclose(probed_nodes(model, cache, filler, WORDS), whole(model, CONTEXT, filler), atol=2e-5)


def test_tokens_beyond_what_is_visible_change_nothing(model):
    filler = jnp.array([17])
    cache = forward(model, CONTEXT).cache
    found = jax.jit(lambda end: probed_nodes(model, cache, filler, WORDS, visible=end))(jnp.asarray(4))
    np.testing.assert_allclose(found, whole(model, CONTEXT[:4], filler), atol=2e-5)


def test_a_cache_of_fewer_blocks_is_probed_that_far(model):
    filler = jnp.array([17])
    cache = forward(model, CONTEXT, blocks=1).cache
    found = probed_nodes(model, cache, filler, WORDS, remat=True)
    assert found.shape[0] == 1
    np.testing.assert_allclose(found, whole(model, CONTEXT, filler)[:1], atol=2e-5)
