"""The frame of a map: its extent, its lines of longitude and latitude, and the true points as its outline.

No coast lines: they would be data to ship, and the places themselves show where the land is.
"""

from typing import Any, NamedTuple

import numpy as np

from .palette import BEHIND, dot_size

WORLD_FROM = 200.0
"""Places that span more degrees of longitude are drawn on the whole world."""
STEP = 30.0
"""Degrees from line to line of a map of the world."""


class Extent(NamedTuple):
    """Degrees shown, and how much longer than a degree of longitude one of latitude is drawn."""

    west: float
    east: float
    south: float
    north: float
    stretch: float

    @property
    def ratio(self) -> float:
        """Height of the map as a share of its width."""
        return (self.north - self.south) * self.stretch / (self.east - self.west)

    def outside(self, places: np.ndarray) -> int:
        """How many of ``places`` [n, 2] lie off the map."""
        lon, lat = places.T
        off = (lon < self.west) | (lon > self.east) | (lat < self.south) | (lat > self.north)
        return int(off.sum())


def extent_of(places: np.ndarray) -> Extent:
    r"""The world from 60° S to 80° N (more, if a place lies beyond), or a frame around places [n, 2] of less width.

    A frame is stretched by :math:`1 / \cos\varphi` at its middle latitude :math:`\varphi`, so that there a kilometre
    is as long to the north as to the east.
    """
    (west, south), (east, north) = places.min(axis=0), places.max(axis=0)
    if east - west > WORLD_FROM:
        return Extent(-180.0, 180.0, float(min(-60, south - 3)), float(max(80, north + 3)), 1.0)
    stretch = 1 / max(np.cos(np.deg2rad((south + north) / 2)), 0.1)
    margin = 0.05 * max(east - west, (north - south) * stretch, 0.01)
    return Extent(
        float(west - margin),
        float(east + margin),
        float(south - margin / stretch),
        float(north + margin / stretch),
        float(stretch),
    )


def is_world(extent: Extent) -> bool:
    """Whether the whole world is shown."""
    return extent.east - extent.west > WORLD_FROM


def draw_frame(axis: Any, extent: Extent, *, labels: bool = True) -> None:
    """Limits, scale, graticule (each 30° on the world, the equator darker) and axes in °E and °N."""
    from matplotlib import ticker

    axis.set(xlim=(extent.west, extent.east), ylim=(extent.south, extent.north))
    axis.set_aspect(extent.stretch)
    for line in (axis.xaxis, axis.yaxis):
        world = ticker.MultipleLocator(STEP)
        line.set_major_locator(world if is_world(extent) else ticker.MaxNLocator(5, steps=[1, 2, 5, 10]))
        line.set_major_formatter(ticker.FuncFormatter(lambda x, _: f"{x:g}".replace("-", "−")))
    axis.grid(True, color="#e8ebee", lw=0.6)
    axis.set_axisbelow(True)
    if extent.south < 0 < extent.north:
        axis.axhline(0, color="#b9c0c7", lw=0.8, zorder=0.6)
    if labels:
        axis.set(xlabel="longitude (°E)", ylabel="latitude (°N)")
    else:
        axis.tick_params(length=0, labelleft=False, labelbottom=False)


def draw_outline(axis: Any, places: np.ndarray, size: float | None = None) -> None:
    """All true points [n, 2] in light grey, behind everything."""
    area = dot_size(len(places)) if size is None else size
    axis.scatter(*places.T, s=area, color=BEHIND, lw=0, zorder=0.9, rasterized=True)
