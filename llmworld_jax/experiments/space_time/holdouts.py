"""Whole groups left out of training: does the map reach a country of which it has seen no place?

The Gram sums of a group are subtracted from those of all entities (:mod:`analyses.probes.sums`), so that no fit needs
another pass over the activations. Layer and relative penalty are those that the ordinary folds chose most often.
Source: Gurnee and Tegmark, arXiv 2310.02207, section 3.3.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.sums import grouped_row_sums, holdout_fits

from .results import Block, Sweep
from .scoring import distance
from .study import Study, coded

LEAST_MEMBERS, MOST_BLOCKS = 10, 40


class HeldOut(NamedTuple):
    """Groups that were left out, and what the fit without an entity's own group says of it."""

    labels: tuple[str, ...]
    layer: int
    predicted: np.ndarray  # [entity, target]


def hold_out(rows: np.ndarray, sweep: Sweep, study: Study, grouping: str) -> HeldOut:
    """Leave out each of the largest groups of ``grouping`` with ten or more tested entities."""
    layer, ratio = int(np.bincount(sweep.chosen).argmax()), float(np.median(sweep.ratio))
    codes, labels = coded(study.table.groups[grouping])
    known = np.isfinite(sweep.predictions[layer]).all(axis=1)
    count = np.bincount(codes, weights=known, minlength=len(labels)).astype(int)
    largest = [int(g) for g in np.argsort(-count, kind="stable")[:MOST_BLOCKS] if count[g] >= LEAST_MEMBERS]
    if not largest or len(labels) < 2:
        return HeldOut((), layer, np.full_like(study.table.targets, np.nan))
    # All other groups together are one more, which is never left out.
    block = np.full(len(labels), len(largest), np.int32)
    block[largest] = np.arange(len(largest))
    with jax.enable_x64(True):
        x, y = jnp.asarray(rows[layer], jnp.float64), jnp.asarray(study.table.targets)
        said = np.array(_without_each(x, y, jnp.asarray(block[codes]), jnp.asarray(ratio), len(largest)))
    said[block[codes] == len(largest)] = np.nan
    return HeldOut(tuple(labels[g] for g in largest), layer, said)


def blocks_of(study: Study, sweep: Sweep, grouping: str, held: HeldOut) -> tuple[Block, ...]:
    """Each left-out group beside the same entities when others of the group were in training."""
    nominal = sweep.predictions[held.layer]
    known = np.isfinite(nominal).all(axis=1)
    with jax.enable_x64(True):
        return tuple(
            _block(study, label, np.flatnonzero(known & member), ~member, nominal, held.predicted)
            for label in held.labels
            for member in (study.table.groups[grouping] == label,)
        )


@functools.partial(jax.jit, static_argnums=4)
def _without_each(x: jax.Array, y: jax.Array, block: jax.Array, ratio: jax.Array, count: int) -> jax.Array:
    """What the fit without an entity's own block says of it, ``[entity, target]``; of the last block's, anything."""
    sums = grouped_row_sums(x, y, block, count + 1, x.mean(axis=0), y.mean(axis=0))
    fits = holdout_fits(sums, ratio)
    return jnp.einsum("nd,ndt->nt", x, fits.weights[block]) + fits.intercept[block]


def _block(
    study: Study, name: str, rows: np.ndarray, others: np.ndarray, nominal: np.ndarray, held_out: np.ndarray
) -> Block:
    true, mean = study.table.targets[rows], study.table.targets[others].mean(axis=0)
    everyone = nominal.copy()
    before = _nearness(study, true, everyone, rows)
    everyone[rows] = held_out[rows]
    after = _nearness(study, true, everyone, rows)
    cosine, reach = displacement(true.mean(axis=0) - mean, held_out[rows].mean(axis=0) - mean)
    return Block(
        name, rows, nominal[rows], held_out[rows], mean, before[0], after[0], before[1], after[1], cosine, reach
    )  # fmt: skip


def _nearness(study: Study, true: np.ndarray, predicted: np.ndarray, rows: np.ndarray) -> tuple[float, float]:
    """Mean proximity error of ``rows`` among all predictions, and their median error."""
    apart = _apart(study.table.kind == "place", true, predicted)
    own = apart[np.arange(len(rows)), rows][:, None]
    others = np.isfinite(predicted).all(axis=1).sum() - 1
    nearer = (apart < own).sum(axis=1) + ((apart == own).sum(axis=1) - 1) / 2  # NaN is neither
    return float(np.mean(nearer / others)), float(np.median(own))


def _apart(place: bool, true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """``[row, entity]`` distances of truths and predictions; rows are filled up, so that few shapes are compiled."""
    filled = np.zeros((1 << (len(true) - 1).bit_length(), true.shape[1]))
    filled[: len(true)] = true
    return np.asarray(_distances(place, jnp.asarray(filled), jnp.asarray(predicted)))[: len(true)]


@functools.partial(jax.jit, static_argnums=0)
def _distances(place: bool, true: jax.Array, predicted: jax.Array) -> jax.Array:
    return jax.vmap(lambda one: distance(place)(jnp.broadcast_to(one, predicted.shape), predicted))(true)


def displacement(true: np.ndarray, predicted: np.ndarray) -> tuple[float, float]:
    r"""Cosine of two displacements, and how far the predicted one goes along the true one:
    :math:`p \cdot t / |t|^2`, 1 for all the way."""
    size, other = np.linalg.norm(true), np.linalg.norm(predicted)
    if size == 0 or other == 0:
        return float("nan"), 0.0 if size else float("nan")
    return float(true @ predicted / (size * other)), float(true @ predicted / size**2)
