"""Optimise prompts against an energy and against what is predicted; then test all of them on the same walks.

Source: the question is Park et al.'s (arXiv 2501.00070), whether the geometry causes the behaviour; the method is ours.
"""

from dataclasses import asdict
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...content import content_hash
from ...errors import InputError
from ...models.catalogue import LoadedModel
from ...models.readout import embed, token_table
from ...optimise.soft_prompt import NormRange, nearest_tokens, norm_range, prompt_of_tokens
from ...optimise.token_pool import allowed_tokens
from ...store import RunStore
from . import worlds
from .config import EnergyConfig, Objective
from .driving import Progress
from .law_study import law_prompts_of, law_series
from .losses import target_of
from .prompts import RANDOM, Prompt, best_random, start_tokens, untrained
from .results import Readout, Results, Trial
from .steering_study import steering_of
from .table import in_one_line
from .testing import Scores, behind, read_behind, reader_of, scores_of
from .token_study import BLIND, GUIDED, Found, token_prompts_of
from .training import Plan, Run, train
from .walk_study import walk_choice_of
from .worlds import TestSet, Worlds

PRECISION = "highest"
FILLER = "."


def prepare(config: EnergyConfig, loaded: LoadedModel) -> Worlds:
    """Everything that a run reads, checked before anything is read.

    Raises:
        InputError: what ``worlds.prepare`` refuses, a layer that the model does not have, a text without tokens, a
            system that cannot be simulated or written.
    """
    found = worlds.prepare(config, loaded)
    if not 1 <= layer_of(config, loaded) <= loaded.config.num_layers:
        raise InputError(f"--layer {config.layer}", f"1 to {loaded.config.num_layers}", "Choose one of the model's")
    if not len(start_tokens(loaded, config.start_text)):
        raise InputError(f"--start-text {config.start_text!r}", "text with at least one token", "Write some")
    if "laws" in config.study:
        law_series(config, loaded)
    return found


def layer_of(config: EnergyConfig, loaded: LoadedModel) -> int:
    """The layer whose energy is minimised; four fifths of the depth unless it is named."""
    return max(1, round(0.8 * loaded.config.num_layers)) if config.layer is None else config.layer


def run(config: EnergyConfig, loaded: LoadedModel, world: Worlds, store: RunStore, progress: Progress) -> Results:
    """Everything; steps and tests that were done come from ``store``."""
    layer, filler = layer_of(config, loaded), tuple(loaded.tokenizer.encode(FILLER))
    allowed = norm_range(loaded.model)
    common = {"weights": loaded.weights, "precision": PRECISION, "config": _shared(config), "layer": layer}
    prompts = list(untrained(loaded, world, config.start_text))
    rows = max(*config.vectors, *(len(p.of(test)) for p in prompts for test in world.tests))
    tested: dict[tuple[str, int], dict[str, Scores]] = {}

    def test(new: list[Prompt]) -> None:
        for k, prompt in enumerate(new, start=1):
            found = {t.name: _tested(config, loaded, prompt, t, rows, filler, common, store) for t in world.tests}
            tested[prompt.name, prompt.seed] = found
            progress(f"test {k} of {len(new)}: {in_one_line(prompt, found[world.tests[0].name], layer)}")

    test(prompts)
    trials: list[Trial] = []
    for objective in config.objective if "prompts" in config.study else ():
        plan = Plan(target_of(objective, config, layer, filler), config.length, config.walks, config.rate)
        new = _random(config, loaded, world, plan, objective, common, store, progress)
        trials.append(_trial(config, loaded, world, plan, objective, allowed, common, store, progress))
        new += _named(trials[-1], config, world)
        test(new)
        prompts += new
    searches: tuple[Found, ...] = ()
    if "tokens" in config.study:
        searches = token_prompts_of(config, loaded, world, layer, filler, common, store, progress)
        new = _written(loaded, searches)
        test(new)
        prompts += new
    scores = tuple(tested[p.name, p.seed] for p in prompts)
    return Results(
        world, layer, tuple(trials), tuple(prompts), scores, _nearest(loaded, trials, config), allowed,
        steering_of(config, loaded, world, layer, common, store, progress) if "steering" in config.study else None,
        law_prompts_of(config, loaded, common, store, progress) if "laws" in config.study else None,
        searches,
        walk_choice_of(config, loaded, world, layer, common, store, progress) if "walks" in config.study else None,
    )  # fmt: skip


