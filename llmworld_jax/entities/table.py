"""A table of entities: what each is called, where or when it is, and which groups it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from ..errors import InputError

Kind = Literal["place", "time", "number"]
PLACE = ("longitude", "latitude")
#: Degrees on either side of 0 that a longitude and a latitude may have.
LIMITS = {"longitude": 180.0, "latitude": 90.0}
LEAST = 50
_SHOWN = 10


def listed(items: Sequence[str]) -> str:
    """The first ten, and how many more there are."""
    more = f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return "; ".join(items[:_SHOWN]) + more


def _true(mask: np.ndarray) -> list[int]:
    return np.flatnonzero(mask).tolist()


@dataclass(frozen=True, eq=False)
class EntityTable:
    """Entities in the order of their file.

    Places have the two targets (longitude, latitude), in degrees; times one, in years (negative before Christ).
    """

    #: The name under which it was loaded, or the stem of the user's file.
    key: str
    #: As in the file, white space normalised.
    names: tuple[str, ...]
    #: What a model reads: the names after the surface rule of their family.
    texts: tuple[str, ...]
    targets: Float[np.ndarray, "entity target"]
    target_names: tuple[str, ...]
    units: tuple[str, ...]
    kind: Kind
    #: Labels [entity] by the name of the group (a country, a decade, an occupation).
    groups: dict[str, np.ndarray]
    #: The file's own split, True for the test; None where it has none.
    held_out: Bool[np.ndarray, " entity"] | None
    #: Line of the file that each begins on; the header is line 1.
    rows: Int[np.ndarray, " entity"]
    source: str
    licence: str
    #: What is known to be wrong or missing, and what was left out when it was read; a sentence each.
    faults: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def take(self, indices: Int[np.ndarray, " chosen"]) -> "EntityTable":
        """The entities at ``indices``, in that order."""
        at = np.asarray(indices)
        return replace(
            self,
            names=tuple(self.names[i] for i in at),
            texts=tuple(self.texts[i] for i in at),
            targets=self.targets[at],
            groups={name: group[at] for name, group in self.groups.items()},
            held_out=None if self.held_out is None else self.held_out[at],
            rows=self.rows[at],
        )

    def sample(self, count: int, seed: int = 0) -> "EntityTable":
        """At most ``count`` entities, drawn uniformly without replacement, in the order of the file."""
        if count < 1:
            raise InputError(f"{count} entities of {self.key}", "at least 1", "Ask for more")
        if count >= len(self):
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return self.take(np.sort(chosen))

    def where(self, index: int) -> str:
        """How a message names an entity."""
        return f"line {self.rows[index]} ({self.names[index]!r})"

    def check(self) -> "EntityTable":
        """The table itself, if it can be used.

        Raises:
            InputError: columns of different lengths; no name, text or label; a target that is not finite or lies
                off the globe; fewer than fifty entities.
        """
        self._check_shapes()
        bad = [self.where(i) for i in range(len(self)) if not self.names[i].strip() or not self.texts[i].strip()]
        bad += [self.where(i) for i in _true(~np.isfinite(self.targets).all(axis=1))]
        for name, limit in LIMITS.items() if self.kind == "place" else ():
            column = self.targets[:, self.target_names.index(name)]
            bad += [f"{self.where(i)} with {name} {column[i]:g}" for i in _true(np.abs(column) > limit)]
        for name, group in self.groups.items():
            bad += [f"{self.where(i)} without a {name}" for i in _true(np.char.strip(group) == "")]
        if bad:
            raise InputError(
                f"{len(bad)} unusable entities in {self.key}: {listed(bad)}",
                "names, finite targets on the globe and a label in every group",
                "Correct or leave out these",
            )
        if len(self) < LEAST:
            raise InputError(
                f"{len(self)} entities in {self.key}",
                f"at least {LEAST}: fewer cannot be split into rows to learn from and rows to be tested on",
                "Add entities",
            )
        return self

    def _check_shapes(self) -> None:
        sizes = {len(self.names), len(self.texts), len(self.targets), len(self.rows)}
        sizes |= {len(group) for group in self.groups.values()}
        sizes |= set() if self.held_out is None else {len(self.held_out)}
        widths = {self.targets.shape[-1], len(self.target_names), len(self.units)}
        shape_known = self.targets.ndim == 2 and self.kind in get_args(Kind)
        if (
            len(sizes) > 1
            or len(widths) > 1
            or not shape_known
            or (self.kind == "place" and self.target_names != PLACE)
        ):
            raise InputError(
                f"a {self.kind} table {self.key} with columns of lengths {sorted(sizes)} and target widths "
                f"{sorted(widths)} named {self.target_names}",
                f"one length, one width, kind {', '.join(get_args(Kind))}, and places as {PLACE}",
                "Make every field from the same rows",
            )
