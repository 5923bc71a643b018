"""Flows of the ``dysts`` collection: of a small one of the same form, written here, and of the real one."""

import importlib.util
import json
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from systems import Lorenz, describe, dysts_flow, dysts_names, system_named

FLOWS = """
import numpy as np
import a_heavy_library_that_is_not_installed
from .base import DynSys, DynSysDelay, staticjit

class Spiral(DynSys):
    @staticjit
    def _rhs(x, y, t, decay, rate):
        return y * 2.0 - decay * x, -rate * x

class Ring(DynSys):
    def pull(self, x):
        return np.sin(x) * self.f

    def rhs(self, X, t):
        out = np.zeros_like(X)
        out[0] = X[-1] - X[0]
        out[1:] = X[:-1] - X[1:] + self.pull(X[1:]) * self.weights[1:]
        return out

class Child(Spiral):
    pass

class Branching(DynSys):
    @staticjit
    def _rhs(x, t, k):
        return (k if x > 0 else -k,)

class Clock(DynSys):
    @staticjit
    def _rhs(x, t, k):
        return (k * np.cos(t),)

class Memory(DynSysDelay):
    pass

class Nameless(DynSys):
    pass
"""


def entry(parameters, *start):
    return {
        "parameters": parameters, "initial_conditions": start, "std": [1.0] * len(start), "period": 2.0, "dt": 0.01,
    }  # fmt: skip


ENTRIES = {
    "Spiral": entry({"rate": 2, "decay": 0.5}, 1.0, 0.0),
    "Ring": entry({"f": 0.5, "weights": [1, 2, 3, 4]}, 0.1, 0.2, 0.3, 0.4),
    "Child": entry({"rate": 3, "decay": 0.0}, 1.0, 0.0),
    "Branching": entry({"k": 1}, 1.0),
    "Clock": entry({"k": 1}, 1.0),
    "Memory": entry({"k": 1}, 1.0),
}


@pytest.fixture
def collection(tmp_path, monkeypatch):
    folder = tmp_path / "dysts"
    (folder / "data").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise AssertionError('the package itself was imported')")
    (folder / "flows.py").write_text(FLOWS)
    (folder / "data" / "chaotic_attractors.json").write_text(json.dumps(ENTRIES))
    monkeypatch.delitem(sys.modules, "dysts", raising=False)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("collection")
def test_classes_are_read_without_importing_the_package():
    assert dysts_names() == ("Child", "Ring", "Spiral")
    assert "dysts" not in sys.modules
    np.testing.assert_allclose(dysts_flow("Spiral").field(jnp.array([1.0, 3.0])), [6 - 0.5, -2])
    np.testing.assert_allclose(dysts_flow("Child").field(jnp.array([1.0, 3.0])), [6, -3])
    x = np.array([0.1, 0.2, 0.3, 0.4])
    ring = np.roll(x, 1) - x + np.sin(x) * 0.5 * np.array([0, 2, 3, 4])
    np.testing.assert_allclose(dysts_flow("Ring").field(jnp.asarray(x)), ring, rtol=1e-5)


@pytest.mark.usefixtures("collection")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Branching", r"cannot trace its field \(TracerBoolConversionError"),
        ("Clock", "reads the time"),
        ("Memory", "delay equation"),
        ("Nameless", "no flow of this name"),
        ("spiral", r"no flow of this name.*one of the 3 of dysts_names\(\)\. Use one of them, such as Spiral"),
    ],
)
def test_others_are_refused_by_name_with_the_reason(name, reason):
    with pytest.raises(ValueError, match=rf"'{name}'.*{reason}"):
        dysts_flow(name)
    with pytest.raises(ValueError, match=reason):
        system_named(f"dysts:{name}")


@pytest.mark.slow
@pytest.mark.usefixtures("collection")
def test_paths_solve_the_equation_from_a_start_on_the_orbit():
    """x' = 2 y, y' = -3 x: the energy 3 x^2 + 2 y^2 of the start is kept, whatever time the start was drawn at."""
    system = dysts_flow("Child", points_per_period=8)
    assert system.interval == 0.25
    sample = jax.jit(jax.vmap(lambda system, key: system.sample(key, 4), in_axes=(None, 0)))
    path = sample(system, jax.random.split(jax.random.key(0), 16))
    x, y = np.moveaxis(np.asarray(path.states), -1, 0)
    np.testing.assert_allclose(3 * x**2 + 2 * y**2, 3, rtol=0.02)
    assert np.unique(x[:, 0]).size == 16
    turn = np.sqrt(6) * 0.25
    np.testing.assert_allclose(x[:, 1], np.cos(turn) * x[:, 0] + 2 / np.sqrt(6) * np.sin(turn) * y[:, 0], atol=2e-3)
    assert json.loads(json.dumps(describe(system)))["parameters"]["parameters"] == {"rate": 3.0, "decay": 0.0}
    explicit = eqx.tree_at(lambda s: s.start, system, jnp.array([0.5, 0.5]), is_leaf=lambda leaf: leaf is None)
    np.testing.assert_array_equal(explicit.sample(jax.random.key(0), 1).states, [[0.5, 0.5]])


installed = pytest.mark.skipif(
    importlib.util.find_spec("dysts") is None, reason="the dysts collection is not installed"
)


@installed
@pytest.mark.slow
def test_most_flows_of_the_real_collection_have_finite_fields():
    names = dysts_names()
    assert len(names) >= 118
    with jax.enable_x64(True):
        fields = {name: dysts_flow(name).field(jnp.asarray(dysts_flow(name).on_attractor)) for name in names}
    assert [name for name, field in fields.items() if not np.isfinite(field).all()] == []


@installed
def test_the_collections_lorenz_is_ours():
    state = jnp.array([1.0, 3.0, 20.0])
    np.testing.assert_allclose(dysts_flow("Lorenz").field(state), Lorenz(beta=2.667).field(state), rtol=1e-5)


@installed
def test_a_flow_of_the_collection_agrees_with_an_independent_solver():
    with jax.enable_x64(True):
        system = dysts_flow("Thomas", tolerance=1e-10)
        state = np.array(system.on_attractor)
        following = jax.jit(lambda state: system.flow(state))(jnp.asarray(state))
        b, a = system.parameters["b"], system.parameters["a"]

    def field(t, s):
        return -a * s + b * np.sin(np.roll(s, -1))

    expected = solve_ivp(field, (0, system.interval), state, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
    np.testing.assert_allclose(following, expected, atol=1e-8)
