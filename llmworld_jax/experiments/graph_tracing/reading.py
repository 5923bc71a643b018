"""Sequences read by the model: node means and next-word laws in one pass, kept as units of the run."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...content import content_hash
from ...models.llama import Llama
from ...store import RunStore
from ...walk_reading import WalkReadings, read_walks
from .behaviour_study import RESAMPLES, draws
from .config import GraphConfig
from .geometry_study import resampled_ratios
from .results import Reading
from .study import Placement, Sequences, Study

PRECISION = "highest"
Progress = Callable[[str], None]


def reading_of(
    config: GraphConfig,
    study: Study,
    placement: int,
    kind: str,
    model: Llama,
    weights: str,
    store: RunStore,
    progress: Progress,
) -> Reading:
    """What ``model`` makes of the sequences of ``kind``; from ``store`` where it was read before.

    Args:
        weights: what identifies the weights.
    """
    here = study.placements[placement]
    sequences = here.sequences[kind]
    name = f"{study.key}, {kind}" + (f", placement {placement + 1}" if placement else "")

    def compute() -> dict[str, np.ndarray]:
        return read(
            config, study, here, sequences, model, lambda done, of: progress(f"{name}: {done} of {of} sequences")
        )

    key = _key(config, study, here, sequences, weights)
    arrays = store.unit(key, compute)
    return Reading(**{field: arrays[field] for field in Reading._fields})


def _key(config: GraphConfig, study: Study, here: Placement, sequences: Sequences, weights: str) -> dict[str, Any]:
    return {
        "what": "graph reading",
        "weights": weights,
        "dtype": config.dtype,
        "precision": PRECISION,
        "tokens": content_hash(np.asarray(sequences.prompts.tokens)),
        "read_at": content_hash(np.asarray(sequences.prompts.read_at)),
        "walks": content_hash(sequences.walks),
        "ids": here.ids.tolist(),
        "adjacency": content_hash(np.asarray(study.graph.adjacency)),
        "contexts": list(study.contexts),
        "window": config.window,
        "normalise": config.normalise,
        "seed": config.seed,
    }


def read(
    config: GraphConfig,
    study: Study,
    here: Placement,
    sequences: Sequences,
    model: Llama,
    progress: Callable[[int, int], None],
) -> dict[str, np.ndarray]:
    """The arrays of a ``Reading``."""
    found: WalkReadings = read_walks(
        model, sequences.prompts, sequences.walks, here.ids, study.contexts, window=config.window,
        normalise=config.normalise, per_walk=True, precision=PRECISION, progress=progress,
    )  # fmt: skip
    weights = draws(config.seed, len(sequences.walks), RESAMPLES)
    resampled = resampled_ratios(found.sums, found.counts, study.graph, weights)
    counts = found.counts.sum(axis=0)
    means = found.sums.sum(axis=0) / np.maximum(counts, 1)[..., None]
    return {
        "means": means.astype(np.float32),
        "counts": counts,
        "log_probability": found.log_probability,
        "largest_other": found.largest_other,
        "sink": np.asarray(found.largest_over_median).max(axis=0),
        "resampled": resampled,
    }
