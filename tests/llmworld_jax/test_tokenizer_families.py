"""Codec and tree with a tokenizer of every kind that the served families have, each read from a folder as theirs are.

Small vocabularies, but normalisers, pre-tokenisers, decoders and post-processors are those of the published
``tokenizer.json`` files.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from llmworld_jax.codec import NumberCodec, WrappedTokenizer, number_codec
from llmworld_jax.laws import number_laws, with_forecast
from llmworld_jax.models.catalogue import load_tokenizer
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.readout import logits
from llmworld_jax.numerals import Numerals
from llmworld_jax.vocabulary import digit_tokens

pytestmark = pytest.mark.once

WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""Of Llama-3 and of Qwen, which differ in how many digits stay together."""


def byte_level(
    split: pre_tokenizers.PreTokenizer, special: str, chunks: tuple[str, ...] = (), use_regex: bool = False
) -> Tokenizer:
    """All bytes, some words and separators joined, special tokens at the end."""
    merges = [("t", "h"), ("th", "e"), (",", ","), ("Ġ", "Ġ"), ("Ġ", "the"), ("Ġ", ","), (",", "Ċ"), ("Ċ", "Ċ")]
    texts = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *("".join(pair) for pair in merges), *chunks]
    bpe = models.BPE(vocab={text: i for i, text in enumerate(texts)}, merges=merges, ignore_merges=bool(chunks))
    tokenizer = Tokenizer(bpe)
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, last])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_special_tokens([AddedToken(special, normalized=False, special=True)])
    return tokenizer


def sentencepiece(special: tuple[str, ...], strip: bool) -> Tokenizer:
    """A converted SentencePiece model: bytes to fall back on, digits that are in no merge."""
    merges = [("▁", "▁"), ("▁", ","), ("t", "h"), ("th", "e"), ("▁", "the"), ("▁▁", "▁▁")]
    texts = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *("".join(pair) for pair in merges)]
    texts += ["▁", *"the,;", *"8213490756"]
    bpe = models.BPE(
        vocab={text: i for i, text in enumerate(texts)}, merges=merges, unk_token="<unk>", fuse_unk=True,
        byte_fallback=True,
    )  # fmt: skip
    tokenizer = Tokenizer(bpe)
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)] if strip else steps)
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, special=True) for text in special])
    return tokenizer


def starting(tokenizer: Tokenizer, bos: str) -> Tokenizer:
    """One that puts its beginning-of-text token in front of a text, if it is let."""
    template = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))])
    byte_level = isinstance(tokenizer.post_processor, processors.ByteLevel)
    before = [tokenizer.post_processor] if byte_level else []
    tokenizer.post_processor = processors.Sequence([*before, template])
    return tokenizer


def llama2() -> Tokenizer:
    """And Mistral v0.1, TinyLlama: "▁" before every text."""
    tokenizer = sentencepiece(("<unk>", "<s>", "</s>"), strip=True)
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return starting(tokenizer, "<s>")


def llama2_metaspace() -> Tokenizer:
    """As newer conversions write it, Mistral v0.3 among them: "▁" before a text that does not begin with a blank."""
    tokenizer = sentencepiece(("<unk>", "<s>", "</s>"), strip=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    return starting(tokenizer, "<s>")


def gemma2() -> Tokenizer:
    tokenizer = sentencepiece(("<pad>", "<eos>", "<bos>", "<unk>"), strip=False)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    return starting(tokenizer, "<bos>")


def gemma2_split() -> Tokenizer:
    """Its digits kept apart by a pre-tokeniser as well, and a word of two digits that can never be written."""
    tokenizer = gemma2()
    digits = pre_tokenizers.Split(Regex(r"\p{N}"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "merged_with_previous"), digits])
    content = json.loads(tokenizer.to_str())
    content["model"]["vocab"]["12"] = tokenizer.get_vocab_size()
    content["model"]["merges"].insert(0, ["1", "2"])
    return Tokenizer.from_str(json.dumps(content))


def llama3() -> Tokenizer:
    chunks = tuple(f"{n:0{width}d}" for width in (3, 2) for n in range(10**width))
    split = pre_tokenizers.Split(Regex(WORDS % r"\p{N}{1,3}"), "isolated")
    return starting(byte_level(split, "<|begin_of_text|>", chunks), "<|begin_of_text|>")


def qwen() -> Tokenizer:
    """Qwen2, 2.5 and 3."""
    tokenizer = byte_level(pre_tokenizers.Split(Regex(WORDS % r"\p{N}"), "isolated"), "<|endoftext|>")
    tokenizer.normalizer = normalizers.NFC()
    return tokenizer


