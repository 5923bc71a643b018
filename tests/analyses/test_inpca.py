import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from analyses import window_centres
from analyses.inpca import (
    bhattacharyya_matrix,
    gaussian_guide,
    hellinger_geodesic,
    hellinger_squared_matrix,
    inpca,
    project,
    running_mean,
    trajectory_band,
)

NUM_LAWS, NUM_BINS = 9, 7
embed = jax.jit(inpca, static_argnames=("num_axes", "halved"))
place = jax.jit(project)
hellinger_matrix = jax.jit(hellinger_squared_matrix)
distance_matrices = jax.jit(lambda laws: (hellinger_squared_matrix(laws), bhattacharyya_matrix(laws)))
on_the_way = jax.jit(jax.vmap(hellinger_geodesic, in_axes=(None, None, 0)))


def some_laws(seed: int, *shape: int) -> jax.Array:
    scores = np.random.default_rng(seed).normal(size=(*shape, NUM_BINS), scale=1.5)
    return jnp.asarray(scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True)))


def some_squares(seed: int) -> jax.Array:
    """Symmetric, non-negative, zero on the diagonal, and no more than that: far from Euclidean."""
    half = np.triu(np.random.default_rng(seed).uniform(size=(NUM_LAWS, NUM_LAWS)), 1)
    return jnp.asarray(half + half.T)


def squares_of(fit) -> np.ndarray:
    """Σ_k ±(c_ik − c_jk)² between all pairs."""
    c = np.asarray(fit.coordinates)
    sign = np.where(fit.imaginary, -1, 1)
    return ((c[:, None] - c[None]) ** 2 * sign).sum(axis=-1)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
@pytest.mark.parametrize("halved", [False, True])
def test_the_map_keeps_every_squared_distance_with_imaginary_axes_subtracted(halved, seed):
    with jax.enable_x64(True):
        squares = some_squares(seed)
        fit = embed(squares, halved=halved)
        np.testing.assert_allclose(squares_of(fit), (1 if halved else 2) * squares, atol=1e-12)
        assert np.any(fit.imaginary)
        np.testing.assert_allclose(np.sum(fit.explained), 1)
        size = np.abs(fit.eigenvalues)
        assert np.all(np.diff(size) <= 1e-12)
        np.testing.assert_allclose(np.sum(np.asarray(fit.coordinates) ** 2, axis=0), size, atol=1e-12)
        c = np.asarray(fit.coordinates)[:, size > 1e-9]
        assert np.all(c.max(axis=0) >= (1 - 1e-4) * np.abs(c).max(axis=0))  # the sign of an axis is not chance


def test_points_in_the_plane_come_back_as_classical_scaling_places_them():
    with jax.enable_x64(True):
        points = np.random.default_rng(1).normal(size=(NUM_LAWS, 2)) * [3, 1]
        squares = jnp.asarray(((points[:, None] - points) ** 2).sum(axis=-1))
        fit = embed(squares, halved=True)
        left, singular, _ = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
        expected = left * singular
        got = np.asarray(fit.coordinates)
        sign = np.sign((got[:, :2] * expected).sum(axis=0))
        np.testing.assert_allclose(got[:, :2] * sign, expected, atol=1e-10)
        np.testing.assert_allclose(fit.explained[:2], singular**2 / (singular**2).sum(), atol=1e-10)
        np.testing.assert_allclose(got[:, 2:], 0, atol=1e-6)
        published = embed(squares)
        np.testing.assert_allclose(published.coordinates[:, :2], np.sqrt(2) * got[:, :2], atol=1e-10)
        np.testing.assert_allclose(published.explained, fit.explained, atol=1e-12)


def test_fewer_axes_are_the_first_axes_and_their_shares_stay_shares_of_all():
    with jax.enable_x64(True):
        whole, some = embed(some_squares(3)), embed(some_squares(3), num_axes=2)
        assert some.coordinates.shape == (NUM_LAWS, 2)
        np.testing.assert_allclose(some.coordinates, whole.coordinates[:, :2], atol=1e-12)
        np.testing.assert_allclose(some.explained, whole.explained[:2], atol=1e-12)


