"""The law read by the tree, against running the model again on every prefix of every number."""

import dataclasses
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax import laws as module
from llmworld_jax.codec import NumberCodec
from llmworld_jax.laws import Laws, number_laws, with_forecast
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.readout import logits
from llmworld_jax.numerals import Numerals
from llmworld_jax.prompts import Prompt


@pytest.fixture
def double():
    with jax.enable_x64(True):
        yield


def toy_codec(branch: tuple[int, ...], start: tuple[int, ...] = (3,), separator: bool = True) -> NumberCodec:
    """A codec over arbitrary, shuffled ids; base 10 where the branches are powers of ten, else the first branch."""
    base = 10 if branch[0] in (10, 100, 1000) else branch[0]
    places = [round(float(np.log(width) / np.log(base)), 9) for width in branch]
    assert all(place == int(place) for place in places)
    shuffled = np.random.default_rng(7).permutation(np.arange(5, 5 + sum(branch)))
    ids = iter(shuffled.tolist())
    singles = tuple(next(ids) for _ in range(branch[0]))
    levels = tuple(singles if width == branch[0] else tuple(next(ids) for _ in range(width)) for width in branch)
    return NumberCodec(
        numerals=Numerals(int(sum(places)), 0.0, 1.0, base=base),
        start_tokens=start,
        lead_tokens=(),
        separator="," if separator else "",
        separator_tokens=(4,) if separator else (),
        levels=levels,
        scheme="single",
        digit_tokens=tuple(shuffled.tolist()),
        vocabulary="single",
    )


def series(codec: NumberCodec, items: int, seed: int = 0) -> Prompt:
    return codec.prompt(np.random.default_rng(seed).integers(0, codec.numerals.num_bins, items))


@jax.jit
def next_log_probabilities(model: Llama, sequences: np.ndarray, last: np.ndarray):
    """Of the whole vocabulary after token ``last[i]`` of every sequence, each run from its beginning."""

    def one(tokens, at):
        return jax.nn.log_softmax(logits(model, forward(model, tokens).hidden[at]))

    return jax.vmap(one)(sequences, last)


def run_again(model: Llama, codec: NumberCodec, prompt: Prompt) -> tuple[np.ndarray, np.ndarray]:
    """Law and mass off the grid by running every prefix of every number of every item as a plain sequence."""
    states = [int(at) for at in np.asarray(prompt.item_at)]
    prefixes = [p for k in range(codec.depth) for p in itertools.product(*codec.levels[:k])]
    texts = [[*np.asarray(prompt.tokens)[:at].tolist(), *p] for at in states for p in prefixes]
    longest = max(map(len, texts))
    padded = np.array([[*t, *[0] * (longest - len(t))] for t in texts], np.int32)
    last = np.array([len(t) - 1 for t in texts], np.int32)
    table = np.asarray(next_log_probabilities(model, padded, last), np.float64)
    table = table.reshape(len(states), len(prefixes), -1)
    row = {p: i for i, p in enumerate(prefixes)}
    laws, off_grid = [], []
    for state in table:
        law, legal = [], []
        for number in itertools.product(*codec.levels):
            steps = [(state[row[number[:k]]], codec.levels[k], number[k]) for k in range(codec.depth)]
            legal.append(sum(scores[token] for scores, _, token in steps))
            law.append(sum(s[token] - np.log(np.exp(s[list(level)]).sum()) for s, level, token in steps))
        laws.append(law)
        off_grid.append(1 - np.exp(legal).sum())
    return np.array(laws), np.array(off_grid)


def close(ours, reference, atol: float) -> None:
    np.testing.assert_allclose(np.asarray(ours, np.float64), reference, rtol=0, atol=atol)


CASES = {  # branches, items, with separator
    "symbols": ((4,), 9, False),
    "two_digits_base_3": ((3, 3), 6, True),
    "three_digits_base_3": ((3, 3, 3), 5, True),
    "two_digits": ((10, 10), 4, True),
    "four_digits_base_2": ((2, 2, 2, 2), 4, True),
    "chunk": ((1000,), 3, True),
    "chunk_and_digit": ((100, 10), 2, True),
}


