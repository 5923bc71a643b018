import jax
import jax.numpy as jnp
import numpy as np
import pytest

import analyses.model_comparison
from analyses.model_comparison import MODELS, NUM_PARAMETERS

fit_models = jax.jit(jax.vmap(analyses.model_comparison.fit_models, in_axes=(None, 0, None)))
compare_models = jax.jit(jax.vmap(analyses.model_comparison.compare_models, in_axes=(None, 0, None)))
CONTEXT = np.geomspace(10, 1000, 18)
T = CONTEXT
#: One planted curve of each kind, in the order of MODELS, with (rate, amplitude, constant).
PLANTED = {
    "power": (2 * T**-0.6, (-0.6, 2, np.nan)),
    "power_plateau": (3 * T**-1.0 + 0.05, (-1.0, 3, 0.05)),
    "exponential": (0.5 * np.exp(-T / 60) + 0.1, (1 / 60, 0.5, 0.1)),
    "logarithmic": (1.0 - 0.13 * np.log(T), (np.nan, 0.13, 1.0)),
    "constant": (np.full(T.size, 0.4), (np.nan, np.nan, 0.4)),
}
CURVES = np.stack([PLANTED[name][0] for name in MODELS])


def noisy(num: int, seed: int = 0, spread: float = 0.1, noise: float = 0.1) -> np.ndarray:
    """[law, trajectory, bin]: amplitudes and points vary by mean-one factors."""
    random = np.random.default_rng(seed)
    factor = random.lognormal(-(spread**2) / 2, spread, (len(MODELS), num, 1))
    return CURVES[:, None] * factor * random.gamma(noise**-2, noise**2, (len(MODELS), num, T.size))


def test_each_law_is_recovered_from_its_own_curve():
    with jax.enable_x64(True):
        fits = fit_models(jnp.asarray(T), jnp.asarray(CURVES), jnp.asarray(0.0))
        for k, name in enumerate(MODELS):
            got = [float(column[k, k]) for column in (fits.rate, fits.amplitude, fits.constant)]
            np.testing.assert_allclose(got, PLANTED[name][1], rtol=1e-5, err_msg=name)
            assert float(fits.deviance[k, k]) < 1e-12
            np.testing.assert_allclose(fits.excess[k, k], CURVES[k], rtol=1e-5)


@pytest.fixture(scope="module")
def compared():
    losses = noisy(8)
    with jax.enable_x64(True):
        return losses, jax.tree.map(np.asarray, compare_models(jnp.asarray(T), jnp.asarray(losses), jnp.asarray(0.0)))


def test_the_planted_law_is_named(compared):
    _, found = compared
    assert [MODELS[k] for k in found.simplest] == list(MODELS)
    for k, row in enumerate(found.score):
        assert row[found.winner[k]] == found.error[k, found.winner[k]] == 0
        assert (row >= 0).all()
    # A constant curve is a special case of every law: none is beaten. A falling one is no constant by far.
    assert found.score[-1].max() < 0.01
    assert (found.score[:4, -1] > 5 * found.error[:4, -1]).all()


def test_scores_are_those_of_a_loop_over_left_out_trajectories(compared):
    losses, found = compared
    for k in (1, 3):
        scores = []
        with jax.enable_x64(True):
            others = np.stack([np.delete(losses[k], i, axis=0).mean(axis=0) for i in range(8)])
            halves = np.split(padded(others), 2)
            laws = np.concatenate([fit_models(jnp.asarray(T), jnp.asarray(o), jnp.asarray(0.0)).excess for o in halves])
        for loss, law in zip(losses[k], laws):
            scores.append((loss / law + np.log(law)).mean(axis=-1))
        paired = np.stack(scores) - np.stack(scores)[:, [found.winner[k]]]
        np.testing.assert_allclose(found.score[k], paired.mean(axis=0), atol=1e-9)
        np.testing.assert_allclose(found.error[k], paired.std(axis=0, ddof=1) / np.sqrt(8), atol=1e-9)


def padded(rows: np.ndarray) -> np.ndarray:
    """Ten rows, so that the shape of the first test serves."""
    return np.concatenate((rows, rows[:2]))


def test_weights_are_those_of_the_corrected_criterion():
    with jax.enable_x64(True):
        fits = fit_models(jnp.asarray(T), jnp.asarray(noisy(1)[:, 0]), jnp.asarray(0.0))
    bins, k = T.size, np.asarray(NUM_PARAMETERS) + 1
    aicc = bins * np.log(fits.deviance) + 2 * k + 2 * k * (k + 1) / (bins - k - 1)
    weights = np.exp(-0.5 * (aicc - aicc.min(axis=1, keepdims=True)))
    np.testing.assert_allclose(fits.aicc_weight, weights / weights.sum(axis=1, keepdims=True), rtol=1e-6)


def test_a_known_floor_leaves_a_power_law_where_there_was_a_plateau():
    with jax.enable_x64(True):
        fits = fit_models(jnp.asarray(T), jnp.asarray(CURVES), jnp.asarray(0.05))
    assert float(fits.deviance[1, MODELS.index("power")]) < 1e-12
    assert float(fits.rate[1, MODELS.index("power")]) == pytest.approx(-1, abs=1e-6)
    assert float(fits.constant[1, MODELS.index("power_plateau")]) == pytest.approx(0, abs=1e-7)


def test_two_trajectories_cannot_be_judged():
    with pytest.raises(ValueError, match=r"got 2 trajectories; expected at least 3; use"):
        analyses.model_comparison.compare_models(jnp.asarray(T), jnp.ones((2, T.size)))
