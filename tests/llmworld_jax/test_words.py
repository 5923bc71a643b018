"""Words are one token each and all different, or named."""

import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.words import DAYS, GRID_WORDS, POOL, placed_words, word_ids


class Spelled:
    """Known words are one token; any other text is as many as it has letters."""

    vocab_size, bos_token = 500, None

    def __init__(self, *words: str, same: tuple[str, ...] = ()) -> None:
        self.ids = {f" {word}": 10 + k for k, word in enumerate(words)} | {f" {word}": 9 for word in same}

    def encode(self, text):
        return [self.ids[text]] if text in self.ids else [ord(c) for c in text]

    def decode(self, ids):
        return "".join(map(chr, ids))


def test_ids_in_the_order_of_the_words():
    ids = word_ids(Spelled("sun", "moon", "tree"), ("tree", "sun"))
    np.testing.assert_array_equal(ids, [12, 10])
    assert ids.dtype == np.int32


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sun", "sunny"), "'sunny' (6 tokens)"),
        (("sun", "moon", "sun"), "sun more than once"),
        (("here", "there"), "here, there with one token"),
    ],
)
def test_offenders_are_named(words, said):
    with pytest.raises(InputError) as caught:
        word_ids(Spelled("sun", "moon", same=("here", "there")), words)
    assert said in str(caught.value)


def test_a_placement_is_a_choice_without_repeats_that_a_seed_gives_again():
    placed = placed_words(3, 16)
    assert len(set(placed)) == 16
    assert set(placed) <= set(POOL)
    assert placed == placed_words(3, 16) != placed_words(4, 16)
    with pytest.raises(InputError, match="at most 2"):
        placed_words(0, 3, ("sun", "moon"))


def test_the_pool_has_no_word_twice_and_begins_with_the_papers():
    assert POOL[:16] == GRID_WORDS
    assert len(set(POOL)) == len(POOL) >= 49


@pytest.mark.slow
@pytest.mark.model
def test_every_word_is_one_token_of_the_default_model():
    from llmworld_jax.models.catalogue import load

    tokenizer = load().tokenizer
    assert len(set(word_ids(tokenizer, POOL).tolist())) == len(POOL)
    assert word_ids(tokenizer, DAYS).tolist() == [12397, 14801, 15083, 14963, 11655, 14986, 10528]
