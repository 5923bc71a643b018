"""The sceptic's predictors: they count which node followed which, and know nothing of a graph.

``walk`` ``[time]``; laws ``[time, node]`` are of item t + 1 given items 0 to t, as ``behaviour`` has them.
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Walk = Int[Array, " time"]
Laws = Float[Array, "time node"]
Weight = float | Float[Array, ""]


def bigram_laws(
    walk: Walk,
    num_nodes: int,
    *,
    smoothing: Weight = 1.0,
    directed: bool = False,
    decay: Weight = 0.0,
    second_order: bool = False,
    back_off: Weight = 1.0,
) -> Laws:
    r"""What followed the current node so far, after every item.

    .. math:: p_1(y \mid x) = \frac{c(x \to y) + \alpha}{\sum_z c(x \to z) + \alpha n}, \qquad
              p_2(y \mid w, x) = \frac{c(w, x \to y) + \beta\, p_1(y \mid x)}{\sum_z c(w, x \to z) + \beta}

    Args:
        walk: nodes, 0 to ``num_nodes`` - 1.
        num_nodes: n.
        smoothing: α, added to every count.
        directed: count x → y only; else every step counts as y → x as well.
        decay: old counts lose exp(-decay) at every item.
        second_order: the law is p₂; what followed the last two items is counted as it was walked.
        back_off: β, the weight of the first-order law in units of a count.

    Raises:
        ValueError: α or β not positive (a node seen for the first time would have no law), or ``decay`` negative.
    """
    for name, value, least in (("smoothing", smoothing, 0.0), ("back_off", back_off, 0.0)):
        if not isinstance(value, jax.core.Tracer) and not float(value) > least:
            raise ValueError(f"Got {name} {float(value):g}. Expected more than 0. Choose a small number for none.")
    if not isinstance(decay, jax.core.Tracer) and not float(decay) >= 0:
        raise ValueError(f"Got decay {float(decay):g}. Expected 0 or more. 0 forgets nothing.")
    weights = (smoothing, decay, back_off)
    return _bigram_laws(walk, *weights, num_nodes=num_nodes, directed=directed, second_order=second_order)


@functools.partial(jax.jit, static_argnames=("num_nodes", "directed", "second_order"))
def _bigram_laws(
    walk: Array, smoothing: Array, decay: Array, back_off: Array, *, num_nodes: int, directed: bool, second_order: bool
) -> Array:
    fade = jnp.exp(-jnp.asarray(decay, float))

    def step(carry: tuple[Array, Array], now: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        (counts, triples), (first, before, x, time) = carry, now
        real, two = (time >= 1).astype(float), (time >= 2).astype(float)
        counts = (fade * counts).at[before, x].add(real)
        if not directed:
            counts = counts.at[x, before].add(real)
        law = (counts[x] + smoothing) / (counts[x].sum() + smoothing * num_nodes)
        if second_order:
            triples = (fade * triples).at[first, before, x].add(two)
            row = triples[before, x] * real
            law = (row + back_off * law) / (row.sum() + back_off)
        return (counts, triples), law

    size = (num_nodes,) * 3 if second_order else (0, 0, 0)
    start = (jnp.zeros((num_nodes, num_nodes)), jnp.zeros(size))
    before, first = jnp.roll(walk, 1), jnp.roll(walk, 2)
    return jax.lax.scan(step, start, (first, before, walk, jnp.arange(walk.shape[0])))[1]


@functools.partial(jax.jit, static_argnames=("num_nodes",))
def seen_before(walk: Walk, num_nodes: int, times: int | Int[Array, ""] = 1) -> Bool[Array, " time"]:
    """Whether the current node occurred at least ``times`` before."""
    hot = jax.nn.one_hot(walk, num_nodes, dtype=jnp.int32)
    earlier = jnp.cumsum(hot, axis=0) - hot
    return jnp.sum(earlier * hot, axis=1) >= times


def memorisation_curve(num_nodes: int, contexts: Int[Array, "*context"], times: int = 1) -> Float[Array, "*context"]:
    r"""Probability that a node occurred at least ``times`` k among ``contexts`` ℓ independent uniform items.

    .. math:: P(\text{Binomial}(\ell, 1/n) \ge k)

    1 - ((n-1)/n)^ℓ for once, and that less (ℓ/n) ((n-1)/n)^(ℓ-1) for twice: equations 4 and 5 of Park et al. A copier
    that knows what followed a node that it saw k times is right that often, were the items independent; a walk's are
    not (:func:`seen_before` counts on the walk itself).

    Raises:
        ValueError: fewer than two nodes, or ``times`` below 1.
    """
    if num_nodes < 2 or times < 1:
        raise ValueError(
            f"Got {num_nodes} nodes and {times} times. Expected two nodes or more, and once or more. Choose others."
        )
    return _binomial_tail(jnp.asarray(contexts, float), float(times), 1 / num_nodes)


@jax.jit
def _binomial_tail(length: Array, times: Array, probability: Array) -> Array:
    # As an incomplete beta function, which covers every ``times``.
    enough = length >= times
    tail = jax.scipy.special.betainc(times, jnp.where(enough, length - times + 1, 1.0), probability)
    return jnp.where(enough, tail, 0.0)


@jax.jit
def law_divergence(p: Laws, q: Laws) -> Float[Array, " time"]:
    r"""KL divergence of every row, each first brought to sum 1, in nats; 0 ln 0 = 0, infinite where q alone is 0.

    .. math:: \sum_y p(y) \ln \frac{p(y)}{q(y)}
    """
    p, q = (x / jnp.sum(x, axis=-1, keepdims=True) for x in (p, q))
    positive = p > 0
    # Both logarithms are kept off their zeros, so that gradients are finite too.
    logs = jnp.log(jnp.where(positive, p, 1)) - jnp.log(jnp.where(positive, q, 1))
    return jnp.sum(jnp.where(positive, p * logs, 0), axis=-1)
