"""Rows of the table, as text and as data."""

from typing import Any, NamedTuple

from .timing import Quantity

COLUMNS = ("measurement", "unit", "llmworld_jax", "MFU", "compile, s", "peer", "times the peer's speed")


class Row(NamedTuple):
    """A line. ``mfu``: useful operations over time and measured peak; ``ratio``: above 1 where ours is faster."""

    measurement: str
    unit: str
    ours: Quantity | None
    mfu: float | None = None
    compile_seconds: float | None = None
    peer: Quantity | None = None
    ratio: Quantity | None = None

    def cells(self) -> tuple[str, ...]:
        """As text."""
        share = "" if self.mfu is None else f"{100 * self.mfu:.0f} %"
        waited = "" if self.compile_seconds is None else f"{self.compile_seconds:.1f}"
        return self.measurement, self.unit, told(self.ours), share, waited, told(self.peer), told(self.ratio)


class Bench(NamedTuple):
    """All that a run has to say: ``header`` what it was measured on, ``notes`` how, ``seconds`` every round."""

    header: dict[str, Any]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    seconds: dict[str, list[float]]


def told(value: Quantity | None) -> str:
    """Median [least, greatest]."""
    if value is None:
        return "–"
    middle, low, high = (_figure(x) for x in value)
    return middle if low == middle == high else f"{middle} [{low}, {high}]"


def markdown(bench: Bench) -> str:
    """Header, table and notes."""
    lines = [f"- {name}: {value}" for name, value in bench.header.items()]
    table = [COLUMNS, ("---",) * len(COLUMNS), *(row.cells() for row in bench.rows)]
    lines += ["", *("| " + " | ".join(cells) + " |" for cells in table), ""]
    return "\n".join([*lines, *(f"- {note}" for note in bench.notes)]) + "\n"


def plain(bench: Bench) -> dict[str, Any]:
    """Ready for JSON."""
    quantities = ("ours", "peer", "ratio")
    rows = [
        {k: v._asdict() if k in quantities and v is not None else v for k, v in row._asdict().items()}
        for row in bench.rows
    ]
    return {"header": bench.header, "rows": rows, "notes": list(bench.notes), "seconds": bench.seconds}


def _figure(x: float) -> str:
    """Three digits that count, thousands apart."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}"
