"""Vectors stay where tokens live, and are read out as the tokens they are nearest to."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.errors import InputError
from llmworld_jax.models.readout import embed
from llmworld_jax.optimise.soft_prompt import NormRange, nearest_tokens, norm_range, prompt_of_tokens, within_range


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama()


def test_range_holds_ninety_nine_in_a_hundred(tiny_llama):
    model = tiny_llama(vocab_size=1000)
    low, high = norm_range(model)
    norms = np.linalg.norm(model.embed[...], axis=1)
    assert ((norms >= low) & (norms <= high)).mean() == pytest.approx(0.99, abs=0.003)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=2), st.integers(0, 100))
def test_projection_keeps_directions_and_what_is_inside(scales, seed):
    vectors = np.random.default_rng(seed).normal(size=(2, 8)).astype(np.float32)
    vectors *= np.float32(scales)[:, None] / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = np.asarray(within_range(jnp.asarray(vectors), NormRange(jnp.float32(1), jnp.float32(2))))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.clip(scales, 1, 2), rtol=1e-4)
    cosine = (found * vectors).sum(axis=1) / np.linalg.norm(found, axis=1) / np.linalg.norm(vectors, axis=1)
    np.testing.assert_allclose(cosine, 1, rtol=1e-4)


def test_tokens_are_nearest_to_themselves(model):
    tokens = jnp.array([5, 17, 2])
    near = nearest_tokens(model, embed(model, tokens))
    np.testing.assert_array_equal(near.tokens, tokens)
    np.testing.assert_allclose(near.distance, 0, atol=2e-3)
    pushed = nearest_tokens(model, embed(model, tokens) + 0.01)
    table = np.asarray(model.embed[...])
    for k, vector in enumerate(np.asarray(embed(model, tokens)) + 0.01):
        distances = np.linalg.norm(table - vector, axis=1)
        first, second = np.argsort(distances)[:2]
        assert pushed.tokens[k] == first
        assert float(pushed.distance[k]) == pytest.approx(distances[first], abs=1e-3)
        assert float(pushed.gap[k]) == pytest.approx(np.linalg.norm(table[first] - table[second]), abs=1e-4)


def test_prompt_repeats_its_tokens_to_the_rows_asked(model):
    np.testing.assert_array_equal(
        prompt_of_tokens(model, np.array([4, 9]), 5), embed(model, jnp.array([4, 9, 4, 9, 4]))
    )
    with pytest.raises(InputError, match="0 tokens"):
        prompt_of_tokens(model, np.array([], int), 5)
