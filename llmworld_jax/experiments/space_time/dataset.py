"""One dataset: the probes of all layers, and everything that they are held against.

Every finished part is kept in the run's folder, so that a run that was stopped goes on; activations themselves are
read again only if a part is missing.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from ...content import content_hash
from ...entities.table import EntityTable
from ...models.catalogue import LoadedModel
from ...models.llama import Llama
from ...store import RunStore
from .. import records
from .causal import Causal, causal_of
from .certificate import Certificate
from .composition import Composition, Part
from .config import ROWS_AT_ONCE, SpaceTimeConfig
from .contrast_prompts import ContrastPrompts
from .control_set import candidates_of, mean_embedding_predictions, ngram_predictions, predictions_of
from .controls import (
    Candidate,
    by_group,
    control_rows,
    of_letters,
    shuffled_targets,
    task_targets,
    verdict,
    within_groups,
)
from .curves import curves
from .depth_profile import DepthProfile
from .holdouts import HeldOut, blocks_of, hold_out
from .interventions import Ablation, Context, Pins
from .neuron_study import neuron_study
from .ngram_ridge import sparse_ridge
from .prompt_comparison import PromptComparison, compare_prompts
from .responses import Contrast, Responses
from .results import Curve, DatasetResults, Neurons, Sweep
from .rows import MATMUL_PRECISION, Progress, Reader, residual_rows
from .scoring import score
from .streaming import StreamFacts, stream_sweeps
from .study import Study
from .sweep import layer_sweep

#: What a stored part may be made of.
_CLASSES = (
    *(Sweep, HeldOut, Curve, Neurons, PromptComparison, StreamFacts),
    *(Causal, Certificate, Composition, Part, ContrastPrompts, Contrast, DepthProfile, Ablation, Context, Pins),
    *(Responses, EntityTable),
)
_VERSION = 1


class Found(NamedTuple):
    """Everything about one dataset; ``causal``, ``prompts`` and ``stream`` where they were asked for or needed."""

    results: DatasetResults
    causal: Causal | None
    prompts: PromptComparison | None
    stream: StreamFacts | None


class _Probed(NamedTuple):
    """What probes say, before it is scored."""

    sweep: Sweep
    twin: Sweep | None
    predicted: dict[str, np.ndarray]
    held: dict[str, HeldOut]
    curves: tuple[Curve, ...]
    neurons: Neurons | None
    prompts: PromptComparison | None
    stream: StreamFacts | None


class Subject(NamedTuple):
    """One dataset, the model, its twin, and where finished parts are kept."""

    config: SpaceTimeConfig
    loaded: LoadedModel
    twin: Callable[[], Llama]
    study: Study
    store: RunStore
    say: Progress

    def part(self, name: str, compute: Callable[[], Any], **more: Any) -> Any:
        """A part from the store, or computed and kept."""
        key = _key(self) | {"part": name} | more
        unit = self.store.unit(key, lambda: records.to_arrays(compute()), version=_VERSION)
        return records.from_arrays(unit, _CLASSES)


def probe_dataset(s: Subject, reader: Reader) -> Found:
    """Everything about a dataset."""
    large = len(s.study.table) > ROWS_AT_ONCE
    probed = _stream(s) if large else _probe(s, reader)
    letters = _letters(s, large)
    causal: Causal | None = None
    if s.config.causal != "off":
        causal = s.part(
            "causal", lambda: _moved(s, probed, None if large else reader.residual()), scale=s.config.causal
        )
    return Found(_results(s, probed, letters), causal, probed.prompts, probed.stream)


def _probe(s: Subject, reader: Reader) -> _Probed:
    config, study, rows = s.config, s.study, reader.residual
    name, prompts, penalties, seed = study.table.key, study.prompts[study.prompt], config.penalties, config.seed
    neurons: Neurons | None = None
    if config.neurons:  # first, because one pass reads them and the residual stream
        neurons = s.part("neurons", lambda: _neurons(s, reader))
    sweep: Sweep = s.part("sweep", lambda: _swept(s, rows(), name))
    twin: Sweep | None = None
    if config.twin:
        untrained = f"{name}, untrained twin"
        twin = s.part("twin", lambda: _swept(s, residual_rows(s.twin(), prompts, s.say, untrained), untrained))
    predicted = s.part(
        "controls", lambda: predictions_of(s.loaded.model, prompts, rows(), sweep, study, penalties, seed, s.say)
    )
    held = {
        grouping: s.part("held out", functools.partial(_held_out, rows, sweep, study, grouping), grouping=grouping)
        for grouping in dict.fromkeys((study.group, *config.holdout))
    }
    of_curves = s.part("curves", lambda: curves(rows(), sweep, study, penalties, seed))
    compared: PromptComparison | None = None
    if len(study.prompts) > 1:
        decode = s.loaded.tokenizer.decode
        compared = s.part(
            "prompts", lambda: compare_prompts(s.loaded.model, study, rows(), sweep, penalties, s.say, decode)
        )
    return _Probed(sweep, twin, predicted, held, of_curves, neurons, compared, None)


def _stream(s: Subject) -> _Probed:
    """A dataset too large to be held: what one stream over the names can say."""
    study, seed = s.study, s.config.seed
    name, prompts, penalties = study.table.key, study.prompts[study.prompt], s.config.penalties
    sets = {"true": study.table.targets, "shuffled": shuffled_targets(study, seed), "task": task_targets(study, seed)}
    sweeps, facts = s.part(
        "stream", lambda: stream_sweeps(s.loaded.model, prompts, study, sets, penalties, s.say, name)[::2]
    )
    twin: Sweep | None = None
    if s.config.twin:
        only, untrained = {"true": study.table.targets}, f"{name}, untrained twin"
        twin = s.part("twin", lambda: stream_sweeps(s.twin(), prompts, study, only, penalties, s.say, untrained)[0])[
            "true"
        ]
    predicted = s.part(
        "controls",
        lambda: {
            "shuffled": sweeps["shuffled"].final,
            "task": sweeps["task"].final,
            "mean embedding": mean_embedding_predictions(s.loaded.model, prompts, study, penalties),
        },
    )
    return _Probed(sweeps["true"], twin, predicted, {}, (), None, None, facts)


def _swept(s: Subject, rows: np.ndarray, name: str) -> Sweep:
    s.say(f"{name}: {len(rows)} layers, {s.study.num_folds} splits and {s.config.penalties} penalties")
    return layer_sweep(rows, s.study, s.config.penalties)


def _neurons(s: Subject, reader: Reader) -> Neurons:
    rows = reader.neurons()
    s.say(f"{s.study.table.key}: {rows.shape[0]} × {rows.shape[2]:,} neurons")
    return neuron_study(rows, s.study, s.config.seed)


def _held_out(rows: Callable[[], np.ndarray], sweep: Sweep, study: Study, grouping: str) -> HeldOut:
    return hold_out(rows(), sweep, study, grouping)


def _letters(s: Subject, large: bool) -> Candidate:
    def predictions() -> np.ndarray:
        s.say(f"{s.study.table.key}: n-grams of the names")
        if large:
            return sparse_ridge(s.study.table.texts, s.study.table.targets, s.study.train()[0])
        return ngram_predictions(s.study)

    return of_letters(lambda: s.part("n-grams", predictions))


def _moved(s: Subject, probed: _Probed, rows: np.ndarray | None) -> Causal:
    top = None if probed.neurons is None else probed.neurons.top[0, 0]
    neuron = None if top is None else (int(top[0]), int(top[1]))
    scale = s.config.causal
    assert scale != "off"
    return causal_of(
        s.loaded, s.study.table, probed.sweep.directions, rows, neuron=neuron, start=s.study.start, scale=scale,
        seed=s.config.seed, progress=s.say,
    )  # fmt: skip


def _results(s: Subject, probed: _Probed, letters: Candidate) -> DatasetResults:
    """Scores of what was predicted."""
    study, sweep = s.study, probed.sweep
    s.say(f"{study.table.key}: scores")
    candidates = candidates_of(study, sweep, probed.twin, probed.predicted, letters, s.config.seed)
    controls = control_rows(study, sweep.final, candidates, s.config.seed)
    within, shares = within_groups(study, sweep.final)
    text, good = verdict(controls)
    mlp = probed.predicted.get("mlp")
    first = study.prompts[study.prompt].tokens[0]
    return DatasetResults(
        table=study.table,
        prompt=study.prompt,
        example=tuple(s.loaded.tokenizer.decode([int(token)]) for token in first),
        fold=study.fold,
        group=study.group,
        sweep=sweep,
        twin=probed.twin,
        controls=controls,
        by_group=by_group(study, sweep.final),
        within=within,
        eta_squared=shares,
        blocks={name: blocks_of(study, sweep, name, held) for name, held in probed.held.items()},
        curves=probed.curves,
        mlp=None if mlp is None else score(study.table, mlp, study.test()),
        neurons=probed.neurons,
        verdict=text,
        good=good,
    )


def _key(s: Subject) -> dict[str, Any]:
    """What the parts of a dataset depend on."""
    study, table = s.study, s.study.table
    prompts = {
        name: [np.concatenate(p.tokens), np.array([len(t) for t in p.tokens]), p.first, p.last]
        for name, p in study.prompts.items()
    }
    return {
        "experiment": "space-time",
        "dataset": content_hash([table.key, list(table.texts), table.targets, study.fold, study.codes, prompts]),
        "weights": s.loaded.weights,
        "dtype": s.config.dtype,
        "precision": MATMUL_PRECISION,
        "jax": jax.__version__,
        "penalties": s.config.penalties,
        "seed": s.config.seed,
    }
