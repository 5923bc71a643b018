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

from analyses.probes.neurons import spearman_scan, top_neurons
from analyses.probes.scores import rank

from .results import Neurons
from .study import Study

PERMUTATIONS, QUANTILE, TOP = 100, 0.95, 10
_of_all = jax.jit(spearman_scan)


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
    ranked = _centred_ranks(jnp.asarray(columns, jnp.float32))
    permuted = ranked[order].reshape(len(columns), -1)
    given = _Ranks(ranked, permuted, jnp.asarray(study.train(), jnp.float32))
    found = [tuple(np.asarray(part) for part in _scan(jnp.asarray(block), given)) for block in rows]
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


@jax.jit
def _scan(block: jax.Array, given: _Ranks) -> tuple[jax.Array, jax.Array, jax.Array]:
    """ρ ``[neuron, column]``, max |ρ| over neurons ``[repeat * column]``, correlation ``[fold, neuron, column]``."""
    x = _centred_ranks(block)
    scale = _over(jnp.linalg.norm(x, axis=0)[:, None] * jnp.linalg.norm(given.columns, axis=0))
    rho = jnp.matmul(x.T, given.columns, precision="highest") * scale
    repeats = given.permuted.shape[1] // given.columns.shape[1]
    chance = jnp.matmul(x.T, given.permuted, precision="high") * jnp.tile(scale, (1, repeats))

    def fold(train: jax.Array) -> jax.Array:
        weight = train[:, None] / jnp.sum(train)
        inside = [train[:, None] * (part - jnp.sum(weight * part, axis=0)) for part in (x, given.columns)]
        norms = jnp.linalg.norm(inside[0], axis=0)[:, None] * jnp.linalg.norm(inside[1], axis=0)
        return jnp.matmul(inside[0].T, inside[1], precision="highest") * _over(norms)

    return rho, jnp.max(jnp.abs(chance), axis=0), jax.lax.map(fold, given.train)


def _centred_ranks(columns: jax.Array) -> jax.Array:
    ranks = jax.vmap(rank)(columns.T).T
    return jnp.where(jnp.ptp(ranks, axis=0) > 0, ranks - jnp.mean(ranks, axis=0), 0)


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
            y = jnp.asarray(columns[test, column : column + 1], jnp.float32)
            every = np.asarray(_of_all(jnp.asarray(rows[block][test]), y))[:, 0]
            validated[fold, column], ordinary[fold, column] = every[neuron], np.median(np.abs(every))
    return validated, ordinary
