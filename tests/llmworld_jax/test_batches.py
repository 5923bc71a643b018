"""Batches: every prompt once, few shapes, little padding."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.batches import batches, padded


@given(st.lists(st.integers(1, 300), max_size=200), st.sampled_from([16, 256, 1024]))
@settings(max_examples=60, deadline=None)
def test_every_prompt_is_in_one_batch_that_holds_it(lengths, tokens):
    found = batches(lengths, tokens=tokens)
    real = [k for b in found for k in b.which[: b.real]]
    assert sorted(real) == list(range(len(lengths)))
    for b in found:
        assert b.width >= max(lengths[k] for k in b.which)
        assert len(b.which) == 1 or len(b.which) * b.width <= tokens
        assert set(b.which[b.real :]) <= set(b.which[: b.real])


@given(st.integers(0, 2**31), st.sampled_from([500, 3000]))
@settings(max_examples=10, deadline=None)
def test_names_cost_few_shapes_and_little_padding(seed, count):
    lengths = 2 + np.random.default_rng(seed).poisson(3, count)
    found = batches(lengths)
    assert len({(b.width, len(b.which)) for b in found}) <= 9
    assert sum(len(b.which) * b.width for b in found) <= 1.25 * lengths.sum()


def test_a_padded_row_is_the_prompt_and_zeros():
    prompts = [np.array([5, 6, 7]), np.array([8])]
    (batch,) = batches([3, 1])
    rows = padded(prompts, batch)
    np.testing.assert_array_equal(rows[list(batch.which).index(0)], [5, 6, 7])
    np.testing.assert_array_equal(rows[list(batch.which).index(1)], [8, 0, 0])


def test_nothing_to_read_is_no_batch():
    assert batches([]) == ()
