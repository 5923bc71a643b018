"""Tokens together with the position of every item: alignment is data, never string search."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Int


class Prompt(NamedTuple):
    """What a model reads, and where each item of a series stands in it.

    ``tokens`` is int32. ``item_at[t]`` is the index of the FIRST token of item t, so that the law of item t
    given the items before it is read at ``item_at[t] - 1``; there is none where that is -1 (no start token).
    A number's trailing separator is part of the prompt, so the law of the item after the last is read at
    ``len(tokens) - 1``.
    """

    tokens: Int[Array | np.ndarray, " position"]
    item_at: Int[Array | np.ndarray, " time"]
