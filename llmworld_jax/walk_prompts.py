r"""Walks over words as token ids: a prefix, then ``" word" separator`` for each item, never re-tokenised.

The law of the item after item t is read at ``read_at[t]``: the last token of its separator, or the item itself.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .errors import InputError
from .vocabulary import Tokenizer
from .words import word_ids

SEPARATORS = ("", ",", "\n", ".", " ->")
CHAT = "<|im_start|>user\nContinue the sequence. Use only these words: {words}.<|im_end|>\n<|im_start|>assistant\n"


class GraphPrompts(NamedTuple):
    """Sequences of one length over one placement of words.

    ``tokens`` ``[walk, position]`` int32; ``item_at`` ``[time]`` is where item t stands and ``read_at`` ``[time]``
    where the law of item t + 1 is read, the same in every walk. ``prefix`` is the text before the first word.
    """

    tokens: np.ndarray
    item_at: np.ndarray
    read_at: np.ndarray
    words: tuple[str, ...]
    prefix: str


def prefix_text(prefix: str, listed: Sequence[str]) -> str:
    """``none`` is empty, ``words`` the words once, ``list`` the same in the chat form; anything else is the text."""
    if prefix == "none":
        return ""
    if prefix == "words":
        return f"Use only these words: {' '.join(listed)}.\n"
    if prefix == "list":
        return CHAT.format(words=" ".join(listed))
    return prefix


def graph_prompts(
    tokenizer: Tokenizer,
    words: Sequence[str],
    walks: np.ndarray,
    *,
    prefix: str = "list",
    separator: str = "",
    listed: Sequence[str] | None = None,
    start: str | int = "bos",
    context: int | None = None,
) -> GraphPrompts:
    """What the model reads of ``walks [walk, time]`` (node indices into ``words``).

    Args:
        prefix: see ``prefix_text``.
        separator: text after each word.
        listed: the words in the order in which the prefix names them; by default that of the nodes.
        start: ``bos`` puts the tokenizer's start token first, where it has one and the prefix does not begin with
            it; ``none`` nothing; or a token id.
        context: the most tokens that the model can read.

    Raises:
        InputError: a word that ``words.word_ids`` refuses, a node without a word, no items, a prefix or separator
            that has no token, a sequence longer than ``context``.
    """
    ids = word_ids(tokenizer, words)
    walks = np.asarray(walks)
    if walks.ndim != 2 or not walks.size:
        raise InputError(f"sequences of shape {walks.shape}", "[walk, time] with at least one item", "Make them longer")
    if walks.min() < 0 or walks.max() >= len(ids):
        wrong = walks.min() if walks.min() < 0 else walks.max()
        raise InputError(f"node {wrong} and {len(ids)} words", f"nodes from 0 to {len(ids) - 1}", "Name more words")
    text = prefix_text(prefix, words if listed is None else listed)
    before = np.array(_started(tokenizer, _encoded(tokenizer, text, "prefix"), start), np.int32)
    after = np.array(_encoded(tokenizer, separator, "separator"), np.int32)
    count, steps = walks.shape
    width = 1 + len(after)
    length = len(before) + width * steps
    if context is not None and length > context:
        fit = (context - len(before)) // width
        raise InputError(
            f"sequences of {steps:,} words, {length:,} tokens with their prefix",
            f"at most {context:,} tokens, the model's context",
            f"Shorten them to {max(fit, 0):,} words",
        )
    items = np.empty((count, steps, width), np.int32)
    items[..., 0] = ids[walks]
    items[..., 1:] = after
    tokens = np.concatenate((np.tile(before, (count, 1)), items.reshape(count, -1)), axis=1)
    item_at = len(before) + width * np.arange(steps, dtype=np.int32)
    return GraphPrompts(tokens, item_at, item_at + np.int32(width - 1), tuple(words), text)


def _encoded(tokenizer: Tokenizer, text: str, what: str) -> list[int]:
    ids = tokenizer.encode(text) if text else []
    if text and not ids:
        raise InputError(f"the {what} {text!r} without any token", "text that the tokenizer can spell", "Replace it")
    return ids


def _started(tokenizer: Tokenizer, ids: list[int], start: str | int) -> list[int]:
    first = tokenizer.bos_token if start == "bos" else start
    if start == "none" or first is None or (start == "bos" and ids[:1] == [first]):
        return ids  # a start token twice is a text that no model was trained on
    return [int(first), *ids]
