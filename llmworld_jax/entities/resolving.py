"""From a file's columns and what the user says of them to a full recipe: nothing about a column is left open."""

from dataclasses import replace

from ..errors import InputError
from .columns import Columns
from .recipe import EntityOptions, EntitySource
from .table import Kind
from .years import is_date

_LONGITUDES = ("longitude", "lon", "lng", "long")
_LATITUDES = ("latitude", "lat")
_YEARS = ("year", "years")


def resolved(columns: Columns, source: EntitySource, options: EntityOptions) -> EntitySource:
    """``source`` with everything that ``options`` changes, checked against the columns that there are.

    Without a target of its own the file must have a longitude and a latitude. One target is a time if its unit is
    "years", if its column is called year, date or …_year, …_date, or if it holds nothing but ISO dates; it is a plain
    number otherwise.

    Raises:
        InputError: a column that is not there; no target to be found; several targets that are not a place, or
            units that do not fit.
    """
    own_name = options.name_column if options.name_column != "name" else source.name
    recipe = replace(
        source,
        name=own_name,
        groups=source.groups | {name: name for name in options.group if name not in source.groups},
        split=options.split_column or source.split,
        licence=options.licence or source.licence,
        duplicates=options.duplicates or source.duplicates,
    )
    target = options.target or recipe.target or _place_columns(columns)
    if not target:
        raise InputError(
            f"{columns.file} without a target; its columns are {', '.join(columns.text)}",
            "columns longitude and latitude, or the name of a column to be predicted",
            "Say which with --target (EntityOptions(target=...))",
        )
    columns.need((recipe.name, *target))
    if options.target or not source.target:
        recipe = replace(recipe, **_meaning(columns, target, options.unit))
    columns.need(recipe.columns)
    return recipe


def _place_columns(columns: Columns) -> tuple[str, ...]:
    pairs = [(lon, lat) for lon in columns.text for lat in columns.text if _place_order((lon, lat)) == (lon, lat)]
    return pairs[0] if len(pairs) == 1 else ()


def _place_order(target: tuple[str, ...]) -> tuple[str, ...]:
    """The two columns of a place, longitude first; nothing for anything else."""
    first = [name for name in target if name.lower() in _LONGITUDES]
    second = [name for name in target if name.lower() in _LATITUDES]
    return (first[0], second[0]) if len(target) == 2 and first and second else ()


def _meaning(columns: Columns, target: tuple[str, ...], unit: tuple[str, ...]) -> dict:
    if unit and len(unit) != len(target):
        raise InputError(
            f"{len(unit)} units for the targets {', '.join(target)}", "one for each", "Give as many, or none"
        )
    place = _place_order(target)
    if place:
        if unit and set(unit) != {"degrees"}:
            raise InputError(f"a place in {', '.join(unit)}", "degrees", "Convert the file to degrees")
        return dict(kind="place", target=place, unit=("degrees", "degrees"))
    kind: Kind = "time" if len(target) == 1 and _is_time(columns, target[0], unit) else "number"
    return dict(kind=kind, target=target, unit=("years",) if kind == "time" else unit or ("",) * len(target))


def _is_time(columns: Columns, target: str, unit: tuple[str, ...]) -> bool:
    if unit:
        return unit[0].lower() in _YEARS
    words = target.lower().replace("-", "_").split("_")
    texts = [text for text in columns.text[target] if text]
    return words[-1] in (*_YEARS, "date") or (bool(texts) and all(map(is_date, texts)))
