"""Pictures as figures of matplotlib, and what holds for every one of them.

llmworld_jax is imported inside the functions, because jaxtyping's checker must be installed first.
"""

import importlib
import io
import struct
from collections.abc import Callable
from typing import Any

import pytest

DOTS_PER_INCH = 60  # of the drawings in tests: layout counts, not detail
MODULES = (
    *("learning_figures", "scaling_figures", "law_figures", "tree_figure", "state_figures", "transition_figures"),
    *("calibration_figures", "series_figures"),
    *(
        f"space_time.{name}_figures"
        for name in ("map", "date", "layer", "control", "holdout", "curve", "neuron", "causal")
    ),
)


@pytest.fixture(scope="session")
def drawn() -> Any:
    """``drawn(function, *arguments) -> (figures, the PNGs made of them)``; each is drawn once a session."""
    import matplotlib.pyplot as plt

    made: list[Any] = []
    known: dict[tuple, Any] = {}

    def keep(figure: Any) -> bytes:
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
        made.append(figure)
        return buffer.getvalue()

    def draw(function: Callable, *arguments: Any, **options: Any) -> Any:
        key = (function, *map(id, arguments), *options.items())
        if key not in known:
            made.clear()
            found = function(*arguments, **options)
            pngs = found if isinstance(found, tuple) else (found,)
            known[key] = tuple(made), pngs, arguments  # the arguments are kept, so that no other gets their id
        return known[key][:2]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(plt.rcParams, "figure.max_open_warning", 0)  # all are kept until the end
        for name in MODULES:
            patch.setattr(importlib.import_module(f"llmworld_jax.experiments.{name}"), "png", keep)
        yield draw
    plt.close("all")


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG that is whole."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert png.rstrip(b"\0").endswith(b"IEND\xaeB`\x82")
    return struct.unpack(">II", png[16:24])


def legends_are_clear(figure: Any) -> bool:
    """Legends stand outside the panels."""
    renderer = figure.canvas.get_renderer()
    boxes = [legend.get_window_extent(renderer) for legend in figure.legends]
    covered = any(axis.get_window_extent(renderer).overlaps(box) for axis in figure.axes for box in boxes)
    return not covered and not any(axis.get_legend() for axis in figure.axes)
