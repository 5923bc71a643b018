"""Principal components of node representations against the graph's own coordinates.

Eigenvalues of grids and rings repeat, so that single vectors are arbitrary: only subspaces are compared.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .energy import centred_rows
from .laplacian import laplacian_modes

Rows = Float[Array, "node width"]
Adjacency = Float[Array, "node node"]
Seen = Bool[Array, " node"] | None
SAME = 1e-3
"""Eigenvalues that differ by less are one."""


class Components(NamedTuple):
    """``scores`` of nodes (NaN where not seen), each component's ``share`` of the variance, its direction in a row."""

    scores: Float[Array, "node k"]
    share: Float[Array, " k"]
    directions: Float[Array, "k width"]


class Procrustes(NamedTuple):
    """``aligned``: the source after rotation or reflection, scale and shift; ``disparity``: 1 - its R², 0 to 1."""

    aligned: Float[Array, "node k"]
    disparity: Float[Array, ""]


def principal_components(rows: Rows, k: int, seen: Seen = None) -> Components:
    """The first ``k`` principal components over the nodes that were seen."""
    left, values, right = jnp.linalg.svd(centred_rows(rows, seen), full_matrices=False)
    scores = left[:, :k] * values[:k]
    if seen is not None:
        scores = jnp.where(seen[:, None], scores, jnp.nan)
    return Components(scores, values[:k] ** 2 / jnp.sum(values**2), right[:k])


def subspace_alignment(rows: Rows, adjacency: Adjacency, k: int, seen: Seen = None) -> Float[Array, ""]:
    """‖U_kᵀ Z‖_F² / k of the first ``k`` left singular vectors with the ``k`` smoothest modes, 0 to 1.

    Chance is about k / (n - 1). Where ``k`` cuts a group of equal eigenvalues the whole group counts as smooth, since
    no part of it is distinguished. Nodes that were not seen are at the centre.
    """
    left = jnp.linalg.svd(centred_rows(rows, seen), full_matrices=False)[0][:, :k]
    modes = laplacian_modes(adjacency)
    smooth = (modes.values <= modes.values[k] + SAME) & (jnp.arange(len(modes.values)) > 0)
    return jnp.sum((left.T @ modes.vectors) ** 2 * smooth) / k


def procrustes(source: Float[Array, "node k"], target: Float[Array, "node k"], seen: Seen = None) -> Procrustes:
    """The similarity map (rotation or reflection, scale, shift) of ``source`` onto ``target`` with least squares.

    Nodes that were not seen do not count; they are NaN in ``aligned``.
    """
    weight = jnp.ones(source.shape[0]) if seen is None else seen.astype(source.dtype)
    weight = weight[:, None] / jnp.sum(weight)
    clean = jnp.where(weight > 0, source, 0)
    middle, onto = jnp.sum(weight * clean, axis=0), jnp.sum(weight * target, axis=0)
    a, b = jnp.where(weight > 0, clean - middle, 0), jnp.where(weight > 0, target - onto, 0)
    left, values, right = jnp.linalg.svd(a.T @ b)
    size, wanted = jnp.sum(a * a), jnp.sum(b * b)
    scale = jnp.sum(values) / size
    moved = scale * (clean - middle) @ (left @ right) + onto
    return Procrustes(jnp.where(weight > 0, moved, jnp.nan), 1 - jnp.sum(values) ** 2 / (size * wanted))
