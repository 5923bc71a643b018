"""Laws of the real default model: against arrays of the original algorithm, and against running it again.

Both our float32 and the reference's are some 7e-6 of probability away from exact arithmetic at the worst of 200
states, so their difference reaches 1.2e-5; exact arithmetic stays within 1e-5 of the reference.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from llmworld_jax.codec import NumberCodec, number_codec
from llmworld_jax.laws import number_laws
from llmworld_jax.models import forward as forward_module
from llmworld_jax.models import rope
from llmworld_jax.models.catalogue import LoadedModel, load
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.readout import logits
from llmworld_jax.numerals import Numerals
from llmworld_jax.prompts import Prompt

pytestmark = [pytest.mark.slow, pytest.mark.model]

REFERENCE = Path(__file__).resolve().parents[2].parent / "shared" / "reference" / "smollm2_dynamics"
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="no shared folder beside the checkout")
WORST = np.array([0, 50, 94, 99, 126, 128, 131, 136, 190, 199])  # where float32 errs most, and some others


@pytest.fixture(scope="module")
def default() -> LoadedModel:
    return load()


def arrays(name: str) -> dict[str, np.ndarray]:
    with np.load(REFERENCE / name, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def in_float64(model: Llama) -> Llama:
    return jax.tree.map(lambda w: w.astype(jnp.float64), model)


def logistic_map(default: LoadedModel) -> tuple[NumberCodec, Prompt, np.ndarray]:
    """The reference's own series, and its law at every state, refined everywhere to the second digit."""
    reference = arrays("logistic_map_0_n200_original.npz")
    codec = number_codec(default.tokenizer, Numerals(2, 0.0, 10.0), start=0)
    prompt = codec.prompt(np.array(str(reference["string"]).strip(",").split(",")).astype(int))
    np.testing.assert_array_equal(prompt.tokens, reference["token_ids"])
    centres = codec.numerals.decode(np.arange(100))
    np.testing.assert_allclose(reference["bin_center"], np.tile(centres, (200, 1)))
    return codec, prompt, reference["bin_height"] * reference["bin_width"]


@needs_reference
def test_laws_of_two_digit_numbers_equal_the_original_algorithm(default: LoadedModel) -> None:
    codec, prompt, reference = logistic_map(default)
    error = np.abs(np.exp(number_laws(default.model, codec, prompt).log_mass) - reference)
    assert error.max() < 2e-5
    assert np.sqrt(np.mean(error**2)) < 1e-6
    assert np.mean(error > 1e-5) < 1e-3


@needs_reference
def test_exact_arithmetic_equals_the_original_algorithm(default: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float64, but with rotary angles rounded to float32 as every float32 implementation has them."""
    codec, prompt, reference = logistic_map(default)

    def rounded(config, positions, dtype) -> tuple[Array, Array]:
        cos, sin = rope.rotation(config, positions, jnp.dtype(jnp.float32))
        return cos.astype(dtype), sin.astype(dtype)

    monkeypatch.setattr(forward_module, "rotation", rounded)
    with jax.enable_x64(True):
        laws = number_laws(in_float64(default.model), codec, Prompt(prompt.tokens, prompt.item_at[WORST]))
    jax.clear_caches()  # what was compiled with the rounded angles
    np.testing.assert_allclose(np.exp(laws.log_mass), reference[WORST], rtol=0, atol=1e-5)


@needs_reference
def test_laws_of_symbols_equal_the_original_algorithm(default: LoadedModel) -> None:
    reference = arrays("markov_chain_0_n200.npz")
    codec = number_codec(default.tokenizer, Numerals(1, 0, 4, base=4), separator="", start=0)
    prompt = codec.prompt(reference["states"])
    np.testing.assert_array_equal(prompt.tokens, reference["token_ids"])
    laws = number_laws(default.model, codec, prompt)
    np.testing.assert_allclose(np.exp(laws.log_mass), reference["state_prob"][:200], rtol=0, atol=1e-5)


def run_again(model: Llama, codec: NumberCodec, prompt: Prompt) -> tuple[np.ndarray, np.ndarray]:
    """Laws and mass off the grid of two-digit numbers, from all eleven prefixes at every item, one run each."""
    digits = list(codec.levels[0])
    texts = [[*prompt.tokens[:at].tolist(), *p] for at in prompt.item_at for p in ([], *([d] for d in digits))]
    longest = max(map(len, texts))
    padded = np.array([[*text, *[0] * (longest - len(text))] for text in texts], np.int32)

    @jax.jit
    def next_digit(model, tokens, last):
        return jax.nn.log_softmax(logits(model, forward(model, tokens).hidden[last]))[jnp.asarray(digits)]

    rows = [next_digit(model, t, np.int32(len(text) - 1)) for t, text in zip(padded, texts)]
    table = np.exp(np.stack(rows, dtype=np.float64)).reshape(-1, 11, 10)
    conditional = table / table.sum(-1, keepdims=True)
    law = conditional[:, 0, :, None] * conditional[:, 1:]
    return law.reshape(-1, 100), 1 - (table[:, 0, :, None] * table[:, 1:]).sum((1, 2))


def test_tree_equals_running_every_prefix_again(default: LoadedModel) -> None:
    """At the first, a middle and the last item: to rounding in float64, to 2e-5 in float32."""
    codec = number_codec(default.tokenizer, Numerals(2, 0.0, 1.0), start=0)
    x = [0.4]
    for _ in range(9):
        x.append(3.8 * x[-1] * (1 - x[-1]))
    prompt = codec.prompt(codec.numerals.encode(x))
    some = Prompt(prompt.tokens, prompt.item_at[np.array([0, 5, 9])])
    with jax.enable_x64(True):
        model = in_float64(default.model)
        exact = number_laws(model, codec, some)
        law, off_grid = run_again(model, codec, some)
    np.testing.assert_allclose(np.exp(exact.log_mass), law, rtol=0, atol=1e-10)
    np.testing.assert_allclose(exact.off_grid, off_grid, rtol=0, atol=1e-10)
    laws = number_laws(default.model, codec, prompt)
    assert ((laws.off_grid >= 0) & (laws.off_grid <= 1)).all()
    chosen = np.array([0, 5, 9])
    np.testing.assert_allclose(np.exp(laws.log_mass)[chosen], law, rtol=0, atol=2e-5)
    np.testing.assert_allclose(laws.off_grid[chosen], off_grid, rtol=0, atol=1e-4)
