r"""Golden arrays: tiny random models of every family and variant, run by Hugging Face torch in float32 and float64.

``python tests/golden/make_golden.py [VARIANT ...]`` (needs torch, transformers) rewrites ``tests/golden/llama_*.npz``
and those of the other families, ``<variant>.npz``. Each
holds ``config`` (the text of ``config.json``), ``weight/<checkpoint name>`` and for every case of ``CASES``
``tokens``, ``positions``, the ``rows`` kept, and at those rows ``logits`` and ``blocks`` (the residual stream
after every block) in both precisions. Weights are multiples of 2**-7: exact in float16, so files stay small.

Weights are scaled so that attention is far from uniform and the logits spread: a wrong rotation or a wrong
head then moves the output by percents, four orders above the tolerance of the tests.

Hugging Face computes three things in float32 whatever the dtype of the model: the norms, the softmax of eager
attention, and the rotary table. The float64 leg puts norms and a softmax that keep the dtype, and a float64 rotary
table (checked against theirs to 1e-6) in their place.
"""

import contextlib
import copy
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

HERE = Path(__file__).parent
VOCAB = 97


def _plain(theta: float) -> dict:
    return {"rope_type": "default", "rope_theta": theta}


def _llama3(factor: float, original: int) -> dict:
    return {
        "rope_type": "llama3",
        "rope_theta": 5e5,
        "factor": factor,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": original,
    }


