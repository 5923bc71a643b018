"""Small graphs as adjacency arrays: analyses know no worlds, and neither do their tests."""

import itertools

import jax.numpy as jnp
import numpy as np


def joined(number, edges):
    """[node, node], both ways."""
    a = np.zeros((number, number), np.float32)
    for i, j in edges:
        a[i, j] = a[j, i] = 1
    return jnp.asarray(a)


def ring(number, step=1):
    return joined(number, [(i, (i + step) % number) for i in range(number)])


def path(number):
    return joined(number, [(i, i + 1) for i in range(number - 1)])


def grid(side):
    across = [(r * side + c, r * side + c + 1) for r, c in itertools.product(range(side), range(side - 1))]
    down = [(r * side + c, r * side + side + c) for r, c in itertools.product(range(side - 1), range(side))]
    return joined(side * side, across + down)


def hexagons():
    """3 by 3 honeycomb cells, every other row half a cell aside: 30 nodes, 38 edges."""
    corners = np.array([(0, 2), (1, 1), (1, -1), (0, -2), (-1, -1), (-1, 1)])  # half widths, half sides
    cells = [np.array((2 * c + r % 2, 3 * r)) + corners for r, c in itertools.product(range(3), range(3))]
    nodes = sorted({tuple(corner) for cell in cells for corner in cell.tolist()})
    sides = {frozenset((tuple(cell[i]), tuple(cell[i - 1]))) for cell in (c.tolist() for c in cells) for i in range(6)}
    return joined(len(nodes), [tuple(nodes.index(end) for end in side) for side in sides])


def tree():
    """Binary, 15 nodes."""
    return joined(15, [((i - 1) // 2, i) for i in range(1, 15)])


def rows_of(seed, number, width=40):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(number, width)), jnp.float32)


def walk_on(adjacency, length, seed=0):
    random, a = np.random.default_rng(seed), np.asarray(adjacency)
    nodes = [int(random.integers(len(a)))]
    while len(nodes) < length:
        nodes.append(int(random.choice(np.flatnonzero(a[nodes[-1]]))))
    return jnp.asarray(nodes, jnp.int32)
