"""A series continued on one cache, against running the model again on the longer prompt at every step."""

import functools
import inspect
import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax import rollouts as module
from llmworld_jax.codec import NumberCodec, number_codec
from llmworld_jax.errors import InputError
from llmworld_jax.laws import number_laws, with_forecast
from llmworld_jax.models.catalogue import load
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.readout import logits
from llmworld_jax.multivariate import InterleavedCodec
from llmworld_jax.numerals import Numerals, rescaled
from llmworld_jax.prompts import Prompt
from llmworld_jax.rollouts import Rollout, dithered, marginal_laws, quantile_bands, rollout
from llmworld_jax.tempering import tempered

HORIZON = 3
ROOM, PREFIXES = 40, 7  # of the reference, so that it is compiled once


def toy_codec(
    branch: tuple[int, ...] = (3, 3), separator: tuple[int, ...] = (4,), start: tuple[int, ...] = (3,)
) -> NumberCodec:
    """A codec over arbitrary, shuffled ids, other ones at every depth."""
    ids = iter(np.random.default_rng(7).permutation(np.arange(5, 5 + sum(branch))).tolist())
    levels = tuple(tuple(next(ids) for _ in range(width)) for width in branch)
    numerals = Numerals(len(branch), 0.0, 1.0, base=branch[0])
    return NumberCodec(numerals, start, (), "," * len(separator), separator, levels, "single", (), "single")


def two_channels() -> InterleavedCodec:
    return InterleavedCodec((toy_codec(separator=(4,), start=()), toy_codec(separator=(2, 1), start=())))


@pytest.fixture(scope="module")
def tiny(tiny_llama: Callable) -> Llama:
    return tiny_llama(vocab_size=24)


def history(codec: NumberCodec, items: int = 5, seed: int = 0) -> Prompt:
    return codec.prompt(np.random.default_rng(seed).integers(0, codec.numerals.num_bins, items))


@jax.jit
def next_log_probabilities(model: Llama, sequences: np.ndarray, last: np.ndarray):
    """Of the whole vocabulary after token ``last[i]`` of every sequence, each run from its beginning."""

    def one(tokens, at):
        return jax.nn.log_softmax(logits(model, forward(model, tokens).hidden[at]))

    return jax.vmap(one)(sequences, last)


def law_after(model: Llama, codec: NumberCodec, tokens: list[int]) -> tuple[np.ndarray, float]:
    """By running every prefix of every number after ``tokens``; what fills up the room is never seen."""
    prefixes = [p for k in range(codec.depth) for p in itertools.product(*codec.levels[:k])]
    texts = [[*tokens, *p] for p in prefixes] + [tokens] * (PREFIXES - len(prefixes))
    padded = np.array([[*t, *[0] * (ROOM - len(t))] for t in texts], np.int32)
    last = np.array([len(t) - 1 for t in texts], np.int32)
    table = dict(zip(prefixes, np.asarray(next_log_probabilities(model, padded, last), np.float64)))
    law = []
    for number in itertools.product(*codec.levels):
        steps = [(table[number[:k]], level, number[k]) for k, level in enumerate(codec.levels)]
        law.append(sum(s[token] - np.log(np.exp(s[list(level)]).sum()) for s, level, token in steps))
    return np.array(law), 1 - np.exp(table[()][list(codec.levels[0])]).sum()


def check_by_running_again(model: Llama, codecs: list[NumberCodec], prompt: Prompt, found: Rollout, choose) -> None:
    """``codecs[k]`` writes number k of the continuation; ``choose(law)`` is the number it should be, None for any."""
    for path in range(found.codes.shape[0]):
        tokens = np.asarray(prompt.tokens).tolist()
        for k, codec in enumerate(codecs):
            law, leak = law_after(model, codec, tokens)
            code = int(found.codes[path, k])
            assert choose is None or code == choose(law)
            np.testing.assert_allclose(np.exp(found.log_mass[path, k]), np.exp(law), rtol=0, atol=1e-5)
            np.testing.assert_allclose(found.log_prob[path, k], law[code], rtol=0, atol=2e-5)
            np.testing.assert_allclose(found.off_grid[path, k], leak, rtol=0, atol=1e-5)
            tokens += codec.prompt(np.array([code])).tokens[len(codec.prefix_tokens) :].tolist()


def nearest_to_mean(law: np.ndarray) -> int:
    centres = np.arange(len(law)) + 0.5
    return int(np.argmin(np.abs(centres - np.exp(law) @ centres)))


WAYS = {"mean": nearest_to_mean, "mode": np.argmax, "sample": None}


