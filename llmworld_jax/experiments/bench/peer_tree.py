r"""The digit tree in torch, at equal work: one pass over the prefix, then the nodes hung on its key/value cache.

Hugging Face's model is given the nodes of some states as one sequence with their positions and a mask: row i sees
:math:`k < \text{at}_i` of the cache, and of the nodes its ancestors and itself. So every node is read once, as with
us, which is the most that can be got out of the library without a kernel of one's own.
"""

from typing import Any, NamedTuple

import numpy as np

from ...codec import NumberCodec
from ...digit_tree import complete_tree
from .peer import finished

NODES_A_PASS = 512


class TreeLaws(NamedTuple):
    """Next-digit log-probabilities among the digits: ``root [state, child]``, ``nodes [state, node, child]``."""

    root: Any
    nodes: Any


def states_a_pass(codec: NumberCodec) -> int:
    """How many states are read together."""
    return max(1, NODES_A_PASS // complete_tree(codec.branch).level.size)


def laws(twin: Any, codec: NumberCodec, tokens: np.ndarray, item_at: np.ndarray) -> TreeLaws:
    """Digit laws at every node of every state, with the whole vocabulary scored, as ours is for mass off the grid."""
    import torch

    whole = lambda x: torch.as_tensor(np.asarray(x), device=twin.device)  # noqa: E731
    tree = complete_tree(codec.branch)
    last = [codec.levels[lv - 1][d] for lv, d in zip(tree.level, tree.digit, strict=True)]
    nodes = _Nodes(whole(last).long(), whole(tree.level - 1), whole(_sees(tree)), whole(codec.levels[0]))
    with torch.inference_mode():
        read = twin.get_decoder()(input_ids=whole(tokens).long()[None], use_cache=True)
        prefix = [(layer.keys, layer.values) for layer in read.past_key_values.layers]
        at, size = whole(item_at).long(), states_a_pass(codec)
        root = _score(twin, read.last_hidden_state[0, at - 1], nodes.digits)
        chunks = [_chunk(twin, prefix, nodes, some, int(some.max())) for some in at.split(size)]
        return finished(TreeLaws(root, torch.cat(chunks)))


class _Nodes(NamedTuple):
    """Of one state: last token and depth of each, which others it sees; and the digits' tokens."""

    ids: Any
    depth: Any
    sees: Any
    digits: Any


def _chunk(twin: Any, prefix: list[tuple[Any, Any]], nodes: _Nodes, at: Any, seen: int) -> Any:
    """Next-digit laws ``[state, node, child]`` of some states, whose nodes are one sequence."""
    import torch

    count = len(nodes.ids)
    before = (torch.arange(seen, device=at.device) < at[:, None]).repeat_interleave(count, dim=0)
    among = torch.block_diag(*[nodes.sees.to(torch.uint8)] * len(at)).bool()
    hidden = twin.get_decoder()(
        input_ids=nodes.ids.repeat(len(at))[None],
        position_ids=(at[:, None] + nodes.depth).reshape(1, -1),
        attention_mask=torch.cat((before, among), dim=1)[None, None],
        past_key_values=_Hung(prefix, seen),
        use_cache=True,
    ).last_hidden_state[0]
    return _score(twin, hidden, nodes.digits).reshape(len(at), count, -1)


def _sees(tree: Any) -> np.ndarray:
    """``[node, node]``: the ancestors of a node, and itself."""
    sees = np.eye(tree.level.size, dtype=bool)
    node, slot = np.nonzero(tree.seen)
    sees[node, tree.ancestors[node, slot]] = True
    return sees


def _score(twin: Any, hidden: Any, digits: Any) -> Any:
    """Laws among the digits; the sum over the vocabulary is what mass off the grid is made of."""
    import torch

    scores = twin.get_output_embeddings()(hidden).float()
    torch.logsumexp(scores, dim=-1)
    return torch.log_softmax(scores[:, digits], dim=-1)


class _Hung:
    """A cache that puts new keys and values behind the first ``seen`` of a prefix, and keeps none."""

    is_compileable = False

    def __init__(self, prefix: list[tuple[Any, Any]], seen: int) -> None:
        self.prefix, self.seen = prefix, seen

    def update(self, keys: Any, values: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        import torch

        old_keys, old_values = self.prefix[layer]
        seen = self.seen
        return torch.cat((old_keys[:, :, :seen], keys), 2), torch.cat((old_values[:, :, :seen], values), 2)

    def get_seq_length(self, *_: Any) -> int:
        return self.seen

    def get_query_offset(self, *_: Any) -> int:
        return self.seen

    def get_mask_sizes(self, query: Any, *_: Any) -> tuple[int, int]:
        length = query if isinstance(query, int) else query.shape[-1]
        return self.seen + length, 0
