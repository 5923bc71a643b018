"""Steps from the host, each stored as it is done: a killed optimisation goes on at the step after its last."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...errors import InputError
from ...optimise.descent import State, Step
from ...store import RunStore, load_unit, save_unit

Progress = Callable[[str], None]


class Driven(NamedTuple):
    """``loss`` before each step and the length of its gradient, ``[run, step]``."""

    state: State
    loss: np.ndarray
    slope: np.ndarray


def drive(
    step: Callable[[State], Step], state: State, steps: int, store: RunStore, key: dict[str, Any], progress: Progress
) -> Driven:
    """``steps`` of ``step`` from ``state``; everything lies in ``store`` under ``key`` after each.

    Args:
        state: of one run or, with a leading axis, of many.

    Raises:
        InputError: a loss that is no number; the state before it is kept.
    """
    done, running_key = store.unit_path(key), {**key, "state": "running"}
    running = store.unit_path(running_key)
    losses = slopes = np.zeros((state.step.size, 0), np.float32)
    for path in (done, running):
        with suppress(InputError):
            if path.exists():
                state, losses, slopes = _restored(state, load_unit(path).arrays)
                break
    for number in range(losses.shape[1], steps):
        made = step(state)
        loss = np.atleast_1d(np.asarray(made.loss))
        if not np.isfinite(loss).all():
            raise InputError(f"loss {loss.tolist()} at step {number + 1}", "numbers", "Lower --rate, or lengthen walks")
        state = made.state
        losses, slopes = np.c_[losses, loss], np.c_[slopes, np.atleast_1d(np.asarray(made.slope))]
        save_unit(running, running_key, 1, _arrays(state, losses, slopes))
        progress(f"step {number + 1} of {steps}: loss {'  '.join(f'{x:.3f}' for x in loss)}")
    if not done.exists():
        save_unit(done, key, 1, _arrays(state, losses, slopes))
    running.unlink(missing_ok=True)
    return Driven(state, losses, slopes)


def _arrays(state: State, losses: np.ndarray, slopes: np.ndarray) -> dict[str, np.ndarray]:
    leaves = jax.tree.leaves((state.parameters, state.moments, state.step))
    return {f"leaf_{k}": np.asarray(leaf) for k, leaf in enumerate(leaves)} | {"losses": losses, "slopes": slopes}


def _restored(state: State, arrays: dict[str, np.ndarray]) -> tuple[State, np.ndarray, np.ndarray]:
    """A stored state; its key is not stored, since the run gives it."""
    leaves, tree = jax.tree.flatten((state.parameters, state.moments, state.step))
    found = [jnp.asarray(arrays[f"leaf_{k}"]) for k in range(len(leaves))]
    parameters, moments, step = jax.tree.unflatten(tree, found)
    return State(parameters, moments, state.key, step), arrays["losses"], arrays["slopes"]
