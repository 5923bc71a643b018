"""From columns of text to a table of entities: every row is used, or it is said which are not and why."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ..errors import InputError
from .columns import Columns, parse_csv, read_csv
from .continents import continents
from .recipe import EntityOptions, EntitySource
from .resolving import resolved
from .surface import SURFACE_FORMS
from .table import LIMITS, PLACE, EntityTable, listed
from .years import Years, labels, number, years

__all__ = ["parse_csv", "read_csv", "table_from_columns"]

_SPANS = {"decade": 10, "century": 100}
_SPLIT = {"true": True, "1": True, "test": True, "false": False, "0": False, "train": False}
UNKNOWN = "unknown"


class _Targets(NamedTuple):
    values: Float[np.ndarray, "entity target"]
    names: tuple[str, ...]
    #: Calendar years [entity] of a time.
    calendar: np.ndarray | None


class _Rows(NamedTuple):
    texts: tuple[str, ...]
    targets: _Targets
    groups: dict[str, np.ndarray]
    #: What is wrong with a row, by its index.
    problems: dict[int, str]


def table_from_columns(columns: Columns, source: EntitySource, options: EntityOptions, key: str) -> EntityTable:
    """A checked table, with the groups that follow from what the file says (continent, decade, century).

    Raises:
        InputError: a column that is missing; rows without a name, a number in a target, a place on the globe or a
            label in a group (the first ten are listed; ``drop_bad`` leaves them out); a split that is none; texts on
            both sides of it; fewer than fifty rows.
    """
    recipe = resolved(columns, source, options)
    columns, left_out = _chosen(columns, recipe, options)
    rows = _read(columns, recipe)
    if rows.problems:
        _refuse_unless(options.drop_bad, columns, rows.problems)
        left_out += (f"{len(rows.problems):,} rows that cannot be used were left out",)
        columns = columns.take(np.array([i not in rows.problems for i in range(len(columns.lines))], dtype=bool))
        rows = _read(columns, recipe)
    table = EntityTable(
        key=key,
        names=_normal(columns.text[recipe.name]),
        texts=rows.texts,
        targets=rows.targets.values,
        target_names=rows.targets.names,
        units=recipe.unit,
        kind=recipe.kind,
        groups=rows.groups,
        held_out=_split(columns, recipe.split),
        rows=columns.lines,
        source=recipe.source,
        licence=recipe.licence,
        faults=recipe.faults + left_out,
    )
    return _without_leaks(table, recipe).check()


def _normal(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Single blanks, in one call for all."""
    return tuple(" ".join(text.split()) for text in texts)


def _chosen(columns: Columns, recipe: EntitySource, options: EntityOptions) -> tuple[Columns, tuple[str, ...]]:
    """The rows that the recipe and the user's conditions keep."""
    said: tuple[str, ...] = ()
    for condition in options.where:
        name, equals, value = condition.partition("=")
        if not equals:
            raise InputError(f"the condition {condition!r}", '"column=value"', "Write it so")
        columns.need((name,))
        kept = columns.take(np.array([text == value for text in columns.text[name]], dtype=bool))
        if not len(kept.lines):
            values = sorted(set(columns.text[name]))
            raise InputError(f"no row with {condition}", f"one of {listed(values)}", "Choose one of these")
        said += (f"only rows with {condition}",)
        columns = kept
    if recipe.left_out and not options.zips:
        name, value = recipe.left_out
        keep = np.array([text != value for text in columns.text[name]], dtype=bool)
        said += (f"{np.sum(~keep):,} rows with {name}={value} were left out",)
        columns = columns.take(keep)
    return columns, said