def _written(loaded: LoadedModel, searches: tuple[Found, ...]) -> list[Prompt]:
    """What early searches found, as prompts to be tested."""
    table = token_table(loaded.model)
    return [
        Prompt(f"{kind}, {found.objective}", 0, np.asarray(table[search.tokens], np.float32))
        for found in searches
        if "late" not in found.objective
        for kind, search in ((GUIDED, found.guided), (BLIND, found.blind))
    ]


def _nearest(loaded: LoadedModel, trials: list[Trial], config: EnergyConfig) -> dict[str, Readout]:
    """Of the first run of each objective."""
    found: dict[str, Readout] = {}
    for trial in trials:
        vectors = trial.trained.vectors[0, : int(trial.runs.length[0])]
        near = nearest_tokens(loaded.model, jnp.asarray(vectors))
        texts = tuple(loaded.tokenizer.decode([int(token)]) for token in near.tokens)
        began = np.resize(start_tokens(loaded, config.start_text), len(vectors))
        first = np.asarray(embed(loaded.model, jnp.asarray(began)), np.float32)
        found[trial.objective] = Readout(
            texts, np.asarray(near.distance / near.gap), np.linalg.norm(vectors, axis=1),
            np.linalg.norm(vectors - first, axis=1),
        )  # fmt: skip
    return found


def _shared(config: EnergyConfig) -> dict[str, Any]:
    """What training depends on, beside objective and steps."""
    names = ("graph", "vectors", "start_text", "seeds", "walks", "length", "window", "rate", "seed")
    return {name: value for name, value in asdict(config).items() if name in names}


def _runs(config: EnergyConfig) -> Run:
    grid = [
        (config.seed + s, g, v) for g in range(len(config.graph)) for v in config.vectors for s in range(config.seeds)
    ]
    return Run(*(jnp.asarray(part, jnp.int32) for part in zip(*grid)))


def _trial(
    config: EnergyConfig, loaded: LoadedModel, worlds: Worlds, plan: Plan, objective: Objective, allowed: NormRange,
    common: dict[str, Any], store: RunStore, progress: Progress,
) -> Trial:  # fmt: skip
    runs, rows = _runs(config), max(config.vectors)
    start = prompt_of_tokens(loaded.model, start_tokens(loaded, config.start_text), rows)
    start = jnp.tile(start, (len(runs.seed), 1, 1))
    key = {"what": "prompt training", "objective": objective, "steps": config.steps, **common}
    trained = train(
        loaded.model, plan, worlds.training, allowed, runs, start, config.steps, store, key,
        lambda text: progress(f"{objective}, {text}"),
    )  # fmt: skip
    return Trial(objective, runs, trained)


def _named(trial: Trial, config: EnergyConfig, worlds: Worlds) -> list[Prompt]:
    """Trained prompts under names that say what tells them apart."""
    found = []
    for k, (seed, graph, length) in enumerate(zip(*(np.asarray(part).tolist() for part in trial.runs))):
        name: str = trial.objective
        if len(worlds.graphs) > 1:
            name += f", {worlds.graphs[graph].name}"
        if len(config.vectors) > 1:
            name += f", {length} vectors"
        found.append(Prompt(name, seed, trial.trained.vectors[k, :length]))
    return found


