"""Targets that live on a circle or a sphere, as vectors that a linear probe can reach without a seam.

Longitudes −179° and 179° are neighbours, yet 358 apart as numbers, and a degree of longitude is shorter near a pole.
A probe of unit vectors has neither fault; its prediction, of any length, is read back by its direction.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def sphere_from_degrees(lonlat: Float[Array, "*rows 2"]) -> Float[Array, "*rows 3"]:
    r"""Unit vectors of places given as (longitude λ, latitude φ) in degrees.

    .. math:: (\cos φ \cos λ, \cos φ \sin λ, \sin φ)
    """
    longitude, latitude = jnp.deg2rad(lonlat[..., 0]), jnp.deg2rad(lonlat[..., 1])
    to_axis = jnp.maximum(jnp.cos(latitude), 0)  # π/2 in float32 lies beyond the pole
    return jnp.stack((to_axis * jnp.cos(longitude), to_axis * jnp.sin(longitude), jnp.sin(latitude)), axis=-1)


def degrees_from_sphere(xyz: Float[Array, "*rows 3"]) -> Float[Array, "*rows 2"]:
    r"""(Longitude in [−180, 180], latitude in [−90, 90]) of the direction of a vector, in degrees.

    .. math:: (\operatorname{atan2}(y, x), \operatorname{atan2}(z, \sqrt{x^2 + y^2}))

    The length does not matter. At the poles, where every longitude is true, it is 0. The zero vector is nowhere: NaN.
    """
    x, y, z = xyz[..., 0], xyz[..., 1], xyz[..., 2]
    to_axis = jnp.hypot(x, y)
    longitude = jnp.where(to_axis > 0, jnp.arctan2(y, x), 0)  # atan2 tells −0 from 0, and makes it 180°
    lonlat = jnp.stack((longitude, jnp.arctan2(z, to_axis)), axis=-1)
    return jnp.where(jnp.any(xyz != 0, axis=-1, keepdims=True), jnp.rad2deg(lonlat), jnp.nan)


def circle_from_degrees(angle: Float[Array, "*rows"]) -> Float[Array, "*rows 2"]:
    """(cos α, sin α) of angles in degrees."""
    radians = jnp.deg2rad(angle)
    return jnp.stack((jnp.cos(radians), jnp.sin(radians)), axis=-1)


def degrees_from_circle(xy: Float[Array, "*rows 2"]) -> Float[Array, "*rows"]:
    """The angle atan2(y, x) of a vector of any length, in degrees in [−180, 180]; NaN for the zero vector."""
    angle = jnp.rad2deg(jnp.arctan2(xy[..., 1], xy[..., 0]))
    return jnp.where(jnp.any(xy != 0, axis=-1), angle, jnp.nan)
