"""Distances on the globe between places given as (longitude, latitude) in degrees."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from ..log_space import safe_sqrt
from .subsets import Weight, chosen_mean, chosen_sum, ratio, row_weights, varies

#: Mean radius of the Earth in kilometres.
EARTH_RADIUS_KM = 6371.0

#: Distance between places a [*rows, 2] and b [*rows, 2], in km [*rows].
PlaceDistance = Callable[[Float[Array, "*rows 2"], Float[Array, "*rows 2"]], Float[Array, "*rows"]]


def great_circle_km(a: Float[Array, "*rows 2"], b: Float[Array, "*rows 2"]) -> Float[Array, "*rows"]:
    r"""Great-circle distance in km of places a, b with columns (longitude λ, latitude φ) in degrees.

    .. math:: h &= \sin^2 \frac{φ_a - φ_b}{2} + \cos φ_a \cos φ_b \sin^2 \frac{λ_a - λ_b}{2} \\
        d &= 2 R \operatorname{atan2}(\sqrt h, \sqrt{1 - h})

    Any real longitude will do; a latitude beyond ±90, as a linear probe may predict, goes over the pole. The
    derivative is finite everywhere and 0 where it does not exist (a = b and antipodes). In float32 distances of
    nearly antipodal places are good to a few km.
    """
    lat_a, lat_b = (jnp.deg2rad(x[..., 1]) for x in (a, b))
    # Degrees are subtracted, not radians: a compiler that fuses the conversion would not get 0 for equal places.
    half = jnp.deg2rad((a - b) / 2)
    along = jnp.cos(lat_a) * jnp.cos(lat_b) * jnp.sin(half[..., 0]) ** 2
    # Rounding, and only that, can leave h beyond 0 or 1.
    h = jnp.clip(jnp.sin(half[..., 1]) ** 2 + along, 0, 1)
    return 2 * EARTH_RADIUS_KM * jnp.arctan2(safe_sqrt(h), safe_sqrt(1 - h))


def great_circle_km_published(a: Float[Array, "*rows 2"], b: Float[Array, "*rows 2"]) -> Float[Array, "*rows"]:
    """What the code of arXiv 2310.02207 computes, **a fault**: it takes column 0, the longitude, for the latitude.

    Here to reproduce the paper's kilometres and proximity errors of places, nothing else; no function of this package
    uses it unless asked to.
    """
    return great_circle_km(a[..., ::-1], b[..., ::-1])


def great_circle_r_squared(
    true: Float[Array, "entity 2"],
    predicted: Float[Array, "entity 2"],
    weight: Weight = None,
    *,
    distance: PlaceDistance = great_circle_km,
) -> Float[Array, ""]:
    r"""The share of squared distance explained: R² with kilometres on the sphere for differences.

    .. math:: 1 - \sum_i w_i\, d(t_i, p_i)^2 / \sum_i w_i\, d(t_i, \bar t)^2

    As in the original, :math:`\bar t` is the mean of the *degrees* of the chosen rows. It is not the place of least
    squared distance: for places on both sides of the date line it lies on the wrong side of the Earth, and the
    score comes out too high. NaN where all places are one.
    """
    w = row_weights(weight, true)
    middle = jnp.broadcast_to(chosen_mean(true, w), true.shape)
    error, spread = (chosen_sum(distance(true, other) ** 2, w) for other in (predicted, middle))
    return jnp.where(jnp.any(varies(true, w)), 1 - ratio(error, spread), jnp.nan)