def test_every_way_to_go_on_reads_the_law_of_the_longer_prompt(tiny: Llama) -> None:
    """Three tokens a number, two between numbers."""
    codec = toy_codec((2, 2, 2), separator=(4, 1))
    prompt = history(codec)
    found = rollout(tiny, codec, prompt, HORIZON, how=tuple(WAYS), key=jax.random.key(0))
    assert found.log_mass.shape == (3, HORIZON, 8)
    for path, choose in enumerate(WAYS.values()):
        own = jax.tree.map(lambda x, path=path: x[path : path + 1], found)
        check_by_running_again(tiny, [codec] * HORIZON, prompt, own, choose)


def test_symbols_go_on_without_separator(tiny: Llama) -> None:
    codec = toy_codec((6,), separator=())
    prompt = history(codec, seed=6)
    mean, mode = (rollout(tiny, codec, prompt, HORIZON, how=how) for how in ("mean", "mode"))
    assert (mean.codes != np.argmax(mean.log_mass, axis=-1)).any()
    check_by_running_again(tiny, [codec] * HORIZON, prompt, mean, nearest_to_mean)
    check_by_running_again(tiny, [codec] * HORIZON, prompt, mode, np.argmax)


@functools.cache
def samples(model: Llama, seed: int = 1) -> Rollout:
    """Five paths, in chunks of two."""
    codec = toy_codec()
    return rollout(model, codec, history(codec), HORIZON, how="sample", key=jax.random.key(seed), paths=5, rows=6)


@pytest.mark.slow
def test_every_sampled_path_is_a_path_of_the_laws_of_its_own_past(tiny: Llama) -> None:
    codec = toy_codec()
    found = samples(tiny)
    check_by_running_again(tiny, [codec] * HORIZON, history(codec), found, None)
    assert len({tuple(path) for path in np.asarray(found.codes).tolist()}) > 2
    np.testing.assert_allclose(jax.nn.logsumexp(found.log_mass, axis=-1), 0, atol=1e-5)


@pytest.mark.once
def test_log_probabilities_add_up_to_the_joint_law_of_the_continuation(tiny: Llama) -> None:
    codec = toy_codec()
    past = codec.codes(history(codec).tokens)
    for codes, log_prob in zip(np.asarray(samples(tiny).codes), samples(tiny).log_prob):
        laws = number_laws(tiny, codec, codec.prompt(np.concatenate((past, codes))))
        rows = laws.log_mass[len(past) :]
        np.testing.assert_allclose(np.sum(log_prob), sum(rows[k, c] for k, c in enumerate(codes)), atol=5e-5)


def test_a_path_depends_on_its_own_key_alone(tiny: Llama) -> None:
    codec, together = toy_codec(), samples(tiny)
    own, others = jax.random.split(jax.random.key(1), 5), jax.random.split(jax.random.key(2), 5)
    for path in range(5):
        keys = others.at[(path + 2) % 5].set(own[path])
        beside = rollout(tiny, codec, history(codec), HORIZON, how="sample", key=keys, paths=5, rows=6)
        np.testing.assert_array_equal(beside.codes[(path + 2) % 5], together.codes[path])
        np.testing.assert_allclose(beside.log_mass[(path + 2) % 5], together.log_mass[path], atol=2e-5)


def test_same_key_same_paths_and_one_compile(tiny: Llama) -> None:
    first = samples(tiny)
    size = module._rollout._cache_size()
    codec = toy_codec()
    call = functools.partial(rollout, tiny, codec, history(codec), HORIZON, how="sample", paths=5, rows=6)
    again, other = call(key=jax.random.key(1)), call(key=jax.random.key(2))
    np.testing.assert_array_equal(first.codes, again.codes)
    assert (other.codes != first.codes).any()
    call(key=jax.random.key(1), temperature=0.7)
    longer = history(codec, seed=1)  # another series of the same length
    rollout(tiny, codec, longer, HORIZON, how="sample", paths=5, rows=6, key=jax.random.key(1))
    assert module._rollout._cache_size() == size


def test_under_jit_and_vmap_over_series_and_keys(tiny: Llama) -> None:
    codec = toy_codec()
    prompts = [history(codec, seed=seed) for seed in (0, 1)]
    keys = jax.random.split(jax.random.key(3), (2, 5))
    call = functools.partial(rollout, how="sample", paths=5, rows=6)

    @jax.jit
    def together(model, tokens, keys):
        def one(t, k):
            return call(model, codec, Prompt(t, prompts[0].item_at), HORIZON, key=k)

        return jax.vmap(one)(tokens, keys)

    found = together(tiny, jnp.stack([p.tokens for p in prompts]), keys)
    for i, prompt in enumerate(prompts):
        alone = call(tiny, codec, prompt, HORIZON, key=keys[i])
        np.testing.assert_array_equal(found.codes[i], alone.codes)
        np.testing.assert_allclose(found.log_mass[i], alone.log_mass, atol=2e-5)


