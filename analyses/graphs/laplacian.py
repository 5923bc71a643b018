"""The graph Laplacian and its modes: the spectral embedding draws grids and rings without knowing coordinates."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Adjacency = Float[Array, "node node"]


class Modes(NamedTuple):
    """Eigenvalues ascending, and orthonormal eigenvectors in columns; the first is constant, with eigenvalue 0."""

    values: Float[Array, " node"]
    vectors: Float[Array, "node node"]


def laplacian(adjacency: Adjacency) -> Adjacency:
    """L = D - A."""
    return jnp.diag(adjacency.sum(axis=1)) - adjacency


def laplacian_modes(adjacency: Adjacency) -> Modes:
    """Eigenpairs of the Laplacian. Equal eigenvalues leave only their common subspace determined."""
    return Modes(*jnp.linalg.eigh(laplacian(adjacency)))


def spectral_embedding(adjacency: Adjacency, k: int) -> Float[Array, "node k"]:
    """The ``k`` smoothest modes but for the constant one: the columns z2, z3, ... (Hall 1970)."""
    return laplacian_modes(adjacency).vectors[:, 1 : k + 1]


def mode_groups(values: Float[Array, " node"], tolerance: float = 1e-3) -> Int[Array, " node"]:
    """Number of the group of equal eigenvalues (within ``tolerance``) to which each mode belongs, 0 first."""
    return jnp.concatenate((jnp.zeros(1, jnp.int32), jnp.cumsum((jnp.diff(values) > tolerance).astype(jnp.int32))))
