"""The forward pass: against a plain numpy Llama, and the identities every caller relies on.

Most identities are checked in float64, where a wrong one cannot pass for rounding.
"""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from llmworld_jax.axes import SITES
from llmworld_jax.errors import InputError
from llmworld_jax.models.forward import Branches, KVCache, forward, tree_forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.readout import logits

run = jax.jit(forward, static_argnames=("taps", "remat", "precision"))
run_tree = jax.jit(tree_forward, static_argnames=("remat", "precision"))
score = jax.jit(logits, static_argnames=("precision",))


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def model(double, tiny_llama: Callable) -> Llama:
    return tiny_llama(dtype=jnp.float64)


def tokens_of(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 40, length).astype(np.int32)


def close(ours, reference, atol: float = 1e-11) -> None:
    np.testing.assert_allclose(np.asarray(ours, np.float64), reference, rtol=0, atol=atol)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"num_kv_heads": 4, "tied": False},
        {"num_kv_heads": 1, "head_dim": 6, "rope_theta": 50.0, "num_layers": 3},
    ],
    ids=["grouped", "multi_head_untied", "multi_query_narrow_heads"],
)
def test_hidden_states_sites_and_logits_equal_a_plain_llama(
    tiny_llama: Callable, plain: Callable, changes: dict
) -> None:
    model = tiny_llama(dtype=jnp.float64, **changes)
    tokens = tokens_of(19)
    hidden, sites, scores = plain(model, tokens)
    out = run(model, tokens, taps=SITES)
    close(out.hidden, hidden)
    assert set(out.taps) == set(SITES)
    for site in SITES:
        close(out.taps[site], sites[site])
    close(score(model, out.hidden), scores)


@pytest.mark.parametrize("length", [1, 127, 128, 129, 300])
def test_every_length_equals_a_plain_llama(model: Llama, plain: Callable, length: int) -> None:
    """Query blocks are of 128 rows."""
    close(run(model, tokens_of(length)).hidden, plain(model, tokens_of(length))[0])


def test_taps_are_only_what_was_asked_for(model: Llama) -> None:
    assert run(model, tokens_of(19)).taps == {}
    assert list(run(model, tokens_of(19), taps=("mlp_out",)).taps) == ["mlp_out"]


def test_an_unknown_tap_is_refused(model: Llama) -> None:
    with pytest.raises(InputError, match="pattern"):
        run(model, tokens_of(19), taps=("z", "pattern"))


def test_a_reduction_keeps_what_it_returns_of_every_layer(model: Llama) -> None:
    whole = run(model, tokens_of(19), taps=("z",)).taps["z"]
    kept = forward(model, jnp.asarray(tokens_of(19)), taps=("z",), reduce=lambda sites: sites["z"][3]).taps
    close(kept, whole[:, 3])


@pytest.mark.parametrize(("length", "first"), [(19, 1), (19, 18), (300, 130)])
def test_continuing_from_a_cache_equals_reading_at_once(model: Llama, length: int, first: int) -> None:
    tokens = tokens_of(length)
    whole = run(model, tokens)
    begun = run(model, tokens[:first])
    rest = run(model, tokens[first:], cache=begun.cache)
    close(np.concatenate((begun.hidden, rest.hidden)), whole.hidden)
    chex.assert_trees_all_close(rest.cache, whole.cache, atol=1e-12)
    assert whole.cache.k.shape == (2, 2, length, 8)


def test_one_token_at_a_time_equals_reading_at_once(model: Llama) -> None:
    tokens = tokens_of(3)
    whole, cache = run(model, tokens), None
    for t in range(3):
        out = run(model, tokens[t : t + 1], cache=cache)
        close(out.hidden[0], whole.hidden[t])
        cache = out.cache


def test_what_follows_has_no_influence(model: Llama) -> None:
    """So prompts may be padded on the right."""
    tokens = tokens_of(40)
    padded = np.concatenate((tokens[:19], tokens_of(21, seed=1)))
    close(run(model, padded).hidden[:19], run(model, tokens).hidden[:19], atol=1e-13)
    close(run(model, tokens[:19]).hidden, run(model, tokens).hidden[:19])
    assert np.abs(run(model, padded).hidden[19:] - run(model, tokens).hidden[19:]).max() > 0.1


