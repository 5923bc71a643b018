"""Typed values out of a ``config.json``, with every complaint kept, so that all are reported at once."""

import sys
from collections.abc import Mapping
from typing import Any

from .config import RopeScaling

_ROPE_KEYS = {
    "default": frozenset("rope_type type rope_theta partial_rotary_factor".split()),
    "llama3": frozenset(
        """rope_type type rope_theta partial_rotary_factor factor low_freq_factor high_freq_factor
        original_max_position_embeddings""".split()
    ),
}


class Reader:
    """Reads values out of a dict and collects what is wrong in ``problems``."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw, self.problems = raw, list[str]()

    def whole(self, key: str, default: int | None = None) -> int:
        value = self.raw.get(key)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
            self.problems.append(f"{key} = {value!r}, not a whole number in [1, 2**31)")
            return 1
        return value

    def real(self, key: str, default: float | None = None) -> float:
        value = self.raw.get(key)
        if value is None and default is not None:
            return default
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is None or not number or not 0 < value <= sys.float_info.max:
            self.problems.append(f"{key} = {value!r}, not a positive number")
            return 1.0
        return float(value)

    def token(self, key: str, vocab_size: int, *, several: bool = False) -> Any:
        value = self.raw.get(key)
        ids = value if several and isinstance(value, list) else [value]
        for i in ids if value is not None else []:
            if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < vocab_size:
                self.problems.append(f"{key} = {value!r}, not a token id below vocab_size {vocab_size}")
                return None
        return tuple(value) if isinstance(value, list) else value

    def optional(self, key: str) -> float | None:
        """A positive number, or null."""
        return None if self.raw.get(key) is None else self.real(key)

    def windows(self, num_layers: int, default: str = "full_attention") -> tuple[int | None, ...] | None:
        """Of every block its sliding window, from ``layer_types`` (by default all ``default``)."""
        kinds = self.raw.get("layer_types")
        kinds = [default] * num_layers if kinds is None else kinds
        served = ("full_attention", "sliding_attention")
        if not isinstance(kinds, list) or len(kinds) != num_layers or any(kind not in served for kind in kinds):
            self.problems.append(f"layer_types = {kinds!r}, not one of {' or '.join(served)} for each block")
            return None
        if "sliding_attention" not in kinds:
            return None
        window = self.whole("sliding_window")
        return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def rope_settings(raw: Mapping[str, Any], problems: list[str]) -> tuple[float, RopeScaling | None]:
    """Base and scaling, from v5's ``rope_parameters`` or v4's ``rope_theta`` and ``rope_scaling``."""
    blocks = {key: raw[key] for key in ("rope_parameters", "rope_scaling") if raw.get(key) is not None}
    thetas = [raw["rope_theta"]] if raw.get("rope_theta") is not None else []
    scalings = []
    for name, block in blocks.items():
        if not isinstance(block, Mapping):
            problems.append(f"{name} = {block!r}, not an object")
            continue
        if block.get("rope_theta") is not None:
            thetas.append(block["rope_theta"])
        scalings.append(_scaling(name, block, problems))
    if any(t != thetas[0] for t in thetas) or any(s != scalings[0] for s in scalings):
        problems.append("rope settings given twice that disagree")
    # Before rope_theta became a key (Llama-1, early Llama-2 files) the base was fixed.
    theta = Reader({"rope_theta": thetas[0] if thetas else 10000.0})
    value = theta.real("rope_theta")
    problems += theta.problems
    return value, scalings[0] if scalings else None


def _scaling(name: str, block: Mapping[str, Any], problems: list[str]) -> RopeScaling | None:
    kind = block.get("rope_type", block.get("type", "default"))
    if not isinstance(kind, str) or kind not in _ROPE_KEYS:
        problems.append(f"{name}.rope_type = {kind!r} (served: default or llama3)")
        return None
    problems += [f"the unknown key {name}.{key}" for key in sorted(block.keys() - _ROPE_KEYS[kind])]
    if block.get("partial_rotary_factor") not in (None, 1):
        problems.append(f"{name}.partial_rotary_factor = {block['partial_rotary_factor']!r} (served: 1)")
    if kind == "default":
        return None
    read = Reader(block)
    scaling = RopeScaling(
        factor=read.real("factor"),
        low_freq_factor=read.real("low_freq_factor"),
        high_freq_factor=read.real("high_freq_factor"),
        original_max_positions=read.whole("original_max_position_embeddings"),
    )
    if not read.problems and scaling.low_freq_factor >= scaling.high_freq_factor:
        read.problems.append("low_freq_factor not below high_freq_factor")
    problems += [f"{name}.{problem}" for problem in read.problems]
    return scaling
