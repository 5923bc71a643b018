"""One sampling interval of a differential equation: the only call into Diffrax.

Trajectories iterate this, rather than solving once and reading off many times: each recorded state is then
exactly one transition of the one before, and time never grows large enough to blur a step in float32.
"""

from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .base import Real

Field = Callable[[Float[Array, " dim"]], Float[Array, " dim"]]


def _solve(terms, solver, state, interval, *, first_step, controller, adjoint, max_steps) -> Float[Array, " dim"]:
    # Time in the state's own precision: Diffrax would otherwise widen the state to that of Python numbers.
    interval = jnp.asarray(interval, state.dtype)
    solution = diffrax.diffeqsolve(
        terms,
        solver,
        t0=jnp.zeros_like(interval),
        t1=interval,
        dt0=first_step if first_step is None else jnp.asarray(first_step, state.dtype),
        y0=state,
        stepsize_controller=controller,
        adjoint=adjoint,
        max_steps=max_steps,
    )
    return solution.ys[-1]


def flow(field: Field, state: Float[Array, " dim"], interval: Real, *, tolerance: Real) -> Float[Array, " dim"]:
    """The solution of dy/dt = field(y) one ``interval`` after ``state`` (Tsit5, adaptive steps).

    ``tolerance`` bounds the error of each step, both relative and absolute; below about 1e-6 it is out of
    reach of float32. Raises a RuntimeError at run time when 4096 steps do not suffice.
    """
    return _solve(
        diffrax.ODETerm(lambda t, y, args: field(y)),
        diffrax.Tsit5(),
        state,
        interval,
        first_step=None,
        controller=diffrax.PIDController(rtol=tolerance, atol=tolerance),
        adjoint=diffrax.RecursiveCheckpointAdjoint(),
        max_steps=4096,
    )


def euler_maruyama(
    drift: Field,
    diffusion: Field,
    key: Key[Array, ""],
    state: Float[Array, " dim"],
    interval: Real,
    *,
    num_substeps: int = 1,
) -> Float[Array, " dim"]:
    """``num_substeps`` equal Euler steps of dX = drift(X) dt + diffusion(X) dW over ``interval``; W is a scalar.

    One step is exact in law when both are constant; otherwise the chain of steps *is* the system.
    """
    return _solve(
        diffrax.MultiTerm(
            diffrax.ODETerm(lambda t, y, args: drift(y)),
            diffrax.ControlTerm(
                lambda t, y, args: diffusion(y),
                diffrax.UnsafeBrownianPath(shape=jax.ShapeDtypeStruct((), state.dtype), key=key),
            ),
        ),
        diffrax.Euler(),
        state,
        interval,
        first_step=interval / num_substeps,
        controller=diffrax.ConstantStepSize(),
        adjoint=diffrax.DirectAdjoint(),
        max_steps=num_substeps,
    )
