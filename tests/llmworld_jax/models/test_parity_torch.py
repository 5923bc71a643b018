"""Our models against Hugging Face torch, live: random models and the default model, through checkpoints."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from llmworld_jax.models.catalogue import DEFAULT, locate
from llmworld_jax.models.checkpoint import load_parameters
from llmworld_jax.models.config_keys import parse_config
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.readout import logits

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.torch

MAKER = Path(__file__).resolve().parents[2] / "golden" / "make_golden.py"
LLAMAS = ("multi_head", "grouped", "llama31", "llama32", "smollm2", "wide_heads")
VARIANTS = (*LLAMAS, "mistral", "qwen2", "qwen2_window", "qwen3", "gemma2")
SEED = 20261122


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The script that made the golden arrays: it owns the torch side."""
    spec = importlib.util.spec_from_file_location("make_golden", MAKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(folder: Path, dtype: Any = jnp.float32) -> Llama:
    return load_parameters(folder, parse_config(json.loads((folder / "config.json").read_text())), dtype)


@jax.jit
def run(model: Llama, tokens: Array, positions: Array) -> tuple[Array, Array]:
    out = forward(model, tokens, positions=positions, taps=("resid_post",))
    return logits(model, out.hidden), out.taps["resid_post"]


def relative(ours: Array, reference: np.ndarray) -> float:
    assert ours.dtype == reference.dtype
    return float(np.abs(np.asarray(ours) - reference).max() / np.abs(reference).max())


@pytest.mark.parametrize("variant", VARIANTS)
def test_random_models_agree_through_a_checkpoint(maker: ModuleType, variant: str, tmp_path: Path) -> None:
    theirs = maker.make_model(maker.make_config(variant, num_layers=2), SEED)
    # Sharded for some: the loader then goes by the index.
    theirs.save_pretrained(tmp_path, max_shard_size="40KB" if theirs.config.tie_word_embeddings else "1GB")
    tokens = np.random.default_rng(SEED).integers(0, maker.VOCAB, 32)
    for positions in (np.arange(32), np.concatenate((np.arange(16), np.arange(4000, 4016)))):
        inputs = jnp.asarray(tokens, jnp.int32), jnp.asarray(positions, jnp.int32)
        reference, blocks = maker.run(theirs, tokens, positions)
        out, streams = run(load(tmp_path), *inputs)
        assert max(relative(out, reference), *map(relative, streams, blocks)) <= 1e-5
        reference, blocks = maker.run(maker.in_float64(theirs), tokens, positions)
        with jax.enable_x64(True):
            out, streams = run(load(tmp_path, jnp.float64), *inputs)
            assert max(relative(out, reference), *map(relative, streams, blocks)) <= 1e-10


@pytest.mark.slow
@pytest.mark.model
def test_the_default_model_agrees_on_500_tokens() -> None:
    """Numbers, as this project writes them, then arbitrary tokens; measured in logits, not relative."""
    folder = locate(DEFAULT).folder
    theirs = transformers.LlamaForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    rng = np.random.default_rng(SEED)
    numbers = np.concatenate((rng.integers(32, 42, (75, 3)), np.full((75, 1), 28)), axis=1).ravel()
    tokens = np.concatenate((numbers, rng.integers(0, theirs.config.vocab_size, 200)))
    with torch.inference_mode():
        reference = theirs(input_ids=torch.from_numpy(tokens)[None], use_cache=False).logits[0].numpy()
    ours, _ = run(load(folder), jnp.asarray(tokens, jnp.int32), jnp.arange(500, dtype=jnp.int32))
    assert np.abs(np.asarray(ours) - reference).max() <= 1e-3
    assert reference.std() > 1  # the logits do spread, so 1e-3 means something
