"""Made-up results of a space-and-time run, in numpy alone: figures are functions of stored arrays, whoever made them.

The "model" knows the group of an entity and a little of where in it it is, better with every layer.
llmworld_jax is imported inside the functions, because jaxtyping's checker must be installed first.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

WORDS = ("New", "San", "Saint", "Port", "Fort", "Lake", "North", "burg", "ville", "ton", "ford", "berg")
GROUPS = ("Africa", "Asia", "Europe", "South America", "a very long name of a group")
CENTRES = np.array([[15.0, 5], [90, 35], [10, 50], [-60, -15], [140, -25]])
CONTROLS = (
    ("model, best layer", "model", "What the activations say", 0.0),
    ("untrained twin", "control", "The same network with random weights", 0.35),
    ("embedding layer", "control", "The last token's embedding", 0.3),
    ("mean input embedding", "control", "The mean of the name's embeddings", 0.2),
    ("n-grams of the name", "control", "The letters of the name", 0.12),
    ("shuffled targets", "control", "Targets of other entities", 0.52),
    ("control task", "control", "Group centres dealt out at random", 0.25),
    ("MLP probe", "note", "A probe that need not be linear", 0.01),
    ("group mean", "ceiling", "The true mean of the entity's group", -0.3),
)


def names_of_words(count: int) -> list[str]:
    """Names of one to three words, many of them shared."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, random.integers(1, 4))) for _ in range(count)]


def targets_in_words(names: list[str]) -> np.ndarray:
    """Two targets of very different scale; the first follows from the words."""
    noise = np.random.default_rng(1).normal(size=(len(names), 2))
    return np.stack([[len(name) + ("San" in name) * 5 for name in names], np.zeros(len(names))], 1) + noise * [1, 300]


def table_of(kind: str, entities: int, random: np.random.Generator) -> Any:
    """A table of a few groups; a tenth of the times lie before Christ."""
    from llmworld_jax.entities.table import EntityTable

    code = random.integers(len(GROUPS), size=entities)
    if kind == "place":
        targets = CENTRES[code] + random.normal(size=(entities, 2)) * (8, 5)
        names, units, groups = ("longitude", "latitude"), ("degrees", "degrees"), {"country": np.array(GROUPS)[code]}
    else:
        targets = 1960 - random.exponential(180, (entities, 1)).round() - 900 * (random.random((entities, 1)) < 0.1)
        targets[0] = -330
        century = (np.floor(targets[:, 0] / 100) * 100).astype(int).astype(str)
        names, units, groups = ("death_year",), ("years" if kind == "time" else "people",), {"century": century}
    words = tuple(f"Name {i}" for i in range(entities))
    return EntityTable(
        key=f"made_up_{kind}s", names=words, texts=words, targets=targets.astype(np.float64), target_names=names,
        units=units, kind=kind, groups=groups, held_out=None, rows=np.arange(entities) + 2, source="made up",
        licence="CC0 1.0", faults=("Nothing in it is true.",),
    )  # fmt: skip


def guesses(table: Any, group: str, share: float, random: np.random.Generator) -> np.ndarray:
    """Predictions ``[entity, target]`` of R² about ``share``, calibrated, that follow groups, not members."""
    mean, spread = table.targets.mean(axis=0), table.targets.std(axis=0)
    centre = np.empty_like(table.targets)
    for label in np.unique(table.groups[group]):
        members = table.groups[group] == label
        centre[members] = table.targets[members].mean(axis=0)
    heard = mean + share * (0.8 * centre + 0.2 * table.targets - mean)
    return heard + random.normal(size=heard.shape) * spread * np.sqrt(share * (1 - share))


