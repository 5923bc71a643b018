"""Coordinates in a subspace are exchanged and nothing else; trials read together are trials read alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmworld_jax import interventions
from llmworld_jax.errors import InputError
from llmworld_jax.interventions import SubspaceBases, positions_of, read_with_edits, subspace_bases, swap_subspace
from llmworld_jax.models.edits import ablate_head, apply_edits, set_to, silence_heads, swap
from llmworld_jax.models.forward import forward
from llmworld_jax.word_laws import node_laws

RANDOM = np.random.default_rng(2)
MEANS = jnp.asarray(RANDOM.normal(size=(5, 32)), jnp.float32)
TOKENS = jnp.asarray(RANDOM.integers(0, 40, 12), jnp.int32)
NODES = jnp.array([0, 1, 2, 1, 0, 3])
AT = jnp.array([1, 3, 5, 7, 9, 11])
IDS = jnp.array([5, 9, 30], jnp.int32)
READ_AT = jnp.array([4, 10, 11])
LAST = (jnp.arange(12) == 11).astype(jnp.float32)


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama(num_layers=3)


@pytest.fixture(scope="module")
def bases():
    return subspace_bases(jax.random.key(0), MEANS)


def after(model, layer, *edits):
    """Residual stream after block ``layer`` (1 first)."""
    return np.asarray(forward(model, TOKENS, taps=("resid_post",), edits=edits).taps["resid_post"][layer - 1])


def test_planes_are_those_of_the_singular_values_and_the_random_one_lies_among_the_means(bases):
    centred = np.asarray(MEANS) - np.asarray(MEANS).mean(axis=0)
    rows = np.linalg.svd(centred)[2][:4]
    for basis, wanted in ((bases.first, rows[:2]), (bases.second, rows[2:4]), (bases.span, rows)):
        np.testing.assert_allclose(basis.T @ basis, wanted.T @ wanted, atol=1e-5)
    turned = np.asarray(bases.random)
    np.testing.assert_allclose(turned @ turned.T, np.diag([1, 1, 0, 0]), atol=1e-5)
    np.testing.assert_allclose(turned @ rows.T @ rows, turned, atol=1e-5)
    other = subspace_bases(jax.random.key(1), MEANS).random
    assert np.linalg.norm(other.T @ other - turned.T @ turned) > 0.1


def test_random_planes_favour_no_direction():
    """The projector's mean over keys is that of a uniform plane, rank / dimension times the identity."""
    span = subspace_bases(jax.random.key(0), MEANS).span
    drawn = jax.vmap(lambda key: subspace_bases(key, MEANS).random)(jax.random.split(jax.random.key(5), 600)) @ span.T
    mean = np.einsum("kri,krj->ij", drawn, drawn) / 600
    np.testing.assert_allclose(mean, 0.5 * np.eye(4), atol=0.05)


def test_nodes_that_were_not_seen_do_not_count():
    seen = jnp.array([True, False, True, True, True])
    found = subspace_bases(jax.random.key(0), MEANS.at[1].set(jnp.nan), seen)
    wanted = subspace_bases(jax.random.key(0), MEANS[seen])
    for basis, other in zip(found[:3], wanted[:3]):
        np.testing.assert_allclose(basis.T @ basis, other.T @ other, atol=1e-5)
    assert not np.asarray(found.span[3]).any(), "four means span three directions"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(-2, 2))
def test_coordinates_go_towards_the_vector_in_proportion_to_the_dose_and_the_rest_stays(seed, dose):
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(8, 3)))[0].T
    x, vector = random.normal(size=(4, 8)), random.normal(size=8)
    edit = swap("resid_mid", 1, jnp.asarray(basis, jnp.float32), jnp.asarray(vector, jnp.float32), dose)
    found = np.asarray(apply_edits(jnp.asarray(x, jnp.float32), "resid_mid", jnp.int32(1), (edit,)))
    np.testing.assert_allclose(found, x + dose * (vector - x) @ basis.T @ basis, atol=1e-4)


