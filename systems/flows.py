"""Flows of ordinary differential equations, seen at equal intervals through one coordinate."""

import abc
from typing import ClassVar, final

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from . import integrate
from .base import ContinuousSystem, DType, Real, Trajectory, equal_times, float_dtype, iterate
from .laws import point_mass_cdf


class Flow(ContinuousSystem):
    """dy/dt = field(y), its first coordinate seen every ``interval``; the other coordinates are hidden.

    The law is a point mass at the flow's own next first coordinate, solved to ``tolerance``; paths of a chaotic
    flow of other tolerances or precisions part in time, though each obeys its own law.
    """

    interval: eqx.AbstractVar[Real]
    tolerance: eqx.AbstractVar[Real]

    @abc.abstractmethod
    def field(self, state: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """dy/dt at ``state``."""

    @abc.abstractmethod
    def draw_start(self, key: Key[Array, ""], dtype: DType) -> Float[Array, " dim"]:
        """The first recorded state, in ``dtype``."""

    def flow(self, state: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """The state one interval later."""
        return integrate.flow(self.field, state, self.interval, tolerance=self.tolerance)

    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        start_key, path_key = jax.random.split(key)
        start = self.draw_start(start_key, float_dtype(dtype))
        states = iterate(lambda key, state: self.flow(state), path_key, start, num_steps, record_start=True)
        return Trajectory(equal_times(num_steps, self.interval, start.dtype), states, states[:, 0])

    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        return point_mass_cdf(x, self.transition_mean(state))

    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return self.flow(state)[0]

    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        return jnp.zeros((), state.dtype)


@final
class Lorenz(Flow):
    """The x-coordinate of the Lorenz flow every ``interval``; the state is (x, y, z).

    dx/dt = sigma (y - x),  dy/dt = x (rho - z) - y,  dz/dt = x y - beta z

    ``start=None`` draws (0.3 u, 2.01, 23.02), u ~ U(0, 1), as in arXiv 2402.00795, whose intervals were
    100/999 and 100/299. Paths of other tolerances or precisions part after some 15 units of time.
    """

    sigma: Real = 10.0
    rho: Real = 28.0
    beta: Real = 8 / 3
    interval: Real = 0.1
    tolerance: Real = 1e-6
    start: Float[Array, "3"] | None = None
    deterministic: ClassVar[bool] = True
    seen: ClassVar[int] = 1

    def field(self, state: Float[Array, " dim"]) -> Float[Array, " dim"]:
        x, y, z = state
        return jnp.stack([self.sigma * (y - x), x * (self.rho - z) - y, x * y - self.beta * z])

    def draw_start(self, key: Key[Array, ""], dtype: DType) -> Float[Array, " dim"]:
        drawn = jnp.array([0.3 * jax.random.uniform(key, (), dtype), 2.01, 23.02], dtype)
        return drawn if self.start is None else self.start.astype(dtype)


@final
class Rossler(Flow):
    """The x-coordinate of the Rössler flow every ``interval``; the state is (x, y, z).

    dx/dt = -y - z,  dy/dt = x + a y,  dz/dt = b + z (x - c)

    ``start=None`` draws (u, -6, 0.03), u ~ U(0, 1), beside the attractor. A loop takes 5.9 units of time, some
    twelve of the default intervals.
    """

    a: Real = 0.2
    b: Real = 0.2
    c: Real = 5.7
    interval: Real = 0.5
    tolerance: Real = 1e-6
    start: Float[Array, "3"] | None = None
    deterministic: ClassVar[bool] = True
    seen: ClassVar[int] = 1

    def field(self, state: Float[Array, " dim"]) -> Float[Array, " dim"]:
        x, y, z = state
        return jnp.stack([-y - z, x + self.a * y, self.b + z * (x - self.c)])

    def draw_start(self, key: Key[Array, ""], dtype: DType) -> Float[Array, " dim"]:
        drawn = jnp.array([jax.random.uniform(key, (), dtype), -6.0, 0.03], dtype)
        return drawn if self.start is None else self.start.astype(dtype)


@final
class DampedPendulum(Flow):
    """The angle q of a damped pendulum every ``interval``; the state is (q, dq/dt), q in radians.

    d^2 q / dt^2 = -w^2 sin q - damping dq/dt

    The code published with arXiv 2402.00795 integrates sin(w^2 q) in the place of w^2 sin q, from (0, 1.05), with
    damping 0.1. ``start=None`` draws (2 + 0.8 u, 0), u ~ U(0, 1): wide swings, whose period shortens
    as they die. With the default damping, 400 intervals leave 30 % of a small swing's amplitude.
    """

    w: Real = 2.0
    damping: Real = 0.02
    interval: Real = 0.3
    tolerance: Real = 1e-6
    start: Float[Array, "2"] | None = None
    deterministic: ClassVar[bool] = True
    seen: ClassVar[int] = 1

    def field(self, state: Float[Array, " dim"]) -> Float[Array, " dim"]:
        angle, velocity = state
        return jnp.stack([velocity, -(self.w**2) * jnp.sin(angle) - self.damping * velocity])

    def draw_start(self, key: Key[Array, ""], dtype: DType) -> Float[Array, " dim"]:
        drawn = jnp.stack([2 + 0.8 * jax.random.uniform(key, (), dtype), jnp.zeros((), dtype)])
        return drawn if self.start is None else self.start.astype(dtype)
