"""The tokenizer as the rest of the library sees it, and the digit tokens of its vocabulary."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

import tokenizers

_ONLY_DIGITS = re.compile("[0-9]+")
_MAY_HIDE_DIGITS = re.compile("[0-9\ufffd]")  # a digit's byte beside bytes that are no text decodes to \ufffd
_IDS_AT_ONCE = 512


@runtime_checkable
class Tokenizer(Protocol):
    """Text to ids and back, adding and hiding nothing: no special tokens, no truncation."""

    def encode(self, text: str) -> list[int]: ...
    def decode(self, ids: list[int]) -> str: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def bos_token(self) -> int | None: ...


@dataclass(frozen=True)
class WrappedTokenizer:
    """A ``tokenizers.Tokenizer`` as a ``Tokenizer``; truncation and padding are switched off in it.

    ``vocab_size`` counts added tokens, and is one more than the largest id when ids have gaps.
    """

    tokenizer: tokenizers.Tokenizer
    bos_token: int | None = None
    vocab_size: int = field(init=False)

    def __post_init__(self) -> None:
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        object.__setattr__(self, "vocab_size", 1 + max(self.tokenizer.get_vocab().values(), default=-1))

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Ids, and for each the first character of ``text`` that it holds and the one after its last.

        Bytes of one character have that character's offsets; a token that stands for none has an empty range.
        """
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        return encoding.ids, encoding.offsets

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=False)


class DigitTokens(NamedTuple):
    """Text of every token that is nothing but ASCII digits, by id, and how regular they are.

    ``kind`` is "single" when they are exactly the ten digits, "chunkN" when they are all strings of 1..N
    digits (Llama-3: "chunk3"), otherwise "irregular". Two ids may have one text (byte fall-back).
    """

    texts: dict[int, str]
    kind: str


def digit_tokens(tokenizer: Tokenizer) -> DigitTokens:
    """Find the digit tokens by decoding the vocabulary, without assuming anything about ids.

    Blocks of ids without a digit are dropped whole: 128 000 ids take a fraction of a second.
    """
    found = []
    size = tokenizer.vocab_size
    pending = [range(at, min(at + _IDS_AT_ONCE, size)) for at in range(0, size, _IDS_AT_ONCE)]
    while pending:
        ids = pending.pop()
        if _MAY_HIDE_DIGITS.search(tokenizer.decode(list(ids))):
            half = len(ids) // 2
            if half:
                pending += [ids[:half], ids[half:]]
            else:
                found.append(ids[0])
    # after another digit, because decoded alone SentencePiece's "▁7" would lose its space
    before = tokenizer.encode("0")
    skip = len(tokenizer.decode(before))
    texts = {token: tokenizer.decode([*before, token])[skip:] for token in sorted(found)}
    texts = {token: text for token, text in texts.items() if _ONLY_DIGITS.fullmatch(text)}
    return DigitTokens(texts, _kind(set(texts.values())))


def _kind(texts: set[str]) -> str:
    longest = max(map(len, texts), default=0)
    if not longest or len(texts) != sum(10**length for length in range(1, longest + 1)):
        return "irregular"
    return "single" if longest == 1 else f"chunk{longest}"
