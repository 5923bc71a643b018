"""The codec writes what the tokenizer writes, for every number, or refuses and says which one it cannot."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax.codec import WrappedTokenizer, number_codec
from llmworld_jax.errors import InputError
from llmworld_jax.numerals import Numerals
from llmworld_jax.vocabulary import Tokenizer, digit_tokens


def unit(precision, base=10):
    return Numerals(precision, 0, 1, base)


class Counting:
    """A tokenizer that counts how often it is asked."""

    def __init__(self, tokenizer):
        self.tokenizer, self.calls = tokenizer, Counter()
        self.vocab_size, self.bos_token = tokenizer.vocab_size, tokenizer.bos_token

    def encode(self, text):
        self.calls["encode"] += 1
        return self.tokenizer.encode(text)

    def decode(self, ids):
        self.calls["decode"] += 1
        return self.tokenizer.decode(ids)


def test_wrapped_tokenizers_add_and_drop_nothing(chunk_tokenizer):
    assert isinstance(chunk_tokenizer, Tokenizer)
    assert chunk_tokenizer.encode("") == []
    bos = chunk_tokenizer.bos_token
    assert chunk_tokenizer.decode([bos, *chunk_tokenizer.encode("1,")]) == "<|begin_of_text|>1,"
    chunk_tokenizer.tokenizer.enable_truncation(2)
    again = WrappedTokenizer(chunk_tokenizer.tokenizer)
    assert len(again.encode("1,2,3,")) == 6


@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("single", "single", 10),
        ("sentencepiece", "single", 20),  # byte fall-back: <0x31> reads "1" too
        ("chunk", "chunk3", 1110),
        ("irregular", "irregular", 13),
        ("split_first", "irregular", 11),
    ],
)
def test_digit_tokens_are_found_by_decoding(request, name, kind, count):
    tokenizer = request.getfixturevalue(f"{name}_tokenizer")
    found = digit_tokens(tokenizer)
    assert (found.kind, len(found.texts)) == (kind, count)
    brute = {i: tokenizer.decode([i]) for i in range(tokenizer.vocab_size)}
    assert found.texts == {i: text for i, text in brute.items() if text.isascii() and text.isdigit()}


@pytest.mark.parametrize(
    ("name", "precision", "separator", "scheme", "branch"),
    [
        ("single", 1, "", "single", (10,)),
        ("single", 3, ",", "single", (10, 10, 10)),
        ("single", 5, ", ", "single", (10,) * 5),
        ("sentencepiece", 2, ",", "single", (10, 10)),
        ("sentencepiece", 1, "", "single", (10,)),
        ("split_first", 2, ",", "single", (10, 10)),
        ("chunk", 1, ",", "single", (10,)),
        ("chunk", 2, ",", "chunk", (100,)),
        ("chunk", 3, " ; ", "chunk", (1000,)),
        ("chunk", 4, ",", "chunk", (1000, 10)),
        ("chunk", 6, ",", "chunk", (1000, 1000)),
        ("irregular", 1, ",", "single", (10,)),
        ("merging", 2, ";", "single", (10, 10)),
    ],
)
def test_prompts_are_what_the_tokenizer_writes(request, name, precision, separator, scheme, branch):
    tokenizer = request.getfixturevalue(f"{name}_tokenizer")
    codec = number_codec(tokenizer, unit(precision), separator)
    assert (codec.scheme, codec.branch, codec.depth) == (scheme, branch, len(branch))
    codes = np.random.default_rng(0).integers(0, 10**precision, 2000)
    text = "".join(f"{code:0{precision}d}{separator}" for code in codes)
    assert codec.text(codes) == text
    tokens = codec.prompt(codes).tokens
    assert tokens.tolist() == tokenizer.encode(text)
    np.testing.assert_array_equal(codec.codes(tokens), codes)


@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_codes_come_back_whatever_the_layout(regular_tokenizer, data):
    base = data.draw(st.integers(2, 10))
    numerals = unit(data.draw(st.integers(1, 4)), base)
    codec = number_codec(
        regular_tokenizer,
        numerals,
        separator=data.draw(st.sampled_from([",", ";", ", "])),
        scheme=data.draw(st.sampled_from(["auto", "single"])),
        start=data.draw(st.sampled_from(["none", 3, (4, 4)])),
    )
    assert np.prod(codec.branch) == numerals.num_bins
    codes = np.array(data.draw(st.lists(st.integers(0, numerals.num_bins - 1), min_size=1, max_size=30)))
    prompt = codec.prompt(codes)
    np.testing.assert_array_equal(codec.codes(prompt.tokens), codes)
    tail = prompt.tokens[len(codec.prefix_tokens) :].tolist()
    assert regular_tokenizer.decode(tail) == codec.text(codes)


def test_leaves_of_the_trie_are_in_numeric_order(chunk_tokenizer):
    codec = number_codec(chunk_tokenizer, unit(4))
    for code in (0, 9, 10, 1234, 9999):
        first, second = np.unravel_index(code, codec.branch)
        ids = [codec.levels[0][first], codec.levels[1][second]]
        assert chunk_tokenizer.decode(ids) == f"{code:04d}"
    assert sorted(codec.levels[0]) != list(codec.levels[0])  # ids are shuffled: gather, never slice


def test_leading_tokens_are_measured(sentencepiece_tokenizer, single_tokenizer):
    lead = number_codec(sentencepiece_tokenizer, unit(2), start="bos")
    underline = sentencepiece_tokenizer.tokenizer.token_to_id("▁")
    assert lead.prefix_tokens == (sentencepiece_tokenizer.bos_token, underline)
    assert lead.prompt(np.array([12])).tokens.tolist()[:2] == list(lead.prefix_tokens)
    assert number_codec(single_tokenizer, unit(2)).prefix_tokens == ()


def test_single_digits_can_be_forced_on_a_tokenizer_that_joins_them(chunk_tokenizer, irregular_tokenizer):
    for tokenizer in (chunk_tokenizer, irregular_tokenizer):
        codec = number_codec(tokenizer, unit(3), scheme="single")
        assert (codec.scheme, codec.branch) == ("forced_single", (10, 10, 10))
        tokens = codec.prompt(np.array([123, 120])).tokens.tolist()
        assert tokenizer.decode(tokens) == "123,120,"
        assert tokens != tokenizer.encode("123,120,")
        symbols = number_codec(tokenizer, Numerals(1, 0, 4, 4), separator="", scheme="single")
        assert symbols.scheme == "forced_single"
        assert tokenizer.decode(symbols.prompt(np.array([1, 2, 3])).tokens.tolist()) == "123"
    assert number_codec(chunk_tokenizer, unit(1), scheme="single").scheme == "single"


def test_ids_of_off_grid_mass_are_known(chunk_tokenizer):
    codec = number_codec(chunk_tokenizer, unit(2))
    assert codec.stop_tokens == codec.separator_tokens == tuple(chunk_tokenizer.encode(","))
    others = set(codec.digit_tokens) - set(codec.levels[0])
    assert {len(chunk_tokenizer.decode([i])) for i in others} == {1, 3}


def test_a_codec_is_static_and_says_what_it_is(chunk_tokenizer):
    codec, again = (number_codec(chunk_tokenizer, unit(3), start="bos") for _ in range(2))
    assert codec == again
    assert hash(codec) == hash(again)
    assert codec != number_codec(chunk_tokenizer, unit(3))
    said = json.loads(json.dumps(codec.describe()))
    assert said["levels"] == [list(codec.levels[0])]
    expected = {
        "scheme",
        "precision",
        "base",
        "low",
        "high",
        "separator",
        "start_tokens",
        "lead_tokens",
        "levels",
    }
    assert expected <= set(said)


def test_construction_asks_the_tokenizer_rarely(chunk_tokenizer):
    counting = Counting(chunk_tokenizer)
    number_codec(counting, unit(3))
    assert counting.calls["encode"] <= 20  # 1000 numbers in one text, and one a first digit
    assert counting.calls["decode"] < 3 * 1110 + 2 * chunk_tokenizer.vocab_size


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("irregular", {}, "'00' as .* but '01' as .*irregular.*precision 1"),
        ("irregular", {"scheme": "chunk"}, "cut at the same places"),
        ("irregular", {"numerals": unit(1), "separator": ""}, "'0' followed by.*scheme=\"single\""),
        ("irregular", {"numerals": Numerals(1, 0, 2, 2), "separator": ""}, "='00'"),
        ("chunk", {"numerals": unit(1), "separator": ""}, "'000' .*Give a separator"),
        ("single", {"scheme": "chunk"}, "a token a digit.*auto"),
        ("merging", {}, "'69' followed by the separator ',' written as .*=',7'.*\";\""),
        ("merging", {"scheme": "single"}, "',7'"),
        ("single", {"scheme": "beam"}, "scheme 'beam'"),
        ("single", {"separator": ""}, "2 digits a number"),
        ("single", {"separator": "0"}, "separator '0'"),
        ("single", {"start": "bos"}, 'no such token.*"none"'),
        ("single", {"start": "eos"}, "start 'eos'"),
        ("single", {"start": 10**6}, "start tokens 1000000"),
        ("single", {"start": (1, -1)}, r"start tokens \(1, -1\)"),
    ],
)
def test_what_cannot_be_written_is_refused_with_the_reason(request, name, arguments, message):
    tokenizer = request.getfixturevalue(f"{name}_tokenizer")
    with pytest.raises(InputError, match=message):
        number_codec(tokenizer, **{"numerals": unit(2), **arguments})


def test_a_lossy_tokenizer_is_refused(single_tokenizer):
    class Spaced(Counting):
        def decode(self, ids):
            return self.tokenizer.decode(ids).replace(",", ", ")

    with pytest.raises(InputError, match="decode to '00, 01"):
        number_codec(Spaced(single_tokenizer), unit(2))


def test_a_first_number_written_differently_is_refused(single_tokenizer):
    class Capital(Counting):
        def encode(self, text):
            ids = self.tokenizer.encode(text)
            return [7, *ids[1:]] if text[:1] == "3" else ids

    with pytest.raises(InputError, match="at the beginning of a text"):
        number_codec(Capital(single_tokenizer), unit(2))


def test_series_off_the_grid_and_foreign_tokens_are_refused(single_tokenizer):
    codec = number_codec(single_tokenizer, unit(2), start=3)
    for codes in (np.array([], dtype=np.int64), np.array([100]), np.array([-1])):
        with pytest.raises(InputError):
            codec.prompt(codes)
    tokens = codec.prompt(np.array([12, 34])).tokens
    for at, match in ((0, "starting"), (2, "item 0"), (6, "item 1")):
        foreign = tokens.copy()
        foreign[at] = 0
        with pytest.raises(InputError, match=match):
            codec.codes(foreign)
    with pytest.raises(InputError, match="3 tokens a number"):
        codec.codes(tokens[:-1])
