"""Folds for cross-validation in which nothing that belongs together stands on both sides."""

import heapq

import numpy as np
from jaxtyping import Int

from ..errors import InputError
from .table import EntityTable


def folds(table: EntityTable, count: int = 5, seed: int = 0, by: str | None = None) -> Int[np.ndarray, " entity"]:
    """A fold 0 … count − 1 for every entity, at random from ``seed``.

    Entities with one text (letter case aside) are in one fold; with ``by``, so are those with one label of that
    group, and then everything that hangs together by either. Such clusters, larger ones first, go to the fold that
    has fewest entities so far: folds differ by at most the size of the largest cluster.

    Raises:
        InputError: fewer than two folds, no such group, or fewer clusters than folds.
    """
    if by is not None and by not in table.groups:
        raise InputError(
            f"the group {by!r} of {table.key}",
            f"one of {', '.join(table.groups)}" if table.groups else "no group: the table has none",
            "Choose one that it has",
        )
    cluster = _codes([text.casefold() for text in table.texts])
    if by is not None:
        cluster = _joined(cluster, _codes(table.groups[by].tolist()))
    sizes = np.bincount(cluster)
    if count < 2 or len(sizes) < count:
        raise InputError(
            f"{count} folds of {len(sizes):,} {f'clusters by {by}' if by else 'texts'}",
            "at least 2, and no more than there are clusters to put into them",
            "Choose another number of folds or a finer group",
        )
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    fold_of = np.empty(len(sizes), dtype=np.int64)
    lightest = [(0, fold) for fold in range(count)]
    for chosen in order:
        size, fold = lightest[0]
        fold_of[chosen] = fold
        heapq.heapreplace(lightest, (size + int(sizes[chosen]), fold))
    return fold_of[cluster]


def _codes(labels: list[str]) -> np.ndarray:
    """A number 0, 1, … for every different label."""
    return np.unique(np.array(labels, dtype=str), return_inverse=True)[1].reshape(-1)


def _joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Numbers of the parts that are connected by sharing a number of either kind.

    Every part takes its least row: a wave over one kind, then the other, until nothing moves.
    """
    least = np.arange(len(first))
    while True:
        before = least
        for codes in (first, second):
            minimum = np.full(codes.max(initial=-1) + 1, len(first))
            np.minimum.at(minimum, codes, least)
            least = minimum[codes]
        if np.array_equal(least, before):
            return np.unique(least, return_inverse=True)[1].reshape(-1)