def test_only_differences_of_positions_matter(model: Llama) -> None:
    """True of rotary embeddings as a whole; a position used in one place but not in another breaks it."""
    tokens = tokens_of(19)
    positions = np.arange(19, dtype=np.int32)
    plain = run(model, tokens)
    close(run(model, tokens, positions=positions + 700).hidden, plain.hidden)
    assert np.abs(run(model, tokens, positions=2 * positions).hidden - plain.hidden).max() > 0.1
    cache = run(model, tokens[:11], positions=positions[:11] + 5).cache
    late = run(model, tokens[11:], cache=cache, positions=positions[11:] + 5)
    close(late.hidden, plain.hidden[11:])


def test_embeddings_can_be_given_in_place_of_tokens(model: Llama) -> None:
    tokens = tokens_of(19)
    chex.assert_trees_all_equal(run(model, model.embed[...][tokens]), run(model, tokens))


def test_vmap_over_prompts_and_over_models_equals_a_loop(model: Llama, tiny_llama: Callable) -> None:
    prompts = np.stack([tokens_of(19, seed) for seed in range(3)])
    batched = jax.jit(jax.vmap(forward, in_axes=(None, 0)))(model, prompts)
    close(batched.hidden, np.stack([run(model, p).hidden for p in prompts]))
    models = [model, tiny_llama(seed=5, dtype=jnp.float64)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *models)
    over_models = jax.jit(jax.vmap(forward, in_axes=(0, None)))(stacked, prompts[0])
    close(over_models.hidden, np.stack([run(m, prompts[0]).hidden for m in models]))


def summary(model: Llama, inputs, remat: bool):
    """A scalar that depends on hidden states, cache and sites."""
    out = forward(model, inputs, taps=("mlp_act",), remat=remat)
    parts = out.hidden, out.cache.k, out.cache.v, out.taps["mlp_act"]
    return sum(jnp.sum(jnp.sin(x + i)) for i, x in enumerate(parts))


def test_recomputing_changes_neither_values_nor_gradients(model: Llama) -> None:
    both = jax.jit(jax.value_and_grad(summary, argnums=(0, 1)), static_argnums=2)
    embedded = model.embed[...][tokens_of(19)]
    chex.assert_trees_all_close(both(model, embedded, True), both(model, embedded, False), rtol=1e-10)


def test_gradients_equal_finite_differences(model: Llama) -> None:
    """Of a probability with respect to the embeddings, across the border of two query blocks."""
    tokens = tokens_of(131)

    @jax.jit
    def log_probability(first, last):
        inputs = jnp.concatenate((first, model.embed[...][tokens[3:-3]], last))
        hidden = forward(model, inputs).hidden[-1]
        return jax.nn.log_softmax(logits(model, hidden))[7]

    embedded = model.embed[...][tokens]
    check_grads(log_probability, (embedded[:3], embedded[-3:]), order=1, modes=("rev",), eps=1e-5, atol=1e-7, rtol=1e-7)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("tied", [True, False])
def test_scores_of_chosen_tokens_are_columns_of_all_scores(tiny_llama: Callable, tied: bool) -> None:
    model = tiny_llama(dtype=jnp.float64, tied=tied)
    hidden = jax.random.normal(jax.random.key(1), (2, 3, 32), jnp.float64)
    chosen = np.array([39, 0, 7, 7], np.int32)
    everything = score(model, hidden)
    assert everything.shape == (2, 3, 40)
    close(score(model, hidden, chosen), everything[..., chosen], atol=1e-13)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float64])
def test_outputs_keep_the_dtype_of_the_parameters(tiny_llama: Callable, plain: Callable, dtype) -> None:
    """Also where x64 is on and an unpinned constant would promote; logits are at least float32."""
    with jax.enable_x64(True):
        model = tiny_llama(dtype=dtype)
        tokens = tokens_of(19)
        out = run(model, tokens, taps=SITES)
        scores = score(model, out.hidden)
        tree = run_tree(model, out.cache, some_branches(19)[0])
        assert {x.dtype for x in jax.tree.leaves((out, tree))} == {jnp.dtype(dtype)}
        assert scores.dtype == jnp.promote_types(dtype, jnp.float32)
        exact = plain(model, tokens)[2]
    error = np.sqrt(np.mean((np.asarray(scores) - exact) ** 2)) / exact.std()
    assert error < 8 * float(jnp.finfo(dtype).eps)


