"""A power law that ends in a plateau: L(t) = floor(t) + A t^α + c with c ≥ 0, α < 0, and the floor known.

Three things can stop a loss from falling. The *floor* is the loss of a perfect reader of the same digits
(:mod:`analyses.resolution`): computed beforehand, not fitted, so that resolution is never mistaken for a lack of
learning. The *plateau* c is what is left above it after infinite context. Only the rest is a power law. Estimators
without these terms mix all three into the exponent, so this one is the steepest where a plateau exists and equal to
them where none does (c = 0). In exchange its interval is wider: exponent and plateau trade against each other.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .decays import fit_decay
from .log_space import safe_sqrt

#: −α searched with a free plateau: below, a power law and a logarithm cannot be told apart; above, a single step.
DECAY_RANGE = (0.05, 4.0)
#: −α searched without plateau, where the loss may also rise.
FREE_RANGE = (-4.0, 4.0)
NUM_NODES = 49


class PlateauLaw(NamedTuple):
    """L(t) = floor(t) + amplitude · t^exponent + plateau."""

    exponent: Float[Array, ""]  #: α, negative where the loss falls, as in :class:`analyses.scaling.PowerLaw`
    amplitude: Float[Array, ""]  #: A, the power law at t = 1
    plateau: Float[Array, ""]  #: c, in units of L
    residual_rms: Float[Array, ""]  #: root mean square of L/law − 1
    identified: Bool[Array, ""]  #: the best exponent lies inside the searched range


def plateau_law(
    context: Float[Array, " point"], law: PlateauLaw, floor: Float[Array, " point"] | Float[Array, ""] | float = 0.0
) -> Float[Array, " point"]:
    """floor + A t^α + c at each context length."""
    return floor + law.amplitude * context**law.exponent + law.plateau


def fit_plateau_law(
    context: Float[Array, " bin"],
    loss: Float[Array, " bin"],
    floor: Float[Array, " bin"] | Float[Array, ""] | float = 0.0,
    *,
    plateau: bool = True,
    clip: Bool[Array, ""] | bool = False,
) -> PlateauLaw:
    """Least squares in relative units (:mod:`analyses.decays`) over (α, A ≥ 0, c ≥ 0); c = 0 unless ``plateau``.

    Every point counts alike, so give means over :func:`analyses.geometric_bins.geometric_bins`, positive and in
    increasing context. ``floor`` is a number or one for each bin, averaged like the loss; a loss below it leaves
    nothing for the plateau (c = 0). Where the best exponent is not inside ``DECAY_RANGE`` (``FREE_RANGE`` without
    plateau), or nothing falls, the curve does not identify it: NaN everywhere but in the residual, or, with ``clip``,
    the nearest end of the range, so that quantiles over resamples keep the side on which they are open.
    """
    x = jnp.log(context / context[0])
    nodes = np.geomspace(*DECAY_RANGE, NUM_NODES) if plateau else np.linspace(*FREE_RANGE, NUM_NODES)
    floor = jnp.broadcast_to(jnp.asarray(floor, loss.dtype), loss.shape)
    found = fit_decay(x, loss, floor, jnp.asarray(nodes, loss.dtype), constant=plateau)
    relative = loss / (floor + found.amplitude * jnp.exp(-found.rate * x) + found.constant) - 1
    amplitude = found.amplitude * jnp.exp(found.rate * jnp.log(context[0]))
    known = found.inside | clip
    exponent, amplitude, level = (jnp.where(known, v, jnp.nan) for v in (-found.rate, amplitude, found.constant))
    return PlateauLaw(exponent, amplitude, level, safe_sqrt(jnp.mean(relative**2)), found.inside)
