"""Words that name the nodes of a graph: each one token of the model's tokenizer, all different.

A word carries its leading space ("word", read as " word"), as it stands in running text.
"""

from collections.abc import Sequence

import numpy as np

from .errors import InputError
from .vocabulary import Tokenizer

GRID_WORDS = tuple(
    "apple bird car egg house milk plane opera box sand sun mango rock math code phone".split()
)  # Park et al., arXiv 2501.00070
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
POOL = (
    *GRID_WORDS,
    *"river chair salt king dust rain fish lamp gold wine tree moon steel leaf drum wolf cake silk farm bell".split(),
    *"star pond gate rope coal mint foam clay book door table glass train road ship music paper queen horse".split(),
    *"cloud stone bread".split(),
)
"""Ordinary words, one token each with their leading space in Llama-3 and SmolLM2."""


def word_ids(tokenizer: Tokenizer, words: Sequence[str]) -> np.ndarray:
    """Token id ``[node]`` (int32) of every word with its leading space.

    Raises:
        InputError: words that are not one token, that are not different, or that share a token.
    """
    twice = sorted({word for word in words if list(words).count(word) > 1})
    if twice:
        raise InputError(
            f"the words {', '.join(twice)} more than once", "a word of its own for each node", "Rename them"
        )
    pieces = {word: tokenizer.encode(f" {word}") for word in words}
    long = [f"{word!r} ({len(ids)} tokens)" for word, ids in pieces.items() if len(ids) != 1]
    if long:
        raise InputError(
            f"words that are not one token with a leading space: {', '.join(long[:10])}",
            "one token a word",
            "Replace them by shorter or more common words",
        )
    ids = np.array([ids[0] for ids in pieces.values()], np.int32)
    if len(set(ids.tolist())) < len(ids):
        shared = [word for word, i in zip(pieces, ids) if (ids == i).sum() > 1]
        raise InputError(f"the words {', '.join(shared)} with one token", "a token of its own for each", "Replace them")
    return ids


def placed_words(seed: int, count: int, pool: Sequence[str] = POOL) -> tuple[str, ...]:
    """``count`` different words of ``pool`` in random order: their placement on the nodes.

    Raises:
        InputError: more nodes than words.
    """
    if count > len(pool):
        raise InputError(
            f"{count} nodes", f"at most {len(pool)}, the words at hand", "Name words of your own (--words)"
        )
    order = np.random.default_rng(seed).permutation(len(pool))[:count]
    return tuple(pool[k] for k in order)
