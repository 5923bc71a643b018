"""The controls of a dataset whose activations are in memory: their predictions, and the rows made of these."""

import numpy as np

from ...entities.prompts import EntityPrompts
from ...models.llama import Llama
from .controls import (
    Candidate,
    at_chosen_layers,
    group_oracle,
    shuffled_targets,
    sphere_predictions,
    task_targets,
    tested_only,
    without_groups,
)
from .curves import mlp_predictions
from .ngrams import kernel_ridge, ngram_kernel
from .results import Sweep
from .rows import Progress, mean_embedding
from .side_by_side import side_by_side
from .study import Study
from .sweep import single


def ngram_predictions(study: Study) -> np.ndarray:
    """What the letters of the names say, ``[entity, target]``.

    Raises:
        InputError: scikit-learn is not installed.
    """
    kernel = ngram_kernel(study.table.texts)
    return tested_only(
        study, side_by_side(lambda train: kernel_ridge(kernel, study.table.targets, train), study.train())
    )


def predictions_of(
    model: Llama, prompts: EntityPrompts, rows: np.ndarray, sweep: Sweep, study: Study, penalties: int, seed: int,
    progress: Progress,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Predictions ``[entity, target]`` of everything that needs the activations ``rows [layer, entity, width]``."""
    name = study.table.key
    progress(f"{name}: shuffled targets, control task, activations without groups")
    found = {
        "shuffled": at_chosen_layers(rows, sweep, study, penalties, shuffled_targets(study, seed)),
        "task": at_chosen_layers(rows, sweep, study, penalties, task_targets(study, seed)),
        "without groups": without_groups(rows, sweep, study, penalties),
        "mean embedding": mean_embedding_predictions(model, prompts, study, penalties),
    }
    if study.table.kind == "place":
        found["sphere"] = sphere_predictions(rows, sweep, study, penalties)
    progress(f"{name}: the MLP probe")
    return found | {"mlp": mlp_predictions(rows, sweep, study, seed)}


def mean_embedding_predictions(model: Llama, prompts: EntityPrompts, study: Study, penalties: int) -> np.ndarray:
    """What the mean of the name's input embeddings says, ``[entity, target]``."""
    return single(mean_embedding(model, prompts), study, penalties)


def candidates_of(
    study: Study, sweep: Sweep, twin: Sweep | None, predicted: dict[str, np.ndarray], letters: Candidate, seed: int
) -> tuple[Candidate, ...]:
    """Every row that the model is held against; what is not in ``predicted`` is left out, or said to be missing."""
    without = "" if twin is not None else "it was switched off"
    rows = [
        Candidate(
            "untrained twin", "control", "The same network and tokens with random weights",
            None if twin is None else twin.final, missing=without,
        ),
        Candidate("embedding layer", "control", "The last token before any block", sweep.predictions[0]),
        Candidate(
            "mean input embedding", "control", "The embeddings of the name's tokens, in no order",
            predicted["mean embedding"],
        ),
        letters,
        Candidate(
            "control task", "control", f"Probes for targets in which every {study.group} stands where another one is",
            predicted["task"], task_targets(study, seed),
        ),
        Candidate(
            "shuffled targets", "control", "Probes for the targets of other entities",
            predicted["shuffled"], shuffled_targets(study, seed),
        ),
    ]  # fmt: skip
    notes = {
        "without groups": (f"activations without {study.group}", f"The mean of each {study.group} is taken out"),
        "sphere": ("ridge for points of the sphere", "Longitude and latitude through x, y, z: no date line"),
        "mlp": ("MLP probe", "A probe with one hidden layer of 256 units"),
    }
    rows += [Candidate(words[0], "note", words[1], predicted[k]) for k, words in notes.items() if k in predicted]
    oracle = Candidate(f"{study.group} mean", "ceiling", f"The true mean of the {study.group}", group_oracle(study))
    return (*rows, oracle)
