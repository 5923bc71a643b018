"""The paper's mixed-resolution grids, as views of a complete law over fixed-width numerals.

A number has ``precision`` digits in some base; d is the *true* next number. Another number whose first
differing digit is at place ℓ (1 = most significant) is resolved to

    max(ℓ, depth + 1) digits   mode "all", and mode "neighbor" when ℓ > 1 or its first digit is d₁ ± 1
    1 digit                    mode "neighbor" otherwise

(arXiv 2402.00795: the free main path gives ℓ; refinement expands off-path branches to depth + 1 digits). So
the grid depends on the outcome: a distance on it is of an outcome-dependent coarsening, a lower bound of
the complete one.

Cell counts, base 10: 2 digits, all: 19 and 100 for depth 0 and 1; 3 digits, neighbor: 46 and 307 for depth 1
and 2; 3 digits, all, depth 2: 1000.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .log_space import segment_log_sum_exp

Mode = Literal["all", "neighbor"]


class MixedGrid(NamedTuple):
    """Groups of neighbouring fine cells, ascending, padded to the same number for every true value."""

    segment: Int[Array, " bin"]  #: group of each fine cell
    edges: Float[Array, " group+1"]  #: group boundaries; padded groups are empty, at the right end
    valid: Bool[Array, " group"]  #: False for padding ("neighbor" with a first digit at the end of its range)


def mixed_grid_size(precision: int, *, depth: int, mode: Mode, base: int = 10) -> int:
    """Number of groups of a mixed grid when the true first digit has all its neighbours.

    Raises:
        ValueError: no such grid (depth not in [0, precision), unknown mode, base < 2).
    """
    if mode not in ("all", "neighbor") or not 0 <= depth < precision or base < 2:
        raise ValueError(
            f"mixed_grid: got precision {precision}, depth {depth}, mode {mode!r}, base {base}; "
            "expected mode 'all' or 'neighbor', 0 <= depth < precision and base >= 2; "
            "depth = precision - 1 with mode 'all' is the complete grid"
        )
    on_path = base**depth + (base - 1) * (precision - 1 - depth)
    refined = min(2, base - 1) if mode == "neighbor" else base - 1
    return on_path + refined * base**depth + (base - 1 - refined)


def mixed_grid(
    digits: Int[Array, " digit"],
    edges: Float[Array, " edge"],
    *,
    depth: int,
    mode: Mode,
    base: int = 10,
) -> MixedGrid:
    """The mixed grid around the true number with ``digits`` (most significant first), on the fine grid
    ``edges``.

    Shapes depend on (precision, depth, mode, base) only, so it can be jitted and vmapped over true values.

    Raises:
        ValueError: as :func:`mixed_grid_size`, or ``edges`` is not the grid of base**precision cells.
    """
    precision, num_bins = digits.shape[0], edges.shape[0] - 1
    num_groups = mixed_grid_size(precision, depth=depth, mode=mode, base=base)
    if num_bins != base**precision:
        raise ValueError(
            f"mixed_grid: got {num_bins} cells for {precision} digits in base {base}; expected "
            f"{base**precision}; pass the edges of the complete grid"
        )
    code = jnp.arange(num_bins, dtype=jnp.int32)
    places = base ** jnp.arange(precision - 1, -1, -1, dtype=jnp.int32)
    other = (code[:, None] // places) % base
    agree = jnp.cumprod((other == digits).astype(jnp.int32), axis=1)
    differs_at = jnp.sum(agree, axis=1) + 1
    length = jnp.clip(jnp.maximum(differs_at, depth + 1), max=precision)
    if mode == "neighbor":
        distant = jnp.abs(other[:, 0] - digits[0]) > 1
        length = jnp.where(distant, 1, length)
    starts = code % places[length - 1] == 0
    segment = jnp.cumsum(starts.astype(jnp.int32), dtype=jnp.int32) - 1
    first = jnp.searchsorted(segment, jnp.arange(num_groups + 1, dtype=jnp.int32))
    valid = jnp.arange(num_groups, dtype=jnp.int32) <= segment[-1]
    return MixedGrid(segment, edges[first], valid)


def group_log_mass(log_mass: Float[Array, " bin"], grid: MixedGrid) -> Float[Array, " group"]:
    """ln of the mass of each group (−∞ for padding)."""
    return segment_log_sum_exp(log_mass, grid.segment, grid.valid.shape[0])


def group_mass(mass: Float[Array, " bin"], grid: MixedGrid) -> Float[Array, " group"]:
    """Mass of each group (0 for padding)."""
    return jax.ops.segment_sum(mass, grid.segment, grid.valid.shape[0])
