r"""Series of numbers behind a soft prompt, and a relaxation through which laws can be differentiated in a simulation.

Digits are discrete: no gradient goes from a law to the values that were written. The relaxation spreads each value
over the bins b of its grid,

.. math:: w_b(x) \propto \exp\Bigl(-\frac{(u(x) - b - \tfrac12)^2}{2\tau^2}\Bigr), \qquad
   u = N\,\frac{x - \text{low}}{\text{high} - \text{low}}

and reads, for every digit, the mean of its tokens' embeddings under the digit's marginal law. With the temperature
:math:`\tau \to 0` (in bins) it is what the codec writes, exactly, and the gradient vanishes; larger ones are smoother
and read something that no text says. A value at the edge of a bin is written as the bin above in the limit.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from ..codec import NumberCodec
from ..laws import Laws, OffGrid, number_laws
from ..models.llama import Llama
from ..models.readout import embed
from ..models.storage import Precision
from ..prompts import Prompt
from .seen import placed


def laws_behind(
    model: Llama,
    codec: NumberCodec,
    prompt: Float[Array, "row d_model"],
    length: ArrayLike,
    series: Float[Array, "position d_model"],
    item_at: Int[Array, " time"],
    *,
    off_grid: OffGrid = "first",
    remat: bool = True,
    precision: Precision = "highest",
) -> Laws:
    """Laws of every number of a series (embedded as the codec writes it) behind the first ``length`` rows of a prompt.

    Pure; ``grad`` in prompt and series. Arguments else as in ``laws.number_laws``.
    """
    inputs = placed(prompt, length, series)
    at = jnp.asarray(length) + item_at
    tokens = jnp.zeros(inputs.shape[0], jnp.int32)  # embeddings take their place
    return number_laws(
        model, codec, Prompt(tokens, at), embeddings=inputs, off_grid=off_grid, remat=remat, precision=precision
    )


def relaxed_digits(
    codec: NumberCodec, values: Float[Array, " time"], temperature: float
) -> tuple[Float[Array, "time choice"], ...]:
    """Law of every digit (or chunk of digits), one array a level of the codec's trie; see the module."""
    low, high = codec.numerals.low, codec.numerals.high
    size = codec.numerals.num_bins
    at = (values - low) / (high - low) * size
    bins = jnp.arange(size, dtype=values.dtype)
    weight = jax.nn.softmax(-((at[:, None] - bins - 0.5) ** 2) / (2 * temperature**2), axis=1)
    whole = weight.reshape(-1, *codec.branch)
    levels = range(codec.depth)
    return tuple(whole.sum(axis=tuple(1 + other for other in levels if other != level)) for level in levels)


def relaxed_series(
    model: Llama, codec: NumberCodec, values: Float[Array, " time"], temperature: float
) -> Float[Array, "position d_model"]:
    """Embeddings of a whole prompt, laid out as ``codec.prompt``; differentiable in ``values``."""
    laws = relaxed_digits(codec, values, temperature)
    digits = [
        jnp.matmul(law.astype(model.embed[...].dtype), embed(model, jnp.asarray(level)), precision="highest")
        for law, level in zip(laws, codec.levels, strict=True)
    ]
    after = jnp.asarray(codec.separator_tokens, jnp.int32)
    columns = [*digits, *(jnp.broadcast_to(embed(model, token), digits[0].shape) for token in after)]
    items = jnp.stack(columns, axis=1).reshape(-1, model.config.d_model)
    return jnp.concatenate((embed(model, jnp.asarray(codec.prefix_tokens, jnp.int32)), items))
