"""What lower precision changes in the laws, measured in the run itself: the floor under every difference it reports."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import analyses

from ..models.catalogue import LoadedModel
from ..models.plan import parameter_count
from ..store import RunStore
from .many_laws import Progress, read_many
from .simulation import Worlds

MOST_BYTES = 2**33
"""Float32 weights larger than this are not loaded for the comparison."""


def precision_floor(
    loaded: LoadedModel, worlds: Worlds, store: RunStore, progress: Progress, in_float32: Callable[[], LoadedModel]
) -> str | None:
    """One line: how far the laws of one series lie from those in float32, at the mean and the worst of its states.

    ``None`` for a model in float32 that is read by the reference attention: that is what is compared with.
    """
    dtype, kernel = loaded.provenance["dtype"], loaded.config.attention
    if (dtype, kernel) == ("float32", "reference"):
        return None
    how = dtype if kernel == "reference" else f"{dtype} with {kernel} attention"
    size = 4 * parameter_count(loaded.config)
    if size > MOST_BYTES:
        return f"precision floor of {how}: not measured, since float32 weights would need {size / 2**30:.0f} GiB"
    progress(f"measuring what {how} changes in the laws")
    one = worlds[0].series[:1]
    ours, exact = (read_many(one, model, store, progress, batch=1)[0]["log_mass"] for model in (loaded, in_float32()))
    distances = law_distances(ours, exact)
    found = ", ".join(f"{name} {np.mean(x):.2g} (largest {np.max(x):.2g})" for name, x in distances.items())
    return f"precision floor of {how}, against float32 on {one[0].name}: {found}"


def law_distances(ours: np.ndarray, exact: np.ndarray) -> dict[str, np.ndarray]:
    """Total variation and Bhattacharyya distance of ln masses ``[time, bin]``, at every state that has a law."""
    known = np.isfinite(exact).any(axis=1) & np.isfinite(ours).any(axis=1)
    with jax.enable_x64(True):
        pair = jnp.asarray(ours[known], jnp.float64), jnp.exp(jnp.asarray(exact[known], jnp.float64))
        return {
            "total variation": np.asarray(jax.vmap(analyses.total_variation)(*pair)),
            "Bhattacharyya distance": np.asarray(jax.vmap(analyses.bhattacharyya_distance)(*pair)),
        }
