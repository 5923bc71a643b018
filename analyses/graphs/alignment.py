"""Principal components of node representations against the graph's own coordinates.

Eigenvalues of grids and rings repeat, so that single vectors are arbitrary: only subspaces are compared. Nodes that
were not ``seen`` are dropped from both sides.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .energy import centred_rows
from .laplacian import check_count, laplacian_modes

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


@functools.partial(jax.jit, static_argnames="k")
def principal_components(rows: Rows, k: int, seen: Seen = None) -> Components:
    """The first ``k`` principal components over the nodes that were seen.

    Raises:
        ValueError: ``k`` outside 1 ... min(n - 1, width).
    """
    check_count(k, min(rows.shape[0] - 1, rows.shape[1]), "components")
    left, values, right = jnp.linalg.svd(centred_rows(rows, seen), full_matrices=False)
    scores = left[:, :k] * values[:k]
    if seen is not None:
        scores = jnp.where(seen[:, None], scores, jnp.nan)
    return Components(scores, values[:k] ** 2 / jnp.sum(values**2), right[:k])


def _basis(columns: Float[Array, "node m"], seen: Seen) -> Float[Array, "node basis"]:
    """Orthonormal columns that span the centred ``columns``, strongest first, and zeros for the directions missing."""
    left, values, _ = jnp.linalg.svd(centred_rows(columns, seen), full_matrices=False)
    least = columns.shape[0] * jnp.finfo(columns.dtype).eps * values[0]
    return jnp.where(values > least, left, 0)


def _shared(a: Float[Array, "node k"], b: Float[Array, "node m"]) -> Float[Array, ""]:
    return jnp.sum(jnp.matmul(a.T, b, precision="highest") ** 2)


@functools.partial(jax.jit, static_argnames="k")
def subspace_alignment(rows: Rows, adjacency: Adjacency, k: int, seen: Seen = None) -> Float[Array, ""]:
    """‖U_kᵀ Z‖_F² / k of the first ``k`` left singular vectors with the ``k`` smoothest modes, 0 to 1.

    Chance is about k / (n - 1). Where ``k`` cuts a group of equal eigenvalues the whole group counts as smooth, since
    no part of it is distinguished. With nodes unseen Z spans the modes' values at the others, about their mean. NaN
    where no more than ``k`` nodes were seen or all rows are the same.

    Raises:
        ValueError: ``k`` outside 1 ... min(n - 1, width).
    """
    check_count(k, min(rows.shape[0] - 1, rows.shape[1]), "components")
    left = _basis(rows, seen)[:, :k]
    modes = laplacian_modes(adjacency)
    smooth = (modes.values <= modes.values[k] + SAME) & (jnp.arange(len(modes.values)) > 0)
    found = _shared(left, _basis(jnp.where(smooth, modes.vectors, 0), seen)) / k
    number = rows.shape[0] if seen is None else jnp.sum(seen)
    return jnp.where((number > k) & (jnp.sum(left**2) > 0), found, jnp.nan)


@jax.jit
def alignment_of_scores(
    scores: Float[Array, "node k"], targets: Float[Array, "node m"], seen: Seen = None
) -> Float[Array, ""]:
    """‖Q_scoresᵀ Q_targets‖_F² / min(k, m), 1 if one span holds the other: of any components with any modes.

    Both are centred over the nodes seen; their own turns and scales do not matter. Chance is about max(k, m) / (n - 1).
    NaN where no more than max(k, m) nodes were seen, or one side is constant.
    """
    bases = [_basis(side, seen) for side in (scores, targets)]
    found = _shared(*bases) / min(scores.shape[1], targets.shape[1])
    number = scores.shape[0] if seen is None else jnp.sum(seen)
    known = jnp.asarray(number > max(scores.shape[1], targets.shape[1]))
    for basis in bases:
        known &= jnp.sum(basis**2) > 0
    return jnp.where(known, found, jnp.nan)


@jax.jit
def procrustes(source: Float[Array, "node k"], target: Float[Array, "node k"], seen: Seen = None) -> Procrustes:
    """The similarity map (rotation or reflection, scale, shift) of ``source`` onto ``target`` with least squares.

    Nodes that were not seen do not count; they are NaN in ``aligned``.
    """
    weight = jnp.ones(source.shape[0], source.dtype) if seen is None else seen.astype(source.dtype)
    weight = weight[:, None] / jnp.sum(weight)
    clean, wanted = (jnp.where(weight > 0, x, 0) for x in (source, target))
    middle, onto = jnp.sum(weight * clean, axis=0), jnp.sum(weight * wanted, axis=0)
    a, b = jnp.where(weight > 0, clean - middle, 0), jnp.where(weight > 0, wanted - onto, 0)
    left, values, right = jnp.linalg.svd(jnp.matmul(a.T, b, precision="highest"))
    turn = jnp.matmul(left, right, precision="highest")
    moved = jnp.sum(values) / jnp.sum(a * a) * jnp.matmul(a, turn, precision="highest") + onto
    disparity = 1 - jnp.sum(values) ** 2 / (jnp.sum(a * a) * jnp.sum(b * b))
    return Procrustes(jnp.where(weight > 0, moved, jnp.nan), disparity)


@jax.jit
def aligned_sequence(
    frames: Float[Array, "frame node k"], reference: Float[Array, "node k"]
) -> Float[Array, "frame node k"]:
    """Every frame by its own :func:`procrustes` map onto ``reference``, so that only changes of shape are left to see.

    Nodes with NaN in a frame were not seen there and stay NaN.
    """

    def one(frame: Array) -> Array:
        return procrustes(frame, reference, jnp.all(jnp.isfinite(frame), axis=1)).aligned

    return jax.vmap(one)(frames)
