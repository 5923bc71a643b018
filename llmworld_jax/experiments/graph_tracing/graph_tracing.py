"""In-context graphs: read walks over words, and see whether the graph appears, in activations and in what is said.

Source: Park et al., arXiv 2501.00070.
"""

import functools
from dataclasses import asdict
from typing import Any

import numpy as np

from ...content import content_hash
from ...models.catalogue import LoadedModel
from ...store import RunStore
from ..model_nulls import untrained_twin
from . import behaviour_study, geometry_study, prior_study
from .config import GraphConfig
from .looks import TWIN
from .mechanism import mechanism_of
from .reading import PRECISION, Progress, reading_of
from .results import Behaviour, Geometry, GraphResults, Reading
from .study import MIXTURE, Study
from .transition_study import transition_of
from .verdicts import late, verdicts_of


def run(
    config: GraphConfig, loaded: LoadedModel, studies: tuple[Study, ...], store: RunStore, progress: Progress
) -> tuple[GraphResults, ...]:
    """Every graph of ``prepare``; sequences that were read come from ``store``."""
    twin = functools.cache(lambda: untrained_twin(loaded, config.seed))
    return tuple(_one(config, loaded, twin, study, store, progress) for study in studies)


def _one(
    config: GraphConfig, loaded: LoadedModel, twin: Any, study: Study, store: RunStore, progress: Progress
) -> GraphResults:
    readings = _readings(config, loaded, twin, study, store, progress)
    main = readings[study.main]
    progress(f"{study.key}: geometry of {main.means.shape[0]} layers and {len(study.contexts)} contexts")
    geometry = {kind: geometry_study.geometry_of(r, study.graph, config.seed) for kind, r in readings.items()}
    layer = lowest_layer(geometry[study.main])
    sequences = study.placements[0].sequences
    behaviour = {
        kind: behaviour_study.behaviour_of(r, sequences[kind], study.graph, config.seed)
        for kind, r in readings.items()
        if kind in sequences
    }
    progress(f"{study.key}: counters and transition")
    counters = behaviour_study.counters_of(main, sequences[study.main], study.graph)
    transition = transition_of(behaviour[study.main], main, study.contexts, config.seed)
    plane_layer = best_plane(geometry[study.main])
    planes = geometry_study.planes_of(main, study.graph, plane_layer)
    first = geometry[study.main], behaviour[study.main]
    spread = _spread(config, loaded, study, store, progress, first, layer)
    step = prior_study.circular_step(study.graph)
    own_order = step is not None and study.graph.name.startswith("days")
    two = (
        geometry_study.two_graphs(readings[MIXTURE], study.graph, study.other, config.seed)
        if MIXTURE in readings and study.other is not None
        else None
    )
    found = GraphResults(
        study, layer, plane_layer, planes, geometry, behaviour, counters, transition, main.sink, spread,
        mechanism_of(config, loaded, study, main, layer, store, progress),
        prior_study.prior_of(readings) if own_order else None, two, (),
    )  # fmt: skip
    return found._replace(verdicts=verdicts_of(study, found))


def lowest_layer(g: Geometry) -> int:
    """The layer after the embedding where R is lowest at the last context."""
    return 1 + int(np.nanargmin(g.ratio[1:, -1]))


def best_plane(g: Geometry) -> int:
    """The layer after the embedding whose first principal plane is nearest to the Laplacian's at the last context."""
    return 1 + int(np.nanargmax(g.alignment[1:, -1]))


def _readings(
    config: GraphConfig, loaded: LoadedModel, twin: Any, study: Study, store: RunStore, progress: Progress
) -> dict[str, Reading]:
    """Every kind of sequence of the first placement, and the twin's reading of the main one."""
    found = {
        kind: reading_of(config, study, 0, kind, loaded.model, loaded.weights, store, progress)
        for kind in study.placements[0].sequences
    }
    if config.twin:
        found[TWIN] = reading_of(
            config,
            study,
            0,
            study.main,
            twin(),
            f"{loaded.weights}, untrained twin, seed {config.seed}",
            store,
            progress,
        )
    return found


