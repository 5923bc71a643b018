r"""Does a model use the subspace in which a graph lies? A word's coordinates there exchanged for those of another node.

At one layer the residual stream ``h`` of chosen positions becomes

.. math:: h + a\, V^\top V\,(\bar h_j - h)

with the mean representation :math:`\bar h_j` of node j, orthonormal rows ``V`` and dose ``a``. The planes that are
compared have one shape, so that ``vmap`` goes over them, over layers, targets, doses and positions, and one program
serves every trial. After Park et al., arXiv 2501.00070, whose test of the principal components this makes definite.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, Key

from .errors import InputError
from .models.edits import Edit, swap
from .models.forward import KVCache, forward
from .models.llama import Llama
from .models.mesh import jit_on_mesh
from .models.storage import Precision
from .word_laws import NodeLaws, node_laws

LEAST = 3  # nodes whose means span a plane


class SubspaceBases(NamedTuple):
    """Orthonormal rows of four subspaces, all of one shape; rows that a subspace does not have are zero.

    ``first`` and ``second`` span the first and the second principal plane of the node means (PC 1-2, PC 3-4),
    ``span`` all that the centred means span, ``random`` a plane drawn uniformly inside ``span``.
    """

    first: Float[Array, "rank width"]
    second: Float[Array, "rank width"]
    span: Float[Array, "rank width"]
    random: Float[Array, "rank width"]


def subspace_bases(
    key: Key[Array, ""],
    means: Float[Array | np.ndarray, "node width"],
    seen: Bool[Array | np.ndarray, " node"] | None = None,
) -> SubspaceBases:
    """Subspaces of the node means, ``rank = min(node - 1, width)``; those of nodes that were not seen do not count.

    Raises:
        InputError: fewer than three nodes that were seen.
    """
    seen = jnp.ones(means.shape[0], bool) if seen is None else seen
    if not isinstance(seen, jax.core.Tracer) and (count := int(seen.sum())) < LEAST:
        raise InputError(f"means of {count} nodes", f"at least {LEAST}, which span a plane", "Read a longer walk")
    means, seen = jnp.asarray(means), jnp.asarray(seen)
    # A select, not a product with zero: the mean of a node that was not seen may be anything.
    rows = jnp.where(seen[:, None], means.astype(jnp.promote_types(means.dtype, jnp.float32)), 0)
    centred = jnp.where(seen[:, None], rows - rows.sum(axis=0) / seen.sum(), 0)
    rank = min(means.shape[0] - 1, means.shape[1])
    _, sizes, directions = jnp.linalg.svd(centred, full_matrices=False)
    held = sizes[:rank] > sizes[0] * max(means.shape) * jnp.finfo(rows.dtype).eps
    span = directions[:rank] * held[:, None]
    drawn = jax.random.normal(key, (rank, 2), rows.dtype) * held[:, None]
    turned = jnp.matmul(jnp.linalg.qr(drawn)[0].T, span, precision="highest")
    order = jnp.arange(rank)[:, None]
    return SubspaceBases(
        first=jnp.where(order < 2, span, 0),
        second=jnp.roll(jnp.where((order >= 2) & (order < 4), span, 0), -2, axis=0),
        span=span,
        random=jnp.zeros_like(span).at[:2].set(turned),
    )


def positions_of(
    node: ArrayLike, nodes: Int[Array | np.ndarray, " time"], item_at: Int[Array | np.ndarray, " time"], length: int
) -> Float[Array, " position"]:
    """1 at the positions of a sequence of ``length`` tokens where the item is ``node``, else 0."""
    return jnp.zeros(length, jnp.float32).at[item_at].set(jnp.asarray(nodes) == node)


def swap_subspace(
    means: Float[Array | np.ndarray, "node width"],
    basis: Float[Array, "rank width"],
    target: ArrayLike,
    layer: ArrayLike,
    at: Float[Array, "*position"],
    dose: ArrayLike = 1.0,
) -> Edit:
    """The exchange of the module's equation after block ``layer`` (1 first), with the mean of node ``target``.

    Args:
        means: of that layer; the target must have been seen.
        basis: orthonormal rows, such as one of ``SubspaceBases``.
        at: 1 at the positions that are changed, else 0: one position, or all of a node (``positions_of``).
        dose: 0 changes nothing, 1 exchanges the coordinates, more goes beyond.

    Raises:
        InputError: layer 0, a target that is no node, or a basis that is not orthonormal.
    """
    _require(layer, lambda k: k >= 1, "layer", "1 or more, counted from after the first block")
    _require(target, lambda k: 0 <= k < len(means), "target node", f"one from 0 to {len(means) - 1}")
    return swap("resid_post", jnp.asarray(layer) - 1, basis, jnp.asarray(means)[target], jnp.asarray(dose) * at)


def read_with_edits(
    model: Llama,
    tokens: Int[Array, " position"],
    read_at: Int[Array, " read"],
    word_ids: Int[Array, " node"],
    edits: tuple[Edit, ...],
    *,
    unedited: int = 0,
    at_once: int = 8,
    precision: Precision = "highest",
) -> NodeLaws:
    """Laws ``[trial, read, node]`` after the positions ``read_at`` of one sequence, in as many trials as edits have.

    Args:
        edits: every field has a leading axis ``trial`` (``jax.vmap`` of ``swap_subspace`` makes them so); positions
            are those of ``tokens``.
        unedited: so many first tokens are changed by no edit. They are read once for all trials, which is most of
            the work where only the last word is changed.
        at_once: trials read together; more need more memory.

    Raises:
        InputError: no edits, or edits of different numbers of trials; no tokens left to edit, or an edit of a token
            that is said to be unedited; a position outside the sequence.
    """
    _check(tokens, read_at, edits)
    _check_unedited(len(tokens), edits, unedited)
    return _read(model, tokens, read_at, word_ids, edits, unedited=unedited, at_once=at_once, precision=precision)


@functools.partial(jit_on_mesh, static_argnames=("unedited", "at_once", "precision"))
def _read(
    model: Llama,
    tokens: Array,
    read_at: Array,
    word_ids: Array,
    edits: tuple[Edit, ...],
    *,
    unedited: int,
    at_once: int,
    precision: Precision,
) -> NodeLaws:
    cache: KVCache | None = None
    before = jnp.zeros((0, model.config.d_model), model.final_norm[...].dtype)
    if unedited:
        before, cache, _ = forward(model, tokens[:unedited], precision=precision)

    def one(edits: tuple[Edit, ...]) -> NodeLaws:
        rest = tuple(_after(edit, unedited) for edit in edits)
        hidden = forward(model, tokens[unedited:], cache=cache, edits=rest, precision=precision).hidden
        return node_laws(model, jnp.concatenate((before, hidden))[read_at], word_ids, precision=precision)

    return jax.lax.map(one, edits, batch_size=min(at_once, edits[0].layer.shape[0]))


def _after(edit: Edit, unedited: int) -> Edit:
    """An edit of the tokens from ``unedited`` on."""
    at = edit.at[unedited:] if edit.at.ndim else edit.at
    value = edit.value[unedited:] if edit.value.ndim > 1 else edit.value
    return Edit(edit.site, edit.layer, at, edit.keep, edit.basis, value)


def _check(tokens: Array, read_at: Array, edits: tuple[Edit, ...]) -> None:
    trials = {leaf.shape[:1] for leaf in jax.tree.leaves(edits)}
    if len(trials) != 1 or trials <= {(), (0,)}:
        raise InputError(
            f"edits whose fields have leading axes {sorted(trials)}",
            "one leading axis of trials, the same in every field",
            "Make them with jax.vmap; dose 0 is the clean reading",
        )
    _require(read_at, lambda p: 0 <= p < len(tokens), "read_at", f"positions from 0 to {len(tokens) - 1}")


def _check_unedited(length: int, edits: tuple[Edit, ...], unedited: int) -> None:
    if not 0 <= unedited < length:
        raise InputError(f"{unedited} unedited of {length} tokens", f"0 to {length - 1}", "Leave tokens to be edited")
    for edit in edits:
        if not unedited or isinstance(edit.at, jax.core.Tracer):
            continue
        at = np.asarray(edit.at)
        if np.any(at[..., :unedited] != 0) if at.ndim > 1 else np.any(at != 0):
            raise InputError(
                f"an edit of {edit.site} at some of the {unedited} unedited tokens",
                "edits of later tokens only",
                "Lower unedited, or restrict the edit with at",
            )


def _require(value: ArrayLike, holds: Callable[[int], bool], what: str, expected: str) -> None:
    if not isinstance(value, jax.core.Tracer) and not all(holds(int(k)) for k in np.ravel(np.asarray(value))):
        raise InputError(f"{what} {np.asarray(value).tolist()}", expected, "Choose among these")