def test_samples_are_drawn_from_the_law_and_their_laws_average_to_the_marginal(tiny: Llama) -> None:
    """Over 400 paths: frequencies at the first step; the law two steps ahead, against the sum over all numbers."""
    codec, prompt, paths = toy_codec(), history(toy_codec()), 400
    runs = [samples(tiny, seed=seed) for seed in range(paths // 5)]
    log_mass, codes = (np.concatenate([getattr(run, name) for run in runs]) for name in ("log_mass", "codes"))
    first = np.exp(log_mass[0, 0])
    marginal = np.exp(np.asarray(marginal_laws(jnp.asarray(log_mass))))
    np.testing.assert_allclose(marginal[0], first, atol=1e-5)
    counts = np.bincount(codes[:, 0], minlength=9)
    chi_squared = np.sum((counts - paths * first) ** 2 / (paths * first))
    assert chi_squared < 26.1  # 99.9 % of 8 degrees of freedom
    longer = [[*prompt.tokens.tolist(), *codec.prompt(np.array([c])).tokens[1:].tolist()] for c in range(9)]
    exact = first @ np.exp([law_after(tiny, codec, tokens)[0] for tokens in longer])
    error = np.std(np.exp(log_mass[:, 1]), axis=0) / np.sqrt(paths)
    assert (np.abs(marginal[1] - exact) < 4 * error + 1e-5).all()
    assert error.max() < np.sqrt(exact * (1 - exact) / paths).max() / 2, "than by counting numbers"


def test_interleaved_channels_go_on_in_reading_order(tiny: Llama) -> None:
    """From within a row, without start token, where separators of one and of two tokens take turns."""
    codec = two_channels()
    whole = codec.prompt(np.random.default_rng(2).integers(0, 9, (3, 2)))
    prompt = Prompt(whole.tokens[:-4], whole.item_at[:-1])
    found = rollout(tiny, codec, prompt, HORIZON, how="mode")
    order = [codec.channels[c] for c in (1, 0, 1)]
    check_by_running_again(tiny, order, prompt, found, np.argmax)
    assert [module._first_channel(codec.channels, len(whole.tokens) - cut) for cut in (0, 4, 7, 11)] == [0, 1, 0, 1]


def test_what_is_not_read_needs_no_place(tiny_llama: Callable) -> None:
    """The last digit of the last number is predicted only: 16 + 2 * 3 + 1 tokens for three numbers of two digits."""
    codec = toy_codec()
    prompt, key = history(codec), jax.random.key(0)
    call = functools.partial(rollout, codec=codec, prompt=prompt, how="sample", key=key)
    rollout_fits = jax.eval_shape(lambda: call(tiny_llama(vocab_size=24, max_positions=23), horizon=3))
    assert rollout_fits.codes.shape == (1, 3)
    with pytest.raises(InputError, match=r"16 tokens and 3 numbers to come, 23 tokens .* horizon to 2"):
        call(tiny_llama(vocab_size=24, max_positions=22), horizon=3)


def test_in_float64_everything_is(tiny_llama: Callable) -> None:
    codec = toy_codec()
    with jax.enable_x64(True):
        call = functools.partial(rollout, codec=codec, prompt=history(codec), horizon=2, how="sample")
        found = jax.eval_shape(
            lambda: call(tiny_llama(vocab_size=24, dtype=jnp.float64), key=jax.random.key(0), temperature=0.5)
        )
    assert [x.dtype for x in found] == [jnp.int32, jnp.float64, jnp.float64, jnp.float64]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"horizon": 0}, "horizon 0"),
        ({"horizon": 2.0}, "horizon 2.0"),
        ({"horizon": 4000}, "Lower the horizon to 336"),
        ({"how": "median"}, "how 'median'"),
        ({"how": ("mode", "median")}, "how .*'median'"),
        ({"how": ()}, "one for each path"),
        ({"how": "mode", "paths": 3}, 'how="mode"'),
        ({"how": ("mode", "sample"), "paths": 3}, "3 paths and 2 ways"),
        ({"key": None}, "no key"),
        ({"paths": 0}, "paths 0"),
        ({"paths": 3, "key": jax.random.split(jax.random.key(0), 2)}, r"keys of shape \(2,\)"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"tempering": "vocabulary"}, "tempering 'vocabulary'"),
        ({"rows": 0}, "rows 0"),
        ({"prompt": Prompt(np.zeros(0, np.int32), np.zeros(0, np.int32))}, "empty prompt"),
        ({"prompt": with_forecast(history(toy_codec()))}, "without forecast"),
        ({"codec": two_channels(), "prompt": Prompt(np.ones(6, np.int32), np.array([1]))}, "into a row"),
    ],
)
def test_what_cannot_be_continued_is_refused_before_anything_is_read(
    wrong: dict, said: str, tiny: Llama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "forward", None)
    codec = toy_codec()
    good = {"codec": codec, "prompt": history(codec), "horizon": 2, "how": "sample", "key": jax.random.key(0)}
    with pytest.raises(InputError, match=said):
        inspect.unwrap(rollout)(tiny, **good | wrong)  # past the tests' own type checks


