"""The chaotic flows of an installed ``dysts`` collection, as systems.

``dysts`` (Gilpin 2021, arXiv 2110.05266; Apache-2.0) is optional: ``pip install --no-deps dysts``. It is read,
not imported, because importing it imports its forecasting libraries: the class definitions of its ``flows.py``
are executed with ``numpy`` exchanged for ``jax.numpy`` and its base classes for stand-ins, its parameters, starts
and periods come from its JSON. That is code of a package you installed, run as an import would run it.
"""

import ast
import functools
import importlib.util
import json
import types
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from .base import DType, Real
from .flows import Flow
from .names import nearest_first

_START_INTERVALS = 200


class _DynSys:
    """Stands in for the collection's base class: ``_rhs`` takes the parameters in alphabetical order."""

    _rhs: Any

    def rhs(self, state, time):
        return self._rhs(*state, time, *(value for _, value in sorted(vars(self).items())))


class _Buffer:
    """Stands in for an array that is filled in place, as numpy allows and JAX does not."""

    def __init__(self, like):
        self.array = jnp.zeros_like(like)

    def __setitem__(self, index, value):
        self.array = self.array.at[index].set(value)

    def __iter__(self):
        return iter(self.array)


class _DynSysDelay:
    """Stands in for the base class of delay equations, whose state is a whole past."""


@final
class DystsFlow(Flow):
    """The first coordinate of a flow of the ``dysts`` collection every ``interval``; make one with ``dysts_flow``.

    ``start=None`` starts on the attractor: K intervals, K uniform on 0 .. 199, after the collection's own initial
    condition, moved by a thousandth of each coordinate's standard deviation times N(0, 1). Some attractors catch no
    start farther off. The angles of the collection run on beyond a turn: they are not wrapped, nor is the law.
    """

    name: str = eqx.field(static=True)
    parameters: dict[str, Real | np.ndarray]
    on_attractor: np.ndarray
    spread: np.ndarray
    interval: Real
    tolerance: Real
    start: Float[Array, " dim"] | None = None
    deterministic: ClassVar[bool] = True
    seen: ClassVar[int] = 1

    def field(self, state: Float[Array, " dim"]) -> Float[Array, " dim"]:
        return _field(_read(_folder()).classes[self.name], self.parameters, state, 0.0)

    def draw_start(self, key: Key[Array, ""], dtype: DType) -> Float[Array, " dim"]:
        if self.start is not None:
            return self.start.astype(dtype)
        centre, spread = jnp.asarray(self.on_attractor, dtype), jnp.asarray(self.spread, dtype)
        move_key, time_key = jax.random.split(key)
        moved = centre + 1e-3 * spread * jax.random.normal(move_key, centre.shape, dtype)
        intervals = jax.random.randint(time_key, (), 0, _START_INTERVALS)
        return jax.lax.fori_loop(0, intervals, lambda _, state: self.flow(state), moved)


def dysts_flow(name: str, *, points_per_period: Real = 20, tolerance: Real = 1e-6) -> DystsFlow:
    """The flow ``name`` with the collection's parameters, seen ``points_per_period`` times in its dominant period.

    Raises ValueError, with the reason, when JAX cannot trace the flow's field or the flow is not a
    time-homogeneous Markov chain (a delay, an explicit time), and when the collection has no such flow;
    ModuleNotFoundError when the collection is not installed.
    """
    folder = _folder()
    if (refusal := _refusal(folder, name)) is not None:
        near = ", ".join(nearest_first(name, dysts_names())[:5])
        raise ValueError(
            f"Got the dysts flow {name!r}: {refusal}. "
            f"Expected one of the {len(dysts_names())} of dysts_names(). Use one of them, such as {near}."
        )
    entry = _read(folder).entries[name]
    return DystsFlow(
        name=name,
        parameters=_parameters(entry),
        on_attractor=np.asarray(entry["initial_conditions"], np.float64),
        spread=np.asarray(entry["std"], np.float64),
        interval=entry["period"] / points_per_period,
        tolerance=tolerance,
    )


def dysts_names() -> tuple[str, ...]:
    """The flows of the installed collection that can be systems here, in alphabetical order.

    Raises ModuleNotFoundError when the collection is not installed.
    """
    folder = _folder()
    return tuple(name for name in sorted(_read(folder).entries) if _refusal(folder, name) is None)


class _Collection(NamedTuple):
    """What is read of it: its classes, and their parameters, starts and periods, by name."""

    classes: dict[str, type]
    entries: dict[str, dict[str, Any]]


def _folder() -> Path:
    found = importlib.util.find_spec("dysts")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            "Got no installed dysts. Expected the collection where Python finds packages. "
            "Use pip install --no-deps dysts.",
            name="dysts",
        )
    return Path(found.submodule_search_locations[0])


@functools.cache
def _read(folder: Path) -> _Collection:
    """The collection in ``folder``. Of its module only the class definitions are run, not its imports."""
    path = folder / "flows.py"
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    tree.body = [*classes]
    space: dict[str, Any] = {
        "np": types.SimpleNamespace(**vars(jnp) | {"zeros_like": _Buffer}),
        "DynSys": _DynSys,
        "DynSysDelay": _DynSysDelay,
        "staticjit": staticmethod,
        "__name__": "dysts.flows",
    }
    exec(compile(tree, str(path), "exec"), space)
    entries = json.loads((folder / "data" / "chaotic_attractors.json").read_text(encoding="utf-8"))
    return _Collection({node.name: space[node.name] for node in classes}, entries)


@functools.cache
def _refusal(folder: Path, name: str) -> str | None:
    """Why the flow cannot be a system, or None."""
    classes, entries = _read(folder)
    if name not in entries or name not in classes:
        return "the installed collection has no flow of this name"
    if issubclass(classes[name], _DynSysDelay):
        return "it is a delay equation, whose state is a whole past"
    state = jax.ShapeDtypeStruct((len(entries[name]["initial_conditions"]),), jnp.float32)
    time = jax.ShapeDtypeStruct((), jnp.float32)
    field = functools.partial(_field, classes[name], _parameters(entries[name]))
    try:
        traced = jax.make_jaxpr(field)(state, time).jaxpr
    except Exception as error:  # whatever foreign code raises when traced is the reason
        return f"JAX cannot trace its field ({type(error).__name__}: {str(error).splitlines()[0]})"
    if traced.outvars[0].aval.shape != state.shape:
        return f"its field has {traced.outvars[0].aval.size} components and its state {state.size}"
    read = {id(variable) for equation in traced.eqns for variable in equation.invars}
    return "its field reads the time" if id(traced.invars[1]) in read else None


def _parameters(entry: dict[str, Any]) -> dict[str, Real | np.ndarray]:
    return {k: float(v) if np.ndim(v) == 0 else np.asarray(v, np.float64) for k, v in entry["parameters"].items()}


def _field(kind: type, parameters: dict[str, Any], state: Array, time: Any) -> Array:
    flow = kind()
    vars(flow).update({k: jnp.asarray(v, state.dtype) for k, v in parameters.items()})
    return jnp.stack([jnp.asarray(rate, state.dtype) for rate in flow.rhs(state, time)])
