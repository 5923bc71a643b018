r"""What a loss may look at, and what it can be differentiated in.

A loss is a pure function of what a model made of one sequence: activations, laws, and through ``hidden`` any logits.
What is optimised enters as embeddings or edits; ``jax.grad`` goes through either.

.. math:: \min_\theta\; \mathbb{E}_{\text{task}}\; \ell\bigl(\text{seen}(\text{input}(\theta), \text{task})\bigr)

A prompt of n vectors stands before the sequence. Its length is traced: rows beyond it come after the sequence, where
a causal model cannot look back at them from anything that is read. So prompts of many lengths are one program.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from ..models.edits import Edit
from ..models.llama import Llama
from ..models.readout import embed, logits, token_table
from ..models.storage import Precision
from ..neutral_probe import probed_nodes
from ..window_sums import NodeMeans, NodeSums, forward_with_sums, node_means, summing, windows
from ..word_laws import NodeLaws, node_laws


class Seen(NamedTuple):
    """``sums`` of activations by node, after the embedding and every block that was read, at each context length.

    ``laws`` of the next word at the last items, ``None`` where no loss asks; ``hidden`` at the same items, final-normed
    (``logits(model, hidden)`` are any scores); ``probed`` the nodes read behind a filler, ``None`` where none is given.
    """

    sums: NodeSums
    laws: NodeLaws | None
    hidden: Float[Array, "*batch item d_model"]
    probed: Float[Array, "*batch layer node width"] | None

    @property
    def activations(self) -> NodeMeans:
        """Node means; pooled over leading axes, if there are any."""
        return node_means(self.sums)


class WalkTask(NamedTuple):
    """One walk over words. Everything is traced: ``vmap`` goes over walks, placements and graphs.

    Graphs of fewer nodes are filled up with nodes that are not ``real``: no edges, never visited, any word.
    """

    nodes: Int[Array, " time"]
    word_ids: Int[Array, " node"]
    adjacency: Float[Array, "node node"]
    real: Bool[Array, " node"]


Loss = Callable[[Seen, WalkTask], Float[Array, ""]]


class Reader(NamedTuple):
    """How much is read for a loss. Hashable, so that it is part of a compiled program.

    ``window``: over how many last items before a context length means are taken. ``contexts``: those lengths, by
    default the whole walk. ``last``: laws and hidden states are of so many last items, by default those of the window.
    ``blocks``: the pass stops after so many; ``None`` reads all, which laws need. ``normalise``: each token's vector is
    divided by its root mean square before the means. ``filler``: tokens of the neutral probe, which is left out
    without any. ``remat``: blocks are recomputed in the backward pass.
    """

    window: int = 150
    contexts: tuple[int, ...] = ()
    last: int | None = None
    blocks: int | None = None
    laws: bool = True
    normalise: bool = True
    filler: tuple[int, ...] = ()
    remat: bool = False
    precision: Precision = "highest"


def placed(
    prompt: Float[Array, "row d_model"], length: ArrayLike, sequence: Float[Array, "time d_model"]
) -> Float[Array, "position d_model"]:
    """The first ``length`` rows of the prompt, then the sequence, then padding that nothing looks at."""
    rows, time = prompt.shape[0], sequence.shape[0]
    at = jnp.arange(rows + time)
    before = prompt[jnp.minimum(at, rows - 1)]
    after = sequence[jnp.clip(at - length, 0, time - 1)]
    return jnp.where((at < length)[:, None], before, after.astype(prompt.dtype))


def seen_walk(
    model: Llama,
    prompt: Float[Array, "row d_model"],
    length: ArrayLike,
    task: WalkTask,
    reader: Reader,
    edits: tuple[Edit, ...] = (),
) -> Seen:
    """Read ``task`` behind the prompt. Pure; ``vmap`` over prompts, lengths and tasks, ``grad`` in prompt and edits.

    Positions of edits are rows of the padded sequence: the walk's item t is row ``length + t``.
    """
    time, number = task.nodes.shape[0], task.word_ids.shape[0]
    inputs = placed(prompt, length, embed(model, task.word_ids[task.nodes]))
    item_at = jnp.asarray(length) + jnp.arange(time)
    contexts = jnp.asarray(reader.contexts or (time,))
    chosen = windows(task.nodes, contexts, reader.window, number)
    reduce = summing(chosen, item_at, normalise=reader.normalise, precision=reader.precision)
    read, sums = forward_with_sums(
        model, inputs, reduce, edits=edits, blocks=reader.blocks, remat=reader.remat, precision=reader.precision
    )
    hidden = read.hidden[item_at[-min(reader.window if reader.last is None else reader.last, time) :]]
    laws = node_laws(model, hidden, task.word_ids, precision=reader.precision) if reader.laws else None
    probed = None
    if reader.filler:
        filler = jnp.asarray(reader.filler, jnp.int32)
        probed = probed_nodes(
            model, read.cache, filler, task.word_ids, visible=length + time, remat=reader.remat,
            precision=reader.precision,
        )  # fmt: skip
    return Seen(sums, laws, hidden, probed)


def slopes_of_tokens(model: Llama, slope: Float[Array, "row d_model"]) -> Float[Array, "row vocabulary"]:
    """Gradient in the one-hot tokens that a prompt's embeddings stand for: ``slope`` times the embedding matrix."""
    return jnp.matmul(slope, token_table(model).T, precision="highest")


def scores(model: Llama, seen: Seen) -> Float[Array, "item vocabulary"]:
    """Logits at the items that are read."""
    return logits(model, seen.hidden)
