"""Graphs by name, as a user types them: ``grid:4x4``, ``ring:10``, ``days``."""

from collections.abc import Callable
from typing import NamedTuple

from . import lattices, random_graphs
from .graphs import Graph


class Named(NamedTuple):
    """How a kind of graph is made from the numbers after its name; ``default`` stands where there are none."""

    make: Callable[..., Graph]
    example: str
    counts: tuple[int, ...]
    default: str = ""


def _days(step: int) -> Graph:
    return lattices.circulant(7, step)._replace(name=f"days:{step}")


def _regular(number: int, degree: int, *, seed: int = 0) -> Graph:
    return random_graphs.random_regular(number, degree, seed)


def _erdos_renyi(number: int, probability: float, *, seed: int = 0) -> Graph:
    return random_graphs.erdos_renyi(number, probability, seed)


def _blocks(*sizes: int, seed: int = 0) -> Graph:
    return random_graphs.block_model(sizes, seed=seed)


GRAPHS: dict[str, Named] = {
    "grid": Named(lattices.grid, "grid:4x4", (2,)),
    "ring": Named(lattices.ring, "ring:10", (1,)),
    "hex": Named(lattices.honeycomb, "hex:3x3", (2,), "3x3"),
    "days": Named(_days, "days:3", (1,), "3"),
    "path": Named(lattices.path, "path:8", (1,)),
    "torus": Named(lattices.torus, "torus:4x4", (2,)),
    "cylinder": Named(lattices.cylinder, "cylinder:4x6", (2,)),
    "tree": Named(lattices.balanced_tree, "tree:2x3", (2,)),
    "star": Named(lattices.star, "star:8", (1,)),
    "bipartite": Named(lattices.complete_bipartite, "bipartite:3x4", (2,)),
    "hypercube": Named(lattices.hypercube, "hypercube:4", (1,)),
    "circulant": Named(lattices.circulant, "circulant:11x4", (2,)),
    "regular": Named(_regular, "regular:16x3", (2,)),
    "erdos_renyi": Named(_erdos_renyi, "erdos_renyi:16x0.3", (2,)),
    "block": Named(_blocks, "block:8x8", tuple(range(2, 9))),
}
_RANDOM = ("regular", "erdos_renyi", "block")


def graph_examples() -> tuple[str, ...]:
    """One name of each kind."""
    return tuple(named.example for named in GRAPHS.values())


def parse_graph(text: str) -> Graph:
    """The graph that ``kind:numbers`` names; a random one takes ``:seed`` after them. Its name is the canonical form.

    Raises:
        ValueError: an unknown kind, numbers that are missing or too many, or a graph that cannot be.
    """
    kind, *rest = text.strip().split(":")
    if kind not in GRAPHS:
        raise ValueError(
            f"Got the graph {text!r}. Expected one like {', '.join(graph_examples())}. Choose one of these, or a CSV "
            "file of edges."
        )
    named = GRAPHS[kind]
    numbers = rest[0] if rest else named.default
    seed = rest[1] if len(rest) == 2 and kind in _RANDOM else None
    try:
        if len(rest) > (2 if kind in _RANDOM else 1):
            raise ValueError(text)
        values = [float(x) if kind == "erdos_renyi" and k == 1 else int(x) for k, x in enumerate(numbers.split("x"))]
        options = {} if seed is None else {"seed": int(seed)}
        if len(values) not in named.counts:
            raise ValueError(text)
    except ValueError:
        raise ValueError(f"Got the graph {text!r}. Expected one like {named.example}. Correct its numbers.") from None
    return named.make(*values, **options)
