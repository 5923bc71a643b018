"""What devices say to one another in a compiled program: how often and how much, read from its text."""

import math
import re
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_LINE = re.compile(rf"= (?P<shape>.+?) (?P<kind>{'|'.join(KINDS)})(?P<start>-start)?\(")
_ARRAY = re.compile(r"(?P<dtype>[a-z]+(?P<bits>\d*)\w*)\[(?P<sizes>[\d,]*)\]")


class Collective(NamedTuple):
    """One instruction, and the bytes of its result on each device. One in a loop is counted once."""

    kind: str
    num_bytes: int
    looped: bool


def collectives(hlo: str) -> tuple[Collective, ...]:
    """Of a compiled program's text (``compiled.as_text()``), in its order."""
    found = []
    for line in hlo.splitlines():
        if match := _LINE.search(line):
            size = sum(_bytes(array) for array in _ARRAY.finditer(_result(match)))
            found.append(Collective(match["kind"], size, "while/body" in line))
    return tuple(found)


def _result(match: re.Match[str]) -> str:
    """The shape of what comes out; a start of these two kinds returns what went in before it, and contexts after."""
    shape = match["shape"]
    if match["start"] is None or match["kind"] not in ("all-gather", "collective-permute") or shape[0] != "(":
        return shape
    return shape.split("), (")[1] if shape.startswith("((") else list(_ARRAY.finditer(shape))[1][0]


def _bytes(array: re.Match[str]) -> int:
    bits = 8 if array["dtype"] == "pred" else int(array["bits"])
    return math.prod(int(size) for size in array["sizes"].split(",") if size) * bits // 8
