"""What devices say to one another in a compiled program: how often and how much, read from its text."""

import math
import re
from typing import NamedTuple

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_LINE = re.compile(rf"= (?P<shape>.+?) (?P<kind>{'|'.join(KINDS)})(?:-start)?\(")
_ARRAY = re.compile(r"(?P<dtype>[a-z]+\d*)\[(?P<sizes>[\d,]*)\]")
_BITS = re.compile(r"\d+")


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
            size = sum(_bytes(array) for array in _ARRAY.finditer(match["shape"]))
            found.append(Collective(match["kind"], size, "while/body" in line))
    return tuple(found)


def _bytes(array: re.Match[str]) -> int:
    bits = 8 if array["dtype"] == "pred" else int(_BITS.findall(array["dtype"])[0])
    return math.prod(int(size) for size in array["sizes"].split(",") if size) * bits // 8
