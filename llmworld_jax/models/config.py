"""Hyperparameters of a decoder of the Llama type; hashable, static under ``jit``."""

from dataclasses import dataclass

REFERENCE = "reference"
"""The attention of ``attention.py``, in plain ``jax.numpy``."""


@dataclass(frozen=True)
class RopeScaling:
    """``llama3`` frequency scaling (Llama-3.1 and later)."""

    factor: float
    low_freq_factor: float
    high_freq_factor: float
    original_max_positions: int


@dataclass(frozen=True)
class ModelConfig:
    """Hyperparameters of one model; hashable, static under ``jit``.

    Attributes:
        family: a name in ``families.FAMILIES``; the mathematics depends on the other fields alone.
        qkv_bias: a bias is added to queries, keys and values (Qwen2).
        qk_norm: each head's queries and keys are normalised before they are rotated (Qwen3).
        activation: of the gated neurons: ``"silu"``, or ``"gelu_tanh"`` (Gemma).
        unit_offset: norms multiply by ``1 + weight`` (Gemma).
        post_norms: what attention and neurons add is normalised too (Gemma-2: four norms a block).
        embedding_scale: token embeddings are multiplied by it (Gemma: ``sqrt(d_model)``).
        query_scale: queries are multiplied by it; by default ``head_dim ** -0.5``.
        attention_softcap, logit_softcap: ``c`` of ``c tanh(x / c)``, applied to scores and logits (Gemma-2).
        windows: for every block how many positions back it sees, itself among them; ``None`` in it sees all.
        attention: which kernel reads a sequence, ``"reference"`` or a name in ``kernels.KERNELS``.
    """

    family: str
    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    d_mlp: int
    norm_eps: float
    rope_theta: float
    rope_scaling: RopeScaling | None
    tied: bool
    max_positions: int
    bos_token: int | None = None
    eos_token: int | tuple[int, ...] | None = None
    qkv_bias: bool = False
    qk_norm: bool = False
    activation: str = "silu"
    unit_offset: bool = False
    post_norms: bool = False
    embedding_scale: float | None = None
    query_scale: float | None = None
    attention_softcap: float | None = None
    logit_softcap: float | None = None
    windows: tuple[int | None, ...] | None = None
    attention: str = REFERENCE
