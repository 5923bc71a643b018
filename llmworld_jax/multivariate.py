"""Several channels as tokens: rows interleaved in one prompt, or every channel in a prompt of its own.

Interleaved, "x1,y1;x2,y2;", the chain rule splits the joint law of a row exactly:

    p(x_t, y_t | past) = p(x_t | past) p(y_t | x_t, past),

and both factors are items of one ``number_laws``. Separate prompts give p(x_t | past x) and p(y_t | past y).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int, Int64

from .codec import NumberCodec, number_codec
from .errors import InputError
from .laws import ROWS_PER_CHUNK, Laws, OffGrid, number_laws
from .models.llama import Llama
from .models.storage import Precision
from .numerals import Numerals
from .prompts import Prompt
from .vocabulary import Tokenizer

_ROWS_VERIFIED = 10_000
_ROWS_AT_ONCE = 500


class ChannelLaws(NamedTuple):
    """Law of every number of a series [time, channel], each channel on its own grid.

    Interleaved, row (t, c) is given everything before it in reading order: the rows before t, and channels
    before c of row t; separately, the same channel before t. Else as ``Laws``.
    """

    edges: Float[Array | np.ndarray, "channel bin_edge"]
    log_mass: Float[Array, "time channel bin"]
    off_grid: Float[Array, "time channel"]


@dataclass(frozen=True)
class _Channels:
    channels: tuple[NumberCodec, ...]

    @property
    def num_channels(self) -> int:
        return len(self.channels)

    @property
    def prefix_tokens(self) -> tuple[int, ...]:
        """What stands before the first number; without any, it has no law."""
        return self.channels[0].prefix_tokens

    def edges(self) -> Float64[np.ndarray, "channel bin_edge"]:
        """Bin edges of every channel, in its own units."""
        return np.stack([c.numerals.edges() for c in self.channels])

    def encode(self, values: Any) -> Int64[np.ndarray, "time channel"]:
        """Codes of values [time, channel]. Raises InputError as ``Numerals.encode`` does."""
        series = self._checked(values)
        return np.stack([c.numerals.encode(v) for c, v in zip(self.channels, series.T)], axis=1)

    def decode(self, codes: Any) -> Float64[np.ndarray, "*rows channel"]:
        """Bin centres of codes [..., channel]."""
        c = np.asarray(codes)
        return np.stack([one.numerals.decode(c[..., i]) for i, one in enumerate(self.channels)], axis=-1)

    def describe(self) -> dict[str, Any]:
        """Everything that decides what the model reads, ready for JSON."""
        return {"layout": type(self).__name__, "channels": [c.describe() for c in self.channels]}

    def _checked(self, series: Any) -> np.ndarray:
        s = np.asarray(series)
        if s.ndim != 2 or s.shape[1] != self.num_channels or not len(s):
            expected = f"[time, channel] with {self.num_channels} channels and at least one row"
            raise InputError(f"a series of shape {s.shape}", expected, "Put the channels in columns")
        return s

    def _items(self, codes: np.ndarray) -> list[Int[np.ndarray, "time place"]]:
        """Tokens of every channel's numbers, each with its separator."""
        prompts = [c.prompt(one) for c, one in zip(self.channels, codes.T)]
        skip = len(self.prefix_tokens)
        return [np.asarray(p.tokens)[skip:].reshape(len(codes), -1) for p in prompts]


