"""Random graphs, the same for the same seed, drawn again until they are connected."""

from collections.abc import Callable, Sequence

import numpy as np

from .graphs import Graph, components, from_adjacency

TRIES = 500


def _connected(draw: Callable[[np.random.Generator], np.ndarray | None], seed: int, name: str, remedy: str) -> Graph:
    if seed < 0:
        raise ValueError(f"Got seed {seed} for {name}. Expected 0 or more. Choose another.")
    random = np.random.default_rng(seed)
    for _ in range(TRIES):
        adjacency = draw(random)
        if adjacency is not None and len(components(adjacency)) == 1:
            return from_adjacency(adjacency, None, name)
    raise ValueError(f"Got no connected {name} in {TRIES} draws. Expected one. {remedy}.")


def _at_random(random: np.random.Generator, probability: np.ndarray) -> np.ndarray:
    upper = np.triu(random.random(probability.shape) < probability, 1)
    return (upper | upper.T).astype(np.float32)


def random_regular(number: int, degree: int, seed: int = 0) -> Graph:
    """Every node has ``degree`` neighbours; stubs are paired at random until no pair is a loop or occurs twice.

    Steger and Wormald (1999): nearly uniform over such graphs.

    Raises:
        ValueError: an odd number of stubs, a degree that so many nodes cannot have, or no connected draw.
    """
    if not 2 <= degree < number or number * degree % 2:
        raise ValueError(
            f"Got {number} nodes of degree {degree}. Expected a degree from 2 to {number - 1} and an even product. "
            "Choose others."
        )

    def draw(random: np.random.Generator) -> np.ndarray | None:
        adjacency = np.zeros((number, number), np.float32)
        stubs = np.repeat(np.arange(number), degree).tolist()
        # Pairs that cannot stand are put back and dealt again, which succeeds soon where a fresh start would not.
        while stubs:
            random.shuffle(stubs)
            left: list[int] = []
            for a, b in zip(stubs[::2], stubs[1::2]):
                if a == b or adjacency[a, b]:
                    left += [a, b]
                else:
                    adjacency[a, b] = adjacency[b, a] = 1
            if len(left) == len(stubs):
                return None
            stubs = left
        return adjacency

    return _connected(draw, seed, f"regular:{number}x{degree}:{seed}", "Choose a larger degree")


def erdos_renyi(number: int, probability: float, seed: int = 0) -> Graph:
    """Every pair is an edge with ``probability``, independently; G(n, p) given that it is connected.

    Raises:
        ValueError: fewer than two nodes, a probability not in (0, 1], or no connected draw.
    """
    if number < 2 or not 0 < probability <= 1:
        raise ValueError(
            f"Got {number} nodes and probability {probability}. Expected 2 or more and one in (0, 1]. Choose others."
        )
    name = f"erdos_renyi:{number}x{float(probability)!r}:{seed}"
    return _connected(
        lambda random: _at_random(random, np.full((number, number), probability)),
        seed,
        name,
        "Choose a larger probability",
    )


def block_model(sizes: Sequence[int], inside: float = 0.6, between: float = 0.08, seed: int = 0) -> Graph:
    """Pairs within a block are edges with probability ``inside``, others with ``between``, given connectedness.

    Raises:
        ValueError: fewer than two blocks, an empty one, probabilities not in (0, 1], or no connected draw.
    """
    if len(sizes) < 2 or min(sizes) < 1 or not 0 < inside <= 1 or not 0 < between <= 1:
        raise ValueError(
            f"Got blocks {tuple(sizes)} with probabilities {inside} and {between}. Expected two blocks or more and "
            "probabilities in (0, 1]. Choose others."
        )
    block = np.repeat(np.arange(len(sizes)), sizes)
    probability = np.where(block[:, None] == block, inside, between)
    name = f"block:{'x'.join(map(str, sizes))}:{seed}"
    return _connected(lambda random: _at_random(random, probability), seed, name, "Choose larger probabilities")
