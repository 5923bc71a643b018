"""How much of its context a predictor has used: the items after which an ideal observer predicts as well."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def effective_samples(
    observer_loss: Float[Array, " time"], predictor_loss: float | Float[Array, ""], *, first_context: int = 1
) -> Float[Array, ""]:
    """The context length at which the observer's loss is ``predictor_loss``: its loss curve, inverted.

    ``observer_loss[i]`` is the mean loss after reading ``first_context`` + i items. The curve is first made monotone by
    sorting it in falling order (its decreasing rearrangement, never farther from a falling truth than the curve itself:
    Chernozhukov, Fernández-Val and Galichon 2009), then ln t is linear in ln L between points. Divided by the context
    that the predictor had, this is the share of it that was used.

    NaN for a loss above the whole curve (the predictor is worse than an observer who has read nothing) and where any
    loss is NaN; ∞ for one below it (the observer needs more than it was given). Losses are non-negative.

    Raises:
        ValueError: fewer than two losses, or a ``first_context`` below 1.
    """
    num = observer_loss.shape[0]
    if num < 2 or first_context < 1:
        raise ValueError(
            f"effective_samples: got {num} losses from context {first_context}; expected at least 2 from 1 or more; "
            "leave out the row that nothing precedes"
        )
    tiny = jnp.finfo(observer_loss.dtype).tiny
    rising = jnp.log(jnp.maximum(jnp.sort(observer_loss), tiny))
    log_context = jnp.log(first_context + jnp.arange(num - 1, -1, -1, dtype=rising.dtype))
    level = jnp.log(jnp.maximum(jnp.asarray(predictor_loss, rising.dtype), tiny))
    # Among equal losses the earliest context counts: the observer predicts as well from there on.
    right = jnp.clip(jnp.searchsorted(rising, level, side="right"), 1, num - 1)
    left = right - 1
    gap = rising[right] - rising[left]
    share = jnp.where(gap > 0, (level - rising[left]) / jnp.where(gap > 0, gap, 1), 1)
    found = jnp.exp(log_context[left] + share * (log_context[right] - log_context[left]))
    found = jnp.where(level < rising[0], jnp.inf, jnp.where(level > rising[-1], jnp.nan, found))
    return jnp.where(jnp.any(jnp.isnan(observer_loss)) | jnp.isnan(level), jnp.nan, found)
