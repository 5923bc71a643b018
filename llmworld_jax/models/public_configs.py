"""Published hyperparameters of models by name, for planning without their files."""

from .config import ModelConfig, RopeScaling


def _llama(
    shape: tuple[int, ...], *, vocab: int, theta: float, positions: int, tied: bool,
    scaled: float | None = None, bos: int = 1, eos: int = 2,
) -> ModelConfig:  # fmt: skip
    layers, width, heads, kv_heads, head_dim, mlp = shape
    return ModelConfig(
        family="llama",
        vocab_size=vocab,
        d_model=width,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        d_mlp=mlp,
        norm_eps=1e-5,
        rope_theta=theta,
        rope_scaling=None if scaled is None else RopeScaling(scaled, 1.0, 4.0, 8192),
        tied=tied,
        max_positions=positions,
        bos_token=bos,
        eos_token=eos,
    )


def _llama2(*shape: int) -> ModelConfig:
    return _llama(shape, vocab=32000, theta=1e4, positions=4096, tied=False)


def _llama3(*shape: int, scaled: float, tied: bool) -> ModelConfig:
    return _llama(shape, vocab=128256, theta=5e5, positions=131072, tied=tied, scaled=scaled, bos=128000, eos=128001)


def _smollm2(*shape: int, theta: float, bos: int = 0, eos: int = 0) -> ModelConfig:
    return _llama(shape, vocab=49152, theta=theta, positions=8192, tied=True, bos=bos, eos=eos)


PUBLIC_CONFIGS: dict[str, ModelConfig] = {
    # layers, width, heads, key/value heads, head width, mlp width
    "smollm2-135m-instruct": _smollm2(30, 576, 9, 3, 64, 1536, theta=1e5, bos=1, eos=2),
    "smollm2-135m": _smollm2(30, 576, 9, 3, 64, 1536, theta=1e5),
    "smollm2-360m": _smollm2(32, 960, 15, 5, 64, 2560, theta=1e5),
    "smollm2-1.7b": _smollm2(24, 2048, 32, 32, 64, 8192, theta=1.3e5),
    "llama-2-7b": _llama2(32, 4096, 32, 32, 128, 11008),
    "llama-2-13b": _llama2(40, 5120, 40, 40, 128, 13824),
    "llama-2-70b": _llama2(80, 8192, 64, 8, 128, 28672),
    "llama-3.1-8b": _llama3(32, 4096, 32, 8, 128, 14336, scaled=8.0, tied=False),
    "llama-3.1-70b": _llama3(80, 8192, 64, 8, 128, 28672, scaled=8.0, tied=False),
    "llama-3.2-1b": _llama3(16, 2048, 32, 8, 64, 8192, scaled=32.0, tied=True),
    "llama-3.2-3b": _llama3(28, 3072, 24, 8, 128, 8192, scaled=32.0, tied=True),
}
"""Published hyperparameters, for planning without the files."""
