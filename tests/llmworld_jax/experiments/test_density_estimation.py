"""The story of one iid system, told with a model that is itself a kernel estimator."""

import functools
import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.special import gamma

from llmworld_jax.errors import InputError
from llmworld_jax.experiments.density_estimation import DensityStory, density_story, embed

TIME, BINS = 200, 40
EDGES = np.linspace(-4, 4, BINS + 1)  # display unit 0.8
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
UNIT = 0.8
CONTEXTS = np.array([3, 8, 20, 50, 110, 197])


@functools.cache
def samples() -> np.ndarray:
    values = np.random.default_rng(0).normal(0, 1, TIME)
    return np.clip(np.searchsorted(EDGES, values) - 1, 0, BINS - 1)


@functools.cache
def truth() -> np.ndarray:
    mass = np.diff(stats.norm.cdf(EDGES))
    return mass / mass.sum()


@functools.cache
def laws() -> np.ndarray:
    """SciPy's kernel of width 1.6 n^{−0.3} and shape 1.3, where it is asked for; nothing precedes item 0."""
    log_mass = np.full((TIME, BINS), -np.log(BINS))
    log_mass[0] = np.nan
    for n in np.unique(CONTEXTS[:, None] + np.arange(-2, 3)):
        kernel = stats.gennorm(1.3, scale=1.6 * n**-0.3 * np.sqrt(gamma(1 / 1.3) / gamma(3 / 1.3)))
        mass = np.diff(kernel.cdf(EDGES - CENTRES[samples()[:n], None]), axis=1).sum(axis=0)
        log_mass[n] = np.log(mass / mass.sum())
    return log_mass


@functools.cache
def told(window: int = 1) -> DensityStory:
    return density_story(laws(), samples(), truth(), EDGES, CONTEXTS, window=window)


@pytest.mark.slow
def test_a_planted_kernel_its_exponent_and_its_display_units_are_found():
    story = told()
    np.testing.assert_allclose(story.fit.bandwidth * UNIT, 1.6 * CONTEXTS**-0.3, rtol=1e-5)
    np.testing.assert_allclose(story.fit.shape, 1.3, rtol=1e-5)
    np.testing.assert_allclose(story.fit.divergence, 0, atol=1e-10)
    np.testing.assert_allclose(story.trajectories["fitted kernel"], story.trajectories["model"], atol=1e-4)
    assert story.bandwidth_exponent == pytest.approx(-0.3, abs=1e-5)
    assert not story.fit.at_bound.any()


@pytest.mark.once
def test_the_estimators_are_those_of_the_analyses_at_the_same_items():
    story = told()
    counts = np.stack([np.bincount(samples()[:n], minlength=BINS) for n in CONTEXTS])
    np.testing.assert_allclose(story.trajectories["model"], laws()[CONTEXTS], atol=1e-12)
    mass = np.exp(story.trajectories["histogram"])
    np.testing.assert_allclose(mass, (counts + 1) / (counts.sum(axis=1, keepdims=True) + BINS), atol=1e-12)
    for n, law in zip(CONTEXTS, story.trajectories["Silverman"]):
        peer = stats.gaussian_kde(CENTRES[samples()[:n]], bw_method="silverman")
        mass = np.array([peer.integrate_box_1d(*ends) for ends in itertools.pairwise(EDGES)])
        np.testing.assert_allclose(np.exp(law), mass / mass.sum(), atol=1e-10)
    sd = [np.std(CENTRES[samples()[:n]], ddof=1) for n in CONTEXTS]
    np.testing.assert_allclose(story.silverman_bandwidth * UNIT, sd * (4 / (3 * CONTEXTS)) ** 0.2)
    for name, law in story.trajectories.items():
        kl = (truth() * (np.log(truth()) - law)).sum(axis=1)
        np.testing.assert_allclose(story.divergence[name], kl)
        assert kl[-1] < kl[0]


def test_laws_are_averaged_over_their_window():
    story = told(5)
    mass = np.exp(laws())
    for n, law in zip(CONTEXTS[1:], story.trajectories["model"][1:]):
        np.testing.assert_allclose(np.exp(law), mass[n - 2 : n + 3].mean(axis=0), atol=1e-12)
    assert story.bandwidth_exponent == pytest.approx(-0.3, abs=0.02)


def test_the_map_holds_hellinger_distances_as_far_as_its_axes_show_them():
    story = told()
    place = story.embedding
    names = list(story.trajectories)
    assert list(place.paths) == names
    roots = np.exp(0.5 * np.concatenate([*story.trajectories.values(), [story.uniform, story.truth]]))
    squares = ((roots[:, None] - roots) ** 2).sum(axis=-1)
    points = np.concatenate([*place.paths.values(), [place.uniform, place.truth]])
    shown = ((points[:, None] - points) ** 2).sum(axis=-1)
    assert np.all(shown <= 2 * squares + 1e-9)  # axes left out only shorten
    assert shown.sum() > 0.95 * 2 * squares.sum()  # and little lies on them
    assert not place.imaginary.any()
    # Kernel estimators on their way to a Gaussian hardly leave a plane.
    assert place.explained[:2].sum() > 0.85
    np.testing.assert_allclose(place.geodesic[0], place.uniform)
    speed = np.linalg.norm(np.diff(place.geodesic, axis=0), axis=1)
    np.testing.assert_allclose(speed, speed.mean(), rtol=0.1)


def test_paths_of_any_length_share_the_axes_and_order_does_not_matter():
    story = told()
    some = {"long": story.trajectories["model"], "short": story.trajectories["histogram"][:2]}
    one = embed(some, story.truth, story.uniform)
    other = embed(dict(reversed(some.items())), story.truth, story.uniform)
    assert one.paths["short"].shape == (2, 4)
    np.testing.assert_allclose(one.explained, other.explained, atol=1e-12)
    for name in some:
        np.testing.assert_allclose(abs(one.paths[name]), abs(other.paths[name]), atol=1e-7)


BAD = {
    "window of 4": dict(window=4),
    "window of 0": dict(window=0),
    r"context lengths \[2": dict(contexts=np.array([2, 1]), window=1),
    "between 2 and 197": dict(contexts=np.array([1, 50]), window=5),
    "between 1 and 199": dict(contexts=np.array([5, 200]), window=1),
    "two ascending whole": dict(contexts=np.array([5.0, 9.0]), window=1),
    "near context length 2": dict(contexts=np.array([2, 50]), window=5),
    r"truth \(39,\)": dict(truth_mass=np.ones(39)),
    r"codes \(7,\)": dict(codes=np.zeros(7, int)),
    "different widths": dict(edges=np.linspace(0, 2, BINS + 1) ** 2),
}


@pytest.mark.parametrize("said", BAD)
def test_what_cannot_be_told_is_refused(said):
    given = dict(log_mass=laws(), codes=samples(), truth_mass=truth(), edges=EDGES, contexts=CONTEXTS)
    with pytest.raises(InputError, match=said):
        density_story(**given | BAD[said])
