"""Ways to choose a walk on a graph, by name: what a reader is shown, and in which order.

Each is a function of a key, ``adjacency`` ``[node, node]`` (0 or 1, symmetric and connected) and ``length``, and gives
a legal walk ``[time]`` int32: consecutive items are edges. All but "postman" and "sweep", which are NumPy, can be
mapped over keys.
"""

from typing import Protocol

import numpy as np
from jaxtyping import Array, Int, Key

from .covering_walks import chain_walk, non_backtracking_walk, postman_walk, sweep_walk
from .mixing_chains import fastest_degree_chain
from .walks import Adjacency, balanced_walk, random_walk


class Curriculum(Protocol):
    """A way to choose a walk."""

    def __call__(
        self, key: Key[Array, ""], adjacency: Adjacency, length: int, /
    ) -> Int[Array | np.ndarray, " time"]: ...


def fastest_mixing_walk(key: Key[Array, ""], adjacency: Adjacency, length: int) -> Int[Array, " time"]:
    """A walk of ``fastest_degree_chain``: every node as often as in the uniform walk, and its start forgotten sooner.

    The chain is found anew in every call; to draw many walks, find it once and map ``chain_walk`` over keys.
    """
    return chain_walk(key, fastest_degree_chain(adjacency).transition, length)


CURRICULA: dict[str, Curriculum] = {
    "uniform": random_walk,
    "non-backtracking": non_backtracking_walk,
    "postman": postman_walk,
    "sweep": sweep_walk,
    "fastest-mixing": fastest_mixing_walk,
    "balanced": balanced_walk,
}
