"""How far the predicted mean is from the true one: the loss for deterministic systems.

The paper (arXiv 2402.00795) calls its loss SDM, the *squared* deviation from the mean. Its published curves
and exponents (logistic map −0.88, Lorenz −0.39) are of the **absolute** deviation in display units [0, 10);
squaring gives −1.16 and −0.70. Both are here under the names of what they are.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def absolute_deviation(model_mean: Float[Array, "*shape"], true_mean: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """|μ_model − μ_true|, in the units of its arguments: the paper's published "SDM"."""
    return jnp.abs(model_mean - true_mean)


def squared_deviation(model_mean: Float[Array, "*shape"], true_mean: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """(μ_model − μ_true)², in squared units: what the name SDM says."""
    return (model_mean - true_mean) ** 2
