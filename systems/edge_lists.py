"""A graph from a table of edges."""

import csv
from pathlib import Path

import numpy as np

from .graphs import Graph, from_adjacency

_HEADS = ({"source", "target"}, {"from", "to"}, {"a", "b"}, {"node1", "node2"})
_MOST = 10


def read_edge_list(path: Path) -> tuple[Graph, tuple[str, ...]]:
    """The graph of a CSV file with two labels a line, and the labels in the order in which they first appear.

    A header (``source,target``, ``from,to`` or ``a,b``), blank lines and lines that begin with ``#`` are skipped.

    Raises:
        ValueError: a file that cannot be read or holds no edge; lines (with their numbers) that have not two labels, an
            empty one, a self-loop or an edge for the second time in either direction; a graph in several parts.
    """
    rows = _rows(path)
    if rows and {cell.lower() for cell in rows[0][1]} in _HEADS:
        rows = rows[1:]
    if not rows:
        raise ValueError(f"Got {path} without an edge. Expected two labels a line. Add edges.")
    wrong = [f"line {line}: {','.join(cells)!r}" for line, cells in rows if len(cells) != 2 or not all(cells)]
    if wrong:
        raise ValueError(_said(path, wrong, "two labels a line, separated by a comma"))
    loops = [f"line {line}: {a}" for line, (a, b) in rows if a == b]
    if loops:
        raise ValueError(_said(path, loops, "no edge from a node to itself"))
    labels = tuple(dict.fromkeys(label for _, cells in rows for label in cells))
    number = {label: k for k, label in enumerate(labels)}
    adjacency = np.zeros((len(labels), len(labels)), np.float32)
    twice = []
    for line, (a, b) in rows:
        if adjacency[number[a], number[b]]:
            twice.append(f"line {line}: {a},{b}")
        adjacency[number[a], number[b]] = adjacency[number[b], number[a]] = 1
    if twice:
        raise ValueError(_said(path, twice, "each edge once, in one direction"))
    try:
        return from_adjacency(adjacency, None, path.stem), labels
    except ValueError as error:
        names = "; ".join(f"{k} is {label}" for k, label in enumerate(labels[:_MOST]))
        raise ValueError(f"{error} (In {path}: {names}.)") from None


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"Got {path}, whose byte {error.start} is not UTF-8. Expected UTF-8. Save it so.") from None
    except OSError as error:
        raise ValueError(f"Got '{error.strerror}' for {path}. Expected a CSV file of edges. Name another.") from None
    lines = csv.reader(text.splitlines())
    return [
        (lines.line_num, [cell.strip() for cell in cells])
        for cells in lines
        if any(cell.strip() for cell in cells) and not cells[0].lstrip().startswith("#")
    ]


def _said(path: Path, found: list[str], expected: str) -> str:
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"Got {path} with {'; '.join(found[:_MOST])}{more}. Expected {expected}. Correct these lines."
