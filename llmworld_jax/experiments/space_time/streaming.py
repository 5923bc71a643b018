r"""Ridge probes of a dataset too large to hold: sums over its training rows, and its test rows.

A fit and its error on any rows depend only on sums over those rows (:mod:`analyses.probes.sums`). So every batch is
added on the device to the sums of its inner fold as soon as it is read, layer by layer,

.. math:: S^{(\ell, k)} \mathrel{+}= \sum_{i \in \text{batch},\, k(i) = k} (x_i - c)(x_i - c)^\top, \ldots

and is forgotten but for its test rows. Held of activations are ``8 (layers + 1) folds width²`` bytes (0.4 GB for the
default model) and 4 bytes for each number of the test rows, however many the training rows. Products of one batch are
made in float32, their sums and all fits in float64.

In the place of leaving single rows out, which needs the rows, the penalty of each layer and the layer itself are
chosen by the error on K inner folds of the training rows.
"""

import functools
import operator
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from analyses.probes import sums as over_rows
from analyses.probes.ridge import relative_penalties
from analyses.probes.scores import r_squared, spearman
from analyses.probes.sums import RowSums

from ...activations import stream
from ...entities.prompts import EntityPrompts
from ...errors import InputError
from ...models.llama import Llama
from ...models.readout import token_table
from .results import Sweep
from .rows import MATMUL_PRECISION, Progress, every_fifth, residual_rows
from .study import Study

INNER_FOLDS = 5
_SAMPLE = 64  # rows whose mean is the point about which all are summed


class StreamFacts(NamedTuple):
    """What one stream read and held. ``seconds`` are those of reading and summing, without the fits."""

    tokens: int
    seconds: float
    tokens_per_second: float
    bytes_of_sums: int
    bytes_of_test_rows: int


class _Layer(NamedTuple):
    """Of one layer; targets are the standardised columns of all sets."""

    error: Any  # [set]
    choice: Any  # [set]
    weights: Any  # [width, target]
    predicted: Any  # [test, target]
    r2: Any  # [target]
    rho: Any  # [target]


def stream_sweeps(
    model: Llama,
    prompts: EntityPrompts,
    study: Study,
    targets: dict[str, Float[np.ndarray, "entity _"]],
    penalties: int,
    progress: Progress,
    what: str,
) -> tuple[dict[str, Sweep], Float[np.ndarray, "layer test width"], StreamFacts]:
    """Probe every layer for every set of targets, reading the names once; layers are those of ``residual_rows``.

    The one split of ``study`` has its test rows at fold 0, the others at -1. All sets share the sums of activations
    and their eigendecompositions, so that shuffled targets and control tasks cost next to nothing.

    Returns:
        A sweep by the name of the set, the test rows in the order of the table in float32, and what was read.
        ``loo_error`` of a sweep is here the error on INNER_FOLDS random folds of the training rows, at the best
        penalty; ``directions`` are fitted on all training rows, the targets standardised over these; predictions are
        NaN but for test rows.

    Raises:
        InputError: more than one split, no test row, or fewer than two training rows for each inner fold; and as
            ``activations.stream``.
    """
    train, test = _split(study)
    columns = np.concatenate(tuple(targets.values()), axis=1).astype(np.float64)
    mean, spread = columns[train].mean(axis=0), columns[train].std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    y = (columns - mean) / spread
    sums, rows, facts = _read(model, prompts, _inner_folds(train), y.astype(np.float32), progress, what)
    owner = np.repeat(np.arange(len(targets)), [values.shape[1] for values in targets.values()])
    found, ratios = _layers(sums, rows, y[test], owner, penalties)
    sweeps = {}
    for k, name in enumerate(targets):
        own = owner == k
        part = _Layer(found.error[:, k], found.choice[:, k], *(columns[..., own] for columns in found[2:]))
        sweeps[name] = _sweep(part, ratios, test, mean[own], spread[own])
    return sweeps, rows, facts


