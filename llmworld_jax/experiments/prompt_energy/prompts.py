"""Prompts that nobody trained: none, the text that training begins from, the words once, the best of many at random."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from ...models.catalogue import LoadedModel
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...models.readout import embed
from ...walk_prompts import prefix_text
from .training import Plan, Run, run_loss
from .worlds import TestSet, Training, Worlds

NONE, START, LISTED, RANDOM = "no prompt", "start text", "word list", "random tokens"


class Prompt(NamedTuple):
    """A prompt to be tested. ``vectors`` ``[row, width]``, or by name of the test where they depend on its words."""

    name: str
    seed: int
    vectors: np.ndarray | dict[str, np.ndarray]

    def of(self, test: TestSet) -> np.ndarray:
        """Its vectors before ``test``."""
        return self.vectors[test.name] if isinstance(self.vectors, dict) else self.vectors


def start_tokens(loaded: LoadedModel, text: str) -> np.ndarray:
    """Token ids of the text that training begins from."""
    return np.array(loaded.tokenizer.encode(text), np.int32)


def untrained(loaded: LoadedModel, worlds: Worlds, text: str) -> tuple[Prompt, ...]:
    """Nothing, the start text, and each test's own words listed once in the chat form."""

    def vectors(tokens: np.ndarray) -> np.ndarray:
        return np.asarray(embed(loaded.model, jnp.asarray(tokens, jnp.int32)), np.float32)

    listed = {}
    for k, test in enumerate(worlds.tests):
        words = np.random.default_rng(k).permutation(test.words).tolist()
        listed[test.name] = vectors(np.array(loaded.tokenizer.encode(prefix_text("list", words))))
    nothing = np.zeros((0, loaded.config.d_model), np.float32)
    return (
        Prompt(NONE, 0, nothing),
        Prompt(START, 0, vectors(start_tokens(loaded, text))),
        Prompt(LISTED, 0, listed),
    )


@functools.partial(jit_on_mesh, static_argnames=("plan", "count"))
def _random_losses(
    model: Llama, plan: Plan, training: Training, key: Key[Array, ""], allowed: Array, rows: Array, count: int
) -> tuple[Array, Array]:
    """Tokens ``[candidate, row]`` and losses ``[candidate]``, all on the same walks."""
    draw, walks = jax.random.split(key)
    tokens = allowed[jax.random.randint(draw, (count, rows.shape[0]), 0, allowed.shape[0])]
    run = Run(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32), jnp.asarray(rows.shape[0], jnp.int32))

    def one(tokens: Array) -> Float[Array, ""]:
        return run_loss(model, plan, training, run, embed(model, tokens), walks)

    return tokens, jax.lax.map(one, tokens)


def best_random(
    model: Llama, plan: Plan, training: Training, allowed: np.ndarray, rows: int, count: int, seed: int
) -> dict[str, Any]:
    """The best of ``count`` prompts of random tokens on the walks of one step, by the loss of ``plan``."""
    tokens, losses = _random_losses(
        model, plan, training, jax.random.key(seed), jnp.asarray(allowed), jnp.arange(rows), count
    )
    best = int(np.nanargmin(losses))
    return {"tokens": np.asarray(tokens[best]), "losses": np.asarray(losses)}
