"""Independent draws: worlds whose past says nothing about what comes next. Time counts draws."""

from typing import ClassVar, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .base import ContinuousSystem, DType, Real, Trajectory, equal_times, float_dtype, iterate
from .laws import gaussian_cdf


def _recorded_draws(draw, key, num_steps, dtype) -> Trajectory:
    start = jnp.zeros((1,), float_dtype(dtype))
    states = iterate(draw, key, start, num_steps, record_start=False)
    return Trajectory(equal_times(num_steps, 1, start.dtype), states, states[:, 0])


@final
class IIDGaussian(ContinuousSystem):
    """X' ~ N(mean, sd^2), whatever came before (arXiv 2402.00795: mean 0, sd 1)."""

    mean: Real = 0.0
    sd: Real = 1.0
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        def draw(key, state):
            return self.mean + self.sd * jax.random.normal(key, state.shape, state.dtype)

        return _recorded_draws(draw, key, num_steps, dtype)

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return gaussian_cdf(x, self.transition_mean(state), self.transition_sd(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.asarray(self.mean, state.dtype)

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.abs(jnp.asarray(self.sd, state.dtype))


@final
class IIDUniform(ContinuousSystem):
    """X' ~ U(low, high), whatever came before; low < high (arXiv 2402.00795: 0 and 1)."""

    low: Real = 0.0
    high: Real = 1.0
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        def draw(key, state):
            return self.low + (self.high - self.low) * jax.random.uniform(key, state.shape, state.dtype)

        return _recorded_draws(draw, key, num_steps, dtype)

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return jnp.clip((x - self.low) / (self.high - self.low), 0, 1).astype(state.dtype)

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.asarray((self.low + self.high) / 2, state.dtype)

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.asarray((self.high - self.low) / 12**0.5, state.dtype)