soft = jax.jit(tempered, static_argnums=(2, 3))


def test_temperatures_of_the_number_and_of_its_digits() -> None:
    law = jnp.log(jnp.array([0.3, 0.3, 0.36, 0.04]))  # digits: (0.6, 0.4), then (0.5, 0.5) and (0.9, 0.1)
    number = np.array([0.09, 0.09, 0.1296, 0.0016])
    np.testing.assert_allclose(np.exp(soft(law, 0.5, "number", (2, 2))), number / number.sum(), rtol=1e-5)
    first, second = np.array([0.36, 0.16]) / 0.52, np.array([0.81, 0.01]) / 0.82
    digit = np.concatenate((first[0] * np.array([0.5, 0.5]), first[1] * second))
    np.testing.assert_allclose(np.exp(soft(law, 0.5, "digit", (2, 2))), digit, rtol=1e-5)
    for tempering in ("number", "digit"):
        np.testing.assert_allclose(soft(law, 1.0, tempering, (2, 2)), law, atol=1e-6)
    np.testing.assert_allclose(
        soft(law, 3.0, "digit", (4,)), soft(law, 3.0, "number", (4,)), atol=1e-6, err_msg="one token"
    )
    empty = jnp.log(jnp.array([0.0, 0.0, 0.25, 0.75]))
    np.testing.assert_allclose(np.exp(soft(empty, 1.0, "digit", (2, 2))), [0, 0, 0.25, 0.75], atol=1e-6)


def test_cold_samples_are_the_mode(tiny: Llama) -> None:
    """In the limit; what is reported stays the model's own law."""
    codec = toy_codec()
    call = functools.partial(rollout, tiny, codec, history(codec), HORIZON, how="sample", paths=5, rows=6)
    cold = call(key=jax.random.key(0), temperature=1e-3)
    np.testing.assert_array_equal(cold.codes, np.argmax(cold.log_mass, axis=-1))
    np.testing.assert_allclose(cold.log_mass[:, 0], samples(tiny).log_mass[:, 0], atol=2e-5)


@pytest.mark.slow
@pytest.mark.model
def test_the_default_model_goes_on_with_a_sine() -> None:
    """The mode stays within a bin of the truth for a period; the laws are those of the longer prompt."""
    loaded = load()
    sine = np.sin(2 * np.pi * np.arange(72) / 12)
    codec = number_codec(loaded.tokenizer, rescaled(sine, 2))
    codes = codec.numerals.encode(sine)
    found = rollout(loaded.model, codec, codec.prompt(codes[:60]), 12, how="mode")
    assert np.abs(found.codes[0] - codes[60:]).max() <= 1
    longer = codec.prompt(np.concatenate((codes[:60], found.codes[0])))
    laws = number_laws(loaded.model, codec, Prompt(longer.tokens, longer.item_at[60:]))
    np.testing.assert_allclose(np.exp(found.log_mass[0]), np.exp(laws.log_mass), atol=2e-5)


def test_bands_and_values_of_codes() -> None:
    numerals = Numerals(2, 1e6, 1e6 + 1)
    codes = np.random.default_rng(0).integers(0, 100, (40, 3))
    values = dithered(jax.random.key(0), numerals, codes)
    np.testing.assert_array_equal(numerals.encode(values), codes)
    share = (values - numerals.low) / numerals.bin_width - codes
    assert 0.45 < share.mean() < 0.55
    assert share.std() == pytest.approx(12**-0.5, abs=0.03)
    bands = quantile_bands(values, (0.0, 0.5, 1.0))
    np.testing.assert_array_equal(bands, [values.min(0), np.median(values, axis=0), values.max(0)])
    with pytest.raises(InputError, match="quantile levels"):
        quantile_bands(values, (0.5, 1.5))
