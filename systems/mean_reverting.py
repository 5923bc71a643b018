"""Linear diffusions that return to a mean: the Ornstein-Uhlenbeck process and its published Euler chain."""

from typing import ClassVar, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .base import ContinuousSystem, DType, Real, Trajectory, equal_times, float_dtype, iterate
from .laws import gaussian_cdf


def _expm1_ratio(z):
    """(exp(z) - 1) / z, and 1 at z = 0."""
    zero = z == 0
    # Dividing by 1 in the branch not taken keeps gradients free of NaN.
    return jnp.where(zero, 1.0, jnp.expm1(z) / jnp.where(zero, 1.0, z))


@final
class OrnsteinUhlenbeck(ContinuousSystem):
    """dX = theta (m - X) dt + sigma dW, seen every ``interval`` Δ from ``start``; its law holds exactly:

    X' ~ N(m + (x - m) exp(-theta Δ), sigma^2 (1 - exp(-2 theta Δ)) / (2 theta)),

    and it is drawn without discretisation, as Doob's Brownian motion in another time:

    X' = m + exp(-theta Δ) (x - m + sigma W(tau)),  tau = (exp(2 theta Δ) - 1) / (2 theta).

    ``theta`` = 0 is Brownian motion; for ``theta`` > 0 the stationary law is N(m, sigma^2 / (2 theta)). The
    published Euler chain is ``CorrelatedGaussian``.
    """

    theta: Real = 0.5
    sigma: Real = 0.8
    mean: Real = 0.0
    interval: Real = 0.2
    start: Real = 0.0
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        start = jnp.full((1,), self.start, float_dtype(dtype))

        growth = jnp.asarray(2 * self.theta * self.interval, start.dtype)
        clock = self.interval * _expm1_ratio(growth)

        def step(key, state):
            moved = state - self.mean + self.sigma * jnp.sqrt(clock) * jax.random.normal(key, (1,), state.dtype)
            return self.mean + jnp.exp(-growth / 2) * moved

        states = iterate(step, key, start, num_steps, record_start=True)
        return Trajectory(equal_times(num_steps, self.interval, start.dtype), states, states[:, 0])

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return gaussian_cdf(x, self.transition_mean(state), self.transition_sd(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return self.mean + (state[0] - self.mean) * jnp.exp(-self.theta * self.interval)

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        reversion = jnp.asarray(-2 * self.theta * self.interval, state.dtype)
        return (jnp.abs(self.sigma) * jnp.sqrt(self.interval * _expm1_ratio(reversion))).astype(state.dtype)


@final
class CorrelatedGaussian(ContinuousSystem):
    """X' = x + a Δ - theta Δ x + sigma sqrt(Δ) eps, the correlated Gaussian series of arXiv 2402.00795:

    X' ~ N(x + a Δ - theta Δ x, sigma^2 Δ). The Euler step of the Ornstein-Uhlenbeck equation is itself the
    system, an autoregression of first order: with the defaults 0.9 x + 0.3578 eps, of stationary standard
    deviation sigma sqrt(Δ / (1 - (1 - theta Δ)^2)) = 0.821.
    """

    drift: Real = 0.0
    theta: Real = 0.5
    sigma: Real = 0.8
    interval: Real = 0.2
    start: Real = 0.0
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        start = jnp.full((1,), self.start, float_dtype(dtype))

        def step(key, state):
            noise = jax.random.normal(key, state.shape, state.dtype)
            pull = self.drift - self.theta * state
            return state + pull * self.interval + self.sigma * jnp.sqrt(self.interval) * noise

        states = iterate(step, key, start, num_steps, record_start=True)
        return Trajectory(equal_times(num_steps, self.interval, start.dtype), states, states[:, 0])

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return gaussian_cdf(x, self.transition_mean(state), self.transition_sd(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return state[0] + (self.drift - self.theta * state[0]) * self.interval

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return (jnp.abs(self.sigma) * jnp.sqrt(self.interval)).astype(state.dtype)
