r"""How the variance of node representations is spread over the modes of a graph.

.. math:: p_k = \|H_c^\top z^{(k)}\|^2 / \|H_c\|^2, \qquad R = \frac{n-1}{2|E|} \sum_k p_k \lambda_k

with centred rows :math:`H_c` and Laplacian eigenpairs :math:`(\lambda_k, z^{(k)})`. High modes (parity on bipartite
graphs) are what a picture of two components hides. Where eigenvalues repeat only the sum over them is determined.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .laplacian import laplacian_modes


@jax.jit
def graph_fourier_power(
    rows: Float[Array, "node width"], adjacency: Float[Array, "node node"]
) -> Float[Array, " mode"]:
    """p_k for every mode but the constant one, ``[node - 1]``, smooth first; they sum to 1."""
    centred = rows - rows.mean(axis=0)
    modes = laplacian_modes(adjacency).vectors[:, 1:]
    power = jnp.sum(jnp.matmul(modes.T, centred, precision="highest") ** 2, axis=1)
    return power / jnp.sum(centred**2)


@jax.jit
def circulant_power(rows: Float[Array, "node width"]) -> Float[Array, " step"]:
    """Share of the variance in each plane of the discrete Fourier transform of nodes in a circle, ``[n // 2]``.

    Entry k - 1 is the harmonic k, the plane (cos, sin)(2π k i / n) of nodes i; for even n the last is a line. The
    shares sum to 1. :func:`ring_harmonic` says in which of them a ring is a circle.
    """
    number = rows.shape[0]
    centred = rows - rows.mean(axis=0)
    angle = 2 * jnp.pi * jnp.outer(jnp.arange(1, number // 2 + 1), jnp.arange(number)) / number
    parts = (jnp.matmul(wave, centred, precision="highest") for wave in (jnp.cos(angle), jnp.sin(angle)))
    power = sum(jnp.sum(part**2, axis=1) for part in parts)
    # A plane's two waves have squared length n/2, the line of even n has n.
    power = power * jnp.where(2 * jnp.arange(1, number // 2 + 1) == number, 1, 2) / number
    return power / jnp.sum(centred**2)


def ring_harmonic(number: int, step: int) -> int:
    """The harmonic k, 1 to n // 2, in which the ring that joins i and i + ``step`` is a circle: k step = ±1 (mod n).

    It is the ring's smoothest mode. A ring of step 3 on seven nodes is in harmonic 2, one of step 2 in harmonic 3.

    Raises:
        ValueError: ``step`` and ``number`` have a common divisor, so that the step makes several rings.
    """
    if math.gcd(number, step) != 1:
        raise ValueError(f"Got step {step} on {number} nodes. Expected no common divisor. Choose another step.")
    inverse = pow(step, -1, number)
    return min(inverse, number - inverse)
