"""Recursions of second order: the next value depends on the last two, so the state is (x_t, x_{t-1}).

Time counts steps.
"""

from typing import ClassVar, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .base import ContinuousSystem, DType, Real, Trajectory, equal_times, float_dtype, iterate
from .laws import gaussian_cdf, point_mass_cdf


@final
class Henon(ContinuousSystem):
    """x_{t+1} = 1 - a x_t^2 + b x_{t-1}, the Hénon map in delay form (Hénon 1976: a = 1.4, b = 0.3).

    The usual second coordinate is y_t = b x_{t-1}. The map is invertible and contracts areas by b; with the
    published parameters almost every start near the origin reaches the strange attractor, others escape to
    minus infinity. ``start=None`` draws (0.2 u, 0.2 v), u, v ~ U(0, 1); the start, (x_0, x_{-1}), is not
    recorded: ``observed[0]`` is x_1. The law is a point mass.
    """

    a: Real = 1.4
    b: Real = 0.3
    start: Float[Array, "2"] | None = None
    deterministic: ClassVar[bool] = True
    seen: ClassVar[int] = 2

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        dtype = float_dtype(dtype)
        start_key, path_key = jax.random.split(key)
        start = 0.2 * jax.random.uniform(start_key, (2,), dtype) if self.start is None else self.start.astype(dtype)

        def step(key, state):
            x, before = state
            return jnp.stack([1 - self.a * x**2 + self.b * before, x])

        states = iterate(step, path_key, start, num_steps, record_start=False)
        return Trajectory(1 + equal_times(num_steps, 1, dtype), states, states[:, 0])

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return point_mass_cdf(x, self.transition_mean(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return 1 - self.a * state[0] ** 2 + self.b * state[1]

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.zeros((), state.dtype)


@final
class AutoRegressive2(ContinuousSystem):
    """x_{t+1} = c + phi_1 x_t + phi_2 x_{t-1} + sigma eps:  X' ~ N(c + phi_1 x_t + phi_2 x_{t-1}, sigma^2).

    Stationary when phi_2 > -1 and phi_2 < 1 - |phi_1|. With phi_1^2 + 4 phi_2 < 0 it oscillates: the defaults
    have modulus sqrt(-phi_2) = 0.95 and period 2 pi / arccos(phi_1 / (2 sqrt(-phi_2))) = 7.7 steps, and a
    stationary standard deviation of 3.1 sigma. ``x_0 = x_{-1} = start``, and x_0 is recorded.
    """

    constant: Real = 0.0
    phi_1: Real = 1.3
    phi_2: Real = -0.9
    sigma: Real = 0.5
    start: Real = 0.0
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 2

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        start = jnp.full((2,), self.start, float_dtype(dtype))

        def step(key, state):
            following = self.constant + self.phi_1 * state[0] + self.phi_2 * state[1]
            return jnp.stack([following + self.sigma * jax.random.normal(key, (), state.dtype), state[0]])

        states = iterate(step, key, start, num_steps, record_start=True)
        return Trajectory(equal_times(num_steps, 1, start.dtype), states, states[:, 0])

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return gaussian_cdf(x, self.transition_mean(state), self.transition_sd(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return self.constant + self.phi_1 * state[0] + self.phi_2 * state[1]

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.abs(jnp.asarray(self.sigma, state.dtype))
