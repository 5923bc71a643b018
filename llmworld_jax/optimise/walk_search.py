"""Local search over legal walks: a first-order shortlist and segments walked otherwise; true losses decide."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ..errors import InputError
from .legal_walks import is_legal, legal_swaps

GRADIENT = 3
"""Forward passes that a gradient counts for."""
DETOUR = 6
"""Steps of the segment that is walked anew."""
Score = Callable[[Int[Array, "candidate time"]], Float[Array, " candidate"]]
Slope = Callable[[Int[Array, " time"]], Float[Array, "time node"]]


class WalkSearch(NamedTuple):
    """The best walk, its loss, the course of the loss a round, and what was spent, in forward passes."""

    walk: np.ndarray
    loss: float
    history: np.ndarray
    spent: int
    round: int


def begin_walk(score: Score, walk: Int[np.ndarray, " time"]) -> WalkSearch:
    """The state before the first round."""
    loss = float(score(jnp.asarray(walk)[None])[0])
    return WalkSearch(np.asarray(walk, np.int32), loss, np.array([loss], np.float32), 1, 0)


def search_round(
    key: Key[Array, ""],
    state: WalkSearch,
    score: Score,
    slope: Slope,
    adjacency: Float[np.ndarray, "node node"],
    *,
    count: int,
) -> WalkSearch:
    """One round: half of ``count`` candidates are the single items whose change promises most (``slope`` gives
    ``swap_scores``), the others have a closed segment reversed or a segment walked anew; the best is taken if better.

    Args:
        key: of the whole search; the round's own is folded in.

    Raises:
        InputError: a walk that is not legal to begin with.
    """
    if not is_legal(state.walk, adjacency):
        raise InputError("a walk with a step that is no edge", "a legal walk", "Begin with a walk on this graph")
    random = np.random.default_rng(np.asarray(jax.random.key_data(jax.random.fold_in(key, state.round))).tolist())
    swaps = promising(state.walk, np.asarray(slope(jnp.asarray(state.walk))), adjacency, count // 2)
    moved = [_moved(state.walk, adjacency, random) for _ in range(count - len(swaps))]
    return _taken(state, np.stack([*swaps, *moved]), score, count + GRADIENT)


def draw_round(
    key: Key[Array, ""], state: WalkSearch, score: Score, draw: Callable[[Array], Array], *, count: int
) -> WalkSearch:
    """One round of random search: ``count`` fresh walks of ``draw``, the best is taken if better."""
    keys = jax.random.split(jax.random.fold_in(key, state.round), count)
    return _taken(state, np.stack([np.asarray(draw(one)) for one in keys]), score, count)


def promising(
    walk: np.ndarray, scores: np.ndarray, adjacency: np.ndarray, count: int
) -> list[Int[np.ndarray, " time"]]:
    """The ``count`` legal single changes with the lowest first-order scores, fewer where there are not so many."""
    allowed = np.asarray(legal_swaps(jnp.asarray(walk), jnp.asarray(adjacency)))
    order = np.argsort(np.where(allowed, scores, np.inf), axis=None)[: min(count, int(allowed.sum()))]
    found = []
    for at, node in zip(*np.unravel_index(order, scores.shape)):
        changed = walk.copy()
        changed[at] = node
        found.append(changed)
    return found


def _moved(walk: np.ndarray, adjacency: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return (_reversed if random.random() < 0.5 else _detoured)(walk, adjacency, random)


def _reversed(walk: np.ndarray, _: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A segment between two visits of one node, backwards: as legal as it was."""
    changed, node = walk.copy(), random.choice(walk)
    visits = np.flatnonzero(walk == node)
    if len(visits) > 1:
        a, b = sorted(random.choice(visits, 2, replace=False).tolist())
        changed[a : b + 1] = changed[a : b + 1][::-1]
    return changed


def _detoured(walk: np.ndarray, adjacency: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A segment of a few steps between the same ends, by a way drawn evenly from all of that length."""
    steps = int(min(DETOUR, len(walk) - 1))
    begin = int(random.integers(len(walk) - steps))
    ways = [np.eye(len(adjacency))[walk[begin + steps]]]  # how many ways lead from each node to the end
    for _ in range(steps - 1):
        ways.append(adjacency @ ways[-1])
    changed = walk.copy()
    for k in range(1, steps):
        weight = adjacency[changed[begin + k - 1]] * ways[steps - k]
        changed[begin + k] = random.choice(len(adjacency), p=weight / weight.sum())
    return changed


def _taken(state: WalkSearch, walks: np.ndarray, score: Score, cost: int) -> WalkSearch:
    losses = np.asarray(score(jnp.asarray(walks, jnp.int32)), np.float64)
    best = int(np.nanargmin(losses)) if np.isfinite(losses).any() else 0
    better = losses[best] < state.loss
    loss = float(losses[best]) if better else state.loss
    walk = walks[best].astype(np.int32) if better else state.walk
    return WalkSearch(walk, loss, np.append(state.history, np.float32(loss)), state.spent + cost, state.round + 1)
