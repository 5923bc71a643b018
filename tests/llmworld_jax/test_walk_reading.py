"""Means and laws in one pass: equal to one walk at a time, however many are read together; parity with torch."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.errors import InputError
from llmworld_jax.models.edits import silence_heads
from llmworld_jax.models.forward import forward
from llmworld_jax.models.readout import embed, logits
from llmworld_jax.walk_prompts import GraphPrompts, graph_prompts
from llmworld_jax.walk_reading import _read_batch, read_walk, read_walks
from llmworld_jax.window_sums import node_sums
from llmworld_jax.word_laws import node_laws

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "smollm2_graphs"
IDS = np.array([5, 9, 30], np.int32)
CONTEXTS = (3, 8)
RANDOM = np.random.default_rng(0)
WALKS = RANDOM.integers(0, 3, (5, 8))


def prompts():
    tokens = np.concatenate((np.full((5, 2), 1, np.int32), IDS[WALKS]), axis=1)
    at = np.arange(2, 10, dtype=np.int32)
    return GraphPrompts(tokens, at, at, ("a", "b", "c"), "")


@pytest.fixture(scope="module")
def model(tiny_llama):
    return tiny_llama()


@pytest.fixture(scope="module")
def alone(model):
    """Sums and laws of each walk, from passes of their own."""
    p, contexts = prompts(), jnp.array(CONTEXTS)
    item_at, read_at = jnp.asarray(p.item_at), jnp.asarray(p.read_at)

    @jax.jit
    def one(tokens, nodes):
        sums = node_sums(model, tokens, nodes, item_at, contexts, num_nodes=3, window=4)
        return sums, node_laws(model, forward(model, tokens).hidden[read_at], jnp.asarray(IDS))

    read = [one(tokens, nodes) for tokens, nodes in zip(p.tokens, WALKS)]
    return jax.tree.map(lambda *rows: np.stack(rows), *read)


@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_walks_read_together_are_walks_read_alone(model, alone, at_once):
    found = read_walks(model, prompts(), WALKS, IDS, CONTEXTS, window=4, per_walk=True, at_once=at_once)
    sums, laws = alone
    np.testing.assert_allclose(found.sums, sums.sums, atol=2e-4)
    np.testing.assert_array_equal(found.counts, sums.counts)
    np.testing.assert_allclose(found.largest_over_median, sums.largest_over_median, rtol=1e-4)
    np.testing.assert_allclose(found.log_probability, laws.log_probability, atol=2e-4)
    np.testing.assert_allclose(found.largest_other, laws.largest_other, rtol=1e-3)


def test_pooled_sums_are_the_sum_over_walks_and_progress_is_told(model):
    told = []
    pooled = read_walks(
        model, prompts(), WALKS, IDS, CONTEXTS, window=4, at_once=2, progress=lambda *done: told.append(done)
    )
    each = read_walks(model, prompts(), WALKS, IDS, CONTEXTS, window=4, per_walk=True)
    np.testing.assert_allclose(pooled.sums, each.sums.sum(axis=0), atol=1e-3)
    np.testing.assert_array_equal(pooled.counts, each.counts.sum(axis=0))
    assert told == [(2, 5), (4, 5), (5, 5)]


@pytest.mark.parametrize("moved", ["placements", "edits"])
def test_vmap_over_placements_or_edits_is_a_loop(model, moved):
    nodes, contexts, at = jnp.asarray(WALKS[0]), jnp.array(CONTEXTS), jnp.arange(2, 10)
    ids = jnp.stack([jnp.asarray(IDS[order]) for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0])])
    tokens = jnp.concatenate((jnp.full((3, 2), 1), ids[:, nodes]), axis=1)
    silenced = jax.vmap(lambda mask: silence_heads(mask, 8))(
        jnp.arange(3)[:, None, None] > jnp.arange(4) * jnp.ones((2, 1))
    )

    def read(tokens, ids, edit):
        return read_walk(model, tokens, nodes, at, at, ids, contexts, window=4, edits=(edit,))

    axes = (0, 0, None) if moved == "placements" else (None, None, 0)
    given = (tokens, ids, silenced)
    given = tuple(x if axis == 0 else jax.tree.map(lambda leaf: leaf[0], x) for x, axis in zip(given, axes))
    together, one = jax.jit(jax.vmap(read, in_axes=axes))(*given), jax.jit(read)
    for k in range(3):
        alone = one(*(jax.tree.map(lambda leaf, k=k: leaf[k], x) if axis == 0 else x for x, axis in zip(given, axes)))
        np.testing.assert_allclose(together.sums.sums[k], alone.sums.sums, atol=2e-4)
        np.testing.assert_allclose(together.laws.log_probability[k], alone.laws.log_probability, atol=2e-4)
    assert np.ptp(np.asarray(together.laws.log_probability), axis=0).max() > 1e-2


def test_other_walks_words_and_edits_compile_nothing_new(model):
    heads = silence_heads(jnp.zeros((2, 4), bool), 8)
    read_walks(model, prompts(), WALKS, IDS, CONTEXTS, edits=(heads,))
    before = _read_batch._cache_size()
    silenced = silence_heads(jnp.ones((2, 4), bool), 8)
    other = read_walks(model, prompts(), (WALKS + 1) % 3, IDS[::-1].copy(), (2, 5), edits=(silenced,))
    assert _read_batch._cache_size() == before
    assert np.isfinite(other.log_probability).all()


def test_what_does_not_belong_together_is_refused(model):
    with pytest.raises(InputError, match="4 walks of 8 items"):
        read_walks(model, prompts(), WALKS[:4], IDS, CONTEXTS)
    with pytest.raises(InputError, match="context lengths"):
        read_walks(model, prompts(), WALKS, IDS, (3, 9))
    with pytest.raises(InputError, match="context lengths"):
        read_walks(model, prompts(), WALKS, IDS, ())


def reference(name):
    path = REFERENCE / name
    if not path.exists():
        pytest.skip(f"no {name} beside the checkout")
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.slow
@pytest.mark.model
def test_torchs_activations_and_logits_of_a_short_walk():
    """Residual streams of every layer at six positions, and the laws over the whole vocabulary."""
    from llmworld_jax.models.catalogue import load

    known, model = reference("short_exact.npz"), load().model
    tokens, at = jnp.asarray(known["ids"]), jnp.asarray(known["hidden_positions"])
    read = forward(model, tokens, taps=("resid_post",), reduce=lambda sites: sites["resid_post"][at])
    ours = np.concatenate((embed(model, tokens)[at][None], read.taps))
    for layer in range(31):
        for k in range(len(at)):  # one by one: the first token is a sink beside which any other would be small
            assert relative(ours[layer, k], known["hidden_first_last"][layer, k]) < 1e-3, (layer, k)
    assert relative(np.asarray(read.hidden[-1]), known["final_norm_last"]) < 1e-3
    scores = logits(model, read.hidden)
    assert relative(np.asarray(scores[-1]), known["logits_last"]) < 1e-3
    assert relative(np.asarray(jax.nn.logsumexp(scores, axis=-1)), known["logsumexp"]) < 1e-3


@pytest.mark.slow
@pytest.mark.model
def test_torchs_means_and_laws_of_a_short_walk():
    from llmworld_jax.models.catalogue import load

    known, grid = reference("short_exact.npz"), reference("grid4_chat_walk_s0.npz")
    loaded = load()
    words = [str(word).strip() for word in grid["words"]]
    text = loaded.tokenizer.decode(grid["prefix_ids"].tolist())
    listed = text.split("words: ")[1].split(".<|im_end|>")[0].split()
    walk = known["walk"][None].astype(np.int32)
    p = graph_prompts(loaded.tokenizer, words, walk, listed=listed)
    np.testing.assert_array_equal(p.tokens[0], known["ids"])
    found = read_walks(loaded.model, p, walk, known["word_ids"].astype(np.int32), (64,))
    seen = known["seen"].astype(bool)
    np.testing.assert_array_equal(found.counts[0, 0] > 0, seen)
    means = found.sums[:, 0] / np.maximum(found.counts[:, 0], 1)[..., None]
    for layer in range(31):
        assert relative(means[layer][seen], known["node_means_w50"][layer][seen]) < 1e-4, layer
    assert relative(np.exp(found.log_probability[0]), known["p_nodes"]) < 1e-3
    distances = np.sum((means[:, :, None] - means[:, None]) ** 2, axis=-1)
    both = np.outer(seen, seen) & ~np.eye(16, dtype=bool)
    edges = both & (known["A"] > 0)
    ratio = distances[:, edges].mean(axis=1) / distances[:, both].mean(axis=1)
    np.testing.assert_allclose(ratio, known["R_seen"], rtol=1e-3)


@pytest.mark.slow
@pytest.mark.model
def test_torchs_means_and_laws_of_a_whole_walk():
    from llmworld_jax.models.catalogue import load

    known, loaded = reference("grid4_chat_walk_s0.npz"), load()
    walk = known["seqs"][:1].astype(np.int32)
    ids = known["word_ids"].astype(np.int32)
    tokens = np.concatenate((known["prefix_ids"][None], ids[walk]), axis=1).astype(np.int32)
    at = np.arange(len(known["prefix_ids"]), tokens.shape[1], dtype=np.int32)
    p = GraphPrompts(tokens, at, at, (), "")
    for window in (50, 200):
        found = read_walks(loaded.model, p, walk, ids, (1400,), window=window)
        means = found.sums[:, 0] / np.maximum(found.counts[:, 0], 1)[..., None]
        known_means = known[f"one_mean_w{window}"]
        seen = np.isfinite(known_means[0, :, 0])
        assert relative(means[:, seen], known_means[:, seen]) < 1e-3
    assert np.abs(found.log_probability[0] - np.log(known["p_nodes"][0])).max() < 1e-3


@pytest.mark.slow
@pytest.mark.model
def test_the_default_model_prefers_edges_that_it_saw_on_a_ring():
    """Ten words in a ring: legal words rise well above chance, edges not yet walked do not."""
    from llmworld_jax.models.catalogue import load
    from llmworld_jax.words import GRID_WORDS, word_ids

    loaded = load()
    steps = jax.random.rademacher(jax.random.key(0), (3, 300))
    walks = np.asarray(jnp.cumsum(steps, axis=1) % 10)
    p = graph_prompts(loaded.tokenizer, GRID_WORDS[:10], walks)
    found = read_walks(loaded.model, p, walks, word_ids(loaded.tokenizer, GRID_WORDS[:10]), (300,))
    share = np.exp(found.log_probability)
    share /= share.sum(axis=-1, keepdims=True)
    legal = np.abs((np.arange(10) - walks[..., None] + 5) % 10 - 5) == 1
    assert (share * legal).sum(axis=-1)[:, 150:].mean() > 0.4  # chance 0.2
