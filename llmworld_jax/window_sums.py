r"""Mean representation of every node at every context length and layer, in one pass and without the activations.

For context length C and layer l the mean of node n is over the items among the last ``window`` before C that are n:

.. math:: \bar h_n^l(C) = \frac{1}{c_n(C)} \sum_{t=\max(0,\,C-w)}^{C-1} [x_t = n]\, h_t^l

A causal pass over the longest sequence holds every C. The sums are taken by one matrix product with the one-hot windows
inside the loop over layers, so that nothing of the size of the activations outlives a layer. Source: Park et al.,
arXiv 2501.00070, section 3; nodes that a window does not hold have count 0 and must be left out, not filled in.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .models.edits import Edit
from .models.forward import Output, forward
from .models.llama import Llama
from .models.readout import embed
from .models.storage import Precision


class NodeSums(NamedTuple):
    """Layer 0 is the token embedding, layer l the residual stream after block l, before the final norm.

    ``largest_over_median`` is of the norms of the items' tokens: an attention sink among them shows at 5 or more.
    """

    sums: Float[Array, "*batch layer context node width"]
    counts: Float[Array, "*batch layer context node"]
    largest_over_median: Float[Array, "*batch layer"]


class NodeMeans(NamedTuple):
    """``means`` is 0 where ``seen`` is False, which is no value but the absence of one."""

    means: Float[Array, "layer context node width"]
    seen: Bool[Array, "layer context node"]


def windows(
    nodes: Int[Array, " time"], contexts: Int[Array, " context"], window: int, num_nodes: int
) -> Float[Array, "context node time"]:
    """1 where an item is the node and lies among the last ``window`` before the context length, else 0."""
    time = jnp.arange(nodes.shape[0])
    inside = (time < contexts[:, None]) & (time >= contexts[:, None] - window)
    return (inside[:, None] & (nodes == jnp.arange(num_nodes)[:, None])).astype(jnp.float32)


def summing(
    chosen: Float[Array, "context node time"],
    item_at: Int[Array, " time"],
    *,
    normalise: bool = False,
    drop_sinks: float | None = None,
    precision: Precision = "highest",
) -> Callable[[Float[Array, "position width"]], NodeSums]:
    """The reduction of one layer: from its residual stream to sums over windows."""

    def reduce(h: Array) -> NodeSums:
        rows = h[item_at].astype(jnp.promote_types(h.dtype, jnp.float32))
        norms = jnp.linalg.norm(rows, axis=-1)
        middle = jnp.median(norms)
        weight = chosen if drop_sinks is None else chosen * (norms <= drop_sinks * middle)
        if normalise:
            rows = rows / (norms / rows.shape[-1] ** 0.5)[:, None]
        # Flat, so that it is one matrix product and not one for each context.
        flat = weight.reshape(-1, weight.shape[-1]).astype(rows.dtype)
        sums = jnp.matmul(flat, rows, precision=precision).reshape(*weight.shape[:2], -1)
        return NodeSums(sums, weight.sum(axis=-1), jnp.max(norms) / middle)

    return reduce


def forward_with_sums(
    model: Llama,
    tokens: Int[Array, " position"] | Float[Array, "position d_model"],
    reduce: Callable[[Array], NodeSums],
    *,
    edits: tuple[Edit, ...] = (),
    blocks: int | None = None,
    remat: bool = False,
    precision: Precision = "highest",
) -> tuple[Output, NodeSums]:
    """One causal pass, and the sums of the embedding and of every block (or of the first ``blocks``)."""
    first = reduce(embed(model, tokens) if jnp.issubdtype(tokens.dtype, jnp.integer) else tokens)

    def kept(sites: dict[str, Array]) -> Any:
        return reduce(sites["resid_post"])

    read = forward(
        model, tokens, taps=("resid_post",), reduce=kept, edits=edits, blocks=blocks, remat=remat, precision=precision
    )
    joined = jax.tree.map(lambda one, rest: jnp.concatenate((one[None], rest)), first, read.taps)
    return read, joined


def node_sums(
    model: Llama,
    tokens: Int[Array, " position"] | Float[Array, "position d_model"],
    nodes: Int[Array, " time"],
    item_at: Int[Array, " time"],
    contexts: Int[Array, " context"],
    *,
    num_nodes: int,
    window: int = 50,
    normalise: bool = False,
    drop_sinks: float | None = None,
    edits: tuple[Edit, ...] = (),
    remat: bool = False,
    precision: Precision = "highest",
) -> NodeSums:
    """Sums over windows for one sequence; ``jax.vmap`` over walks, placements and graphs, ``jax.grad`` in embeddings.

    Args:
        tokens: ids, or embeddings in their place.
        nodes: which node each item is.
        item_at: the position of each item.
        contexts: numbers of items read.
        window: how many last items a mean is over.
        normalise: divide each token's vector by its root mean square first.
        drop_sinks: leave out tokens whose norm is more than so many times the median of their layer.
    """
    chosen = windows(nodes, contexts, window, num_nodes)
    reduce = summing(chosen, item_at, normalise=normalise, drop_sinks=drop_sinks, precision=precision)
    return forward_with_sums(model, tokens, reduce, edits=edits, remat=remat, precision=precision)[1]


def node_means(sums: NodeSums) -> NodeMeans:
    """Means of the sums, pooled over leading axes where there are any (walks)."""
    lead = tuple(range(sums.sums.ndim - 4))
    total, counts = sums.sums.sum(axis=lead), sums.counts.sum(axis=lead)
    return NodeMeans(total / jnp.maximum(counts, 1)[..., None], counts > 0)