def _split(study: Study) -> tuple[np.ndarray, np.ndarray]:
    train, test = study.fold < 0, study.fold == 0
    if study.num_folds != 1 or train.sum() < 2 * INNER_FOLDS:
        raise InputError(
            f"{study.num_folds} test parts and {train.sum()} rows for training alone",
            f"one test part and {2 * INNER_FOLDS} training rows or more: a stream is read once",
            "Use the split of the file, or fewer entities",
        )
    return train, test


def _inner_folds(train: np.ndarray) -> np.ndarray:
    """``[entity]``: random inner folds of equal size, the same for every run; -1 for test rows."""
    fold = np.full(len(train), -1, np.int32)
    fold[train] = np.random.default_rng(0).permutation(np.arange(train.sum()) % INNER_FOLDS)
    return fold


def _read(
    model: Llama, prompts: EntityPrompts, fold: np.ndarray, y: np.ndarray, progress: Progress, what: str
) -> tuple[RowSums, np.ndarray, StreamFacts]:
    """Sums ``[layer, inner fold, ...]``, test rows ``[layer, test, width]``, and what it took."""
    began = time.perf_counter()
    centre = _centre(model, prompts, fold)
    last = np.array([tokens[at] for tokens, at in zip(prompts.tokens, prompts.last, strict=True)], np.int32)
    table, slot = token_table(model), np.cumsum(fold < 0) - 1
    held = np.empty((len(centre), slot[-1] + 1, centre.shape[1]), np.float32)
    sums = _nothing(centre, y.shape[1])
    for batch, taps in stream(
        model, prompts.tokens, prompts.last, sites=("resid_post",), precision=MATMUL_PRECISION,
        progress=every_fifth(progress, what),
    ):  # fmt: skip
        rows = _with_embedding(table, last[batch.which], taps["resid_post"])
        repeated = np.arange(len(batch.which)) >= batch.real
        with jax.enable_x64(True):  # not around the reading, which is float32
            sums = _counted_in(sums, rows, y[batch.which], np.where(repeated, np.int32(-1), fold[batch.which]))
        tested = np.flatnonzero(~repeated & (fold[batch.which] < 0))
        if len(tested):
            held[:, slot[batch.which[tested]]] = np.asarray(rows)[:, tested]
    jax.block_until_ready(sums)
    seconds, tokens = time.perf_counter() - began, sum(map(len, prompts.tokens))
    return sums, held, StreamFacts(tokens, seconds, tokens / seconds, sum(leaf.nbytes for leaf in sums), held.nbytes)


def _centre(model: Llama, prompts: EntityPrompts, fold: np.ndarray) -> np.ndarray:
    """Mean ``[layer, width]`` of a few training rows; the first of a stream, its shortest names, may be far off."""
    train = np.flatnonzero(fold >= 0)
    few = np.random.default_rng(0).permutation(train)[:_SAMPLE]
    sample = EntityPrompts(tuple(prompts.tokens[k] for k in few), prompts.first[few], prompts.last[few])
    rows = residual_rows(model, sample, lambda _: None, "")
    # A feature that is constant is then exactly zero about its centre.
    return np.clip(rows.mean(axis=1), rows.min(axis=1), rows.max(axis=1))


def _nothing(centre: np.ndarray, targets: int) -> RowSums:
    with jax.enable_x64(True):
        block, width = (len(centre), INNER_FOLDS), centre.shape[1]
        none = functools.partial(jnp.zeros, dtype=jnp.float64)
        centres = jnp.broadcast_to(jnp.asarray(centre, jnp.float64)[:, None], (*block, width))
        return RowSums(
            none(block), none((*block, width)), none((*block, targets)), none((*block, width, width)),
            none((*block, width, targets)), none((*block, targets)), centres, none((*block, targets)),
        )  # fmt: skip


@jax.jit
def _with_embedding(table: Array, last: Array, after: Array) -> Float[Array, "layer row width"]:
    return jnp.concatenate((table[last][None], after)).astype(jnp.float32)


