"""How a file of entities is read: what its columns mean, and what the user may change about it."""

from dataclasses import dataclass, field
from typing import Literal

from .table import PLACE, Kind

#: What is done with an entity of the test whose text is in the training rows too.
Duplicates = Literal["refuse", "drop_test", "keep"]


@dataclass(frozen=True)
class EntitySource:
    """One file: its columns, where it comes from, and what is known to be wrong with it."""

    #: Where the facts come from.
    source: str
    licence: str
    kind: Kind = "place"
    name: str = "name"
    #: Columns of the targets, and the units in which they are.
    target: tuple[str, ...] = PLACE
    unit: tuple[str, ...] = ("degrees", "degrees")
    #: Column of every group, by its name.
    groups: dict[str, str] = field(default_factory=dict)
    #: Groups in which an empty label means that it is not known.
    unknown: tuple[str, ...] = ()
    #: The group of ISO country codes from which a group "continent" follows.
    continent_of: str = ""
    #: A rule of ``surface.SURFACE_FORMS``, and the column of the creator for a rule that needs one.
    surface: str = "identity"
    creator: str = ""
    split: str | None = None
    duplicates: Duplicates = "refuse"
    #: (column, value) of rows that are left out unless asked for.
    left_out: tuple[str, str] | None = None
    faults: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the file must have."""
        named = (self.name, *self.target, *self.groups.values(), self.creator, self.split or "")
        named += self.left_out[:1] if self.left_out else ()
        return tuple(dict.fromkeys(column for column in named if column))


@dataclass(frozen=True)
class EntityOptions:
    """What a user says about a file. Nothing here need be said of one that is known."""

    name_column: str = "name"
    #: Columns to be predicted: longitude and latitude, one of years or dates, or any number.
    target: tuple[str, ...] = ()
    #: A unit for each; "years" makes a time of a column that its name and content do not show to be one.
    unit: tuple[str, ...] = ()
    #: Columns of labels, beside those that are known of the file.
    group: tuple[str, ...] = ()
    #: Column of the file's own split: true/false, 1/0 or test/train.
    split_column: str | None = None
    #: Printed wherever results are.
    licence: str = ""
    #: "column=value": only rows that have it.
    where: tuple[str, ...] = ()
    #: Keep the zip codes of the paper's ``us_place``: digits that any network maps to a place.
    zips: bool = False
    #: Leave out rows that cannot be used, instead of refusing the file.
    drop_bad: bool = False
    #: None: "refuse", but "drop_test" for the paper's files, which are known to have some.
    duplicates: Duplicates | None = None
