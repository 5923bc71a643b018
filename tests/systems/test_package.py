"""The package: light to import, and honest about its parameters."""

import subprocess
import sys

import jax.numpy as jnp

from systems import LogisticMap, MarkovChain, NoisyLogisticMap, describe


def test_import_touches_no_backend():
    code = "import systems, jax._src.xla_bridge as b; assert not b.backends_are_initialized()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_description_names_every_parameter():
    assert describe(LogisticMap(r=jnp.array(3.5))) == {
        "system": "LogisticMap",
        "parameters": {"r": 3.5, "start": None},
    }
    assert describe(NoisyLogisticMap())["parameters"]["law"] == "exact"
    assert describe(MarkovChain(jnp.eye(2)))["parameters"] == {"transition": [[1, 0], [0, 1]], "start": 0}