@functools.partial(jax.jit, donate_argnums=0)
def _counted_in(
    sums: RowSums, x: Float[Array, "layer row width"], y: Float[Array, "row target"], fold: Int[Array, " row"]
) -> RowSums:
    """The sums with the rows of a batch, those of fold -1 left out; a layer at a time, each in its place."""

    def layer(k: Array, sums: RowSums) -> RowSums:
        here = jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf, k, keepdims=False), sums)
        centre_x, centre_y = here.centre_x[0].astype(x.dtype), here.centre_y[0].astype(x.dtype)
        rows = jax.lax.dynamic_index_in_dim(x, k, keepdims=False)
        more = over_rows.add(here, over_rows.grouped_row_sums(rows, y, fold, INNER_FOLDS, centre_x, centre_y))
        return jax.tree.map(lambda all_, one: jax.lax.dynamic_update_index_in_dim(all_, one, k, 0), sums, more)

    return jax.lax.fori_loop(0, x.shape[0], layer, sums)


def _layers(
    sums: RowSums, rows: np.ndarray, y: np.ndarray, owner: np.ndarray, penalties: int
) -> tuple[_Layer, np.ndarray]:
    """``_Layer`` of arrays with a leading axis [layer], and the grid; ``owner [target]`` is the set of a column."""
    with jax.enable_x64(True):
        ratios, true, of = relative_penalties(penalties), jnp.asarray(y), jnp.asarray(owner)
        shares = jnp.asarray((owner == np.arange(owner.max() + 1)[:, None]) / np.bincount(owner)[:, None])
        layers = [
            _probe(jax.tree.map(operator.itemgetter(k), sums), jnp.asarray(x, jnp.float64), true, of, shares, ratios)
            for k, x in enumerate(rows)
        ]
        return _Layer(*(np.stack([np.asarray(part) for part in parts]) for parts in zip(*layers))), np.asarray(ratios)


@jax.jit
def _probe(sums: RowSums, x: Array, y: Array, owner: Array, shares: Array, ratios: Array) -> _Layer:
    """``fold_choice`` of every set, but with the fits to all folds but one, which are those of all columns, shared."""
    whole = over_rows.total(sums)

    def left_out(fold: RowSums) -> Float[Array, "penalty target"]:
        fits = over_rows.path_from_sums(over_rows.subtract(whole, fold), ratios)
        errors = jax.vmap(over_rows.error_from_sums, in_axes=(0, 0, None))(fits.weights, fits.intercept, fold)
        return errors * fold.count

    # Columns have variance 1 over the folds, or are 0.
    errors = jnp.matmul(shares, jnp.sum(jax.lax.map(left_out, sums), axis=0).T / whole.count, precision="highest")
    choice = jnp.argmin(errors, axis=1)
    fits = jax.lax.map(lambda ratio: over_rows.fit_from_sums(whole, ratio), ratios[choice])
    column = jnp.arange(len(owner))
    weights, intercept = fits.weights[owner, :, column].T, fits.intercept[owner, column]
    predicted = jnp.matmul(x, weights, precision="highest") + intercept
    return _Layer(jnp.min(errors, axis=1), choice, weights, predicted, r_squared(y, predicted), spearman(y, predicted))


def _sweep(found: _Layer, ratios: np.ndarray, test: np.ndarray, mean: np.ndarray, spread: np.ndarray) -> Sweep:
    chosen = found.error.argmin(axis=0, keepdims=True)
    predictions = np.full((len(found.error), len(test), len(mean)), np.nan)
    predictions[:, test] = mean + found.predicted * spread
    return Sweep(
        loo_error=found.error[None],
        predictions=predictions,
        r2=found.r2[None],
        rho=found.rho[None],
        at_edge=np.isin(found.choice, (0, len(ratios) - 1))[None],
        chosen=chosen,
        ratio=ratios[found.choice[chosen]],
        final=predictions[chosen[0]],
        directions=found.weights,
    )
