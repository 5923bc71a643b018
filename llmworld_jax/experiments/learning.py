"""From losses of several series to a learning curve: smoothing, bands, exponents, and a plain verdict."""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses

EARLY = (5, 25)
LATE_SHARE = 0.2
RESAMPLES = 500
LEARNS_BELOW = 0.8

Kind = Literal["good", "neutral", "negative"]


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


class Verdict(NamedTuple):
    """What the curve says. ``kind`` is ``good``, ``neutral`` or ``negative``."""

    kind: Kind
    text: str
    early: float
    late: float
    ratio: float
    floor: float
    nulls: dict[str, float]


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


def verdict(loss: np.ndarray, nulls: dict[str, np.ndarray], floor: np.ndarray) -> Verdict:
    """Compare early and late loss ``[seed, time]``, and late loss with every null and the resolution floor."""
    start = max(EARLY[0], int(np.argmax(np.isfinite(loss).all(axis=0))))
    steps = loss.shape[1]
    late_from = max(start, round((1 - LATE_SHARE) * steps))
    early_each = loss[:, start : min(start + EARLY[1] - EARLY[0], steps)].mean(axis=1)
    late_each = loss[:, late_from:].mean(axis=1)
    early, late = float(early_each.mean()), float(late_each.mean())
    null_late = {name: float(rows[:, late_from:].mean()) for name, rows in nulls.items()}
    better = [name for name, value in null_late.items() if value < late]
    learns = late < LEARNS_BELOW * early and bool((late_each < early_each).all())
    ratio = early / late
    spread = f"{early:.3g} after {start}–{start + EARLY[1] - EARLY[0]} items to {late:.3g} at the end"
    moved = f"Learns: the loss falls {ratio:.1f}×, from {spread}" if learns else f"No clear learning: {spread}"
    if better:
        beaten = [name for name in null_late if name not in better]
        below = f"below {_listed(beaten)}, but " if beaten else ""
        held = f"; {below}{_listed(better)} still predict{'s' if len(better) == 1 else ''} better"
    else:
        held = f"; below every null ({_listed(list(null_late))})"
    kind: Kind = "good" if learns and not better else "neutral" if learns or not better else "negative"
    return Verdict(kind, moved + held + ".", early, late, ratio, float(np.nanmean(floor[:, late_from:])), null_late)


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
