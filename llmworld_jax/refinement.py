r"""Which prefixes the paper's mixed-resolution grids refine, as a static table. No model in here.

A prefix that leaves the true number at place :math:`\ell \le r` is refined up to length :math:`r`: in mode ``"all"``
for every other digit at place :math:`\ell`; in mode ``"neighbor"`` only for :math:`d_1 \pm 1` at the first place,
and for every other digit further down (Liu et al., arXiv 2402.00795). Which digits these are depends on the true
number :math:`d_1 \dots d_p`, how the prefixes hang together does not.
"""

import itertools
from typing import Literal, NamedTuple

import numpy as np

Mode = Literal["all", "neighbor"]


class Refinement(NamedTuple):
    """The prefixes evaluated off the true number, in order of length: static for all true numbers."""

    level: np.ndarray
    """``[node]``: length of the prefix, 1 .. r."""
    departs: np.ndarray
    """``[node]``: first place (1 ..) at which it differs from the true number."""
    step: np.ndarray
    """``[node]``: its digit there is the true one plus this, modulo the base."""
    wraps: np.ndarray
    """``[node]``: False where the step must not leave 0 .. base-1 (``"neighbor"``)."""
    rest: np.ndarray
    """``[node, r]``: its digit at every later place."""
    ancestors: np.ndarray
    """``[node, r]``: the nodes that are prefixes of it, and itself; padded by itself."""
    seen: np.ndarray
    """``[node, r]``: which of ``ancestors`` are real."""


def refinement(base: int, depth: int, mode: Mode) -> Refinement:
    """Nodes that depth ``r`` adds: sum over places l of n_l (1 + base + .. + base^(r-l)), n_l = base-1, or 2."""
    keys = [
        (level, place, step, rest)
        for level in range(1, depth + 1)
        for place in range(1, level + 1)
        for step in ((1, -1) if mode == "neighbor" and place == 1 else range(1, base))
        for rest in itertools.product(range(base), repeat=level - place)
    ]
    row = {key: i for i, key in enumerate(keys)}
    slots = max(depth, 1)
    rest = np.zeros((len(keys), slots), np.int32)
    ancestors = np.tile(np.arange(len(keys), dtype=np.int32)[:, None], (1, slots))
    seen = np.zeros((len(keys), slots), bool)
    for i, (length, place, move, tail) in enumerate(keys):
        rest[i, place:length] = tail
        for k in range(length - place + 1):
            ancestors[i, k], seen[i, k] = row[place + k, place, move, tail[:k]], True
    level, departs, step = np.array([key[:3] for key in keys], np.int32).reshape(-1, 3).T
    wraps = (departs > 1) | (mode == "all")
    return Refinement(level, departs, step, wraps, rest, ancestors, seen)
