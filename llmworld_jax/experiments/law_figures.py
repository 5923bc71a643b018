"""Pictures of predicted laws: as a band along the series, and whole at a few context lengths."""

from typing import Any

import numpy as np

from .figure_style import MODEL, OBSERVER, RC, TRUTH, WIDTH, legend_outside, png, pyplot
from .results import SystemResults


def band_figure(r: SystemResults, seed: int = 0, last: int = 80) -> bytes:
    """The predictive law of the last items as a heat map over the series itself."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 2.9), layout="constrained")
        first = max(1, r.codes.shape[1] - last)
        time = np.arange(first, r.codes.shape[1])
        mass, edges = np.exp(r.log_mass[seed, first:]), r.edges[seed]
        image = axis.pcolormesh(
            np.arange(first - 0.5, r.codes.shape[1]),
            edges,
            mass.T,
            cmap="Blues",
            vmin=0,
            vmax=float(np.quantile(mass.max(axis=1), 0.9)),
            rasterized=True,
        )
        values = r.observed[seed, first:] + (0.5 if r.symbolic else 0)
        axis.plot(time, values, "o", color=TRUTH, ms=2.6, label="what came")
        axis.set(xlabel="item", ylabel="symbol" if r.symbolic else "value")
        if r.symbolic:
            axis.set_yticks(0.5 + np.arange(len(edges) - 1), [str(i) for i in range(len(edges) - 1)])
        figure.colorbar(image, label="predicted mass per bin", pad=0.01, extend="max")
        legend_outside(figure, [axis])
        return png(figure)


def shown_contexts(steps: int) -> tuple[int, ...]:
    """Four context lengths from the fifth item to the last, evenly spaced in their logarithm."""
    return tuple(int(t) for t in np.unique(np.geomspace(min(5, steps - 1), steps - 1, 4).round().astype(int)))


def law_figure(r: SystemResults, seed: int = 0) -> bytes:
    """The whole predicted law beside the true one and the ideal observer's, at four context lengths."""
    plt = pyplot()
    with plt.rc_context(RC):
        figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 4.7), layout="constrained", sharex=True)
        shown = shown_contexts(r.codes.shape[1])
        for axis, t in zip(axes.flat, shown):
            _law_panel(axis, r, seed, t)
        for axis in list(axes.flat)[len(shown) :]:
            axis.set_visible(False)
        figure.supxlabel("next symbol" if r.symbolic else "next value", fontsize=9)
        figure.supylabel("probability" if r.symbolic else "probability per bin", fontsize=9)
        legend_outside(figure, axes.flat)
        return png(figure)


def _law_panel(axis: Any, r: SystemResults, seed: int, t: int) -> None:
    edges, mass = r.edges[seed], np.exp(r.log_mass[seed, t])
    observer = np.exp(r.observer.log_mass[seed, t])
    axis.stairs(mass, edges, fill=True, color=MODEL, alpha=0.7, label="model")
    draw_truth(axis, r, seed, t)
    axis.stairs(observer, edges, color=OBSERVER, lw=0.8, label="ideal observer", baseline=None)
    axis.set_ylim(0, 1.08 * law_height(r, seed, t))
    axis.set_title(f"after {t} items")
    if r.symbolic:
        axis.set_xticks((edges[1:] + edges[:-1]) / 2, [str(i) for i in range(len(edges) - 1)])


def law_height(r: SystemResults, seed: int, t: int) -> float:
    """Largest mass a panel must show: a near-certain observer or truth may leave the top when the model is far flatter.

    A line that leaves the picture is cut at three times the model's highest bin.
    """
    model = float(np.exp(r.log_mass[seed, t]).max())
    others = [float(np.exp(r.observer.log_mass[seed, t]).max())]
    if (truth := truth_mass(r)) is not None:
        others.append(float(truth[seed, t].max()))
    return max(model, min(max(others), 3 * model))


def truth_mass(r: SystemResults) -> np.ndarray | None:
    """The law ``[seed, time, bin]`` that the model is held against; None where it is a point."""
    if r.truth_kind == "given_quantised_past":
        return r.truth.quantised_mass
    return None if r.deterministic else r.truth.mass


def draw_truth(axis: Any, r: SystemResults, seed: int, t: int, *, density: bool = False, width: float = 2.0) -> None:
    """The true law of item t as an outline, or as a vertical line where it is a point."""
    if (mass := truth_mass(r)) is None:
        axis.axvline(r.truth.mean[seed, t], color=TRUTH, lw=width, label="truth")
    else:
        shown = mass[seed, t] / np.diff(r.edges[seed]) if density else mass[seed, t]
        axis.stairs(shown, r.edges[seed], color=TRUTH, lw=width, label="truth", baseline=None)
