"""The prompts of Gurnee and Tegmark: what stands before an entity, and how the entity is written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PromptKind:
    """Text before an entity. Nothing follows it, so that its last token is the last of the prompt."""

    key: str
    prefix: str
    #: The entity in capitals.
    caps: bool = False
    #: Token ids drawn afresh for every entity, between the start token and the text.
    random_tokens: int = 0
    #: Whether a full stop ends the entity (and is what is probed); None leaves it as it is.
    period: bool | None = None

    def written(self, text: str) -> str:
        """The entity as it stands in the prompt."""
        text = text.upper() if self.caps else text
        if self.period is None or (self.period and text.endswith(".")):
            return text
        return f"{text}." if self.period else text.removesuffix(".")


def _by_key(*kinds: PromptKind) -> dict[str, PromptKind]:
    return {kind.key: kind for kind in kinds}


_EMPTY = PromptKind("empty", "")
_RANDOM = PromptKind("random", "", random_tokens=10)
_CAPS = PromptKind("empty_all_caps", "", caps=True)
_COORDS = PromptKind("coords", "What are the lat/lon coordinates of ")
_WHERE = PromptKind("where_is", "Where is ")

_WORLD = _by_key(_EMPTY, _COORDS, _RANDOM, _CAPS)
_US = _by_key(_EMPTY, _RANDOM, _COORDS, PromptKind("where_us", "Where in the United States is "))
_NYC = _by_key(_EMPTY, _RANDOM, _WHERE, PromptKind("where_nyc", "Where in New York City is "))
_HISTORICAL = _by_key(
    _EMPTY, _RANDOM, PromptKind("when", "When did "), PromptKind("when_all_caps", "When did ", caps=True)
)
_ART = _by_key(_EMPTY, _RANDOM, PromptKind("release", "When was the release date of "), _CAPS)
_HEADLINE = _by_key(
    PromptKind("empty", "", period=True),
    PromptKind("empty_wo_period", "", period=False),
    PromptKind("when_w_period", "Publication date of: ", period=True),
    PromptKind("when_wo_period", "Publication date of: ", period=False),
)
# Not of the paper, which has no such tables.
_EVENTS = _by_key(
    _EMPTY, _RANDOM, PromptKind("when", "Date of the event: "), PromptKind("empty_w_period", "", period=True)
)
_PLACE = _by_key(_EMPTY, _RANDOM, _WHERE, _COORDS, _CAPS)
_PLAIN = _by_key(_EMPTY, _RANDOM, _CAPS)

#: By a table's key, by the paper's family, and by the kind of any other table.
PROMPT_KINDS: dict[str, dict[str, PromptKind]] = {
    "world": _WORLD,
    "us": _US,
    "historical": _HISTORICAL,
    "world_cities": _WORLD,
    "world_place": _WORLD,
    "us_cities": _US,
    "us_place": _US,
    "nyc": _NYC,
    "nyc_place": _NYC,
    "historical_figures": _HISTORICAL,
    "historical_figure": _HISTORICAL,
    "films": _ART,
    "art": _ART,
    "headline": _HEADLINE,
    "events": _EVENTS,
    "place": _PLACE,
    "time": _PLAIN,
    "number": _PLAIN,
}


def prompt_kinds(table_key: str, kind: str) -> dict[str, PromptKind]:
    """The prompts of a table: those of its family, or of its kind ("place", "time", "number") if it has none."""
    return PROMPT_KINDS.get(table_key, PROMPT_KINDS[kind])
