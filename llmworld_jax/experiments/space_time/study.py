"""One dataset made ready: its table, folds, groups and prompts, checked before any long work."""

from typing import NamedTuple

import numpy as np

from ...entities.prompts import EntityPrompts, PromptKind, entity_prompts, parse_entity_start, prompt_kinds
from ...entities.sources import load_entities
from ...entities.splits import folds
from ...entities.table import EntityTable
from ...errors import InputError
from ...models.catalogue import LoadedModel
from .config import ROWS_AT_ONCE, SpaceTimeConfig

LEAST_SPANS = 4


class Study(NamedTuple):
    """What is asked of one dataset. ``fold`` is -1 for entities that are never tested."""

    table: EntityTable
    fold: np.ndarray
    group: str
    codes: np.ndarray
    labels: tuple[str, ...]
    kinds: dict[str, PromptKind]
    prompts: dict[str, EntityPrompts]
    start: str | int = "newline"

    @property
    def prompt(self) -> str:
        """Key of the main prompt kind, the first."""
        return next(iter(self.prompts))

    @property
    def num_folds(self) -> int:
        """How many splits there are."""
        return int(self.fold.max()) + 1

    def train(self) -> np.ndarray:
        """``[fold, entity]``: the rows that a fold may learn from."""
        return self.fold[None] != np.arange(self.num_folds)[:, None]

    def test(self) -> np.ndarray:
        """``[fold, entity]``: the rows that it is judged on."""
        return ~self.train()


def prepare(config: SpaceTimeConfig, loaded: LoadedModel) -> tuple[Study, ...]:
    """Every dataset of ``config``.

    Raises:
        InputError: a dataset, column, group, prompt kind or name that cannot be used; see ``entities``.
    """
    studies = tuple(_study(name, config, loaded) for name in config.dataset)
    keys = [study.table.key for study in studies]
    if len(set(keys)) < len(keys):
        raise InputError(f"datasets named {', '.join(keys)}", "a name each", "Rename one of the files")
    return studies


def _study(name: str, config: SpaceTimeConfig, loaded: LoadedModel) -> Study:
    table = load_entities(name, config.options())
    if config.entities:
        table = table.sample(config.entities, config.seed).check()
    group = _group(table, config.group)
    codes, labels = coded(table.groups[group])
    for other in config.holdout:
        _group(table, other)
    start = parse_entity_start(config.start_token)
    kinds = _kinds(table, config.prompts)
    prompts = {
        key: entity_prompts(
            loaded.tokenizer, table.texts, kind, start=start, seed=config.seed, rows=table.rows,
            context=loaded.config.max_positions,
        )
        for key, kind in kinds.items()
    }  # fmt: skip
    return Study(table, _folds(table, config), group, codes, labels, kinds, prompts, start)


def coded(column: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Integer codes ``[entity]`` of a column of labels, and the labels."""
    labels, codes = np.unique(column, return_inverse=True)
    return codes.astype(np.int32), tuple(str(label) for label in labels)


def _folds(table: EntityTable, config: SpaceTimeConfig) -> np.ndarray:
    if config.split == "random":
        found = folds(table, config.folds, config.seed)
        # One stream over a large table keeps the test rows of one split only.
        return found if len(table) <= ROWS_AT_ONCE else np.where(found == 0, 0, -1)
    if table.held_out is None or not 0 < table.held_out.sum() < len(table):
        raise InputError(
            f"--split file for {table.key}, which brings no split with rows on both sides",
            "a column of true/false or test/train",
            "Name it with --split-column, or leave --split out",
        )
    return np.where(table.held_out, 0, -1)


def _group(table: EntityTable, wanted: str | None) -> str:
    if wanted is None and table.groups:
        spans = {name: len(np.unique(table.groups[name])) for name in ("century", "decade") if name in table.groups}
        # A time falls into centuries, unless all are of a few.
        broad = [name for name, count in spans.items() if count >= LEAST_SPANS]
        return next(iter([*broad, *table.groups]))
    if wanted not in table.groups:
        raise InputError(
            f"the group {wanted!r} for {table.key}",
            f"one of {', '.join(table.groups)}" if table.groups else "a table with a group: the controls need one",
            "Name a column of labels with --group-column",
        )
    return wanted


def _kinds(table: EntityTable, wanted: tuple[str, ...]) -> dict[str, PromptKind]:
    known = prompt_kinds(table.key, table.kind)
    if "all" in wanted:
        return known
    unknown = [key for key in wanted if key not in known]
    if unknown:
        raise InputError(
            f"the prompts {', '.join(unknown)} for {table.key}",
            f"some of {', '.join(known)}, or all",
            "Choose among these",
        )
    return {key: known[key] for key in wanted}