def build(case: str, tiny_llama: Callable, dtype=jnp.float32, **changes) -> tuple[Llama, NumberCodec, Prompt]:
    branch, items, separator = CASES[case]
    codec = toy_codec(branch, separator=separator)
    model = tiny_llama(dtype=dtype, vocab_size=5 + sum(branch) + 3, **changes)
    return model, codec, series(codec, items)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("case", [case for case in CASES if case != "two_digits"])
def test_tree_equals_running_every_prefix_again(case: str, tiny_llama: Callable) -> None:
    """At all states, and the forecast; in float64, where nothing but equality passes."""
    model, codec, prompt = build(case, tiny_llama, jnp.float64)
    prompt = with_forecast(prompt)
    laws = number_laws(model, codec, prompt, rows=13)
    log_mass, off_grid = run_again(model, codec, prompt)
    assert laws.log_mass.shape == (CASES[case][1] + 1, codec.numerals.num_bins)
    np.testing.assert_array_equal(laws.edges, codec.numerals.edges())
    close(laws.log_mass, log_mass, 1e-9)
    close(laws.off_grid, off_grid, 1e-11)
    close(np.exp(laws.log_mass).sum(-1), 1, 1e-12)
    assert 1e-3 < off_grid.min() < off_grid.max() < 1 - 1e-4


@pytest.mark.parametrize(
    ("case", "changes"),
    [
        ("three_digits_base_3", {"tied": False, "num_kv_heads": 4}),
        ("two_digits", {"num_layers": 3, "d_model": 48}),
    ],
)
def test_tree_equals_running_every_prefix_again_in_float32(case: str, changes: dict, tiny_llama: Callable) -> None:
    model, codec, prompt = build(case, tiny_llama, **changes)
    laws = number_laws(model, codec, prompt)
    log_mass, off_grid = run_again(model, codec, prompt)
    assert laws.log_mass.dtype == laws.off_grid.dtype == jnp.float32
    close(np.exp(laws.log_mass), np.exp(log_mass), 1e-5)
    close(laws.off_grid, off_grid, 1e-5)


@pytest.mark.once
@pytest.mark.usefixtures("double")
def test_long_prompts_read_enough_of_the_prefix(tiny_llama: Callable) -> None:
    """The prefix is read in buckets of 256 tokens: states on both sides of two borders, in chunks that mix them."""
    codec = toy_codec((3, 3))
    model, prompt = tiny_llama(dtype=jnp.float64, vocab_size=14), series(codec, 180)
    some = Prompt(prompt.tokens, prompt.item_at[[0, 1, 84, 85, 86, 170, 171, 179]])
    log_mass, off_grid = run_again(model, codec, some)
    laws = number_laws(model, codec, some, rows=9)
    close(laws.log_mass, log_mass, 1e-9)
    close(laws.off_grid, off_grid, 1e-11)


@pytest.mark.parametrize("rows", [1, 7, 10_000])
def test_chunk_size_is_irrelevant(rows: int, tiny_llama: Callable) -> None:
    model, codec, prompt = build("two_digits_base_3", tiny_llama)
    reference = number_laws(model, codec, prompt, rows=6)
    laws = number_laws(model, codec, prompt, rows=rows)
    close(np.exp(laws.log_mass), np.exp(reference.log_mass), 5e-6)
    close(laws.off_grid, reference.off_grid, 5e-6)


def test_a_law_depends_on_what_came_before_only(tiny_llama: Callable) -> None:
    model, codec, prompt = build("two_digits_base_3", tiny_llama)
    items = codec.codes(prompt.tokens)
    laws = number_laws(model, codec, prompt)
    other = number_laws(model, codec, codec.prompt(np.concatenate((items[:3], (items[3:] + 1) % 9))))
    close(other.log_mass[:4], laws.log_mass[:4], 5e-6)
    assert np.abs(other.log_mass[4:] - laws.log_mass[4:]).max() > 0.01


def test_laws_of_some_items_are_rows_of_all_laws(tiny_llama: Callable) -> None:
    model, codec, prompt = build("two_digits_base_3", tiny_llama)
    laws = number_laws(model, codec, prompt)
    chosen = np.array([5, 0, 2])
    some = number_laws(model, codec, Prompt(prompt.tokens, prompt.item_at[chosen]))
    close(some.log_mass, laws.log_mass[chosen], 1e-5)
    close(some.off_grid, laws.off_grid[chosen], 5e-6)


