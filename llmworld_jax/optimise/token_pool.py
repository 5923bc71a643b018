"""Which tokens a searched prompt may be made of, and whether it survives being written down."""

import re

import numpy as np
from jaxtyping import Bool, Int

from ..vocabulary import Tokenizer

_PRINTABLE = re.compile(r"[\x20-\x7e\n]+")
_MARKER = re.compile(r"\s*<.+>\s*")


def allowed_tokens(tokenizer: Tokenizer, vocab_size: int) -> Bool[np.ndarray, " vocabulary"]:
    """True for tokens of printable ASCII that are no markers (``<...>``) and that their own text encodes to.

    Texts are read behind a digit: SentencePiece puts a space before what begins a text.
    """
    found = np.zeros(vocab_size, bool)
    before = tokenizer.encode("0")
    skip = len(tokenizer.decode(before))
    for token in range(min(vocab_size, tokenizer.vocab_size)):
        text = tokenizer.decode([*before, token])[skip:]
        if _PRINTABLE.fullmatch(text) and not _MARKER.fullmatch(text):
            found[token] = tokenizer.encode(f"0{text}") == [*before, token]
    return found


def retokenised(tokenizer: Tokenizer, tokens: Int[np.ndarray, " row"]) -> Int[np.ndarray, " other"]:
    """Tokens of the text of ``tokens``: what a model would read if a user pasted that text."""
    return np.array(tokenizer.encode(tokenizer.decode([int(t) for t in tokens])), np.int32)
