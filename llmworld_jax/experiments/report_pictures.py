"""Pictures of a report: each is kept as a file of the run and becomes a block of its page."""

from pathlib import Path

from ..files import write_bytes
from ..report import Animation, Figure
from .animation import Moving


class Pictures:
    """The ``figures`` folder of a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "figures"

    def figure(self, name: str, png: bytes, alt: str, caption: str) -> Figure:
        """One picture, kept as ``name.png``."""
        write_bytes(self._folder / f"{name}.png", png)
        return Figure(png, alt, caption)

    def pages(self, name: str, pngs: tuple[bytes, ...], alt: str, caption: str) -> tuple[Figure, ...]:
        """A picture of several pages, ``name.png``, ``name_2.png``, ...; the caption stands under the last."""
        last = len(pngs)
        return tuple(
            self.figure(
                name if k == 1 else f"{name}_{k}",
                png,
                alt if last == 1 else f"{alt} (part {k} of {last})",
                caption if k == last else "",
            )
            for k, png in enumerate(pngs, start=1)
        )

    def animation(self, name: str, moving: Moving, alt: str, caption: str) -> Animation:
        """A moving picture, kept as ``name.gif`` with its still ``name.png``."""
        write_bytes(self._folder / f"{name}.gif", moving.gif)
        write_bytes(self._folder / f"{name}.png", moving.still)
        return Animation(moving.gif, moving.still, alt, caption)
