"""Soft prompts trained: every run of one objective in one compiled step, stored after each, taken up where it stopped.

Runs differ in seed, graph and length of the prompt; all three are traced. A run's walks come from its own key.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...optimise.descent import State, Step, adam, begin, descend
from ...optimise.seen import seen_walk
from ...optimise.soft_prompt import NormRange, within_range
from ...store import RunStore
from .driving import Progress, drive
from .losses import Target, relabelled
from .worlds import Training, draw_task


class Run(NamedTuple):
    """What tells one run from another; leading axes of all are runs in a batch."""

    seed: Int[Array, "*run"]
    graph: Int[Array, "*run"]
    length: Int[Array, "*run"]


class Trained(NamedTuple):
    """``vectors`` after the last step; ``loss`` before each step and the ``slope``'s length, ``[run, step]``."""

    vectors: np.ndarray
    loss: np.ndarray
    slope: np.ndarray


class Plan(NamedTuple):
    """What stays the same over steps; hashable, so that it is part of the program."""

    target: Target
    length: int
    walks: int
    rate: float


def run_loss(
    model: Llama, plan: Plan, training: Training, run: Run, vectors: Float[Array, "row d_model"], key: Key[Array, ""]
) -> Float[Array, ""]:
    """Mean loss over ``plan.walks`` fresh walks and placements."""

    def one(key: Array) -> Array:
        task = draw_task(key, training, run.graph, plan.length)
        if plan.target.relabelled:
            task = task._replace(adjacency=relabelled(jax.random.fold_in(jax.random.key(run.seed), 7), task))
        return plan.target.loss(seen_walk(model, vectors, run.length, task, plan.target.reader), task)

    return jnp.mean(jax.vmap(one)(jax.random.split(key, plan.walks)))


@functools.partial(jit_on_mesh, static_argnames=("plan",))
def step_runs(model: Llama, plan: Plan, training: Training, allowed: NormRange, runs: Run, states: State) -> Step:
    """One step of every run."""

    def one(run: Run, state: State) -> Step:
        loss = functools.partial(run_loss, model, plan, training, run)
        return descend(state, loss, adam(plan.rate), lambda vectors: within_range(vectors, allowed))

    return jax.vmap(one)(runs, states)


def begin_runs(vectors: Float[Array, "run row d_model"], runs: Run, plan: Plan) -> State:
    """States of all runs before the first step."""

    def one(vectors: Array, seed: Array) -> State:
        return begin(vectors, adam(plan.rate), jax.random.key(seed))

    return jax.vmap(one)(vectors, runs.seed)


def train(
    model: Llama, plan: Plan, training: Training, allowed: NormRange, runs: Run, start: Array, steps: int,
    store: RunStore, key: dict[str, Any], progress: Progress,
) -> Trained:  # fmt: skip
    """``steps`` of every run; the state lies in ``store`` after each, under ``key``.

    Raises:
        InputError: a loss that is no number; the state before it is kept.
    """
    driven = drive(
        lambda state: step_runs(model, plan, training, allowed, runs, state), begin_runs(start, runs, plan), steps,
        store, key, progress,
    )  # fmt: skip
    return Trained(np.asarray(driven.state.parameters), driven.loss, driven.slope)
