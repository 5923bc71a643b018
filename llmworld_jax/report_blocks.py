"""A report as data: sections of text, tables, figures and verdicts, checked when they are made.

Texts are plain; words between backquotes are set as code. ``report.render`` turns a ``Report`` into a page.
"""

import math
import struct
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from .errors import InputError

Cell = str | int | float | np.generic | None
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PNG_HEAD = b"\x89PNG\r\n\x1a\n"
_GIF_HEADS = (b"GIF87a", b"GIF89a")


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Subheading:
    """A heading inside a section."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list of short statements."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """Commands or program text, kept as it is."""

    text: str


@dataclass(frozen=True)
class Verdict:
    """What a result amounts to. ``label`` replaces the default word of its kind."""

    kind: Literal["good", "neutral", "negative"]
    text: str
    label: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values; nested mappings are joined with dots."""

    entries: Mapping[str, Any]


@dataclass(frozen=True)
class Table:
    """Rows of cells. Each column of numbers is spelled alike, see ``spelled_column``."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise InputError(
                f"table rows of lengths {sorted({len(row) for row in self.rows})}",
                f"{len(self.columns)} cells a row, one a column",
                "Use None for an empty cell",
            )


@dataclass(frozen=True)
class Figure:
    """A picture: ``png`` bytes; ``alt`` says in words what it shows, for those who cannot see it."""

    png: bytes = field(repr=False)
    alt: str
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.png.startswith(_PNG_HEAD) or len(self.png) < 33:
            raise InputError(f"a figure that begins with {self.png[:8]!r}", "a PNG's bytes", "Save it as PNG")
        if not self.alt.strip():
            raise InputError("a figure without alternative text", "a sentence on what it shows", "Give alt=...")

    def css_size(self) -> tuple[int, int]:
        """Width and height in CSS pixels (96 an inch): the printed size where the file gives a resolution."""
        width, height = struct.unpack(">II", self.png[16:24])
        at = self.png.find(b"pHYs", 0, max(0, self.png.find(b"IDAT")))
        per_metre, unit = struct.unpack(">I4xB", self.png[at + 4 : at + 13]) if at > 0 else (0, 0)
        scale = min(1.0, 96 / 0.0254 / per_metre) if unit == 1 and per_metre else 1.0
        return round(width * scale), round(height * scale)

    def data_uri(self) -> str:
        """The picture as text."""
        return f"data:image/png;base64,{b64encode(self.png).decode('ascii')}"


@dataclass(frozen=True)
class Animation:
    """A moving picture: ``gif`` bytes, and the ``still`` PNG that stands in its place on paper and for those who asked
    their system for less motion. ``alt`` says in words what it shows."""

    gif: bytes = field(repr=False)
    still: bytes = field(repr=False)
    alt: str
    caption: str = ""

    def __post_init__(self) -> None:
        if not self.gif.startswith(_GIF_HEADS) or len(self.gif) < 14:
            raise InputError(f"an animation that begins with {self.gif[:8]!r}", "a GIF's bytes", "Save it as GIF")
        self.still_figure()

    def still_figure(self) -> Figure:
        """The still picture with the same texts; raises as ``Figure`` does."""
        return Figure(self.still, self.alt, self.caption)

    def css_size(self) -> tuple[int, int]:
        """Width and height in CSS pixels: one a pixel of the GIF."""
        width, height = struct.unpack("<HH", self.gif[6:10])
        return width, height

    def data_uri(self) -> str:
        """The moving picture as text."""
        return f"data:image/gif;base64,{b64encode(self.gif).decode('ascii')}"


Block = Paragraph | Subheading | Items | Code | Verdict | Facts | Table | Figure | Animation


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """A page: ``lead`` says the result in a few sentences, ``provenance`` how it was made."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.title.strip() or any(not section.heading.strip() for section in self.sections):
            raise InputError("a report with an empty title or heading", "a few words each", "Name what it shows")


def is_number(cell: Cell) -> bool:
    """Whether a cell is a number (a truth value is not)."""
    return isinstance(cell, int | float | np.integer | np.floating) and not isinstance(cell, bool | np.bool_)


def _spelled(value: int | float, decimals: int) -> str:
    comma = "," if abs(value) >= 10_000 else ""
    if isinstance(value, int):
        text = f"{value:{comma}d}"
    elif not math.isfinite(value):
        text = "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}∞"
    elif value and not 1e-4 <= abs(value) < 1e6:
        digits, exponent = f"{value:.2e}".split("e")
        text = f"{digits}×10{str(int(exponent)).translate(_RAISED)}"
    else:
        text = f"{value:{comma}.{decimals}f}"
    return text.replace("-", "−")


def _decimals(sizes: list[float]) -> int:
    if not sizes:
        return 0
    places_of_largest, places_of_smallest = (math.floor(math.log10(x)) for x in (max(sizes), min(sizes)))
    return min(6, max(0, 3 - places_of_largest, 1 - places_of_smallest))


def spelled_column(cells: tuple[Cell, ...]) -> tuple[str, ...]:
    """The text of a column's cells.

    All floats get one number of decimals, so that equal places stand under each other: four significant
    digits for the largest, two for the smallest, at most 6. Those below 1e-4 or from 1e6 up are written with
    a power of ten. None is "–", truth values are "yes" and "no".
    """
    plain = tuple(cell.item() if isinstance(cell, np.generic) else cell for cell in cells)
    decimals = _decimals([abs(x) for x in plain if isinstance(x, float) and 1e-4 <= abs(x) < 1e6])
    words = {None: "–", True: "yes", False: "no"}
    texts = []
    for cell in plain:
        if cell is None or isinstance(cell, bool):
            texts.append(words[cell])
        else:
            texts.append(_spelled(cell, decimals) if isinstance(cell, int | float) else str(cell))
    return tuple(texts)
