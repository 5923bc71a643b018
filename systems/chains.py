"""Finite Markov chains and two laws of random transition matrices."""

from typing import final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from .base import DType, SymbolicSystem, Trajectory, float_dtype, iterate


@final
class MarkovChain(SymbolicSystem):
    """P(next symbol = j | symbol i) = ``transition[i, j]``; the start is recorded as the first symbol.

    Raises ValueError when ``transition`` is not square or, where its values are known, a row is not a law.
    """

    transition: Float[Array, "symbol next"]
    start: int | Int[Array, ""] = 0

    def __check_init__(self) -> None:
        if self.transition.ndim != 2 or self.transition.shape[0] != self.transition.shape[1]:
            raise ValueError(
                f"Got transition of shape {self.transition.shape}. Expected [n, n], one row a symbol. "
                "Draw one with uniform_rows or dirichlet_rows."
            )
        if isinstance(self.transition, jax.core.Tracer):
            return
        rows = np.asarray(self.transition)
        if not (np.all(rows >= 0) and np.allclose(rows.sum(axis=1), 1, atol=1e-4)):
            raise ValueError(
                f"Got rows of transition that sum to {rows.sum(axis=1)}. "
                "Expected non-negative rows that sum to 1. Divide each row by its sum."
            )

    @property
    def num_symbols(self) -> int:
        return self.transition.shape[-1]

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        def step(key, state):
            return jax.random.categorical(key, jnp.log(self.transition[state[0]]), shape=(1,))

        start = jnp.full((1,), self.start, jnp.int32)
        states = iterate(step, key, start, num_steps, record_start=True)
        return Trajectory(jnp.arange(num_steps, dtype=float_dtype(dtype)), states, states[:, 0])

    def transition_row(self, state: Int[Array, " dim"]) -> Float[Array, " symbol"]:
        return self.transition[state[0]]


def uniform_rows(key: Key[Array, ""], num_symbols: int) -> Float[Array, "symbol symbol"]:
    """Rows P_ij = U_ij / sum_j U_ij with U_ij ~ U(0, 1) independent (arXiv 2402.00795)."""
    # Uniforms on (0, 1]: a row of zeros would have no law.
    weights = 1 - jax.random.uniform(key, (num_symbols, num_symbols), float_dtype())
    return weights / weights.sum(axis=1, keepdims=True)


def dirichlet_rows(key: Key[Array, ""], num_symbols: int, concentration: float) -> Float[Array, "symbol symbol"]:
    """Rows drawn independently from the symmetric Dirichlet law: small ``concentration``, sure rows."""
    alpha = jnp.full((num_symbols,), concentration, float_dtype())
    return jax.random.dirichlet(key, alpha, (num_symbols,), float_dtype())
