"""From losses of several series to a learning curve: smoothing, bands and exponents."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses

RESAMPLES = 500


class Curve(NamedTuple):
    """Smoothed loss against context length (items read), over seeds."""

    context: np.ndarray
    each: np.ndarray
    """``[seed, point]``"""
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Exponent(NamedTuple):
    """A fitted exponent with its bootstrap interval over seeds (NaN with one seed), and the whole fit."""

    value: float
    low: float
    high: float
    scale: float
    residual_rms: float


def learning_curve(losses: np.ndarray, window: int) -> Curve:
    """Moving average of ``losses [seed, time]`` from the first item that every seed predicts, mean and band.

    Items are counted by context length: the loss of item t was paid after reading t items.
    The band is the central 90 % of the seeds, the spread between them.
    """
    first = int(np.argmax(np.isfinite(losses).all(axis=0)))
    with jax.enable_x64(True):
        usable = jnp.asarray(losses[:, first:])
        each = np.asarray(jax.vmap(lambda row: analyses.moving_average(row, window))(usable))
        context = first + np.asarray(analyses.window_centres(usable.shape[1], window))
    mean = each.mean(axis=0)
    low, high = np.quantile(each, (0.05, 0.95), axis=0)
    return Curve(context, each, mean, low, high)


def published_exponent(curve: Curve) -> Exponent:
    """L(t) = t^alpha / D_c by least squares in linear L over the whole averaged curve, as published: on the paper's
    axis too, which is half a step late."""
    return _fit(analyses.fit_power_law, curve._replace(context=curve.context + 0.5))


def log_log_exponent(curve: Curve) -> Exponent:
    """Slope of ln L on ln t over geometric stretches: every decade of context counts alike."""
    return _fit(analyses.log_log_slope, curve)


def _fit(estimator, curve: Curve) -> Exponent:
    with jax.enable_x64(True):
        fit, low, high = _estimate(estimator, jnp.asarray(curve.context), jnp.asarray(curve.each))
        return Exponent(float(fit.exponent), float(low), float(high), float(fit.scale), float(fit.residual_rms))


@functools.partial(jax.jit, static_argnums=0)
def _estimate(estimator, context: jax.Array, each: jax.Array) -> tuple[analyses.PowerLaw, jax.Array, jax.Array]:
    def of_mean(rows: jax.Array) -> analyses.PowerLaw:
        return estimator(context, rows.mean(axis=0))

    unknown = jnp.asarray(jnp.nan)
    if each.shape[0] == 1:
        return of_mean(each), unknown, unknown
    band = analyses.bootstrap_band(
        jax.random.key(0), lambda rows: of_mean(rows).exponent, each, num_resamples=RESAMPLES
    )
    return of_mean(each), band.low, band.high
