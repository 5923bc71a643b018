"""A CSV file as columns of text, with the line that every row begins on."""

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from ..errors import InputError
from .table import listed

_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


class Columns(NamedTuple):
    """What a file says, all of it as text: leading zeros stay."""

    #: The file's name, for messages.
    file: str
    #: Text of every row, by column; white space at both ends is gone.
    text: dict[str, tuple[str, ...]]
    #: The header is line 1; a field may hold line breaks, so rows can take several.
    lines: Int[np.ndarray, " row"]

    def need(self, columns: tuple[str, ...]) -> None:
        """Raise ``InputError``, with the columns that there are, if one of ``columns`` is missing."""
        missing = [column for column in columns if column not in self.text]
        if missing:
            raise InputError(
                f"{self.file} without a column {', '.join(missing)}; its columns are {', '.join(self.text)}",
                "every column that is asked for",
                "Name columns that the file has (for example --name-column, --target, --group)",
            )

    def take(self, keep: np.ndarray) -> "Columns":
        """The rows that a mask or indices choose."""
        chosen = np.arange(len(self.lines))[keep]
        text = {name: tuple(column[i] for i in chosen) for name, column in self.text.items()}
        return Columns(self.file, text, self.lines[chosen])


def read_csv(path: str | Path) -> Columns:
    """Read ``.csv`` or ``.csv.gz``: commas, a header, UTF-8 (a byte order mark is accepted).

    Raises:
        InputError: no such file; not gzip though it is called so; another encoding, with the place of the first
            byte that is not UTF-8 and the way to convert; no header, or one with a name twice; rows that are longer
            or shorter than the header; no rows.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        what = "is not whole gzip" if path.is_file() else "is no file"
        raise InputError(f"{path}, which {what}", "a .csv or .csv.gz file", "Check the path") from error
    return parse_csv(path.name, data)


def parse_csv(name: str, data: bytes) -> Columns:
    """``read_csv`` of bytes already there; ``name`` is for messages."""
    reader = csv.reader(io.StringIO(_decoded(name, data), newline=""), strict=True)
    rows: list[list[str]] = []
    lines = []
    before = 0
    try:
        for row in reader:
            if row:
                rows.append([field.strip() for field in row])
                lines.append(before + 1)
            before = reader.line_num
    except csv.Error as error:
        raise InputError(
            f"{name}, line {reader.line_num}: {error}",
            "comma-separated values with quoted fields closed",
            "Correct the line",
        ) from error
    header, rows, starts = _header(name, rows), rows[1:], lines[1:]
    ragged = [f"line {line} has {len(row)}" for line, row in zip(starts, rows) if len(row) != len(header)]
    if ragged:
        raise InputError(
            f"{len(ragged)} rows of {name} with other numbers of fields: {listed(ragged)}",
            f"{len(header)} fields as in the header",
            "Quote fields that hold commas",
        )
    columns = zip(*rows) if rows else [()] * len(header)
    return Columns(name, dict(zip(header, map(tuple, columns))), np.array(starts, dtype=np.int64))


def _header(name: str, rows: list[list[str]]) -> list[str]:
    header = rows[0] if rows else []
    if len(rows) < 2:
        raise InputError(f"{name} with {len(rows)} lines that are not blank", "a header and rows", "Add the rows")
    other = next((mark for mark in (";", "\t", "|") if mark in header[0]), None)
    if len(header) == 1 and other:
        raise InputError(
            f"{name}, whose header is {header[0]!r}", "columns separated by commas", f"Put commas in place of {other!r}"
        )
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise InputError(f"{name} with two columns called {', '.join(twice)}", "a name for each", "Rename one")
    return header


def _decoded(name: str, data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
        if "\0" not in text:
            return text
        at = data.index(b"\0")
    except UnicodeDecodeError as error:
        # positions count from behind a byte order mark
        at = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
    guess, plain = _encoding(data), name.removesuffix(".gz")
    raise InputError(
        f"{name}, which is not UTF-8: byte {at} is 0x{data[at]:02x}, in line {data[:at].count(10) + 1}",
        "a file in UTF-8",
        f"It may be {guess}; convert it with `iconv -f {guess} -t UTF-8 {plain} > converted.csv`",
    )


def _encoding(data: bytes) -> str:
    """A guess, for a message only."""
    if data[:2] in _BYTE_ORDER_MARKS:
        return "UTF-16"
    if b"\0" in data:
        return "UTF-16LE" if data[1:2] == b"\0" else "UTF-16BE"
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return "ISO-8859-1"
    return "WINDOWS-1252"
