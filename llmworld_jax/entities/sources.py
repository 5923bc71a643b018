"""Every table of entities by one call: those that come with the package, the paper's files, and any CSV."""

import gzip
from importlib import resources
from pathlib import Path

from ..errors import InputError
from .columns import Columns, parse_csv, read_csv
from .embedded import ENTITIES
from .paper_files import PAPER_FILES
from .reading import table_from_columns
from .recipe import EntityOptions, EntitySource
from .table import EntityTable

__all__ = ["ENTITIES", "PAPER_FILES", "EntityOptions", "EntitySource", "load_entities"]


def load_entities(dataset: str | Path, options: EntityOptions = EntityOptions()) -> EntityTable:  # noqa: B008
    """The entities of a name in ``ENTITIES``, or of a ``.csv`` or ``.csv.gz`` file.

    A file is taken for one of ``PAPER_FILES`` if it has both its name and its columns. Of any other the user says
    what its columns mean; see ``EntityOptions``.

    Raises:
        InputError: no such name and no such file; a file that cannot be read as UTF-8 CSV (``columns.read_csv``);
            columns that are missing; rows that cannot be used (``reading.table_from_columns``).
    """
    name = str(dataset)
    if name in ENTITIES:
        return table_from_columns(_embedded(name), ENTITIES[name], options, name)
    path = Path(dataset).expanduser()
    if not path.is_file():
        raise InputError(
            f"{name}, which is neither a table nor a file",
            f"one of {', '.join(ENTITIES)}, or a .csv or .csv.gz file",
            "`llmworld entities` describes the tables",
        )
    columns = read_csv(path)
    stem = path.name.removesuffix(".gz").removesuffix(".csv")
    paper = PAPER_FILES.get(stem)
    if paper is None or not set(paper.columns) <= set(columns.text):
        paper = EntitySource(f"the user's file {path.name}", "not stated", target=(), unit=())
    return table_from_columns(columns, paper, options, stem)


def _embedded(name: str) -> Columns:
    file = resources.files(__package__).joinpath("tables", f"{name}.csv.gz")
    return parse_csv(file.name, gzip.decompress(file.read_bytes()))
