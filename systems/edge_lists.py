"""A graph from a table of edges."""

import csv
from pathlib import Path

import numpy as np

from .graphs import Graph, components, from_adjacency

_HEADS = ({"source", "target"}, {"from", "to"}, {"a", "b"}, {"node1", "node2"})
_MOST = 10


def read_edge_list(path: str | Path) -> tuple[Graph, tuple[str, ...]]:
    """The graph of a CSV file with two labels a line, and the labels in the order in which they first appear.

    A header (``source,target``, ``from,to``, ``a,b`` or ``node1,node2``), blank lines and lines that begin with ``#``
    are skipped. Where the words of the header occur again below, the first line is an edge like the others.

    Raises:
        ValueError: a file that cannot be read or holds no edge; lines (with their numbers) that have not two labels, an
            empty one, a self-loop or an edge for the second time in either direction; a graph in several parts.
    """
    path = Path(path)
    rows = _without_head(_rows(path))
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
    parts = components(adjacency)
    if len(parts) > 1:
        said = [" ".join(labels[k] for k in part[:5]) + (" …" if len(part) > 5 else "") for part in parts]
        raise ValueError(_said(path, said, f"one connected graph, not {len(parts)} parts", "Join them, or take one"))
    return from_adjacency(adjacency, None, path.stem), labels


def _without_head(rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    # A graph may well have nodes a and b: names that are used again are no header.
    if not rows or {cell.lower() for cell in rows[0][1]} not in _HEADS:
        return rows
    used_again = {cell for _, cells in rows[1:] for cell in cells} & set(rows[0][1])
    return rows if used_again else rows[1:]


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"Got {path}, whose byte {error.start} is not UTF-8. Expected UTF-8. Save it so.") from None
    except OSError as error:
        raise ValueError(f"Got '{error.strerror}' for {path}. Expected a CSV file of edges. Name another.") from None
    # A line at a time, so that a stray quotation mark cannot swallow the lines below it.
    lines = [(k, line) for k, line in enumerate(text.splitlines(), 1) if not line.lstrip().startswith("#")]
    try:
        cells = [(k, [cell.strip() for cell in next(csv.reader([line]), [])]) for k, line in lines]
    except csv.Error as error:
        raise ValueError(f"Got {path}, of which a line is no CSV: {error}. Expected two labels. Correct it.") from None
    return [(k, found) for k, found in cells if any(found)]


def _said(path: Path, found: list[str], expected: str, remedy: str = "Correct these lines") -> str:
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"Got {path} with {'; '.join(found[:_MOST])}{more}. Expected {expected}. {remedy}."
