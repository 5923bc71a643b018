"""The flows: accuracy against an independent solver, and the laws every solution obeys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import ellipk

from systems import DampedPendulum, Lorenz, Rossler

STATES = np.array([[0.2, 2.01, 23.02], [-8.0, -9.0, 25.0], [15.0, 20.0, 30.0], [1e-3, 0.0, 5.0]])


def reference(state, interval):
    def field(t, y):
        return [10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]]

    return solve_ivp(field, (0, interval), state, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]


def solved(field, states, interval):
    return np.array([
        solve_ivp(field, (0, interval), s, method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1] for s in states
    ])  # fmt: skip


# The system is an argument: other intervals and tolerances do not compile again.
flow = jax.jit(jax.vmap(lambda system, state: system.flow(state), in_axes=(None, 0)))


@pytest.mark.parametrize(("x64", "tolerance", "error"), [(False, 1e-6, 3e-4), (True, 1e-11, 1e-8)])
def test_flow_agrees_with_a_tighter_independent_solver(x64, tolerance, error):
    with jax.enable_x64(x64):
        following = np.asarray(flow(Lorenz(tolerance=tolerance), jnp.asarray(STATES)))
    expected = np.array([reference(state, 0.1) for state in STATES])
    np.testing.assert_allclose(following, expected, atol=error)


def test_flow_is_a_symmetric_semigroup_with_its_fixed_points():
    states, mirror = jnp.asarray(STATES), jnp.array([-1.0, -1.0, 1.0])
    np.testing.assert_allclose(flow(Lorenz(), flow(Lorenz(), states)), flow(Lorenz(interval=0.2), states), atol=2e-3)
    np.testing.assert_allclose(flow(Lorenz(), states * mirror), flow(Lorenz(), states) * mirror, atol=1e-4)
    c = np.sqrt(8 / 3 * 27)
    fixed = jnp.array([[0.0, 0.0, 0.0], [c, c, 27.0], [-c, -c, 27.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(flow(Lorenz(), fixed), fixed, atol=1e-4)


@pytest.mark.slow
def test_gradients_contract_volume_at_the_rate_of_the_divergence():
    """Liouville: det(d flow / d state) = exp(-(sigma + 1 + beta) interval), wherever the state is."""
    with jax.enable_x64(True):
        jacobian = jax.jit(jax.jacrev(Lorenz(tolerance=1e-9).flow))(jnp.asarray(STATES[1]))
    np.testing.assert_allclose(np.linalg.det(jacobian), np.exp(-(10 + 1 + 8 / 3) * 0.1), rtol=1e-5)


def test_start_is_explicit_or_drawn_as_published():
    def starts(key):
        explicit = Lorenz(start=jnp.array([1.0, 2.0, 3.0]))
        return Lorenz().sample(key, 1).states[0], explicit.sample(key, 1).states[0]

    drawn, explicit = jax.jit(jax.vmap(starts))(jax.random.split(jax.random.key(0), 50))
    drawn = np.asarray(drawn)
    assert ((drawn[:, 0] >= 0) & (drawn[:, 0] < 0.3)).all()
    assert np.unique(drawn[:, 0]).size == 50
    np.testing.assert_allclose(drawn[:, 1:], [[2.01, 23.02]] * 50, rtol=1e-6)
    np.testing.assert_array_equal(explicit, [[1.0, 2.0, 3.0]] * 50)


def test_fields_by_hand():
    rossler = Rossler(a=0.15, b=0.25, c=5.5).field(jnp.array([2.0, -3.0, 0.5]))
    np.testing.assert_allclose(rossler, [3 - 0.5, 2 - 0.45, 0.25 + 0.5 * (2 - 5.5)], rtol=1e-6)
    pendulum = DampedPendulum(w=1.5, damping=0.1).field(jnp.array([0.7, -2.0]))
    np.testing.assert_allclose(pendulum, [-2.0, -2.25 * np.sin(0.7) + 0.2], rtol=1e-6)


@pytest.mark.slow
def test_rossler_agrees_with_an_independent_solver():
    def field(t, s):
        x, y, z = s
        return [-y - z, x + 0.15 * y, 0.25 + z * (x - 5.5)]

    states = np.array([[0.5, -6.0, 0.03], [8.0, 2.0, 5.0], [-6.0, 4.0, 0.02]])
    with jax.enable_x64(True):
        following = flow(Rossler(a=0.15, b=0.25, c=5.5, tolerance=1e-11), jnp.asarray(states))
    np.testing.assert_allclose(following, solved(field, states, 0.5), atol=1e-8)


@pytest.mark.slow
def test_pendulum_loses_energy_to_damping_alone_and_swings_in_its_period():
    """E = v^2 / 2 - w^2 cos q falls at the rate damping v^2; undamped, the period is 4 K(sin^2(q_0 / 2)) / w."""
    w, damping, states = 1.7, 0.3, np.array([[2.5, 0.0], [0.3, 1.0], [0.0, 3.0]])

    def field(t, s):
        return [s[1], -(w**2) * np.sin(s[0]) - damping * s[1]]

    with jax.enable_x64(True):
        damped = flow(DampedPendulum(w=w, damping=damping, interval=0.7, tolerance=1e-11), jnp.asarray(states))
        period = 4 * ellipk(np.sin(2.5 / 2) ** 2) / w
        swung = flow(DampedPendulum(w=w, damping=0.0, interval=period, tolerance=1e-11), jnp.asarray(states))
    np.testing.assert_allclose(damped, solved(field, states, 0.7), atol=1e-8)
    np.testing.assert_allclose(swung[0], states[0], atol=1e-7)
    for before, after in ((states, damped), (states, swung)):
        energy = [np.asarray(s)[:, 1] ** 2 / 2 - w**2 * np.cos(np.asarray(s)[:, 0]) for s in (before, after)]
        lost = energy[0] - energy[1]
        assert (lost > 1e-3).all() if after is damped else np.abs(lost).max() < 1e-7
