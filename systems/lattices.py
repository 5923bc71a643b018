"""Graphs with a rule: grids, rings, honeycombs, trees and their like, each with a layout."""

import itertools
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float

from .graphs import Graph, from_adjacency


def _at_least(what: str, value: int, low: int) -> None:
    if value < low:
        raise ValueError(f"Got {what} {value}. Expected {low} or more. Choose a larger graph.")


def from_edges(number: int, edges: Iterable, layout: list | np.ndarray, name: str) -> Graph:
    """A graph of ``number`` nodes joined by pairs; a pair twice is one edge."""
    adjacency = np.zeros((number, number), np.float32)
    for a, b in edges:
        adjacency[a, b] = adjacency[b, a] = 1
    return from_adjacency(adjacency, np.array(layout, np.float32), name)


def circle(number: int) -> Float[np.ndarray, "node 2"]:
    """Places on a circle, ``[node, 2]``, clockwise from the top."""
    angle = 2 * np.pi * np.arange(number) / number
    return np.column_stack((np.sin(angle), np.cos(angle)))


def grid(rows: int, columns: int) -> Graph:
    """Square lattice with an open boundary: ``2 rows columns - rows - columns`` edges. Nodes in reading order."""
    return _sheet("grid", rows, columns, False, False, 1)


def cylinder(rows: int, columns: int) -> Graph:
    """A grid each of whose rows closes to a ring."""
    return _sheet("cylinder", rows, columns, False, True, 1)


def torus(rows: int, columns: int) -> Graph:
    """A grid whose rows and columns close to rings; at least three of each."""
    return _sheet("torus", rows, columns, True, True, 3)


def _sheet(name: str, rows: int, columns: int, closed_rows: bool, closed_columns: bool, low: int) -> Graph:
    _at_least("rows", rows, low)
    _at_least("columns", columns, 3 if closed_columns else low)
    _at_least("nodes", rows * columns, 2)
    edges = []
    for r, c in itertools.product(range(rows), range(columns)):
        if c + 1 < columns or closed_columns:
            edges.append((r * columns + c, r * columns + (c + 1) % columns))
        if r + 1 < rows or closed_rows:
            edges.append((r * columns + c, (r + 1) % rows * columns + c))
    layout = [(c, -r) for r, c in itertools.product(range(rows), range(columns))]
    return from_edges(rows * columns, edges, layout, f"{name}:{rows}x{columns}")


def circulant(number: int, step: int) -> Graph:
    """Node i joined to i + step and i - step (mod ``number``); one ring where the two have no common divisor."""
    _at_least("nodes", number, 3)
    if not 0 < step < number:
        raise ValueError(f"Got step {step} on {number} nodes. Expected 1 to {number - 1}. Choose another step.")
    edges = [(i, (i + step) % number) for i in range(number)]
    return from_edges(number, edges, circle(number), f"circulant:{number}x{step}")


def ring(number: int) -> Graph:
    """The cycle C_n: as many edges as nodes."""
    return circulant(number, 1)._replace(name=f"ring:{number}")


def path(number: int) -> Graph:
    """A line of nodes."""
    _at_least("nodes", number, 2)
    return from_edges(
        number, [(i, i + 1) for i in range(number - 1)], [(i, 0) for i in range(number)], f"path:{number}"
    )


def star(number: int) -> Graph:
    """One node in the middle joined to all others."""
    _at_least("nodes", number, 3)
    layout = np.concatenate(([[0.0, 0.0]], circle(number - 1)))
    return from_edges(number, [(0, i) for i in range(1, number)], layout, f"star:{number}")


def complete_bipartite(left: int, right: int) -> Graph:
    """Every node of one side joined to every node of the other."""
    _at_least("nodes on a side", min(left, right), 1)
    _at_least("nodes", left + right, 3)
    layout = [(0, -i * max(right - 1, 1)) for i in range(left)] + [
        (left + right, -i * max(left - 1, 1)) for i in range(right)
    ]
    pairs = itertools.product(range(left), range(left, left + right))
    return from_edges(left + right, pairs, layout, f"bipartite:{left}x{right}")


def balanced_tree(branching: int, depth: int) -> Graph:
    """Every node down to ``depth`` has ``branching`` children; level by level from the root."""
    _at_least("branching", branching, 1)
    _at_least("depth", depth, 1)
    levels = [branching**k for k in range(depth + 1)]
    first = np.cumsum([0, *levels])
    edges, layout = [], []
    for level, count in enumerate(levels):
        for i in range(count):
            layout.append(((i + 0.5) * levels[-1] / count, -level * max(1.0, levels[-1] / (depth + 1))))
            if level:
                edges.append((first[level - 1] + i // branching, first[level] + i))
    return from_edges(int(first[-1]), edges, layout, f"tree:{branching}x{depth}")


def hypercube(dimension: int) -> Graph:
    """Corners of a cube of ``dimension``, joined where one coordinate differs."""
    _at_least("dimension", dimension, 1)
    number = 2**dimension
    edges = [(i, i ^ (1 << k)) for i in range(number) for k in range(dimension)]
    # Each further dimension is drawn as a shift that no other makes.
    angle = np.pi * np.arange(dimension) / dimension
    shifts = np.column_stack((np.cos(angle), np.sin(angle))) * (1 + 0.3 * np.arange(dimension))[:, None]
    bits = (np.arange(number)[:, None] >> np.arange(dimension)) & 1
    return from_edges(number, edges, bits @ shifts, f"hypercube:{dimension}")


def honeycomb(rows: int, columns: int) -> Graph:
    """``rows`` x ``columns`` hexagons, every second row shifted by half of one: 3 x 3 have 30 nodes and 38 edges."""
    _at_least("rows of hexagons", rows, 1)
    _at_least("columns of hexagons", columns, 1)
    corners: dict[tuple[int, int], int] = {}
    edges = set()
    for r, c in itertools.product(range(rows), range(columns)):
        # Corners in units of half a width and of a quarter of a height, so that shared ones are equal.
        x, y = 2 * c + r % 2, 3 * r
        around = [(x, y - 2), (x + 1, y - 1), (x + 1, y + 1), (x, y + 2), (x - 1, y + 1), (x - 1, y - 1)]
        nodes = [corners.setdefault(corner, len(corners)) for corner in around]
        edges |= {tuple(sorted((nodes[k], nodes[(k + 1) % 6]))) for k in range(6)}
    layout = [(x * 3**0.5 / 2, -y / 2) for x, y in corners]
    return from_edges(len(corners), edges, layout, f"hex:{rows}x{columns}")