def _spread(
    config: GraphConfig,
    loaded: LoadedModel,
    study: Study,
    store: RunStore,
    progress: Progress,
    first: tuple[Geometry, Behaviour],
    layer: int,
) -> np.ndarray:
    """``[placement, 4]``: R and z at ``layer`` and the last context, late accuracy and its renormalised form."""
    found = [first]
    for k, placement in enumerate(study.placements[1:], start=1):
        reading = reading_of(config, study, k, study.main, loaded.model, loaded.weights, store, progress)
        shape = geometry_study.geometry_of(reading, study.graph, config.seed)
        sequences = placement.sequences[study.main]
        found.append((shape, behaviour_study.behaviour_of(reading, sequences, study.graph, config.seed)))
    return np.array([(g.ratio[layer, -1], g.z[layer, -1], late(b.accuracy), late(b.renormalised)) for g, b in found])


def bytes_needed(config: GraphConfig, loaded: LoadedModel, studies: tuple[Study, ...]) -> int:
    """About what a run takes on disk: means of every layer and context, laws of every item, and the pictures."""
    width, layers = loaded.config.d_model, loaded.config.num_layers + 1
    size = 2**23
    for study in studies:
        number = study.graph.num_nodes
        means = 4 * layers * len(study.contexts) * number * width
        laws = 4 * config.walks * config.length * (number + 1)
        kinds = len(study.placements[0].sequences) + len(study.placements) - 1 + config.twin
        size += kinds * (means + laws) + 2**22
    return size


def arrays_of(results: tuple[GraphResults, ...]) -> dict[str, np.ndarray]:
    """Every array of a run, named ``graph.part``."""
    arrays: dict[str, np.ndarray] = {}
    for r in results:
        key = r.study.key
        arrays |= {
            f"{key}.adjacency": np.asarray(r.study.graph.adjacency),
            f"{key}.contexts": np.array(r.study.contexts),
            f"{key}.words": np.array(r.study.placements[0].words),
            f"{key}.planes": r.planes,
            f"{key}.layer": np.array(r.layer),
            f"{key}.plane_layer": np.array(r.plane_layer),
            f"{key}.sink": r.sink,
            f"{key}.spread": r.spread,
        }
        for kind, g in r.geometry.items():
            arrays |= {f"{key}.{kind}.{field}": value for field, value in g._asdict().items()}
        for kind, b in r.behaviour.items():
            arrays |= {f"{key}.{kind}.{field}": np.asarray(value) for field, value in b._asdict().items()}
        arrays |= _fields(f"{key}.counters", r.counters) | _fields(f"{key}.transition", r.transition)
        for name in ("prior", "two"):
            if getattr(r, name) is not None:
                arrays |= _fields(f"{key}.{name}", getattr(r, name))
        if r.mechanism is not None:
            for name in ("ablation", "predecessor", "swap"):
                arrays |= _fields(f"{key}.{name}", getattr(r.mechanism, name))
            arrays |= {f"{key}.heads.{name}": getattr(r.mechanism, name) for name in ("previous", "induction")}
    return arrays


def _fields(name: str, value: Any) -> dict[str, np.ndarray]:
    return {f"{name}.{field}": np.asarray(part) for field, part in value._asdict().items() if part is not None}


def provenance_of(config: GraphConfig, loaded: LoadedModel, studies: tuple[Study, ...]) -> dict[str, Any]:
    """What has to be known to make the numbers again."""
    return {
        "experiment": "graph",
        "config": asdict(config),
        "model": loaded.provenance,
        "matmul_precision": PRECISION,
        "graphs": {study.key: _described(study) for study in studies},
    }


def _described(study: Study) -> dict[str, Any]:
    return {
        "nodes": study.graph.num_nodes,
        "edges": study.graph.num_edges,
        "words": [list(placement.words) for placement in study.placements],
        "sequences": list(study.placements[0].sequences),
        "tokens": content_hash(np.asarray(study.placements[0].sequences[study.main].prompts.tokens)),
    }
