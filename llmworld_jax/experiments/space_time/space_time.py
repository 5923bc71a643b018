"""Space and time: read names, probe what the model makes of them, and hold the map against everything else.

Source: Gurnee and Tegmark, arXiv 2310.02207.
"""

import functools
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from ...activation_store import stored_attributes
from ...activations import store_activations
from ...content import content_hash
from ...errors import InputError
from ...models.catalogue import LoadedModel
from ...processes import agreed
from ...store import RunStore
from ..model_nulls import untrained_twin
from .config import ROWS_AT_ONCE, SpaceTimeConfig
from .dataset import Found, Subject, probe_dataset
from .rows import MATMUL_PRECISION, Progress, Reader
from .scoring import score
from .study import Study
from .transfer import PairCosines, Transfer, pair_cosines, transfer, transferable, unseen


class SpaceTime(NamedTuple):
    """A whole run: every dataset, each one's probe on the entities of the others, and the angles between probes."""

    datasets: tuple[Found, ...]
    transfers: tuple[Transfer, ...]
    cosines: tuple[PairCosines, ...]


def plain_config(config: SpaceTimeConfig) -> dict[str, Any]:
    """The configuration as it is kept: what does not change a result (where activations are stored) is left out."""
    return {name: value for name, value in asdict(config).items() if name != "store_activations"}


def run(
    config: SpaceTimeConfig, loaded: LoadedModel, studies: tuple[Study, ...], store: RunStore, progress: Progress
) -> SpaceTime:
    """Probe every dataset of ``prepare``; finished parts come from ``store``.

    Raises:
        InputError: a folder for activations that holds something else.
    """
    _store_activations(config, loaded, studies, progress)
    twin = functools.cache(lambda: untrained_twin(loaded, config.seed))
    subjects = [Subject(config, loaded, twin, study, store, progress) for study in studies]
    readers = [Reader(loaded.model, study.prompts[study.prompt], progress, study.table.key) for study in studies]
    pairs = [
        (i, j)
        for i, a in enumerate(studies)
        for j, b in enumerate(studies)
        if i != j and transferable(a.table, b.table) and max(len(a.table), len(b.table)) <= ROWS_AT_ONCE
    ]
    datasets = []
    for i, (subject, reader) in enumerate(zip(subjects, readers, strict=True)):
        datasets.append(probe_dataset(subject, reader))
        if all(i not in pair for pair in pairs):
            reader.forget()  # nothing else reads them
    sweeps = [found.results.sweep for found in datasets]
    keys = [study.table.key for study in studies]

    def moved(i: int, j: int) -> Transfer:
        layer = int(np.bincount(sweeps[i].chosen).argmax())
        new = studies[j].test() & unseen(studies[i].table, studies[j].table)
        own = score(studies[j].table, sweeps[j].final, new) if new.sum(axis=1).min() >= 3 else None
        return transfer(
            keys[i], studies[i], readers[i].residual(), keys[j], studies[j], readers[j].residual(), layer,
            config.penalties, own,
        )  # fmt: skip

    transfers = tuple(moved(i, j) for i, j in pairs)
    cosines = tuple(
        pair_cosines(keys[i], studies[i], sweeps[i], keys[j], studies[j], sweeps[j]) for i, j in pairs if i < j
    )
    return SpaceTime(tuple(datasets), transfers, cosines)


def _store_activations(
    config: SpaceTimeConfig, loaded: LoadedModel, studies: tuple[Study, ...], progress: Progress
) -> None:
    """One zarr folder a dataset. One that is there and says the same of itself is taken for done."""
    for study in studies if config.store_activations is not None else ():
        assert config.store_activations is not None
        folder, prompts = config.store_activations / study.table.key, study.prompts[study.prompt]
        about = _described(study) | {"model": loaded.provenance["id"], "dtype": config.dtype, "site": "resid_post"}
        if agreed(folder.exists()):
            if stored_attributes(folder) != about:
                raise InputError(
                    f"{folder}, which holds something else", "a folder of this dataset and model", "Choose another"
                )
            continue
        progress(f"{study.table.key}: activations to {folder}")
        store_activations(
            loaded.model, prompts.tokens, prompts.last, folder, about, sites=("resid_post",), precision=MATMUL_PRECISION
        )


def bytes_needed(config: SpaceTimeConfig, loaded: LoadedModel, studies: tuple[Study, ...]) -> int:
    """About what a run takes on disk: predictions of every layer twice in float64, and the pictures."""
    layers = loaded.config.num_layers + 1
    each = sum(4 * 8 * layers * study.table.targets.size for study in studies)
    return each + 2**22 * (1 + len(studies))


def arrays_of(found: SpaceTime) -> dict[str, np.ndarray]:
    """Every array of a run, named ``dataset.part``."""
    arrays: dict[str, np.ndarray] = {}
    for one in found.datasets:
        r = one.results
        name = r.table.key
        arrays |= {
            f"{name}.names": np.array(r.table.names),
            f"{name}.targets": r.table.targets,
            f"{name}.fold": r.fold,
            **{f"{name}.group.{label}": column for label, column in r.table.groups.items()},
        }
        arrays |= {f"{name}.sweep.{field}": value for field, value in r.sweep._asdict().items()}
        if r.twin is not None:
            arrays |= {f"{name}.twin.{field}": value for field, value in r.twin._asdict().items()}
        for c in r.controls:
            arrays |= {f"{name}.control.{c.name}.{field}": value for field, value in c.scores._asdict().items()}
        for curve in r.curves:
            arrays |= {f"{name}.curve.{curve.name}.{field}": getattr(curve, field) for field in ("size", "r2", "rho")}
        if r.neurons is not None:
            arrays |= {f"{name}.neurons.{field}": np.asarray(value) for field, value in r.neurons._asdict().items()}
    return arrays


def provenance_of(config: SpaceTimeConfig, loaded: LoadedModel, studies: tuple[Study, ...]) -> dict[str, Any]:
    """What has to be known to make the numbers again."""
    return {
        "experiment": "space-time",
        "config": plain_config(config),
        "model": loaded.provenance,
        "matmul_precision": MATMUL_PRECISION,
        "datasets": {study.table.key: _described(study) for study in studies},
    }


def _described(study: Study) -> dict[str, Any]:
    prompts = study.prompts[study.prompt]
    return {
        "source": study.table.source,
        "licence": study.table.licence,
        "entities": len(study.table),
        "tested": int((study.fold >= 0).sum()),
        "prompt": study.prompt,
        "tokens": int(sum(map(len, prompts.tokens))),
        "texts": content_hash(list(study.table.texts)),
        "group": study.group,
    }
