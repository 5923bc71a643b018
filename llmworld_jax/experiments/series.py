"""A user's own measurements out of a delimited text file, or a clear word on why not."""

import csv
import math
from pathlib import Path

import numpy as np

from ..errors import InputError

_MARKS = (";", "\t", ",")
"""The comma last: where numbers have decimal commas, it must not cut them."""

Row = tuple[int, list[str]]
"""A line's number in the file, counted from 1, and its cells."""


def read_series(path: Path, column: str | None = None) -> tuple[np.ndarray, str]:
    """One column of numbers, and its name.

    The file may be separated by commas, semicolons, tabs or blanks, with or without a header line.

    Args:
        column: its header, or its place counted from 0; may be left out when there is only one.

    Raises:
        InputError: no such file, nothing in it, no such column, or cells that are not finite numbers (listed).
    """
    if not path.is_file():
        raise InputError(f"no file at {path}", "a text file with a column of numbers", "Check the path")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise InputError(
            f"{path}, which cannot be read as text ({error})",
            "a text file with a column of numbers",
            "Export it as CSV in UTF-8",
        ) from error
    lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError(
            f"{path}, which is empty", "one number a line, or a table", "Give a file with at least two values"
        )
    rows = _rows(lines)
    header = rows[0][1] if not any(_number(cell) is not None for cell in rows[0][1]) else None
    place, name = _place(path, rows[0][1], header, column)
    return _numbers(path, rows[1:] if header else rows, place, name), name


def _rows(lines: list[tuple[int, str]]) -> list[Row]:
    """Cells of every line; a header of several words over a single column stays one cell."""
    mark = _mark([line for _, line in lines[:20]])
    rows = [(i, _cells(line, mark)) for i, line in lines]
    single = mark is None and len(rows) > 1 and all(len(cells) == 1 for _, cells in rows[1:])
    if single and all(_number(cell) is None for cell in rows[0][1]):
        rows[0] = (rows[0][0], [" ".join(rows[0][1])])
    return rows


def _mark(lines: list[str]) -> str | None:
    """The one that cuts every line into the same number of cells, else one that the first has; None for blanks."""
    for mark in _MARKS:
        widths = {len(_cells(line, mark)) for line in lines}
        if len(widths) == 1 and widths != {1}:
            return mark
    return next((mark for mark in _MARKS if mark in lines[0]), None)


def _cells(line: str, mark: str | None) -> list[str]:
    if mark is None:
        return [cell.strip('"') for cell in line.split()]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=mark, skipinitialspace=True))]


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
                f"{len(names)} columns in {path}: {', '.join(names)}",
                "one, or the name or place of the one to read",
                "Name it with --column",
            )
        return 0, names[0]
    if names.count(column) == 1:
        return names.index(column), column
    if column.isdecimal() and int(column) < len(names):
        return int(column), names[int(column)]
    several = " several times" if column in names else ""
    raise InputError(
        f"--column {column}{several}, in {path}",
        f"one of {', '.join(names)}, or a place 0 to {len(names) - 1}",
        "Choose one of these",
    )


def _numbers(path: Path, rows: list[Row], place: int, name: str) -> np.ndarray:
    if not rows:
        raise InputError(f"no rows under the header of {path}", "at least two values", "Give a longer series")
    found = [(i, cells[place] if place < len(cells) else None) for i, cells in rows]
    numbers = [None if cell is None else _number(cell) for _, cell in found]
    bad = [
        f"nothing in line {i}" if not cell else f"{cell!r} in line {i}"
        for (i, cell), number in zip(found, numbers)
        if number is None or not math.isfinite(number)
    ]
    if bad:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"{', '.join(bad[:5])}{more} in column {name} of {path}",
            "a finite number in every row",
            "Correct or remove these rows",
        )
    return np.array(numbers, dtype=np.float64)
