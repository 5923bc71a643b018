"""The measures of the spec on its own node means, where they lie beside the checkout: another code's numbers."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from analyses import graphs

PATH = Path(__file__).resolve().parents[3].parent / "shared" / "reference" / "smollm2_graphs" / "grid4_chat_walk_s0.npz"
KEPT = (50, 100, 200, 400, 1400)


@pytest.fixture(scope="module")
def known():
    if not PATH.exists():
        pytest.skip("no reference arrays beside the checkout")
    with np.load(PATH, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.mark.parametrize("window", [50, 200])
def test_every_measure_at_every_layer_and_context(known, window):
    contexts = known["contexts"].tolist()
    at = [contexts.index(c) for c in KEPT]
    rows = jnp.asarray(known[f"mean_w{window}_f16"].astype(np.float32))
    seen = jnp.asarray(known[f"counts_w{window}"][at] > 0)
    a = jnp.asarray(known["A"], jnp.float32)

    measures = {
        "E_edge": graphs.energy_per_edge,
        "R": graphs.dirichlet_ratio,
        "R_pc2": lambda rows, a, seen: graphs.component_ratio(rows, a, 2, seen),
        "pear": lambda rows, a, seen: graphs.distance_correlations(rows, a, seen).pearson,
        "spear": lambda rows, a, seen: graphs.distance_correlations(rows, a, seen).spearman,
        "auc": graphs.edge_auc,
        "align2": lambda rows, a, seen: graphs.subspace_alignment(rows, a, 2, seen),
        "ev2": lambda rows, a, seen: jnp.sum(graphs.principal_components(rows, 2, seen).share),
    }
    found = {}
    for name, measure in measures.items():
        over = jax.vmap(jax.vmap(measure, in_axes=(0, None, 0)), in_axes=(0, None, None))
        found[name] = jax.jit(over)(rows, a, seen)
    keys = [str(key) for key in known["keys"]]
    for name, value in found.items():
        wanted = known[f"met_w{window}"][keys.index(name)][:, at]
        # The means are kept in sixteen bits; ranks of nearly equal distances may change by a pair.
        np.testing.assert_allclose(value, wanted, rtol=4e-3, atol=6e-3, err_msg=name)
