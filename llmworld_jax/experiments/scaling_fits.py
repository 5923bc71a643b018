"""How fast the loss of one system falls: three exponents that can disagree, a plateau, and which law fits at all.

The published exponent fits a smoothed curve in linear loss and hears the first tens of items; the log–log exponent
hears every octave of context alike and is flattened by any plateau; the third subtracts the resolution floor, which is
known, and lets what remains end in a plateau. Where all three agree the curve is a power law. Where they do not, the
table of models says what it is instead. Every interval is over seeds, for the mean over seeds, and says how well *that*
estimator knows its own answer: on a curve with a plateau the first two miss the exponent of the decay with certainty.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

import analyses
from analyses.geometric_bins import GeometricBins, geometric_bins
from analyses.model_comparison import MODELS, ModelComparison, ModelFits, compare_models, fit_models
from analyses.plateau import PlateauLaw, fit_plateau_law, plateau_law
from analyses.resampling import centre_and_resamples, resampled_interval
from analyses.scaling import binned_log_log_slope

from ..errors import InputError
from .learning import Curve, Exponent, learning_curve

COVERAGE = 0.9
RESAMPLES = 1000
NUM_BINS = 20
GRID = 60
#: The first items are a start-up of their own, before any power law: left out of the bins of longer series.
BURN_IN = 10
LEAST_BINS = 6
ESTIMATORS = ("published", "log–log", "power + plateau")


class Estimate(NamedTuple):
    """A number with its interval over seeds (NaN with one seed)."""

    value: float
    low: float
    high: float


class FitBand(NamedTuple):
    """A fitted law ``[point]``: median over resampled seeds and interval (with one seed: the fit, and NaN)."""

    context: np.ndarray
    median: np.ndarray
    low: np.ndarray
    high: np.ndarray


class ModelRow(NamedTuple):
    """One law of the comparison; what it does not have, or one or two seeds cannot tell, is NaN.

    ``score`` is the held-out score less the winner's (0.005: another 10 % off), ``error`` its standard error over
    seeds, ``weight`` the AICc weight on the mean curve, which takes bins for independent.
    """

    name: str
    score: float
    error: float
    weight: float
    rate: float
    amplitude: float
    constant: float


class Fits(NamedTuple):
    """Scaling of one system. Exponents are those of t, negative where the loss falls.

    ``bins``: unsmoothed means in geometric bins ``[bin]`` with the interval of the mean over seeds; ``floor [bin]``:
    resolution floor there. ``plateau`` is L = floor + t^value / scale + ``constant``. ``best`` has the best held-out
    score, ``simplest`` the fewest numbers among those within one standard error of it; with fewer than three seeds
    both are the law of the greatest AICc weight. ``curves`` is keyed by ``ESTIMATORS``.
    """

    bins: Curve
    floor: np.ndarray
    published: Exponent
    log_log: Exponent
    plateau: Exponent
    constant: Estimate
    models: tuple[ModelRow, ...]
    best: str
    simplest: str
    curves: dict[str, FitBand]


class _Axes(NamedTuple):
    published: jax.Array
    bins: jax.Array
    grid: jax.Array


class _Rows(NamedTuple):
    """``[seed, point]`` and ``[seed, bin]``: what is resampled together."""

    smoothed: jax.Array
    loss: jax.Array
    floor: jax.Array


class _Fitted(NamedTuple):
    laws: tuple[analyses.PowerLaw, analyses.PowerLaw, PlateauLaw]
    mean: jax.Array
    curves: jax.Array


def scaling_fits(losses: np.ndarray, floor: np.ndarray, window: int) -> Fits:
    """Fits of ``losses [seed, time]`` above the resolution floor ``floor [seed, time]``, in the units of the loss.

    ``window`` smooths the curve of the published fit and no other. Row t was paid after reading t items. A floor that
    is not finite (point masses) is not known, and counts as 0. The same arrays give the same intervals.

    Raises:
        InputError: too few items for six bins, or arrays of different shapes.
    """
    if losses.shape != floor.shape:
        raise InputError(
            f"losses {losses.shape} and floors {floor.shape}", "one floor for every loss", "Score both on one series"
        )
    smoothed = learning_curve(losses, window)
    first = int(np.argmax(np.isfinite(losses).all(axis=0)))
    start = max(first, 1) if losses.shape[1] < 5 * BURN_IN else max(first, BURN_IN)
    context = np.arange(start, losses.shape[1], dtype=np.float64)
    with jax.enable_x64(True):
        binned = _bins_of(context)
        known = np.where(np.isfinite(floor), floor, 0.0)[:, start:]
        loss, at = jnp.asarray(losses[:, start:], jnp.float64), jnp.asarray(known, jnp.float64)
        rows = _Rows(jnp.asarray(smoothed.each), binned.means(loss), binned.means(at))
        grid = jnp.geomspace(binned.context[0], binned.context[-1], GRID)
        axes = _Axes(jnp.asarray(smoothed.context + 0.5), binned.context, grid)
        found = jax.tree.map(np.asarray, _fit_seeds(rows, axes))
        compared = jax.tree.map(np.asarray, _compare(rows, axes))
        rows, axes = jax.tree.map(np.asarray, (rows, axes))
    centre, low, median, high = found
    bands = (FitBand(axes.grid, *lines) for lines in zip(median.curves, low.curves, high.curves, strict=True))
    published, log_log, plateau = (_exponent(*law) for law in zip(centre.laws, low.laws, high.laws, strict=True))
    level = [float(one.laws[2].plateau) for one in (centre, low, high)]
    return Fits(
        Curve(axes.bins, rows.loss, centre.mean, low.mean, high.mean),
        rows.floor.mean(axis=0),
        published,
        log_log,
        plateau,
        Estimate(*level) if centre.laws[2].identified else Estimate(np.nan, np.nan, np.nan),
        *_table(compared),
        dict(zip(ESTIMATORS, bands, strict=True)),
    )


def _bins_of(context: np.ndarray) -> GeometricBins:
    binned = geometric_bins(context, num_bins=NUM_BINS) if context.size > 1 else None
    found = 0 if binned is None else len(binned.context)
    if binned is None or found < LEAST_BINS:
        raise InputError(
            f"{context.size} scored items ({found} geometric bins)",
            f"items for at least {LEAST_BINS} bins",
            "Use longer series: 20 items are the least, 200 begin to tell",
        )
    return binned


def _fit(rows: _Rows, axes: _Axes) -> _Fitted:
    """The three estimators on the mean over seeds; a plateau law that is not identified ends at its range."""
    smoothed, mean, floor = (jnp.mean(row, axis=0) for row in rows)
    published = analyses.fit_power_law(axes.published, smoothed)
    log_log = binned_log_log_slope(axes.bins, mean)
    plateau = fit_plateau_law(axes.bins, mean, floor, clip=True)
    floor_there = jnp.interp(jnp.log(axes.grid), jnp.log(axes.bins), floor)
    curves = jnp.stack((
        analyses.power_law(axes.grid + 0.5, published),
        analyses.power_law(axes.grid, log_log),
        plateau_law(axes.grid, plateau, floor_there),
    ))  # fmt: skip
    return _Fitted((published, log_log, plateau), mean, curves)


@jax.jit
def _fit_seeds(rows: _Rows, axes: _Axes) -> tuple[_Fitted, _Fitted, _Fitted, _Fitted]:
    """The fits of all seeds; low end, median and high end over resampled seeds. Compiled once a shape.

    Everything that is resampled is laid in one vector: one sort serves every interval.
    """
    seeds = rows.loss.shape[0]
    if seeds == 1:
        centre = _fit(rows, axes)
        nowhere = jax.tree.map(lambda leaf: jnp.full(leaf.shape, jnp.nan), centre)
        return centre, nowhere, centre, nowhere
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(_fit, rows, axes))
    back = ravel_pytree(empty)[1]
    vector, resampled = centre_and_resamples(
        jax.random.key(0), lambda drawn: ravel_pytree(_fit(drawn, axes))[0], rows, num_resamples=RESAMPLES
    )
    band = resampled_interval(vector, resampled, seeds, coverage=COVERAGE)
    return back(vector), _not_negative(back(band.low)), back(jnp.median(resampled, axis=0)), back(band.high)


def _not_negative(low: _Fitted) -> _Fitted:
    """Losses and plateaus are not negative; the part of the interval that is symmetric does not know."""
    plateau = low.laws[2]._replace(plateau=jnp.maximum(low.laws[2].plateau, 0))
    return _Fitted((*low.laws[:2], plateau), jnp.maximum(low.mean, 0), jnp.maximum(low.curves, 0))


@jax.jit
def _compare(rows: _Rows, axes: _Axes) -> ModelComparison | ModelFits:
    if rows.loss.shape[0] < 3:
        return fit_models(axes.bins, jnp.mean(rows.loss, axis=0), jnp.mean(rows.floor, axis=0))
    return compare_models(axes.bins, rows.loss, rows.floor)


def _exponent(law: Any, low: Any, high: Any) -> Exponent:
    """Nothing of a plateau law that is not identified is reported but how badly it fits."""
    residual = float(law.residual_rms)
    if not isinstance(law, PlateauLaw):
        return Exponent(float(law.exponent), float(low.exponent), float(high.exponent), float(law.scale), residual)
    if not law.identified:
        return Exponent(np.nan, np.nan, np.nan, np.nan, residual)
    scale = 1 / float(law.amplitude)
    return Exponent(float(law.exponent), float(low.exponent), float(high.exponent), scale, residual)


def _table(compared: ModelComparison | ModelFits) -> tuple[tuple[ModelRow, ...], str, str]:
    """One row a law, then the names of the best and of the simplest that does as well."""
    if isinstance(compared, ModelFits):
        fits, score, error = compared, np.full(len(MODELS), np.nan), np.full(len(MODELS), np.nan)
        weights = np.nan_to_num(fits.aicc_weight)
        best = simplest = int(np.argmax(weights))
    else:
        fits, score, error = compared.fits, np.asarray(compared.score), np.asarray(compared.error)
        best, simplest = int(compared.winner), int(compared.simplest)
    columns = (score, error, fits.aicc_weight, fits.rate, fits.amplitude, fits.constant)
    rows = (ModelRow(name, *(float(column[i]) for column in columns)) for i, name in enumerate(MODELS))
    return tuple(rows), MODELS[best], MODELS[simplest]
