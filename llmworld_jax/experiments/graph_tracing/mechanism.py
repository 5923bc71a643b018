"""The mechanism panel of one graph, in parts that are kept as units of the run."""

from typing import Any

import numpy as np

from ...content import content_hash
from ...models.catalogue import LoadedModel
from ...store import RunStore
from ..records import from_arrays, to_arrays
from .ablation_study import ablation_of, scored_heads
from .config import GraphConfig
from .predecessor_study import FILLER, predecessor_of
from .reading import Progress
from .results import Ablation, Mechanism, Predecessor, Reading, Swap
from .study import Study
from .swap_study import everywhere_of, swap_of

SIZES = {"short": (3, 800, 4, 6), "thorough": (8, 1400, 16, 12)}
"""Sequences and their length for heads and predecessors; sequences and targets of a swap."""
EVERYWHERE = (6, 2)
"""Sequences and targets of a swap at every occurrence of a node: each trial is a whole pass."""


def mechanism_of(
    config: GraphConfig,
    loaded: LoadedModel,
    study: Study,
    reading: Reading,
    layer: int,
    store: RunStore,
    progress: Progress,
) -> Mechanism | None:
    """Everything of ``Mechanism``, or None where it was switched off, or some node was not seen at the last context."""
    if config.mechanism == "off":
        return None
    if not (reading.counts[:, -1] > 0).all():
        progress(f"{study.key}: no mechanism, since some nodes are not in the last window (--window, --walks)")
        return None
    walks, length, swapped, targets = SIZES[config.mechanism]
    walks, length, swapped = min(walks, config.walks), min(length, config.length), min(swapped, config.walks)
    model, seed, said = loaded.model, config.seed, study.key
    asked = _asked(config, loaded, study, reading, layer)

    def kept(name: str, sizes: list[int], compute):
        def arrays() -> dict[str, np.ndarray]:
            progress(f"{said}: {name}")
            return to_arrays(compute())

        unit = store.unit(asked | {"what": name, "sizes": sizes}, arrays)
        return from_arrays(unit, (Ablation, Predecessor, Swap))

    filler = np.array(loaded.tokenizer.encode(FILLER), np.int32)
    window = min(length - 1, length // 2)
    heads = kept("head scores", [], lambda: scored_heads(model, seed))
    last = reading.means[:, -1]
    ablation = kept(
        "silenced heads", [walks, length],
        lambda: ablation_of(config, model, study, heads, last, layer, walks, length),
    )  # fmt: skip
    predecessor = kept(
        "predecessors", [walks, length, window],
        lambda: predecessor_of(model, study, filler, layer, walks, length, window, seed),
    )  # fmt: skip
    layers = swap_layers(layer, loaded.config.num_layers)

    def exchanged() -> Swap:
        found = swap_of(model, study, last, layers, swapped, targets, seed)
        if config.mechanism != "thorough":
            return found
        at = min(layer, loaded.config.num_layers - 1)
        return found._replace(everywhere=everywhere_of(model, study, last[at], at, EVERYWHERE[0], EVERYWHERE[1], seed))

    swap = kept("coordinates exchanged", [swapped, targets, *layers, config.mechanism == "thorough"], exchanged)
    previous, induction = heads
    return Mechanism(layer, previous, induction, ablation, predecessor, swap)


def _asked(config: GraphConfig, loaded: LoadedModel, study: Study, reading: Reading, layer: int) -> dict[str, Any]:
    """What every part's result hangs on."""
    return {
        "weights": loaded.weights,
        "dtype": config.dtype,
        "tokens": content_hash(np.asarray(study.placements[0].sequences[study.main].prompts.tokens)),
        "means": content_hash(reading.means),
        "adjacency": content_hash(np.asarray(study.graph.adjacency)),
        "contexts": list(study.contexts),
        "layer": layer,
        "seed": config.seed,
        "window": config.window,
    }


def swap_layers(layer: int, depth: int, count: int = 3) -> tuple[int, ...]:
    """Layers (1 first) spread from the lower third to the one before the last, the one that is looked at among them.

    After the last block an exchange acts on the unembedding alone.
    """
    spread = {round(x) for x in np.linspace(max(1, depth / 3), max(1, depth - 1), count)}
    return tuple(sorted(spread | {min(layer, max(1, depth - 1))}))
