"""How laws travel over the context: a map of them (InPCA), and the kernel that resembles the model's law most."""

from typing import Any, NamedTuple

import numpy as np

from .density_estimation import HISTOGRAM_NAME, KERNEL_NAME, MODEL_NAME, SILVERMAN_NAME, Embedding, embed
from .figure_style import FLOOR, MODEL, RC, TRUTH, WIDTH, legend_outside, plain_ticks, png, pyplot

SAMPLES_LABEL = "samples read, n"
COLOURS = "viridis_r"
SILVERMAN_EXPONENT = -0.2
SHAPES = {1.0: "Laplace", 2.0: "Gaussian"}


class Look(NamedTuple):
    """How one estimator is drawn: its line and marker; the filling of a marker is its context length."""

    color: str
    marker: str
    size: float = 30
    width: float = 1.0


LOOKS = {
    MODEL_NAME: Look(MODEL, "o", 60, 2.0),
    HISTOGRAM_NAME: Look("#9c6b30", "s"),
    SILVERMAN_NAME: Look("#5a9e3f", "^", 36),
    KERNEL_NAME: Look("#7d5ba6", "D", 13),
}
_OTHERS = tuple(Look(color, "v") for color in ("#e07b00", "#d677b8", "#00997a", "#566573"))


def inpca_figure(
    trajectories: dict[str, np.ndarray], truth: np.ndarray, uniform: np.ndarray, contexts: np.ndarray
) -> bytes:
    """The laws of several estimators on one map, from the uniform law to the truth.

    ``trajectories`` holds ln masses ``[context, bin]`` for every estimator, ``truth`` and ``uniform`` ``[bin]``.
    Distances on the map are Hellinger distances, as far as the two axes show them; both axes have one scale.
    """
    plt = pyplot()
    place = embed(trajectories, truth, uniform)
    with plt.rc_context(RC):
        figure, axis = plt.subplots(figsize=(WIDTH, 4.6), layout="constrained")
        axis.plot(*_plane(place.geodesic), color="black", lw=1, ls=(0, (4, 2)), label="shortest way to the truth")
        points = None
        for (name, path), look in zip(place.paths.items(), _looks(trajectories)):
            points = _draw_path(axis, _plane(path), contexts, name, look)
        axis.plot(*_plane(place.uniform), "s", ms=8, mfc="white", mec="black", label="uniform law (start)")
        axis.plot(*_plane(place.truth), "*", ms=15, color=TRUTH, mec="white", zorder=6, label="truth")
        axis.set(xlabel=_axis_label(place, 0), ylabel=_axis_label(place, 1))
        axis.set_aspect("equal", adjustable="datalim")
        bar = figure.colorbar(points, label=SAMPLES_LABEL, pad=0.01)
        plain_ticks(bar.ax.yaxis)
        legend_outside(figure, [axis], order=trajectories)
        return png(figure)


def bandwidth_figure(
    contexts: np.ndarray,
    bandwidth: np.ndarray,
    shape: np.ndarray,
    residual: np.ndarray,
    *,
    at_bound: np.ndarray | None = None,
    silverman: np.ndarray | None = None,
) -> bytes:
    """The fitted kernel against the context length: width h(n), shape s(n), and what the fit leaves over.

    Bandwidths are standard deviations in display units, ``residual`` is KL(model‖estimate) in nats. Fits marked
    in ``at_bound`` ended at an end of the range searched and are drawn hollow.
    """
    plt = pyplot()
    hollow = np.zeros(len(contexts), bool) if at_bound is None else np.asarray(at_bound)
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            3, 1, figsize=(WIDTH, 6.2), sharex=True, height_ratios=(3, 2, 2), layout="constrained"
        )
        rows = (bandwidth, shape, np.maximum(residual, np.finfo(float).eps))
        for axis, row in zip(axes, rows):
            axis.plot(contexts, row, color=MODEL, lw=1.2)
            axis.plot(contexts[~hollow], row[~hollow], "o", color=MODEL, ms=4, label="kernel most like the model's law")
            if hollow.any():
                axis.plot(contexts[hollow], row[hollow], "o", mfc="white", mec=MODEL, ms=4, label="fit at its bound")
            axis.set(xscale="log", yscale="log")
        top, middle, bottom = axes
        if silverman is not None:
            top.plot(contexts, silverman, color=LOOKS[SILVERMAN_NAME].color, lw=1.2, label="Silverman's rule")
        guide = _guide(contexts, bandwidth, ~hollow)
        top.plot(contexts, guide, color="black", lw=1, ls=(0, (4, 2)), label=r"$\propto n^{-1/5}$")
        for value, name in SHAPES.items():
            middle.axhline(value, color=FLOOR, lw=0.9, ls=":")
            beside = dict(xycoords=("axes fraction", "data"), ha="left", va="center", fontsize=8, color=FLOOR)
            middle.annotate(name, (1.005, value), **beside)
        top.set_ylabel("bandwidth h\n(display units of 10)")
        middle.set_ylabel("kernel shape s")
        bottom.set(xlabel=SAMPLES_LABEL, ylabel="KL left over\n(nats)")
        for axis in axes:
            plain_ticks(axis.xaxis, axis.yaxis)
        legend_outside(figure, axes)
        return png(figure)


def _looks(trajectories: dict[str, np.ndarray]) -> list[Look]:
    others = [name for name in trajectories if name not in LOOKS]
    return [LOOKS[name] if name in LOOKS else _OTHERS[others.index(name) % len(_OTHERS)] for name in trajectories]


def _plane(coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First two coordinates of points ``[..., axis]``."""
    return coordinates[..., 0], coordinates[..., 1]


def _draw_path(axis: Any, path: tuple[np.ndarray, np.ndarray], contexts: np.ndarray, name: str, look: Look) -> Any:
    from matplotlib.colors import LogNorm

    axis.plot(*path, color=look.color, lw=look.width, alpha=0.8, zorder=3)
    axis.plot([], [], color=look.color, lw=look.width, marker=look.marker, ms=look.size**0.5, mfc="white", label=name)
    return axis.scatter(
        *path, c=contexts, cmap=COLOURS, norm=LogNorm(contexts.min(), contexts.max()), s=look.size,
        marker=look.marker, edgecolors=look.color, linewidths=0.8, zorder=4,
    )  # fmt: skip


def _axis_label(place: Embedding, axis: int) -> str:
    kind = ", imaginary" if place.imaginary[axis] else ""
    return f"axis {axis + 1}{kind} ({place.explained[axis]:.0%} of the spread)"


def _guide(contexts: np.ndarray, bandwidth: np.ndarray, used: np.ndarray) -> np.ndarray:
    """n^{−1/5} through the middle (geometric mean) of the bandwidths used."""
    chosen = used & np.isfinite(bandwidth)
    chosen = chosen if chosen.any() else np.isfinite(bandwidth)
    shape = contexts.astype(float) ** SILVERMAN_EXPONENT
    return shape * np.exp(np.mean(np.log(bandwidth[chosen] / shape[chosen])))
