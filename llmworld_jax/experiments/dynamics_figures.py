"""Figures of the dynamics experiment, from stored results only. Matplotlib is imported when a figure is made."""

import io
from typing import Any

import numpy as np

from .dynamics import Results, SystemResults

MODEL, TRUTH, NULLS = "#0b6e99", "#d1495b", ("#8a6d3b", "#6a994e", "#7d5ba6")
WIDTH = 7.0
RC = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fontsize": 8,
    "figure.dpi": 100,
    "savefig.dpi": 170,
}
LOSS_LABEL = {
    "bhattacharyya": "Bhattacharyya distance (nats)",
    "absolute_deviation": "|Δ mean| (display units of 10)",
}


def title(name: str) -> str:
    """``noisy_logistic_map`` -> ``Noisy logistic map``."""
    return name.replace("_", " ").capitalize()


def png(figure: Any) -> bytes:
    """The figure as PNG bytes; the figure is closed."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()


def learning_figure(results: Results) -> bytes:
    """Loss against context length, one panel a system: model, nulls, resolution floor, fitted power law."""
    plt = pyplot()
    with plt.rc_context(RC):
        rows = -(-len(results) // 2)
        columns = min(2, len(results))
        figure, axes = plt.subplots(rows, columns, figsize=(WIDTH, 3.1 * rows), squeeze=False, layout="constrained")
        for axis, r in zip(axes.flat, results):
            _learning_panel(axis, r)
        for axis in list(axes.flat)[len(results) :]:
            axis.set_visible(False)
        return png(figure)


def _learning_panel(axis: Any, r: SystemResults) -> None:
    c = r.curve
    if len(c.each) > 1:
        axis.fill_between(c.context, c.low, c.high, color=MODEL, alpha=0.18, lw=0)
    axis.plot(c.context, c.mean, color=MODEL, lw=1.8, label="model")
    for color, (name, curve) in zip(NULLS, r.null_curves.items()):
        axis.plot(curve.context, curve.mean, color=color, lw=1.1, ls="--", label=name)
    if (floor := float(np.nanmean(r.floor))) > 0:
        axis.axhline(floor, color="0.35", lw=1, ls=":", label="resolution floor")
    fit = r.published
    if np.isfinite(fit.value):
        line = c.context**fit.value / fit.scale
        axis.plot(c.context, line, color="black", lw=0.9, label=f"$t^{{{fit.value:.2f}}}/D_c$ (published fit)")
    axis.set(xscale="log", yscale="log", title=title(r.name))
    axis.set_xlabel("context length (items read)")
    axis.set_ylabel(LOSS_LABEL[r.loss_name])
    _plain_ticks(axis)
    axis.legend(loc="best")


def _plain_ticks(axis: Any) -> None:
    """Few, plain numbers on logarithmic axes, whether they span half a decade or four."""
    from matplotlib import ticker

    for one in (axis.xaxis, axis.yaxis):
        low, high = one.get_view_interval()
        subs = (1.0, 2.0, 5.0) if high < 40 * low else (1.0,)
        one.set_major_locator(ticker.LogLocator(subs=subs))
        one.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}"))
        one.set_minor_formatter(ticker.NullFormatter())


def band_figure(r: SystemResults, seed: int = 0, last: int = 80) -> bytes:
    """The predictive law of the last items as a heat map over the series itself."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 2.9), layout="constrained")
        first = max(1, r.codes.shape[1] - last)
        time = np.arange(first, r.codes.shape[1])
        edges = r.edges[seed]
        image = axis.pcolormesh(
            np.arange(first - 0.5, r.codes.shape[1]),
            edges,
            np.exp(r.log_mass[seed, first:]).T,
            cmap="Blues",
            vmin=0,
            vmax=float(np.quantile(np.exp(r.log_mass[seed, first:]).max(axis=1), 0.9)),
            rasterized=True,
        )
        values = r.observed[seed, first:] + (0.5 if r.symbolic else 0)
        axis.plot(time, values, "o", color=TRUTH, ms=2.6, label="what came")
        axis.set(xlabel="item", ylabel="symbol" if r.symbolic else "value", title=title(r.name))
        if r.symbolic:
            axis.set_yticks(0.5 + np.arange(len(edges) - 1), [str(i) for i in range(len(edges) - 1)])
        figure.colorbar(image, label="predicted mass per bin", pad=0.01)
        axis.legend(loc="upper left", bbox_to_anchor=(0, 1.0))
        return png(figure)


def law_figure(r: SystemResults, seed: int = 0) -> bytes:
    """The whole predicted law beside the true one at four context lengths."""
    plt = pyplot()
    with plt.rc_context(RC):
        steps = r.codes.shape[1]
        figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 4.4), layout="constrained", sharex=True)
        shown = [t for t in (5, steps // 10, steps // 3, steps - 1) if t >= 1]
        centres = (r.edges[seed, 1:] + r.edges[seed, :-1]) / 2
        width = np.diff(r.edges[seed])
        for axis, t in zip(axes.flat, shown):
            mass = np.exp(r.log_mass[seed, t])
            axis.bar(centres, mass, width=width, color=MODEL, alpha=0.75, label="model", lw=0)
            truth = r.truth.mass[seed, t]
            if r.deterministic:
                axis.axvline(r.truth.mean[seed, t], color=TRUTH, lw=1.4, label="truth")
            else:
                axis.step(
                    r.edges[seed],
                    np.append(truth, truth[-1]),
                    where="post",
                    color=TRUTH,
                    lw=1.2,
                    label="truth",
                )
            axis.set_title(f"after {t} items")
            if r.symbolic:
                axis.set_xticks(centres, [str(i) for i in range(len(centres))])
        axes[0, 0].legend(loc="best")
        figure.supxlabel("next symbol" if r.symbolic else "next value", fontsize=9)
        figure.supylabel("probability per bin", fontsize=9)
        return png(figure)


def off_grid_figure(results: Results) -> bytes:
    """Probability that the model writes anything but a number of the grid, against context length."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 2.6), layout="constrained")
        for r in results:
            time = np.arange(r.off_grid.shape[1])
            axis.plot(time, np.maximum(r.off_grid.mean(axis=0), 1e-7), lw=1.1, label=title(r.name))
        axis.set(xscale="symlog", yscale="log", xlabel="context length (items read)", ylabel="mass off the grid")
        axis.legend(loc="lower left")
        return png(figure)


def pyplot() -> Any:
    """Matplotlib with a backend that needs no screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt
