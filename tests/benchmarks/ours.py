"""Our side of the benchmark; the only module here that imports ``llmworld_jax`` and jax.

Run as a script, ``python ours.py memory|start --states N --precision P``, it is one measurement in a fresh
process: laws, then a JSON line with the peak resident memory and the CPU seconds.
"""

import argparse
import functools
import json
import resource
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from llmworld_jax.codec import number_codec
from llmworld_jax.laws import number_laws
from llmworld_jax.models.catalogue import DEFAULT, load, locate
from llmworld_jax.models.config import ModelConfig
from llmworld_jax.models.forward import forward
from llmworld_jax.numerals import Numerals
from llmworld_jax.partial_laws import partial_laws
from llmworld_jax.prompts import Prompt

LOW, HIGH = 0.0, 1.0


class Job(NamedTuple):
    """A series on the default model: what both sides read."""

    loaded: Any
    codec: Any
    codes: np.ndarray
    prompt: Prompt

    @property
    def model(self) -> Any:
        return self.loaded.model


def folder():
    """Folder of the default model's converted weights, in Hugging Face's layout."""
    return locate(DEFAULT).folder


def noisy_logistic(states: int, seed: int) -> np.ndarray:
    """A noisy logistic map inside [0.05, 0.98]."""
    rng = np.random.default_rng(seed)
    x, values = 0.5, []
    for noise in rng.normal(0.0, 0.0136, states):
        y = x + noise
        x = min(max(3.9 * y * (1 - y), 0.05), 0.98)
        values.append(x)
    return np.array(values)


def job(states: int, precision: int, seed: int = 0, loaded: Any = None) -> Job:
    """The series as a prompt, with start token 0 so that every state has a law."""
    loaded = loaded or load(DEFAULT)
    numerals = Numerals(precision, LOW, HIGH)
    codec = number_codec(loaded.tokenizer, numerals, separator=",", start=0)
    codes = np.asarray(numerals.encode(noisy_logistic(states, seed)))
    return Job(loaded, codec, codes, codec.prompt(codes))


def complete(task: Job, off_grid: str = "first") -> np.ndarray:
    """Complete laws ``[time, bin]`` as probabilities."""
    laws = number_laws(task.model, task.codec, task.prompt, off_grid=off_grid)
    return np.exp(np.asarray(laws.log_mass, np.float64))


def partial(task: Job, depth: int) -> np.ndarray:
    """The same on the paper's neighbor grid, what is not refined spread evenly: ``[time, bin]``."""
    laws = partial_laws(task.model, task.codec, task.prompt, task.codes, mode="neighbor", refine_depth=depth)
    return np.exp(np.asarray(laws.log_mass, np.float64))


def prefill(model: Any, tokens: np.ndarray) -> Callable[[], jax.Array]:
    """A call that reads the tokens once: final hidden states, with the cache computed too."""
    run = jax.jit(lambda m, t: forward(m, t)[:2])
    ids = jnp.asarray(tokens, jnp.int32)
    return lambda: jax.block_until_ready(run(model, ids))[0]


def series_at_once(task: Job, seeds: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Laws of many series by ``vmap``, and of one alone."""
    codes = [task.codec.numerals.encode(noisy_logistic(len(task.codes), s)) for s in range(seeds)]
    batch = jnp.stack([jnp.asarray(task.codec.prompt(c).tokens, jnp.int32) for c in codes])
    item_at = jnp.asarray(task.prompt.item_at)

    def laws(model: Any, tokens: jax.Array) -> jax.Array:
        return number_laws(model, task.codec, Prompt(tokens, item_at), off_grid="first").log_mass

    many, one = jax.jit(jax.vmap(laws, in_axes=(None, 0))), jax.jit(laws)
    return (
        lambda: jax.block_until_ready(many(task.model, batch)),
        lambda: jax.block_until_ready(one(task.model, batch[0])),
    )


def projection_shapes(config: ModelConfig) -> list[tuple[int, int]]:
    """``(in, out)`` of the seven matrices of a block."""
    d, m, q, kv = (
        config.d_model,
        config.d_mlp,
        config.num_heads * config.head_dim,
        config.num_kv_heads * config.head_dim,
    )
    return [(d, q), (d, kv), (d, kv), (q, d), (d, m), (d, m), (m, d)]


def flops_per_token(config: ModelConfig, keys: float) -> float:
    """Multiplications and additions of the blocks for one token that attends to ``keys`` tokens.

    2 in*out for each of the seven matrices, 4 heads*head_dim*keys for scores and weighted values; norms,
    rotation, softmax and the ten head rows (under 1 %) are not counted.
    """
    matrices = sum(2 * a * b for a, b in projection_shapes(config))
    return config.num_layers * (matrices + 4 * config.num_heads * config.head_dim * keys)


def products(config: ModelConfig, rows: int) -> list[tuple[float, Callable[[], Any]]]:
    """One float32 matrix product for each matrix of a block: its FLOPs, and a call."""
    multiply = jax.jit(lambda x, w: jnp.matmul(x, w, precision="highest"))
    keys = jax.random.split(jax.random.key(0), 14)
    calls = []
    for i, (a, b) in enumerate(projection_shapes(config)):
        x, w = jax.random.normal(keys[2 * i], (rows, a)), jax.random.normal(keys[2 * i + 1], (a, b))
        calls.append((2.0 * rows * a * b, functools.partial(_wait, multiply, x, w)))
    return calls


def _wait(function: Callable, *args: Any) -> Any:
    return jax.block_until_ready(function(*args))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("memory", "start"))
    parser.add_argument("--states", type=int, default=1000)
    parser.add_argument("--precision", type=int, default=3)
    args = parser.parse_args()
    laws = complete(job(args.states, args.precision), "tree" if args.what == "memory" else "first")
    assert np.allclose(laws.sum(axis=1), 1.0, atol=1e-4)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"peak_bytes": peak, "cpu_s": time.process_time(), "mass": float(laws[-1].max())}))


if __name__ == "__main__":
    main()
