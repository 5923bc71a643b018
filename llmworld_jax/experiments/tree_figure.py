"""The digit tree of one state: its law after one digit, two digits, ... and at mixed resolution around what came.

Source of the mixed grid: Liu et al. 2024, arXiv 2402.00795 (Hierarchy-PDF).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses

from .figure_style import RC, WIDTH, late_from, legend_outside, png, pyplot
from .law_figures import draw_truth, truth_mass
from .results import SystemResults

BASE = 10
RESOLUTIONS = ("#d4a017", "#4f9d69", "#0b6e99", "#5b3a8c")
"""Colour of bins that are one, two, three, four digits wide."""


class MixedLaw(NamedTuple):
    """A law on the mixed-resolution grid around one number: ``density`` per unit, ``digits`` that each bin resolves."""

    edges: np.ndarray
    density: np.ndarray
    digits: np.ndarray


def places_of(r: SystemResults) -> int:
    """Digits of each number."""
    return round(np.log10(r.log_mass.shape[2]))


def written(r: SystemResults, seed: int, t: int) -> str:
    """The digits of item t, with spaces between them."""
    return " ".join(f"{int(r.codes[seed, t]):0{places_of(r)}d}")


def typical_state(r: SystemResults, seed: int = 0) -> int:
    """The late item whose loss is nearest to the late median: a state that is neither lucky nor unlucky."""
    first = late_from(r.loss.shape[1])
    late = r.loss[seed, first:]
    return first + int(np.argmin(np.abs(late - np.median(late))))


def mixed_law(mass: np.ndarray, edges: np.ndarray, code: int) -> MixedLaw:
    """The law ``[bin]`` seen on the grid that one pass over the number ``code`` gives for nothing.

    Every digit is resolved along the number itself; a branch that leaves it keeps the resolution at which it left.
    """
    places = round(np.log10(mass.size))
    digits = code // BASE ** np.arange(places - 1, -1, -1) % BASE
    segment = np.asarray(_segments(jnp.asarray(digits), jnp.asarray(edges)))
    starts = np.flatnonzero(np.diff(segment, prepend=-1))
    cells = np.diff(starts, append=mass.size)
    borders = edges[np.append(starts, mass.size)]
    return MixedLaw(
        borders, np.add.reduceat(mass, starts) / np.diff(borders), places - np.log10(cells).round().astype(int)
    )


@jax.jit
def _segments(digits: jax.Array, edges: jax.Array) -> jax.Array:
    """Group of every bin on the mixed grid around a number."""
    return analyses.mixed_grid(digits, edges, depth=0, mode="all").segment


def tree_figure(r: SystemResults, seed: int = 0, t: int | None = None) -> bytes:
    """One law at each number of digits, and below it at mixed resolution; truth and written value are marked."""
    plt = pyplot()
    t = typical_state(r, seed) if t is None else t
    places, edges, mass = places_of(r), r.edges[seed], np.exp(r.log_mass[seed, t])
    with plt.rc_context(RC):
        figure, axes = plt.subplots(
            places + 1, 1, figsize=(WIDTH, 1.25 * (places + 1) + 0.9), layout="constrained", sharex=True
        )
        for level, axis in enumerate(axes[:places], start=1):
            coarse = edges[:: BASE ** (places - level)]
            density = mass.reshape(BASE**level, -1).sum(axis=1) / np.diff(coarse)
            axis.stairs(density, coarse, fill=True, color=RESOLUTIONS[level - 1], label=_resolution(level))
            axis.set_title(f"{_resolution(level)}: {BASE**level} bins", pad=14 if level == 1 else 4)
        _mixed_panel(axes[-1], mixed_law(mass, edges, int(r.codes[seed, t])), places)
        for axis in axes:
            _mark(axis, r, seed, t)
            axis.vlines(
                edges[:: BASE ** (places - 1)],
                0,
                1,
                transform=axis.get_xaxis_transform(),
                color="0.9",
                lw=0.6,
                zorder=0,
            )
        _name_digits(axes[0], edges[:: BASE ** (places - 1)])
        axes[-1].set_xlabel("next value")
        figure.supylabel("probability density (per unit of value)", fontsize=9)
        legend_outside(figure, axes, map(_resolution, range(1, places + 1)))
        return png(figure)


def _resolution(level: int) -> str:
    return "1 digit" if level == 1 else f"{level} digits"


def _name_digits(axis: Any, borders: np.ndarray) -> None:
    """The first digit of the numbers, between its borders, above the panel."""
    top = axis.secondary_xaxis("top")
    top.set_xticks((borders[1:] + borders[:-1]) / 2, [str(d) for d in range(BASE)], fontsize=7.5, color="0.4")
    top.tick_params(length=0, pad=1)
    top.spines[:].set_visible(False)


def _mixed_panel(axis: Any, law: MixedLaw, places: int) -> None:
    centres = (law.edges[1:] + law.edges[:-1]) / 2
    for level in range(1, places + 1):
        here = law.digits == level
        axis.bar(centres[here], law.density[here], np.diff(law.edges)[here], color=RESOLUTIONS[level - 1], lw=0)
    axis.set_title(f"mixed resolution: {len(law.density)} bins, finest around the written number")


def _mark(axis: Any, r: SystemResults, seed: int, t: int) -> None:
    """The true law as a line (a vertical one where it is a point) and the written bin as a triangle on the axis."""
    edges, code = r.edges[seed], int(r.codes[seed, t])
    top = axis.dataLim.y1
    draw_truth(axis, r, seed, t, density=True, width=1.5)
    if (truth := truth_mass(r)) is not None:
        top = max(top, min(float((truth[seed, t] / np.diff(edges)).max()), 2.5 * top))
    axis.set_ylim(0, 1.1 * top)
    middle, name = (edges[code] + edges[code + 1]) / 2, f"written: {written(r, seed, t)}"
    axis.plot(middle, 0, "^", color="black", ms=5, clip_on=False, zorder=5, label=name)
