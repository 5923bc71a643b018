"""How the transition moves with the size of the graph."""

import jax.numpy as jnp
import numpy as np

from analyses import graphs
from analyses.graphs import PowerLaw

from .results import GraphResults

LEAST_SIZES = 3


def size_law(results: tuple[GraphResults, ...]) -> PowerLaw | None:
    """break = prefactor * nodes^exponent over graphs whose break is known; None for fewer than three sizes."""
    known = [r for r in results if np.isfinite(r.transition.break_at[0])]
    sizes = np.array([r.study.graph.num_nodes for r in known], float)
    if len(np.unique(sizes)) < LEAST_SIZES:
        return None
    breaks = np.array([r.transition.break_at[0] for r in known])
    return graphs.size_power_law(jnp.asarray(sizes), jnp.asarray(breaks))
