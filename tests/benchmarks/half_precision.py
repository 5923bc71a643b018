"""Where bfloat16 is faster than float32 on this machine, and where not: laws and the parts they are made of.

Both dtypes of one model, part after part in turn (medians and ranges over rounds, ratios inside a round). Parts are
those of 12 states x 3 digits behind 512 tokens: what the blocks' matrices, the attention of the tree's nodes on prefix
and ancestors, and the whole vocabulary's scores for off-grid mass take of them.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from llmworld_jax.experiments.bench.config import DEFAULT_MODEL, BenchConfig
from llmworld_jax.experiments.bench.machine import device_name, load_average
from llmworld_jax.experiments.bench.subject import Subject, Task, subject_of, task_of, weights_of
from llmworld_jax.experiments.bench.timing import CPU_PAUSE, Quantity, interleaved, quantity
from llmworld_jax.laws import ROWS_PER_CHUNK, VOCABULARY_ROWS, map_chunks, number_laws
from llmworld_jax.models.attention import cascade_attention
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.readout import logits
from llmworld_jax.models.storage import dense
from llmworld_jax.prompts import Prompt

DTYPES = ("float32", "bfloat16")
NODES, ANCESTORS = 110, 2


@jax.jit
def matrices(model: Llama, hidden: jax.Array) -> jax.Array:
    """All products of the blocks with ``hidden [chunk, row, d_model]``, and nothing between them."""

    def block(x: jax.Array, layer: Any) -> tuple[jax.Array, None]:
        q, k, v = dense(x, layer.q), dense(x, layer.k), dense(x, layer.v)
        used = dense(q, layer.o) + (k + v).sum(axis=-1, keepdims=True)
        return dense(dense(used, layer.gate) * dense(used, layer.up), layer.down), None

    return jax.lax.map(lambda x: jax.lax.scan(block, x, model.layers)[0], hidden)


@jax.jit
def attention(queries: jax.Array, keys: jax.Array, own: jax.Array, visible: jax.Array) -> jax.Array:
    """Of all blocks: ``queries [chunk, layer, row, head, head_dim]`` on one prefix and on ancestors."""
    seen = jnp.ones(own.shape[1:3], bool)

    def block(_: None, xs: tuple[jax.Array, ...]) -> tuple[None, jax.Array]:
        q, k, near = xs
        return None, cascade_attention(q, k, k, visible, near, near, seen, jnp.max(visible), "highest")[:, 0]

    return jax.lax.map(lambda q: jax.lax.scan(block, None, (q, keys, own))[1], queries)


@jax.jit
def vocabulary(model: Llama, hidden: jax.Array) -> jax.Array:
    """Log of the summed exponentials of all scores, as the laws' off-grid mass takes it."""
    return map_chunks(lambda h: jax.nn.logsumexp(logits(model, h), axis=-1), hidden, VOCABULARY_ROWS)


def parts(model: Llama, subject: Subject, task: Task) -> dict[str, Callable[[], Any]]:
    """Name -> call of one dtype."""
    c, dtype, states = subject.config, model.embed[...].dtype, len(task.item_at)
    together = max(1, ROWS_PER_CHUNK // NODES)
    chunks, rows = -(-states // together), NODES * min(states, together)
    random = lambda seed, *shape: jax.random.normal(jax.random.key(seed), shape).astype(dtype)  # noqa: E731
    hidden = random(0, chunks, rows, c.d_model)
    queries = 0.1 * random(1, chunks, c.num_layers, rows, c.num_heads, c.head_dim)
    keys = random(2, c.num_layers, c.num_kv_heads, task.context, c.head_dim)
    own = random(3, c.num_layers, rows, ANCESTORS, c.num_kv_heads, c.head_dim)
    visible = jnp.full((rows,), task.context // 2, jnp.int32)
    read = jax.jit(lambda model, tokens: forward(model, tokens).hidden[-1])
    tokens, prompt = jnp.asarray(task.tokens[0]), Prompt(task.tokens[0], task.item_at)
    calls = {
        "forward pass": lambda: read(model, tokens),
        "laws": lambda: number_laws(model, subject.codec, prompt).log_mass,
        "tree: matrices of the blocks": lambda: matrices(model, hidden),
        "tree: attention": lambda: attention(queries, keys, own, visible),
        "tree: scores of the vocabulary": lambda: vocabulary(model, hidden.reshape(-1, c.d_model)),
    }
    return {name: lambda call=call: jax.block_until_ready(call()) for name, call in calls.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    busy, sides = load_average(), {}
    for dtype in DTYPES:
        bench = BenchConfig(model=args.model, dtype=dtype)
        subject = subject_of(bench)
        task = task_of(bench, subject, jax.devices()[0].platform)
        for name, call in parts(weights_of(subject, dtype), subject, task).items():
            sides[name, dtype] = call
    sides = {(name, dtype): sides[name, dtype] for name in dict.fromkeys(n for n, _ in sides) for dtype in DTYPES}
    for call in sides.values():
        call()
    seconds = interleaved(sides, args.repeats, CPU_PAUSE / 3)
    print(f"{args.model} on {device_name()}, jax {jax.__version__}, load average {busy} before")
    print("| part | float32, s | bfloat16, s | times as fast |\n|---|---|---|---|")
    for name in dict.fromkeys(name for name, _ in sides):
        wide, half = (seconds[name, dtype] for dtype in DTYPES)
        print(f"| {name} | {told(quantity(wide))} | {told(quantity(half))} | {told(quantity(wide / half))} |")


def told(q: Quantity) -> str:
    return f"{q.middle:.3g} [{q.low:.3g}, {q.high:.3g}]"


if __name__ == "__main__":
    main()
