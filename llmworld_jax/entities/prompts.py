"""Prompts that name entities, and where in them each entity stands: known from how they are put together."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Int32

from ..errors import InputError
from ..vocabulary import WrappedTokenizer
from .prompt_kinds import PROMPT_KINDS, PromptKind, prompt_kinds
from .table import listed

__all__ = ["PROMPT_KINDS", "EntityPrompts", "PromptKind", "entity_prompts", "parse_entity_start", "prompt_kinds"]

#: Below it lie the special tokens of many vocabularies; the paper draws from here to the largest id that it sees.
_LEAST_RANDOM = 100
_WORDS = ("none", "bos", "newline")


class EntityPrompts(NamedTuple):
    """What a model reads of every entity, and the indices in it of the entity's first and last token."""

    tokens: tuple[Int32[np.ndarray, " position"], ...]
    first: Int[np.ndarray, " entity"]
    #: The probed token; always the last of the prompt.
    last: Int[np.ndarray, " entity"]


def parse_entity_start(start: str) -> str | int:
    """``none``, ``bos``, ``newline`` or a token id, as typed."""
    if start in _WORDS:
        return start
    try:
        return int(start)
    except ValueError:
        raise InputError(
            f"start token {start!r}", f"{', '.join(_WORDS)} or a token id", "Choose one of these"
        ) from None


def entity_prompts(
    tokenizer: WrappedTokenizer,
    texts: Sequence[str],
    kind: PromptKind,
    *,
    start: str | int = "newline",
    seed: int = 0,
    context: int | None = None,
    rows: Sequence[int] | Int[np.ndarray, " entity"] | None = None,
) -> EntityPrompts:
    """Start token, random tokens if the kind has any, and the tokens of prefix and entity joined.

    Prefix and entity are tokenised as one text, as a model meets them. The entity's tokens are those that hold a
    character of it; of the text before it the first of them may hold white space only.

    Args:
        start: "newline", "bos", "none" or an id, put in front as an id. Something must come before the name: a name
            of one token in the first position would be the attention sink, whose activations dwarf all others.
        seed: of the random tokens, uniform over the ids from 100 to the largest in these texts, that one excluded
            (from 0, where no id reaches 100).
        context: most tokens that a prompt may have.
        rows: lines of the entities in their file, for messages; else they are counted from 0.

    Raises:
        InputError: an unknown start token; a text that is empty, gets no token, shares a token with the prefix's
            words, or is longer than ``context``.
    """
    before = _start_ids(tokenizer, start)
    called = [f"entity {i}" for i in range(len(texts))] if rows is None else [f"line {row}" for row in rows]
    written = [kind.written(text) for text in texts]
    empty = [f"{called[i]}: {texts[i]!r}" for i, text in enumerate(written) if not text.strip()]
    if empty:
        raise InputError(f"{len(empty)} empty entities: {listed(empty)}", "a name each", "Leave these out")
    found = [_span(tokenizer, kind.prefix, text, name) for text, name in zip(written, called)]
    padding = _random_ids(found, kind.random_tokens, seed)
    tokens = tuple(np.array([*before, *noise, *span.ids], np.int32) for noise, span in zip(padding, found))
    shift = len(before) + kind.random_tokens
    most = np.inf if context is None else context
    long = [f"{called[i]} has {len(ids)}: {texts[i]!r}" for i, ids in enumerate(tokens) if len(ids) > most]
    if long:
        raise InputError(
            f"{len(long)} prompts that are too long: {listed(long)}",
            f"at most {context} tokens, the model's context",
            "Shorten the names or leave these out",
        )
    first = np.array([span.first for span in found], dtype=np.int64) + shift
    last = np.array([span.last for span in found], dtype=np.int64) + shift
    return EntityPrompts(tokens, first, last)


class _Span(NamedTuple):
    """Ids of prefix and entity, and the indices of the entity's first and last token."""

    ids: list[int]
    first: int
    last: int


def _span(tokenizer: WrappedTokenizer, prefix: str, text: str, name: str) -> _Span:
    ids, offsets = tokenizer.encode_with_offsets(prefix + text)
    inside = [i for i, (begin, end) in enumerate(offsets) if end > max(begin, len(prefix))]
    if not inside:
        raise InputError(
            f"{name}: {text!r}, to which the tokenizer gives no token", "text that it knows", "Leave this one out"
        )
    begin = offsets[inside[0]][0]
    if prefix[begin:].strip():
        raise InputError(
            f"{name}: {text!r}, whose first token holds {prefix[begin:]!r} of the prompt {prefix!r} too",
            "a token that begins with the entity or with white space before it",
            "End the prefix with a blank, or choose another",
        )
    if inside[-1] != len(ids) - 1:
        raise InputError(
            f"{name}: {text!r}, after which the tokenizer adds tokens", "an entity that ends its prompt", "Leave it out"
        )
    return _Span(ids, inside[0], inside[-1])


def _random_ids(found: list[_Span], count: int, seed: int) -> np.ndarray:
    if not count or not found:
        return np.zeros((len(found), 0), np.int64)
    largest = max(max(span.ids) for span in found)
    low = _LEAST_RANDOM if largest > _LEAST_RANDOM else 0
    return np.random.default_rng(seed).integers(low, max(largest, low + 1), (len(found), count))


def _start_ids(tokenizer: WrappedTokenizer, start: str | int) -> list[int]:
    if start == "none":
        return []
    if start == "bos":
        if tokenizer.bos_token is None:
            raise InputError('start="bos"', "a tokenizer with such a token", 'Use start="newline" or a token id')
        return [tokenizer.bos_token]
    if start == "newline":
        # SentencePiece puts "▁" before any text; the newline itself is the last
        newline = tokenizer.encode("\n")[-1:]
        if tokenizer.decode(newline) != "\n":
            raise InputError(
                'start="newline"', "a tokenizer with a token for a newline", 'Use start="bos" or a token id'
            )
        return newline
    if isinstance(start, str) or not 0 <= start < tokenizer.vocab_size:
        raise InputError(
            f"start={start!r}",
            f"{', '.join(_WORDS)} or a token id in 0 … {tokenizer.vocab_size - 1}",
            "Choose one of these",
        )
    return [int(start)]
