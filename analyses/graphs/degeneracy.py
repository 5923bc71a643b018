r"""Ways in which a low energy says nothing: representations that collapse, onto a point or onto one line.

The ratio R cannot fall by shrinking, but it falls to its bound when all nodes lie on one smooth axis. So beside it
stand the number of directions that are used and the spread of the nodes about their mean.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .energy import centred_rows, kept_rows


class Collapse(NamedTuple):
    r"""``effective_rank``: :math:`\exp(-\sum_k p_k \ln p_k)` of the shares p of variance of the principal components, 1
    to n - 1; ``spread``: root mean square distance to the mean over root mean square length, 0 for a point."""

    effective_rank: Float[Array, ""]
    spread: Float[Array, ""]


@jax.jit
def collapse(rows: Float[Array, "node width"], seen: Bool[Array, " node"] | None = None) -> Collapse:
    """``Collapse`` of node vectors; nodes that were not ``seen`` do not count. NaN rank where all are one point.

    Source of the rank: Roy and Vetterli, EUSIPCO 2007.
    """
    centred = centred_rows(rows, seen)
    power = jnp.linalg.svd(centred, compute_uv=False) ** 2
    total = jnp.sum(power)
    share = power / jnp.where(total > 0, total, 1)
    entropy = -jnp.sum(jnp.where(share > 0, share * jnp.log(jnp.where(share > 0, share, 1)), 0))
    length = jnp.where(True if seen is None else seen, jnp.sum(kept_rows(rows, seen) ** 2, axis=1), 0)
    return Collapse(jnp.where(total > 0, jnp.exp(entropy), jnp.nan), jnp.sqrt(total / jnp.sum(length)))
