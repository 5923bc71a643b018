"""The resolution floor: the loss a perfect predictor still has because the past was written with few digits.

The truth at time t is the law given the full-precision x_{t−1}; a reader of the numerals knows only the
cell of x_{t−1}. With x_{t−1} uniform inside its cell the best one-step prediction is the cell average of
the laws, and its distance from the latent law is the floor. A predictor may beat this *one-step* floor by
using earlier values.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .deviations import absolute_deviation
from .divergences import bhattacharyya_distance
from .log_space import safe_log

Value = TypeVar("Value")


def cell_average(
    function: Callable[[Float[Array, ""]], Value],
    x: Float[Array, ""],
    edges: Float[Array, " edge"],
    *,
    num_nodes: int = 32,
) -> Value:
    """E[function(X)] for X uniform in the cell of ``edges`` that holds x, by the midpoint rule on
    ``num_nodes``.

    ``function`` maps one number to any array or tree of arrays. NaN for an x outside the grid.

    Raises:
        ValueError: ``num_nodes`` < 1.
    """
    if num_nodes < 1:
        raise ValueError(f"cell_average: got num_nodes {num_nodes}; expected at least 1; 16 to 64 is usual")
    cell = jnp.clip(jnp.searchsorted(edges, x, side="right") - 1, 0, edges.shape[0] - 2)
    left, right = edges[cell], edges[cell + 1]
    left = jnp.where((left <= x) & (x < right), left, jnp.nan)
    nodes = left + (right - left) * ((jnp.arange(num_nodes, dtype=edges.dtype) + 0.5) / num_nodes)
    return jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), jax.vmap(function)(nodes))


def bhattacharyya_floor(
    law: Callable[[Float[Array, ""]], Float[Array, " outcome"]],
    x: Float[Array, ""],
    edges: Float[Array, " edge"],
    *,
    num_nodes: int = 32,
) -> Float[Array, ""]:
    """D_B between the law given the cell of x and the law given x itself.

    ``law`` maps the previous value (in the units of ``edges``) to the masses of the next one, on any grid.
    For a deterministic map whose image of the cell spans many outcomes this is −½ ln(share of nodes in the
    true cell).
    """
    blurred = cell_average(law, x, edges, num_nodes=num_nodes)
    return bhattacharyya_distance(safe_log(blurred), law(x))


def deviation_floor(
    mean: Callable[[Float[Array, ""]], Float[Array, ""]],
    x: Float[Array, ""],
    edges: Float[Array, " edge"],
    *,
    num_nodes: int = 32,
) -> Float[Array, ""]:
    """|E[mean(X) | cell of x] − mean(x)|, in the units that ``mean`` returns."""
    return absolute_deviation(cell_average(mean, x, edges, num_nodes=num_nodes), mean(x))
