"""The law of every next value of a user's own series: no truth needed."""

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses

from ..codec import NumberCodec
from ..errors import InputError
from ..files import require_room, save_arrays, write_bytes, write_json
from ..laws import number_laws, with_forecast
from ..models.catalogue import LoadedModel
from ..numerals import Numerals, rescaled
from .reading import check_context, checked_codec
from .series import read_series
from .series_config import LawsConfig

MATMUL_PRECISION = "highest"
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)


class SeriesLaws(NamedTuple):
    """Laws of the observed values ``[time]``, of the one to come, and what follows from them.

    ``nll`` is of the written number, nats; ``quantiles [time, level]`` at ``levels``; all NaN where nothing
    precedes the value. ``mean``, ``sd``, ``quantiles`` and ``edges`` are in the series' own units.
    """

    values: np.ndarray
    codes: np.ndarray
    edges: np.ndarray
    log_mass: np.ndarray
    off_grid: np.ndarray
    tokens: np.ndarray
    item_at: np.ndarray
    nll: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    levels: np.ndarray
    quantiles: np.ndarray
    forecast_log_mass: np.ndarray
    forecast_off_grid: np.ndarray
    forecast_mean: np.ndarray
    forecast_sd: np.ndarray
    forecast_quantiles: np.ndarray


class Prepared(NamedTuple):
    """A series ready to be read: the ``values`` shown to the model, their column's ``name``, their grid, and the
    values that are ``hidden`` from both (none unless they are held out)."""

    values: np.ndarray
    name: str
    numerals: Numerals
    hidden: np.ndarray


def prepare(config: LawsConfig) -> Prepared:
    """Read and check the series before any model is loaded. Raises InputError."""
    every, name = read_series(config.check().series, config.column)
    hidden = config.horizon if config.hold_out else 0
    values = every[: len(every) - hidden]
    if len(values) < 2:
        left = f", {len(every)} less the {hidden} held out" if hidden else ""
        raise InputError(
            f"a series of {len(values)} value{'' if len(values) == 1 else 's'}{left}",
            "at least 2 values",
            "Give a longer series" + (" or a smaller --horizon" if hidden else ""),
        )
    numerals = _grid(config, values)
    numerals.encode(values)
    ahead = config.horizon * (numerals.num_bins + 8 * config.paths)
    _require_place(config.out, (len(values) * (numerals.num_bins + 64) + ahead) * 8)
    return Prepared(values, name, numerals, every[len(values) :])


def _grid(config: LawsConfig, values: np.ndarray) -> Numerals:
    if config.low is not None and config.high is not None:
        return Numerals(precision=config.precision, low=config.low, high=config.high)
    if np.ptp(values) == 0:
        raise InputError(
            f"a series that is {values[0]:g} throughout", "at least two different values", "Give --low and --high"
        )
    try:
        return rescaled(values, config.precision, warmup=config.warmup)
    except InputError as error:
        if config.warmup is None:
            raise
        raise InputError(error.got, error.expected, "Choose another --warmup, or give --low and --high") from error


def _require_place(out: Path, size: int) -> None:
    """Refuse, before long work, a file that could not be written at its end. Raises InputError."""
    folder = out.resolve().parent
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if out.is_dir() or not there.is_dir() or not os.access(there, os.W_OK):
        blocked = out if out.is_dir() else there
        raise InputError(
            f"--out {out}, blocked by {blocked}", "a file in a folder that can be written", "Choose another"
        )
    require_room(folder, size)


def run(config: LawsConfig, loaded: LoadedModel, values: np.ndarray, numerals: Numerals) -> SeriesLaws:
    """Read the series with the model. Raises InputError where it does not fit the model's context."""
    codec = checked_codec(loaded, numerals, config.separator, config.start_token)
    check_context(codec, len(values) + max(0, config.horizon - 1), loaded, forecast=True)
    return laws_of_series(loaded, codec, values)


def laws_of_series(loaded: LoadedModel, codec: NumberCodec, values: np.ndarray) -> SeriesLaws:
    """Laws, and their summaries in float64."""
    codes = codec.numerals.encode(values)
    prompt = codec.prompt(codes)
    laws = number_laws(loaded.model, codec, with_forecast(prompt), precision=MATMUL_PRECISION)
    log_mass, off_grid = np.asarray(laws.log_mass), np.asarray(laws.off_grid)
    with jax.enable_x64(True):
        edges, levels = jnp.asarray(codec.numerals.edges()), jnp.asarray(LEVELS)
        mean, sd, quantiles = (np.asarray(x) for x in _summary(jnp.asarray(log_mass, jnp.float64), edges, levels))
    return SeriesLaws(
        values=values,
        codes=codes,
        edges=np.asarray(laws.edges),
        log_mass=log_mass[:-1],
        off_grid=off_grid[:-1],
        tokens=np.asarray(prompt.tokens),
        item_at=np.asarray(prompt.item_at),
        nll=-np.take_along_axis(log_mass[:-1], codes[:, None], axis=1)[:, 0],
        mean=mean[:-1],
        sd=sd[:-1],
        levels=np.asarray(LEVELS),
        quantiles=quantiles[:-1],
        forecast_log_mass=log_mass[-1],
        forecast_off_grid=off_grid[-1],
        forecast_mean=mean[-1],
        forecast_sd=sd[-1],
        forecast_quantiles=quantiles[-1],
    )


@jax.jit
def _summary(log_mass: jax.Array, edges: jax.Array, levels: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    def row(law):
        moments = analyses.moments(law, edges)
        quantiles = jax.vmap(lambda level: analyses.quantile(law, edges, level))(levels)
        return moments.mean, jnp.sqrt(moments.variance), quantiles

    return jax.vmap(row)(log_mass)


def write(config: LawsConfig, laws: SeriesLaws, name: str, picture: bytes, made_by: dict[str, Any]) -> tuple[Path, ...]:
    """Arrays, picture and provenance side by side, each written atomically; returns their paths."""
    png, facts = config.out.with_suffix(".png"), config.out.with_suffix(".json")
    save_arrays(config.out, laws._asdict())
    write_bytes(png, picture)
    plain = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()}
    write_json(facts, {"config": plain, "column": name, **made_by})
    return config.out, png, facts


def summary_lines(config: LawsConfig, laws: SeriesLaws, name: str) -> list[str]:
    """What is printed at the end."""
    scored = np.isfinite(laws.nll)
    inside = (laws.values >= laws.quantiles[:, 0]) & (laws.values <= laws.quantiles[:, -1])
    band = f"{LEVELS[0]:.0%} to {LEVELS[-1]:.0%}"
    lines = [
        f"{len(laws.values)} values of column {shlex.quote(name)}, {int(scored.sum())} with a law",
        f"negative log-likelihood of the written numbers: mean {np.nanmean(laws.nll):.3f} nats "
        f"(uniform law: {np.log(len(laws.edges) - 1):.3f})",
        f"values inside the {band} band: {inside[scored].mean():.1%}",
        f"mass off the grid: median {np.nanmedian(laws.off_grid):.2%}, largest {np.nanmax(laws.off_grid):.2%}",
        f"next value: mean {laws.forecast_mean:.6g}, sd {laws.forecast_sd:.3g}, "
        f"median {laws.forecast_quantiles[2]:.6g}, {band}: "
        f"{laws.forecast_quantiles[0]:.6g} to {laws.forecast_quantiles[-1]:.6g}",
    ]
    if config.low is None and config.warmup is None:
        lines.append(
            "note: numbers were rescaled by the whole series' minimum and maximum, so the grid knows the range of "
            "the future; --low and --high, or --warmup N (causal), avoid this"
        )
    return lines
