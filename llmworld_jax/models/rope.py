r"""Rotary position embedding, with the ``llama3`` frequency scaling of Llama-3.1 and later.

A pair of coordinates :math:`(x_i, x_{i+d/2})` of a head of width :math:`d` at position :math:`p` is turned by the
angle :math:`p\,\omega_i`, :math:`\omega_i=\theta^{-2i/d}` (Su et al., 2104.09864; the half-split pairing is that of
Hugging Face checkpoints).
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from .config import ModelConfig, RopeScaling


def inverse_frequencies(config: ModelConfig, dtype: np.dtype | type = np.float64) -> np.ndarray:
    """``omega_i``, ``[head_dim / 2]``, radians per position.

    In float32 every step is rounded as Hugging Face rounds it: one unit in the last place of ``omega`` is 2e-4
    radians at position 4000, which shows in the logits.
    """
    real = np.dtype(dtype).type
    exponents = np.arange(0, config.head_dim, 2, dtype=real) / real(config.head_dim)
    plain = real(1) / np.power(np.float64(config.rope_theta), exponents.astype(np.float64)).astype(real)
    return plain if config.rope_scaling is None else _llama3(plain, config.rope_scaling)


def _llama3(omega: np.ndarray, scaling: RopeScaling) -> np.ndarray:
    """Slow frequencies are divided by ``factor``, fast ones kept, the band between is interpolated linearly in
    wavelengths per original context."""
    turns = scaling.original_max_positions * omega / (2 * math.pi)
    low, high = scaling.low_freq_factor, scaling.high_freq_factor
    keep = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return (1 - keep) * omega / scaling.factor + keep * omega


def rotation(
    config: ModelConfig, positions: Int[Array, "*rows"], dtype: jnp.dtype
) -> tuple[Float[Array, "*rows half"], Float[Array, "*rows half"]]:
    """Cosine and sine of every angle, in at least float32 (bfloat16 cannot even hold position 257), then cast."""
    wide = jnp.promote_types(dtype, jnp.float32)
    angles = positions.astype(wide)[..., None] * jnp.asarray(inverse_frequencies(config, wide))
    return jnp.cos(angles).astype(dtype), jnp.sin(angles).astype(dtype)


def rotate(
    x: Float[Array, "*rows heads head_dim"], cos: Float[Array, "*rows half"], sin: Float[Array, "*rows half"]
) -> Float[Array, "*rows heads head_dim"]:
    """Turn every head of every row by its row's angles."""
    first, second = jnp.split(x, 2, axis=-1)
    c, s = cos[..., None, :], sin[..., None, :]
    return jnp.concatenate((first * c - second * s, second * c + first * s), axis=-1)
