"""What of the library is timed, each a program compiled ahead of time: its compile time and memory are known first."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ...codec import NumberCodec
from ...laws import OffGrid, number_laws
from ...models.capture import capture
from ...models.forward import forward
from ...models.llama import Llama
from ...models.readout import embed, logits
from ...prompts import Prompt
from .subject import Task
from .timing import timed

OFF_GRID: OffGrid = "tree"
"""The library's default: mass off the grid at every digit, for which every node is scored against the vocabulary."""


class Program(NamedTuple):
    """A compiled workload: ``executable(model, *given)``; ``num_bytes`` are its results and temporaries."""

    executable: Callable[..., Any]
    given: tuple[jax.Array, ...]
    compile_seconds: float
    num_bytes: int

    def call(self, model: Llama) -> Callable[[], Any]:
        """A call that returns when the result is there."""
        return lambda: jax.block_until_ready(self.executable(model, *self.given))


Workload = tuple[Callable[..., Any], tuple[jax.Array, ...]]


def workloads(task: Task, codec: NumberCodec) -> dict[str, Workload]:
    """Name -> pure function of a model and arrays, and the arrays."""
    how: dict[str, Any] = {"precision": task.precision}
    rows: dict[str, Any] = {} if task.rows is None else {"rows": task.rows}
    batch = jnp.asarray(task.tokens)
    one, item_at = batch[0], jnp.asarray(task.item_at)

    def prefill(model: Llama, tokens: jax.Array) -> Any:
        def read(sequence: jax.Array) -> Any:
            out = forward(model, sequence, **how)
            return logits(model, out.hidden[-1], **how), out.cache

        return jax.vmap(read)(tokens)

    def plain(model: Llama, tokens: jax.Array) -> jax.Array:
        return forward(model, tokens, **how).hidden[-1]

    def captured(model: Llama, tokens: jax.Array) -> jax.Array:
        site = "resid_post"
        return capture(model, tokens, sites=(site,), reduce=lambda sites: sites[site][-1], **how)

    def loss(model: Llama, tokens: jax.Array) -> jax.Array:
        return _surprise(model, embed(model, tokens), tokens, how)

    def gradient(model: Llama, tokens: jax.Array) -> Any:
        remat = how | {"remat": True}
        return jax.value_and_grad(lambda inputs: _surprise(model, inputs, tokens, remat))(embed(model, tokens))

    def laws(model: Llama, tokens: jax.Array, item_at: jax.Array) -> Any:
        found = number_laws(model, codec, Prompt(tokens, item_at), off_grid=OFF_GRID, **rows, **how)
        return found.log_mass, found.off_grid

    return {
        "prefill": (prefill, (batch,)),
        "forward": (plain, (one,)),
        "capture": (captured, (one,)),
        "loss": (loss, (one,)),
        "gradient": (gradient, (one,)),
        "laws": (laws, (one, item_at)),
    }


def _surprise(model: Llama, embeddings: jax.Array, tokens: jax.Array, how: dict[str, Any]) -> jax.Array:
    """Mean of -ln P(next token) over all positions but the last."""
    hidden = forward(model, embeddings, **how).hidden[:-1]
    law = jax.nn.log_softmax(logits(model, hidden, precision=how["precision"]), axis=-1)
    return -jnp.mean(jnp.take_along_axis(law, tokens[1:, None], axis=-1))


def compiled(workload: Workload, shapes: Any) -> Program:
    """The program for a model of these shapes; nothing of the model is allocated."""
    function, given = workload
    program, seconds = timed(lambda: jax.jit(function).lower(shapes, *given).compile())
    held = program.memory_analysis()
    size = 0 if held is None else int(held.temp_size_in_bytes) + int(held.output_size_in_bytes)
    return Program(program, given, seconds, size)
