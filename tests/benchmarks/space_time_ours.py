"""Our side of ``space_time.py``, and what both sides read; of its modules the only one that imports jax."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from analyses.probes.ridge import fit_ridge, predict, relative_penalties
from analyses.probes.sums import RowSums, row_sums
from llmworld_jax.activations import accumulate, collect, stream
from llmworld_jax.batches import batches, padded
from llmworld_jax.entities.prompts import EntityPrompts, entity_prompts, prompt_kinds
from llmworld_jax.entities.sources import ENTITIES, load_entities
from llmworld_jax.entities.table import EntityTable
from llmworld_jax.experiments.space_time import rows as space_time_rows
from llmworld_jax.experiments.space_time.study import Study
from llmworld_jax.experiments.space_time.sweep import layer_sweep
from llmworld_jax.models.catalogue import DEFAULT, LoadedModel, load
from llmworld_jax.models.forward import forward

SITES = ("resid_post",)
PRECISION = space_time_rows.MATMUL_PRECISION


class Names(NamedTuple):
    """Prompts, and for each its targets and whether it is tested; kept in a file that any process can read."""

    prompts: EntityPrompts
    targets: np.ndarray
    test: np.ndarray

    def save(self, path: Path) -> None:
        ids, lengths = np.concatenate(self.prompts.tokens), [len(tokens) for tokens in self.prompts.tokens]
        np.savez(path, ids=ids, lengths=lengths, first=self.prompts.first, targets=self.targets, test=self.test)


def read_names(path: Path) -> Names:
    """What ``Names.save`` wrote."""
    file = np.load(path)
    tokens = tuple(np.split(file["ids"], np.cumsum(file["lengths"])[:-1]))
    return Names(EntityPrompts(tokens, file["first"], file["lengths"] - 1), file["targets"], file["test"])


def cities(loaded: LoadedModel, count: int) -> Names:
    """World cities behind a newline with their longitude and latitude; a fifth of them is tested."""
    table = load_entities("world_cities").sample(count, 0)
    return _names(loaded, table.texts, table.targets)


def many(loaded: LoadedModel, count: int) -> Names:
    """``count`` different texts with random targets: every table of the package, then variants of its texts."""
    found = [text for name in ENTITIES for text in load_entities(name).texts]
    variants = (str, str.upper, str.lower, "the old {}".format, "from {}".format)
    texts = list(dict.fromkeys(variant(text) for variant in variants for text in found))
    if len(texts) < count:
        raise SystemExit(f"Got --large {count}. Expected at most {len(texts)}, the texts that can be made.")
    return _names(loaded, texts[:count], np.random.default_rng(1).normal(size=(count, 2)))


def _names(loaded: LoadedModel, texts: Any, targets: np.ndarray) -> Names:
    kind = prompt_kinds("world_cities", "place")["empty"]
    test = np.random.default_rng(0).permutation(len(texts)) < len(texts) // 5
    return Names(entity_prompts(loaded.tokenizer, texts, kind, start="newline"), targets, test)


def first(names: Names, count: int | None) -> Names:
    """The first ``count`` names, or all."""
    tokens, begins, last = names.prompts
    return Names(EntityPrompts(tokens[:count], begins[:count], last[:count]), names.targets[:count], names.test[:count])


def model() -> LoadedModel:
    return load(DEFAULT)


def device() -> str:
    """What jax computes on."""
    return jax.devices()[0].device_kind


def residual_rows(model: Any, names: Names) -> np.ndarray:
    """``[layer, name, width]``, as the experiment reads them."""
    return space_time_rows.residual_rows(model, names.prompts, lambda _: None, "")


def gram(model: Any, names: Names) -> np.ndarray:
    """Sums of products ``[block, width, width]`` about zero, reduced on the device: no row is kept."""
    y, prompts = jnp.asarray(names.targets, jnp.float32), names.prompts
    blocks, width, targets = model.config.num_layers, model.config.d_model, names.targets.shape[1]
    sums = functools.partial(row_sums, centre_x=jnp.zeros(width), centre_y=jnp.zeros(targets))

    def update(state: RowSums, taps: dict, index: jax.Array, weight: jax.Array) -> RowSums:
        def layer(k: jax.Array, state: RowSums) -> RowSums:  # one at a time, in its place
            x = jax.lax.dynamic_index_in_dim(taps["resid_post"], k, keepdims=False)
            return jax.tree.map(lambda whole, one: whole.at[k].add(one), state, sums(x, y[index], weight))

        return jax.lax.fori_loop(0, blocks, layer, state)

    one = jax.eval_shape(sums, jnp.zeros((1, width)), y[:1], jnp.ones(1))
    return np.asarray(
        accumulate(
            model, prompts.tokens, prompts.last, update,
            jax.tree.map(lambda leaf: jnp.zeros((blocks, *leaf.shape), leaf.dtype), one),  # unnamed, so that it goes
            sites=SITES, precision=PRECISION,
        ).xx
    )  # fmt: skip


def captured(model: Any, names: Names) -> jax.Array:
    """Residual stream of every block at the last token, left on the device; the last batch is returned."""
    for _, taps in stream(model, names.prompts.tokens, names.prompts.last, sites=SITES, precision=PRECISION):
        rows = jax.block_until_ready(taps["resid_post"])
    return rows


def collected(model: Any, names: Names) -> np.ndarray:
    """The same, every row brought to host memory."""
    return collect(model, names.prompts.tokens, names.prompts.last, sites=SITES, precision=PRECISION)["resid_post"]


def plain(model: Any, names: Names) -> jax.Array:
    """The same batches without taps: only the final hidden state at the last token; the last batch is returned."""
    for batch in batches([len(tokens) for tokens in names.prompts.tokens]):
        ids = jnp.asarray(padded(names.prompts.tokens, batch))
        hidden = jax.block_until_ready(_plain(model, ids, jnp.asarray(names.prompts.last[batch.which])))
    return hidden


@jax.jit
def _plain(model: Any, ids: jax.Array, last: jax.Array) -> jax.Array:
    return jax.vmap(lambda ids, at: forward(model, ids, precision=PRECISION).hidden[at])(ids, last)


def ratios(count: int) -> np.ndarray:
    """The grid in float64."""
    with jax.enable_x64(True):
        return np.asarray(relative_penalties(count))


def ridge(rows: np.ndarray, names: Names, ratios: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """The experiment's fit of one split, layer by layer: predictions of the test rows and the penalties chosen."""
    with jax.enable_x64(True):
        y, grid, train = jnp.asarray(names.targets, dtype), jnp.asarray(ratios, dtype), jnp.asarray(~names.test)
        layers = [_fit(jnp.asarray(x, dtype), y, grid, train) for x in rows]
        predictions, choice = (np.stack([np.asarray(part) for part in parts]) for parts in zip(*layers))
    return predictions[:, names.test], choice


@jax.jit
def _fit(x: jax.Array, y: jax.Array, ratios: jax.Array, train: jax.Array) -> tuple[jax.Array, jax.Array]:
    fit = fit_ridge(x, y, ratios, train)
    return predict(fit, x), fit.choice


def sweep(rows: np.ndarray, names: Names, penalties: int) -> np.ndarray:
    """The experiment's whole sweep of the one split, which fits every layer to all rows too, and scores the fits."""
    return layer_sweep(rows, study(names), penalties).predictions[:, names.test]


def study(names: Names) -> Study:
    """The one split as the experiment wants it."""
    count = len(names.test)
    called = tuple(map(str, range(count)))
    table = EntityTable(
        "benchmark", called, called, np.asarray(names.targets), ("a", "b"), ("", ""), "number", {}, None,
        np.arange(count), "", "",
    )  # fmt: skip
    return Study(table, np.where(names.test, 0, -1), "", np.zeros(count, np.int32), ("",), {}, {})