@dataclass(frozen=True)
class InterleavedCodec(_Channels):
    """Rows written one after the other, "x1,y1;x2,y2;"; make it with ``interleaved``. Hashable.

    ``channels[c]`` writes the numbers of channel c and the separator after them: after the last channel the one
    between rows, else the one within a row. All share the start and one digit trie, so any of them can be given
    to ``number_laws`` with ``prompt``; ``split`` sorts the laws.
    """

    def prompt(self, codes: Int[Array | np.ndarray, "time channel"]) -> Prompt:
        """Tokens in reading order; ``item_at[time * channel]``. Raises InputError for codes that have no place."""
        items = self._items(self._checked(codes))
        rows = np.concatenate(items, axis=1)
        start = len(self.prefix_tokens)
        within = np.cumsum([0, *(item.shape[1] for item in items[:-1])])
        item_at = start + rows.shape[1] * np.arange(len(rows))[:, None] + within
        tokens = np.concatenate([np.array(self.prefix_tokens, np.int32), rows.ravel()])
        return Prompt(tokens.astype(np.int32), item_at.ravel().astype(np.int32))

    def codes(self, tokens: Int[Array | np.ndarray, " position"]) -> Int64[np.ndarray, "time channel"]:
        """Inverse of ``prompt``; raises InputError at the first number that ``prompt`` would not write."""
        t, start = np.asarray(tokens), len(self.prefix_tokens)
        widths = [c.depth + len(c.separator_tokens) for c in self.channels]
        if len(t) <= start or (len(t) - start) % sum(widths):
            expected = f"{start} tokens and then {sum(widths)} a row"
            raise InputError(f"{len(t)} tokens", expected, "Make them with prompt")
        columns = np.split(t[start:].reshape(-1, sum(widths)), np.cumsum(widths)[:-1], axis=1)
        texts = [np.concatenate((t[:start], column.ravel())) for column in columns]
        return np.stack([c.codes(text) for c, text in zip(self.channels, texts)], axis=1)

    def text(self, codes: Int[Array | np.ndarray, "time channel"]) -> str:
        """The series as it is written, without start tokens."""
        rows = self._checked(codes)
        cells = [
            ["".join(map(str, digits)) + c.separator for digits in c.numerals.digits(one).tolist()]
            for c, one in zip(self.channels, rows.T)
        ]
        return "".join("".join(row) for row in zip(*cells))

    def split(self, laws: Laws) -> ChannelLaws:
        """Laws of all items of ``prompt`` -> [time, channel]. Raises InputError where a row is not complete."""
        items, bins = laws.log_mass.shape
        if items % self.num_channels:
            got = f"laws of {items} items with {self.num_channels} channels"
            raise InputError(got, "laws of whole rows", "Leave the forecast out; rollout continues a series")
        shape = (items // self.num_channels, self.num_channels)
        return ChannelLaws(self.edges(), laws.log_mass.reshape(*shape, bins), laws.off_grid.reshape(shape))


@dataclass(frozen=True)
class SeparateCodec(_Channels):
    """Every channel a prompt of its own, all of one layout; make it with ``separate``. Hashable."""

    def prompt(self, codes: Int[Array | np.ndarray, "time channel"]) -> Prompt:
        """Prompts stacked along a first axis, ``tokens [channel, position]``; ``item_at [time]`` holds for all."""
        rows = self._checked(codes)
        prompts = [c.prompt(one) for c, one in zip(self.channels, rows.T)]
        return Prompt(np.stack([np.asarray(p.tokens) for p in prompts]), prompts[0].item_at)


def interleaved(
    tokenizer: Tokenizer,
    numerals: Sequence[Numerals],
    *,
    within: str = ",",
    between: str = ";",
    scheme: str = "auto",
    start: str | int | Sequence[int] = "none",
) -> InterleavedCodec:
    """Discover how a tokenizer writes rows of numbers, and verify it in context.

    Each separator is verified as by ``number_codec``; then rows that hold every number (beyond 10 000: an even
    sample) in every channel, with both separators in their places, must be encoded as ``prompt`` writes them.

    Args:
        numerals: one for every channel, of one base and precision; the ranges are the channels' own.
        within: separator after every channel but the last. ``between``: after the last.
        scheme, start: as ``number_codec``.

    Raises:
        InputError: as ``number_codec``; no channel, numerals of different lengths, separators that change how
            digits are written, or rows that are not encoded as they are written here.
    """
    first = _same_digits(numerals)
    last = number_codec(tokenizer, first, between, scheme, start)
    inner = last if within == between else number_codec(tokenizer, first, within, scheme, start)
    if (inner.levels, inner.lead_tokens, inner.scheme) != (last.levels, last.lead_tokens, last.scheme):
        got = f"digits that are written otherwise before {within!r} than before {between!r}"
        raise InputError(got, "one digit trie", "Choose other separators")
    places = [inner] * (len(numerals) - 1) + [last]
    codec = InterleavedCodec(tuple(replace(place, numerals=n) for place, n in zip(places, numerals)))
    _verify(tokenizer, codec)
    return codec


def separate(
    tokenizer: Tokenizer,
    numerals: Sequence[Numerals],
    *,
    separator: str = ",",
    scheme: str = "auto",
    start: str | int | Sequence[int] = "none",
) -> SeparateCodec:
    """Every channel in its own prompt, written as ``number_codec`` does. Raises InputError as ``interleaved``."""
    codec = number_codec(tokenizer, _same_digits(numerals), separator, scheme, start)
    return SeparateCodec(tuple(replace(codec, numerals=n) for n in numerals))


def channel_laws(
    model: Llama,
    codec: InterleavedCodec | SeparateCodec,
    codes: Int[Array | np.ndarray, "time channel"],
    *,
    off_grid: OffGrid = "tree",
    rows: int = ROWS_PER_CHUNK,
    precision: Precision = "highest",
) -> ChannelLaws:
    """Exact law of every number of a series given what the layout puts before it; separate prompts are vmapped.

    Args:
        codes: from ``codec.encode``.
        off_grid, rows, precision: as ``number_laws``.
    """
    prompt, one = codec.prompt(codes), codec.channels[0]

    def laws(tokens: Int[Array | np.ndarray, " position"]) -> Laws:
        whole = Prompt(tokens, prompt.item_at)
        return number_laws(model, one, whole, off_grid=off_grid, rows=rows, precision=precision)

    if isinstance(codec, InterleavedCodec):
        return codec.split(laws(prompt.tokens))
    log_mass, leak = jax.vmap(lambda tokens: laws(tokens)[1:], out_axes=1)(jnp.asarray(prompt.tokens))
    return ChannelLaws(codec.edges(), log_mass, leak)


def _same_digits(numerals: Sequence[Numerals]) -> Numerals:
    kinds = {(n.base, n.precision) for n in numerals}
    if len(kinds) != 1:
        got = f"numerals of (base, precision) {sorted(kinds)} for {len(numerals)} channels"
        raise InputError(got, "one for every channel, all of one base and precision", "Change the ranges only")
    return numerals[0]


def _verify(tokenizer: Tokenizer, codec: InterleavedCodec) -> None:
    """Raise unless rows, with both separators in them, are encoded as ``prompt`` writes them."""
    size = codec.channels[0].numerals.num_bins
    leaves = np.unique(np.linspace(0, size - 1, min(size, _ROWS_VERIFIED)).astype(np.int64))
    shifts = np.arange(codec.num_channels) * (len(leaves) // 3 + 1)
    codes = leaves[(np.arange(len(leaves))[:, None] + shifts) % len(leaves)]
    skip = len(codec.channels[0].start_tokens)
    lead = len(codec.prefix_tokens) - skip
    forced = codec.channels[0].scheme == "forced_single"
    for block in np.split(codes, range(_ROWS_AT_ONCE, len(codes), _ROWS_AT_ONCE)):
        text, ids = codec.text(block), codec.prompt(block).tokens[skip:].tolist()
        agree = tokenizer.decode(ids[lead:]) == text if forced else tokenizer.encode(text) == ids
        if not agree:
            raise InputError(
                f"rows {text[:24]!r}... that the tokenizer does not write as their numbers and separators",
                "digits and separators as tokens of their own in whole rows too",
                "Choose other separators",
            )
