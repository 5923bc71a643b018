"""The benchmark's peer is the algorithm that it says it is: exact, with the published number of passes."""

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch

DIGITS = list(range(20, 30))
COMMA, START = 5, 1


def peer() -> ModuleType:
    path = Path(__file__).with_name("sequential_torch.py")
    spec = importlib.util.spec_from_file_location("sequential_torch", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault("sequential_torch", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=40, hidden_size=48, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
        intermediate_size=64, initializer_range=0.3, attn_implementation="sdpa",
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def written(codes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    tokens = [START] + [t for c in codes for t in (*(DIGITS[int(d)] for d in f"{c:03d}"), COMMA)]
    return np.array(tokens), 1 + 4 * np.arange(len(codes))


def brute_force(model, tokens: np.ndarray, at: int) -> np.ndarray:
    """All 1000 masses by running whole sequences, without a cache."""
    mass = np.ones(1000)
    for k in range(3):
        digits = np.array(list(itertools.product(DIGITS, repeat=k)), dtype=np.int64).reshape(10**k, k)
        ids = np.concatenate((np.tile(tokens[:at], (10**k, 1)), digits), axis=1)
        with torch.inference_mode():
            scores = model(input_ids=torch.from_numpy(ids), use_cache=False).logits[:, -1, DIGITS]
        laws = torch.softmax(scores, -1).numpy().astype(np.float64)
        mass *= np.repeat(laws.ravel(), 10 ** (2 - k))
    return mass


@pytest.mark.parametrize(
    ("mode", "depth", "passes", "bins"),
    [("neighbor", 1, 2, 46), ("neighbor", 2, 31, 307), ("all", 0, 0, 28), ("all", 2, 108, 1000)],
)
def test_every_mode_against_brute_force(model, mode: str, depth: int, passes: int, bins: int) -> None:
    module = peer()
    tokens, item_at = written([417, 538, 652, 351])
    sequential = module.Sequential(model, tokens, item_at, DIGITS, 3)
    sequential.prefill()
    states = [3, 1]
    laws = sequential.refine(states, mode, depth)
    assert sequential.passes == passes * len(states)
    for t, law in laws.items():
        assert len(law.mass) == bins
        assert law.width.sum() == 1000
        exact = module.on_grid(brute_force(model, tokens, item_at[t]), law)
        np.testing.assert_allclose(law.mass, exact, atol=1e-6)
        assert exact.max() > 3 * exact.min()  # far from uniform, so the comparison can fail


def test_neighbours_are_clipped_at_the_ends_of_the_digits() -> None:
    assert peer().siblings(0, "neighbor") == [1]
    assert peer().siblings(9, "neighbor") == [8]
    with pytest.raises(ValueError, match="neighbor"):
        peer().siblings(4, "none")