def smollm2() -> Tokenizer:
    return byte_level(pre_tokenizers.Digits(individual_digits=True), "<|im_start|>", use_regex=True)


class Style(NamedTuple):
    """A tokenizer, what tokenizer_config.json says is its beginning, and what is to be found."""

    build: Callable[[], Tokenizer]
    bos: str | None
    kind: str
    texts: int
    lead: tuple[str, ...] = ()


STYLES = {
    "llama2": Style(llama2, "<s>", "single", 20, ("▁",)),
    "llama2_metaspace": Style(llama2_metaspace, "<s>", "single", 20, ("▁",)),
    "gemma2": Style(gemma2, "<bos>", "single", 20),
    "gemma2_split": Style(gemma2_split, "<bos>", "irregular", 21),
    "llama3": Style(llama3, "<|begin_of_text|>", "chunk3", 1110),
    "qwen": Style(qwen, None, "single", 10),
    "smollm2": Style(smollm2, "<|im_start|>", "single", 10),
}
SEPARATORS = (",", ", ", " ", ";", "\n", ",\n")


@pytest.fixture(scope="module")
def tokenizers_of(tmp_path_factory, tiny_llama) -> Callable[[str], WrappedTokenizer]:
    """By style, out of a folder."""
    made: dict[str, WrappedTokenizer] = {}

    def find(name: str) -> WrappedTokenizer:
        if name not in made:
            folder: Path = tmp_path_factory.mktemp(name)
            STYLES[name].build().save(str(folder / "tokenizer.json"))
            (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": STYLES[name].bos}))
            made[name] = load_tokenizer(folder, replace(tiny_llama().config, vocab_size=2000))
        return made[name]

    return find


@pytest.fixture(params=STYLES)
def style(request) -> str:
    return request.param


def unit(precision: int, base: int = 10) -> Numerals:
    return Numerals(precision, 0, 1, base)


def branch_of(style: str, precision: int) -> tuple[int, ...]:
    if style != "llama3":
        return (10,) * precision
    return (1000,) * (precision // 3) + ((10 ** (precision % 3),) if precision % 3 else ())


def test_the_tokenizer_is_as_it_should_be(style: str, tokenizers_of: Callable) -> None:
    """What its family does with digits and blanks; nothing in front but what is part of the text."""
    tokenizer = tokenizers_of(style)
    written = [tokenizer.tokenizer.id_to_token(i) for i in tokenizer.encode("the 1234,5 the")]
    blank = "Ġ" if style in ("llama3", "qwen", "smollm2") else "▁"
    digits = ["123", "4"] if style == "llama3" else list("1234")
    the = ["▁the"] if style.startswith("llama2") else ["the"]
    assert written == [*the, blank, *digits, ",", "5", f"{blank}the"]
    bos = STYLES[style].bos
    assert tokenizer.bos_token == (None if bos is None else tokenizer.tokenizer.token_to_id(bos))
    with_special = tokenizer.tokenizer.encode("the").ids
    expected = [tokenizer.bos_token] if style not in ("qwen", "smollm2") else []
    assert with_special == [*expected, *tokenizer.encode("the")]
    found = digit_tokens(tokenizer)
    assert (found.kind, len(found.texts)) == (STYLES[style].kind, STYLES[style].texts)


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("precision", [1, 2, 3, 4])
def test_series_are_written_as_the_tokenizer_writes_them(
    style: str, precision: int, separator: str, tokenizers_of: Callable
) -> None:
    tokenizer, codes = tokenizers_of(style), np.random.default_rng(precision).integers(0, 10**precision, 300)
    for start in ("none", "bos") if tokenizer.bos_token is not None else ("none", tokenizer.vocab_size - 1):
        codec = number_codec(tokenizer, unit(precision), separator, start=start)
        assert codec.branch == branch_of(style, precision)
        assert codec.scheme == ("chunk" if style == "llama3" and precision > 1 else "single")
        assert codec.vocabulary == STYLES[style].kind
        assert codec.lead_tokens == tuple(map(tokenizer.tokenizer.token_to_id, STYLES[style].lead))
        prompt = codec.prompt(codes)
        text = "".join(f"{code:0{precision}d}{separator}" for code in codes)
        assert prompt.tokens.tolist() == [*codec.start_tokens, *tokenizer.encode(text)]
        assert tokenizer.decode(prompt.tokens[len(codec.start_tokens) :].tolist()) == text
        np.testing.assert_array_equal(codec.codes(prompt.tokens), codes)
        for at, code in zip(prompt.item_at, codes, strict=True):
            assert tokenizer.decode(prompt.tokens[at : at + codec.depth].tolist()) == f"{code:0{precision}d}"


def test_single_digits_are_forced_where_the_tokenizer_joins_them(style: str, tokenizers_of: Callable) -> None:
    tokenizer = tokenizers_of(style)
    codec = number_codec(tokenizer, unit(3), ", ", scheme="single")
    assert codec.scheme == ("forced_single" if style == "llama3" else "single")
    assert codec.branch == (10, 10, 10)
    assert all(len(tokenizer.tokenizer.id_to_token(token)) == 1 for level in codec.levels for token in level)
    assert tokenizer.decode(codec.prompt(np.array([7, 120])).tokens.tolist()) == "007, 120, "


@jax.jit
def log_probabilities(model: Llama, sequences):
    """Of the whole vocabulary after every token of every sequence, each read from its beginning."""
    return jax.vmap(lambda tokens: jax.nn.log_softmax(logits(model, forward(model, tokens).hidden)))(sequences)


def brute_force(
    model: Llama, tokenizer: WrappedTokenizer, codec: NumberCodec, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The law after some items and the mass off the grid, from texts: every number written out and read whole.

    Of the codec only the spelling of numbers and the number of tokens are used.
    """
    size, precision = codec.numerals.num_bins, codec.numerals.precision
    numbers = [np.base_repr(n, codec.numerals.base).zfill(precision) for n in range(size)]
    earlier = [numbers[code] for code in before]

    def ids(number: str) -> list[int]:
        if codec.scheme == "forced_single":
            pieces = [character for item in (*earlier, number) for character in (*item, codec.separator)]
            return [token for piece in pieces for token in tokenizer.encode(piece)]
        return tokenizer.encode("".join(item + codec.separator for item in (*earlier, number)))

    sequences = np.array([[*codec.start_tokens, *ids(number)] for number in numbers], np.int32)
    end = sequences.shape[1] - len(codec.separator_tokens)
    sequences = np.pad(sequences, ((0, 0), (0, LONGEST - sequences.shape[1])))  # of one shape, to compile it once
    places = range(end - codec.depth, end)
    assert all(tokenizer.decode(row[list(places)].tolist()) == number for row, number in zip(sequences, numbers))
    scores = np.asarray(log_probabilities(model, sequences), np.float64)
    law, legal = np.zeros(size), np.zeros(size)
    for place in places:
        children = np.unique(sequences[:, place])
        step = scores[np.arange(size), place - 1, sequences[:, place]]
        law += step - np.log(np.exp(scores[:, place - 1][:, children]).sum(-1))
        legal += step
    return law, 1 - np.exp(legal).sum()


LAYOUTS = {"comma": (",", "bos", unit(2)), "blank": (" ", "bos", unit(2)), "no_start": (", ", "none", unit(3, 4))}
VOCABULARY, LONGEST = 1500, 24


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", [*STYLES, "llama3_forced"])
def test_the_tree_equals_writing_out_every_number(
    name: str, layout: str, tokenizers_of: Callable, tiny_llama: Callable
) -> None:
    """After every item and at the end; with Llama-3 a token of three digits and one of the fourth."""
    tokenizer, (separator, start, numerals) = tokenizers_of(name.removesuffix("_forced")), LAYOUTS[layout]
    numerals = unit(4, 3) if name == "llama3" else numerals
    first = start if start == "none" or tokenizer.bos_token is not None else tokenizer.vocab_size - 1
    scheme = "single" if name.endswith("_forced") else "auto"
    codec = number_codec(tokenizer, numerals, separator, scheme, first)
    assert (codec.start_tokens == ()) == (start == "none")
    assert codec.branch == {"llama3": (27, 3)}.get(name, (numerals.base,) * numerals.precision)
    codes = np.random.default_rng(1).integers(0, numerals.num_bins, 3)
    with jax.enable_x64(True):
        model = tiny_llama(vocab_size=VOCABULARY, dtype=jnp.float64)
        laws = number_laws(model, codec, with_forecast(codec.prompt(codes)))
        for t in range(4):
            if t == 0 and not codec.prefix_tokens:
                assert np.isnan(laws.log_mass[0]).all()
                continue
            log_mass, off_grid = brute_force(model, tokenizer, codec, codes[:t])
            np.testing.assert_allclose(laws.log_mass[t], log_mass, rtol=0, atol=1e-9)
            np.testing.assert_allclose(laws.off_grid[t], off_grid, rtol=0, atol=1e-11)
            assert np.ptp(log_mass) > 0.1
