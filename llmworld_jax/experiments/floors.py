"""The resolution floor of a system at every number of digits: what writing the past costs an observer who knows it."""

from typing import NamedTuple

import jax
import numpy as np

from ..numerals import Numerals
from .simulation import World
from .truth import truths_on_grids

PRECISIONS = (1, 2, 3, 4)
STATES = 120


class Floors(NamedTuple):
    """Mean floors over late states of the first series, of the latent truth, one entry a ``precision``.

    ``bhattacharyya`` in nats, ``deviation`` (of the mean) in display units. Against the law given the written past
    both are 0 by definition. A chain is written without loss: 0 at its one digit.
    """

    precision: tuple[int, ...]
    bhattacharyya: np.ndarray
    deviation: np.ndarray


def floors_of(world: World, precisions: tuple[int, ...] = PRECISIONS) -> Floors:
    """Floors at each precision, on grids of the same range."""
    if world.symbolic:
        return Floors((1,), np.zeros(1), np.zeros(1))
    first = world.series[0]
    states = np.asarray(world.paths.states)[:1, -STATES - 1 :]
    alone = jax.tree.map(lambda leaf: leaf[:1], world.batch)
    grids = [Numerals(precision, first.numerals.low, first.numerals.high).edges() for precision in precisions]
    truths = truths_on_grids(alone, states, grids)
    bhattacharyya = np.array([np.nanmean(truth.bhattacharyya_floor) for truth in truths])
    return Floors(precisions, bhattacharyya, np.array([np.nanmean(truth.deviation_floor) for truth in truths]))
