"""Which walk shows the graph soonest: walks that a teacher would choose, learned, relaxed and searched ones.

What each of these cost is told beside it. The loss is R at one layer plus the share of nodes that the window does not
hold: without that, a walk among three nodes would win. Walks are found on two placements of the words and read on
others.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from systems import covering_walks, walks
from systems.curricula import CURRICULA, Curriculum

from ...models.catalogue import LoadedModel
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...models.readout import embed
from ...optimise import walk_search
from ...optimise.descent import adam
from ...optimise.legal_walks import one_hot, swap_scores
from ...optimise.walk_relaxation import (
    Annealing,
    begin_chain,
    begin_relaxed,
    chain_of,
    decoded,
    policy_step,
    relaxed_step,
)
from ...store import RunStore, load_unit, save_unit
from .config import EnergyConfig
from .driving import Progress, drive
from .prompts import start_tokens
from .walk_measures import FOUND_ON, Stage, contexts_of, tested_walks, walk_loss
from .worlds import Worlds

READ_ON = 6
SAMPLES, POLICY_SHARE = 8, 4
"""Walks of one step of the learned chain; it makes a quarter of the steps of the relaxation, which cost less."""
LEARNED, RELAXED, SEARCHED, BEST = "learned chain", "relaxed", "local search", "best uniform"


class WalkChoice(NamedTuple):
    """``[kind, placement, context]`` of walks read on placements that none was found on.

    ``reached``: words until the edge AUC is 0.75, NaN where never; ``spent``: forward passes of what was found.
    """

    names: tuple[str, ...]
    contexts: np.ndarray
    ratio: np.ndarray
    auc: np.ndarray
    unseen: np.ndarray  # nodes that the window does not hold
    renormalised: np.ndarray  # [kind, placement], legal among nodes, last 50 words
    reached: np.ndarray  # [kind, placement]
    spent: np.ndarray  # [kind]
    layer: int


def walk_choice_of(
    config: EnergyConfig, loaded: LoadedModel, worlds: Worlds, layer: int, common: dict[str, Any], store: RunStore,
    progress: Progress,
) -> WalkChoice:  # fmt: skip
    """``WalkChoice`` on the first graph of ``config``."""
    adjacency = jnp.asarray(worlds.graphs[0].adjacency, jnp.float32)
    number, pool = adjacency.shape[0], np.asarray(worlds.training.pool)
    random = np.random.default_rng(config.seed + 31)
    placed = jnp.asarray(np.stack([random.permutation(pool)[:number] for _ in range(FOUND_ON + READ_ON)]))
    stage = Stage(embed(loaded.model, jnp.asarray(start_tokens(loaded, config.start_text))), placed, adjacency)
    key = {"what": "walk choice", "rounds": config.rounds, "candidates": config.candidates, "steps": config.steps}
    own = stage._replace(word_ids=placed[:FOUND_ON])
    found, spent = _found(config, loaded.model, own, layer, key | common, store, progress)
    tested = [tested_walks(loaded.model, stage, walk, layer, config.window) for walk in found.values()]
    ratio, auc, unseen, said = (np.stack(part) for part in zip(*tested))
    contexts = np.array(contexts_of(config.length))
    clear = auc >= 0.75
    reached = np.where(clear.any(axis=2), contexts[clear.argmax(axis=2)], np.nan)
    return WalkChoice(tuple(found), contexts, ratio, auc, unseen, said, reached, np.array(spent), layer)


def _found(
    config: EnergyConfig, model: Llama, stage: Stage, layer: int, key: dict[str, Any], store: RunStore,
    progress: Progress,
) -> tuple[dict[str, np.ndarray], list[int]]:  # fmt: skip
    """One walk a kind for each placement that is read (drawn kinds), or one for all (found kinds), and their cost."""
    draws: dict[str, Curriculum] = dict(CURRICULA)
    chain, cost = _learned(config, model, stage, layer, key, store, progress)
    draws[LEARNED] = lambda key, adjacency, length: covering_walks.chain_walk(key, chain, length)
    keys = jax.random.split(jax.random.key(config.seed + 37), READ_ON)
    found = {
        name: np.stack([np.asarray(draw(k, stage.adjacency, config.length)) for k in keys])
        for name, draw in draws.items()
    }
    spent = [0] * (len(found) - 1) + [cost]
    relaxed, cost = _relaxed(config, model, stage, layer, key, store, progress)
    searches = [_searched(config, model, stage, layer, kind, key, store, progress) for kind in (SEARCHED, BEST)]
    for name, walk in ((RELAXED, relaxed), (SEARCHED, searches[0].walk), (BEST, searches[1].walk)):
        found[name] = np.tile(walk, (READ_ON, 1))
    return found, [*spent, cost, *(search.spent for search in searches)]


def _learned(
    config: EnergyConfig, model: Llama, stage: Stage, layer: int, key: dict[str, Any], store: RunStore,
    progress: Progress,
) -> tuple[Array, int]:  # fmt: skip
    number, steps = stage.adjacency.shape[0], max(1, config.steps // POLICY_SHARE)

    @jit_on_mesh
    def step(model: Llama, state: Any) -> Any:
        loss = functools.partial(walk_loss, model, stage, layer, config.window, False)
        return policy_step(
            state, stage.adjacency, lambda k, chain: covering_walks.chain_walk(k, chain, config.length),
            lambda drawn: jax.lax.map(loss, one_hot(drawn, number)), SAMPLES, adam(0.2),
        )  # fmt: skip

    progress("walks of a learned chain")
    state = begin_chain(jax.random.key(config.seed), number)
    driven = drive(functools.partial(step, model), state, steps, store, {**key, "kind": LEARNED}, progress)
    return chain_of(driven.state.parameters, stage.adjacency), steps * SAMPLES * FOUND_ON


def _relaxed(
    config: EnergyConfig, model: Llama, stage: Stage, layer: int, key: dict[str, Any], store: RunStore,
    progress: Progress,
) -> tuple[np.ndarray, int]:  # fmt: skip
    number, annealing = stage.adjacency.shape[0], Annealing(steps=config.steps)

    @jit_on_mesh
    def step(model: Llama, state: Any) -> Any:
        loss = functools.partial(walk_loss, model, stage, layer, config.window, config.remat)
        return relaxed_step(state, loss, stage.adjacency, annealing, adam(0.3))

    progress("relaxed walk")
    state = begin_relaxed(jax.random.key(config.seed), config.length, number)
    driven = drive(functools.partial(step, model), state, config.steps, store, {**key, "kind": RELAXED}, progress)
    walk = np.asarray(decoded(driven.state.parameters, stage.adjacency))
    return walk, config.steps * walk_search.GRADIENT * FOUND_ON


def _searched(
    config: EnergyConfig, model: Llama, stage: Stage, layer: int, kind: str, key: dict[str, Any], store: RunStore,
    progress: Progress,
) -> walk_search.WalkSearch:  # fmt: skip
    number, adjacency = stage.adjacency.shape[0], np.asarray(stage.adjacency)

    @jit_on_mesh
    def score(model: Llama, drawn: Array) -> Array:
        loss = functools.partial(walk_loss, model, stage, layer, config.window, False)
        return jax.lax.map(loss, one_hot(drawn, number))

    @jit_on_mesh
    def slope(model: Llama, walk: Array) -> Array:
        loss = functools.partial(walk_loss, model, stage, layer, config.window, config.remat)
        return swap_scores(loss, walk, number)

    def draw(key: Array) -> Array:
        return walks.random_walk(key, stage.adjacency, config.length)

    scored, sloped = functools.partial(score, model), functools.partial(slope, model)
    own, random = {**key, "kind": kind}, jax.random.key(config.seed + 41)
    path = store.unit_path(own)
    if path.exists():
        arrays = load_unit(path).arrays
        numbers = {name: arrays[name].item() for name in ("loss", "spent", "round")}
        state = walk_search.WalkSearch(walk=arrays["walk"], history=arrays["history"], **numbers)
    else:
        state = walk_search.begin_walk(scored, np.asarray(draw(random)))
    budget = 1 + config.rounds * (config.candidates + walk_search.GRADIENT)
    while state.spent < budget:
        if kind == SEARCHED:
            state = walk_search.search_round(random, state, scored, sloped, adjacency, count=config.candidates)
        else:
            count = min(config.candidates, budget - state.spent)
            state = walk_search.draw_round(random, state, scored, draw, count=count)
        save_unit(path, own, 1, state._asdict())
        progress(f"{kind}: loss {state.loss:.3f} after {state.spent} of {budget} passes")
    return state._replace(spent=state.spent * FOUND_ON)
