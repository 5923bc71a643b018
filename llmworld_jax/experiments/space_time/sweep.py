"""Ridge probes of every layer, every fold and every penalty: one compiled program, run layer by layer."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.ridge import fit_ridge, relative_penalties
from analyses.probes.scores import r_squared, spearman

from .results import Sweep
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
        train = jnp.asarray(study.train())
        layers = [_probe(jnp.asarray(x, jnp.float64), y, ratios, train) for x in rows]
        stacked: Any = [np.stack([np.asarray(part) for part in parts]) for parts in zip(*layers)]
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


@functools.partial(jax.jit)
def _probe(x: jax.Array, y: jax.Array, ratios: jax.Array, train: jax.Array) -> _Layer:
    every = jnp.ones((1, x.shape[0]), bool)
    # One after the other: a batch of eigendecompositions is several times slower on a CPU, and no faster elsewhere.
    fits = jax.lax.map(lambda rows: fit_ridge(x, y, ratios, rows), jnp.concatenate((train, every)))
    folds = jax.tree.map(lambda part: part[:-1], fits)
    test = (~train).astype(x.dtype)
    # Each row is tested by one fold at most.
    predictions = jnp.where(test.any(axis=0)[:, None], jnp.einsum("fn,fnt->nt", test, folds.loo_predictions), jnp.nan)
    best = jnp.take_along_axis(folds.loo_error, folds.choice[:, None], axis=1)[:, 0]
    r2 = jax.vmap(r_squared, in_axes=(None, 0, 0))(y, folds.loo_predictions, test)
    rho = jax.vmap(spearman, in_axes=(None, 0, 0))(y, folds.loo_predictions, test)
    scale = jnp.std(y, axis=0)
    direction = fits.weights[-1] / jnp.where(scale > 0, scale, 1)
    return _Layer(best, predictions, r2, rho, folds.at_edge, folds.choice, direction)


def single(rows: np.ndarray, study: Study, penalties: int, targets: np.ndarray | None = None) -> np.ndarray:
    """Out-of-sample predictions ``[entity, target]`` from one set of rows ``[entity, width]``."""
    return layer_sweep(rows[None], study, penalties, targets).final
