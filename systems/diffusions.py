"""Diffusions whose law one interval ahead is known in closed form. Defaults are those of arXiv 2402.00795."""

from typing import ClassVar, final

import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .base import ContinuousSystem, DType, Real, Trajectory, equal_times, float_dtype, iterate
from .integrate import euler_maruyama
from .laws import gaussian_cdf


def _recorded_from_start(step, key, start, num_steps, interval, dtype) -> Trajectory:
    start = jnp.full((1,), start, float_dtype(dtype))
    states = iterate(step, key, start, num_steps, record_start=True)
    return Trajectory(equal_times(num_steps, interval, start.dtype), states, states[:, 0])


@final
class BrownianMotion(ContinuousSystem):
    """dX = a dt + sigma dW, seen every ``interval`` from ``start``: X' ~ N(x + a Δ, sigma^2 Δ).

    The Euler step of constant coefficients has exactly this law.
    """

    drift: Real = 0.0
    sigma: Real = 0.8
    interval: Real = 0.2
    start: Real = 0.0
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        def step(key, state):
            return euler_maruyama(
                lambda x: jnp.full_like(x, self.drift),
                lambda x: jnp.full_like(x, self.sigma),
                key,
                state,
                self.interval,
            )

        return _recorded_from_start(step, key, self.start, num_steps, self.interval, dtype)

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return gaussian_cdf(x, self.transition_mean(state), self.transition_sd(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return state[0] + self.drift * self.interval

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.broadcast_to(jnp.abs(self.sigma) * jnp.sqrt(self.interval), ()).astype(state.dtype)


@final
class GeometricBrownianMotion(ContinuousSystem):
    """dX = a X dt + sigma X dW (Ito), seen every ``interval`` from ``start`` > 0; log-normal:

    log X' ~ N(log x + (a - sigma^2 / 2) Δ, sigma^2 Δ).

    Sampled in the logarithm, where the equation has constant coefficients and the Euler step is exact in law:
    no discretisation error at any parameters. With the default a = sigma^2 / 2 the logarithm has no drift.
    The published series are ``PublishedGeometricBrownianMotion``.
    """

    drift: Real = 0.18
    sigma: Real = 0.6
    interval: Real = 0.2
    start: Real = 10.0
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        def step(key, state):
            log_growth = euler_maruyama(
                lambda z: jnp.full_like(z, self.drift - self.sigma**2 / 2),
                lambda z: jnp.full_like(z, self.sigma),
                key,
                jnp.zeros_like(state),
                self.interval,
            )
            return state * jnp.exp(log_growth)

        return _recorded_from_start(step, key, self.start, num_steps, self.interval, dtype)

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        positive = jnp.asarray(x) > 0
        log_ratio = jnp.log(jnp.where(positive, x, 1.0) / state[0])
        mean = (self.drift - self.sigma**2 / 2) * self.interval
        cdf = gaussian_cdf(log_ratio, mean, jnp.abs(self.sigma) * jnp.sqrt(self.interval))
        return jnp.where(positive, cdf, 0.0).astype(state.dtype)

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return state[0] * jnp.exp(self.drift * self.interval)

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return self.transition_mean(state) * jnp.sqrt(jnp.expm1(self.sigma**2 * self.interval))


@final
class PublishedGeometricBrownianMotion(ContinuousSystem):
    """X' = x + a Δ + sigma x sqrt(Δ) eps, the "geometric" Brownian motion of the published series:

    X' ~ N(x + a Δ, (sigma x)^2 Δ). The drift is added, not multiplied, and the Euler step of
    dX = a dt + sigma X dW is itself the system: its law is exactly Gaussian, and paths may turn negative.
    """

    drift: Real = 0.18
    sigma: Real = 0.6
    interval: Real = 0.2
    start: Real = 10.0
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        def step(key, state):
            return euler_maruyama(
                lambda x: jnp.full_like(x, self.drift), lambda x: self.sigma * x, key, state, self.interval
            )

        return _recorded_from_start(step, key, self.start, num_steps, self.interval, dtype)

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return gaussian_cdf(x, self.transition_mean(state), self.transition_sd(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return state[0] + self.drift * self.interval

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.abs(self.sigma * state[0]) * jnp.sqrt(self.interval)
