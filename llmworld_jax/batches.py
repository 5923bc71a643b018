"""Prompts of different lengths in few shapes: batches of nearly one length, each shape compiled once.

Padding goes to the right, where a causal model cannot see it, so a padded prompt gives what it gives alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Batch(NamedTuple):
    """Rows of one width. ``which`` prompt each row is; rows after the first ``real`` are repeats."""

    which: np.ndarray
    real: int
    width: int


def batches(lengths: Sequence[int] | np.ndarray, *, tokens: int = 1024, multiple: int = 1) -> tuple[Batch, ...]:
    """Cut prompts into batches of at most about ``tokens`` tokens (at least one prompt), sorted by length.

    Widths grow by about an eighth, so no more than that is padding; a width with few prompts joins the next.
    All batches of one width have the same number of rows, the last filled with repeats; a batch of ``multiple``
    devices has so many times the tokens, and rows that they can share out evenly.
    """
    tokens *= multiple
    lengths = np.asarray(lengths, int)
    order = np.argsort(lengths, kind="stable")
    widths = _widths(lengths[order], tokens)
    found = []
    for width in np.unique(widths):
        members = order[widths == width]
        number = -(-len(members) // max(1, tokens // width))
        rows = multiple * -(-len(members) // (number * multiple))
        for start in range(0, len(members), rows):
            part = members[start : start + rows]
            index = np.concatenate((part, np.repeat(part[-1:], rows - len(part))))
            found.append(Batch(index, len(part), int(width)))
    return tuple(found)


def _widths(lengths: np.ndarray, tokens: int) -> np.ndarray:
    """The width of every prompt, ``lengths`` ascending."""
    steps = [1]
    while steps[-1] < (lengths[-1] if len(lengths) else 0):
        steps.append(max(steps[-1] + 1, steps[-1] * 9 // 8))
    widths = np.array(steps)[np.searchsorted(steps, lengths)]
    for width in np.unique(widths)[:-1]:
        here = widths == width
        if 2 * here.sum() * width < tokens:  # less than half a batch is not worth a program of its own
            widths[here] = widths[widths > width].min()
    if len(widths):  # the longest need not be padded
        widths[widths == widths[-1]] = lengths[-1]
    return widths


def padded(prompts: Sequence[np.ndarray], batch: Batch) -> np.ndarray:
    """The tokens of a batch ``[row, width]``, int32, filled with zeros on the right."""
    rows = np.zeros((len(batch.which), batch.width), np.int32)
    for row, k in enumerate(batch.which):
        rows[row, : len(prompts[k])] = prompts[k]
    return rows
