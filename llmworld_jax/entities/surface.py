"""From the name in a table to the text that a model reads: the rules of Gurnee and Tegmark, one for each family."""

import re
from collections.abc import Callable

_PARENTHESIS = re.compile(r"\(([^()]*)\)")
_FUNCTION_WORDS = frozenset("and or of the a at & in to".split())
_ACRONYMS = frozenset(
    "FDNY NYCT YMCA LGA US NYC PS IS NYS UN NY EMS JCC NYU CC NYPD NYPA DHS".split(),
)


def single_spaced(text: str) -> str:
    """White space of any kind to single blanks, none at the ends."""
    return " ".join(text.split())


def identity(name: str, creator: str = "") -> str:
    """The name as it is."""
    return single_spaced(name)


def possessive_place(name: str, creator: str = "") -> str:
    """What is in parentheses, else what follows the last comma, moves to the front: "Iowa's Dallas County".

    Only the first parenthesis moves. The original leaves double blanks and swallows the blank after other commas;
    here white space is normal. Where there is nothing to move, or nothing would remain, the name stays.
    """
    name = single_spaced(name)
    inside = _PARENTHESIS.search(name)
    if inside:
        owner, rest = inside[1], f"{name[: inside.start()]} {name[inside.end() :]}"
    elif "," in name:
        rest, _, owner = name.rpartition(",")
    else:
        return name
    owner, rest = single_spaced(owner), single_spaced(rest)
    return f"{owner}'s {rest}" if owner and rest else name


def capitalised(name: str, creator: str = "") -> str:
    """New York's ALL CAPS: function words in lower case, known acronyms in upper case, other words Capitalised."""
    return " ".join(_cased(word) for word in name.split())


def _cased(word: str) -> str:
    if word.upper() in _ACRONYMS:
        return word.upper()
    return word.lower() if word.lower() in _FUNCTION_WORDS else word.capitalize()


def possessive_creator(name: str, creator: str = "") -> str:
    """CREATOR's TITLE, or CREATOR' TITLE after an s; the title alone where no creator is known."""
    name, creator = single_spaced(name), single_spaced(creator)
    if not creator or not name:
        return name
    ending = "'" if creator.endswith("s") else "'s"
    return f"{creator}{ending} {name}"


def sentence(name: str, creator: str = "") -> str:
    """A headline with a full stop at its end, as in the paper's file."""
    name = single_spaced(name)
    return name if name.endswith(".") or not name else f"{name}."


#: ``rule(name, creator) -> text``; only "art" looks at the creator.
SURFACE_FORMS: dict[str, Callable[..., str]] = {
    "identity": identity,
    "world": possessive_place,
    "nyc": capitalised,
    "art": possessive_creator,
    "headline": sentence,
}
