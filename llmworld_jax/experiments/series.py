"""A user's own measurements out of a delimited text file, or a clear word on why not."""

import csv
from pathlib import Path

import numpy as np

from ..errors import InputError


def read_series(path: Path, column: str | None = None) -> tuple[np.ndarray, str]:
    """One column of numbers, and its name.

    The file may be separated by commas, semicolons, tabs or blanks, with or without a header line.

    Args:
        column: its header, or its place counted from 0; may be left out when there is only one.

    Raises:
        InputError: no such file, nothing in it, no such column, or cells that are not numbers (all listed).
    """
    if not path.is_file():
        raise InputError(f"no file at {path}", "a text file with a column of numbers", "Check the path")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(
            f"{path}, which cannot be read as text ({error})",
            "a text file with a column of numbers",
            "Export it as CSV",
        ) from error
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError(
            f"{path}, which is empty", "one number a line, or a table", "Give a file with at least two values"
        )
    delimiter = _delimiter([line for _, line in lines[:20]])
    rows = [(i, _cells(line, delimiter)) for i, line in lines]
    header = rows[0][1] if not any(_number(cell) is not None for cell in rows[0][1]) else None
    place, name = _place(path, rows[0][1], header, column)
    return _numbers(path, rows[1:] if header else rows, place, name), name


def _delimiter(lines: list[str]) -> str | None:
    """The one that cuts every line into the same number of cells, more than one; None for blanks."""
    for mark in (",", ";", "\t"):
        widths = {len(line.split(mark)) for line in lines}
        if len(widths) == 1 and widths != {1}:
            return mark
    return "," if any("," in line for line in lines) else None


def _cells(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _place(path: Path, first: list[str], header: list[str] | None, column: str | None) -> tuple[int, str]:
    names = header or [str(i) for i in range(len(first))]
    if column is None:
        if len(names) > 1:
            raise InputError(
                f"{len(names)} columns in {path}: {', '.join(names)}", "one, or --column", "Name it with --column"
            )
        return 0, names[0]
    if column in names:
        return names.index(column), column
    if column.isdigit() and int(column) < len(names):
        return int(column), names[int(column)]
    raise InputError(f"--column {column}", f"one of {', '.join(names)} in {path}", "Choose one of these")


def _numbers(path: Path, rows: list[tuple[int, list[str]]], place: int, name: str) -> np.ndarray:
    found = [(i, cells[place] if place < len(cells) else "") for i, cells in rows]
    bad = [f"{cell!r} in line {i}" for i, cell in found if _number(cell) is None]
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"{', '.join(bad[:5])}{more} in column {name} of {path}",
            "a number in every row",
            "Correct or remove these rows",
        )
    if not found:
        raise InputError(f"no rows under the header of {path}", "at least two values", "Give a longer series")
    return np.array([float(cell) for _, cell in found])
