"""The nulls that are dear to evaluate, at a few context lengths: the neural AR(1), and the model with less to go on."""

import jax
import numpy as np

from ..models.catalogue import LoadedModel
from ..store import RunStore
from .dynamics_config import DynamicsConfig
from .many_laws import Progress, unit_key
from .model_nulls import NAMES, WINDOW, checkpoints, model_null_laws, untrained_twin
from .null_panel import NEURAL_NULL, neural_laws
from .simulation import Series, Worlds

SparseLaws = dict[str, np.ndarray]
"""Null -> ln mass ``[seed, checkpoint, window, bin]``."""


def read_sparse(
    config: DynamicsConfig, worlds: Worlds, loaded: LoadedModel, store: RunStore, progress: Progress
) -> list[SparseLaws]:
    """Laws of the sparse nulls of every world; finished ones come from ``store``. None without ``sparse_nulls``."""
    if not config.sparse_nulls:
        return [{} for _ in worlds]
    twin = untrained_twin(loaded)
    found = []
    for world in worlds:
        laws: dict[str, list[np.ndarray]] = {}
        for k, one in enumerate(world.series):
            progress(f"nulls of {world.name}, series {k + 1} of {len(world.series)}")
            for name in NAMES:
                laws.setdefault(name, []).append(model_null_laws(name, one, loaded, twin, store, config.seed + k))
            if not world.symbolic:
                laws.setdefault(NEURAL_NULL, []).append(_neural(one, loaded, store, config.seed + k))
        found.append({name: np.stack(rows) for name, rows in laws.items()})
    return found


def _neural(one: Series, loaded: LoadedModel, store: RunStore, seed: int) -> np.ndarray:
    contexts = checkpoints(len(one.codes))
    what = unit_key(one, loaded, NEURAL_NULL, contexts=contexts.tolist(), window=WINDOW, seed=seed)
    # The language model has no part in it.
    key = {name: value for name, value in what.items() if name not in ("model", "config", "matmul_precision")}

    def compute() -> dict[str, np.ndarray]:
        found = neural_laws(jax.random.key(seed), one.codes, one.numerals, contexts.tolist(), WINDOW)
        return {"log_mass": found[NEURAL_NULL]}

    return store.unit(key, compute)["log_mass"]
