import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

import analyses
from analyses import (
    absolute_deviation,
    bhattacharyya_distance,
    gaussian_bhattacharyya,
    hellinger,
    kl_divergence,
    safe_log,
    squared_deviation,
    total_variation,
)

gaussian_log_masses = jax.jit(analyses.gaussian_log_masses)

NUM_BINS = 6
weights = st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1.0)), min_size=NUM_BINS, max_size=NUM_BINS)
laws = weights.filter(lambda w: sum(w) > 0).map(lambda w: np.array(w) / sum(w))
DISTANCES = [bhattacharyya_distance, kl_divergence, total_variation, hellinger]


@jax.jit
def all_four(log_mass, truth):
    return [distance(log_mass, truth) for distance in DISTANCES]


@settings(deadline=None)
@given(laws, laws)
def test_distances_are_non_negative_and_vanish_only_for_equal_laws(m, q):
    with jax.enable_x64(True):
        log_mass, truth = safe_log(jnp.asarray(m)), jnp.asarray(q)
        far = float(np.max(np.abs(m - q)))
        values = [float(value) for value in all_four(log_mass, truth)]
        assert min(values) >= -1e-12
        assert max(values[2:]) <= 1 + 1e-12
        if far > 1e-3:
            assert min(values) > 1e-8
        np.testing.assert_allclose(all_four(safe_log(truth), truth), 0, atol=2e-8)


@settings(deadline=None)
@given(laws, laws)
def test_the_four_distances_obey_their_inequalities(m, q):
    with jax.enable_x64(True):
        log_mass, truth = safe_log(jnp.asarray(m)), jnp.asarray(q)
        d_b, kl, tv, h = (float(value) for value in all_four(log_mass, truth))
        assert h**2 == pytest.approx(-np.expm1(-d_b), abs=1e-12)
        assert h**2 <= tv + 1e-12
        assert tv <= h * np.sqrt(2 - h**2) + 1e-12
        assert kl >= 2 * d_b - 1e-12  # Jensen: −2 ln Σ q √(m/q) ≤ −Σ q ln(m/q)
        assert tv <= np.sqrt(kl / 2) + 1e-9  # Pinsker


def test_kl_is_of_the_model_from_the_truth_and_infinite_only_where_the_model_forbids_the_truth():
    q = jnp.array([0.5, 0.5, 0.0])
    m = jnp.array([0.25, 0.25, 0.5])
    assert float(kl_divergence(safe_log(m), q)) == pytest.approx(np.log(2), rel=1e-6)
    assert float(kl_divergence(safe_log(q), m)) == np.inf
    assert float(bhattacharyya_distance(safe_log(jnp.array([1.0, 0.0])), jnp.array([0.0, 1.0]))) == np.inf


def test_distance_from_a_point_mass_is_half_the_log_loss_even_where_the_mass_underflows():
    log_mass = jnp.array([-300.0, 0.0, -40.0])
    for cell in range(3):
        value = bhattacharyya_distance(log_mass, jax.nn.one_hot(cell, 3))
        assert float(value) == pytest.approx(-0.5 * float(log_mass[cell]), rel=1e-6)


@settings(deadline=None, max_examples=20)
@example(1.0, 0.5, -1.0, 0.5)
@given(st.floats(-1, 1), st.floats(0.5, 1.5), st.floats(-1, 1), st.floats(0.5, 1.5))
def test_fine_bins_reach_the_closed_form_between_gaussians(mean, sd, other_mean, other_sd):
    with jax.enable_x64(True):
        # Bins of width w change it by w²/96 of the squared slope of ln p/q: 64 at most, so 1.7e-5.
        edges = jnp.linspace(-14.0, 14.0, 5601)
        log_mass = gaussian_log_masses(mean, sd, edges)
        truth = jnp.exp(gaussian_log_masses(other_mean, other_sd, edges))
        closed = gaussian_bhattacharyya(*(jnp.asarray(v) for v in (mean, sd, other_mean, other_sd)))
        assert float(bhattacharyya_distance(log_mass, truth)) == pytest.approx(float(closed), abs=2e-5)


def test_the_closed_form_is_affine_invariant():
    base = [jnp.asarray(v) for v in (0.3, 0.7, -0.4, 1.2)]
    moved = [5 + 3 * base[0], 3 * base[1], 5 + 3 * base[2], 3 * base[3]]
    assert float(gaussian_bhattacharyya(*moved)) == pytest.approx(float(gaussian_bhattacharyya(*base)), rel=1e-5)
    assert float(gaussian_bhattacharyya(base[0], base[1], base[0], base[1])) == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("distance", DISTANCES)
def test_gradients_agree_with_finite_differences(distance):
    with jax.enable_x64(True):
        logits = jnp.array([0.3, -0.2, 1.0, 0.1])
        truth = jnp.array([0.1, 0.4, 0.2, 0.3])
        model = lambda x: distance(jax.nn.log_softmax(x), truth)  # noqa: E731
        check_grads(jax.jit(model), (logits,), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)
        of_truth = jax.jit(lambda x: distance(jax.nn.log_softmax(logits), jax.nn.softmax(x)))
        check_grads(of_truth, (truth,), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("model", [[0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 1.0, 0.0]])
def test_gradients_are_not_nan_where_masses_vanish(distance, model):
    truth = jnp.array([0.5, 0.5, 0.0, 0.0])
    for argument in (0, 1):
        gradient = jax.grad(distance, argument)(safe_log(jnp.array(model)), truth)
        assert not np.any(np.isnan(gradient))


@pytest.mark.parametrize("distance", DISTANCES)
def test_an_unpredicted_row_stays_nan(distance):
    assert np.isnan(distance(jnp.full(3, jnp.nan), jnp.array([0.2, 0.3, 0.5])))
    assert np.isnan(distance(jnp.log(jnp.array([0.2, 0.3, 0.5])), jnp.full(3, jnp.nan)))


def test_deviations_are_what_they_are_called():
    model, truth = jnp.array([1.0, 4.0]), jnp.array([3.0, 3.5])
    np.testing.assert_allclose(absolute_deviation(model, truth), [2, 0.5])
    np.testing.assert_allclose(squared_deviation(model, truth), [4, 0.25])


def test_published_losses_are_reproduced_from_the_published_laws(reference):
    markov = reference("markov_chain_n4_13b")
    log_mass = jnp.log(jnp.asarray(markov["next_state_prob"][0], jnp.float32))
    truth = jnp.asarray(markov["true_next_prob"][0], jnp.float32)
    np.testing.assert_allclose(jax.vmap(bhattacharyya_distance)(log_mass, truth), markov["bt_loss"][0], atol=1e-6)
    np.testing.assert_allclose(jax.vmap(kl_divergence)(log_mass, truth), markov["kl_loss"][0], atol=3e-6)
