"""Work of one device in a compiled program, counted in its text with every loop as often as it runs.

XLA's ``cost_analysis`` counts a loop's body once. Here a ``while`` counts its body ``known_trip_count`` times, loops in
loops multiply, and of a conditional's branches the dearest counts. FLOPs are those of matrix products.
"""

import functools
import math
import re
from collections import Counter
from typing import NamedTuple

from llmworld_jax.models.collectives import collectives

_COMPUTATION = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[^\s(]+) \(.*\{$")
_INSTRUCTION = re.compile(
    r"^\s*(?:ROOT )?%?(?P<name>\S+) = (?P<shape>\(.*?\)|\S+) (?P<op>[a-z][\w-]*)\((?P<operands>[^)]*)\)(?P<rest>.*)$"
)
_CALLED = re.compile(r"(?:calls|to_apply|body)=%?([^\s,}]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}|(?:true|false)_computation=%?([^\s,}]+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_CONTRACTED = re.compile(r"lhs_contracting_dims=\{([\d,]*)\}")
_SIZES = re.compile(r"\[([\d,]*)\]")


class Instruction(NamedTuple):
    """One line: result shape, operation, names of operands, and what follows them."""

    shape: str
    op: str
    operands: tuple[str, ...]
    rest: str
    line: str


class Work(NamedTuple):
    """FLOPs of matrix products, and of every kind of collective how many run and the bytes of their results."""

    flops: int = 0
    number: Counter = Counter()  # noqa: RUF012
    num_bytes: Counter = Counter()  # noqa: RUF012

    def plus(self, other: "Work", times: int = 1) -> "Work":
        number, num_bytes = Counter(self.number), Counter(self.num_bytes)
        for kind, count in other.number.items():
            number[kind] += times * count
            num_bytes[kind] += times * other.num_bytes[kind]
        return Work(self.flops + times * other.flops, number, num_bytes)


def counted(hlo: str) -> Work:
    """Of ``compiled.as_text()``.

    Raises:
        ValueError: a loop whose length the compiler does not know.
    """
    computations, entry = parsed(hlo)

    @functools.cache
    def of_computation(name: str) -> Work:
        total = Work()
        for instruction in computations[name].values():
            total = total.plus(_own(instruction, computations[name]))
            if instruction.op == "conditional":
                branches = [of_computation(branch) for branch in _branches(instruction.rest)]
                total = total.plus(max(branches, key=lambda work: (work.flops, work.num_bytes.total())))
            elif instruction.op == "while":
                body = _CALLED.search(instruction.rest)
                assert body is not None
                total = total.plus(of_computation(body[1]), _trips(instruction))
            elif instruction.op in ("call", "fusion"):
                for called in _CALLED.findall(instruction.rest):
                    total = total.plus(of_computation(called))
        return total

    return of_computation(entry)


def parsed(hlo: str) -> tuple[dict[str, dict[str, Instruction]], str]:
    """Every computation's instructions by name, and the name of the first computation to run."""
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = "", None
    for line in hlo.splitlines():
        if found := _COMPUTATION.match(line):
            current = computations.setdefault(found["name"], {})
            entry = found["name"] if found["entry"] else entry
        elif current is not None and (found := _INSTRUCTION.match(line)):
            operands = tuple(re.findall(r"%([^\s,()]+)", found["operands"]))
            current[found["name"]] = Instruction(found["shape"], found["op"], operands, found["rest"], line)
    return computations, entry


def _own(instruction: Instruction, around: dict[str, Instruction]) -> Work:
    if instruction.op == "dot":
        left, dims = _sizes(around[instruction.operands[0]].shape), _CONTRACTED.search(instruction.rest)
        inner = math.prod(left[int(d)] for d in dims[1].split(",") if d) if dims else 1
        return Work(2 * math.prod(_sizes(instruction.shape)) * inner)
    found = collectives(instruction.line)
    return Work(0, Counter(c.kind for c in found), Counter({c.kind: c.num_bytes for c in found}))


def _sizes(shape: str) -> list[int]:
    found = _SIZES.search(shape)
    assert found is not None, shape
    return [int(size) for size in found[1].split(",") if size]


def _branches(rest: str) -> list[str]:
    names = []
    for many, one in _BRANCHES.findall(rest):
        names += [name.strip().lstrip("%") for name in many.split(",")] if many else [one]
    return names


def _trips(instruction: Instruction) -> int:
    found = _TRIPS.search(instruction.rest)
    if found is None:
        raise ValueError(f"a loop of unknown length: {instruction.line.strip()[:200]}")
    return int(found[1])
