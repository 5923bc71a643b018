"""Where a map sends a cell: the law of the image of a uniform variable, on a grid.

A reader of numerals knows a deterministic system's last value only up to its cell. With the value uniform in the
cell, the law of the next one is the image of that uniform law; cut the cell into pieces and treat the map as a line
on each (Ulam's method).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def uniform_cdf(
    one_end: Float[Array, "*shape"], other_end: Float[Array, "*shape"], x: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """P(X < x) for X uniform between two ends given in either order; a step where the ends are equal.

    A point mass at x itself is not below it, so in differences over cells it falls in the cell that starts
    there, as everywhere in this package. Derivatives at a step are 0.
    """
    low, width = jnp.minimum(one_end, other_end), jnp.abs(other_end - one_end)
    spread = width > 0
    share = jnp.clip((x - low) / jnp.where(spread, width, 1), 0, 1)
    return jnp.where(spread, share, (x > low).astype(share.dtype))


def pushforward_masses(images: Float[Array, " node"], edges: Float[Array, " edge"]) -> Float[Array, " edge-1"]:
    """Masses on the grid of f(X), X uniform on an interval, from f at equally spaced points, both ends included.

    Between consecutive points the image is uniform (the map is taken as a line there); two equal images are a
    point mass. Renormalised over the grid; NaN when nothing of the image is on it, as :func:`analyses.bin_masses`.

    Raises:
        ValueError: fewer than two points.
    """
    if images.shape[0] < 2:
        raise ValueError(
            f"pushforward_masses: got {images.shape[0]} images; expected at least 2, those of both ends of the cell; "
            "use 9 to 33"
        )
    ends = images[:-1], images[1:]
    # A sum, not a mean: whole shares then add without rounding, whatever the compiler contracts.
    below = jax.vmap(lambda x: jnp.sum(uniform_cdf(*ends, jnp.broadcast_to(x, ends[0].shape))))(edges)
    mass = jnp.maximum(jnp.diff(below), 0)
    return mass / jnp.sum(mass)
