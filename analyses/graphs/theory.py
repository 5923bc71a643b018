r"""The representations that minimise the Dirichlet energy: the Laplacian's own modes.

Rows of singular values σ₁ > σ₂ > ... have energy :math:`2 \sum_k \sigma_k^2 u_k^\top L u_k`, which is least when the
largest goes with the smoothest left vector (Ky Fan). With the constant mode excluded (rows centred) the first
principal components are then z₂, z₃, ...: theorem 5.1 of Park et al., arXiv 2501.00070.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .energy import dirichlet_energy
from .laplacian import check_count, laplacian, laplacian_modes


class Descent(NamedTuple):
    """Rows at the end, and the energy before every step."""

    rows: Float[Array, "node rank"]
    energy: Float[Array, " step"]


@jax.jit
def minimal_energy_rows(
    adjacency: Float[Array, "node node"], singular_values: Float[Array, " rank"]
) -> Float[Array, "node rank"]:
    """Centred rows of least energy with these singular values (descending): the modes, scaled.

    Raises:
        ValueError: more than n - 1 singular values, or none.
    """
    check_count(singular_values.shape[0], adjacency.shape[0] - 1, "singular values")
    return laplacian_modes(adjacency).vectors[:, 1 : 1 + singular_values.shape[0]] * singular_values


@jax.jit
def minimal_energy(adjacency: Float[Array, "node node"], singular_values: Float[Array, " rank"]) -> Float[Array, ""]:
    """2 Σ σ_k² λ_{k+1}, singular values descending.

    Raises:
        ValueError: more than n - 1 singular values, or none.
    """
    check_count(singular_values.shape[0], adjacency.shape[0] - 1, "singular values")
    values = laplacian_modes(adjacency).values[1 : 1 + singular_values.shape[0]]
    return 2 * jnp.sum(singular_values**2 * values)


@functools.partial(jax.jit, static_argnames="steps")
def descend_energy(
    key: Key[Array, ""],
    adjacency: Float[Array, "node node"],
    singular_values: Float[Array, " rank"],
    steps: int = 500,
) -> Descent:
    """Gradient descent of the energy over centred rows whose singular values stay as given, from random rows.

    The orthonormal factor moves against the gradient and is brought back by a QR factorisation; the step is one over
    the largest curvature, so that the energy falls at every step.

    Raises:
        ValueError: more than n - 1 singular values, or none.
    """
    check_count(singular_values.shape[0], adjacency.shape[0] - 1, "singular values")
    number, rank = adjacency.shape[0], singular_values.shape[0]
    rate = 1 / (4 * jnp.max(laplacian_modes(adjacency).values) * jnp.max(singular_values) ** 2)
    centre = jnp.eye(number) - 1 / number

    def orthonormal(u: Array) -> Array:
        q, r = jnp.linalg.qr(jnp.matmul(centre, u, precision="highest"))
        return q * jnp.sign(jnp.diagonal(r))

    def step(u: Array, _: None) -> tuple[Array, Array]:
        rows = u * singular_values
        slope = 4 * jnp.matmul(laplacian(adjacency), rows, precision="highest") * singular_values
        return orthonormal(u - rate * slope), dirichlet_energy(rows, adjacency)

    start = orthonormal(jax.random.normal(key, (number, rank)))
    u, energy = jax.lax.scan(step, start, None, length=steps)
    return Descent(u * singular_values, energy)
