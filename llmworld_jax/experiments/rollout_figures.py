"""The picture of a forecast: how the series went, and how it may go on."""

import numpy as np
from jaxtyping import Float

from .figure_style import MODEL, RC, TRUTH, WIDTH, png, pyplot
from .forecast import Forecast

SHOWN, PATHS_SHOWN = 40, 5
MEANS, MODES = "#b26a00", "#7d5ba6"


def forecast_figure(found: Forecast, name: str = "value", truth: Float[np.ndarray, " step"] | None = None) -> bytes:
    """History, 50 % and 90 % bands and median of every lead time, some sample paths, the mean's and the mode's."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 3.4), layout="constrained")
        now, (paths, horizon) = len(found.values), found.paths.shape
        first, step = max(0, now - max(SHOWN, 2 * horizon)), np.arange(now, now + horizon)
        for low, high, alpha in ((0, 4, 0.16), (1, 3, 0.28)):
            share = f"{100 * (found.levels[high] - found.levels[low]):.0f} % band ({paths} paths)"
            axis.fill_between(
                step, found.quantiles[:, low], found.quantiles[:, high], color=MODEL, alpha=alpha, lw=0, step="mid",
                label=share,
            )  # fmt: skip
        last = found.values[-1]
        for i, path in enumerate(found.paths[:PATHS_SHOWN]):
            axis.plot(
                [now - 1, *step], [last, *path], color="0.45", lw=0.6, alpha=0.8, label=None if i else "sample paths"
            )
        lines = (
            ("median", found.quantiles[:, 2], MODEL, "-", 1.6),
            ("path of means", found.mean_path, MEANS, "--", 1.2),
            ("path of modes", found.mode_path, MODES, ":", 1.8),
        )
        for label, line, color, style, weight in lines:
            axis.plot([now - 1, *step], [last, *line], color=color, ls=style, lw=weight, label=label)
        axis.plot(np.arange(first, now), found.values[first:], "o-", ms=2.4, lw=0.7, color="black", label="history")
        if truth is not None:
            axis.plot(step[: len(truth)], truth[:horizon], "o", ms=3.2, color=TRUTH, label="what came", zorder=5)
        axis.axvline(now - 0.5, color="0.6", lw=0.8, ls=":")
        axis.set(xlabel="item", ylabel=name, xlim=(first - 1, now + horizon))
        axis.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1))
        return png(figure)
