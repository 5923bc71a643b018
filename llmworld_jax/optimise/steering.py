r"""Steering a walk's words towards coordinates: a low-rank offset of the residual stream.

.. math:: h_t \leftarrow h_t + \alpha\, m\, s\, z(x_t)^\top W, \qquad
   s^{-2} = \tfrac1n \sum_i \|z(i)^\top W\|^2

``z`` gives every node coordinates (of a target graph, say), the rows of ``W`` are directions of the residual stream,
and ``s`` makes the dose :math:`\alpha` the length of the offset, root mean square over nodes, in units of ``m``, a
typical length of the stream. So offsets of any directions and coordinates have the same length. Differentiable in W.
"""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float

from ..models import edits
from .seen import WalkTask

Directions = Float[Array, "rank d_model"]
Coordinates = Float[Array, "node rank"]


def offsets(
    directions: Directions, coordinates: Coordinates, real: Bool[Array, " node"]
) -> Float[Array, "node d_model"]:
    """Offset of every node, root mean square length 1 over the ``real`` ones."""
    rows = jnp.matmul(coordinates, directions, precision="highest")
    weight = real.astype(rows.dtype)
    size = jnp.sqrt(jnp.sum(weight * jnp.sum(rows**2, axis=1)) / jnp.sum(weight))
    return rows / jnp.maximum(size, jnp.finfo(rows.dtype).tiny)


def steer(
    task: WalkTask,
    directions: Directions,
    coordinates: Coordinates,
    *,
    layer: ArrayLike,
    dose: ArrayLike,
    norm: ArrayLike,
    length: ArrayLike,
    rows: int,
) -> edits.Edit:
    """The edit that adds the offsets at every word of ``task`` after block ``layer`` (0 first).

    Args:
        dose: length of the offsets in units of ``norm``.
        length: of the prompt before the walk, of at most ``rows`` vectors, as ``seen_walk`` places it.
    """
    at = jnp.arange(rows + task.nodes.shape[0]) - jnp.asarray(length)
    inside = (at >= 0) & (at < task.nodes.shape[0])
    node = task.nodes[jnp.clip(at, 0, task.nodes.shape[0] - 1)]
    added = offsets(directions, coordinates, task.real)[node]
    return edits.add("resid_post", layer, jnp.asarray(dose) * norm * added, inside.astype(directions.dtype))
