"""The sceptic's predictors: they count which node followed which, and know nothing of a graph.

``walk`` ``[time]``; laws ``[time, node]`` are of item t + 1 given items 0 to t, as ``behaviour`` has them.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Walk = Int[Array, " time"]
Laws = Float[Array, "time node"]


def bigram_laws(
    walk: Walk,
    num_nodes: int,
    *,
    smoothing: float = 1.0,
    directed: bool = False,
    decay: float = 0.0,
    second_order: bool = False,
    back_off: float = 1.0,
) -> Laws:
    """p(y | x) ∝ c(x → y) + smoothing, after every item.

    Args:
        smoothing: added to every count.
        directed: count x → y only; else y → x as well.
        decay: old counts lose exp(-decay) at every item.
        second_order: count what followed the last two items too.
        back_off: with ``second_order``, weight (more than 0) of the first-order law in units of a count: the law is
            (c(w, x → y) + back_off p(y | x)) / (Σ c + back_off).
    """
    fade = jnp.exp(-jnp.asarray(decay, jnp.float32))

    def step(carry: tuple[Array, Array], now: tuple[Array, ...]) -> tuple[tuple[Array, Array], Array]:
        (counts, triples), (first, before, x, time) = carry, now
        real, two = (time >= 1).astype(jnp.float32), (time >= 2).astype(jnp.float32)
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


def seen_before(walk: Walk, num_nodes: int, times: int = 1) -> Bool[Array, " time"]:
    """Whether the current node occurred at least ``times`` before."""
    hot = jax.nn.one_hot(walk, num_nodes, dtype=jnp.int32)
    earlier = jnp.cumsum(hot, axis=0) - hot
    return jnp.sum(earlier * hot, axis=1) >= times


def memorisation_curve(num_nodes: int, contexts: Int[Array, " context"], times: int = 1) -> Float[Array, " context"]:
    """P(a node occurred at least ``times`` among ``contexts`` independent uniform items).

    1 - ((n-1)/n)^l for once, and that less (l/n) ((n-1)/n)^(l-1) for twice: equations 4 and 5 of Park et al.
    """
    # A binomial tail as an incomplete beta function, which covers every ``times``.
    length = jnp.asarray(contexts, jnp.float32)
    enough = length >= times
    tail = jax.scipy.special.betainc(float(times), jnp.where(enough, length - times + 1, 1.0), 1 / num_nodes)
    return jnp.where(enough, tail, 0.0)


def law_divergence(p: Laws, q: Laws) -> Float[Array, " time"]:
    """KL(p ‖ q) in nats of rows brought to sum 1; 0 ln 0 = 0."""
    p, q = (x / jnp.sum(x, axis=-1, keepdims=True) for x in (p, q))
    positive = p > 0
    return jnp.sum(jnp.where(positive, p * (jnp.log(jnp.where(positive, p, 1)) - jnp.log(q)), 0), axis=-1)
