"""How many directions and how many examples a probe needs, and what a probe that is not linear reads.

All at the layer that the folds chose most often; nothing is fitted on test rows, principal components neither.
Source: Gurnee and Tegmark, arXiv 2310.02207, sections 3.2 and 3.4 and table 2.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.components import pca_curve, pls_curve
from analyses.probes.mlp import fit_mlp
from analyses.probes.ridge import fit_ridge, relative_penalties
from analyses.probes.scores import r_squared, spearman

from .controls import tested_only
from .results import Curve, Sweep
from .side_by_side import side_by_side
from .study import Study

PCA_COUNTS = (2, 4, 6, 8, 10, 15, 20, 30, 40, 50, 75, 100)
PLS_COUNTS = (1, 2, 3, 4, 6, 8, 10, 15, 20)
ROW_COUNTS = (100, 250, 500, 1000, 2000, 4000)
# The published batch of 512 leaves a hundred steps for some thousand rows.
MLP_BATCH, MLP_DECAYS = 64, (0.03, 0.3)


def curves(rows: np.ndarray, sweep: Sweep, study: Study, penalties: int, seed: int) -> tuple[Curve, ...]:
    """Scores on test rows against components and training rows; activations are ``rows [layer, entity, width]``."""
    layer = int(np.bincount(sweep.chosen).argmax())
    width, fewest = rows.shape[2], int(study.train().sum(axis=1).min())
    pca, pls = (tuple(k for k in counts if k <= min(width, fewest - 1)) for counts in (PCA_COUNTS, PLS_COUNTS))
    sizes = (*(n for n in ROW_COUNTS if n < 0.9 * fewest), fewest)
    with jax.enable_x64(True):
        x, y = jnp.asarray(rows[layer], jnp.float64), jnp.asarray(study.table.targets)
        train, ratios = jnp.asarray(study.train()), relative_penalties(penalties)
        order = jnp.asarray(_order(study, seed))
        return (
            _curve("PCA", pca, _pca(x, y, ratios, train, pca)),
            _curve("PLS", pls, _pls(x, y, train, pls)),
            _curve("training rows", sizes, _fewer_rows(x, y, ratios, train, order, sizes)),
        )


def _curve(name: str, sizes: tuple[int, ...], scores: tuple[jax.Array, jax.Array]) -> Curve:
    return Curve(name, np.array(sizes), np.asarray(scores[0]), np.asarray(scores[1]))


def _order(study: Study, seed: int) -> np.ndarray:
    """``[fold, entity]``: a random place of every training row among those of its fold; test rows come last."""
    drawn = np.random.default_rng((seed, 3)).random((study.num_folds, len(study.table)))
    return np.argsort(np.argsort(np.where(study.train(), drawn, 2.0), axis=1), axis=1)


def _scores(y: jax.Array, predictions: jax.Array, train: jax.Array) -> tuple[jax.Array, jax.Array]:
    """R² and ρ ``[point]`` on test rows, means over targets, of predictions ``[point, entity, target]``."""
    test = (~train).astype(y.dtype)

    def of(said: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jnp.mean(r_squared(y, said, test)), jnp.mean(spearman(y, said, test))

    return jax.vmap(of)(predictions)


@functools.partial(jax.jit, static_argnums=4)
def _pca(x: jax.Array, y: jax.Array, ratios: jax.Array, train: jax.Array, counts: tuple[int, ...]):
    return jax.lax.map(lambda rows: _scores(y, pca_curve(x, y, ratios, rows, counts).predictions, rows), train)


@functools.partial(jax.jit, static_argnums=3)
def _pls(x: jax.Array, y: jax.Array, train: jax.Array, counts: tuple[int, ...]):
    return jax.lax.map(lambda rows: _scores(y, pls_curve(x, y, rows, counts).predictions, rows), train)


@functools.partial(jax.jit, static_argnums=5)
def _fewer_rows(x, y, ratios, train, order, sizes: tuple[int, ...]):
    def fold(both: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        rows, place = both

        def with_only(size: jax.Array) -> jax.Array:
            fitted = fit_ridge(x, y, ratios, rows & (place < size))
            return x @ fitted.weights + fitted.intercept

        return _scores(y, jax.lax.map(with_only, jnp.asarray(sizes)), rows)

    return jax.lax.map(fold, (train, order))


def mlp_predictions(rows: np.ndarray, sweep: Sweep, study: Study, seed: int) -> np.ndarray:
    """What a network of one hidden layer says, ``[entity, target]``, at the layer that each fold chose."""
    fewest = int(study.train().sum(axis=1).min())
    y, splits = jnp.asarray(study.table.targets, jnp.float32), study.train()

    def fold(k: int) -> np.ndarray:
        key = jax.random.fold_in(jax.random.key(seed), k)
        members = np.flatnonzero(splits[k])[:fewest]  # folds of one size share one program
        return np.asarray(_mlp(key, jnp.asarray(rows[sweep.chosen[k]]), y, jnp.asarray(members)), np.float64)

    return tested_only(study, side_by_side(fold, range(len(splits))))


@jax.jit
def _mlp(key: jax.Array, x: jax.Array, y: jax.Array, members: jax.Array) -> jax.Array:
    return fit_mlp(key, x, y, members, batch=MLP_BATCH, decays=MLP_DECAYS).predictions
