"""How far a predicted law is from the true one, on the same grid.

All take ``log_mass`` [bin] = ln m (the model) and ``truth_mass`` [bin] = q, both summing to 1, and give one
number. Cells may have zero mass on either side; gradients are finite there (see :mod:`analyses.log_space`).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from .log_space import log_sum_exp, safe_log, safe_sqrt


def bhattacharyya_distance(log_mass: Float[Array, " bin"], truth_mass: Float[Array, " bin"]) -> Float[Array, ""]:
    """D_B = −ln Σ_i √(m_i q_i), in nats; 0 for equal laws, +∞ for laws without a common cell.

    For a point mass in cell b it is −½ ln m_b. Source: the stochastic loss of arXiv 2402.00795.
    """
    return -log_sum_exp(0.5 * (log_mass + safe_log(truth_mass)))


def kl_divergence(log_mass: Float[Array, " bin"], truth_mass: Float[Array, " bin"]) -> Float[Array, ""]:
    """KL(q‖m) = Σ_i q_i ln(q_i / m_i), in nats, of the model m from the truth q.

    Cells with q = 0 contribute 0 whatever the model says; a cell with q > 0 and m = 0 makes it +∞.
    """
    occupied = truth_mass != 0
    excess = jnp.log(jnp.where(occupied, truth_mass, 1)) - jnp.where(occupied, log_mass, 0)
    return jnp.sum(jnp.where(occupied, truth_mass * excess, 0))


def total_variation(log_mass: Float[Array, " bin"], truth_mass: Float[Array, " bin"]) -> Float[Array, ""]:
    """TV = ½ Σ_i |m_i − q_i|, in [0, 1]."""
    return 0.5 * jnp.sum(jnp.abs(jnp.exp(log_mass) - truth_mass))


def hellinger(log_mass: Float[Array, " bin"], truth_mass: Float[Array, " bin"]) -> Float[Array, ""]:
    """H = √(½ Σ_i (√m_i − √q_i)²), in [0, 1]; H² = 1 − exp(−D_B)."""
    gap = jnp.exp(0.5 * log_mass) - safe_sqrt(truth_mass)
    return safe_sqrt(0.5 * jnp.sum(gap**2))


def gaussian_bhattacharyya(
    mean: Float[Array, ""], sd: Float[Array, ""], other_mean: Float[Array, ""], other_sd: Float[Array, ""]
) -> Float[Array, ""]:
    """D_B between two Gaussians: (Δμ)² / [4(σ₁²+σ₂²)] + ½ ln[(σ₁²+σ₂²) / (2σ₁σ₂)].

    Unchanged by any affine map of the axis, so it needs no units; standard deviations must be positive.
    """
    total = sd**2 + other_sd**2
    return (mean - other_mean) ** 2 / (4 * total) + 0.5 * jnp.log(total / (2 * sd * other_sd))
