"""Undirected, connected graphs as data: who may follow whom, and where each node is drawn."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Shaped


class Graph(NamedTuple):
    """``adjacency`` ``[node, node]`` float32, 0 or 1, symmetric; ``layout`` ``[node, 2]`` float32 for drawing."""

    adjacency: Float[np.ndarray, "node node"]
    layout: Float[np.ndarray, "node 2"]
    name: str

    @property
    def num_nodes(self) -> int:
        return len(self.adjacency)

    @property
    def num_edges(self) -> int:
        return int(self.adjacency.sum()) // 2

    @property
    def degrees(self) -> Int[np.ndarray, " node"]:
        """How many neighbours each node has, ``[node]``."""
        return self.adjacency.sum(axis=1).astype(int)

    @property
    def edges(self) -> Int[np.ndarray, "edge 2"]:
        """``[edge, 2]``, the smaller node first."""
        return np.argwhere(np.triu(self.adjacency))

    @property
    def bipartite(self) -> bool:
        """Whether two colours suffice."""
        return two_coloured(self.adjacency)


def from_adjacency(
    adjacency: Shaped[np.ndarray, "..."], layout: Shaped[np.ndarray, "..."] | None = None, name: str = "graph"
) -> Graph:
    """A checked graph; drawn by the two smoothest Laplacian modes where no layout is given.

    Raises:
        ValueError: not square, fewer than two nodes, entries other than 0 and 1, not symmetric, self-loops, isolated
            nodes, more than one part, or a layout of another shape or with places that are not finite.
    """
    a = np.asarray(adjacency)
    _check(a)
    a = a.astype(np.float32)
    places = spectral_layout(a) if layout is None else np.asarray(layout, np.float32)
    if places.shape != (len(a), 2):
        raise ValueError(f"Got a layout of shape {places.shape}. Expected {(len(a), 2)}. Give a place to each node.")
    if not np.isfinite(places).all():
        raise ValueError("Got a layout with NaN or infinite places. Expected finite ones. Correct them.")
    return Graph(a, places, name)


def _check(a: np.ndarray) -> None:
    if a.ndim != 2 or a.shape[0] != a.shape[1] or len(a) < 2:
        raise ValueError(
            f"Got an adjacency of shape {a.shape}. Expected a square of two nodes or more. Give a row to each node."
        )
    if not np.isin(a, (0, 1)).all():
        raise ValueError(f"Got entries {np.unique(a)[:6]} in the adjacency. Expected 0 and 1. Leave weights out.")
    loops = np.flatnonzero(np.diag(a))
    if loops.size:
        raise ValueError(f"Got self-loops at the nodes {_listed(loops)}. Expected none. Remove them.")
    one_way = np.argwhere(a != a.T)
    if one_way.size:
        raise ValueError(f"Got edges that go one way, as {tuple(map(int, one_way[0]))}. Expected both. Add the other.")
    parts = components(a)
    lone = np.flatnonzero(a.sum(axis=1) == 0)
    if lone.size:
        raise ValueError(f"Got nodes without an edge: {_listed(lone)}. Expected none. Remove or join them.")
    if len(parts) > 1:
        said = "; ".join(_listed(part) for part in parts[:5])
        raise ValueError(f"Got a graph in {len(parts)} parts: {said}. Expected one. Join them, or take one part.")


def _listed(nodes: np.ndarray) -> str:
    return ", ".join(str(int(n)) for n in nodes[:5]) + (", …" if len(nodes) > 5 else "")


def components(adjacency: np.ndarray) -> list[np.ndarray]:
    """The connected parts, each as ascending nodes, by smallest node."""
    left, parts = set(range(len(adjacency))), []
    while left:
        reached, border = set(), {min(left)}
        while border:
            reached |= border
            border = {int(n) for node in border for n in np.flatnonzero(adjacency[node])} - reached
        parts.append(np.array(sorted(reached)))
        left -= reached
    return parts


def two_coloured(adjacency: np.ndarray) -> bool:
    """Whether a connected graph's nodes can be parted so that every edge joins the two sides."""
    colour = np.full(len(adjacency), -1)
    colour[0], border = 0, [0]
    while border:
        node = border.pop()
        for other in np.flatnonzero(adjacency[node]):
            if colour[other] < 0:
                colour[other] = 1 - colour[node]
                border.append(int(other))
            elif colour[other] == colour[node]:
                return False
    return True


def spectral_layout(adjacency: np.ndarray) -> np.ndarray:
    """The two smoothest modes of the Laplacian ``D - A`` that are not constant, ``[node, 2]``; Hall (1970)."""
    a = np.asarray(adjacency, float)
    _, modes = np.linalg.eigh(np.diag(a.sum(axis=1)) - a)
    chosen = modes[:, 1:3] if len(a) > 2 else np.column_stack((modes[:, 1], np.zeros(len(a))))
    # An eigenvector's sign is arbitrary; the first of its largest entries is made positive, so that pictures repeat.
    signs = np.sign(chosen[np.abs(chosen).round(6).argmax(axis=0), [0, 1]])
    return (chosen * np.where(signs == 0, 1, signs)).astype(np.float32)
