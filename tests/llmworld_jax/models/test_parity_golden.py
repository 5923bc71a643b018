"""Our models against arrays made by Hugging Face torch (``tests/golden/make_golden.py``), without torch."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array
from safetensors.numpy import save_file

from llmworld_jax.models.checkpoint import load_parameters
from llmworld_jax.models.config import ModelConfig
from llmworld_jax.models.config_keys import parse_config
from llmworld_jax.models.forward import forward
from llmworld_jax.models.llama import Llama
from llmworld_jax.models.readout import logits

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
LLAMAS = ("multi_head", "grouped", "llama31", "llama32", "smollm2", "wide_heads")
VARIANTS = (*(f"llama_{name}" for name in LLAMAS), "mistral", "qwen2", "qwen2_window", "qwen3", "gemma2")
CASES = ("near", "far", "long")
TOLERANCES = {"f32": 1e-5, "f64": 1e-10}

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Arrays]:
    """A checkpoint folder in Hugging Face's layout, and the arrays."""
    with np.load(GOLDEN / f"{request.param}.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "config.json").write_text(str(arrays["config"]))
    prefix = "weight/"
    weights = {n.removeprefix(prefix): w.astype(np.float32) for n, w in arrays.items() if n.startswith(prefix)}
    save_file(weights, folder / "model.safetensors")
    return folder, arrays


def load(folder: Path, dtype: Any = jnp.float32, **changes: Any) -> Llama:
    config = parse_config(json.loads((folder / "config.json").read_text()))
    return load_parameters(folder, dataclasses.replace(config, **changes), dtype)


@jax.jit
def run(model: Llama, tokens: Array, positions: Array) -> tuple[Array, Array]:
    out = forward(model, tokens, positions=positions, taps=("resid_post",))
    return logits(model, out.hidden), out.taps["resid_post"]


def errors(model: Llama, arrays: Arrays, case: str, precision: str) -> tuple[float, float]:
    """Relative error of the logits, and the worst one over blocks of the residual stream."""
    tokens, positions, rows = (arrays[f"{case}/{name}"] for name in ("tokens", "positions", "rows"))
    ours, blocks = run(model, jnp.asarray(tokens, jnp.int32), jnp.asarray(positions, jnp.int32))
    pairs = zip(np.asarray(blocks)[:, rows], arrays[f"{case}/blocks_{precision}"], strict=True)
    return (
        relative(np.asarray(ours)[rows], arrays[f"{case}/logits_{precision}"]),
        max(relative(block, reference) for block, reference in pairs),
    )


def relative(ours: np.ndarray, reference: np.ndarray) -> float:
    assert ours.dtype == reference.dtype
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


@pytest.mark.parametrize("case", CASES)
def test_equals_hugging_face_in_float32(variant: tuple[Path, Arrays], case: str) -> None:
    folder, arrays = variant
    assert max(errors(load(folder), arrays, case, "f32")) <= TOLERANCES["f32"]


@pytest.mark.parametrize("case", CASES)
def test_equals_hugging_face_in_float64(variant: tuple[Path, Arrays], case: str) -> None:
    folder, arrays = variant
    with jax.enable_x64(True):
        assert max(errors(load(folder, jnp.float64), arrays, case, "f64")) <= TOLERANCES["f64"]


def _late_positions_off_by_one(model: Llama, arrays: Arrays) -> tuple[Llama, Arrays]:
    positions = arrays["far/positions"]
    return model, arrays | {"far/positions": positions + (positions >= 4000)}


def _first_query_head_transposed(model: Llama, arrays: Arrays) -> tuple[Llama, Arrays]:
    hd = model.config.head_dim
    q = model.layers.q[...]
    return with_weight(model, "q", q.at[1, :hd, :hd].set(q[1, :hd, :hd].T)), arrays


def _query_heads_shifted_by_one(model: Llama, arrays: Arrays) -> tuple[Llama, Arrays]:
    return with_weight(model, "q", jnp.roll(model.layers.q[...], model.config.head_dim, axis=-1)), arrays


def _gate_and_up_exchanged(model: Llama, arrays: Arrays) -> tuple[Llama, Arrays]:
    gate, up = model.layers.gate[...], model.layers.up[...]
    return with_weight(with_weight(model, "gate", up), "up", gate), arrays


def _norm_weight_dropped(model: Llama, arrays: Arrays) -> tuple[Llama, Arrays]:
    return with_weight(model, "mlp_norm", jnp.ones_like(model.layers.mlp_norm[...])), arrays


def with_weight(model: Llama, name: str, value: Array) -> Llama:
    """A copy of ``model`` with one stacked weight replaced; the original is untouched."""

    def pick(path: tuple, leaf: Array) -> Array:
        keys = [getattr(key, "name", getattr(key, "key", None)) for key in path]
        return value if "layers" in keys and name in keys else leaf

    return jax.tree_util.tree_map_with_path(pick, model)


WEIGHT_MUTATIONS: tuple[Callable, ...] = (
    _late_positions_off_by_one,
    _first_query_head_transposed,
    _query_heads_shifted_by_one,
    _gate_and_up_exchanged,
    _norm_weight_dropped,
)


@pytest.mark.parametrize("mutate", WEIGHT_MUTATIONS, ids=lambda f: f.__name__.strip("_"))
def test_a_wrong_computation_would_be_seen(variant: tuple[Path, Arrays], mutate: Callable) -> None:
    folder, arrays = variant
    if parse_config(json.loads(str(arrays["config"]))).family != "llama":
        pytest.skip("shown on the Llamas; what a family adds is changed below")
    model, changed = mutate(load(folder), arrays)
    assert min(errors(model, changed, "far", "f32")) > 100 * TOLERANCES["f32"]


def _other_theta(config: ModelConfig) -> dict[str, Any]:
    return {"rope_theta": config.rope_theta * 1.3}


def _no_scaling(config: ModelConfig) -> dict[str, Any]:
    return {"rope_scaling": None}


def _other_epsilon(config: ModelConfig) -> dict[str, Any]:
    return {"norm_eps": 1e-2}


def _other_window(config: ModelConfig) -> dict[str, Any]:
    return {"windows": config.windows and tuple(None if w is None else w + 1 for w in config.windows)}


def _windows_exchanged(config: ModelConfig) -> dict[str, Any]:
    return {"windows": config.windows and tuple(None if w else 7 for w in config.windows)}


def _no_caps(config: ModelConfig) -> dict[str, Any]:
    return {"attention_softcap": None}


def _no_logit_cap(config: ModelConfig) -> dict[str, Any]:
    return {"logit_softcap": None}


def _usual_query_scale(config: ModelConfig) -> dict[str, Any]:
    return {"query_scale": None}


def _other_activation(config: ModelConfig) -> dict[str, Any]:
    return {"activation": "silu"}


CHANGES = (
    _other_theta, _no_scaling, _other_epsilon, _other_window, _windows_exchanged, _no_caps, _no_logit_cap,
    _usual_query_scale, _other_activation,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__.strip("_"))
def test_a_wrong_config_would_be_seen(
    variant: tuple[Path, Arrays], change: Callable[[ModelConfig], dict[str, Any]]
) -> None:
    folder, arrays = variant
    config = parse_config(json.loads(str(arrays["config"])))
    changes = change(config)
    if dataclasses.replace(config, **changes) == config:
        pytest.skip("this variant has nothing of the kind")
    logit_error, block_error = errors(load(folder, **changes), arrays, "far", "f32")
    seen = logit_error if change is _no_logit_cap else min(logit_error, block_error)
    assert seen > 100 * TOLERANCES["f32"]
