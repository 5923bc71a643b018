"""Directions of activation space: the angles between them, and how far along one a probe's reading moves by so much."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def cosine_matrix(
    a: Float[Array, "direction width"], b: Float[Array, "other width"]
) -> Float[Array, "direction other"]:
    """Cosines a·b / (‖a‖ ‖b‖) of all pairs; 0 with a vector of length 0. Independent directions have ±1/√width."""
    return jnp.matmul(_unit(a), _unit(b).T, precision="highest")


def composition(direction: Float[Array, " width"], matrix: Float[Array, "row width"]) -> Float[Array, " row"]:
    """Cosines of a probe's direction with every row of a weight matrix.

    Rows of an input matrix [neuron, width] say what a neuron reads, columns of an output matrix (transpose it) what it
    writes; rows of the embedding and the unembedding, which words mean the direction.

    Source: the code of arXiv 2310.02207.
    """
    return cosine_matrix(direction[None], matrix)[0]


def read_out_dose(weights: Float[Array, " width"], sd: float | Float[Array, ""]) -> Float[Array, " width"]:
    r"""The shortest step v that moves a probe's read-out w·x by ``sd``; NaN for a probe of zeros, which no step moves.

    .. math:: v = \mathrm{sd}\; w / \|w\|^2, \qquad w^\top v = \mathrm{sd}, \qquad \|v\| = |\mathrm{sd}| / \|w\|

    ``sd`` is in the units of w·x: one standard deviation of the target as the probe was fitted.
    """
    largest = jnp.max(jnp.abs(weights))
    here = largest > 0
    scaled = weights / jnp.where(here, largest, 1)  # ‖w‖² itself may lie outside the range of the dtype
    return jnp.where(here, scaled / jnp.maximum(jnp.sum(scaled**2), 1) * (sd / jnp.where(here, largest, 1)), jnp.nan)


def random_directions(
    key: Key[Array, ""], count: int, width: int, norm: float | Float[Array, ""] = 1.0
) -> Float[Array, "{count} {width}"]:
    """Isotropic directions, all of length ``norm``: the control of a step along a probe's direction.

    Raises:
        ValueError: ``count`` < 1 or ``width`` < 1.
    """
    if count < 1 or width < 1:
        raise ValueError(
            f"random_directions: got {count} directions of width {width}; expected at least 1 of each; "
            "use the width of the activations"
        )
    return norm * _unit(jax.random.normal(key, (count, width), jnp.result_type(norm, float)))


def _unit(rows: Float[Array, "row width"]) -> Float[Array, "row width"]:
    length = jnp.linalg.norm(rows, axis=-1, keepdims=True)
    return rows / jnp.where(length > 0, length, 1)
