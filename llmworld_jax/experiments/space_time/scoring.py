"""Predictions against the truth, fold by fold, with every score side by side. Everything runs in float64."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.geography import great_circle_km
from analyses.probes.proximity import proximity_error, proximity_error_line
from analyses.probes.scores import calibration_slope, r_squared, spearman

from ...entities.table import EntityTable
from .results import Scores


def score(table: EntityTable, predicted: np.ndarray, test: np.ndarray, targets: np.ndarray | None = None) -> Scores:
    """Scores of every fold.

    Args:
        predicted: ``[entity, target]``, or ``[fold, entity, target]`` where each fold has its own.
        test: ``[fold, entity]``, the rows that count.
        targets: in the place of the table's (a control task has its own).
    """
    true = table.targets if targets is None else targets
    rows, weight = gathered(test)
    with jax.enable_x64(True):
        said = predicted[rows] if predicted.ndim == 2 else np.take_along_axis(predicted, rows[..., None], axis=1)
        found = _scores(jnp.asarray(true[rows]), jnp.asarray(said), jnp.asarray(weight), table.kind == "place")
        error = np.array(found.pop("error"))
        error[weight == 0] = np.nan
        found = {name: np.asarray(value) for name, value in found.items()}
    return Scores(
        r2=found["r2"].mean(axis=1),
        rho=found["rho"].mean(axis=1),
        r2_each=found["r2"],
        rho_each=found["rho"],
        proximity=found["proximity"],
        error=np.nanmedian(error, axis=1),
        slope=found["slope"].mean(axis=1),
    )


def gathered(test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices ``[fold, row]`` of the rows of every fold, filled up to one length, and their weights, 0 for filling."""
    most = int(test.sum(axis=1).max())
    rows = np.argsort(~test, axis=1, kind="stable")[:, :most]
    return rows, np.take_along_axis(test, rows, axis=1).astype(np.float64)


@functools.partial(jax.jit, static_argnums=3)
def _scores(true: jax.Array, predicted: jax.Array, weight: jax.Array, place: bool) -> dict[str, Any]:
    """Of ``[fold, row, target]``. The proximity error compares all pairs of a fold's rows, and no others."""

    def fold(true: jax.Array, predicted: jax.Array, weight: jax.Array) -> dict[str, jax.Array]:
        if place:
            nearer = proximity_error(true, predicted, weight, distance=great_circle_km)
        else:
            nearer = proximity_error_line(true[:, 0], predicted[:, 0], weight)
        return {
            "r2": r_squared(true, predicted, weight),
            "rho": spearman(true, predicted, weight),
            "slope": calibration_slope(true, predicted, weight),
            "proximity": jnp.sum(jnp.where(weight > 0, nearer, 0)) / jnp.sum(weight),
            "error": distance(place)(true, predicted),
        }

    return jax.lax.map(lambda each: fold(*each), (true, predicted, weight))


def distance(place: bool) -> Any:
    """``[*rows, target], [*rows, target] -> [*rows]``: great-circle km, or the absolute difference."""
    return great_circle_km if place else lambda a, b: jnp.abs(a - b)[..., 0]


def bootstrap_gain(
    true: np.ndarray,
    model: np.ndarray,
    other: np.ndarray,
    test: np.ndarray,
    *,
    other_true: np.ndarray | None = None,
    repeats: int = 1000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """R² of the model minus R² of another, mean over folds, with a 95 % interval over resampled test entities.

    Both are scored on the same resamples of each fold's test rows, so that what they share cancels.

    Args:
        true, model, other: ``[entity, target]``.
        test: ``[fold, entity]``.
        other_true: what the other is judged by, if it is not ``true`` (shuffled targets, a control task).
    """
    judged_by = true if other_true is None else other_true
    random = np.random.default_rng(seed)
    gains = []
    for rows in (np.flatnonzero(fold) for fold in test):
        count = len(rows)
        drawn = random.integers(0, count, (repeats, count)) + count * np.arange(repeats)[:, None]
        times = np.bincount(drawn.ravel(), minlength=repeats * count).reshape(repeats, count).astype(float)
        times = np.concatenate((np.ones((1, count)), times))  # the first is no resample
        gains.append(_r2(true[rows], model[rows], times) - _r2(judged_by[rows], other[rows], times))
    mean = np.mean(gains, axis=0)
    low, high = np.quantile(mean[1:], (0.025, 0.975))
    return float(mean[0]), float(low), float(high)


def _r2(true: np.ndarray, predicted: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Mean over targets of R², ``[resample]``, of rows ``[entity, target]`` that occur ``times [resample, entity]``."""
    off = true - true.mean(axis=0)  # so that little cancels below
    error, spread = times @ np.square(true - predicted), times @ np.square(off)
    spread -= np.square(times @ off) / times.sum(axis=1, keepdims=True)
    return (1 - error / spread).mean(axis=1)
