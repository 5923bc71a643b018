"""What is said follows the numbers, either way."""

import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.experiments.prompt_energy import verdicts
from llmworld_jax.experiments.prompt_energy.results import Trial
from llmworld_jax.experiments.prompt_energy.table import Interval, interval
from llmworld_jax.experiments.prompt_energy.training import Run, Trained


def trial(objective, first, last):
    noise = 0.01 * np.random.default_rng(len(objective)).normal(size=(5, 30))
    loss = np.linspace(first, last, 30)[None] + noise
    runs = Run(*(jnp.zeros(5, jnp.int32) for _ in Run._fields))
    return Trial(objective, runs, Trained(np.zeros((5, 1, 2)), loss, loss))


@pytest.mark.parametrize(
    ("true", "relabelled", "kind"),
    [((0.9, 0.4), (1.0, 1.0), "good"), ((0.9, 0.4), (0.9, 0.4), "negative"), ((1.0, 1.0), (1.0, 1.0), "neutral")],
)
def test_a_relabelled_target_beside_the_true_one(true, relabelled, kind):
    ((said, text),) = verdicts.other_graph((trial("energy", *true), trial("wrong", *relabelled)))
    assert said == kind
    assert "nan" not in text


def test_a_single_seed_is_never_sure():
    alone, many = interval([0.5]), interval([0.5, 0.52, 0.48])
    assert not verdicts.above(alone, 0.1)
    assert not verdicts.below(alone, 0.9)
    assert verdicts.above(many, 0.1)
    assert verdicts.below(many, 0.9)


def test_interval_is_students():
    found = interval([1.0, 2.0, 4.0, np.nan])
    assert found.mean == pytest.approx(7 / 3)
    assert found.half == pytest.approx(4.3027 * np.std([1, 2, 4], ddof=1) / 3**0.5, rel=1e-4)
    assert str(Interval(0.5, np.nan)) == "0.50"