# Llama-1 and Llama-2 7B/13B; Llama-2 70B; Llama-3.1 (scaling, untied; its band lies inside 300 tokens);
# Llama-3.2 (scaling, tied); SmolLM2 (odd number of heads, tied); head_dim that is not d_model / heads.
_FIELDS = ("hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "tie_word_embeddings")
VARIANTS: dict[str, tuple[tuple, dict]] = {
    "multi_head": ((48, 3, 3, 16, False), _plain(1e4)),
    "grouped": ((64, 8, 2, 8, False), _plain(1e4)),
    "llama31": ((48, 3, 1, 16, False), _llama3(8.0, 64)),
    "llama32": ((64, 4, 2, 16, True), _llama3(32.0, 96)),
    "smollm2": ((72, 9, 3, 8, True), _plain(1e5)),
    "wide_heads": ((48, 4, 2, 16, False), _plain(1e4)),
}

# Family, shape as above, and what is its own. A window of 7 is shorter than every case; in qwen2_window the first of
# three blocks sees all. sqrt(64) is exact, since Hugging Face rounds Gemma's embedding scale to float32.
FAMILIES: dict[str, tuple[str, tuple, dict]] = {
    "mistral": ("mistral", (48, 4, 2, 16, False), {"sliding_window": 7}),
    "qwen2": ("qwen2", (48, 4, 2, None, True), {}),
    "qwen2_window": (
        "qwen2",
        (48, 4, 2, None, False),
        {"use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1},
    ),
    "qwen3": ("qwen3", (48, 4, 2, 16, True), {}),
    "gemma2": (
        "gemma2",
        (64, 4, 2, 32, True),
        {
            "query_pre_attn_scalar": 24,
            "sliding_window": 7,
            "attn_logit_softcapping": 6.0,
            "final_logit_softcapping": 4.0,
        },
    ),
}

# A shift of all positions changes nothing in a rotary model; the gap in "far" makes distances of 4000 matter.
CASES: dict[str, np.ndarray] = {
    "near": np.arange(24),
    "far": np.concatenate((np.arange(8), np.arange(4000, 4016))),
    "long": np.arange(300),
}


def make_config(variant: str, num_layers: int = 3) -> PreTrainedConfig:
    """The Hugging Face config of one variant."""
    family, shape, more = FAMILIES[variant] if variant in FAMILIES else ("llama", VARIANTS[variant][0], {})
    rope = _plain(1e4) if variant in FAMILIES else VARIANTS[variant][1]
    fields = {key: value for key, value in zip(_FIELDS, shape, strict=True) if value is not None}
    return AutoConfig.for_model(
        family,
        **fields,
        **more,
        rope_parameters=rope,
        vocab_size=VOCAB,
        num_hidden_layers=num_layers,
        intermediate_size=80,
        max_position_embeddings=8192,
        rms_norm_eps=1e-5,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=None,
        architectures=[{"llama": "Llama", "gemma2": "Gemma2"}.get(family, family.capitalize()) + "ForCausalLM"],
    )


def make_model(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """Random weights, multiples of 2**-7: float32 and float64 runs read exactly the same numbers."""
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    rng = np.random.default_rng(seed)
    gain = {"q_proj": 1.6, "k_proj": 1.6, "v_proj": 1.2, "lm_head": 1.5}
    with torch.no_grad():
        for name, weight in model.named_parameters():  # a tied head appears once, as the embedding
            if "norm" in name:
                values = (config.model_type != "gemma2") + 0.2 * rng.standard_normal(weight.shape)
            elif name.endswith("bias"):
                values = 0.3 * rng.standard_normal(weight.shape)
            elif "embed" in name:
                values = (0.1 if config.model_type == "gemma2" else 0.6) * rng.standard_normal(weight.shape)
            else:
                scale = gain.get(name.split(".")[-2], 1.0) / math.sqrt(weight.shape[1])
                values = scale * rng.standard_normal(weight.shape)
            weight.copy_(torch.from_numpy(np.round(values * 128) / 128))
    return model


def frequencies(config: PreTrainedConfig) -> np.ndarray:
    """Rotary frequencies in float64, radians per position."""
    rope = config.rope_parameters
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    plain = float(rope["rope_theta"]) ** (-np.arange(0, width, 2) / width)
    if rope["rope_type"] == "default":
        return plain
    wavelength = 2 * np.pi / plain
    original, low, high = (rope[k] for k in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    smooth = (original / wavelength - low) / (high - low)
    between = (1 - smooth) * plain / rope["factor"] + smooth * plain
    slow, fast = wavelength > original / low, wavelength < original / high
    return np.where(slow, plain / rope["factor"], np.where(fast, plain, between))


class Float64Rotary(torch.nn.Module):
    """Hugging Face's rotary table in float64."""

    def __init__(self, omega: np.ndarray) -> None:
        super().__init__()
        self.omega = torch.from_numpy(omega)

    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = position_ids[..., None].double() * self.omega
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)


class Float64Norm(torch.nn.Module):
    """RMSNorm that keeps the dtype; Gemma's multiplies by one more than its weight."""

    def __init__(self, theirs: torch.nn.Module) -> None:
        super().__init__()
        self.weight, self.offset = theirs.weight, float(type(theirs).__name__.startswith("Gemma"))
        self.eps = theirs.eps if self.offset else theirs.variance_epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * (self.offset + self.weight)


def in_float64(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of the model that computes in float64 throughout (under ``softmax_keeps_dtype``, as ``run`` does)."""
    omega = frequencies(model.config)
    theirs = model.model.rotary_emb.inv_freq.numpy()
    np.testing.assert_allclose(omega, theirs, rtol=1e-6)
    model = copy.deepcopy(model).double()
    model.model.rotary_emb = Float64Rotary(omega)
    for owner in list(model.modules()):
        for name, child in list(owner.named_children()):
            if type(child).__name__.endswith("RMSNorm"):
                setattr(owner, name, Float64Norm(child))
    return model


@contextlib.contextmanager
def softmax_keeps_dtype() -> Iterator[None]:
    """Eager attention asks for a float32 softmax; here it gets one in the dtype of the scores."""
    theirs = torch.nn.functional.softmax

    def softmax(x: torch.Tensor, dim: int = -1, dtype: Any = None) -> torch.Tensor:
        return theirs(x, dim=dim, dtype=x.dtype if x.dtype == torch.float64 else dtype)

    torch.nn.functional.softmax = softmax
    try:
        yield
    finally:
        torch.nn.functional.softmax = theirs


def run(model: PreTrainedModel, tokens: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``logits [position, vocab]`` and ``blocks [layer, position, d_model]``, the stream after each block."""
    outputs: list[torch.Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: tuple, output: Any) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)

    hooks = [layer.register_forward_hook(keep) for layer in model.model.layers]
    with torch.inference_mode(), softmax_keeps_dtype():
        logits = model(
            input_ids=torch.from_numpy(tokens)[None],
            position_ids=torch.from_numpy(positions)[None],
            # Without a mask, a gap in the positions is taken for the border between packed sequences.
            attention_mask=torch.ones((1, len(tokens)), dtype=torch.long),
            use_cache=False,
        ).logits[0]
    for hook in hooks:
        hook.remove()
    return logits.numpy(), torch.stack([out.reshape(len(tokens), -1) for out in outputs]).numpy()


def golden(variant: str, seed: int) -> dict[str, np.ndarray]:
    """Everything stored for one variant."""
    model = make_model(make_config(variant), seed)
    arrays = {"config": np.array(json.dumps(model.config.to_dict()))}
    for name, weight in model.named_parameters():
        arrays[f"weight/{name}"] = weight.detach().numpy().astype(np.float16)
        assert np.array_equal(arrays[f"weight/{name}"].astype(np.float32), weight.detach().numpy())
    rng = np.random.default_rng(seed + 1)
    rows = {}
    for case, positions in CASES.items():
        tokens = rng.integers(0, VOCAB, len(positions))
        rows[case] = np.unique(np.linspace(1, len(positions) - 1, 10).astype(int))
        arrays |= {f"{case}/tokens": tokens, f"{case}/positions": positions, f"{case}/rows": rows[case]}
    for precision, reference in (("f32", model), ("f64", in_float64(model))):
        for case in CASES:
            out, blocks = run(reference, arrays[f"{case}/tokens"], arrays[f"{case}/positions"])
            arrays[f"{case}/logits_{precision}"] = out[rows[case]]
            arrays[f"{case}/blocks_{precision}"] = blocks[:, rows[case]]
    return arrays


def main(chosen: list[str]) -> None:
    for seed, variant in enumerate([*VARIANTS, *FAMILIES]):
        if chosen and variant not in chosen:
            continue
        arrays = golden(variant, seed)
        np.savez_compressed(HERE / (f"{variant}.npz" if variant in FAMILIES else f"llama_{variant}.npz"), **arrays)
        for case in CASES:
            wide = arrays[f"{case}/logits_f64"]
            gap = np.abs(arrays[f"{case}/logits_f32"] - wide).max() / np.abs(wide).max()
            print(f"{variant:12} {case:5} logits sd {wide.std():.2f}  float32 against float64 {gap:.1e}")


if __name__ == "__main__":
    main(sys.argv[1:])