def test_after_an_exchange_the_coordinates_are_the_targets_at_the_chosen_position_only(model, bases):
    clean = after(model, 2)
    for basis in bases:
        found, v = after(model, 2, swap_subspace(MEANS, basis, 3, 2, LAST)), np.asarray(basis)
        np.testing.assert_array_equal(found[:11], clean[:11])
        np.testing.assert_allclose(v @ found[11], v @ np.asarray(MEANS)[3], atol=1e-4)
        rest = np.eye(32) - v.T @ v
        np.testing.assert_allclose(rest @ found[11], rest @ clean[11], atol=1e-4)
        assert np.abs(found[11] - clean[11]).max() > 0.1


def test_the_whole_span_takes_one_mean_to_another_and_everything_to_any(model, bases):
    on_a_mean = set_to("resid_post", 1, MEANS[0], LAST)
    found = after(model, 2, on_a_mean, swap_subspace(MEANS, bases.span, 3, 2, LAST))
    np.testing.assert_allclose(found[11], MEANS[3], atol=1e-4)
    found = after(model, 2, swap_subspace(MEANS, jnp.eye(32), 3, 2, LAST))
    np.testing.assert_allclose(found[11], MEANS[3], atol=1e-4)


def test_dose_0_is_the_clean_run(model, bases):
    found = forward(model, TOKENS, edits=(swap_subspace(MEANS, bases.first, 3, 2, LAST, 0.0),)).hidden
    np.testing.assert_array_equal(found, forward(model, TOKENS).hidden)


def test_all_positions_of_a_node_are_exchanged(model, bases):
    at = positions_of(1, NODES, AT, 12)
    np.testing.assert_array_equal(np.flatnonzero(at), [3, 7])
    clean, v = after(model, 1), np.asarray(bases.first)
    found = after(model, 1, swap_subspace(MEANS, bases.first, 4, 1, at))
    wanted = clean.copy()
    for p in (3, 7):
        wanted[p] += v.T @ v @ (np.asarray(MEANS)[4] - clean[p])
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def trials(bases: SubspaceBases):
    """Ten: five planes, targets, layers and doses, at the last position and at the one before it."""
    planes = jnp.stack((*bases, bases.first))
    targets, layers, doses = jnp.array([1, 2, 3, 4, 0]), jnp.array([1, 2, 3, 2, 1]), jnp.array([1, 0.5, 2, 1, 0.0])
    at = jnp.repeat(jnp.stack((LAST, jnp.roll(LAST, -1))), 5, axis=0)
    twice = (jnp.concatenate((x, x)) for x in (planes, targets, layers))
    return jax.vmap(lambda *trial: swap_subspace(MEANS, *trial))(*twice, at, jnp.concatenate((doses, doses)))


@pytest.fixture(scope="module")
def alone(model, bases):
    """Laws of each trial, from a pass of its own."""

    @jax.jit
    def read(edit):
        return node_laws(model, forward(model, TOKENS, edits=(edit,)).hidden[READ_AT], IDS)

    laws = [read(jax.tree.map(lambda leaf, k=k: leaf[k], trials(bases))) for k in range(10)]
    return jax.tree.map(lambda *rows: np.stack(rows), *laws)


@pytest.mark.parametrize(("unedited", "at_once"), [(0, 4), (10, 1), (10, 64)])
def test_trials_read_together_are_trials_read_alone(model, bases, alone, unedited, at_once):
    found = read_with_edits(model, TOKENS, READ_AT, IDS, (trials(bases),), unedited=unedited, at_once=at_once)
    np.testing.assert_allclose(found.log_probability, alone.log_probability, atol=2e-4)
    np.testing.assert_allclose(found.largest_other, alone.largest_other, rtol=1e-3)
    before, after = np.asarray(found.log_probability)[:, 0], np.asarray(found.log_probability)[:, 2]
    assert np.ptp(after, axis=0).min() > 1e-3, "the trials must differ"
    np.testing.assert_allclose(before, before[:1].repeat(10, 0), atol=2e-4)