def test_forecast_is_the_law_of_the_next_item_whatever_it_will_be(tiny_llama: Callable) -> None:
    model, codec, prompt = build("two_digits_base_3", tiny_llama)
    forecast = with_forecast(prompt)
    assert forecast.item_at.dtype == np.int32
    assert len(forecast.item_at) == 7
    laws = number_laws(model, codec, forecast)
    close(laws.log_mass[:-1], number_laws(model, codec, prompt).log_mass, 1e-5)
    for item in range(9):
        longer = number_laws(model, codec, codec.prompt(np.append(codec.codes(prompt.tokens), item)))
        close(longer.log_mass[-1], laws.log_mass[-1], 1e-5)
        close(longer.off_grid[-1], laws.off_grid[-1], 5e-6)


def test_without_start_token_the_first_item_has_no_law(tiny_llama: Callable) -> None:
    model = tiny_llama(vocab_size=11)
    bare, started = toy_codec((3, 3), start=()), toy_codec((3, 3))
    laws = number_laws(model, bare, series(bare, 4))
    assert np.isnan(laws.log_mass[0]).all()
    assert np.isnan(laws.off_grid[0])
    log_mass, off_grid = run_again(model, bare, series(bare, 4)._replace(item_at=np.array([3, 6, 9])))
    close(np.exp(laws.log_mass[1:]), np.exp(log_mass), 1e-5)
    close(laws.off_grid[1:], off_grid, 1e-5)
    laws = number_laws(model, started, series(started, 4))
    assert np.isfinite(laws.log_mass).all()
    assert np.isfinite(laws.off_grid).all()


@pytest.mark.parametrize("case", ["two_digits_base_3", "symbols"])
def test_what_leaks_at_the_first_digit_is_a_lower_bound(case: str, tiny_llama: Callable) -> None:
    model, codec, prompt = build(case, tiny_llama)
    tree = number_laws(model, codec, prompt)
    first = number_laws(model, codec, prompt, off_grid="first")
    close(first.log_mass, tree.log_mass, 1e-5)
    starts = next_log_probabilities(
        model, np.broadcast_to(prompt.tokens, (len(prompt.item_at), len(prompt.tokens))), prompt.item_at - 1
    )
    close(first.off_grid, 1 - np.exp(starts[:, list(codec.levels[0])]).sum(-1), 5e-6)
    if codec.depth == 1:
        close(first.off_grid, tree.off_grid, 5e-6)
    else:
        assert (first.off_grid < tree.off_grid).all()


def batch_of(codec: NumberCodec, items: int) -> Prompt:
    prompts = [series(codec, items, seed) for seed in range(3)]
    return Prompt(*(np.stack(x) for x in zip(*prompts, strict=True)))


@pytest.mark.once
def test_vmap_over_series_equals_a_loop(tiny_llama: Callable) -> None:
    """With the layout batched too; and over models, with the layout shared."""
    model, codec, _ = build("two_digits_base_3", tiny_llama)
    batch = batch_of(codec, 4)
    looped = [number_laws(model, codec, Prompt(tokens, batch.item_at[0]), rows=6) for tokens in batch.tokens]
    looped = Laws(*(np.stack(x) for x in zip(*looped, strict=True)))

    def laws(model, tokens, item_at):
        return number_laws(model, codec, Prompt(tokens, item_at), rows=6)

    own = jax.vmap(laws, (None, 0, 0))(model, *batch)
    models = jax.tree.map(lambda *w: jnp.stack(w), *[model] * 3)
    with_models = jax.vmap(laws, (0, 0, None))(models, batch.tokens, batch.item_at[0])
    for laws_ in (own, with_models):
        close(np.exp(laws_.log_mass), np.exp(looped.log_mass), 5e-6)
        close(laws_.off_grid, looped.off_grid, 5e-6)


def test_works_under_the_users_jit(tiny_llama: Callable) -> None:
    model, codec, prompt = build("two_digits_base_3", tiny_llama)
    plain = number_laws(model, codec, prompt)
    jitted = jax.jit(number_laws, static_argnums=1)(model, codec, prompt)
    close(np.exp(jitted.log_mass), np.exp(plain.log_mass), 5e-6)
    close(jitted.off_grid, plain.off_grid, 5e-6)
    close(jitted.edges, plain.edges, 5e-6)


