"""Tokens that a searched prompt may be made of spell themselves, and a text is read as its tokens."""

import numpy as np

from llmworld_jax.optimise.token_pool import allowed_tokens, retokenised


def test_allowed_tokens_are_printable_and_spell_themselves(single_tokenizer, sentencepiece_tokenizer):
    for tokenizer in (single_tokenizer, sentencepiece_tokenizer):
        found = np.flatnonzero(allowed_tokens(tokenizer, tokenizer.vocab_size))
        before = tokenizer.encode("0")
        texts = [tokenizer.decode([*before, int(token)])[1:] for token in found]
        assert "a" in texts
        assert not {"<s>", "</s>", "<unk>", "\x00", "é"} & set(texts)
        for token, text in zip(found, texts):
            assert tokenizer.encode(f"0{text}")[-1] == token


def test_retokenised_is_what_a_reader_of_the_text_gets(single_tokenizer):
    joined = single_tokenizer.encode("the")
    pieces = [single_tokenizer.encode(letter)[0] for letter in "the"]
    assert len(joined) < len(pieces)
    np.testing.assert_array_equal(retokenised(single_tokenizer, np.array(pieces)), joined)
    np.testing.assert_array_equal(retokenised(single_tokenizer, np.array(joined)), joined)
