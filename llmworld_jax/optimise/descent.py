"""Gradient descent as a state and a pure step: soft prompts, steering vectors, edits, parameters of a world.

The randomness of a step is ``fold_in(key, step)``: a state that is stored and taken up again goes on exactly as it
would have. Runs are batched by ``jax.vmap`` over states.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key

Parameters = Any


class State(NamedTuple):
    """Everything that the next step depends on. ``key`` never changes."""

    parameters: Parameters
    moments: optax.OptState
    key: Key[Array, ""]
    step: Int[Array, ""]


class Step(NamedTuple):
    """``loss`` before the step, and the length of its gradient before clipping."""

    state: State
    loss: Float[Array, ""]
    slope: Float[Array, ""]


def adam(rate: ArrayLike = 5e-3, clip: float = 1.0) -> optax.GradientTransformation:
    """Adam on gradients whose length is at most ``clip``."""
    return optax.chain(optax.clip_by_global_norm(clip), optax.adam(rate))


def begin(parameters: Parameters, optimiser: optax.GradientTransformation, key: Key[Array, ""]) -> State:
    """The state before the first step."""
    return State(parameters, optimiser.init(parameters), key, jnp.zeros((), jnp.int32))


def descend(
    state: State,
    loss: Callable[[Parameters, Key[Array, ""]], Float[Array, ""]],
    optimiser: optax.GradientTransformation,
    project: Callable[[Parameters], Parameters] = lambda parameters: parameters,
) -> Step:
    """One step against the gradient of ``loss``, then ``project`` back to what is allowed."""
    key = jax.random.fold_in(state.key, state.step)
    value, slope = jax.value_and_grad(loss)(state.parameters, key)
    change, moments = optimiser.update(slope, state.moments, state.parameters)
    moved = project(optax.apply_updates(state.parameters, change))
    return Step(State(moved, moments, state.key, state.step + 1), value, optax.tree.norm(slope))
