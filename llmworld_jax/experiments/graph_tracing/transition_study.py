"""When the model begins to follow the graph, and whether its representations take the shape before that.

Accuracy is averaged over walks and over pieces of equal length in ln(context), so that every scale weighs the same, and
two straight pieces are fitted up to where it saturates: with longer windows the best break is the knee of saturation,
not the transition. Energy and accuracy are drawn anew with the same walks, so that their difference has an interval.
"""

import jax
import jax.numpy as jnp
import numpy as np

from analyses import graphs

from .behaviour_study import draws
from .results import Behaviour, Reading, Transition

FIRST, PIECES, SMOOTH = 5, 36, 5


def pieces(length: int, first: int = FIRST, count: int = PIECES) -> np.ndarray:
    """Edges ``[piece + 1]`` of contexts, evenly spaced in their logarithm, each at least one item wide."""
    return np.unique(np.geomspace(first, length, count + 1).round().astype(int))


def transition_of(behaviour: Behaviour, reading: Reading, contexts: tuple[int, ...], seed: int) -> Transition:
    """``Transition`` of the accuracy, and of R at every layer.

    ``reading.resampled`` must have been made with ``draws(seed, walks)``.
    """
    length = behaviour.accuracy.shape[1]
    edges = pieces(length)
    middle = np.sqrt(edges[:-1] * np.maximum(edges[1:] - 1, 1))
    curves = np.asarray(graphs.binned(behaviour.accuracy, edges.tolist()))
    known = np.isfinite(curves).all(axis=0)
    curves, middle = curves[:, known], middle[known]
    whole = curves.mean(axis=0)
    rising = np.asarray(graphs.pre_saturation(graphs.moving_average(whole, SMOOTH)))
    stop = max(8, int(rising.sum()))
    weights = draws(seed, len(curves), reading.resampled.shape[0])
    anew = weights @ curves / weights.sum(axis=1, keepdims=True)
    fitted = _fits(jnp.asarray(middle[:stop]), jnp.asarray(np.concatenate((whole[None], anew))[:, :stop]))
    at = np.asarray(fitted.break_at)
    energy = _energy_times(contexts, reading)
    return Transition(
        fitted_to=round(float(middle[:stop][-1])),
        break_at=_with_interval(at),
        before=_with_interval(np.asarray(fitted.before)),
        after=_with_interval(np.asarray(fitted.after)),
        share_rising=float(np.mean(np.asarray(fitted.after > fitted.before)[1:])),
        energy_at=_with_interval(energy),
        lead=_with_interval(energy - at[:, None]),
    )


_fits = jax.jit(jax.vmap(graphs.two_segments, in_axes=(None, 0)))


def _energy_times(contexts: tuple[int, ...], reading: Reading) -> np.ndarray:
    """``[1 + resample, layer]``: that of the mean over resamples first."""
    ratios = np.concatenate((reading.resampled.mean(axis=0)[None], reading.resampled))
    return np.asarray(graphs.energy_time(jnp.asarray(contexts, jnp.float32), jnp.asarray(ratios)))


def _with_interval(values: np.ndarray) -> np.ndarray:
    """``[3, ...]`` from ``[1 + resample, ...]``: the estimate, and 95 % of the others; NaN where half are NaN."""
    known = np.isfinite(values[1:]).mean(axis=0) >= 0.5
    low, high = (
        np.where(known, np.nanquantile(np.where(known, values[1:], 0.0), q, axis=0), np.nan) for q in (0.025, 0.975)
    )
    return np.stack((np.where(known, values[0], np.nan), low, high))
