r"""Temperatures of a law of numbers, by name: of the number as a whole, or of each of its digits.

The third, that of the model's softmax over its vocabulary, is the second where only digits can follow.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Tempering = Literal["number", "digit"]


def tempered(
    log_mass: Float[Array, " bin"],
    temperature: float | Float[Array, ""],
    tempering: Tempering,
    branch: tuple[int, ...],
) -> Float[Array, " bin"]:
    r"""Normalised log mass at ``temperature`` T > 0: sharper below 1, flatter above.

    .. math:: \text{number: } m_T(x) \propto m(x)^{1/T}, \qquad
              \text{digit: } m_T(d_1 .. d_D) = \prod_k \frac{P(d_k \mid d_1 .. d_{k-1})^{1/T}}{\sum_d P(d \mid
              d_1 .. d_{k-1})^{1/T}}

    ``"number"`` is what Liu et al. (arXiv 2402.00795) do to their laws; ``"digit"`` is what sampling token by token
    at T does. They agree at T = 1, and for numbers of one token; below 1 the second can miss the mode of the first.

    Args:
        branch: children at every level of the digit tree, as ``NumberCodec.branch``.
    """
    if tempering == "number":
        return jax.nn.log_softmax(log_mass / temperature)
    mass = log_mass.reshape(branch)
    law = jnp.zeros_like(mass)
    for level in range(len(branch), 0, -1):
        # a prefix without mass has no law of its next digit; what lies below it has none whatever it is
        conditional = jax.nn.log_softmax(jnp.where(jnp.any(mass > -jnp.inf, -1, keepdims=True), mass, 0) / temperature)
        law = law + conditional.reshape(*branch[:level], *(1,) * (len(branch) - level))
        mass = jax.nn.logsumexp(mass, axis=-1)
    return law.reshape(-1)
