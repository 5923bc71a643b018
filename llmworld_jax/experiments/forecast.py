"""A user's series continued: sample paths, their bands at every lead time, and the mean's and the mode's own path."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import analyses
from analyses.ensembles import RolloutScores, energy_score, ensemble_crps, rollout_scores

from ..codec import NumberCodec
from ..errors import InputError
from ..models.catalogue import LoadedModel
from ..rollouts import How, marginal_laws, rollout
from ..tempering import Tempering, tempered
from .series_laws import LEVELS, MATMUL_PRECISION


class Forecast(NamedTuple):
    """The ``step`` values after a series [time], in its own units.

    ``paths`` are bin centres, which is what the model read. ``log_mass`` is the law of every step whatever the ones
    before it: the mean of the laws of all paths, exact at the first step; ``mean``, ``sd`` and ``quantiles`` are
    its. ``mean_path`` and ``mode_path`` are continued by feeding back every law's mean, or its mode.
    ``*_log_prob`` are the model's own, nats; ``off_grid`` is the probability that no number begins.
    """

    values: np.ndarray
    edges: np.ndarray
    codes: np.ndarray
    paths: np.ndarray
    log_prob: np.ndarray
    off_grid: np.ndarray
    log_mass: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    levels: np.ndarray
    quantiles: np.ndarray
    mean_path: np.ndarray
    mean_log_prob: np.ndarray
    mode_path: np.ndarray
    mode_log_prob: np.ndarray


class ForecastScores(NamedTuple):
    """Against what came, at every lead time [step], in the series' units; coverages are 50 % and 90 %.

    ``climatology_crps`` is the score of forecasting the history's values, all alike; ``persistence_error`` the
    error of its last one. ``energy`` is one score of the whole paths.
    """

    crps: np.ndarray
    climatology_crps: np.ndarray
    median_error: np.ndarray
    mean_path_error: np.ndarray
    mode_path_error: np.ndarray
    persistence_error: np.ndarray
    inside: np.ndarray
    energy: np.ndarray


def forecast(
    loaded: LoadedModel,
    codec: NumberCodec,
    values: Float[np.ndarray, " time"],
    *,
    horizon: int,
    paths: int = 50,
    seed: int = 0,
    temperature: float = 1.0,
    tempering: Tempering = "number",
) -> Forecast:
    """``horizon`` values more. Deterministic in ``seed``.

    Raises:
        InputError: values off the codec's grid, fewer than 2 paths; else as ``rollout``, before anything is computed.
    """
    if isinstance(paths, bool) or not isinstance(paths, int) or paths < 2:
        raise InputError(f"{paths!r} paths", "a whole number of at least 2", "Choose more; 50 is usual")
    numerals = codec.numerals
    prompt = codec.prompt(numerals.encode(values))

    samples: list[How] = ["sample"] * paths
    found = rollout(
        loaded.model, codec, prompt, horizon, how=("mean", "mode", *samples), key=jax.random.key(seed),
        temperature=temperature, tempering=tempering, precision=MATMUL_PRECISION,
    )  # fmt: skip
    mean, mode, sampled = (jax.tree.map(lambda x, of=of: np.asarray(x[of]), found) for of in (0, 1, slice(2, None)))
    with jax.enable_x64(True):
        wide = jnp.asarray(sampled.log_mass, jnp.float64)
        edges, levels = jnp.asarray(numerals.edges()), jnp.asarray(LEVELS)
        summary = _summary(wide, edges, levels, jnp.asarray(temperature, jnp.float64), tempering, codec.branch)
        log_mass, expected, sd, quantiles = (np.asarray(x) for x in summary)
    return Forecast(
        values=values,
        edges=numerals.edges(),
        codes=sampled.codes,
        paths=numerals.decode(sampled.codes),
        log_prob=sampled.log_prob,
        off_grid=sampled.off_grid,
        log_mass=log_mass,
        mean=expected,
        sd=sd,
        levels=np.asarray(LEVELS),
        quantiles=quantiles,
        mean_path=numerals.decode(mean.codes),
        mean_log_prob=mean.log_prob,
        mode_path=numerals.decode(mode.codes),
        mode_log_prob=mode.log_prob,
    )


@functools.partial(jax.jit, static_argnums=(4, 5))
def _summary(
    log_mass: Float[Array, "path step bin"],
    edges: Float[Array, " bin_edge"],
    levels: Float[Array, " level"],
    temperature: Float[Array, ""],
    tempering: Tempering,
    branch: tuple[int, ...],
) -> tuple[Array, Array, Array, Array]:
    """Of the mean of the laws that the paths were drawn from."""
    drawn_from = jax.vmap(jax.vmap(lambda law: tempered(law, temperature, tempering, branch)))(log_mass)

    def row(law: Float[Array, " bin"]) -> tuple[Array, Array, Array]:
        moments = analyses.moments(law, edges)
        return moments.mean, jnp.sqrt(moments.variance), jax.vmap(lambda q: analyses.quantile(law, edges, q))(levels)

    marginal = marginal_laws(drawn_from)
    return marginal, *jax.vmap(row)(marginal)


def score(found: Forecast, truth: Float[np.ndarray, " step"]) -> ForecastScores:
    """Of a forecast whose future is known, beside two that do not read the order of the history."""
    with jax.enable_x64(True):
        own, climatology, energy = _scores(*(jnp.asarray(x, jnp.float64) for x in (found.paths, found.values, truth)))
    return ForecastScores(
        crps=np.asarray(own.crps),
        climatology_crps=np.asarray(climatology),
        median_error=np.asarray(own.absolute_error),
        mean_path_error=np.abs(found.mean_path - truth),
        mode_path_error=np.abs(found.mode_path - truth),
        persistence_error=np.abs(found.values[-1] - truth),
        inside=np.stack([_between(found.quantiles, low, truth) for low in (1, 0)]),
        energy=np.asarray(energy),
    )


def _between(quantiles: np.ndarray, low: int, truth: np.ndarray) -> np.ndarray:
    return (quantiles[:, low] <= truth) & (truth <= quantiles[:, -1 - low])


@jax.jit
def _scores(
    paths: Float[Array, "path step"], history: Float[Array, " time"], truth: Float[Array, " step"]
) -> tuple[RolloutScores, Array, Array]:
    climatology = jax.vmap(ensemble_crps, in_axes=(None, 0))(history, truth)
    return rollout_scores(paths, truth), climatology, energy_score(paths, truth)
