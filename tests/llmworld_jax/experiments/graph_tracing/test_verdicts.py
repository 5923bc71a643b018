"""The first sentence of a report is as strong as the weakest placement."""

import numpy as np
import pytest

from llmworld_jax.experiments.graph_tracing.results import Geometry
from llmworld_jax.experiments.graph_tracing.study import INDEPENDENT
from llmworld_jax.experiments.graph_tracing.verdicts import shape_verdict


def geometry(ratio, p, half=0.05):
    values = {name: np.full((2, 1), np.nan) for name in Geometry._fields}
    values |= {"ratio": np.array([[1.0], [ratio]]), "z": np.array([[0.0], [-4.0]]), "p": np.array([[0.5], [p]])}
    values |= {"ratio_low": values["ratio"] - half, "ratio_high": values["ratio"] + half}
    return Geometry(**values | {"null_sd": np.full((2, 1), 0.06)})


@pytest.mark.parametrize(
    ("ratio", "p", "others", "kind"),
    [
        (0.75, 0.002, [], "good"),
        (0.75, 0.002, [-3.0, -5.0], "good"),
        (0.75, 0.002, [-0.5, -5.0], "neutral"),
        (0.75, 0.3, [-3.0], "neutral"),
        (0.97, 0.3, [], "negative"),
    ],
)
def test_shape(ratio, p, others, kind):
    spread = np.array([[ratio, -4.0, 0.2, 0.6], *([0.9, z, 0.2, 0.6] for z in others)])
    said = shape_verdict(1, "walk", {"walk": geometry(ratio, p), INDEPENDENT: geometry(0.98, 0.5)}, spread)
    assert said.kind == kind
    assert ("placements" in said.text) == bool(others)