def test_matrices_hold_the_distances_between_pairs():
    with jax.enable_x64(True):
        mass = np.exp(some_laws(0, NUM_LAWS))
        mass[0], mass[1] = np.eye(NUM_BINS)[:2]  # nothing in common
        with np.errstate(divide="ignore"):
            laws = jnp.asarray(np.log(mass))
            overlap = -np.log(np.sqrt(mass[:, None] * mass).sum(axis=-1))
        by_hellinger, by_overlap = distance_matrices(laws)
        chord = ((np.sqrt(mass)[:, None] - np.sqrt(mass)) ** 2).sum(axis=-1)
        np.testing.assert_allclose(by_hellinger, chord, atol=1e-14)
        np.testing.assert_allclose(by_overlap, overlap, atol=1e-13)
        assert by_overlap[0, 1] == np.inf
        np.testing.assert_allclose(hellinger_matrix(laws[:3], laws), by_hellinger[:3], atol=1e-15)
        assert np.all(embed(by_hellinger).eigenvalues > -1e-12)  # √p is a Euclidean place


def test_distances_along_the_gaussian_guide_match_the_closed_form():
    with jax.enable_x64(True):
        edges = jnp.linspace(-14.0, 14.0, 2801)
        means, sds = np.array([0.0, 0.5, -1.0]), np.array([1.0, 0.6, 1.4])
        guide = jax.jit(gaussian_guide)(jnp.asarray(means), jnp.asarray(sds), edges)
        by_hellinger, by_overlap = distance_matrices(guide)
        total = sds[:, None] ** 2 + sds**2
        closed = (means[:, None] - means) ** 2 / (4 * total) + np.log(total / (2 * sds[:, None] * sds)) / 2
        np.testing.assert_allclose(by_overlap, closed, atol=2e-5)
        np.testing.assert_allclose(by_hellinger, 2 - 2 * np.exp(-closed), atol=4e-5)


def test_laws_of_the_map_are_projected_onto_themselves_imaginary_axes_included():
    with jax.enable_x64(True):
        for squares in (some_squares(5), hellinger_matrix(some_laws(5, NUM_LAWS))):
            fit = embed(squares)
            real = np.abs(fit.eigenvalues) > 1e-9
            got = place(fit, squares)
            np.testing.assert_allclose(got[:, real], fit.coordinates[:, real], atol=1e-10)
            np.testing.assert_allclose(got[:, ~real], 0)


@pytest.mark.parametrize("halved", [False, True])
def test_a_new_law_keeps_its_distances_to_the_laws_of_the_map(halved):
    """With more laws than cells the map spans the space of √p, so nothing of a new law lies outside it."""
    with jax.enable_x64(True):
        laws, new = some_laws(6, NUM_LAWS), some_laws(7, 3)
        fit = embed(hellinger_matrix(laws), halved=halved)
        squares = hellinger_matrix(new, laws)
        placed = np.asarray(place(fit, squares))
        between = ((placed[:, None] - np.asarray(fit.coordinates)) ** 2).sum(axis=-1)
        np.testing.assert_allclose(between, (1 if halved else 2) * squares, atol=1e-10)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_the_geodesic_has_constant_speed_and_stays_among_the_laws(seed):
    with jax.enable_x64(True):
        p, q = some_laws(seed, 2)
        t = jnp.linspace(0.0, 1.0, 6)
        root = np.exp(0.5 * np.asarray(on_the_way(p, q, t)))
        np.testing.assert_allclose((root**2).sum(axis=1), 1, atol=1e-12)
        np.testing.assert_allclose(root[[0, -1]], np.exp(0.5 * np.stack([p, q])), atol=1e-12)
        whole = np.arccos(root[0] @ root[-1])
        np.testing.assert_allclose(np.arccos(root[:-1] @ root[-1]), whole * (1 - t[:-1]), atol=1e-7)


