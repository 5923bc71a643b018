"""The language model beside the ideal observer of every series: losses, and what ignorance costs in nats."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import analyses

from .observing import observer_of
from .scoring import Scores, Target, score
from .simulation import World
from .verdict import LATE_SHARE

LOW_ENTROPY = 0.3
"""Dirichlet concentration of the rows of ``markov_chain_low_entropy``; other chains are read with 1."""


class Regret(NamedTuple):
    """The ideal observer of a system: knows its class, sees the same digits. ``loss``, ``nll``,
    ``total_variation``: ``[seed, time]``.

    ``regret`` is nll of the language model less nll of the observer, in nats an item; ``effective_samples`` how many
    items the observer needs to reach the model's late loss (NaN where it is never that bad, ∞ where it is never that
    good).
    """

    name: str
    knows: str
    log_mass: np.ndarray
    loss: np.ndarray
    nll: np.ndarray
    total_variation: np.ndarray
    regret: np.ndarray
    effective_samples: float


def regret_of(world: World, target: Target, quantised: np.ndarray, loss_name: str, scores: Scores) -> Regret:
    """Scores of the observer of every series, and the regret of the model whose ``scores`` these are.

    ``quantised [seed, time, bin]``: the laws given the written past.
    """
    concentration = LOW_ENTROPY if "low_entropy" in world.name else 1.0
    seen = [
        observer_of(one.system, one.codes, one.numerals, one.path, concentration=concentration, quantised=mass)
        for one, mass in zip(world.series, quantised, strict=True)
    ]
    log_mass = np.stack([one.log_mass for one in seen])
    own = score(log_mass, target, symbolic=world.symbolic)
    loss, late = getattr(own, loss_name), round((1 - LATE_SHARE) * log_mass.shape[1])
    reached = float(np.mean(getattr(scores, loss_name)[:, late:]))
    with jax.enable_x64(True):
        curve = jnp.asarray(np.mean(loss[:, 1:], axis=0))
        samples = float(analyses.effective_samples(curve, jnp.asarray(reached)))
    regret = scores.nll - own.nll
    return Regret(seen[0].name, seen[0].knows, log_mass, loss, own.nll, own.total_variation, regret, samples)
