"""A particle in a double well: a world whose law one interval ahead is computed by quadrature, not written down."""

import math
from typing import ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import ndtr
from jaxtyping import Array, Float, Key

from .base import ContinuousSystem, DType, Real, Trajectory, equal_times, float_dtype, iterate
from .integrate import euler_maruyama

# The grid's half width in standard deviations leaves out 2.6e-12; its spacing is then 0.5 to 0.7 of a substep's
# noise s, and the trapezoid rule's relative error on a product of two kernels, exp(-pi^2 s^2 / spacing^2), 1e-9.
_HALF_WIDTH, _NODES_PER_SIDE = 7.0, 13.5


@final
class DoubleWell(ContinuousSystem):
    """Overdamped Langevin motion dX = a (X - X^3) dt + sigma dW with wells at -1 and 1, seen every ``interval``.

    The world is the Euler-Maruyama chain of ``num_substeps`` steps h = interval / num_substeps per interval,

        Y_0 = x,  Y_{i+1} = m(Y_i) + s eps_i,  m(y) = y + h a (y - y^3),  s = sigma sqrt(h),  X' = Y_k.

    Its law is that of Chapman and Kolmogorov: p_{i+1}(y') = integral of p_i(y) N(y'; m(y), s^2) dy, carried over
    k - 1 substeps from the point mass at x, and then P(X' <= q) = integral of p_{k-1}(y) Phi((q - m(y)) / s) dy.
    The trapezoid rule converges geometrically on these kernels: in float64 the error is below 1e-8 while
    a interval <= 1/2 and 3 x^2 <= 2 / (a h) + 2 (with the defaults |x| < 2.4, which no path exceeds). Farther
    out a step overshoots the wells. Everything but the last Phi depends on the state alone, so that ``vmap``
    over q carries the density once.

    Raises ValueError when ``num_substeps`` is less than 1. A far start, |x| > sqrt(1 + 2 / (a h)), makes the chain
    (not the equation) run to infinity. The defaults cross the barrier about once in 75 steps.
    """

    a: Real = 1.0
    sigma: Real = 0.5
    interval: Real = 0.5
    start: Real = 1.0
    num_substeps: int = eqx.field(static=True, default=4)
    deterministic: ClassVar[bool] = False
    seen: ClassVar[int] = 1

    def __check_init__(self) -> None:
        if self.num_substeps < 1:
            raise ValueError(
                f"Got num_substeps={self.num_substeps}. Expected at least 1 Euler step per interval. "
                "Use more for a chain closer to the equation."
            )

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        start = jnp.full((1,), self.start, float_dtype(dtype))

        def step(key, state):
            return euler_maruyama(
                lambda x: self.a * (x - x**3),
                lambda x: jnp.full_like(x, self.sigma),
                key,
                state,
                self.interval,
                num_substeps=self.num_substeps,
            )

        states = iterate(step, key, start, num_steps, record_start=True)
        return Trajectory(equal_times(num_steps, self.interval, start.dtype), states, states[:, 0])

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        means, weights = self._last_step(state)
        return jnp.minimum(weights @ ndtr((x - means) / self._noise(state.dtype)), 1)

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        means, weights = self._last_step(state)
        return weights @ means

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        means, weights = self._last_step(state)
        return jnp.sqrt(self._noise(state.dtype) ** 2 + weights @ (means - weights @ means) ** 2)

    def _noise(self, dtype: DType) -> Float[Array, ""]:
        """s, the standard deviation of one substep."""
        return (jnp.abs(self.sigma) * jnp.sqrt(self.interval / self.num_substeps)).astype(dtype)

    def _moved(self, y: Array) -> Array:
        """m(y), where one substep leads without noise."""
        rate = jnp.asarray(self.interval / self.num_substeps * self.a, y.dtype)
        return y + rate * (y - y**3)

    def _last_step(self, state: Float[Array, " dim"]) -> tuple[Float[Array, " node"], Float[Array, " node"]]:
        """The law of X' as a mixture of N(mean, s^2) over the nodes of Y_{k-1}: their means and weights."""
        if self.num_substeps == 1:
            return self._moved(state[:1]), jnp.ones((1,), state.dtype)
        noise = self._noise(state.dtype)
        expansion = jnp.asarray(1 + self.a * self.interval / self.num_substeps, state.dtype)
        per_side = math.ceil(_NODES_PER_SIDE * math.sqrt(self.num_substeps - 1))
        offsets = _HALF_WIDTH * jnp.linspace(-1.0, 1.0, 2 * per_side + 1, dtype=state.dtype)

        def substep(carry, _):
            centre, variance, nodes, weights = carry
            # m stretches distances by at most 1 + h a near the origin: Y_i is a Lipschitz function of its noises,
            # so its tails are no wider than those of a Gaussian of this variance.
            centre, variance = self._moved(centre), variance * expansion**2 + noise**2
            following = centre + jnp.sqrt(variance) * offsets
            steps = (following[:, None] - self._moved(nodes)) / noise
            density = jnp.exp(-(steps**2) / 2) @ weights
            return (centre, variance, following, density / density.sum()), None

        centre, weights = self._moved(state[0]), jnp.exp(-(offsets**2) / 2)
        first = (centre, noise**2, centre + noise * offsets, weights / weights.sum())
        (_, _, nodes, weights), _ = jax.lax.scan(substep, first, length=self.num_substeps - 2)
        return self._moved(nodes), weights
