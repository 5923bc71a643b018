"""Single neurons that follow a place or a date: every gated activation, chosen and judged on different entities.

The activation is that of the neuron itself, ``act(gate) * up`` at the last token; the published code took the product
of a normalised residual with rows of the weights, which lacks the gate, the gain of the norm and the attention of the
block. The best of tens of thousands always looks good, so it is held against the best under permuted targets, and
chosen again on the training rows of every fold and judged on its test rows.
Source: Gurnee and Tegmark, arXiv 2310.02207, section 5.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

from analyses.probes.neurons import top_neurons

from .results import Neurons
from .side_by_side import side_by_side
from .study import Study

PERMUTATIONS, QUANTILE, TOP = 100, 0.95, 10


class _Ranks(NamedTuple):
    """Centred ranks of the columns among all entities, and who may be used for what."""

    columns: jax.Array  # [entity, column]
    permuted: jax.Array  # [entity, repeat * column]
    train: jax.Array  # [fold, entity]


def target_columns(study: Study) -> tuple[tuple[str, ...], np.ndarray]:
    """What neurons are held against, ``[entity, column]``: the targets, and for places how far from the equator."""
    names, targets = study.table.target_names, study.table.targets
    if study.table.kind != "place":
        return names, targets
    return (*names, "|latitude|"), np.column_stack((targets, np.abs(targets[:, 1])))


def neuron_study(rows: np.ndarray, study: Study, seed: int) -> Neurons:
    """Spearman's ρ of every neuron of ``rows [block, entity, neuron]``, its chance band, and what holds on other rows.

    For the choice on training rows ranks are those among all entities (they use no target of a test row); the ρ that
    is reported on test rows is Spearman's of these rows alone.
    """
    names, columns = target_columns(study)
    random = np.random.default_rng((seed, 4))
    order = np.stack([random.permutation(len(columns)) for _ in range(PERMUTATIONS)], axis=1)
    ranked = _centred(average_ranks(columns.T)).T
    permuted = ranked[order].reshape(len(columns), -1)
    given = _Ranks(*(jnp.asarray(part, jnp.float32) for part in (ranked, permuted, study.train())))

    def scan(block: np.ndarray) -> list[np.ndarray]:
        return [np.asarray(part) for part in _scan(jnp.asarray(_centred(average_ranks(block.T))), given)]

    found = side_by_side(scan, rows)
    rho, chance, of_train = (np.stack(parts) for parts in zip(*found, strict=True))
    best = top_neurons(jnp.asarray(rho), TOP)
    top = np.stack((np.asarray(best.layer), np.asarray(best.neuron)), axis=2)
    chosen = [top_neurons(jnp.asarray(of_train[:, k]), 1) for k in range(study.num_folds)]
    selected = np.stack([np.stack((np.asarray(c.layer)[:, 0], np.asarray(c.neuron)[:, 0]), axis=1) for c in chosen])
    sign = np.sign([np.asarray(c.correlation)[:, 0] for c in chosen])
    validated, ordinary = _validate(rows, study, columns, selected)
    return Neurons(
        names=names,
        rho=rho,
        band=np.quantile(chance.max(axis=0).reshape(PERMUTATIONS, -1), QUANTILE, axis=0),
        top=top,
        top_activation=np.stack([rows[block, :, neuron] for block, neuron in top[:, 0]]),
        selected=selected,
        validated=validated * sign,
        random=ordinary,
    )


def average_ranks(columns: np.ndarray) -> np.ndarray:
    """Ranks from 1 along the last axis of ``[column, entity]``, equal values sharing their average, in float32.

    On the host: NumPy's vectorised sort takes a tenth of the time of XLA's on a CPU, and only columns with ties need
    more than a sort.
    """
    order = np.argsort(columns, axis=-1)
    ordered = np.take_along_axis(columns, order, axis=-1)
    ranks = np.empty(columns.shape, np.float32)
    np.put_along_axis(ranks, order, np.arange(1, columns.shape[-1] + 1, dtype=np.float32)[None], axis=-1)
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(axis=-1)
    if tied.any():
        ranks[tied] = scipy.stats.rankdata(columns[tied], axis=-1)
    return ranks


def _centred(ranks: np.ndarray) -> np.ndarray:
    """Ranks ``[column, entity]`` about their mean, which is the same whatever ties there are; 0 if all are equal."""
    return ranks - np.float32((ranks.shape[-1] + 1) / 2)


@jax.jit
def _scan(x: jax.Array, given: _Ranks) -> tuple[jax.Array, jax.Array, jax.Array]:
    """ρ ``[neuron, column]``, max |ρ| over neurons ``[repeat * column]``, correlation ``[fold, neuron, column]``.

    Of the centred ranks ``x [neuron, entity]``.
    """
    scale = _over(jnp.linalg.norm(x, axis=1)[:, None] * jnp.linalg.norm(given.columns, axis=0))
    rho = jnp.matmul(x, given.columns, precision="highest") * scale
    repeats = given.permuted.shape[1] // given.columns.shape[1]
    chance = jnp.matmul(x, given.permuted, precision="high") * jnp.tile(scale, (1, repeats))
    # Sums over the training rows of every fold in three products, instead of a copy of x for each.
    weight = given.train / jnp.sum(given.train, axis=1, keepdims=True)
    mean, square = (jnp.matmul(part, weight.T, precision="highest") for part in (x, x**2))
    y_mean = jnp.matmul(weight, given.columns, precision="highest")
    y = (given.columns - y_mean[:, None]) * given.train[..., None]  # [fold, entity, column]
    product = jnp.einsum("ni,fic->fnc", x, y, precision="highest")
    variance = square - mean**2
    # A neuron that is constant on these rows leaves rounding only.
    spread = jnp.where(variance > 1e-5 * square, variance, 0) * jnp.sum(given.train, axis=1)
    norms = jnp.sqrt(spread).T[..., None] * jnp.linalg.norm(y, axis=1)[:, None]
    return rho, jnp.max(jnp.abs(chance), axis=0), product * _over(norms)


def _over(norms: jax.Array) -> jax.Array:
    """Their inverse; 0 for a neuron that never changes, which orders nothing."""
    return jnp.where(norms > 0, 1 / jnp.where(norms > 0, norms, 1), 0)


def _validate(
    rows: np.ndarray, study: Study, columns: np.ndarray, selected: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """``[fold, column]``: ρ of the chosen neuron on test rows, and the median |ρ| of all neurons of its block."""
    validated, ordinary = np.empty(selected.shape[:2]), np.empty(selected.shape[:2])
    for fold, test in enumerate(study.test()):
        for column, (block, neuron) in enumerate(selected[fold]):
            x, y = (_centred(average_ranks(part.T)) for part in (rows[block][test], columns[test, column : column + 1]))
            norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y)
            every = np.divide(x @ y[0], norms, out=np.zeros_like(norms), where=norms > 0)
            validated[fold, column], ordinary[fold, column] = every[neuron], np.median(np.abs(every))
    return validated, ordinary
