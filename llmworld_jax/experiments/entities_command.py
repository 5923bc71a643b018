"""``llmworld entities``: which tables there are, whose they are, and what is wrong with them."""

import numpy as np

from ..entities.sources import ENTITIES, PAPER_FILES, load_entities
from ..entities.table import EntityTable

_HEADER = ("name", "entities", "targets", "groups", "source", "licence")


def listing() -> list[str]:
    """A line for every table that comes with the package, their faults, and what else can be read."""
    tables = {name: load_entities(name) for name in ENTITIES}
    rows = [_HEADER, *(_row(name, table) for name, table in tables.items())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER) - 1)]
    lines = ["  ".join([*map(str.ljust, row, widths), row[-1]]) for row in rows]
    for name, table in tables.items():
        lines += ["", f"known faults of {name}:", *(f"  {fault}" for fault in table.faults)]
    return [
        *lines,
        "",
        f"also the paper's own files, by path, recognised by name: {', '.join(f'{stem}.csv' for stem in PAPER_FILES)}",
        "also any .csv or .csv.gz in UTF-8 with a column of names, and longitude and latitude, a date, or any number",
        "full notices of the tables: llmworld_jax/entities/tables/LICENCES.md",
    ]


def _row(name: str, table: EntityTable) -> tuple[str, ...]:
    units = sorted(set(table.units))
    targets = f"{', '.join(table.target_names)} [{', '.join(units)}]"
    groups = ", ".join(f"{group} ({len(np.unique(labels))})" for group, labels in table.groups.items())
    return name, f"{len(table):,}", targets, groups, table.source, table.licence
