"""Context parroting: find where the past looked most like now, and say what came next then.

Zhang and Gilpin (arXiv 2505.11349) found that this copying beats forecasting models on chaotic series. A copy
is a point; to be compared with a law it needs a density, which is learned here from the copier's own errors.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .histograms import gaussian_log_masses
from .kernel_conditional import bandwidths
from .log_space import log_sum_exp


def parrot_source(codes: Int[Array, " time"], depth: int) -> Int[Array, " time"]:
    """Index i < t of the item to copy for item t: the successor of the past ``depth``-gram nearest to the last.

    argmin over depth ≤ i < t of Σ_{k=1..depth} (c_{t−k} − c_{i−k})², in cells, which on an even grid is the Euclidean
    distance of the values; of equals the latest. −1 where nothing can be copied (t ≤ depth). Memory is time².

    Raises:
        ValueError: ``depth`` < 1.
    """
    if depth < 1:
        raise ValueError(f"parrot_source: got depth {depth}; expected at least 1; use 1 or 2")
    time = codes.shape[0]
    index = jnp.arange(time, dtype=jnp.int32)
    # In floating point, where squares of far apart fine cells do not overflow; exact below 2^24.
    cell = codes.astype(jnp.result_type(float))
    lags = [jnp.roll(cell, k) for k in range(1, depth + 1)]
    distance = sum(((lag[:, None] - lag) ** 2 for lag in lags), jnp.zeros((time, time)))
    usable = (index >= depth) & (index < index[:, None])
    distance = jnp.where(usable, distance, jnp.inf)
    latest = time - 1 - jnp.argmin(distance[:, ::-1], axis=1).astype(jnp.int32)
    return jnp.where(index > depth, latest, -1)


def parroting(
    codes: Int[Array, " time"], edges: Float[Array, " edge"], *, depth: int = 1
) -> Float[Array, "time edge-1"]:
    """ln cell masses of the copied value with the spread that the copies before t turned out to have.

    The law of item t is Σ_k π_k(t) m_k. m_0 lies all in the copied cell, the last is uniform, and between are the
    normal laws around the copied cell's centre with the doubling widths of
    :func:`analyses.kernel_conditional.bandwidths`. π(t) takes one step of expectation-maximisation an item, from
    π(t − 1), over all copies before t, with a prior of one more copy shared evenly. So heavy-tailed errors are
    learned, exact repetition leads to certainty, and no mass is ever zero. Rows 0 to ``depth`` are uniform.

    Raises:
        ValueError: ``depth`` < 1.
    """
    source = parrot_source(codes, depth)
    copies = source >= 0
    components = jax.vmap(_components, in_axes=(0, None))(codes[jnp.maximum(source, 0)], edges)  # [time component bin]
    foretold = jnp.exp(jnp.take_along_axis(components, codes[:, None, None], axis=2)[:, :, 0])
    num_components = foretold.shape[1]
    index = jnp.arange(codes.shape[0], dtype=jnp.int32)

    def learn(weight: Array, t: Array) -> tuple[Array, Array]:
        share = weight * foretold  # the uniform law foretold something of everything, so no row sums to zero
        share = share / jnp.sum(share, axis=1, keepdims=True)
        count = 1 / num_components + jnp.sum(jnp.where((copies & (index <= t))[:, None], share, 0), axis=0)
        return count / jnp.sum(count), weight

    even = jnp.full(num_components, 1 / num_components, foretold.dtype)
    weight = jax.lax.scan(learn, even, index)[1]
    law = log_sum_exp(jnp.swapaxes(jnp.log(weight)[:, :, None] + components, 1, 2))
    return jnp.where(copies[:, None], law, components[:, -1])


def _components(copied: Int[Array, ""], edges: Float[Array, " edge"]) -> Float[Array, "component bin"]:
    """ln masses of the copied cell alone, of normal laws around it of doubling width, and of the uniform law."""
    grid = (edges - edges[0]) / (edges[-1] - edges[0])
    num_bins = grid.shape[0] - 1
    exact = jnp.where(jnp.arange(num_bins) == copied, 0, -jnp.inf).astype(grid.dtype)
    centre = 0.5 * (grid[copied] + grid[copied + 1])
    normals = jax.vmap(gaussian_log_masses, in_axes=(None, 0, None))(centre, bandwidths(num_bins, grid.dtype), grid)
    return jnp.concatenate([exact[None], normals, jnp.log(jnp.diff(grid))[None]])