def _read(columns: Columns, recipe: EntitySource) -> _Rows:
    creators = columns.text[recipe.creator] if recipe.creator else ("",) * len(columns.lines)
    texts = tuple(map(SURFACE_FORMS[recipe.surface], columns.text[recipe.name], creators))
    targets = _targets(columns, recipe)
    groups = _groups(columns, recipe, targets.calendar)
    problems: dict[int, str] = {}
    for name, group in groups.items():
        problems |= dict.fromkeys(np.flatnonzero(group == "").tolist(), f"no {name}")
    for name, column, values in zip(targets.names, recipe.target, targets.values.T):
        limit = LIMITS[name] if recipe.kind == "place" else np.finfo(np.float64).max
        for i in np.flatnonzero(~(np.abs(values) <= limit)).tolist():
            problems[i] = f"{column} {columns.text[column][i]!r}"
    problems |= {i: "no name" for i, text in enumerate(texts) if not text}
    return _Rows(texts, targets, groups, problems)


def _targets(columns: Columns, recipe: EntitySource) -> _Targets:
    if recipe.kind == "time":
        found: Years = years(columns.text[recipe.target[0]])
        return _Targets(found.fractional[:, None], recipe.target, found.calendar)
    values = np.array([[number(text) for text in columns.text[name]] for name in recipe.target], dtype=np.float64).T
    return _Targets(values, PLACE if recipe.kind == "place" else recipe.target, None)


def _groups(columns: Columns, recipe: EntitySource, calendar: np.ndarray | None) -> dict[str, np.ndarray]:
    groups = {}
    for name, column in recipe.groups.items():
        empty = UNKNOWN if name in recipe.unknown else ""
        groups[name] = np.array([text or empty for text in _normal(columns.text[column])], dtype=str)
    if recipe.continent_of:
        groups["continent"] = continents(groups[recipe.continent_of])
    if calendar is not None:
        groups |= {name: _span(calendar, length) for name, length in _SPANS.items() if name not in groups}
    return groups


def _span(calendar: np.ndarray, length: int) -> np.ndarray:
    """Labels, with a stand-in where the year is not known: that row is refused for its target."""
    return labels(np.where(np.isfinite(calendar), calendar, 0.0), length)


def _refuse_unless(drop: bool, columns: Columns, problems: dict[int, str]) -> None:
    if not drop:
        where = listed([f"line {columns.lines[i]}: {problems[i]}" for i in sorted(problems)])
        raise InputError(
            f"{len(problems):,} rows of {columns.file} that cannot be used: {where}",
            "a name, a label in every group, a finite number in every target (an ISO date will do for a time), "
            "longitudes within ±180 and latitudes within ±90",
            "Correct them, leave the group out, or leave them out with --drop-bad-rows (EntityOptions(drop_bad=True))",
        )


def _split(columns: Columns, split: str | None) -> np.ndarray | None:
    if split is None:
        return None
    other = sorted({text for text in columns.text[split] if text.lower() not in _SPLIT})
    held_out = np.array([_SPLIT.get(text.lower(), False) for text in columns.text[split]], dtype=bool)
    if other or held_out.all() or not held_out.any():
        found = f"also {listed(list(map(repr, other)))}" if other else "one side only"
        raise InputError(
            f"a split column {split} of {columns.file} with {found}",
            "true or false, 1 or 0, test or train, and rows of both",
            "Correct it, or leave the split out",
        )
    return held_out


def _without_leaks(table: EntityTable, recipe: EntitySource) -> EntityTable:
    """What the recipe says of texts that stand on both sides of the file's split (letter case aside)."""
    if table.held_out is None or recipe.duplicates == "keep":
        return table
    texts = np.array([text.casefold() for text in table.texts], dtype=str)
    leaks = table.held_out & np.isin(texts, texts[~table.held_out])
    if not leaks.any():
        return table
    if recipe.duplicates == "drop_test":
        kept = table.take(np.flatnonzero(~leaks))
        said = f"{leaks.sum():,} test rows whose text is in the training rows too were left out"
        return replace(kept, faults=(*table.faults, said))
    raise InputError(
        f"{leaks.sum():,} test rows of {table.key} whose text is in the training rows too: "
        f"{listed([table.where(i) for i in np.flatnonzero(leaks).tolist()])}",
        "texts on one side of the split only",
        "Leave these out with duplicates='drop_test', or use folds of your own instead of the file's split",
    )
