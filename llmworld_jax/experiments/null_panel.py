"""The panel of predictors that do not read: all see the model's own cells, and each row only the items before it.

Everything but the network runs in float64 (``jax.enable_x64``), whatever the model ran in; a panel is compiled once
for all series of one shape, and one call takes a series ``[time]`` or several ``[seed, time]``.
"""

import functools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

import analyses

from ..errors import InputError
from ..numerals import Numerals

CELL_SMOOTHING = 0.05
"""Added to every count of the running histograms over many cells; over a few symbols it is 1."""

NUMBER_NULLS = ("unigram", "bigram", "AR(1)", "quadratic AR(1)", "kernel", "parrot D=1", "parrot D=2")
SYMBOL_NULLS = ("unigram", "bigram")
NEURAL_NULL = "neural AR(1)"


def null_laws(codes: np.ndarray, numerals: Numerals, *, symbolic: bool) -> dict[str, np.ndarray]:
    """ln mass ``[time, bin]`` of every null, by the names for plots; ``[seed, time, bin]`` of codes ``[seed, time]``.

    Row t is a law of item t that saw items before t, written with the digits that the model reads. Symbols get the
    counting nulls only: distances between names mean nothing.

    Raises InputError for codes that are not whole numbers in one or two axes, or off the grid.
    """
    rows = _rows(codes, numerals)
    with jax.enable_x64(True):
        if symbolic:
            laws = _symbol_panel(jnp.asarray(rows), numerals.num_bins)
        else:
            laws = _number_panel(jnp.asarray(rows), jnp.asarray(numerals.decode(rows)), jnp.asarray(numerals.edges()))
        names = SYMBOL_NULLS if symbolic else NUMBER_NULLS
        found = {name: np.asarray(law) for name, law in zip(names, laws, strict=True)}
    return found if np.ndim(codes) == 2 else {name: law[0] for name, law in found.items()}


def neural_laws(
    key: jax.Array, codes: np.ndarray, numerals: Numerals, contexts: Sequence[int], window: int
) -> dict[str, np.ndarray]:
    """ln mass ``[checkpoint, window, bin]`` of the neural null for items c .. c + window − 1 of every context c.

    The network of context c is trained on the items before c alone, in float32; several series ``[seed, time]``
    give ``[seed, checkpoint, window, bin]``, each with a key of its own.

    Raises InputError for codes as in ``null_laws``, for no contexts, for a context or window below 1, and for a
    window that passes the end of the series.
    """
    rows = _rows(codes, numerals)
    time = rows.shape[1]
    lengths = tuple(operator.index(c) for c in contexts)
    if window < 1 or not lengths or min(lengths) < 1 or max(lengths) + window > time:
        raise InputError(
            f"contexts {list(lengths)} and a window of {window} for a series of {time} items",
            f"one or more contexts >= 1 whose windows, one item or more, end by {time}",
            "Shorten the window, leave out the last contexts or read a longer series",
        )
    keys = jax.random.split(key, rows.shape[0]) if np.ndim(codes) == 2 else key[None]
    values, edges = _in_spans(numerals.decode(rows), numerals), _in_spans(numerals.edges(), numerals)
    laws = np.asarray(_neural_panel(keys, values, edges, lengths, window), np.float64)
    return {NEURAL_NULL: laws if np.ndim(codes) == 2 else laws[0]}


@functools.partial(jax.jit, static_argnums=1)
def _symbol_panel(symbols: jax.Array, bins: int) -> tuple[jax.Array, ...]:
    return jax.vmap(lambda row: (analyses.unigram(row, bins), analyses.bigram(row, bins)))(symbols)


@jax.jit
def _number_panel(codes: jax.Array, values: jax.Array, edges: jax.Array) -> tuple[jax.Array, ...]:
    bins = edges.shape[0] - 1

    def laws(codes: jax.Array, values: jax.Array) -> tuple[jax.Array, ...]:
        return (
            analyses.unigram(codes, bins, smoothing=CELL_SMOOTHING),
            analyses.bigram(codes, bins, smoothing=CELL_SMOOTHING),
            analyses.autoregression(values, edges),
            analyses.polynomial_autoregression(values, edges, 2),
            analyses.kernel_conditional(codes, edges),
            analyses.parroting(codes, edges, depth=1),
            analyses.parroting(codes, edges, depth=2),
        )

    return jax.lax.map(lambda series: laws(*series), (codes, values))  # time² of one series at a time


@functools.partial(jax.jit, static_argnums=(3, 4))
def _neural_panel(
    keys: jax.Array, values: jax.Array, edges: jax.Array, contexts: tuple[int, ...], window: int
) -> jax.Array:
    def laws(series: tuple[jax.Array, jax.Array]) -> jax.Array:
        key, row = series
        return analyses.neural_autoregression(key, row, edges, contexts, window)

    return jax.lax.map(laws, (keys, values))  # under vmap all series would train until the last has stopped


def _rows(codes: np.ndarray, numerals: Numerals) -> np.ndarray:
    """Codes as ``[seed, time]``, checked."""
    if np.ndim(codes) not in (1, 2) or np.size(codes) == 0:
        raise InputError(f"codes of shape {np.shape(codes)}", "one or more series [time] or [seed, time]", "Stack them")
    numerals.decode(codes)
    return np.atleast_2d(np.asarray(codes, np.int32))


def _in_spans(x: np.ndarray, numerals: Numerals) -> jax.Array:
    """On [0, 1), where float32 resolves the cells wherever the grid lies."""
    return jnp.asarray((x - numerals.low) / (numerals.high - numerals.low), jnp.float32)
