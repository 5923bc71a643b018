"""From one dataset to another: what a probe says of entities that it was not made for, and whether two datasets'
probes read along one direction.

Source: the notebooks of arXiv 2310.02207 (the world's probe on places of the United States; cosines of directions).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.ridge import fit_ridge, predict, relative_penalties

from ...entities.table import EntityTable
from ...errors import InputError
from .describing import unit_of_error
from .results import Scores, Sweep
from .scoring import score
from .study import Study


class Transfer(NamedTuple):
    """The probe of ``a`` on the entities of ``b`` that ``a`` does not hold; NaN scores where there are too few."""

    a_name: str
    b_name: str
    target_names: tuple[str, ...]  # of b
    unit: str  # of the median error
    layer: int
    tested: int
    left_out: int  # entities of b that a holds too
    scores: Scores  # fold axis 1
    shift: np.ndarray  # [target], mean of prediction minus truth
    own: Scores | None  # cross-validated inside b


class PairCosines(NamedTuple):
    """How far two datasets' probes read along one direction, layer by layer."""

    a_name: str
    b_name: str
    target_names: tuple[str, ...]
    cosine: np.ndarray  # [layer, target], NaN where a probe reads nothing
    null: float  # root mean square of the cosine of two random directions


def transferable(a: EntityTable, b: EntityTable) -> bool:
    """Whether a probe of ``a`` speaks of what ``b`` holds: the same targets in the same units, or two times."""
    same = a.kind == b.kind and a.units == b.units
    return same and (a.target_names == b.target_names or a.kind == "time")


def unseen(a: EntityTable, b: EntityTable) -> np.ndarray:
    """``[entity of b]``: whether ``a`` has no entity of that name or text, letter case aside."""
    known = {word.casefold() for word in (*a.names, *a.texts)}
    return np.array([n.casefold() not in known and t.casefold() not in known for n, t in zip(b.names, b.texts)], bool)


def transfer(
    a_name: str,
    a: Study,
    a_rows: np.ndarray,
    b_name: str,
    b: Study,
    b_rows: np.ndarray,
    layer: int,
    penalties: int,
    own: Scores | None = None,
) -> Transfer:
    """Fit on all of ``a`` at ``layer``, test on the :func:`unseen` entities of ``b``.

    Args:
        a_rows, b_rows: ``[layer, entity, width]``.
        own: scores of ``b``'s own cross-validated probes, to stand beside; for the same entities, those of
            ``score(b.table, sweep.final, b.test() & unseen(a.table, b.table))``.

    Raises:
        InputError: targets that cannot be compared (see :func:`transferable`), or rows of different models.
    """
    _check(a_name, a.table, a_rows, b_name, b.table, b_rows)
    new = unseen(a.table, b.table)
    with jax.enable_x64(True):
        x, y = jnp.asarray(a_rows[layer], jnp.float64), jnp.asarray(a.table.targets)
        fit = jax.jit(fit_ridge)(x, y, relative_penalties(penalties))
        said = np.asarray(predict(fit, jnp.asarray(b_rows[layer], jnp.float64)))
    return Transfer(
        a_name, b_name, b.table.target_names, unit_of_error(b.table), layer, int(new.sum()), int((~new).sum()),
        scores_on(b.table, said, new),
        (said - b.table.targets)[new].mean(axis=0) if new.any() else np.full(said.shape[1], np.nan), own,
    )  # fmt: skip


def scores_on(table: EntityTable, predicted: np.ndarray, rows: np.ndarray) -> Scores:
    """Scores over ``rows [entity]`` as one fold; NaN throughout for fewer than three, of which no score says much."""
    if rows.sum() >= 3:
        return score(table, predicted, rows[None])
    one, each = np.full(1, np.nan), np.full((1, table.targets.shape[1]), np.nan)
    return Scores(r2=one, rho=one, r2_each=each, rho_each=each, proximity=one, error=one, slope=one)


def _check(
    a_name: str, a: EntityTable, a_rows: np.ndarray, b_name: str, b: EntityTable, b_rows: np.ndarray
) -> None:  # fmt: skip
    if not transferable(a, b):
        raise InputError(
            f"a probe of {a_name} ({a.kind}: {', '.join(a.target_names)}) for {b_name} ({b.kind}: "
            f"{', '.join(b.target_names)})",
            "the same targets in the same units, or two times",
            "Choose datasets that hold the same thing",
        )
    if a_rows.shape[0] != b_rows.shape[0] or a_rows.shape[2] != b_rows.shape[2]:
        raise InputError(
            f"activations [layer, entity, width] of shapes {a_rows.shape} for {a_name} and {b_rows.shape} for {b_name}",
            "as many layers, of one width",
            "Read both datasets with one model",
        )


def direction_cosines(a: Sweep, b: Sweep) -> np.ndarray:
    r"""Cosines ``[layer, target]`` of the directions that two datasets' probes read, fitted on all their rows.

    NaN for a direction of length 0. Two isotropic random directions have one of mean square 1/width
    (:func:`null_cosine`); probes of correlated activations can be further apart from 0 without sharing anything.

    Raises:
        InputError: different shapes.
    """
    if a.directions.shape != b.directions.shape:
        raise InputError(
            f"probe directions [layer, width, target] of shapes {a.directions.shape} and {b.directions.shape}",
            "one shape",
            "Compare probes of one model with as many targets",
        )
    length = np.linalg.norm(a.directions, axis=1) * np.linalg.norm(b.directions, axis=1)
    product = (a.directions * b.directions).sum(axis=1)
    return np.where(length > 0, product / np.where(length > 0, length, 1), np.nan)


def null_cosine(width: int) -> float:
    r""":math:`1/\sqrt{d}`, the root mean square cosine of two random directions of ``width`` d."""
    return width**-0.5


def pair_cosines(a_name: str, a: Study, a_sweep: Sweep, b_name: str, b: Study, b_sweep: Sweep) -> PairCosines:
    """:func:`direction_cosines` with the names of what is compared."""
    cosine = direction_cosines(a_sweep, b_sweep)
    pairs = zip(a.table.target_names, b.table.target_names, strict=True)
    names = tuple(one if one == other else f"{one} / {other}" for one, other in pairs)
    return PairCosines(a_name, b_name, names, cosine, null_cosine(a_sweep.directions.shape[1]))
