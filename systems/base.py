"""What every system is: a sampler of trajectories and, written apart from it, the law of the next value.

A system is a time-homogeneous Markov chain seen at equal intervals. The truth for ``observed[t]`` is its law
given ``states[t - 1]``; nothing earlier matters, and ``observed[0]`` is not scored.
"""

import abc
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key, Num

DType = Any
"""What ``jnp.dtype`` accepts: ``jnp.float32``, ``"float64"``."""
Real = float | int | Num[Array, ""]
"""A parameter: a Python number, which follows the state's precision, or an array, which ``vmap`` can map."""


class Trajectory(NamedTuple):
    """A sampled path: ``times`` in the system's own unit of time, ``states``, and what is seen of them."""

    times: Float[Array, " time"]
    states: Num[Array, "time dim"]
    observed: Num[Array, " time"]


class System(eqx.Module):
    """A world. Concrete systems are final, unbatched pytrees of their parameters: batch by ``vmap``."""

    @abc.abstractmethod
    def sample(self, key: Key[Array, ""], num_steps: int, *, dtype: DType | None = None) -> Trajectory:
        """A path of ``num_steps`` recorded states; its real numbers are of ``dtype``, by default ``float_dtype()``.

        Raises ValueError when ``num_steps`` is less than 1, and for a ``dtype`` that ``float_dtype`` refuses.
        """


class ContinuousSystem(System):
    """A system whose observation is a real number with a known law one interval ahead.

    ``seen`` says how many leading components of the state are past observations, the newest first: ``state[0]``
    is x_t, ``state[1]`` is x_{t-1} where ``seen`` is 2. The components after them are hidden.
    """

    deterministic: eqx.AbstractClassVar[bool]
    seen: eqx.AbstractClassVar[int]

    @abc.abstractmethod
    def transition_cdf(self, state: Float[Array, " dim"], x: Real) -> Float[Array, ""]:
        """P(next observed <= x | state)."""

    @abc.abstractmethod
    def transition_mean(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        """E[next observed | state]."""

    @abc.abstractmethod
    def transition_sd(self, state: Float[Array, " dim"]) -> Float[Array, ""]:
        """Standard deviation of the next observed value given the state; 0 for a deterministic system."""


class SymbolicSystem(System):
    """A system whose observation is one of the symbols 0 .. ``num_symbols`` - 1."""

    @property
    @abc.abstractmethod
    def num_symbols(self) -> int:
        """The number of symbols."""

    @abc.abstractmethod
    def transition_row(self, state: Int[Array, " dim"]) -> Float[Array, " symbol"]:
        """P(next symbol = j | state) for every j."""


def float_dtype(dtype: DType | None = None) -> jnp.dtype:
    """``dtype``; by default float32, or float64 where x64 is enabled, so both modes live in one process.

    Raises ValueError when ``dtype`` is neither float32 nor float64, or float64 while x64 is disabled.
    """
    widest = jnp.result_type(float)
    if dtype is None:
        return widest
    if jnp.dtype(dtype) not in (jnp.dtype(jnp.float32), widest):
        raise ValueError(
            f"Got dtype={jnp.dtype(dtype).name}. Expected float32, or float64 where x64 is enabled. "
            "Use jax.enable_x64(True) around the call for float64."
        )
    return jnp.dtype(dtype)


def equal_times(num_steps: int, interval: Real, dtype: DType) -> Float[Array, " time"]:
    """0, Δ, 2 Δ, ... for the ``interval`` Δ, in ``dtype`` whatever the interval's."""
    return (jnp.arange(num_steps, dtype=dtype) * interval).astype(dtype)


def iterate(
    step: Callable[[Key[Array, ""], Num[Array, " dim"]], Num[Array, " dim"]],
    key: Key[Array, ""],
    start: Num[Array, " dim"],
    num_steps: int,
    *,
    record_start: bool,
) -> Num[Array, "time dim"]:
    """``num_steps`` states of the chain ``state <- step(key, state)``, with or without ``start`` first.

    Raises ValueError when ``num_steps`` is less than 1.
    """
    if num_steps < 1:
        raise ValueError(f"Got num_steps={num_steps}. Expected at least 1 recorded state. Ask for a longer trajectory.")

    def advance(state, key):
        # A parameter array may carry a wider type than the state; the state's type is the trajectory's.
        following = step(key, state).astype(state.dtype)
        return following, following

    _, states = jax.lax.scan(advance, start, jax.random.split(key, num_steps - record_start))
    return jnp.concatenate([start[None], states]) if record_start else states


def describe(system: System) -> dict[str, Any]:
    """The system as JSON: ``{"system": class name, "parameters": {field: number, list, string, dict or null}}``."""
    fields = {f.name: getattr(system, f.name) for f in dataclasses.fields(system)}
    parameters = jax.tree.map(lambda v: np.asarray(v).tolist() if eqx.is_array_like(v) else v, fields)
    return {"system": type(system).__name__, "parameters": parameters}
