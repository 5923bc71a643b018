"""A prompt says where its items are: the law of an item is read at the token just before it."""

import jax
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.codec import number_codec
from llmworld_jax.numerals import Numerals
from llmworld_jax.prompts import Prompt


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_items_start_where_the_prompt_says(regular_tokenizer, data):
    start = data.draw(st.sampled_from(["none", 5, (5, 7, 5)]))
    codec = number_codec(regular_tokenizer, Numerals(3, 0, 1), start=start)
    codes = np.array(data.draw(st.lists(st.integers(0, 999), min_size=1, max_size=20)))
    prompt = codec.prompt(codes)
    assert prompt.tokens.dtype == prompt.item_at.dtype == np.int32
    assert prompt.item_at[0] == len(codec.prefix_tokens)
    ends = [*prompt.item_at[1:], len(prompt.tokens)]  # the separator after the last item is there
    for code, begin, end in zip(codes, prompt.item_at, ends):
        assert regular_tokenizer.decode(prompt.tokens[begin:end].tolist()) == f"{code:03d},"
        if begin:
            before = int(prompt.tokens[begin - 1])
            assert before == (codec.prefix_tokens[-1] if begin == prompt.item_at[0] else codec.separator_tokens[-1])


def test_a_prompt_is_a_pytree():
    prompt = Prompt(np.arange(3, dtype=np.int32), np.array([0], dtype=np.int32))
    assert len(jax.tree.leaves(prompt)) == 2