def test_another_series_of_the_same_length_does_not_compile_again(
    tiny_llama: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does another range, for which the tokens mean other numbers."""
    traced = []

    def counting(*args, **options):
        traced.append(1)
        return forward(*args, **options)

    monkeypatch.setattr(module, "forward", counting)
    codec = toy_codec((3, 3))
    for seed in range(3):
        other = dataclasses.replace(codec, numerals=Numerals(2, -1.5 - seed, 2.0 + seed, base=3))
        laws = number_laws(tiny_llama(seed, vocab_size=12), other, series(other, 5, seed), rows=6)
        np.testing.assert_array_equal(laws.edges, other.numerals.edges())
    assert len(traced) == 1
    number_laws(tiny_llama(vocab_size=12), codec, series(codec, 6), rows=6)
    assert len(traced) == 2


def test_embeddings_can_be_given_in_place_of_tokens(tiny_llama: Callable) -> None:
    model, codec, prompt = build("two_digits_base_3", tiny_llama)
    laws = number_laws(model, codec, prompt, embeddings=model.embed[...][prompt.tokens])
    close(laws.log_mass, number_laws(model, codec, prompt).log_mass, 1e-5)


def functional(model: Llama, codec: NumberCodec, prompt: Prompt, remat: bool, skip: int = 0) -> Callable:
    """Bits, predicted means and mass off the grid, in one number, of the embeddings of the prompt."""
    items = codec.codes(prompt.tokens)
    centres = codec.numerals.decode(np.arange(codec.numerals.num_bins))

    def value(embeddings):
        laws = number_laws(model, codec, prompt, embeddings=embeddings, rows=6, remat=remat)
        surprise = -laws.log_mass[np.arange(len(items)), items]
        mean = jnp.exp(laws.log_mass) @ centres
        return jnp.sum((surprise + mean**2 + 3 * laws.off_grid)[skip:])

    return value


@pytest.mark.once
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "start", [(3,), pytest.param((), marks=pytest.mark.slow)], ids=["start_token", "no_start_token"]
)
def test_gradients_equal_finite_differences_under_vmap_and_recomputed(start, tiny_llama: Callable) -> None:
    """Without start token the first law is NaN: left out of the sum, it must not spoil the gradient."""
    codec, model = toy_codec((3, 3, 3), start=start), tiny_llama(dtype=jnp.float64, vocab_size=14)
    prompt, skip, step = series(codec, 4), 0 if start else 1, 1e-5
    at = np.asarray(model.embed[...])[prompt.tokens]
    direction = np.random.default_rng(0).normal(size=at.shape)
    value = functional(model, codec, prompt, remat=False, skip=skip)
    batch = np.stack((at, at + step * direction, at - step * direction))
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(value)))(batch)
    slope = (values[1] - values[2]) / (2 * step)
    np.testing.assert_allclose(np.sum(gradients[0] * direction), slope, rtol=5e-6)
    assert abs(slope) > 0.1
    reach = np.abs(gradients[0]).max(-1) > 0
    assert reach[:-4].all()  # every token before the last item matters, its own digits do not
    assert not reach[-4:].any()
    recomputing = functional(model, codec, prompt, remat=True, skip=skip)
    close(jax.jit(jax.grad(recomputing))(at), gradients[0], 1e-10)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_laws_are_float32_for_lower_parameters(dtype, tiny_llama: Callable) -> None:
    """Also where x64 is on and an unpinned constant would promote."""
    with jax.enable_x64(True):
        model, codec, prompt = build("two_digits_base_3", tiny_llama, dtype)
        laws = number_laws(model, codec, prompt)
        assert laws.log_mass.dtype == laws.off_grid.dtype == jnp.float32
        close(np.exp(np.asarray(laws.log_mass)).sum(-1), 1, 1e-5)
        reference = np.exp(run_again(model, codec, prompt)[0])
    close(np.exp(np.asarray(laws.log_mass)), reference, 1e-5 if dtype == jnp.float32 else 0.05)
