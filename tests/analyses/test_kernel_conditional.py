import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from analyses import bhattacharyya_distance, bigram, bin_masses, moments, unigram
from analyses.kernel_conditional import bandwidths, kernel_conditional

smoothed = jax.jit(kernel_conditional)
counted = jax.jit(lambda codes: (unigram(codes, 100, smoothing=0.05), bigram(codes, 100, smoothing=0.05)))
distances = jax.jit(jax.vmap(bhattacharyya_distance))

EDGES = jnp.linspace(0.0, 10.0, 101)


@jax.jit
def normal_masses(mean, sd):
    return jax.vmap(lambda m, s: bin_masses(lambda u: jax.scipy.stats.norm.cdf(u, m, s), EDGES).mass)(mean, sd)


def test_rows_are_the_mixture_of_nadaraya_watson_laws_written_again():
    """On 20 cells of [0, 2): sums over pairs, normal probabilities of each cell and the weights, one row at a time."""
    codes = np.random.default_rng(0).integers(0, 20, 25)
    edges, width = np.linspace(0, 2, 21), 0.1
    x = edges[codes] + width / 2
    widths = width / np.sqrt(12) * 2.0 ** np.arange(5)
    weight, expected = np.full(5, 0.2), []
    for t in range(25):
        laws = np.full((5, 20), 1 / 20)
        for k, h in enumerate(widths if t > 1 else []):
            near = norm.pdf(x[t - 1] - x[: t - 1], scale=h)
            cells = np.diff(norm.cdf(edges[:, None], x[1:t], h), axis=0) @ (near / near.sum())
            laws[k] = ((t - 1) * cells / cells.sum() + 1 / 20) / t
        expected.append(weight @ laws)
        posterior = weight * laws[:, codes[t]]
        weight = (1 - 1 / (t + 2)) * posterior / posterior.sum() + 1 / (t + 2) / 5
    with jax.enable_x64(True):
        rows = jax.jit(kernel_conditional)(jnp.asarray(codes), jnp.asarray(edges))
    np.testing.assert_allclose(np.exp(rows), expected, rtol=1e-9)


def test_no_kernel_is_sharper_than_a_written_number_or_wider_than_the_grid():
    for bins in (2, 10, 100, 1000):
        widths = np.asarray(bandwidths(bins, jnp.dtype("float32")))
        assert widths[0] == pytest.approx(12**-0.5 / bins)
        assert 0.1 < widths[-1] < 1


def test_a_law_that_bends_is_learned_where_counts_are_too_few():
    """x' = 5 + 3 sin x + 0.4 ε: no line, no parabola; near the truth after 350 pairs, counts are not."""
    rng = np.random.default_rng(1)
    mean, values = [5.0], [5.0]
    for _ in range(499):
        mean.append(5 + 3 * np.sin(values[-1]))
        values.append(mean[-1] + 0.4 * rng.normal())
    codes = jnp.asarray(np.floor(np.array(values) * 10), jnp.int32)
    truth = normal_masses(jnp.asarray(mean, jnp.float32), jnp.full(500, 0.4))
    kernel, *counts = (
        float(jnp.mean(distances(rows, truth)[350:])) for rows in (smoothed(codes, EDGES), *counted(codes))
    )
    assert kernel < 0.06
    assert min(counts) > 5 * kernel


def test_a_series_that_leaves_its_past_is_foretold_from_the_nearest_pair():
    """Far from all pairs every weight underflows, and the law is still that of the last pair's successor."""
    codes = jnp.asarray([0, 1, 0, 1, 0, 1, 60, 30, 0, 1, 95, 0], jnp.int32)
    rows = smoothed(codes, EDGES)
    assert np.isfinite(rows).all()
    assert int(jnp.argmax(rows[-1])) == 30  # after 95; 30 came after 60, all else after 30 or less


def test_late_on_the_published_maps_it_lies_between_the_counts_and_the_truth(reference):
    """Spec, near 985: noisy logistic .344 with its bandwidth, bigram .238; logistic deviation .194, bigram .528."""
    noisy, clean = reference("noisy_logistic_map"), reference("logistic_map")
    late = slice(970, 1000)
    laws = jax.jit(lambda codes: jax.lax.map(lambda row: kernel_conditional(row, EDGES)[late], codes))
    few = slice(0, 2)
    mean, sd = (jnp.asarray(noisy[name][few, late], jnp.float32) for name in ("true_mean", "true_sigma"))
    truth = jax.jit(jax.vmap(normal_masses))(mean, sd)
    found = laws(jnp.asarray(noisy["digits"][few], jnp.int32))
    assert 0.02 < float(jnp.mean(jax.jit(jax.vmap(distances))(found, truth))) < 0.09
    found = laws(jnp.asarray(clean["digits"][few], jnp.int32))
    centre = jax.jit(jax.vmap(jax.vmap(moments, in_axes=(0, None)), in_axes=(0, None)))(found, EDGES).mean
    assert 0.03 < float(np.abs(centre - clean["true_mean"][few, late]).mean()) < 0.1
