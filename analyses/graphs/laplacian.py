"""The graph Laplacian and its modes: the spectral embedding draws grids and rings without knowing coordinates."""

import functools
from typing import NamedTuple

import jax
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


@jax.jit
def laplacian_modes(adjacency: Adjacency) -> Modes:
    """Eigenpairs of the Laplacian. Equal eigenvalues leave only their common subspace determined."""
    return Modes(*jnp.linalg.eigh(laplacian(adjacency)))


@functools.partial(jax.jit, static_argnames="k")
def spectral_embedding(adjacency: Adjacency, k: int) -> Float[Array, "node k"]:
    """The ``k`` smoothest modes but for the constant one: the columns z2, z3, ... (Hall 1970).

    Raises:
        ValueError: ``k`` outside 1 ... n - 1.
    """
    check_count(k, adjacency.shape[0] - 1, "modes")
    return laplacian_modes(adjacency).vectors[:, 1 : k + 1]


def mode_groups(values: Float[Array, " node"], tolerance: float = 1e-3) -> Int[Array, " node"]:
    """Number of the group of equal eigenvalues (within ``tolerance``) to which each mode belongs, 0 first."""
    return jnp.concatenate((jnp.zeros(1, jnp.int32), jnp.cumsum((jnp.diff(values) > tolerance).astype(jnp.int32))))


def check_count(count: int, most: int, what: str) -> None:
    """A slice would silently return fewer columns than were asked for."""
    if not 1 <= count <= most:
        raise ValueError(f"Got {count} {what}. Expected 1 to {most}. Ask for fewer, or take a larger graph.")
