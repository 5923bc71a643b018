"""What `llmworld space-time` is asked for. Imports nothing heavy, so that the command line answers at once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...entities.recipe import Duplicates, EntityOptions
from ...errors import InputError
from ..dtypes import check_dtype

DEFAULT_DATASETS = ("world_cities", "historical_figures")
#: Beyond so many entities a dataset is read in one stream, which keeps Gram sums and test rows only.
ROWS_AT_ONCE = 6000


@dataclass(frozen=True)
class SpaceTimeConfig:
    """Probe a model's activations for places and dates, beside every control."""

    dataset: tuple[str, ...] = DEFAULT_DATASETS
    """Names that `llmworld entities` lists, or CSV files of your own or of the paper."""
    model: str = "smollm2-135m-instruct"
    """A name of `llmworld models`, a folder, a GGUF file or a hub repository."""
    entities: int = 3000
    """At most so many of each dataset, drawn at random; 0 for all."""
    folds: int = 5
    """Random splits: the entities are cut into so many parts, each is the test rows once."""
    split: Literal["random", "file"] = "random"
    """``file``: the one split that the file brings, in the place of random ones."""
    prompts: tuple[str, ...] = ("empty",)
    """Prompt kinds, the first for everything but the comparison of prompts; ``all`` for every one of the dataset."""
    start_token: str = "newline"
    """``newline``, ``bos``, ``none`` or a token id; something must stand before the name."""
    penalties: int = 25
    """Ridge penalties, from 1e-6 to 100 of the mean eigenvalue."""
    group: str | None = None
    """Group of the controls and the block hold-out; by default the first of the dataset."""
    holdout: tuple[str, ...] = ()
    """Further groups to hold out block by block (kinds of entities, continents)."""
    neurons: bool = True
    """Look for single neurons."""
    twin: bool = True
    """Read everything with a randomly initialised twin too."""
    causal: Literal["off", "short", "thorough"] = "short"
    """Move activations along the probe's direction and see what follows; pin and ablate neurons."""
    dtype: str = "float32"
    """Of weights and activations."""
    seed: int = 0
    name_column: str = "name"
    """CSV: column of the names."""
    target: tuple[str, ...] = ()
    """CSV: columns to predict; by default longitude and latitude where both exist."""
    unit: tuple[str, ...] = ()
    """CSV: unit of each target; ``years`` makes it a time."""
    group_column: tuple[str, ...] = ()
    """CSV: columns of labels (country, kind, century)."""
    split_column: str | None = None
    """CSV: column of the file's own split."""
    licence: str = ""
    """CSV: printed with the results."""
    where: tuple[str, ...] = ()
    """``column=value``: only such rows."""
    zips: bool = False
    """Keep the zip codes of the paper's us_place."""
    drop_bad_rows: bool = False
    """Leave out rows that cannot be used, in the place of stopping."""
    duplicates: Duplicates | None = None
    """Names on both sides of the file's split: ``refuse``, ``drop_test`` or ``keep``."""
    store_activations: Path | None = None
    """Keep the activations in this folder too, as zarr v3, a sub-folder for each dataset."""

    def check(self) -> "SpaceTimeConfig":
        """The configuration itself. Raises InputError for what can be seen to be wrong without a file or a model."""
        from ...entities.prompts import parse_entity_start

        parse_entity_start(self.start_token)
        for name, low in (("entities", 0), ("folds", 2), ("penalties", 3), ("seed", 0)):
            if getattr(self, name) < low:
                raise InputError(f"--{name} {getattr(self, name)}", f"{low} or more", "Choose another number")
        for name in ("dataset", "prompts"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise InputError(f"--{name} {' '.join(given)}", "different names, at least one", "Name each once")
        if 0 < self.entities < 50:
            raise InputError(f"--entities {self.entities}", "at least 50, or 0 for all", "Choose another number")
        check_dtype(self.dtype)
        return self

    def options(self) -> EntityOptions:
        """What the flags say about CSV files."""
        return EntityOptions(
            name_column=self.name_column,
            target=self.target,
            unit=self.unit,
            group=self.group_column,
            split_column=self.split_column,
            licence=self.licence,
            where=self.where,
            zips=self.zips,
            drop_bad=self.drop_bad_rows,
            duplicates=self.duplicates,
        )
