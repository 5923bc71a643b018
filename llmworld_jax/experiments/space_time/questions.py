"""What is asked of a language model about an entity, in such a way that its next token answers."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from ...entities.table import EntityTable

_DIGITS = tuple("0123456789")
_YEAR = 4
"""Digits of a year."""


@dataclass(frozen=True)
class Question:
    """Text that follows an entity, and the words that may come next, each of which means a value of every target."""

    suffix: str
    words: tuple[str, ...]
    #: A word means the mean of the targets over the table's entities with this label of ``group``.
    group: str = ""
    labels: tuple[str, ...] = ()
    #: Or, for years: the number in which the suffix ends, which a word continues.
    begun: str = ""

    def values(self, table: EntityTable) -> Float[np.ndarray, "word target"]:
        """What each word means, in the targets' units (the middle of a span of years); NaN for an unused label."""
        if not self.group:
            return self._spans().mean(axis=1, keepdims=True)
        labels, rows = table.groups[self.group], np.full((len(self.words), table.targets.shape[1]), np.nan)
        for row, label in zip(rows, self.labels):
            if np.any(labels == label):
                row[:] = table.targets[labels == label].mean(axis=0)
        return rows

    def known(self, table: EntityTable) -> Bool[np.ndarray, " entity"]:
        """Whether one of the words is the right one."""
        if self.group:
            return np.isin(table.groups[self.group], self.labels)
        low, high = self._spans().T
        year = np.floor(table.targets[:, :1])
        return np.any((low <= year) & (year < high), axis=1)

    def truth(self, table: EntityTable, entity: int) -> str:
        """What follows the suffix, if the model is right: a word, or the rest of the year."""
        if self.group:
            return self.words[self.labels.index(str(table.groups[self.group][entity]))]
        return str(int(np.floor(table.targets[entity, 0])))[len(self.begun) :]

    def _spans(self) -> Float[np.ndarray, "word 2"]:
        """First year that a word allows, and the first that is too late."""
        widths = [10.0 ** (_YEAR - len(self.begun) - len(word)) for word in self.words]
        low = np.array([int(self.begun + word) for word in self.words]) * np.array(widths)
        return np.stack((low, low + widths), axis=1)


def _year(suffix: str) -> tuple[Question, ...]:
    """Centuries of the years 1000 to 1999, for tokenizers that write single digits, and three digits at a time."""
    decades = tuple(str(decade) for decade in range(100, 200))
    return Question(f"{suffix} 1", _DIGITS, begun="1"), Question(f"{suffix} ", decades)


_CONTINENT = (
    Question(
        " is located on the continent of",
        (" Africa", " Asia", " Europe", " North", " South", " Australia"),
        group="continent",
        labels=("Africa", "Asia", "Europe", "North America", "South America", "Oceania"),
    ),
)
_RELEASED = (
    Question(" was released in 19", _DIGITS, begun="19"),
    Question(" was released in ", tuple(str(decade) for decade in range(190, 200))),
)
_BY_KEY: dict[str, tuple[Question, ...]] = {
    "historical_figures": _year(" died in"),
    "historical_figure": _year(" died in"),
    "films": _RELEASED,
    "art": _RELEASED,
}


def questions(table: EntityTable) -> tuple[Question, ...]:
    """Ways to ask for an entity of this table; the first that a tokenizer allows will do. Nothing for other tables.

    Places are asked for if their continent is known, people for the year of their death, films for that of their
    release, each only where an answer is one token long: continents, or centuries and decades.
    """
    if table.key in _BY_KEY:
        return _BY_KEY[table.key]
    return _CONTINENT if "continent" in table.groups else ()
