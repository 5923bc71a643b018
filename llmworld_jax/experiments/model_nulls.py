"""Nulls that are the language model itself with something taken away: the order of the context, or the training.

``shuffled context``: the model reads the same values in random order, then the last value, and says what comes next:
all it can use is which values occur, and the last one. ``random weights``: a twin of the same shape whose weights were
never trained. Both are read at a few context lengths only, a window of items at each.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..laws import number_laws
from ..models.catalogue import LoadedModel
from ..models.llama import Llama
from ..models.mesh import mesh_of
from ..models.sharding import place_model
from ..queries import query_laws
from ..store import RunStore
from .many_laws import MATMUL_PRECISION, unit_key
from .simulation import Series

WINDOW = 10
LEAST_CONTEXT = 8
NAMES = ("shuffled context", "random weights")


def checkpoints(steps: int, window: int = WINDOW) -> np.ndarray:
    """Context lengths, each about half of the next; the last leaves just ``window`` items to predict."""
    lengths = []
    context = float(steps - window)
    while round(context) >= LEAST_CONTEXT:
        lengths.append(round(context))
        context /= 2
        if lengths[-1] < 2 * window:
            break
    return np.array(lengths[::-1], dtype=int)


def model_null_laws(name: str, one: Series, loaded: LoadedModel, twin: Llama, store: RunStore, seed: int) -> np.ndarray:
    """ln mass ``[checkpoint, window, bin]`` of a null of ``NAMES``; kept in ``store``."""
    contexts = checkpoints(len(one.codes))
    read = {"shuffled context": _shuffled, "random weights": _untrained}[name]

    def compute() -> dict[str, np.ndarray]:
        return {"log_mass": read(one, loaded.model if name == NAMES[0] else twin, contexts, seed)}

    key = unit_key(one, loaded, name, contexts=contexts.tolist(), window=WINDOW, seed=seed)
    return store.unit(key, compute)["log_mass"]


def _shuffled(one: Series, model: Llama, contexts: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    laws = []
    for context in contexts:
        past = random.permutation(one.codes[:context])
        queries = one.codes[context - 1 : context - 1 + WINDOW]
        laws.append(np.asarray(query_laws(model, one.codec, past, queries, precision=MATMUL_PRECISION)))
    return np.stack(laws)


def _untrained(one: Series, model: Llama, contexts: np.ndarray, seed: int) -> np.ndarray:
    prompt = one.codec.prompt(one.codes)
    items = (contexts[:, None] + np.arange(WINDOW)).ravel()
    chosen = prompt._replace(item_at=np.asarray(prompt.item_at)[items])
    laws = number_laws(model, one.codec, chosen, off_grid="first", precision=MATMUL_PRECISION)
    return np.asarray(laws.log_mass).reshape(len(contexts), WINDOW, -1)


def untrained_twin(loaded: LoadedModel, seed: int = 0) -> Llama:
    """The model's shape with Gaussian weights: 1/√fan-in, and 1/√d_model for embeddings (nearly even logits)."""
    twin, mesh = _twin(loaded.config, loaded.model.embed[...].dtype, seed), mesh_of(loaded.model)
    return twin if mesh is None else place_model(twin, mesh)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _twin(config, dtype, seed: int) -> Llama:
    twin = Llama(config, key=jax.random.key(seed), dtype=dtype)
    scale = jnp.asarray(config.d_model**-0.5, dtype)
    twin.embed[...] = twin.embed[...] * scale
    return twin
