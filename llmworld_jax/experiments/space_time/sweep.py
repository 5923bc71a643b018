"""Ridge probes of every layer, every fold and every penalty: one compiled program, run layer by layer."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.ridge import fit_ridge, predict, relative_penalties
from analyses.probes.scores import r_squared, spearman

from .results import Sweep
from .scoring import gathered
from .side_by_side import side_by_side
from .study import Study


class _Layer(NamedTuple):
    loo_error: jax.Array  # [fold]
    predictions: jax.Array  # [entity, target]
    r2: jax.Array  # [fold, target]
    rho: jax.Array
    at_edge: jax.Array  # [fold]
    choice: jax.Array  # [fold]
    direction: jax.Array  # [width, target]


def layer_sweep(rows: np.ndarray, study: Study, penalties: int, targets: np.ndarray | None = None) -> Sweep:
    """Probe every layer of ``rows [layer, entity, width]``; the layer of each fold is chosen on its training rows.

    Args:
        targets: ``[entity, target]`` in the place of the table's.
    """
    with jax.enable_x64(True):
        ratios = relative_penalties(penalties)
        y = jnp.asarray(study.table.targets if targets is None else targets)
        train, inside = gathered(study.train())
        splits = tuple(jnp.asarray(part) for part in (train, inside > 0, study.test()))

    def layer(x: np.ndarray) -> list[np.ndarray]:
        with jax.enable_x64(True):  # holds for one thread only
            return [np.asarray(part) for part in _probe(jnp.asarray(x, jnp.float64), y, ratios, splits)]

    stacked: Any = map(np.stack, zip(*side_by_side(layer, rows)))
    found: Any = _Layer(*stacked)
    grid = np.asarray(ratios)
    chosen = found.loo_error.argmin(axis=0)
    final = np.full(found.predictions.shape[1:], np.nan)
    for k, layer in enumerate(chosen):
        tested = study.fold == k
        final[tested] = found.predictions[layer, tested]
    return Sweep(
        loo_error=found.loo_error.T,
        predictions=found.predictions,
        r2=found.r2.swapaxes(0, 1),
        rho=found.rho.swapaxes(0, 1),
        at_edge=found.at_edge.T,
        chosen=chosen,
        ratio=grid[found.choice[chosen, np.arange(len(chosen))]],
        final=final,
        directions=found.direction,
    )


@jax.jit
def _probe(x: jax.Array, y: jax.Array, ratios: jax.Array, splits: tuple[jax.Array, ...]) -> _Layer:
    """``splits``: indices ``[fold, row]`` of training rows, which of these are real, and ``[fold, entity]`` to test."""

    def fold(split: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        train, inside, tested = split
        # Only rows that count: the Gram matrix and the leave-one-out errors cost as much for a masked row.
        fit = fit_ridge(x[train], y[train], ratios, inside)
        said, weight = predict(fit, x), tested.astype(x.dtype)
        r2, rho = r_squared(y, said, weight), spearman(y, said, weight)
        return fit.loo_error[fit.choice], said, r2, rho, fit.at_edge, fit.choice

    # One after the other: a batch of eigendecompositions is several times slower on a CPU, and no faster elsewhere.
    best, said, r2, rho, at_edge, choice = jax.lax.map(fold, splits)
    tested = splits[2]
    # Each row is tested by one fold at most.
    predictions = jnp.einsum("fn,fnt->nt", tested.astype(x.dtype), said)
    predictions = jnp.where(tested.any(axis=0)[:, None], predictions, jnp.nan)
    scale = jnp.std(y, axis=0)
    direction = fit_ridge(x, y, ratios).weights / jnp.where(scale > 0, scale, 1)
    return _Layer(best, predictions, r2, rho, at_edge, choice, direction)


def single(rows: np.ndarray, study: Study, penalties: int, targets: np.ndarray | None = None) -> np.ndarray:
    """Out-of-sample predictions ``[entity, target]`` from one set of rows ``[entity, width]``."""
    return layer_sweep(rows[None], study, penalties, targets).final
