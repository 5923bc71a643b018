"""Rows of several channels: as the tokenizer writes them, and the chain rule of their laws."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.codec import number_codec
from llmworld_jax.errors import InputError
from llmworld_jax.laws import number_laws
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.readout import logits
from llmworld_jax.multivariate import InterleavedCodec, channel_laws, interleaved, separate
from llmworld_jax.numerals import Numerals

RANGES = (Numerals(2, 0.0, 1.0), Numerals(2, -50.0, 50.0))
CODES = np.array([[12, 34], [56, 7], [0, 99], [50, 50]])
rows_of_codes = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def codec(single_tokenizer) -> InterleavedCodec:
    return interleaved(single_tokenizer, RANGES, start=0)


def test_rows_are_written_as_the_tokenizer_writes_them(regular_tokenizer) -> None:
    """One token a digit, several, and a blank in front; separators of one and of several tokens."""
    for within, between in ((",", ";"), (", ", ";"), (",", ",")):
        c = interleaved(regular_tokenizer, RANGES, within=within, between=between)
        text = f"12{within}34{between}56{within}07{between}00{within}99{between}50{within}50{between}"
        assert c.text(CODES) == text
        prompt = c.prompt(CODES)
        assert prompt.tokens.tolist() == regular_tokenizer.encode(text)
        np.testing.assert_array_equal(c.codes(prompt.tokens), CODES)
        numbers = [prompt.tokens[at : at + c.channels[0].depth].tolist() for at in prompt.item_at]
        assert [regular_tokenizer.decode(n).strip() for n in numbers] == [f"{n:02d}" for n in CODES.ravel()]


@settings(max_examples=20, deadline=None)
@given(rows=rows_of_codes)
def test_codes_and_tokens_are_two_ways_to_say_the_same(codec: InterleavedCodec, single_tokenizer, rows: list) -> None:
    codes = np.array(rows)
    prompt = codec.prompt(codes)
    np.testing.assert_array_equal(codec.codes(prompt.tokens), codes)
    assert single_tokenizer.encode(codec.text(codes)) == prompt.tokens[1:].tolist()
    assert len(prompt.item_at) == codes.size
    np.testing.assert_array_equal(codec.encode(codec.decode(codes)), codes)


def test_every_channel_has_its_own_range(codec: InterleavedCodec) -> None:
    values = np.array([[0.125, -37.5], [0.995, 49.9]])
    np.testing.assert_array_equal(codec.encode(values), [[12, 12], [99, 99]])
    np.testing.assert_allclose(codec.decode(codec.encode(values)), [[0.125, -37.5], [0.995, 49.5]])
    np.testing.assert_array_equal(codec.edges(), [n.edges() for n in RANGES])
    assert [c["low"] for c in codec.describe()["channels"]] == [0.0, -50.0]
    with pytest.raises(InputError, match="index 1"):
        codec.encode(np.array([[0.1, 0.0], [0.2, 51.0]]))


class JoinsRows:
    """Writes "4;5", which no separator shows by itself, as one token wherever a comma stands before it."""

    def __init__(self, tokenizer) -> None:
        self.inner, self.vocab_size, self.bos_token = tokenizer, tokenizer.vocab_size, tokenizer.bos_token

    def encode(self, text: str) -> list[int]:
        ids = self.inner.encode(text)
        joined, (a, b, c) = self.inner.encode("a"), self.inner.encode("4;5")
        at = next((i for i in range(2, len(ids)) if ids[i : i + 3] == [a, b, c] and "," in text), None)
        return ids if at is None else ids[:at] + joined + ids[at + 3 :]

    def decode(self, ids: list[int]) -> str:
        return self.inner.decode(ids)


def test_separators_that_join_are_refused(merging_tokenizer, single_tokenizer) -> None:
    with pytest.raises(InputError, match="separator ','"):
        interleaved(merging_tokenizer, [Numerals(1, 0, 1)] * 2)
    c = interleaved(merging_tokenizer, [Numerals(1, 0, 1)] * 2, within="-", between=";")
    assert c.text(np.array([[1, 2], [3, 4]])) == "1-2;3-4;"
    with pytest.raises(InputError, match="tokens of their own in whole rows"):
        interleaved(JoinsRows(single_tokenizer), RANGES)


def test_forced_digits_are_verified_by_decoding(chunk_tokenizer) -> None:
    c = interleaved(chunk_tokenizer, RANGES, scheme="single")
    assert c.channels[0].scheme == "forced_single"
    assert chunk_tokenizer.decode(c.prompt(CODES).tokens.tolist()) == c.text(CODES)


@pytest.mark.parametrize(
    "numerals", [[], [Numerals(1, 0, 1), Numerals(2, 0, 1)], [Numerals(1, 0, 1, base=4), RANGES[0]]]
)
def test_channels_that_do_not_share_a_digit_trie_are_refused(numerals: list, single_tokenizer) -> None:
    for make in (interleaved, separate):
        with pytest.raises(InputError, match="one base and precision"):
            make(single_tokenizer, numerals)


def test_what_is_no_series_of_rows_is_refused(codec: InterleavedCodec) -> None:
    for wrong in (CODES[:, :1], CODES[:0], CODES.ravel()):
        with pytest.raises(InputError, match=r"\[time, channel\] with 2 channels"):
            codec._checked(wrong)
    with pytest.raises(InputError, match="6 a row"):
        codec.codes(codec.prompt(CODES).tokens[:-1])


# Laws, on a tiny model that reads the single tokenizer's ids.


BASE_3 = (Numerals(2, 0.0, 1.0, base=3), Numerals(2, 5.0, 6.0, base=3))
SERIES = np.random.default_rng(0).integers(0, 9, (4, 2))


@pytest.fixture(scope="module")
def tiny(tiny_llama: Callable, single_tokenizer) -> Llama:
    return tiny_llama(vocab_size=single_tokenizer.vocab_size)


def test_the_laws_of_a_row_multiply_to_its_joint_law(tiny: Llama, single_tokenizer) -> None:
    """p(x | past) p(y | x, past) of the last row, by running each of the 81 rows that it could be as plain text."""
    c = interleaved(single_tokenizer, BASE_3, start=0)
    found = channel_laws(tiny, c, SERIES)
    assert found.log_mass.shape == (4, 2, 9)
    np.testing.assert_array_equal(found.edges, [n.edges() for n in BASE_3])
    ends = np.stack(np.unravel_index(np.arange(81), (9, 9)), axis=1)
    rows = np.stack([c.prompt(np.vstack((SERIES[:-1], end))).tokens for end in ends])
    at = c.prompt(SERIES).item_at[-2:]

    @jax.jit
    def joint(model, tokens):
        scores = logits(model, forward(model, tokens).hidden)
        levels = jnp.asarray(c.channels[0].levels)
        places = jnp.stack((at[0], at[0] + 1, at[1], at[1] + 1))
        law = jax.nn.log_softmax(scores[places - 1][jnp.arange(4)[:, None], levels[jnp.arange(4) % 2]], axis=-1)
        return jnp.sum(jnp.where(levels[jnp.arange(4) % 2] == tokens[places][:, None], law, 0))

    table = np.asarray(jax.vmap(joint, (None, 0))(tiny, rows), np.float64).reshape(9, 9)
    np.testing.assert_allclose(np.exp(table).sum(), 1, atol=1e-5)
    x, y = SERIES[-1]
    np.testing.assert_allclose(np.exp(found.log_mass[-1, 0]), np.exp(table).sum(1), atol=1e-5)
    np.testing.assert_allclose(np.exp(found.log_mass[-1, 1]), np.exp(table[x]) / np.exp(table[x]).sum(), atol=1e-5)
    np.testing.assert_allclose(found.log_mass[-1, 0, x] + found.log_mass[-1, 1, y], table[x, y], atol=5e-5)


def test_separate_channels_are_read_as_by_themselves(tiny: Llama, single_tokenizer) -> None:
    c = separate(single_tokenizer, BASE_3)
    found = channel_laws(tiny, c, SERIES)
    assert np.isnan(found.log_mass[0]).all()
    assert np.isnan(found.off_grid[0]).all()
    for i, numerals in enumerate(BASE_3):
        one = number_codec(single_tokenizer, numerals)
        alone = number_laws(tiny, one, one.prompt(SERIES[:, i]))
        np.testing.assert_array_equal(found.edges[i], alone.edges)
        np.testing.assert_allclose(np.exp(found.log_mass[1:, i]), np.exp(alone.log_mass[1:]), atol=1e-5)
        np.testing.assert_allclose(found.off_grid[1:, i], alone.off_grid[1:], atol=1e-5)


def test_one_channel_interleaved_is_a_plain_series(tiny: Llama, single_tokenizer) -> None:
    c = interleaved(single_tokenizer, BASE_3[:1], between=",")
    one = number_codec(single_tokenizer, BASE_3[0])
    plain, rows = one.prompt(SERIES[:, 0]), c.prompt(SERIES[:, :1])
    np.testing.assert_array_equal(plain.tokens, rows.tokens)
    np.testing.assert_array_equal(plain.item_at, rows.item_at)
    assert dataclasses.asdict(c.channels[0]) == dataclasses.asdict(one)


def test_laws_of_half_a_row_cannot_be_split(tiny: Llama, single_tokenizer) -> None:
    c = interleaved(single_tokenizer, BASE_3, start=0)
    prompt = c.prompt(SERIES)
    laws = number_laws(tiny, c.channels[0], prompt)
    half = laws._replace(log_mass=laws.log_mass[:-1], off_grid=laws.off_grid[:-1])
    np.testing.assert_array_equal(c.split(laws).log_mass[1, 1], laws.log_mass[3])
    with pytest.raises(InputError, match="7 items with 2 channels"):
        c.split(half)
