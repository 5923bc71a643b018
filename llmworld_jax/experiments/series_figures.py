"""The picture of a user's series against its predictive band."""

import numpy as np

from .figure_style import MODEL, RC, TRUTH, WIDTH, png, pyplot
from .series_laws import LEVELS, SeriesLaws

SHOWN = 300


def band_picture(laws: SeriesLaws, name: str) -> bytes:
    """Series, median and 50 % and 90 % bands of the law of every next value; below, its surprise."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, (top, bottom) = plt.subplots(
            2, 1, figsize=(WIDTH, 4.6), sharex=True, height_ratios=(3, 1), layout="constrained"
        )
        first = max(0, len(laws.values) - SHOWN)
        time = np.arange(first, len(laws.values) + 1)
        bands = np.vstack((laws.quantiles, laws.forecast_quantiles))[first:]
        for low, high, alpha in ((0, 4, 0.18), (1, 3, 0.3)):
            share = f"{LEVELS[high] - LEVELS[low]:.0%} of the law"
            top.fill_between(
                time, bands[:, low], bands[:, high], color=MODEL, alpha=alpha, lw=0, step="mid", label=share
            )
        top.plot(time, bands[:, 2], color=MODEL, lw=0.9, label="median", drawstyle="steps-mid")
        top.plot(time[:-1], laws.values[first:], "o", ms=2.6, color=TRUTH, label=name)
        top.errorbar(
            len(laws.values), bands[-1, 2], yerr=[[bands[-1, 2] - bands[-1, 0]], [bands[-1, 4] - bands[-1, 2]]],
            color="black", capsize=3, ms=4, fmt="s", label="next",
        )  # fmt: skip
        top.set_ylabel("value")
        top.legend(ncols=5, loc="lower left", bbox_to_anchor=(0, 1))
        bottom.plot(time[:-1], laws.nll[first:], color="0.3", lw=0.8)
        bottom.axhline(np.log(len(laws.edges) - 1), color="0.5", lw=0.8, ls=":", label="uniform law")
        bottom.legend(loc="upper left", bbox_to_anchor=(0, 1.25))
        bottom.set(xlabel="item", ylabel="−ln p (nats)")
        return png(figure)
