"""The last step of a run: its arrays, its summary and its seal."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..files import save_arrays, write_text
from ..report import Table
from ..store import RunStore
from .summary import markdown


def finished(
    store: RunStore, arrays: Mapping[str, np.ndarray], page: Path, table: Table, verdicts: list[str]
) -> list[str]:
    """Write ``arrays.npz`` and ``summary.md`` beside the report, seal the run, and give the lines to print."""
    save_arrays(store.folder / "arrays.npz", arrays)
    write_text(store.folder / "summary.md", markdown(table))
    store.seal(("arrays.npz", page.name, "summary.md"))
    return [*_aligned((table.columns, *table.rows)), *verdicts, f"report: {page}"]


def _aligned(rows: tuple) -> list[str]:
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(str(cell).ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