def r_squared(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return 1 - ((true - predicted) ** 2).sum(axis=0) / ((true - true.mean(axis=0)) ** 2).sum(axis=0)


def correlations(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    return np.array([stats.spearmanr(t, p).statistic for t, p in zip(true.T, predicted.T)])


def scores_of(table: Any, predicted: np.ndarray, fold: np.ndarray, *, less: float = 0.0) -> Any:
    """Scores of each fold, lowered by ``less``."""
    from llmworld_jax.experiments.space_time.results import Scores

    rows = [np.flatnonzero(fold == k) for k in range(fold.max() + 1)]
    r2 = np.stack([r_squared(table.targets[at], predicted[at]) for at in rows]) - less
    rho = np.stack([correlations(table.targets[at], predicted[at]) for at in rows])
    rho = np.minimum(rho - less, 1)
    miss = np.array([np.median(np.linalg.norm(table.targets[at] - predicted[at], axis=1)) for at in rows])
    miss = miss * (111 if table.kind == "place" else 1) * (1 + max(less, 0))
    proximity = 0.2 + less / 2 + 0.01 * np.arange(len(rows))
    return Scores(r2.mean(1), rho.mean(1), r2, rho, proximity, miss, 1 - 0.1 * np.arange(len(rows)))


def sweep_of(table: Any, group: str, fold: np.ndarray, knows: np.ndarray, random: np.random.Generator) -> Any:
    from llmworld_jax.experiments.space_time.results import Sweep

    folds, width = range(fold.max() + 1), 24
    predictions = np.stack([guesses(table, group, k, random) for k in knows])
    predictions[:, fold < 0] = np.nan
    of = [[np.flatnonzero(fold == f)] * len(knows) for f in folds]
    r2 = np.stack([[r_squared(table.targets[at], p[at]) for at, p in zip(row, predictions)] for row in of])
    rho = np.stack([[correlations(table.targets[at], p[at]) for at, p in zip(row, predictions)] for row in of])
    chosen = np.minimum(len(knows) - 1 - np.arange(len(folds)) % 2, len(knows) - 1)
    final = np.full_like(table.targets, np.nan)
    for f in folds:
        final[fold == f] = predictions[chosen[f], fold == f]
    directions = np.cumsum(random.normal(size=(len(knows), width, table.targets.shape[1])), axis=0)
    edge = np.zeros((len(folds), len(knows)), bool)
    return Sweep(1 - r2.mean(axis=2), predictions, r2, rho, edge, chosen, 0.01 * np.ones(len(folds)), final, directions)


def blocks_of(table: Any, group: str, final: np.ndarray) -> tuple[Any, ...]:
    from llmworld_jax.experiments.space_time.results import Block

    found = []
    for k, label in enumerate(np.unique(table.groups[group])):
        rows = np.flatnonzero(table.groups[group] == label)
        mean = np.delete(table.targets, rows, axis=0).mean(axis=0)
        nominal = np.where(np.isfinite(final[rows]), final[rows], mean)
        held_out = mean + 0.45 * (nominal - mean)
        proximity = 0.1 + 0.01 * (k % 19)
        found.append(
            Block(str(label), rows, nominal, held_out, mean, proximity, 2 * proximity, 900.0, 2100.0 + k, 0.9, 0.45)
        )
    return tuple(block for block in found if len(block.rows) > 2)


def neurons_of(table: Any, random: np.random.Generator, blocks: int = 4, width: int = 50) -> Any:
    from llmworld_jax.experiments.space_time.results import Neurons

    names = (*table.target_names, "|latitude|") if table.kind == "place" else table.target_names
    columns = np.column_stack((table.targets, np.abs(table.targets[:, 1:2])))
    rho = random.normal(size=(blocks, width, len(names))) * 0.1
    top, activation = np.zeros((len(names), 5, 2), int), []
    for k in range(len(names)):
        top[k] = np.column_stack((np.full(5, k % blocks), 7 + np.arange(5)))
        rho[k % blocks, 7:12, k] = -0.7 + 0.02 * np.arange(5)
        y = columns[:, k]
        activation.append(-stats.rankdata(y) / len(y) + random.normal(size=len(y)) * 0.3)
    return Neurons(
        names, np.clip(rho, -1, 1), np.full(len(names), 0.4), top, np.array(activation), np.tile(top[:, 0], (3, 1, 1)),
        np.full((3, len(names)), 0.62), np.full((3, len(names)), 0.05),
    )  # fmt: skip


def curves_of(folds: int, best: float, random: np.random.Generator) -> tuple[Any, ...]:
    from llmworld_jax.experiments.space_time.results import Curve

    found = []
    for name, count in (
        ("PCA", np.array([2, 5, 10, 20, 50, 100])),
        ("PLS", np.array([1, 2, 5, 10, 20])),
        ("training rows", np.array([250, 500, 1000, 2000])),
    ):
        rise = best * (1 - np.exp(-np.linspace(0.3, 3, len(count)))) + 0.01 * random.normal(size=(folds, len(count)))
        found.append(Curve(name, count, rise, 0.2 + rise))
    return tuple(found)


def controls_of(table: Any, predicted: np.ndarray, fold: np.ndarray) -> tuple[Any, ...]:
    """The last fold's own n-grams are missing."""
    from llmworld_jax.experiments.space_time.results import Control

    nan, found = float("nan"), []
    for name, role, says, less in CONTROLS:
        scores = scores_of(table, predicted, fold, less=less)
        gain = (nan, nan, nan) if role == "model" else (less, less - 0.03, less + 0.03)
        found.append(Control(name, role, says, scores, *gain))
    nothing = type(scores)(*(np.full_like(x, nan) for x in scores))
    return (*found, Control("word vectors", "control", "Static vectors", nothing, nan, nan, nan, "no file was given"))


@functools.cache
def _results(kind: str, entities: int, layers: int, folds: int) -> Any:
    return results_of(table_of(kind, entities, np.random.default_rng(3)), layers, folds)


def results_of(table: Any, layers: int, folds: int, *, top: float = 0.6) -> Any:
    """``DatasetResults`` of a table."""
    from llmworld_jax.experiments.space_time.results import DatasetResults

    random = np.random.default_rng(11)
    group = next(iter(table.groups))
    fold = random.permutation(np.arange(len(table)) % folds)
    sweep = sweep_of(table, group, fold, np.linspace(0.15, top, layers), random)
    twin = sweep_of(table, group, fold, np.linspace(0.1, 0.15, layers), random)
    controls = controls_of(table, sweep.final, fold)
    labels, count = np.unique(table.groups[group], return_counts=True)
    by_group = tuple(
        (str(label), int(n), scores_of(table, sweep.final, np.where(table.groups[group] == label, 0, -1)))
        for label, n in zip(labels, count)
        if n > 2
    )
    targets = table.targets.shape[1]
    return DatasetResults(
        table=table, prompt="empty", example=("\n", "Name", " 0"), fold=fold, group=group, sweep=sweep, twin=twin,
        controls=controls, by_group=by_group, within=np.full(targets, 0.11), eta_squared=np.full(targets, 0.9),
        blocks={group: blocks_of(table, group, sweep.final)},
        curves=curves_of(folds, float(sweep.r2[:, -1].mean()), random),
        mlp=scores_of(table, sweep.final, fold, less=0.02), neurons=neurons_of(table, random),
        verdict="Beats every control: a coarse map, right to the group.", good=True,
    )  # fmt: skip


@pytest.fixture(scope="session")
def made_up_study() -> Callable[..., Any]:
    """``made_up_study(kind="place", entities=60, layers=4, folds=3) -> DatasetResults``."""

    def make(kind: str = "place", entities: int = 60, layers: int = 4, folds: int = 3) -> Any:
        return _results(kind, entities, layers, folds)

    return make


@pytest.fixture(scope="session")
def sketched(drawn) -> Any:
    """``sketched(function, *arguments) -> (figure, the PNG made of it)``, of functions that make one picture."""

    def sketch(function: Callable, *arguments: Any) -> Any:
        figures, pngs = drawn(function, *arguments)
        return figures[-1], pngs[0]

    return sketch