def test_float32_is_the_same_with_x64_on_and_off(tiny_llama: Callable) -> None:
    model, tokens = tiny_llama(), tokens_of(19)
    off = run(model, tokens)
    with jax.enable_x64(True):
        on = run(model, tokens)
    chex.assert_trees_all_close(on, off, atol=1e-6)
    assert off.hidden.dtype == np.float32


def test_a_second_call_does_not_compile_again(tiny_llama: Callable) -> None:
    guarded = jax.jit(chex.assert_max_traces(lambda m, t, p: forward(m, t, positions=p), n=1))
    for seed in range(3):
        positions = np.arange(seed, seed + 19, dtype=np.int32)
        guarded(tiny_llama(seed=seed), tokens_of(19, seed), positions)


# The tree


def some_branches(prefix: int, seed: int = 0) -> tuple[Branches, list[np.ndarray]]:
    """Random trees of three levels hung on random places of a prefix, and every node's tokens from its root."""
    rng = np.random.default_rng(seed)
    paths: list[list[int]] = []  # of rows
    visible = []
    for state in (0, 1, prefix // 2, prefix - 1, prefix):
        here: list[list[int]] = []
        for row in range(len(paths), len(paths) + 6):
            shorter = [p for p in here if len(p) < 3]
            parent = shorter[rng.integers(len(shorter))] if shorter and rng.random() < 0.7 else []
            here.append([*parent, row])
        paths += here
        visible += [state] * len(here)
    tokens = rng.integers(0, 40, len(paths)).astype(np.int32)
    ancestors = np.array([[*p[:-1], *[p[-1]] * (4 - len(p))] for p in paths], np.int32)
    seen = np.array([[True] * (len(p) - 1) + [False] * (3 - len(p)) + [True] for p in paths])
    depth = np.array([len(p) - 1 for p in paths], np.int32)
    at = np.array(visible, np.int32)
    arrays = (jnp.asarray(x) for x in (tokens, at + depth, at, ancestors[:, :3], seen[:, :3]))
    return Branches(*arrays), [tokens[p] for p in paths]


@pytest.mark.parametrize("prefix", [11, 300])
def test_every_node_equals_reading_its_prefix_and_branch_as_one_sequence(model: Llama, prefix: int) -> None:
    tokens = tokens_of(prefix)
    branches, paths = some_branches(prefix)
    ours = run_tree(model, run(model, tokens).cache, branches)
    sequences = [np.concatenate((tokens[:v], path)) for v, path in zip(np.asarray(branches.visible), paths)]
    padded = np.stack([np.pad(s, (0, prefix + 3 - len(s))) for s in sequences])
    hidden = jax.jit(jax.vmap(lambda t: forward(model, t).hidden))(padded)
    close(ours, np.stack([h[len(s) - 1] for h, s in zip(np.asarray(hidden), sequences)]))


@pytest.mark.slow
def test_recomputing_the_tree_changes_neither_values_nor_gradients(model: Llama) -> None:
    branches = some_branches(11)[0]
    cache = run(model, tokens_of(11)).cache

    def value(cache: KVCache, remat: bool):
        return jnp.sum(jnp.sin(tree_forward(model, cache, branches, remat=remat)))

    both = jax.jit(jax.value_and_grad(value), static_argnums=1)
    chex.assert_trees_all_close(both(cache, True), both(cache, False), rtol=1e-10)


def test_bfloat16_logits_are_float32_products(tiny_llama: Callable) -> None:
    """Nothing is rounded to bfloat16 after the hidden states: tied and untied, all tokens and some."""
    for tied in (True, False):
        model = tiny_llama(dtype=jnp.bfloat16, tied=tied)
        hidden = jnp.asarray(np.random.default_rng(0).normal(size=(5, 32)), jnp.bfloat16)
        weight = np.asarray(model.embed[...].T if tied else model.head[...], np.float64)
        found = score(model, hidden)
        assert found.dtype == jnp.float32
        expected = np.asarray(hidden, np.float64) @ weight
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
        some = jnp.array([3, 1, 30])
        np.testing.assert_allclose(score(model, hidden, some), expected[:, [3, 1, 30]], rtol=1e-5, atol=1e-5)
