"""The model that is measured and what it reads: real weights of a name or a folder, or random ones of a shape."""

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ...codec import NumberCodec, number_codec
from ...errors import InputError
from ...models.attention_choice import kernel_for
from ...models.catalogue import kept_as, load, load_tokenizer, locate, read_config
from ...models.config import ModelConfig
from ...models.llama import Llama
from ...models.public_configs import PUBLIC_CONFIGS
from ...models.storage import Precision
from ...numerals import Numerals
from .config import BenchConfig

CONTEXT = {"cpu": 512, "accelerator": 4096}
STATES = {"cpu": 12, "accelerator": 1000}
START, FIRST_DIGIT, SEPARATOR = 1, 3, 13  # token ids of a shape, which has no tokenizer; weights are random anyway


class Subject(NamedTuple):
    """A model before its weights are read. ``folder``: where they are, ``None`` for random ones."""

    name: str
    config: ModelConfig
    folder: Path | None
    codec: NumberCodec


class Task(NamedTuple):
    """What is read. ``item_at`` are the states of the first of ``tokens [batch, context]`` whose laws are read."""

    tokens: np.ndarray
    item_at: np.ndarray
    precision: Precision
    rows: int | None

    @property
    def context(self) -> int:
        """Tokens of a sequence."""
        return self.tokens.shape[1]


def subject_of(bench: BenchConfig) -> Subject:
    """Hyperparameters and codec; no weight is read. Raises InputError for a model that is not there."""
    numerals = Numerals(bench.digits, 0.0, 1.0)
    if bench.shape is not None:
        levels = (tuple(range(FIRST_DIGIT, FIRST_DIGIT + 10)),) * bench.digits
        codec = NumberCodec(numerals, (START,), (), ",", (SEPARATOR,), levels, "single", levels[0], "single")
        config = _attending(bench, PUBLIC_CONFIGS[bench.shape.lower()])
        return Subject(f"{bench.shape.lower()}, random weights", config, None, codec)
    found = locate(bench.model)
    config = read_config(found.folder / "config.json")
    codec = number_codec(load_tokenizer(found.folder, config), numerals, ",", "single")
    return Subject(found.id, _attending(bench, config), found.folder, codec)


def _attending(bench: BenchConfig, config: ModelConfig) -> ModelConfig:
    kernel = kernel_for(config, bench.attention, jnp.dtype(bench.dtype), jax.default_backend())
    return replace(config, attention=kernel)


def task_of(bench: BenchConfig, subject: Subject, platform: str) -> Task:
    """Random numbers as the codec writes them, cut to the context. Raises InputError if the states do not fit."""
    kind = "cpu" if platform == "cpu" else "accelerator"
    context = bench.context or min(CONTEXT[kind], subject.config.max_positions)
    if context > subject.config.max_positions:
        expected = f"at most the {subject.config.max_positions} tokens that {subject.name} holds"
        raise InputError(f"--context {context}", expected, "Lower it")
    codec, random = subject.codec, np.random.default_rng(0)
    series = [codec.prompt(random.integers(codec.numerals.num_bins, size=context)) for _ in range(bench.batch)]
    item_at = np.asarray(series[0].item_at)
    item_at = item_at[(item_at > 0) & (item_at + codec.depth <= context)]
    states = bench.states or min(STATES[kind], len(item_at))
    if not 1 <= states <= len(item_at):
        expected = f"at most the {len(item_at)} whole numbers in {context} tokens of context"
        raise InputError(f"--states {states}", expected, "Lower it or raise --context")
    chosen = np.linspace(0, len(item_at) - 1, states).round().astype(int)
    tokens = np.stack([np.asarray(one.tokens)[:context] for one in series]).astype(np.int32)
    exact = platform == "cpu" or bench.dtype == "float32"  # of bfloat16 products accelerators have one precision
    return Task(tokens, item_at[chosen].astype(np.int32), "highest" if exact else "default", bench.rows)


def abstract_model(subject: Subject, dtype: str) -> Any:
    """Shapes of the parameters, as they are kept here; no memory."""
    platform = jax.default_backend()
    return jax.eval_shape(lambda: kept_as(_random(subject, dtype, jax.random.key(0)), dtype, platform))


def weights_of(subject: Subject, dtype: str) -> Llama:
    """The parameters, on the device."""
    if subject.folder is not None:
        return load(subject.folder, dtype=dtype, attention=subject.config.attention).model
    made = jax.jit(functools.partial(_random, subject, dtype))(jax.random.key(0))
    return kept_as(made, dtype, jax.default_backend())


def _random(subject: Subject, dtype: str, key: jax.Array) -> Llama:
    return Llama(subject.config, key=key, dtype=jnp.dtype(dtype))