def test_the_geodesic_between_equal_and_between_disjoint_laws():
    with jax.enable_x64(True):
        (p,) = some_laws(8, 1)
        t = jnp.asarray(np.linspace(0, 1, 6))
        np.testing.assert_allclose(on_the_way(p, p, t), np.tile(p, (6, 1)), atol=1e-14)
        gradient = jax.jit(jax.grad(lambda x: jnp.sum(hellinger_geodesic(x, p, 0.3))))(p)
        np.testing.assert_allclose(gradient, 0.7, atol=1e-12)
        with np.errstate(divide="ignore"):
            left, right = jnp.asarray(np.log(np.eye(NUM_BINS)[:2]))
        mass = np.exp(on_the_way(left, right, t))
        np.testing.assert_allclose(mass[:, 0], np.cos(np.pi / 2 * t) ** 2, atol=1e-15)
        np.testing.assert_allclose(mass[:, 1], np.sin(np.pi / 2 * t) ** 2, atol=1e-15)


def test_the_running_mean_averages_masses_at_the_centres_of_its_windows():
    with jax.enable_x64(True):
        laws = some_laws(9, 12)
        got = jax.jit(running_mean, static_argnums=1)(laws, 5)
        mass = np.exp(np.asarray(laws))
        for row, centre in zip(np.exp(got), np.asarray(window_centres(12, 5), int), strict=True):
            np.testing.assert_allclose(row, mass[centre - 2 : centre + 3].mean(axis=0), atol=1e-14)


def test_the_band_over_seeds_lies_on_the_axes_of_the_map():
    with jax.enable_x64(True):
        laws, paths = some_laws(10, NUM_LAWS), some_laws(11, 6, 4)
        fit = embed(hellinger_matrix(laws), num_axes=2)
        band_of = jax.jit(functools.partial(trajectory_band, num_resamples=200))
        band = band_of(jax.random.key(0), fit, laws, paths)
        each = np.stack([place(fit, hellinger_matrix(jnp.asarray(p), laws)) for p in np.asarray(paths)])
        assert band.low.shape == (4, 2)
        np.testing.assert_allclose(band.centre, each.mean(axis=0), atol=1e-12)
        assert np.all((band.low <= band.centre) & (band.centre <= band.high))
        # A nominal 95 % bootstrap interval of a mean of six is about 2 × 1.96 standard errors (less 1/6) long.
        length = (band.high - band.low) / (2 * 1.96 * each.std(axis=0) / np.sqrt(6))
        np.testing.assert_allclose(length, 1, atol=0.3)
        still = band_of(jax.random.key(0), fit, laws, jnp.asarray(np.tile(paths[:1], (6, 1, 1))))
        np.testing.assert_allclose(still.low, still.high, atol=1e-12)


def test_many_maps_are_made_in_one_call_also_in_single_precision():
    laws = some_laws(12, 3, NUM_LAWS)
    maps = jax.jit(jax.vmap(lambda one: inpca(hellinger_squared_matrix(one))))(laws)
    assert maps.coordinates.dtype == jnp.float32
    with jax.enable_x64(True):
        for one, coordinates in zip(np.asarray(laws, float), maps.coordinates):
            exact = embed(hellinger_matrix(jnp.asarray(one)))
            np.testing.assert_allclose(coordinates[:, :3], exact.coordinates[:, :3], atol=2e-5)


def test_explained_shares_and_places_have_the_right_gradient():
    with jax.enable_x64(True):
        laws = some_laws(13, 4)

        def of(x):
            fit = inpca(hellinger_squared_matrix(x), num_axes=2)
            return fit.explained, fit.coordinates

        check_grads(jax.jit(of), (laws,), order=1, modes=["rev"], atol=1e-5, rtol=1e-5)


def test_what_cannot_be_embedded_is_refused_or_stays_nan():
    for num_axes in (0, NUM_LAWS + 1):
        with pytest.raises(ValueError, match=r"got .* axes .*expected .*; use"):
            inpca(jnp.zeros((NUM_LAWS, NUM_LAWS)), num_axes=num_axes)
    with pytest.raises(ValueError, match=r"got .* 1 laws"):
        inpca(jnp.zeros((1, 1)))
    with jax.enable_x64(True):
        missing = np.array(some_laws(14, NUM_LAWS))
        missing[2] = np.nan
        assert np.all(np.isnan(embed(hellinger_matrix(jnp.asarray(missing))).coordinates))
