"""Soft prompts before a series of numbers, trained for the law of the next value: is there more in the model?

Each is trained on simulated series of one system for a distance of the predicted law to the true transition law, a
score of it, or the likelihood of what came, and tested on series that it never read, of this system and of another.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key
from scipy import stats

import analyses

from ...codec import NumberCodec
from ...errors import InputError
from ...models.catalogue import LoadedModel
from ...models.llama import Llama
from ...models.mesh import jit_on_mesh
from ...models.readout import embed
from ...optimise.descent import State, Step, adam, begin, descend
from ...optimise.number_series import laws_behind
from ...optimise.soft_prompt import NormRange, norm_range, prompt_of_tokens, within_range
from ...store import RunStore
from ..dynamics_config import DynamicsConfig
from ..simulation import World, simulate
from ..truth import truths_of
from .config import EnergyConfig
from .driving import Progress, drive
from .prompts import start_tokens

STEPS, FIRST, EVERY = 100, 40, 6
"""Values of a series, and at which of them laws are read: from the first on, each so many."""
TRAINING, HELD_OUT = 12, 6
LAW_LOSSES = ("bhattacharyya", "kl", "crps", "likelihood")
MEASURES = ("Bhattacharyya", "KL", "CRPS", "−ln mass of what came")


class SeriesBatch(NamedTuple):
    """Series as token ids with the truth at the items that are read."""

    tokens: Int[Array, "series position"]
    item_at: Int[Array, " item"]
    codes: Int[Array, "series item"]
    truth: Float[Array, "series item bin"]
    edges: Float[Array, "series bin_edge"]


class LawPrompts(NamedTuple):
    """``[prompt, system, measure]`` means over held-out series, and half 95 % intervals of the difference to none."""

    names: tuple[str, ...]
    systems: tuple[str, ...]
    value: np.ndarray
    half: np.ndarray
    loss: np.ndarray  # [objective, step]


def losses_of(log_mass: Array, truth: Array, code: Array, edges: Array) -> Float[Array, " measure"]:
    """All four at one item; CRPS in display units, of which the grid spans 10."""
    width = (edges[-1] - edges[0]) / 10
    return jnp.stack(
        (
            analyses.bhattacharyya_distance(log_mass, truth),
            analyses.kl_divergence(log_mass, truth),
            analyses.crps_binned(log_mass, edges, code) / width,
            -log_mass[code],
        )
    )


def _batch(world: World) -> SeriesBatch:
    items = np.arange(FIRST, STEPS, EVERY)
    edges = np.stack([one.numerals.edges() for one in world.series])
    truth = truths_of(world.batch, world.paths.states, edges)  # type: ignore[arg-type]
    prompts = [one.codec.prompt(one.codes) for one in world.series]
    return SeriesBatch(
        jnp.asarray(np.stack([prompt.tokens for prompt in prompts])), jnp.asarray(prompts[0].item_at[items]),
        jnp.asarray(np.stack([one.codes for one in world.series])[:, items]),
        jnp.asarray(truth.mass[:, items], jnp.float32), jnp.asarray(edges, jnp.float32),
    )  # fmt: skip


def measured(
    model: Llama, codec: NumberCodec, vectors: Array, length: ArrayLike, batch: SeriesBatch, k: Array
) -> Float[Array, "item measure"]:
    """All losses at the items of series ``k`` behind the prompt."""
    laws = laws_behind(model, codec, vectors, length, embed(model, batch.tokens[k]), batch.item_at)
    edges = batch.edges[k]
    return jax.vmap(losses_of, in_axes=(0, 0, 0, None))(laws.log_mass, batch.truth[k], batch.codes[k], edges)


@functools.partial(jit_on_mesh, static_argnames=("codec",))
def _step(
    model: Llama,
    codec: NumberCodec,
    objective: ArrayLike,
    batch: SeriesBatch,
    allowed: NormRange,
    rate: ArrayLike,
    state: State,
) -> Step:
    def loss(vectors: Array, key: Key[Array, ""]) -> Array:
        k = jax.random.randint(key, (), 0, batch.tokens.shape[0])
        return jnp.mean(measured(model, codec, vectors, vectors.shape[0], batch, k)[:, objective])

    return descend(state, loss, adam(rate), lambda vectors: within_range(vectors, allowed))


@functools.partial(jit_on_mesh, static_argnames=("codec",))
def _tested(model: Llama, codec: NumberCodec, vectors: Array, length: ArrayLike, batch: SeriesBatch) -> Array:
    def one(k: Array) -> Array:
        return jnp.mean(measured(model, codec, vectors, length, batch, k), axis=0)

    return jax.lax.map(one, jnp.arange(batch.tokens.shape[0]))


def law_series(config: EnergyConfig, loaded: LoadedModel) -> tuple[NumberCodec, dict[tuple[str, str], SeriesBatch]]:
    """Series of every system to be tested on, and of the first to be trained on.

    Raises:
        InputError: an unknown system, one without a law, or numbers that the model cannot write.
    """
    batches, codec = {}, None
    for number, name in enumerate(config.system):
        for part, seed, count in (("training", 0, TRAINING), ("held out", 1000, HELD_OUT)):
            if part == "held out" or number == 0:
                asked = DynamicsConfig(system=(name,), steps=STEPS, seeds=count, seed=config.seed + seed, precision=2)
                world = simulate(asked.check(), name, loaded)
                batches[name, part] = _batch(world)
                own = world.series[0].codec
                if codec is not None and own.levels != codec.levels:
                    raise InputError(
                        f"--system {' '.join(config.system)}", "systems written alike", "Do not mix numbers and symbols"
                    )
                codec = own
    assert codec is not None
    return codec, batches


def law_prompts_of(
    config: EnergyConfig, loaded: LoadedModel, common: dict[str, Any], store: RunStore, progress: Progress
) -> LawPrompts:
    """``LawPrompts`` of the two systems of ``config``: the first is trained on."""
    model = loaded.model
    codec, batches = law_series(config, loaded)
    rows = max(config.vectors)
    start = prompt_of_tokens(model, start_tokens(loaded, config.start_text), rows)
    prompts = {"no prompt": (start, 0), "start text": (start, rows)}
    curves = []
    for number, objective in enumerate(LAW_LOSSES):
        progress(f"series of {config.system[0]}, trained on {objective}")
        step = functools.partial(
            _step, model, codec, number, batches[config.system[0], "training"], norm_range(model), config.rate
        )
        key = {"what": "law prompt", "objective": objective, "system": config.system[0], "steps": config.steps} | common
        state = begin(start, adam(config.rate), jax.random.key(config.seed))
        driven = drive(step, state, config.steps, store, key, progress)
        prompts[objective] = (driven.state.parameters, rows)
        curves.append(driven.loss[0])
    found = np.stack(
        [
            [np.asarray(_tested(model, codec, v, n, batches[name, "held out"])) for name in config.system]
            for v, n in prompts.values()
        ]
    )  # [prompt, system, series, measure]
    apart = found - found[:1]
    half = stats.t.ppf(0.975, HELD_OUT - 1) * apart.std(axis=2, ddof=1) / HELD_OUT**0.5
    return LawPrompts(tuple(prompts), config.system, found.mean(axis=2), half, np.stack(curves))
