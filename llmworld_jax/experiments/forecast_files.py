"""What ``llmworld laws --horizon`` leaves behind and prints: the continuation of a series, and its scores."""

from pathlib import Path

import numpy as np

from ..files import save_arrays, write_bytes
from ..models.catalogue import LoadedModel
from .forecast import Forecast, ForecastScores, forecast, score
from .reading import checked_codec
from .rollout_figures import forecast_figure
from .series_config import LawsConfig
from .series_laws import LEVELS, Prepared


def continue_series(
    config: LawsConfig, loaded: LoadedModel, series: Prepared
) -> tuple[Forecast, ForecastScores | None]:
    """The values after the series, and, where they are known and were hidden, how good they are."""
    codec = checked_codec(loaded, series.numerals, config.separator, config.start_token)
    found = forecast(
        loaded,
        codec,
        series.values,
        horizon=config.horizon,
        paths=config.paths,
        seed=config.seed,
        temperature=config.temperature,
    )
    return found, score(found, series.hidden) if config.hold_out else None


def write_forecast(
    config: LawsConfig, series: Prepared, found: Forecast, scores: ForecastScores | None
) -> tuple[Path, ...]:
    """``NAME.forecast.npz`` and ``NAME.forecast.png`` beside the laws; returns their paths."""
    arrays, picture = (config.out.with_suffix(f".forecast.{kind}") for kind in ("npz", "png"))
    more = {"truth": series.hidden} | {f"score_{k}": v for k, v in scores._asdict().items()} if scores else {}
    save_arrays(arrays, {**found._asdict(), **more})
    write_bytes(picture, forecast_figure(found, series.name, series.hidden if scores else None))
    return arrays, picture


def forecast_lines(found: Forecast, scores: ForecastScores | None) -> list[str]:
    """What is printed of it."""
    steps = len(found.mean)
    low, high = found.quantiles[-1, [0, -1]]
    lines = [
        f"{steps} values ahead, {len(found.paths)} paths: the last has median {found.quantiles[-1, 2]:.6g}, "
        f"{LEVELS[0]:.0%} to {LEVELS[-1]:.0%}: {low:.6g} to {high:.6g}"
    ]
    if scores is not None:
        lines.append(
            f"held out: CRPS {np.mean(scores.crps):.4g} (climatology {np.mean(scores.climatology_crps):.4g}), "
            f"median off by {np.mean(scores.median_error):.4g} (last value repeated: "
            f"{np.mean(scores.persistence_error):.4g}), "
            f"inside 50 % and 90 % bands {np.mean(scores.inside[0]):.0%} and {np.mean(scores.inside[1]):.0%}"
        )
    return lines