def _random(
    config: EnergyConfig, loaded: LoadedModel, worlds: Worlds, plan: Plan, objective: Objective,
    common: dict[str, Any], store: RunStore, progress: Progress,
) -> list[Prompt]:  # fmt: skip
    count = config.random_prompts()
    if not count or objective not in ("accuracy", "energy", "probe"):
        return []
    key = {"what": "random prompts", "objective": objective, "count": count, **common}
    tokens = np.flatnonzero(allowed_tokens(loaded.tokenizer, loaded.config.vocab_size)).astype(np.int32)
    progress(f"{count} random prompts, by {objective}")

    def compute() -> dict[str, Any]:
        rows = max(config.vectors)
        return best_random(loaded.model, plan, worlds.training, tokens, rows, count, config.seed)

    best = store.unit(key, compute)["tokens"]
    return [Prompt(f"{RANDOM}, best by {objective}", 0, np.asarray(embed(loaded.model, jnp.asarray(best)), np.float32))]


def _tested(
    config: EnergyConfig, loaded: LoadedModel, prompt: Prompt, test: TestSet, rows: int, filler: tuple[int, ...],
    common: dict[str, Any], store: RunStore,
) -> Scores:  # fmt: skip
    vectors = prompt.of(test)
    key = {
        "what": "prompt test", "weights": common["weights"], "precision": PRECISION, "filler": list(filler),
        "vectors": content_hash(vectors), "nodes": content_hash(np.asarray(test.tasks.nodes)),
        "ids": content_hash(np.asarray(test.tasks.word_ids)), "graph": test.graph.name, "window": config.window,
    }  # fmt: skip

    def compute() -> dict[str, np.ndarray]:
        reader = reader_of(config.test_length, config.window, filler)
        filled, lengths = behind(vectors, len(vectors), rows, config.test_walks)
        seen = read_behind(loaded.model, jnp.asarray(filled), jnp.asarray(lengths), test.tasks, reader)
        return scores_of(seen, test)._asdict()

    arrays = store.unit(key, compute)
    return Scores(**{name: arrays[name] for name in Scores._fields})


def bytes_needed(config: EnergyConfig, loaded: LoadedModel, worlds: Worlds) -> int:
    """About what a run takes on disk."""
    prompts = len(config.objective) * (config.seeds * len(config.graph) * len(config.vectors) + 1) + 3
    layers = loaded.config.num_layers + 1
    one = 4 * (layers * (40 + 2 * 64) + 4 * config.test_length)
    return 2**23 + prompts * len(worlds.tests) * one + 16 * prompts * max(config.vectors) * loaded.config.d_model


def provenance_of(config: EnergyConfig, loaded: LoadedModel, worlds: Worlds) -> dict[str, Any]:
    """What has to be known to make the numbers again."""
    return {
        "experiment": "energy",
        "config": asdict(config),
        "model": loaded.provenance,
        "matmul_precision": PRECISION,
        "layer": layer_of(config, loaded),
        "tests": {t.name: {"words": list(t.words), "nodes": t.graph.num_nodes} for t in worlds.tests},
    }


def arrays_of(results: Results) -> dict[str, np.ndarray]:
    """Every array of a run."""
    arrays: dict[str, np.ndarray] = {"layer": np.array(results.layer)}
    for t in results.trials:
        arrays |= {f"{t.objective}.{name}": np.asarray(part) for name, part in t.trained._asdict().items()}
        arrays |= {f"{t.objective}.{name}": np.asarray(part) for name, part in t.runs._asdict().items()}
    for prompt, scores in zip(results.prompts, results.scores):
        for test, found in scores.items():
            stem = f"{prompt.name}, seed {prompt.seed}.{test}"
            arrays |= {f"{stem}.{name}": part for name, part in found._asdict().items()}
    for one in results.tokens:
        for kind, search in (("guided", one.guided), ("blind", one.blind)):
            arrays |= {f"tokens.{one.objective}.{kind}.{name}": np.asarray(p) for name, p in search._asdict().items()}
    for study, parts in (("steering", results.steering), ("laws", results.laws), ("walks", results.walks)):
        if parts is not None:
            arrays |= {f"{study}.{name}": np.asarray(part) for name, part in parts._asdict().items()}
    return arrays
