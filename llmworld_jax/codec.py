"""Numbers as tokens of a given tokenizer: a product trie, discovered, and verified in context.

A number's digits are cut into chunks, one token each; depth l of the trie holds one token for every digit
string of that chunk, so the leaves of the trie, in order, are the codes of ``Numerals``.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Array, Int, Int64

from .errors import InputError
from .numerals import Numerals
from .prompts import Prompt
from .spelling import Levels, Written, cut, lead_tokens, spelt, trie_levels, write_numbers
from .vocabulary import DigitTokens, Tokenizer, digit_tokens
from .vocabulary import WrappedTokenizer as WrappedTokenizer

SCHEMES = ("auto", "single", "chunk")
_ALL_LEAVES = 10_000  # verified one by one up to here, sampled above
_SAMPLED_LEAVES = 5_000
_WINDOW = 3  # digits in the longest chunk of a sampled number whose every string is verified


@dataclass(frozen=True)
class NumberCodec:
    """How codes of ``numerals`` are written in token ids; make it with ``number_codec``. Hashable.

    A prompt is start_tokens + lead_tokens + (one token of each level + separator_tokens) * T.

    ``start_tokens``      chosen by the caller, () for none
    ``lead_tokens``       what the tokenizer itself puts before the first number of a text (Llama-2: "▁")
    ``separator_tokens``  after every number, () for symbols written without separator
    ``levels``            levels[l][j] is the token of the j-th chunk at depth l, in numeric order
    ``scheme``            "single" (a token a digit), "chunk" (several digits a token, as the tokenizer
                          writes them) or "forced_single" (a token a digit, which the tokenizer would join)
    ``digit_tokens``      every token that is only digits: those not in a level end up off the grid
    ``vocabulary``        kind of these: "single", "chunkN" or "irregular"
    """

    numerals: Numerals
    start_tokens: tuple[int, ...]
    lead_tokens: tuple[int, ...]
    separator: str
    separator_tokens: tuple[int, ...]
    levels: tuple[tuple[int, ...], ...]
    scheme: str
    digit_tokens: tuple[int, ...]
    vocabulary: str

    @property
    def depth(self) -> int:
        return len(self.levels)

    @property
    def branch(self) -> tuple[int, ...]:
        return tuple(len(level) for level in self.levels)

    @property
    def prefix_tokens(self) -> tuple[int, ...]:
        """What stands before the first number; without any, the first number has no law."""
        return self.start_tokens + self.lead_tokens

    @property
    def stop_tokens(self) -> tuple[int, ...]:
        """Tokens that would end a number early: mass on them inside a number is off the grid."""
        return self.separator_tokens[:1]

    def prompt(self, codes: Int[Array | np.ndarray, " time"]) -> Prompt:
        """Tokens of a series of codes, made from ids, never from text. Raises InputError as ``text`` does."""
        items = self._items(codes)
        prefix = np.array(self.prefix_tokens, dtype=np.int32)
        item_at = len(prefix) + items.shape[1] * np.arange(len(items), dtype=np.int32)
        return Prompt(np.concatenate([prefix, items.ravel()]), item_at.astype(np.int32))

    def codes(self, tokens: Int[Array | np.ndarray, " position"]) -> Int64[np.ndarray, " time"]:
        """Inverse of ``prompt``; raises InputError at the first number that ``prompt`` would not write."""
        t = np.asarray(tokens, dtype=np.int64)
        start, width = len(self.prefix_tokens), self.depth + len(self.separator_tokens)
        if len(t) <= start or (len(t) - start) % width or tuple(t[:start].tolist()) != self.prefix_tokens:
            expected = f"{list(self.prefix_tokens)} and then {width} tokens a number"
            raise InputError(f"{len(t)} tokens starting {t[:8].tolist()}", expected, "Make them with prompt")
        items = t[start:].reshape(-1, width)
        matches = [items[:, depth, None] == np.array(level) for depth, level in enumerate(self.levels)]
        wrong = ~np.stack([match.any(-1) for match in matches], axis=1).all(1)
        wrong |= (items[:, self.depth :] != np.array(self.separator_tokens, dtype=np.int64)).any(1)
        if wrong.any():
            at = int(np.argmax(wrong))
            got = f"tokens {items[at].tolist()} at item {at}"
            raise InputError(got, "a number of this codec", "Make them with prompt")
        chunks = tuple(match.argmax(-1) for match in matches)
        return np.asarray(np.ravel_multi_index(chunks, self.branch), dtype=np.int64)

    def text(self, codes: Int[Array | np.ndarray, " time"]) -> str:
        """The series as it is written, without start tokens.

        Raises InputError for an empty series and for codes that are not 0..num_bins - 1.
        """
        self._items(codes)
        return "".join(leaf + self.separator for leaf in _spelt_out(self.numerals, np.asarray(codes)))

    def describe(self) -> dict[str, Any]:
        """Everything that decides what the model reads, ready for JSON."""
        said = asdict(self)
        del said["digit_tokens"]
        return said.pop("numerals") | said

    def _items(self, codes) -> Int[np.ndarray, "time position"]:
        c = np.asarray(codes)
        if c.ndim != 1 or not c.size:
            raise InputError(f"codes of shape {c.shape}", "one axis, at least one code", "Give a series")
        self.numerals.digits(c)  # refuses codes off the grid
        chunks = np.unravel_index(c, self.branch)
        columns = [np.array(level, dtype=np.int32)[chunk] for level, chunk in zip(self.levels, chunks)]
        columns += [np.full(len(c), token, dtype=np.int32) for token in self.separator_tokens]
        return np.stack(columns, axis=1)


def number_codec(
    tokenizer: Tokenizer,
    numerals: Numerals,
    separator: str = ",",
    scheme: str = "auto",
    start: str | int | Sequence[int] = "none",
) -> NumberCodec:
    """Discover how a tokenizer writes fixed-width numbers, and verify it in context.

    All leaves (beyond 10 000: an even sample, and every chunk of every level) are encoded between
    separators; each must come out as its trie path, the separator as tokens of its own, and the ids must
    decode to the same text. So ``codec.prompt(c)`` without its start tokens is ``encode(codec.text(c))``.

    ``scheme``
        "auto"    what the tokenizer does by itself
        "single"  a token a digit. On a tokenizer that joins digits (Llama-3, GPT-2) the ids are put together
                  directly, an ablation recorded as "forced_single": it can be verified by decoding only
        "chunk"   as "auto", but refused where the tokenizer writes a token a digit
    ``separator``  "" is for one-digit symbols only
    ``start``      "none", "bos", an id or several ids

    Raises InputError for an argument outside these, an id outside the vocabulary, a tokenizer without
    beginning-of-text token under "bos", digits that the tokenizer joins irregularly, and a separator
    that joins with a digit.
    """
    _check(numerals, separator, scheme)
    start_tokens = _start_tokens(tokenizer, start)
    digits = digit_tokens(tokenizer)
    codes = _codes_to_verify(numerals, separator)
    numbers = _spelt_out(numerals, codes)
    written, levels, used = _trie(tokenizer, digits, numerals, numbers, separator, scheme)
    codec = NumberCodec(
        numerals=numerals,
        start_tokens=start_tokens,
        lead_tokens=lead_tokens(tokenizer, written),
        separator=separator,
        separator_tokens=written.separator_tokens,
        levels=levels,
        scheme=used,
        digit_tokens=tuple(digits.texts),
        vocabulary=digits.kind,
    )
    ids = codec.prompt(codes).tokens[len(codec.prefix_tokens) :].tolist()
    if tokenizer.decode(ids) != codec.text(codes):
        got = f"{spelt(tokenizer, ids[:12])}..., which decode to {tokenizer.decode(ids)[:24]!r}..."
        raise InputError(got, f"{codec.text(codes)[:24]!r}...", "Choose another separator or tokenizer")
    return codec


def _check(numerals: Numerals, separator: str, scheme: str) -> None:
    if scheme not in SCHEMES:
        raise InputError(f"scheme {scheme!r}", f"one of {SCHEMES}", 'Choose "auto"')
    if any(character.isdigit() for character in separator):
        raise InputError(f"separator {separator!r}", "no digit in it", 'Choose ","')
    if not separator and numerals.precision > 1:
        got = f'separator "" with {numerals.precision} digits a number'
        raise InputError(got, "one-digit symbols where there is no separator", 'Choose ","')


def _start_tokens(tokenizer: Tokenizer, start: str | int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(start, str):
        if start not in ("none", "bos"):
            raise InputError(f"start {start!r}", '"none", "bos", an id or several', "Choose one of these")
        if start == "none":
            return ()
        if tokenizer.bos_token is None:
            got = 'start "bos" with a tokenizer that has no such token'
            raise InputError(got, "a tokenizer with a beginning-of-text token", 'Give the id, or "none"')
        return (tokenizer.bos_token,)
    ids = np.atleast_1d(np.asarray(start))
    size = tokenizer.vocab_size
    if ids.size and (ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= size):
        raise InputError(f"start tokens {start}", f"ids 0..{size - 1}", "Choose ids of this vocabulary")
    return tuple(ids.astype(int).tolist())


def _codes_to_verify(numerals: Numerals, separator: str) -> Int64[np.ndarray, " code"]:
    """All codes, or an even sample and every string in every window of places; symbols: all triples."""
    base, precision, size = numerals.base, numerals.precision, numerals.num_bins
    if not separator:
        return np.stack(np.unravel_index(np.arange(base**3), (base,) * 3), axis=1).ravel()
    if size <= _ALL_LEAVES:
        return np.arange(size)
    windows = [base**place * np.arange(base**_WINDOW) for place in range(precision - _WINDOW + 1)]
    return np.unique(np.concatenate([np.arange(0, size, size // _SAMPLED_LEAVES + 1), *windows]))


def _spelt_out(numerals: Numerals, codes: np.ndarray) -> list[str]:
    return ["".join(map(str, digits)) for digits in numerals.digits(codes).tolist()]


def _trie(
    tokenizer: Tokenizer,
    digits: DigitTokens,
    numerals: Numerals,
    numbers: list[str],
    separator: str,
    scheme: str,
) -> tuple[Written, Levels, str]:
    """The numbers in tokens, the trie of these tokens, and the scheme it follows."""
    base, precision = numerals.base, numerals.precision
    try:
        written = write_numbers(tokenizer, digits, numbers, separator)
        widths = cut(tokenizer, digits, written)
    except InputError:
        if scheme != "single":
            raise
        widths = ()
    if scheme == "single" and set(widths) != {1}:
        symbols = list("0123456789"[:base])
        written = write_numbers(tokenizer, digits, symbols, separator, at_once=1)
        return written, trie_levels(digits, written, (1,), base) * precision, "forced_single"
    if scheme == "chunk" and set(widths) == {1} and precision > 1:
        got = f"{numbers[-1]!r} as {spelt(tokenizer, written.tokens[-1])}, a token a digit"
        raise InputError(got, "a tokenizer that joins digits", 'Choose scheme="auto"')
    return written, trie_levels(digits, written, widths, base), "chunk" if max(widths) > 1 else "single"
