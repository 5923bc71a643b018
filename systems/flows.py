"""Flows of ordinary differential equations, seen at equal intervals through one coordinate."""

from typing import ClassVar, final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from . import integrate
from .base import ContinuousSystem, Real, Trajectory, float_dtype, iterate
from .laws import point_mass_cdf


@final
class Lorenz(ContinuousSystem):
    """The x-coordinate of the Lorenz flow every ``interval``; the state is (x, y, z).

    dx/dt = sigma (y - x),  dy/dt = x (rho - z) - y,  dz/dt = x y - beta z

    ``start=None`` draws (0.3 u, 2.01, 23.02), u ~ U(0, 1), as in arXiv 2402.00795, whose intervals were
    100/999 and 100/299. The law is a point mass at the flow's own next x, solved to ``tolerance``; paths
    of other tolerances or precisions part after some 15 units of time, though each obeys its own law.
    """

    sigma: Real = 10.0
    rho: Real = 28.0
    beta: Real = 8 / 3
    interval: Real = 0.1
    tolerance: Real = 1e-6
    start: Float[Array, "3"] | None = None
    deterministic: ClassVar[bool] = True

    def flow(self, state: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """The state one interval later."""

        def field(state):
            x, y, z = state
            return jnp.stack([self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z])

        return integrate.flow(field, state, self.interval, tolerance=self.tolerance)

    def sample(self, key: Key[Array, ""], num_steps: int) -> Trajectory:
        dtype = float_dtype()
        start_key, path_key = jax.random.split(key)
        drawn = jnp.array([0.3 * jax.random.uniform(start_key, (), dtype), 2.01, 23.02], dtype)
        start = drawn if self.start is None else self.start.astype(dtype)
        states = iterate(lambda key, state: self.flow(state), path_key, start, num_steps, record_start=True)
        return Trajectory(jnp.arange(num_steps, dtype=dtype) * self.interval, states, states[:, 0])

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return point_mass_cdf(x, self.transition_mean(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return self.flow(state)[0]

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.zeros((), state.dtype)
