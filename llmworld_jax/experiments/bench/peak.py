"""What the device does at its best: one big square matrix product, the yardstick of every utilisation."""

import jax
import jax.numpy as jnp

from ...models.storage import Precision
from .timing import timed

CPU_SIZES, ACCELERATOR_SIZES = (1024, 2048), (4096, 8192, 16384)
REPEATS = 3


def sizes_of(platform: str) -> tuple[int, ...]:
    """Sides of the squares: on a CPU under two seconds in all."""
    return CPU_SIZES if platform == "cpu" else ACCELERATOR_SIZES


def matmul_peak(sizes: tuple[int, ...], dtype: str, precision: Precision) -> dict[int, float]:
    """Size -> FLOP/s of the best of a few products, operands of ``dtype``, accumulated in float32."""

    @jax.jit
    def product(x: jax.Array, w: jax.Array) -> jax.Array:
        return jnp.matmul(x, w, precision=precision, preferred_element_type=jnp.float32).astype(x.dtype)

    found = {}
    for size in sizes:
        x, w = (jax.random.normal(jax.random.key(k), (size, size), jnp.dtype(dtype)) for k in (0, 1))
        call = lambda x=x, w=w: jax.block_until_ready(product(x, w))  # noqa: E731
        call()
        found[size] = 2.0 * size**3 / min(timed(call)[1] for _ in range(REPEATS))
    return found
