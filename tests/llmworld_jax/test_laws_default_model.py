"""Laws of the real default model: against arrays of the original algorithm, and against running it again."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from llmworld_jax.codec import number_codec
from llmworld_jax.laws import number_laws
from llmworld_jax.models.catalogue import LoadedModel, load
from llmworld_jax.models.forward import forward, logits
from llmworld_jax.numerals import Numerals

pytestmark = [pytest.mark.slow, pytest.mark.model]

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "smollm2_dynamics"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="no shared folder beside the checkout")


@pytest.fixture(scope="module")
def default() -> LoadedModel:
    return load()


def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(REFERENCE / name, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@needs_reference
def test_laws_of_two_digit_numbers_equal_the_original_algorithm(default: LoadedModel) -> None:
    """Its hierarchy refined everywhere to the second digit, on 200 states of the logistic map."""
    reference = arrays("logistic_map_0_n200_original.npz")
    codec = number_codec(default.tokenizer, Numerals(2, 0.0, 10.0), start=0)
    codes = np.array(str(reference["string"]).strip(",").split(",")).astype(int)
    prompt = codec.prompt(codes)
    np.testing.assert_array_equal(prompt.tokens, reference["token_ids"])
    laws = number_laws(default.model, codec, prompt)
    mass = reference["bin_height"] * reference["bin_width"]
    np.testing.assert_allclose(reference["bin_center"], np.tile(codec.numerals.decode(np.arange(100)), (200, 1)))
    np.testing.assert_allclose(np.exp(laws.log_mass), mass, rtol=0, atol=1e-5)


@needs_reference
def test_laws_of_symbols_equal_the_original_algorithm(default: LoadedModel) -> None:
    reference = arrays("markov_chain_0_n200.npz")
    codec = number_codec(default.tokenizer, Numerals(1, 0, 4, base=4), separator="", start=0)
    prompt = codec.prompt(reference["states"])
    np.testing.assert_array_equal(prompt.tokens, reference["token_ids"])
    laws = number_laws(default.model, codec, prompt)
    np.testing.assert_allclose(np.exp(laws.log_mass), reference["state_prob"][:200], rtol=0, atol=1e-5)


def test_tree_equals_running_every_prefix_again(default: LoadedModel) -> None:
    """The eleven prefixes of two-digit numbers, at the first, a middle and the last item."""
    codec = number_codec(default.tokenizer, Numerals(2, 0.0, 1.0), start=0)
    x = [0.4]
    for _ in range(19):
        x.append(3.8 * x[-1] * (1 - x[-1]))
    prompt = codec.prompt(codec.numerals.encode(x))
    laws = number_laws(default.model, codec, prompt)
    assert ((laws.off_grid >= 0) & (laws.off_grid <= 1)).all()
    digits = list(codec.levels[0])
    chosen = [0, 10, 19]
    prefixes = [[], *([d] for d in digits)]
    texts = [[*prompt.tokens[: prompt.item_at[t]].tolist(), *p] for t in chosen for p in prefixes]
    longest = max(map(len, texts))
    padded = np.array([[*text, *[0] * (longest - len(text))] for text in texts], np.int32)

    @jax.jit
    def next_token(tokens, last):
        return jax.nn.log_softmax(logits(default.model, forward(default.model, tokens).hidden[last]))

    table = np.stack([next_token(t, jnp.int32(len(text) - 1)) for t, text in zip(padded, texts)])
    table = table.reshape(3, 11, -1)[:, :, digits].astype(np.float64)
    legal = np.exp(table[:, 0, :, None] + table[:, 1:])
    conditional = np.exp(table) / np.exp(table).sum(-1, keepdims=True)
    law = (conditional[:, 0, :, None] * conditional[:, 1:]).reshape(3, 100)
    np.testing.assert_allclose(np.exp(laws.log_mass)[chosen], law, rtol=0, atol=1e-5)
    np.testing.assert_allclose(laws.off_grid[np.array(chosen)], 1 - legal.sum((1, 2)), rtol=0, atol=1e-5)
