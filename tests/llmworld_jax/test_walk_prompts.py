"""Walks as token ids: where everything stands, and what is refused."""

import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.walk_prompts import graph_prompts

from .test_words import Spelled

WORDS = ("sun", "moon", "tree")
WALKS = np.array([[0, 1, 2, 0], [2, 2, 1, 0]])


class Started(Spelled):
    bos_token = 7


@pytest.mark.parametrize("separator", ["", ",", " ->"])
@pytest.mark.parametrize("prefix", ["none", "ab", "words"])
def test_words_stand_where_it_says_and_laws_are_read_after_the_separator(separator, prefix):
    tokenizer = Spelled(*WORDS)
    p = graph_prompts(tokenizer, WORDS, WALKS, prefix=prefix, separator=separator)
    np.testing.assert_array_equal(p.tokens[:, p.item_at], WALKS + 10)
    after = tokenizer.encode(separator)
    for at, read in zip(p.item_at, p.read_at):
        assert p.tokens[0, at + 1 : read + 1].tolist() == after
    assert p.read_at[-1] == p.tokens.shape[1] - 1
    before = p.tokens[0, : p.item_at[0]].tolist()
    assert before == tokenizer.encode(p.prefix)
    if prefix == "words":
        assert "sun moon tree" in p.prefix


def test_the_list_is_in_the_chat_form_in_the_order_asked_for():
    p = graph_prompts(Spelled(*WORDS), WORDS, WALKS, listed=("tree", "sun", "moon"))
    asked = "Continue the sequence. Use only these words: tree sun moon."
    assert p.prefix == f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"


def test_a_start_token_comes_first_once_or_not_at_all():
    started = Started(*WORDS)
    assert graph_prompts(started, WORDS, WALKS, prefix="ab").tokens[0, :3].tolist() == [7, ord("a"), ord("b")]
    assert graph_prompts(started, WORDS, WALKS, prefix="\x07b").tokens[0, :2].tolist() == [7, ord("b")]
    assert graph_prompts(started, WORDS, WALKS, prefix="none", start="none").item_at[0] == 0
    assert graph_prompts(started, WORDS, WALKS, prefix="none", start=44).tokens[:, 0].tolist() == [44, 44]
    assert graph_prompts(Spelled(*WORDS), WORDS, WALKS, prefix="none").item_at[0] == 0


@pytest.mark.parametrize(
    ("walks", "options", "said"),
    [
        (np.zeros((0, 4), int), {}, "shape (0, 4)"),
        (np.zeros((2, 0), int), {}, "shape (2, 0)"),
        (np.zeros(4, int), {}, "shape (4,)"),
        (np.array([[0, 3]]), {}, "node 3 and 3 words"),
        (np.array([[0, -1]]), {}, "node -1 and 3 words"),
        (WALKS, {"prefix": "none", "separator": ",", "context": 7}, "8 tokens"),
    ],
)
def test_what_cannot_be_read_is_refused(walks, options, said):
    with pytest.raises(InputError) as caught:
        graph_prompts(Spelled(*WORDS), WORDS, walks, **options)
    assert said in str(caught.value)


def test_a_sequence_that_is_too_long_is_told_how_many_words_fit():
    with pytest.raises(InputError, match="Shorten them to 2 words"):
        graph_prompts(Spelled(*WORDS), WORDS, WALKS, prefix="abc", context=5)


@pytest.mark.parametrize("what", ["prefix", "separator"])
def test_text_that_the_tokenizer_drops_is_refused(what):
    class Dropping(Spelled):
        def encode(self, text):
            return [] if text == "\t" else super().encode(text)

    with pytest.raises(InputError, match=f"the {what} '.*' without any token"):
        graph_prompts(Dropping(*WORDS), WORDS, WALKS, **{what: "\t"})
