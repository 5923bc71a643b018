"""The logistic map, without noise and with noise inside the map. Time counts steps; the start is step 0."""

from typing import ClassVar, Literal, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Bool, Float, Key

from .base import ContinuousSystem, DType, Real, Trajectory, float_dtype, iterate
from .laws import gaussian_cdf, point_mass_cdf


def _recorded_after_start(step, key, start, num_steps, dtype) -> Trajectory:
    states = iterate(step, key, jnp.full((1,), start, dtype), num_steps, record_start=False)
    return Trajectory(jnp.arange(1, num_steps + 1, dtype=dtype), states, states[:, 0])


@final
class LogisticMap(ContinuousSystem):
    """x' = r x (1 - x).

    ``start=None`` draws 0.7 u, u ~ U(0, 1), as in arXiv 2402.00795. The start is not recorded:
    ``observed[0]`` is one step after it.
    """

    r: Real = 3.9
    start: Real | None = None
    deterministic: ClassVar[bool] = True
    seen: ClassVar[int] = 1

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        dtype = float_dtype(dtype)
        start_key, path_key = jax.random.split(key)
        start = 0.7 * jax.random.uniform(start_key, (), dtype) if self.start is None else self.start
        return _recorded_after_start(lambda key, x: self.r * x * (1 - x), path_key, start, num_steps, dtype)

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return point_mass_cdf(x, self.transition_mean(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return self.r * state[0] * (1 - state[0])

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.zeros((), state.dtype)


@final
class NoisyLogisticMap(ContinuousSystem):
    """x' = r y (1 - y),  y = x + sigma eps,  eps ~ N(0, 1);  r > 0, sigma > 0.

    ``law="exact"``: x' = r/4 - r (y - 1/2)^2 never exceeds r/4, and with s = sqrt(1/4 - q/r)

        P(x' <= q) = P(y <= 1/2 - s) + P(y >= 1/2 + s)  for q < r/4,  1 otherwise.

    ``law="gaussian"``: N(r x (1 - x), (sigma r |1 - 2x|)^2), the first-order law arXiv 2402.00795 scores
    against. It misses the shift -r sigma^2 of the mean and the bound r/4, and shrinks to a point at x = 1/2.
    Samples are the same under both laws.

    The noise can push y out of [0, 1]; the path may then run to minus infinity (most paths of 1000 steps do,
    with the defaults). Nothing is clipped or reflected, which would change the law: select paths with
    ``bounded``. Selection on the past of x_t leaves its law as stated; selecting whole paths, as the paper
    does, tilts it slightly.
    """

    r: Real = 3.9
    sigma: Real = 0.0136
    start: Real = 0.5
    law: Literal["exact", "gaussian"] = eqx.field(static=True, default="exact")
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def __check_init__(self) -> None:
        if self.law not in ("exact", "gaussian"):
            raise ValueError(
                f"Got law={self.law!r}. Expected 'exact' or 'gaussian'. Use 'exact' unless comparing with the paper."
            )

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        def step(key, x):
            y = x + self.sigma * jax.random.normal(key, x.shape, x.dtype)
            return self.r * y * (1 - y)

        return _recorded_after_start(step, key, self.start, num_steps, float_dtype(dtype))

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        if self.law == "gaussian":
            return gaussian_cdf(x, self.transition_mean(state), self.transition_sd(state))
        depth = 0.25 - x / self.r
        below_top = depth > 0
        # The square root of 1 in the branch not taken keeps gradients free of NaN.
        half_width = jnp.sqrt(jnp.where(below_top, depth, 1.0))
        centre = state[0] - 0.5
        # The sum of the two tails, not one minus the middle: small probabilities keep their digits.
        tails = ndtr((-half_width - centre) / self.sigma) + ndtr((centre - half_width) / self.sigma)
        return jnp.where(below_top, tails, 1.0)

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        first_order = self.r * state[0] * (1 - state[0])
        return first_order if self.law == "gaussian" else first_order - self.r * self.sigma**2

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        slope = 1 - 2 * state[0]
        if self.law == "gaussian":
            return self.sigma * self.r * jnp.abs(slope)
        return self.sigma * self.r * jnp.sqrt(slope**2 + 2 * self.sigma**2)


def bounded(trajectory: Trajectory, limit: float = 1.0) -> Bool[Array, ""]:
    """Whether the whole path stayed finite and within [-limit, limit].

    arXiv 2402.00795 keeps the noisy logistic paths that never leave [-1, 1] and discards the others.
    """
    return jnp.all(jnp.abs(trajectory.observed) <= limit)