def test_patches_with_a_row_a_position_are_cut_with_the_tokens(model):
    rows = jnp.asarray(RANDOM.normal(size=(2, 12, 32)), jnp.float32)
    edits = jax.vmap(lambda rows: set_to("resid_post", 0, rows, LAST))(rows)
    whole, cut = (read_with_edits(model, TOKENS, AT[-1:], IDS, (edits,), unedited=k) for k in (0, 11))
    np.testing.assert_allclose(cut.log_probability, whole.log_probability, atol=2e-4)
    assert np.abs(whole.log_probability[0] - whole.log_probability[1]).max() > 1e-3


def test_other_planes_targets_layers_doses_and_words_compile_nothing_new(model, bases):
    edits = trials(bases)
    read_with_edits(model, TOKENS, AT, IDS, (edits,))
    before = interventions._read._cache_size()
    other = jax.tree.map(lambda leaf: jnp.roll(leaf, 1, axis=0), edits)
    read_with_edits(model, TOKENS[::-1], AT - 1, IDS[::-1], (other,))
    assert interventions._read._cache_size() == before


def test_sequences_go_through_vmap_and_jit(model, bases):
    edits, many = (trials(bases),), jnp.stack((TOKENS, TOKENS[::-1]))
    together = jax.jit(jax.vmap(lambda tokens: read_with_edits(model, tokens, AT, IDS, edits)))(many)
    for k in range(2):
        alone = read_with_edits(model, many[k], AT, IDS, edits)
        np.testing.assert_allclose(together.log_probability[k], alone.log_probability, atol=2e-4)


def test_heads_silenced_by_one_mask_are_heads_ablated_one_by_one(model):
    pairs = ((0, 1), (0, 3), (2, 0))
    mask = np.zeros((3, 4), bool)
    mask[tuple(zip(*pairs))] = True
    one_by_one = tuple(ablate_head(layer, head, 4, 8) for layer, head in pairs)
    found = forward(model, TOKENS, edits=(silence_heads(jnp.asarray(mask), 8),)).hidden
    np.testing.assert_allclose(found, forward(model, TOKENS, edits=one_by_one).hidden, atol=1e-5)
    assert np.abs(found - forward(model, TOKENS).hidden).max() > 1e-2
    none = forward(model, TOKENS, edits=(silence_heads(jnp.zeros((3, 4), bool), 8),)).hidden
    np.testing.assert_array_equal(none, forward(model, TOKENS).hidden)


def test_what_cannot_be_done_is_refused(model, bases):
    edits = trials(bases)
    with pytest.raises(InputError, match="means of 2 nodes"):
        subspace_bases(jax.random.key(0), MEANS, jnp.arange(5) < 2)
    with pytest.raises(InputError, match="orthonormal"):
        swap_subspace(MEANS, MEANS, 3, 2, LAST)
    with pytest.raises(InputError, match="layer 0"):
        swap_subspace(MEANS, bases.first, 3, 0, LAST)
    with pytest.raises(InputError, match="target node 5"):
        swap_subspace(MEANS, bases.first, 5, 1, LAST)
    for refused, said in (
        (dict(edits=()), "leading axes"),
        (dict(edits=(swap_subspace(MEANS, bases.first, 3, 2, LAST),)), "leading axes"),
        (dict(edits=(edits, jax.tree.map(lambda leaf: leaf[:2], edits))), "leading axes"),
        (dict(read_at=jnp.array([12])), "read_at"),
        (dict(unedited=12), "12 unedited of 12 tokens"),
        (dict(unedited=11), "11 unedited tokens"),
    ):
        given = dict(read_at=AT, edits=(edits,)) | refused
        with pytest.raises(InputError, match=said):
            read_with_edits(model, TOKENS, word_ids=IDS, **given)
