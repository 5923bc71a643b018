"""Does a quantity vary smoothly over the map, and do two maps hold the same distances?

Everything is an n × n matrix: 4 n² bytes each in float32, some ten of them at a time (160 MB at n = 2,000). Draw at
most 4,000 entities: beyond, float32 no longer counts the pairs exactly, and ranks go wrong.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from ..log_space import safe_sqrt
from .geography import great_circle_km
from .scores import rank, unit_columns


def morans_i(
    values: Float[Array, " entity"], lonlat: Float[Array, "entity 2"], *, bandwidth_km: float | Float[Array, ""]
) -> Float[Array, ""]:
    r"""Moran's I: the correlation of a quantity with itself at nearby places.

    .. math:: I = \frac{n}{\sum_{ij} W_{ij}} \frac{z^\top W z}{z^\top z}, \qquad
        W_{ij} = e^{-d_{ij}^2 / 2 h^2},\ W_{ii} = 0

    z = values − mean, d the great-circle distance and h the bandwidth in km. About −1/(n−1) without spatial order,
    near 1 for neighbours alike. NaN for a constant quantity, or where h is so small that no place has a neighbour.

    Source: Moran 1950; for features of language models arXiv 2505.03368.
    """
    apart = distance_matrix_km(lonlat)
    kernel = jnp.where(_off_diagonal(apart), jnp.exp(-0.5 * (apart / bandwidth_km) ** 2), 0)
    z = values - jnp.mean(values)
    alike = jnp.sum(z * jnp.matmul(kernel, z, precision="highest")) / jnp.sum(kernel)
    return jnp.where(jnp.max(values) > jnp.min(values), alike / jnp.mean(z**2), jnp.nan)


def distance_matrix_km(lonlat: Float[Array, "entity 2"]) -> Float[Array, "entity entity"]:
    """Great-circle distances in km of all pairs of places."""
    return jax.vmap(jax.vmap(great_circle_km, in_axes=(None, 0)), in_axes=(0, None))(lonlat, lonlat)


def distance_matrix(x: Float[Array, "entity width"]) -> Float[Array, "entity entity"]:
    """Euclidean distances of all pairs of rows, by one matrix product about the mean; symmetric, zero diagonal.

    Distances below √ε times the largest norm about the mean are lost to rounding.
    """
    off = x - jnp.mean(x, axis=0)
    inner = jnp.matmul(off, off.T, precision="highest")
    norm = jnp.diagonal(inner)
    squared = jnp.maximum(norm[:, None] + norm - (inner + inner.T), 0)
    return safe_sqrt(jnp.where(_off_diagonal(squared), squared, 0))


def representational_similarity(
    distance_a: Float[Array, "entity entity"], distance_b: Float[Array, "entity entity"]
) -> Float[Array, ""]:
    """Spearman's ρ of the distances of all pairs in two configurations of the same entities.

    Give it :func:`distance_matrix` of activations and :func:`distance_matrix_km` of places, or any two symmetric
    matrices; the diagonal is not read. Pairs share entities, so its significance is that of :func:`mantel_null`.
    NaN where all distances of one side are equal.

    Source: Kriegeskorte et al. 2008.
    """
    a, b = _unit_ranks(distance_a), _unit_ranks(distance_b)
    return jnp.where(jnp.any(a != 0) & jnp.any(b != 0), jnp.sum(a * b), jnp.nan)


def mantel_null(
    key: Key[Array, ""],
    distance_a: Float[Array, "entity entity"],
    distance_b: Float[Array, "entity entity"],
    repeats: int,
) -> Float[Array, " repeat"]:
    """:func:`representational_similarity` with the entities of b permuted, ``repeats`` times (Mantel's test).

    p = (1 + #{null ≥ observed}) / (1 + repeats).

    Raises:
        ValueError: ``repeats`` < 1.
    """
    if repeats < 1:
        raise ValueError(f"mantel_null: got {repeats} repeats; expected at least 1; use 999")
    count = distance_a.shape[0]
    a, b = (_unit_ranks(distance).reshape(count, count) for distance in (distance_a, distance_b))

    def of(drawn: Key[Array, ""]) -> Float[Array, ""]:
        order = jax.random.permutation(drawn, jnp.arange(count, dtype=jnp.int32))
        return jnp.sum(a * b[order][:, order])  # ranks are permuted with their entities: none is ranked again

    # A scan, so that one permuted matrix is held at a time. A constant side has no ranks to correlate.
    null = jax.lax.map(of, jax.random.split(key, repeats))
    return jnp.where(jnp.any(a != 0) & jnp.any(b != 0), null, jnp.nan)


def _unit_ranks(distance: Float[Array, "entity entity"]) -> Float[Array, " pair"]:
    """Ranks of all pairs less their mean, with sum of squares 1, and 0 on the diagonal; all 0 for a constant.

    Both triangles are ranked; every pair then counts twice on both sides, which changes no correlation.
    """
    off = _off_diagonal(distance).reshape(-1).astype(distance.dtype)
    return unit_columns(rank(distance.reshape(-1), off)[:, None], off)[:, 0]


def _off_diagonal(matrix: Float[Array, "entity entity"]) -> Bool[Array, "entity entity"]:
    return ~jnp.eye(matrix.shape[0], dtype=bool)
