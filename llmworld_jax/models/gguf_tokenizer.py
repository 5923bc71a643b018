"""The tokenizer inside a GGUF file, rebuilt: byte-level BPE with a known pre-tokenizer."""

from collections.abc import Mapping
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from ..errors import InputError

_CONTROL, _USER_DEFINED = 3, 4

_LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _smollm() -> pre_tokenizers.PreTokenizer:
    """Digits one by one, then GPT-2's words."""
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )


def _llama3() -> pre_tokenizers.PreTokenizer:
    """Llama-3's words, in which up to three digits stay together."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_LLAMA3_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


PRE_TOKENIZERS = {"smollm": _smollm, "llama-bpe": _llama3}
"""``tokenizer.ggml.pre`` -> pre-tokenizer."""


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> Tokenizer:
    """Build the tokenizer; control tokens become special tokens. No BOS is ever added by it.

    Raises:
        InputError: not a byte-level BPE of a known pre-tokenizer, or inconsistent.
    """
    kind, pre = metadata.get("tokenizer.ggml.model"), metadata.get("tokenizer.ggml.pre")
    if kind != "gpt2" or not isinstance(pre, str) or pre not in PRE_TOKENIZERS:
        raise InputError(
            f"a GGUF file with a tokenizer of model {kind!r} and pre-tokenizer {pre!r}",
            f"model 'gpt2' and one of {sorted(PRE_TOKENIZERS)}",
            "Use the Hugging Face folder of this model, which has its tokenizer.json",
        )
    tokens = _list(metadata, "tokens", str)
    types = _list(metadata, "token_type", int)
    merges = [tuple(merge.split(" ")) for merge in _list(metadata, "merges", str)]
    vocab = {token: i for i, token in enumerate(tokens)}
    if len(vocab) != len(tokens) or len(types) != len(tokens) or any(len(merge) != 2 for merge in merges):
        raise _refusal("repeated tokens, a merge that is not a pair, or token types of another number")
    try:
        bpe = models.BPE(vocab=vocab, merges=merges, ignore_merges=pre == "llama-bpe")
    except Exception as error:  # tokenizers raises bare Exception
        raise _refusal(str(error)) from error
    tokenizer = Tokenizer(bpe)
    tokenizer.pre_tokenizer = PRE_TOKENIZERS[pre]()
    tokenizer.decoder = decoders.ByteLevel()
    added = [(t, AddedToken(t, normalized=False, special=True)) for t, k in zip(tokens, types) if k == _CONTROL]
    tokenizer.add_special_tokens([token for _, token in added])
    own = [AddedToken(t, normalized=False) for t, k in zip(tokens, types) if k == _USER_DEFINED]
    tokenizer.add_tokens(own)
    if tokenizer.get_vocab() != vocab:
        raise _refusal("special tokens that are not in the vocabulary")
    return tokenizer


def _list(metadata: Mapping[str, Any], key: str, kind: type) -> list[Any]:
    value = metadata.get(f"tokenizer.ggml.{key}")
    if not isinstance(value, list) or not all(type(item) is kind for item in value):
        raise _refusal(f"tokenizer.ggml.{key} missing or of the wrong type")
    return value


def _refusal(why: str) -> InputError:
    return InputError(f"a GGUF file with a damaged tokenizer ({why})", "a consistent vocabulary", "Download it again")
