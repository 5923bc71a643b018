"""The ideal observer of independent uniform values on an unknown interval, read cell by cell."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .log_space import log_sum_exp, safe_log


def uniform_interval_predictive(
    codes: Int[Array, " time"], edges: Float[Array, " edge"], *, num_ends: int = 128
) -> Float[Array, "time edge-1"]:
    """ln masses [time, bin] of x_t ~ U(a, b), a and b unknown, row t from the cells before t.

    Prior: a uniform on ``num_ends`` equally spaced points of the lower half of the grid (its first edge included), b
    likewise of the upper half (its last edge included). The likelihood of a cell [l, r) is its overlap
    [min(r, b) − max(l, a)]⁺ / (b − a), so nothing is lost by the writing. The overlap depends on one end only, hence
    with s_a, s_b the shares of a cell inside the interval

    ln P(a, b | past) = Σ ln s_a + Σ ln s_b − t ln(b − a) + const,

    two running sums. Time is time · num_ends².

    Raises:
        ValueError: fewer than two cells, or no ends.
    """
    num_bins = edges.shape[0] - 1
    if num_bins < 2 or num_ends < 1:
        raise ValueError(
            f"uniform_interval_predictive: got {num_bins} cells and {num_ends} ends; expected at least 2 and 1; "
            "use one end or more a cell"
        )
    left, right, split = edges[:-1], edges[1:], edges[num_bins // 2]
    step = jnp.arange(num_ends, dtype=edges.dtype) / num_ends
    low = edges[0] + (split - edges[0]) * step
    high = edges[-1] - (edges[-1] - split) * step
    above = jnp.clip((right - low[:, None]) / (right - left), 0, 1)  # s_a [end, bin]
    below = jnp.clip((high[:, None] - left) / (right - left), 0, 1)  # s_b [end, bin]
    log_length = jnp.log(high - low[:, None])  # [low, high]

    def row(seen: tuple[Array, Array, Array]) -> Array:
        count, from_low, from_high = seen
        weight = from_low[:, None] + from_high - (count + 1) * log_length
        weight = jnp.exp(weight - jnp.max(weight))
        # Every cell lies in one half, where only one of the ends can cut it.
        lower = (jnp.sum(weight, axis=1) @ above)[: num_bins // 2]
        upper = (jnp.sum(weight, axis=0) @ below)[num_bins // 2 :]
        log_mass = safe_log(jnp.concatenate([lower, upper]) * (right - left))
        return log_mass - log_sum_exp(log_mass)

    sums = [_before(safe_log(share)[:, codes].T) for share in (above, below)]
    count = jnp.arange(codes.shape[0], dtype=edges.dtype)
    return jax.lax.map(row, (count, *sums), batch_size=min(16, codes.shape[0]))


def _before(terms: Float[Array, "time end"]) -> Float[Array, "time end"]:
    """Sums of the rows before each one; shifted rather than subtracted, as terms may be −∞."""
    return jnp.concatenate([jnp.zeros_like(terms[:1]), jnp.cumsum(terms, axis=0)[:-1]])
