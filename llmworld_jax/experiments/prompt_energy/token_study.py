"""Prompts of real tokens against the same losses: gradient coordinate search beside random search of equal cost.

Early prompts stand before the walk, and what they find is tested as any prompt. Late ones stand between a long walk,
which is read once and kept as a cache, and the words that are scored: each candidate costs its own tokens and those.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ...models.catalogue import LoadedModel
from ...models.forward import KVCache, Output, forward
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...models.readout import embed
from ...optimise import hard_prompt
from ...optimise.hard_prompt import Search
from ...optimise.seen import WalkTask, seen_walk
from ...optimise.token_pool import allowed_tokens, retokenised
from ...store import RunStore, load_unit, save_unit
from ...word_laws import node_laws
from .config import EnergyConfig
from .driving import Progress
from .losses import Target, legal_surprise, target_of
from .prompts import start_tokens
from .worlds import LONGEST_SEARCH, Worlds, draw_task

WALKS = 2
TOP = 256
LATE_AFTER = 60
LATE_BEFORE = LONGEST_SEARCH - LATE_AFTER
"""Words that a late prompt's cache holds, and words after it that are scored."""
GUIDED, BLIND = "tokens by gradient", "tokens at random"


class Found(NamedTuple):
    """Both searches of one loss, and what they wrote."""

    objective: str
    guided: Search
    blind: Search
    texts: tuple[str, str]


class Problem(NamedTuple):
    """What a search needs: score of many prompts, slope of one, the tokens that it begins with, and what stands before
    and after it, with which it must survive being written down."""

    score: hard_prompt.Score
    slope: Callable[[Float[Array, "row d_model"]], Float[Array, "row d_model"]]
    start: np.ndarray
    around: tuple[np.ndarray, np.ndarray]


def token_prompts_of(
    config: EnergyConfig, loaded: LoadedModel, worlds: Worlds, layer: int, filler: tuple[int, ...],
    common: dict[str, Any], store: RunStore, progress: Progress,
) -> tuple[Found, ...]:  # fmt: skip
    """Searches for every objective of ``config`` that comes early, and for accuracy with a late prompt."""
    allowed = allowed_tokens(loaded.tokenizer, loaded.config.vocab_size)
    start = start_tokens(loaded, config.start_text)
    problems: dict[str, Problem] = {}
    for objective in config.objective:
        if objective in ("accuracy", "energy", "probe"):
            target = target_of(objective, config, layer, filler)
            problems[objective] = early(loaded.model, target, config, worlds, start)
    problems["accuracy, late"] = late(loaded.model, config, worlds, start)
    found = []
    for name, problem in problems.items():
        key = {"what": "token search", "objective": name, "candidates": config.candidates, **common}
        both = [
            _searched(config, loaded, problem, kind, allowed, {**key, "kind": kind}, store, progress)
            for kind in (GUIDED, BLIND)
        ]
        texts = [loaded.tokenizer.decode([int(token) for token in search.tokens]) for search in both]
        found.append(Found(name, both[0], both[1], (texts[0], texts[1])))
    return tuple(found)


def early(model: Llama, target: Target, config: EnergyConfig, worlds: Worlds, start: np.ndarray) -> Problem:
    """A prompt before the walk, on two walks and placements that stay the same."""
    keys = jax.random.split(jax.random.key(config.seed + 23), WALKS)
    tasks = jax.vmap(lambda key: draw_task(key, worlds.training, jnp.asarray(0), config.length))(keys)

    def loss(model: Llama, vectors: Array, tasks: WalkTask) -> Array:
        def one(task: WalkTask) -> Array:
            return target.loss(seen_walk(model, vectors, vectors.shape[0], task, target.reader), task)

        return jnp.mean(jax.lax.map(one, tasks))

    first = np.asarray(tasks.word_ids[0][tasks.nodes[0, :1]])
    return _problem(model, loss, start, tasks, (first[:0], first))


def late(model: Llama, config: EnergyConfig, worlds: Worlds, start: np.ndarray) -> Problem:
    """A prompt behind a cached walk, for the legal words among the next ones."""
    task = draw_task(jax.random.key(config.seed + 29), worlds.training, jnp.asarray(0), LATE_BEFORE + LATE_AFTER)
    ids = task.word_ids[task.nodes]
    cache = jit_on_mesh(lambda model: forward(model, ids[:LATE_BEFORE]).cache)(model)
    after = ids[LATE_BEFORE:]
    legal = task.adjacency[task.nodes[LATE_BEFORE:]] > 0

    def reduce(model: Llama, read: Output) -> Array:
        return legal_surprise(node_laws(model, read.hidden[-LATE_AFTER:], task.word_ids).log_probability, legal)

    def loss(model: Llama, vectors: Array, cache: KVCache) -> Array:
        inputs = jnp.concatenate((vectors, embed(model, after)))
        return reduce(model, forward(model, inputs, cache=cache))

    score = hard_prompt.late_score(model, cache, after, reduce)
    around = np.asarray(ids[LATE_BEFORE - 1 : LATE_BEFORE]), np.asarray(after[:1])
    return _problem(model, loss, start, cache, around)._replace(score=score)


def _problem(
    model: Llama,
    loss: Callable[..., Array],
    start: np.ndarray,
    given: Any,
    around: tuple[np.ndarray, np.ndarray],
) -> Problem:
    """``loss(model, vectors, given)``; weights and what is given are arguments of the programs, not constants."""

    @jit_on_mesh
    def score(model: Llama, tokens: Array, given: Any) -> Array:
        return jax.lax.map(lambda row: loss(model, embed(model, row), given), tokens)

    slope = jit_on_mesh(jax.grad(loss, argnums=1))
    return Problem(
        lambda tokens: score(model, tokens, given), lambda vectors: slope(model, vectors, given), start, around
    )  # fmt: skip


def _searched(
    config: EnergyConfig, loaded: LoadedModel, problem: Problem, kind: str, allowed: np.ndarray, key: dict[str, Any],
    store: RunStore, progress: Progress,
) -> Search:  # fmt: skip
    """A search that is stored after every round; the blind one ends when it has spent what the guided one did."""

    def survives(row: np.ndarray) -> bool:
        whole = np.concatenate((problem.around[0], row, problem.around[1]))
        return np.array_equal(retokenised(loaded.tokenizer, whole), whole)

    path, random = store.unit_path(key), jax.random.key(config.seed)
    state = _restored(path) if path.exists() else hard_prompt.begin_search(problem.score, problem.start)
    budget = 1 + config.rounds * (config.candidates + hard_prompt.GRADIENT)
    pool = np.flatnonzero(allowed).astype(np.int32)
    while state.spent < budget:
        if kind == GUIDED:
            state = hard_prompt.coordinate_round(
                random, state, problem.slope, problem.score, loaded.model, allowed,
                top=min(TOP, len(pool)), count=config.candidates, survives=survives,
            )  # fmt: skip
        else:
            count = min(config.candidates, budget - state.spent)
            state = hard_prompt.random_round(random, state, problem.score, pool, count=count, survives=survives)
        save_unit(path, key, 1, state._asdict())
        progress(f"{kind}, {key['objective']}: loss {state.loss:.3f} after {state.spent} of {budget} passes")
    return state


def _restored(path: Any) -> Search:
    arrays = load_unit(path).arrays
    numbers = {name: arrays[name].item() for name in ("loss", "spent", "skipped", "round")}
    return Search(tokens=arrays["tokens"], history=arrays["history"], **numbers)
