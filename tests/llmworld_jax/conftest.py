"""Small tokenizers of the kinds met in practice, built here: nothing is downloaded.

llmworld_jax is imported inside the fixtures, because jaxtyping's checker must be installed first.
"""

import random

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers


def _wrapped(tokenizer, bos=None):
    from llmworld_jax.codec import WrappedTokenizer

    return WrappedTokenizer(tokenizer, None if bos is None else tokenizer.token_to_id(bos))


def _byte_level(extra=(), merges=(), split=None, ignore_merges=False, seed=0):
    """Byte-level BPE whose ids are shuffled and have gaps: nothing may rely on their order."""
    texts = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *extra, *("".join(pair) for pair in merges)]
    ids = random.Random(seed).sample(range(1, 3 * len(texts)), len(texts))
    vocab = dict(zip(texts, ids))
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=list(merges), ignore_merges=ignore_merges))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level]) if split else byte_level
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def build_single():
    """SmolLM2: every digit a token of its own, no beginning-of-series token, nothing put in front."""
    merges = [(",", ","), ("t", "h"), ("th", "e")]
    return _wrapped(_byte_level(merges=merges, split=pre_tokenizers.Digits(individual_digits=True)))


def build_split_first():
    """The vocabulary has a token "12" that is never used, because digits are split before merging."""
    merges = [("1", "2"), (",", "1")]
    return _wrapped(_byte_level(merges=merges, split=pre_tokenizers.Digits(individual_digits=True)))


def build_chunk():
    """Llama-3: all strings of one to three digits are tokens, cut from the left."""
    chunks = [f"{n:0{width}d}" for width in (2, 3) for n in range(10**width)]
    split = pre_tokenizers.Split(Regex(r"\p{N}{1,3}|[^\p{N}]+"), "isolated")
    tokenizer = _byte_level(chunks, split=split, ignore_merges=True)
    tokenizer.add_special_tokens([AddedToken("<|begin_of_text|>", special=True)])
    return _wrapped(tokenizer, "<|begin_of_text|>")


def build_sentencepiece():
    """Llama-2: "▁" before a text, byte fall-back (so that two ids decode to each digit), single digits."""
    texts = [
        "<unk>",
        "<s>",
        "</s>",
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        ",",
        *"9876543210",
        *"abc",
    ]
    vocab = {text: i for i, text in enumerate(texts)}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("<s>", "</s>")])
    return _wrapped(tokenizer, "<s>")


def build_irregular():
    """GPT-2: "12" is a token, "13" is not."""
    return _wrapped(_byte_level(merges=[("1", "2"), ("0", "0"), ("12", "3")]))


def build_merging():
    """The comma joins a following 7; the semicolon joins nothing."""
    return _wrapped(_byte_level(merges=[(",", "7")]))


@pytest.fixture(scope="session")
def single_tokenizer():
    return build_single()


@pytest.fixture(scope="session")
def chunk_tokenizer():
    return build_chunk()


@pytest.fixture(scope="session")
def sentencepiece_tokenizer():
    return build_sentencepiece()


@pytest.fixture(scope="session")
def irregular_tokenizer():
    return build_irregular()


@pytest.fixture(scope="session")
def merging_tokenizer():
    return build_merging()


@pytest.fixture(scope="session")
def split_first_tokenizer():
    return build_split_first()


@pytest.fixture(scope="session", params=[build_single, build_chunk, build_sentencepiece])
def regular_tokenizer(request):
    return request.param()
